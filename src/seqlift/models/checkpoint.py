"""The model file: weights and everything needed to use them, as tensors and plain Python values only.

`model.ckpt` is a dict saved by `torch.save` and read with `weights_only=True`, so opening a model from somebody else
runs no code in it (a custom model runs its class: `seqlift.models.importing`). Keys: "format" (str), "architecture"
(dict: "type", "head" and all settings), "targets" (list of str, in order), "shape" (dict: the sizes in
`seqlift.models.shape.Shape`), "state_dict" (name -> tensor, on the CPU), "training" (dict: settings, seed, best epoch
and whether the model has learned anything), "package_version" (str).
"""

import os
import pickle
import sys
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from seqlift import __version__
from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.models.architecture import resolve_architecture
from seqlift.models.build import build_model
from seqlift.models.shape import Shape
from seqlift.models.trained import TrainedModel, fingerprint

FORMAT = "seqlift model 2"
_KEYS = ("architecture", "targets", "shape", "state_dict", "training", "package_version")
_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, KeyError)


def save_checkpoint(
    path: str | os.PathLike, model: nn.Module, *, architecture: dict, targets: list[str], shape: Shape, training: dict
) -> None:
    """Write a model built by `build_model(architecture, shape)` to `path`, whole or not at all.

    `training` may hold only tensors, str, int, float, bool, None, lists and dicts.

    Raises
    ------
    SeqliftError
        If it cannot be written, as on a full disk; an older file at `path` is kept.
    """
    content = {
        "format": FORMAT,
        "architecture": resolve_architecture(architecture),
        "targets": list(targets),
        "shape": asdict(shape),
        "state_dict": {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()},
        "training": training,
        "package_version": __version__,
    }
    try:
        with replacing(path) as temporary:
            with open(temporary, "wb") as file:  # with a path, torch would write the temporary name into the file
                torch.save(_without_shared_objects(content), file)
            torch.load(temporary, weights_only=True)  # a file that cannot be read must not replace an older one
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        raise SeqliftError(
            f"{path}: the model cannot be written ({_reason(error)}); make room on the disk, or choose another folder"
        ) from None


def _without_shared_objects(value: Any) -> Any:
    """A copy in which equal texts are one object, and each list and dict is an object of its own.

    Pickle writes an object that occurs twice as a reference. A resumed training has other objects than an uninterrupted
    one, and its file would differ.
    """
    if isinstance(value, dict):
        return {_without_shared_objects(key): _without_shared_objects(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_shared_objects(inner) for inner in value]
    return sys.intern(value) if type(value) is str else value


def load_model(path: str | os.PathLike) -> TrainedModel:
    """Read a model file.

    Raises
    ------
    SeqliftError
        If there is no such file, or it is damaged or not a model file of this version of seqlift.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift train` makes a model") from None
    except _UNREADABLE as error:
        raise SeqliftError(f"{path}: not a model file of seqlift, or damaged ({_reason(error)}); train again") from None
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != FORMAT:
        raise SeqliftError(f"{path}: not a model file of this seqlift (format {found!r}, not {FORMAT!r}); train again")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise SeqliftError(f"{path}: the model file lacks {', '.join(missing)}; train again")
    shape, state_dict = Shape(**content["shape"]), content.pop("state_dict")
    try:
        with torch.random.fork_rng(devices=[]):  # the random initial weights are replaced below
            model = build_model(content["architecture"], shape)
    except SeqliftError as error:
        raise SeqliftError(f"{path}: {error}") from None
    try:
        model.load_state_dict(state_dict)
    except RuntimeError as error:
        raise SeqliftError(f"{path}: the weights do not fit the architecture: {_reason(error, -1)}") from None
    content |= {"model": model.eval(), "shape": shape, "fingerprint": fingerprint(state_dict)}
    return TrainedModel(**{name: value for name, value in content.items() if name != "format"})


def _reason(error: BaseException, line: int = 0) -> str:
    return (str(error).splitlines() or [type(error).__name__])[line].strip()
