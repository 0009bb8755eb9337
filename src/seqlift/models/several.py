"""Models that answer the same question (folds, seeds), and the networks of which a model is the mean."""

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
        If a file cannot be used (`load_model`), or two models differ in head, targets or shape.
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
    """The networks of which a model is the mean, each over the same strands as the model."""
    if not isinstance(model, Ensemble):
        return [model]
    return [Ensemble([member], both_strands=True) if model.both_strands else member for member in model.members]
