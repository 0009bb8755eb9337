"""Which bases made the network say so, and what do they spell?

seqlift trains sequence CNNs on one-hot DNA, explains them base by base with DeepLIFT (arXiv 1605.01713, 1704.02685) and
interior gradients (arXiv 1611.02639), and turns the scores into genome tracks and motif logos.
"""

import importlib
from importlib.metadata import version

__version__ = version("seqlift")

_PUBLIC = {
    "deeplift": "seqlift.attribution.deeplift",
    "DeepLift": "seqlift.attribution.deeplift",
    "interior_gradients": "seqlift.attribution.interior_gradients",
    "InteriorGradients": "seqlift.attribution.interior_gradients",
    "mutagenesis": "seqlift.attribution.mutagenesis",
    "Mutagenesis": "seqlift.attribution.mutagenesis",
    "save_scores": "seqlift.save",
    "write_track": "seqlift.tracks",
    "find_motifs": "seqlift.motifs.drawing",
    "SeqliftError": "seqlift.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    """The public calls, imported when they are first asked for: the light commands do not wait for torch."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'seqlift' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
