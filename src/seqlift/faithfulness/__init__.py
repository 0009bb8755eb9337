"""Faithfulness: tests of the scores on the model that they explain, on held-out regions.

`curves` replaces bases in the order of their scores and asks the model again (feature ablation, as arXiv 1704.02685 and
1611.02639 judge their methods). `agreement` asks who else says the same: in-silico mutagenesis, the other methods,
models trained apart, other references. `sites` compares the scores of simulated data with the planted sites (motif
recovery). `sample` chooses the regions, `judge` puts the numbers together, `figure` draws them.
"""
