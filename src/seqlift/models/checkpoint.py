"""The model file: weights and everything needed to use them, as tensors and plain Python values only.

`model.ckpt` is a dict saved by `torch.save` that loads with `weights_only=True`, so opening a model that somebody sent
runs no code that is in it (a model of the user's own class runs that class: `seqlift.models.importing`). Keys: "format"
(str), "architecture" (dict: "type", "head" and every hyperparameter), "targets" (list of str, in order), "shape" (dict:
the sizes in `seqlift.models.shape.Shape`), "state_dict" (name -> tensor, on the CPU), "training" (dict: the settings,
seed, best epoch and whether it learned anything), "package_version" (str).
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
        If it cannot be written, as on a full disk; an older file at `path` stays as it was.
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
            with open(temporary, "wb") as file:  # given a name, torch would write that temporary name into the file
                torch.save(_as_written_once(content), file)
            torch.load(temporary, weights_only=True)  # what cannot be read again must not take an older file's place
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        raise SeqliftError(
            f"{path}: the model cannot be written ({_reason(error)}); make room on the disk, or choose another folder"
        ) from None


def _as_written_once(value: Any) -> Any:
    """The same, its equal texts one object, its lists and dicts each an object of its own.

    Of two that are one object pickle writes the second as a reference. What a training that was stopped reads again are
    other objects than those of one that went through, and its file would differ.
    """
    if isinstance(value, dict):
        return {_as_written_once(key): _as_written_once(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_written_once(inner) for inner in value]
    return sys.intern(value) if type(value) is str else value


def load_model(path: str | os.PathLike) -> TrainedModel:
    """Read a model file.

    Raises
    ------
    SeqliftError
        No such file, not a model file of this version of seqlift, or one that is damaged.
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
        with torch.random.fork_rng(devices=[]):  # random first weights, replaced at once: leave no trace
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
