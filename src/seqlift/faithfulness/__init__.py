"""Is the explanation true? Scores held against the model that they explain, on regions that it did not learn from.

`curves` replaces bases in the order of their scores and asks the model again (feature ablation, as arXiv 1704.02685 and
1611.02639 judge their methods). `agreement` asks who else says the same: in-silico mutagenesis, the other methods,
models trained apart, other references. `sites` holds the scores of simulated data against what was planted (motif
recovery). `sample` chooses the regions, `judge` puts the numbers together, `figure` draws them.
"""
