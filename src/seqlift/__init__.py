"""Which bases made the network say so, and what do they spell?

seqlift trains sequence CNNs on one-hot DNA, explains them base by base with DeepLIFT (arXiv 1605.01713, 1704.02685) and
interior gradients (arXiv 1611.02639), and turns the scores into genome tracks and motif logos.
"""

from importlib.metadata import version

__version__ = version("seqlift")
