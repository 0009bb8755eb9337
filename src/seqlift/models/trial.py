"""A trial batch through a new model: it finds a wrong output before hours are spent on training."""

import inspect
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seqlift.data.windows import one_hot
from seqlift.errors import SeqliftError
from seqlift.models.importing import located
from seqlift.models.shape import Shape

_ROWS = 3
_WHAT = ("(N, targets)", "logits (N, targets, strands, window) and log counts (N, targets)")


def check_output(model: nn.Module, name: str, head: str, shape: Shape) -> None:
    """Run a model on a few random sequences and check what it returns.

    Parameters
    ----------
    model : torch.nn.Module
    name : str
        Type of the model, for messages.
    head : str
    shape : Shape

    Raises
    ------
    SeqliftError
        If the model fails, or returns something of another kind or shape, or numbers that are not finite.
    """
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(4, (_ROWS, shape.length), generator=random)
    given = [one_hot(codes)]  # (N, 4, L)
    if shape.control_channels:
        given.append(torch.zeros(_ROWS, shape.control_channels, shape.window))
    training = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = model.eval()(*given)
    except Exception as error:
        raise SeqliftError(
            f"model.type (={name!r}): the model fails on a trial batch of shape {_shapes(given)}: {located(error)}; "
            f"{_hint(model, shape)}"
        ) from error
    model.train(training)
    t = shape.n_targets
    expected = [(_ROWS, t)] if head != "profile" else [(_ROWS, t, shape.strands, shape.window), (_ROWS, t)]
    parts = [found] if isinstance(found, Tensor) else found
    plain = isinstance(parts, tuple | list) and all(isinstance(part, Tensor) for part in parts)
    if not plain or [tuple(part.shape) for part in parts] != expected:
        raise SeqliftError(
            f"model.type (={name!r}): for a batch of shape {_shapes(given)} the model returns "
            f"{_shapes(parts) if plain else type(found).__name__}; with model.head (={head!r}) it must return "
            f"{' and '.join(map(str, expected))}: {_WHAT[head == 'profile']}"
        )
    if not all(part.is_floating_point() and bool(part.isfinite().all()) for part in parts):
        raise SeqliftError(
            f"model.type (={name!r}): the untrained model returns numbers that are not finite; check logarithms, "
            "divisions and the size of the initial weights"
        )


def _shapes(tensors: Iterable[Tensor]) -> str:
    return " and ".join(str(tuple(tensor.shape)) for tensor in tensors)


def _hint(model: nn.Module, shape: Shape) -> str:
    needed = [p for p in inspect.signature(getattr(model, "network", model).forward).parameters.values()
              if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]  # fmt: skip
    if len(needed) > 1 and not shape.control_channels:
        return f"it needs `{needed[1].name}`, but no target has a control track: add one, or make it optional"
    return "forward receives sequences (N, 4, length) and, if targets have a control, control (N, tracks, window)"
