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


def variance_and_mean(input: Tensor, dim: Dims = None, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    mean = input.mean(as_dims(dim, input.ndim), keepdim=kwargs.get("keepdim", args[1] if len(args) > 1 else False))
    return variance(input, dim, *args, **kwargs), mean


def standard_deviation_and_mean(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    spread, mean = variance_and_mean(input, *args, **kwargs)
    return torch.sqrt(spread), mean


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


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    return tuple(tensor.expand(shape) for tensor in tensors)


def log2(input: Tensor) -> Tensor:
    return torch.log(input) * (1 / math.log(2))


def log10(input: Tensor) -> Tensor:
    return torch.log(input) * (1 / math.log(10))


def log_add_exp(input: Tensor, other: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack(torch.broadcast_tensors(input, other), -1), -1)


def _inner_axis(dim: int | None, ndim: int) -> int:
    if dim is None or dim % ndim == 0:
        raise NotImplementedError("it reaches over the first axis, so rows of a batch depend on each other")
    return dim % ndim


def product(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    axis = _inner_axis(dim, input.ndim)
    values = input.movedim(axis, -1)
    while values.shape[-1] > 1:  # of pairs; each product has an exact rule
        half = values.shape[-1] // 2
        pairs = values[..., :half] * values[..., half : 2 * half]
        values = torch.cat([pairs, values[..., 2 * half :]], -1)
    return values.movedim(-1, axis) if keepdim else values.squeeze(-1)


def cumulative_product(input: Tensor, dim: int) -> Tensor:
    values = input.movedim(_inner_axis(dim, input.ndim), -1)
    step = 1
    while step < values.shape[-1]:
        values = torch.cat([values[..., :step], values[..., step:] * values[..., :-step]], -1)
        step *= 2
    return values.movedim(-1, dim)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: int | None = None, ceil_mode: bool = False
) -> Tensor:
    mean = F.avg_pool1d(torch.pow(input, norm_type), kernel_size, stride or kernel_size, 0, ceil_mode)
    return torch.pow(mean * kernel_size, 1 / norm_type)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return torch.topk(input, input.shape[dim], dim, largest=descending)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Of three factors or more: two at a time, keeping the axes that the rest or the result needs."""
    factors = list(operands[0]) if len(operands) == 1 else list(operands)
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow or "." in inputs:
        raise NotImplementedError("of three factors, and not written in the form 'ab,bc,cd->ad'")
    terms = inputs.split(",")
    while len(factors) > 2:
        needed = set("".join(terms[2:]) + output)
        kept = "".join(axis for axis in dict.fromkeys(terms[0] + terms[1]) if axis in needed)
        factors = [torch.einsum(f"{terms[0]},{terms[1]}->{kept}", factors[0], factors[1]), *factors[2:]]
        terms = [kept, *terms[2:]]
    return torch.einsum(f"{terms[0]},{terms[1]}->{output}", *factors)


def clamp(name: str, input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """clamp, and clamp_max, whose only bound is the largest value, with a bound that depends on the input."""
    if name == "clamp_max":
        min, max = None, min if max is None else max
    for limit, bounded in ((min, torch.maximum), (max, torch.minimum)):
        if limit is not None:
            limit = limit if isinstance(limit, Tensor) else torch.full_like(input, limit)
            input = bounded(input, limit)
    return input


def deepcopy(input: Tensor, memo: dict) -> Tensor:
    return input.clone()


def add_product(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + tensor1 * tensor2 * value


def add_matrix_product(input: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return input * beta + (a @ b) * alpha
