"""Calls of operations by a model, and which tensors depend on the model's input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seqlift.attribution.operations import tensors_in

MARK = "_seqlift_depends_on_input"


def mark(value: Any) -> Any:
    """Note that these tensors depend on the model's input; what a view is marked with, its base is too."""
    for tensor in tensors_in(value):
        setattr(tensor, MARK, True)
        if tensor._is_view():
            setattr(tensor._base, MARK, True)
    return value


def is_tracked(value: Any) -> bool:
    """Whether a value is a tensor that depends on the model's input."""
    if not isinstance(value, Tensor):
        return False
    return hasattr(value, MARK) or (value._is_view() and hasattr(value._base, MARK))


def unchanged(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Call:
    """An operation that a model calls; `tracked` are those of its tensors that depend on the model's input."""

    function: Callable
    args: tuple
    kwargs: dict
    tracked: list[Tensor]

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "")

    @property
    def is_in_place(self) -> bool:
        return self.name.endswith("_") and not self.name.endswith("__")

    def on(self, *values: Tensor) -> Any:
        """The result of the operation with these values in place of its tracked tensors."""
        args, kwargs = self.with_inputs(values)
        return self.function(*args, **kwargs)

    def with_inputs(
        self, values: tuple[Tensor, ...], constant: Callable[[Tensor], Tensor] = unchanged
    ) -> tuple[list, dict]:
        """The arguments with other values for the tracked tensors, and `constant` of the other tensors of numbers."""
        replacements = iter(values)

        def put(value: Any) -> Any:
            if isinstance(value, Tensor):
                if is_tracked(value):
                    return next(replacements)
                return constant(value) if value.is_floating_point() else value
            return type(value)(map(put, value)) if type(value) in (tuple, list) else value

        return list(map(put, self.args)), {key: put(value) for key, value in self.kwargs.items()}
