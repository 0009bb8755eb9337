"""Base-resolution attribution and motif discovery for sequence CNNs.

seqlift trains sequence CNNs on one-hot DNA, explains them base by base with DeepLIFT (arXiv 1605.01713, 1704.02685) and
interior gradients (arXiv 1611.02639), and turns the scores into genome tracks and motif logos.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("seqlift")

_PUBLIC = {
    "deeplift": "seqlift.attribution.deeplift",
    "DeepLiftOptions": "seqlift.attribution.options",
    "DeepLift": "seqlift.attribution.deeplift",
    "interior_gradients": "seqlift.attribution.interior_gradients",
    "InteriorGradients": "seqlift.attribution.interior_gradients",
    "InteriorGradientsOptions": "seqlift.attribution.options",
    "mutagenesis": "seqlift.attribution.mutagenesis",
    "Mutagenesis": "seqlift.attribution.mutagenesis",
    "save_scores": "seqlift.attribution.save",
    "write_track": "seqlift.tracks.writing",
    "find_motifs": "seqlift.motifs.drawing",
    "SeqliftError": "seqlift.errors",
}
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:  # the same for type checkers, which run nothing
    from seqlift.attribution.deeplift import DeepLift as DeepLift
    from seqlift.attribution.deeplift import deeplift as deeplift
    from seqlift.attribution.interior_gradients import InteriorGradients as InteriorGradients
    from seqlift.attribution.interior_gradients import interior_gradients as interior_gradients
    from seqlift.attribution.mutagenesis import Mutagenesis as Mutagenesis
    from seqlift.attribution.mutagenesis import mutagenesis as mutagenesis
    from seqlift.attribution.options import DeepLiftOptions as DeepLiftOptions
    from seqlift.attribution.options import InteriorGradientsOptions as InteriorGradientsOptions
    from seqlift.attribution.save import save_scores as save_scores
    from seqlift.errors import SeqliftError as SeqliftError
    from seqlift.motifs.drawing import find_motifs as find_motifs
    from seqlift.tracks.writing import write_track as write_track
else:

    def __getattr__(name: str) -> Any:
        """The public calls, imported when they are first asked for: the light commands do not wait for torch."""
        if name not in _PUBLIC:
            raise AttributeError(f"module 'seqlift' has no attribute {name!r}")
        return getattr(importlib.import_module(_PUBLIC[name]), name)
