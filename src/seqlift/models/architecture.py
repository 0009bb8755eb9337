"""What a model is, as a plain dict: `{"type": "basset", "head": "classes", "filters": [32, 32], ...}`.

It is the config's `model` and is kept in the checkpoint. The networks are built of layers whose contributions are exact
under DeepLIFT's Rescale rule, so completeness holds to rounding.
"""

import inspect
from typing import Any

from seqlift.errors import SeqliftError
from seqlift.models.basset import Basset
from seqlift.models.deepbind import DeepBind
from seqlift.models.dilated import Dilated
from seqlift.models.outputs import HEADS
from seqlift.models.paper import Paper
from seqlift.models.profile import DilatedProfile

CLASSES = {"deepbind": DeepBind, "basset": Basset, "dilated": Dilated, "paper": Paper}
PROFILE_CLASSES = {"dilated": DilatedProfile}
_OF_ALL = {"head": "classes", "both_strands": False, "replicates": 1}


def _defaults(kind: str) -> dict:
    made_by = [types[kind] for types in (CLASSES, PROFILE_CLASSES) if kind in types]
    parameters = [p for each in made_by for p in inspect.signature(each).parameters.values()]
    given = {p.name: p.default for p in parameters if p.default is not p.empty and p.name != "control_channels"}
    return given | _OF_ALL


MODEL_TYPES = {kind: _defaults(kind) for kind in CLASSES}
"""Type -> hyperparameters with their defaults."""

CUSTOM = {"arguments": {}} | _OF_ALL


def resolve_architecture(architecture: dict) -> dict:
    """Fill in the defaults of a model type and check names and types of the hyperparameters.

    Parameters
    ----------
    architecture : dict
        "type": a key of `MODEL_TYPES`, or `package.module:Class` for a model of the user's, which has "arguments".
        "head"; "both_strands": whether predictions are means over both strands; "replicates": of how many such
        networks; and any of the type's hyperparameters.

    Returns
    -------
    dict
        All of it, plain Python values.

    Raises
    ------
    SeqliftError
        Unknown type, unknown hyperparameter, a value of the wrong type, or a head that the type does not have.
    """
    kind: Any = architecture.get("type")
    custom = isinstance(kind, str) and ":" in kind
    if not custom and kind not in MODEL_TYPES:
        raise SeqliftError(
            f"model.type {kind!r} does not exist; choose one of {', '.join(MODEL_TYPES)}, or package.module:Class for "
            "a model of your own"
        )
    given = {name: value for name, value in architecture.items() if name != "type"}
    defaults = CUSTOM if custom else MODEL_TYPES[kind]
    unknown = [name for name in given if name not in defaults]
    if unknown:
        raise SeqliftError(
            f"model type {kind!r} has no hyperparameter {unknown[0]!r} ({len(unknown)} unknown in all); "
            f"it has {', '.join(defaults)}" + ("; those of the class go into `arguments`" if custom else "")
        )
    for name, value in given.items():
        _check_value(f"model.{name}", value, defaults[name])
    resolved = {name: list(value) if isinstance(value, tuple) else value for name, value in (defaults | given).items()}
    if resolved["head"] == "profile" and not custom and kind not in PROFILE_CLASSES:
        able = ", ".join(PROFILE_CLASSES)
        raise SeqliftError(f"model type {kind!r} has no profile head (model.head); {able} has, or a model of your own")
    return {"type": kind, **resolved}


def _check_value(name: str, value: object, default: object) -> None:
    def integer(number: object, least: int = 1) -> bool:
        return isinstance(number, int) and not isinstance(number, bool) and number >= least

    if isinstance(default, bool):
        good, rule = isinstance(value, bool), "true or false"
    elif isinstance(default, str):
        good, rule = value in HEADS, f"one of {', '.join(HEADS)}"
    elif isinstance(default, dict):
        good = isinstance(value, dict) and all(isinstance(key, str) for key in value)
        rule = "keyword arguments, names and values"
    elif isinstance(default, tuple):
        good = isinstance(value, list | tuple) and all(map(integer, value))
        rule = "a list of positive integers"
    elif isinstance(default, float):
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        rule = "a number from 0 up to, but not including, 1"
    else:
        least = 0 if name == "model.layers" else 1
        good, rule = integer(value, least), f"a whole number of at least {least}"
    if not good:
        raise SeqliftError(f"{name} (={value!r}) must be {rule}")
