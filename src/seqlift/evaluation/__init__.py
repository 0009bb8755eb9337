"""Is it any good? Models judged on regions they never saw, beside what simpler models make of the same regions.

One model is judged on its test split. The models of a cross-validation are each judged on their own fold, so that every
region is predicted once, by a model that never saw it; all numbers come from these predictions together, and each
fold's own numbers say how much they vary. What is predicted is what is explained afterwards: the model as its file
gives it, averaged over both strands only if its architecture says so. Of models of several seeds it is their mean.
"""
