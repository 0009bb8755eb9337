"""Activations with the channels of a position side by side in memory, for convolutions on a CPU.

PyTorch keeps an activation (N, C, L) channel by channel. oneDNN, which computes its convolutions on a CPU, works on the
channels of a position together, so each convolution rearranges its input and its output, forward and back; and `conv1d`
requires that order. Run as `conv2d` over images one pixel high, with the other order kept between the layers, the same
numbers need no rearranging.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqlift.attribution.kernels import is_channels_last
from seqlift.attribution.operations import find


def _as_channels_last(gradient: Tensor) -> Tensor:
    return gradient if is_channels_last(gradient) else gradient.mT.contiguous().mT


class LayoutError(Exception):
    """A model asks for the memory layout of its activations."""


def is_worthwhile(value: Tensor) -> bool:
    """Whether channels last are faster for an input of this type and device."""
    onednn = torch.backends.mkldnn
    there = onednn.is_available() and bool(onednn.enabled)
    return there and value.device.type == "cpu" and value.dtype == torch.float32


class ChannelsLast:
    """Runs a model's operations one by one, `conv1d` among them as `conv2d` on activations with channels last."""

    def __init__(self) -> None:
        # Copies where PyTorch would make views: the original, its version at that time, the copy
        self._copies: list[tuple[Tensor, int, Tensor]] = []

    def __call__(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """The result of an operation; `LayoutError` if it depends on where an activation lies in memory."""
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if function in _CONVOLUTIONS:
            result = _conv1d(*args, **kwargs)
        elif first is not None and is_channels_last(first) and function in _SPECIAL:
            if function in _OF_MEMORY:
                raise LayoutError
            if function is F.batch_norm:
                result = function(first.unsqueeze(2), *args[1:], **kwargs).squeeze(2)
            else:
                copy = first.contiguous()
                self._copies.append((first, first._version, copy))
                result = function(copy, *args[1:], **kwargs)
        else:
            result = function(*args, **kwargs)
        new = isinstance(result, Tensor) and all(result is not arg for arg in args)
        # While recording there is no graph to ask for, and a view that was changed in place refuses to say
        if new and torch.is_grad_enabled() and result.grad_fn is not None and is_channels_last(result):
            result.register_hook(_as_channels_last)  # so that the layers before meet one order
        return result

    def check(self) -> None:
        """Raise `LayoutError` if an original or its copy was changed in place since."""
        if any(value._version != version or copy._version for value, version, copy in self._copies):
            raise LayoutError


def _conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if input.ndim != 3:
        return torch.conv1d(input, weight, bias, stride, padding, dilation, groups)
    image = input.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    stride, padding, dilation = (
        value if isinstance(value, str) else (first, *(value if isinstance(value, tuple | list) else (value,)))
        for first, value in ((1, stride), (0, padding), (1, dilation))
    )
    return torch.conv2d(image, kernel, bias, stride, padding, dilation, groups).squeeze(2)


_CONVOLUTIONS = find("conv1d")
_OF_MEMORY = find("stride is_contiguous as_strided data_ptr storage_offset untyped_storage storage")
_SPECIAL = _OF_MEMORY | {F.batch_norm} | find("view reshape flatten ravel contiguous")
