"""Layers written out in operations that have DeepLIFT rules: normalisations, attention, quotients, powers.

Each function takes the arguments of the PyTorch function that it replaces.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Dims = int | tuple[int, ...] | list[int] | None


def as_dims(dim: Dims, ndim: int) -> list[int]:
    """The axes that a `dim` argument names, from 0 up; all of them for None."""
    dims = range(ndim) if dim is None or dim == () else (dim if isinstance(dim, tuple | list) else (dim,))
    return sorted(d % ndim for d in dims)


def _centre(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x minus its mean, and its (biased) variance, over `dims`."""
    centred = x - x.mean(dims, keepdim=True)
    return centred, torch.square(centred).mean(dims, keepdim=True)


def _scale(y: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    centred, variance = _centre(input, tuple(range(-len(shape), 0)))
    return _scale(centred * torch.rsqrt(variance + eps), weight, bias)


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    size = torch.square(input).mean(tuple(range(-len(shape), 0)), keepdim=True)
    return _scale(input * torch.rsqrt(size + eps), weight)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    n, channels = input.shape[:2]
    grouped = input.reshape(n, num_groups, -1)
    centred, variance = _centre(grouped, (-1,))
    per_channel = (1, channels, *[1] * (input.ndim - 2))
    weight, bias = (None if values is None else values.reshape(per_channel) for values in (weight, bias))
    return _scale((centred * torch.rsqrt(variance + eps)).reshape(input.shape), weight, bias)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    if not use_input_stats:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return group_norm(input, input.shape[1], weight, bias, eps)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    **_ignored: Any,
) -> Tensor:
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    weights = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        keep = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).tril()
        weights = weights.masked_fill(~keep, -math.inf)
    if attn_mask is not None:
        weights = weights.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else weights + attn_mask
    return torch.softmax(weights, -1) @ value


def divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is not None:
        raise NotImplementedError(f"rounding_mode={rounding_mode!r}")
    return input * torch.reciprocal(other)


def divide_reversed(input: Any, other: Any) -> Tensor:
    return other * torch.reciprocal(input)


def power(input: Tensor, exponent: Any) -> Tensor:
    if isinstance(exponent, Tensor):
        raise NotImplementedError("an exponent that is a tensor")
    if exponent == 2:
        return torch.square(input)
    if exponent in (0.5, -0.5):
        return torch.sqrt(input) if exponent > 0 else torch.rsqrt(input)
    if isinstance(exponent, int) or float(exponent).is_integer():
        power, result = abs(int(exponent)), None
        base = input
        while power:  # by squaring; each product has an exact rule
            if power & 1:
                result = base if result is None else result * base
            power >>= 1
            base = torch.square(base) if power else base
        result = torch.ones_like(input) if result is None else result
        return torch.reciprocal(result) if exponent < 0 else result
    return torch.exp(torch.log(input) * exponent)


def log_softmax(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    return (input if dtype is None else input.to(dtype)) - torch.logsumexp(input, dim, keepdim=True)


def softmin(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    return torch.softmax(-input, dim)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    value, gate = input.chunk(2, dim)
    return value * torch.sigmoid(gate)


def variance(
    input: Tensor, dim: Dims = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    dims = tuple(as_dims(dim, input.ndim))
    n = math.prod(input.shape[d] for d in dims)
    correction = correction if correction is not None else int(unbiased)
    _, variance = _centre(input, dims)
    variance = variance * (n / max(n - correction, 1))
    return variance if keepdim else variance.squeeze(dims)


def standard_deviation(
    input: Tensor, dim: Dims = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    return torch.sqrt(variance(input, dim, unbiased, keepdim, correction=correction))


def vector_norm(
    x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    if ord not in (1, 2):
        raise NotImplementedError(f"ord={ord!r}")
    dims = tuple(as_dims(dim, x.ndim))
    if ord == 1:
        return torch.abs(x).sum(dims, keepdim=keepdim)
    return torch.sqrt(torch.square(x).sum(dims, keepdim=keepdim))


def maximum(input: Tensor, other: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(input, other), -1).amax(-1)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(input, other), -1).amin(-1)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    a, b = (x / torch.clamp(vector_norm(x, 2, dim, True), min=eps) for x in (x1, x2))
    return (a * b).sum(dim)


def deepcopy(input: Tensor, memo: dict) -> Tensor:
    return input.clone()


def add_product(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + tensor1 * tensor2 * value


def add_matrix_product(input: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return input * beta + (a @ b) * alpha
