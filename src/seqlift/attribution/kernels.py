"""The rules of activations and max pooling, each in one pass over memory on a CPU.

These operations are so cheap that multipliers computed with PyTorch's operations, a pass over memory for each, would
cost half as much as the convolutions between them. Compiled, they cost little more than the operations themselves.
`seqlift.attribution.rules` defines what they compute, and computes it for other devices and types.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqlift.core.compiled import compiled, over_rows

Array = np.ndarray
_WORTH_A_THREAD = 2**19  # elements: below a millisecond of work a second thread costs more than it saves


def can_take(*tensors: Tensor) -> bool:
    """Whether all tensors lie on the CPU in single or double precision."""
    return all(t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64) and t.ndim > 0 for t in tensors)


def _run(kernel: Callable, n_rows: int, n_elements: int, *arrays: Array | np.integer) -> None:
    """`kernel(first, last, *arrays)` over all rows, on the number of threads that PyTorch uses."""
    threads = min(torch.get_num_threads(), n_rows, n_elements // _WORTH_A_THREAD)
    over_rows(lambda first, last: kernel(first, last, *arrays), n_rows, threads)


def is_channels_last(value: Tensor) -> bool:
    """Whether (N, C, L) lies in memory as (N, L, C)."""
    if value.ndim != 3 or value.stride(1) != 1:
        return False
    _, channels, length = value.shape
    return channels > 1 and length > 1 and value.stride() == (channels * length, 1, channels)


def _in_one_order(*tensors: Tensor) -> list[Tensor]:
    """All tensors with the elements in the order in memory that the second one has, where it has no gaps."""
    like = tensors[1]
    if is_channels_last(like):
        return [t.detach().mT.contiguous().mT for t in tensors]
    return [t.detach().contiguous() for t in tensors]


def _rows(*tensors: Tensor) -> list[Array]:
    """(N, elements) of each, in the order in which they lie in memory."""
    channels_last = is_channels_last(tensors[1])
    return [(t.mT if channels_last else t).numpy().reshape(len(t), -1) for t in tensors]


def relu(x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """max(0, r), and the multiplier (max(0, x) - max(0, r)) / (x - r), or the slope at r where x = r.

    x has shape (B, ...), the others (B · R, ...), with the references of sequence b in rows b · R to b · R + R - 1.
    """
    x, r = _in_one_order(x, r)
    output, multiplier = torch.empty_like(r), torch.empty_like(r)
    _run(_relu, len(r), r.numel(), *_rows(x, r, output, multiplier))
    return output, multiplier


@compiled
def _relu(first: int, last: int, x: Array, r: Array, output: Array, multiplier: Array) -> None:
    zero, one = x.dtype.type(0), x.dtype.type(1)
    per_sequence = len(r) // len(x)
    for row in range(first, last):
        on_sequence, on_reference = x[row // per_sequence], r[row]
        for j in range(r.shape[1]):
            delta = on_sequence[j] - on_reference[j]
            after = max(on_reference[j], zero)
            slope = one if on_reference[j] > zero else zero
            quotient = (max(on_sequence[j], zero) - after) / delta
            output[row, j] = after
            multiplier[row, j] = slope if delta == zero else quotient


def quotient(x: Tensor, r: Tensor, fx: Tensor, fr: Tensor, least: float) -> tuple[Tensor, Tensor | None]:
    """(f(x) - f(r)) / (x - r), shape (B · R, ...), and where |x - r| <= `least`, or None if nowhere.

    There another formula must replace the quotient. x and fx have shape (B, ...), r and fr (B · R, ...).
    """
    tensors = _in_one_order(x, r, fx, fr)
    multiplier, near = torch.empty_like(tensors[1]), torch.empty_like(tensors[1], dtype=torch.bool)
    arrays = _rows(*tensors, multiplier, near)
    found = np.zeros(len(r), dtype=np.bool_)
    _run(_quotient, len(r), r.numel(), *arrays, arrays[0].dtype.type(least), found)
    return multiplier, near if found.any() else None


@compiled
def _quotient(
    first: int,
    last: int,
    x: Array,
    r: Array,
    fx: Array,
    fr: Array,
    multiplier: Array,
    near: Array,
    least: np.floating,
    found: Array,
) -> None:
    per_sequence = len(r) // len(x)
    for row in range(first, last):
        s = row // per_sequence
        n_near = 0
        for j in range(r.shape[1]):
            delta = x[s, j] - r[row, j]
            is_near = abs(delta) <= least
            n_near += is_near
            near[row, j] = is_near
            multiplier[row, j] = (fx[s, j] - fr[row, j]) / delta
        found[row] = n_near > 0


def max_pool1d(
    values: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    """`torch.nn.functional.max_pool1d` of (..., C, L) with places, (..., C, K) each.

    PyTorch's own is made for images and much slower.
    """
    window, padding, dilation = (n[0] if isinstance(n, tuple | list) else n for n in (kernel_size, padding, dilation))
    stride = stride[0] if isinstance(stride, tuple | list) and stride else (stride or window)
    length = values.shape[-1]
    room = length + 2 * padding - dilation * (window - 1) - 1
    if min(window, stride, dilation) < 1 or not 0 <= 2 * padding <= window or room < 0 or not values.numel():
        raise NotImplementedError  # PyTorch says what is wrong
    n = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (n - 1) * stride >= length + padding:
        n -= 1  # a window that would begin in the padding on the right
    values = values.detach().contiguous()
    maxima = values.new_empty(*values.shape[:-1], n)
    places = torch.empty(maxima.shape, dtype=torch.int64)
    arrays = [t.numpy().reshape(-1, t.shape[-1]) for t in (values, maxima, places)]
    _run(_max_pool1d, len(arrays[0]), values.numel(), *arrays, window, stride, padding, dilation)
    return maxima, places


@compiled
def _max_pool1d(
    first: int,
    last: int,
    values: Array,
    maxima: Array,
    places: Array,
    window: int,
    stride: int,
    padding: int,
    dilation: int,
) -> None:
    length = values.shape[1]
    for row in range(first, last):
        for k in range(maxima.shape[1]):
            begin = k * stride - padding
            end = min(begin + dilation * (window - 1) + 1, length)
            while begin < 0:
                begin += dilation
            place = begin
            best = values[row, begin]
            for j in range(begin + dilation, end, dilation):
                if values[row, j] > best or values[row, j] != values[row, j]:
                    best = values[row, j]
                    place = j
            maxima[row, k] = best
            places[row, k] = place


def select(
    x: Tensor, r: Tensor, best_x: Tensor, best_r: Tensor, place_x: Tensor, place_r: Tensor, sign: int
) -> tuple[Tensor, Tensor]:
    """Which element gets each maximum's change, and which share of the element's own change it is.

    Parameters
    ----------
    x, r : torch.Tensor, shape (B, C, M) and (B · R, C, M)
        The values searched.
    best_x, best_r, place_x, place_r : torch.Tensor, shape (B, C, K) and (B · R, C, K)
        The maxima (or, with `sign` -1, minima), and where on the last axis they were found.
    sign : int

    Returns
    -------
    place, share : torch.Tensor, shape (B · R, C, K)
    """
    tensors = [t.detach().contiguous() for t in (x, r, best_x, best_r, place_x, place_r)]
    place, share = torch.empty_like(tensors[5]), torch.empty_like(tensors[3])
    arrays = [t.numpy() for t in (*tensors, place, share)]
    _run(_select, len(r), r.numel(), *arrays, np.int64(sign))
    return place, share


@compiled
def _select(
    first: int,
    last: int,
    x: Array,
    r: Array,
    best_x: Array,
    best_r: Array,
    place_x: Array,
    place_r: Array,
    place: Array,
    share: Array,
    sign: np.int64,
) -> None:
    one = x.dtype.type(1)
    per_sequence = len(r) // len(x)
    for row in range(first, last):
        s = row // per_sequence
        for c in range(r.shape[1]):
            for k in range(best_r.shape[2]):
                from_x = best_x[s, c, k] >= best_r[row, c, k] if sign > 0 else best_x[s, c, k] <= best_r[row, c, k]
                at = place_x[s, c, k] if from_x else place_r[row, c, k]
                change = x[s, c, at] - r[row, c, at]
                place[row, c, k] = at
                share[row, c, k] = one if change == 0 else (best_x[s, c, k] - best_r[row, c, k]) / change


def scatter(gradient: Tensor, place: Tensor, share: Tensor, length: int) -> Tensor:
    """gradient · share, added up at the places: (B, C, K) three times, to (B, C, length)."""
    gradient = gradient.detach().contiguous()
    given = torch.zeros(*place.shape[:2], length, dtype=gradient.dtype)
    arrays = [t.numpy() for t in (gradient, place, share, given)]
    _run(_scatter, len(place), given.numel(), *arrays)
    return given


@compiled
def _scatter(first: int, last: int, gradient: Array, place: Array, share: Array, given: Array) -> None:
    for row in range(first, last):
        for c in range(place.shape[1]):
            for k in range(place.shape[2]):
                given[row, c, place[row, c, k]] += gradient[row, c, k] * share[row, c, k]
