"""What a model is, as a plain dict: `{"type": "basset", "head": "classes", "filters": [32, 32], ...}`.

It is the config's section `model` and is kept in the checkpoint. The networks are built of layers whose contributions
are exact under DeepLIFT's Rescale rule, so completeness holds to rounding.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from seqlift.core.settings import default_of
from seqlift.errors import SeqliftError
from seqlift.models import architectures
from seqlift.models.settings import Kind, Layer, ModelSettings

CUSTOM: dict[str, Any] = {"arguments": {}}
"""Settings of a custom model, with their defaults, besides those of all models."""

COMMON = {field.name: default_of(field) for field in fields(ModelSettings) if field.name != "type"}
"""Settings of all models, with their defaults."""


@functools.cache
def kinds() -> dict[str, Kind]:
    """The architectures by name: the files of `seqlift.models.architectures`."""
    names = sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))
    return {name: importlib.import_module(f"{architectures.__name__}.{name}").ARCHITECTURE for name in names}


def defaults(kind: str) -> dict[str, Any]:
    """All settings of an architecture with their defaults, as the config has them."""
    return {field.name: default_of(field) for field in fields(kinds()[kind].settings)} | COMMON


def resolve_architecture(architecture: Mapping) -> dict:
    """Fill in the defaults of a model type and check its settings.

    Parameters
    ----------
    architecture : dict
        "type": the name of an architecture, or `package.module:Class` for a custom model, which has "arguments".
        "head"; "both_strands": whether predictions are means over both strands; "replicates": the number of networks of
        which they are the mean; and any settings of the architecture.

    Returns
    -------
    dict
        All of it, plain Python values.

    Raises
    ------
    SeqliftError
        Unknown type, unknown setting, a wrong value, or a head that the type does not have.
    """
    name: Any = architecture.get("type")
    if not isinstance(name, str) or (":" not in name and name not in kinds()):
        raise SeqliftError(
            f"model.type (={name!r}) does not exist; choose one of {', '.join(kinds())}, or package.module:Class for "
            "a custom model"
        )
    given = {key: value for key, value in architecture.items() if key != "type"}
    try:
        common = ModelSettings.make({key: value for key, value in given.items() if key in COMMON})
        own = {key: value for key, value in given.items() if key not in COMMON}
        own = _custom(own) if ":" in name else kinds()[name].settings.make(own).as_dict()
    except SeqliftError as error:
        raise SeqliftError(f"model of type {name!r}: {error}") from None
    if common.head == "profile" and ":" not in name and "profile" not in kinds()[name].heads:
        able = ", ".join(name for name, kind in kinds().items() if "profile" in kind.heads)
        raise SeqliftError(f"model.type (={name!r}) has no head 'profile' (model.head); use {able}, or a custom model")
    shared = common.as_dict()
    return {"type": name, **own, **{key: shared[key] for key in COMMON}}


def _custom(given: dict) -> dict:
    unknown = [key for key in given if key not in CUSTOM]
    if unknown:
        raise SeqliftError(f"`{unknown[0]}` is an unknown setting; those of the class go into `arguments`")
    arguments = given.get("arguments", {})
    if not (isinstance(arguments, dict) and all(isinstance(key, str) for key in arguments)):
        raise SeqliftError(f"`arguments` (={arguments!r}) must be keyword arguments, names and values")
    return {"arguments": arguments}


def shortest_window(architecture: Mapping) -> tuple[int, str]:
    """Length in bp of the shortest window that an architecture reads, and the setting that decides."""
    names = {field.name for field in fields(kinds()[architecture["type"]].settings)}
    own = {key: value for key, value in architecture.items() if key in names}
    return kinds()[architecture["type"]].settings.make(own).shortest_window()


def layers_of(architecture: Mapping, outputs: int) -> list[Layer]:
    """The convolutions of a network with `outputs` outputs; a custom one counts as BPNet (`dilated`, 8 layers)."""
    if ":" in architecture["type"]:
        architecture = {"type": "dilated", "head": architecture["head"], "layers": 8}
    kind = kinds()[architecture["type"]].settings
    names = {field.name for field in fields(kind)}
    own = kind.make({key: value for key, value in architecture.items() if key in names})
    return own.layers_of(architecture["head"], outputs)
