"""The model file: weights and everything needed to use them, as tensors and plain Python values only.

`model.ckpt` is a dict saved by `torch.save` that loads with `weights_only=True`, so opening a model that somebody sent
runs no code of theirs. Keys: "format" (str), "architecture" (dict: "type" and every hyperparameter), "targets" (list of
str, in the order of the outputs), "length" (int, bp), "state_dict" (name -> tensor, on the CPU), "training" (dict: the
settings, seed, best epoch and its metrics), "package_version" (str).
"""

import hashlib
import os
import pickle
from dataclasses import dataclass

import torch
from torch import nn

from seqlift import __version__
from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.models import build_model, resolve_architecture

FORMAT = "seqlift model 1"
_KEYS = ("architecture", "targets", "length", "state_dict", "training", "package_version")


@dataclass(frozen=True)
class TrainedModel:
    """A model read from its file.

    Attributes
    ----------
    model : torch.nn.Module
        In evaluation mode, on the CPU; (N, 4, length) -> logits (N, len(targets)).
    architecture, training : dict
        What it is and how it was trained.
    targets : list of str
        Names of the outputs, in order.
    length : int
        Input length, bp.
    fingerprint : str
        sha256 of the weights (`fingerprint`), the same wherever the model is loaded.
    package_version : str
        Version of seqlift that wrote the file.
    """

    model: nn.Module
    architecture: dict
    targets: list[str]
    length: int
    training: dict
    fingerprint: str
    package_version: str


def fingerprint(state_dict: dict[str, torch.Tensor]) -> str:
    """sha256 over the names, types, shapes and bytes of all weights and buffers."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        values = state_dict[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def save_checkpoint(
    path: str | os.PathLike, model: nn.Module, *, architecture: dict, targets: list[str], length: int, training: dict
) -> None:
    """Write a model built by `build_model(architecture, ...)` to `path`, whole or not at all.

    `training` may hold only tensors, str, int, float, bool, None, lists and dicts.
    """
    content = {
        "format": FORMAT,
        "architecture": resolve_architecture(architecture),
        "targets": list(targets),
        "length": int(length),
        "state_dict": {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()},
        "training": training,
        "package_version": __version__,
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_model(path: str | os.PathLike) -> TrainedModel:
    """Read a model file.

    Raises
    ------
    SeqliftError
        No such file, not a model file of seqlift, or one that is damaged.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift train` makes a model") from None
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SeqliftError(f"{path}: not a model file of seqlift, or damaged ({reason}); train again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise SeqliftError(f"{path}: not a model file of this seqlift (format {found!r}, expected {FORMAT!r})")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise SeqliftError(f"{path}: the model file lacks {', '.join(missing)}; train again")
    targets, length = content["targets"], content["length"]
    with torch.random.fork_rng(devices=[]):  # random first weights, replaced at once: leave no trace
        model = build_model(content["architecture"], length=length, n_targets=len(targets))
    try:
        model.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise SeqliftError(f"{path}: the weights do not fit the architecture: {str(error).splitlines()[-1]}") from None
    return TrainedModel(
        model=model.eval(),
        architecture=content["architecture"],
        targets=targets,
        length=length,
        training=content["training"],
        fingerprint=fingerprint(content["state_dict"]),
        package_version=content["package_version"],
    )
