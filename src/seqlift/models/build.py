"""Untrained models from their description, of any architecture."""

from typing import Any

import torch
from torch import Tensor, nn

from seqlift.errors import SeqliftError
from seqlift.models.architecture import kinds, resolve_architecture
from seqlift.models.custom import build_custom
from seqlift.models.ensemble import Ensemble
from seqlift.models.shape import Shape
from seqlift.models.trial import check_output


def build_model(architecture: dict, shape: Shape) -> nn.Module:
    """Build an untrained model; its first weights come from torch's global random state.

    Parameters
    ----------
    architecture : dict
        "type", "head" and hyperparameters, see `resolve_architecture`.
    shape : Shape

    Returns
    -------
    torch.nn.Module
        Takes (N, 4, length) and gives (N, T); with a profile head it takes the control (N, C, window) too, where there
        is one, and gives a `ProfileOutput`. An `Ensemble` if there are replicates or both strands are read.

    Raises
    ------
    SeqliftError
        A wrong architecture, a length too short for it, a custom model that cannot be used.
    """
    options = resolve_architecture(architecture)
    kind, head = options.pop("type"), options.pop("head")
    both_strands, replicates = options.pop("both_strands"), options.pop("replicates")
    if head == "profile" and not shape.window:
        raise SeqliftError("model.head (='profile') needs targets with signal; give them `signal`, or choose classes")
    members = [_member(kind, head, shape, options) for _ in range(replicates)]
    return Ensemble(members, both_strands) if replicates > 1 or both_strands else members[0]


def _member(kind: str, head: str, shape: Shape, options: dict) -> nn.Module:
    if ":" in kind:
        member = build_custom(kind, options["arguments"], head, shape)
        check_output(member, kind, head, shape)
        return member
    known: dict[str, Any] = {"length": shape.length, "n_targets": shape.n_targets}
    if head == "profile":
        known |= {"strands": shape.strands, "window": shape.window, "control_channels": shape.control_channels}
        profile = kinds()[kind].profile_network
        assert profile is not None  # resolve_architecture has checked it
        return profile(**known, **options)
    options.pop("profile_kernel", None)
    return kinds()[kind].network(**known, **options)


def start_at(model: nn.Module, log_counts: Tensor) -> None:
    """Let an untrained model of counts begin at the mean log counts (T,), which are far from 0 where it would begin.

    A custom model starts there itself, or has a property `output_bias` as the models here.
    """
    for member in model.members if isinstance(model, Ensemble) else [model]:
        bias = getattr(getattr(member, "network", member), "output_bias", None)
        if bias is not None:
            with torch.no_grad():
                bias.copy_(log_counts)
