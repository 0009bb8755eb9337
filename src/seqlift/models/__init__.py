"""Sequence CNNs: one-hot DNA (N, 4, L) in, one logit for each target (N, T) out.

Every network is built of layers whose contributions are exact under DeepLIFT's Rescale rule (linear layers,
elementwise nonlinearities, residual additions; max pooling by its own rule), so completeness holds to rounding. An
architecture is a plain dict, `{"type": "basset", "filters": [32, 32], ...}`, which is also what the config and the
checkpoint hold.
"""

import inspect

from torch import nn

from seqlift.errors import SeqliftError
from seqlift.models.basset import Basset
from seqlift.models.dilated import Dilated
from seqlift.models.ensemble import Ensemble
from seqlift.models.paper import Paper

_CLASSES = {"basset": Basset, "dilated": Dilated, "paper": Paper}


def _defaults(model_class: type) -> dict:
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty} | {"replicates": 1}


MODEL_TYPES = {name: _defaults(model_class) for name, model_class in _CLASSES.items()}
"""Type -> hyperparameters with their defaults."""


def resolve_architecture(architecture: dict) -> dict:
    """Fill in the defaults of a model type and check names and types of the hyperparameters.

    Parameters
    ----------
    architecture : dict
        "type" (a key of `MODEL_TYPES`) and any of that type's hyperparameters; "replicates": how many such networks
        make an `Ensemble`.

    Returns
    -------
    dict
        "type" and every hyperparameter, plain Python values.

    Raises
    ------
    SeqliftError
        Unknown type, unknown hyperparameter, or a value of the wrong type.
    """
    kind = architecture.get("type")
    if kind not in MODEL_TYPES:
        raise SeqliftError(f"model type {kind!r} does not exist; choose one of {', '.join(MODEL_TYPES)}")
    given = {name: value for name, value in architecture.items() if name != "type"}
    defaults = MODEL_TYPES[kind]
    unknown = [name for name in given if name not in defaults]
    if unknown:
        raise SeqliftError(
            f"model type {kind!r} has no hyperparameter {unknown[0]!r} ({len(unknown)} unknown in all); "
            f"it has {', '.join(defaults) or 'none'}"
        )
    for name, value in given.items():
        _check_type(f"model.{name}", value, defaults[name])
    # Lists, not tuples: that is what JSON and YAML give back
    resolved = {name: list(value) if isinstance(value, tuple) else value for name, value in (defaults | given).items()}
    return {"type": kind, **resolved}


def _check_type(name: str, value, default) -> None:
    def positive_integer(number):
        return isinstance(number, int) and not isinstance(number, bool) and number > 0

    if isinstance(default, tuple):
        rule = "a list of positive integers"
        good = isinstance(value, list | tuple) and all(map(positive_integer, value))
    elif isinstance(default, float):
        rule = "a number from 0 up to, but not including, 1"
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
    else:
        good, rule = positive_integer(value), "a positive integer"
    if not good:
        raise SeqliftError(f"{name} (={value!r}) must be {rule}")


def build_model(architecture: dict, *, length: int, n_targets: int) -> nn.Module:
    """Build an untrained network; its first weights come from torch's global random state.

    Parameters
    ----------
    architecture : dict
        "type" and hyperparameters, see `resolve_architecture`.
    length : int
        Input length in bp.
    n_targets : int
        Number of outputs T.

    Returns
    -------
    torch.nn.Module
        Takes (N, 4, length) and gives logits (N, T).

    Raises
    ------
    SeqliftError
        A wrong architecture, or a length too short for it.
    """
    resolved = resolve_architecture(architecture)
    model_class, replicates = _CLASSES[resolved.pop("type")], resolved.pop("replicates")
    members = [model_class(length=length, n_targets=n_targets, **resolved) for _ in range(replicates)]
    return Ensemble(members) if replicates > 1 else members[0]
