"""Models that were trained for the same question, as folds or with other seeds: opened together, taken apart."""

import os
from collections.abc import Sequence

from torch import nn

from seqlift.errors import SeqliftError
from seqlift.models.checkpoint import load_model
from seqlift.models.ensemble import Ensemble
from seqlift.models.trained import TrainedModel


def load_models(paths: Sequence[str | os.PathLike]) -> list[TrainedModel]:
    """Read model files whose predictions may be averaged.

    Raises
    ------
    SeqliftError
        As `load_model`; or two models differ in head, targets or the sizes of what goes in and comes out.
    """
    models = [load_model(path) for path in paths]
    for path, other in zip(paths[1:], models[1:], strict=True):
        for name in ("head", "targets", "shape"):
            first, here = getattr(models[0], name), getattr(other, name)
            if first != here:
                raise SeqliftError(
                    f"{path}: its {name} ({here}) differs from that of {paths[0]} ({first}), so their predictions "
                    "cannot be averaged; give models of one run (its folds and seeds)"
                )
    return models


def members_of(model: nn.Module) -> list[nn.Module]:
    """The networks that a model is the mean of, each read on the strands on which the model reads it."""
    if not isinstance(model, Ensemble):
        return [model]
    return [Ensemble([member], both_strands=True) if model.both_strands else member for member in model.members]
