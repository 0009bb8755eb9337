"""Gradients at the points r + α (x - r) of the path from a reference r to a sequence x, without the first layer.

The first operations of a network are linear: a convolution, perhaps a normalisation. There the points of a path need
not be computed one by one, because T(r + α (x - r)) = T(r) + α (T(x) - T(r)): only the sequence and the reference go
through, and the points are interpolated before the first non-linear operation. The same holds for the backward pass:
the average over the path of Jᵀ g(α), with one Jacobian J for all points, is Jᵀ of the average of g(α). So the K points
of a pair take one row back through the linear part, not K.

The model does not notice. A torch-function mode (`_Ends`) follows the values that have met only linear operations; the
model sees the tensor of the references' rows, which reports the number of all points as its length. An operation that
is not known to be linear, row by row, in such a value gets all its points instead, so an operation that is missing from
the tables costs time, not correctness. A value that escaped the mode is searched for in the graph of the result, and
the first rows of a call are compared with the computation point by point; where anything is wrong, that computation is
used.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seqlift.attribution.batch_size import is_out_of_memory
from seqlift.attribution.compositions import as_dims
from seqlift.attribution.kernels import is_channels_last
from seqlift.attribution.layout import ChannelsLast, is_worthwhile
from seqlift.attribution.operations import by_names, find, getters, tensors_in
from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class PathResult:
    """Gradients and outputs along the paths of B sequences from R references each, at K points."""

    average: Tensor  # weighted mean of the gradients, (B, R, 4, L)
    prediction: Tensor  # (B, R, K)
    slope: Tensor  # df/dα: the sum over bases of gradient · (x - r), (B, R, K)
    moved: Tensor | None = None  # gradient · (x - r) at each position, (B, R, K, L), if kept


class Paths(NamedTuple):
    """The paths of B sequences from R references each, the K points on them, and further inputs of the model."""

    x: Tensor  # (B, 4, L)
    references: Tensor  # (B, R, 4, L)
    alphas: Tensor  # (K,)
    weights: Tensor  # (K,)
    args: tuple[Tensor, ...] = ()  # (B, ...)


class PathGradients:
    """Gradients of one output of a model along paths, for one call: it remembers whether the ends of paths suffice.

    Parameters
    ----------
    predict : callable, (N, 4, L), *args -> (N,)
    """

    def __init__(self, predict: Callable[..., Tensor]):
        self._predict = predict
        self._ends_suffice: bool | None = None  # not known yet

    def __call__(self, paths: Paths, *, n_points: int, keep: bool = False) -> PathResult:
        """Follow B · R paths, some of the K steps at a time.

        `n_points` are the rows that the model gets at a time (at least one of each path). `keep` keeps the gradients of
        all points, for which the first layer has to be run at each of them.

        Raises
        ------
        SeqliftError
            If the model's output has no gradient, or not a row for each point.
        """
        references = paths.references
        alphas, weights = (values.to(references.device, references.dtype) for values in (paths.alphas, paths.weights))
        n_pairs = len(paths.x) * references.shape[1]
        n_parts = math.ceil(len(alphas) * n_pairs / max(n_points, n_pairs))
        parts = [
            self._part(paths._replace(alphas=some, weights=own), keep)
            for some, own in zip(alphas.tensor_split(n_parts), weights.tensor_split(n_parts), strict=True)
        ]
        return PathResult(
            cast(Tensor, sum(part.average for part in parts)),
            torch.cat([part.prediction for part in parts], 2),
            torch.cat([part.slope for part in parts], 2),
            torch.cat([part.moved for part in parts if part.moved is not None], 2) if keep else None,
        )

    def _part(self, paths: Paths, keep: bool) -> PathResult:
        if len(paths.alphas) > 1 and self._ends_suffice is None:
            self._ends_suffice = self._agree(paths)
        if len(paths.alphas) > 1 and self._ends_suffice:
            if keep:
                result = self._attempt(self._point_by_point, paths, keep, _layout(paths.references))
            else:
                result = self._attempt(self._by_ends, paths)
            if result is not None:
                return result
            self._ends_suffice = False
        return self._point_by_point(paths, keep)

    def _agree(self, paths: Paths) -> bool:
        """Whether both computations agree at two points of the paths of the first and the last sequence."""
        references = paths.references
        if references.dtype not in (torch.float32, torch.float64):
            return False  # rounding would hide what has to be noticed
        rows = [0, -1] if len(paths.x) > 1 else [0]
        alphas, weights = references.new_tensor([0.3, 0.8]), references.new_tensor([0.6, 0.4])
        args = tuple(arg[rows] for arg in paths.args)
        few = Paths(paths.x[rows], references[rows][:, [0]], alphas, weights, args)
        fast = self._attempt(self._by_ends, few)
        if fast is None:
            return False
        exact = self._point_by_point(few)
        eps = torch.finfo(references.dtype).eps
        # A kink that rounding crosses changes a gradient by more than rounding, but hardly the value.
        return all(
            bool((getattr(fast, name) - getattr(exact, name)).norm() <= tolerance * getattr(exact, name).norm())
            for name, tolerance in (("prediction", 10 * eps**0.5), ("average", eps**0.2), ("slope", eps**0.2))
        )

    @staticmethod
    def _attempt(way: Callable[..., PathResult], *arguments: Any) -> PathResult | None:
        try:
            return way(*arguments)
        except Exception as error:
            if is_out_of_memory(error):  # smaller blocks will do
                raise
            return None  # the model's own errors come again, point by point

    def _point_by_point(self, paths: Paths, keep: bool = False, layout: ChannelsLast | None = None) -> PathResult:
        """Run the model forward and back at every point."""
        x, references, alphas, weights, args = paths
        difference = x[:, None] - references
        points = references[:, :, None] + alphas[:, None, None] * difference[:, :, None]  # (B, R, K, 4, L)
        leaf = points.flatten(0, 2).requires_grad_()
        args = tuple(arg.repeat_interleave(len(leaf) // len(x), 0) for arg in args)
        with torch.enable_grad():
            start = leaf.clone()  # a model may change its input in place
            with contextlib.nullcontext() if layout is None else _Ends(1, alphas, weights, layout):
                f = self._predict(start, *args)
            if layout is not None:
                layout.check()
            if f.shape != (len(leaf),):
                raise SeqliftError(
                    f"the model returns {len(f)} rows for {len(leaf)} sequences; it must be one for each"
                )
            gradient = _gradient(f, leaf) if f.requires_grad else None
        if gradient is None:
            raise SeqliftError(
                "the model's output has no gradient with respect to its input (detached inside the model?)"
            )
        gradient = gradient.view(points.shape)
        average = torch.einsum("brkal,k->bral", gradient, weights)
        moved = (gradient * difference[:, :, None]).sum(3)  # (B, R, K, L)
        return PathResult(average, f.detach().view(points.shape[:3]), moved.sum(-1), moved if keep else None)

    def _by_ends(self, paths: Paths) -> PathResult:
        """Run the ends of the paths through the linear part of the model, and the points through the rest."""
        x, references, alphas, weights, args = paths
        shape = (*references.shape[:2], len(alphas))
        leaf = references.flatten(0, 1).detach().clone().requires_grad_()
        ends = _Ends(references.shape[1], alphas, weights, _layout(leaf))
        args = tuple(arg.repeat_interleave(shape[1] * shape[2], 0) for arg in args)
        with torch.enable_grad():
            start = leaf.clone()
            ends.follow(start, x.clone())
            with ends:
                f = self._predict(start, *args)
            f = ends.all_points(f)
            ends.check(f, leaf, math.prod(shape))
            (average,) = torch.autograd.grad(f.sum(), leaf)
        return PathResult(average.view(references.shape), f.detach().view(shape), cast(Tensor, ends.slope).view(shape))


def _gradient(f: Tensor, leaf: Tensor) -> Tensor | None:
    try:
        return torch.autograd.grad(f.sum(), leaf, allow_unused=True)[0]
    except RuntimeError as error:
        if isinstance(error, SeqliftError) or is_out_of_memory(error):
            raise
        raise SeqliftError(
            f"PyTorch cannot compute the model's gradient ({str(error).splitlines()[0][:200]}): change nothing in "
            "place after an activation (`+=`, `relu_`), and give checkpoints `use_reentrant=False`; or use DeepLIFT, "
            "which explains both"
        ) from error


def _layout(rows: Tensor) -> ChannelsLast | None:
    return ChannelsLast() if is_worthwhile(rows) else None


class _UnfitError(Exception):
    """The ends of the paths do not suffice for this model."""


@dataclass
class _End:
    """Where the paths end in the space of one value: its rows for the sequences, beside those for the references."""

    sequences: Tensor  # (B, ...)
    points: Tensor | None = None  # (B·R·K, ...), once needed
    version: int = 0  # of the references' rows, when they were
    changed: bool = False  # the points have been written to since: they are the value now


class _Points(torch.autograd.Function):
    """(B·R, ...) and (B, ...) to (B·R·K, ...); back to the (B·R, ...), summed over the K points with their weights."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, end: Tensor, ends: "_Ends") -> Tensor:
        n, n_pairs, n_steps = len(end), len(start), len(ends.alphas)
        ctx.ends, ctx.channels_last = ends, is_channels_last(start)
        if ctx.channels_last:
            start, end = start.mT, end.mT
        ctx.shape = (-1, *end.shape[1:])
        start = start.reshape(n, -1, 1, start[0].numel())  # (B, R, 1, F)
        stop = end.reshape(n, 1, 1, -1)
        ctx.difference = (stop - start).flatten(0, 1).transpose(1, 2)  # (B·R, F, 1)
        size = (n_pairs * n_steps, *end.shape[1:])
        # A model may change the points in place, so they must not be a view themselves; `out` is one of them.
        if ctx.channels_last:
            points = start.new_empty_strided((size[0], size[2], size[1]), (size[1] * size[2], 1, size[2]))
            out = points.mT.view(n, -1, n_steps, start.shape[-1])
        else:
            points = start.new_empty(size)
            out = points.view(n, -1, n_steps, start.shape[-1])
        torch.lerp(start, stop, ends.alphas.to(start.dtype)[:, None], out=out)
        return points

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ends = ctx.ends
        gradient = gradient.mT if ctx.channels_last else gradient
        gradient = gradient.reshape(len(ctx.difference), len(ends.alphas), -1)  # (B·R, K, F)
        weights = ends.weights.to(gradient.dtype).expand(len(gradient), 1, -1)
        ends.slope = ends.slope + torch.bmm(gradient, ctx.difference).squeeze(-1)
        summed = torch.bmm(weights, gradient).view(ctx.shape)
        return summed.mT if ctx.channels_last else summed, None, None


class _Ends(TorchFunctionMode):
    """Follows the ends of the paths through linear operations, and gives all their points to every other operation.

    Rows of the points are ordered by sequence, reference, step.
    """

    def __init__(self, n_references: int, alphas: Tensor, weights: Tensor, layout: ChannelsLast | None):
        super().__init__()
        self._layout = layout
        self.alphas, self.weights = alphas, weights
        self.slope: Tensor | int = 0  # (B·R, K) after the way back: Σ gradient · (T(x) - T(r)) over all that is linear
        self._n_references = n_references
        self._followed = WeakTensorKeyDictionary()  # the references' rows of a value -> _End
        self._why_not: str | None = None

    def follow(self, start: Tensor, end: Tensor) -> Tensor:
        if start.shape[1:] != end.shape[1:] or len(start) != len(end) * self._n_references or start.dtype != end.dtype:
            raise self._unfit("rows are not one for each reference")
        self._followed[start] = _End(end)
        return start

    def all_points(self, value: Any) -> Any:
        """A value with its points in place of its ends."""
        return _replaced(value, lambda tensor: self._points(tensor) if tensor in self._followed else tensor)

    def check(self, f: Tensor, leaf: Tensor, n_points: int) -> None:
        """Raise `_UnfitError` if the output is not of the points, or the input reached it by an unseen way."""
        if self._why_not is not None:  # raised before, and caught by the model
            raise self._unfit(self._why_not)
        if self._layout is not None:
            self._layout.check()
        if f.shape != (n_points,) or not f.requires_grad:
            raise self._unfit("not a row with a gradient for each point")
        seen, open_nodes = set(), [f.grad_fn]
        while open_nodes:
            node = open_nodes.pop()
            if node is None or node in seen or isinstance(node, _Points._backward_cls):
                continue
            seen.add(node)
            if getattr(node, "variable", None) is leaf:
                raise self._unfit("a hidden operation took the ends for the points")
            open_nodes += [following for following, _ in node.next_functions]

    def _unfit(self, why: str) -> _UnfitError:
        self._why_not = why
        return _UnfitError(why)

    def _points(self, start: Tensor) -> Tensor:
        end = self._followed[start]
        if not end.changed and (end.points is None or end.version != start._version):
            with torch.enable_grad():  # also where the model asks for none: the points may be used again elsewhere
                end.points = _Points.apply(start, end.sequences, self)
            end.version = start._version
        return end.points

    def _is_end(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value in self._followed and not self._followed[value].changed

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        followed = [tensor for tensor in tensors_in((args, kwargs)) if tensor in self._followed]
        if not followed:
            return self._run(function, *args, **kwargs)
        if all(map(self._is_end, followed)):
            if function in _SHAPES:
                shape = torch.Size((len(args[0]) * len(self.alphas), *args[0].shape[1:]))
                return _SHAPES[function](shape, *args[1:], **kwargs)
            if function in _VALUELESS:
                return function(*args, **kwargs)
            form = self._linear_form(function, followed, args, kwargs)
            result = None if form is None else self._linear(form, args, kwargs)
            if result is not None:
                return result
        return self._of_points(function, followed, args, kwargs)

    def _run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if self._layout is None else self._layout(function, *args, **kwargs)

    def _linear_form(self, function: Callable, followed: list[Tensor], args: tuple, kwargs: dict) -> Callable | None:
        """The operation to run on both ends, where it is known to be linear in each of their rows by itself."""
        try:
            if function in _ROW_BY_ROW:
                alone = len(followed) == 1 and args and args[0] is followed[0]
                return function if alone and _ROW_BY_ROW[function](*args, **kwargs) else None
            if function in _RESHAPES and len(followed) == 1 and args[0] is followed[0] and not kwargs:
                n_points = len(args[0]) * len(self.alphas)
                sizes = _as_tuple(*args[1:])
                whole = torch.empty((), device="meta").expand(n_points, *args[0].shape[1:]).reshape(sizes).shape
                return (lambda h, *_: function(h, (len(h), *whole[1:]))) if whole[:1] == (n_points,) else None
            if function in _SUMS | _PRODUCTS | _QUOTIENTS:
                return function if self._is_linear_arithmetic(function, *args, **kwargs) else None
            if function in _JOINS:
                return function if self._joins_other_axes(function, *args, **kwargs) else None
        except (TypeError, IndexError):  # called in a way that the tables do not know
            return None
        return None

    def _is_linear_arithmetic(self, function: Callable, a: Any, b: Any, alpha: float = 1) -> bool:
        ends = [value for value in (a, b) if self._is_end(value)]
        n_axes = ends[0].ndim
        in_place = function.__name__.endswith("_") and not function.__name__.endswith("__")
        if (function in _QUOTIENTS or in_place) and not self._is_end(a):
            return False
        if function not in _SUMS and len(ends) == 2:
            return False
        for value in (a, b):
            if isinstance(value, Tensor):
                same_for_all = not self._is_end(value) and (value.ndim < n_axes or value.shape[0] == 1)
                if value.ndim > n_axes or not (same_for_all or (self._is_end(value) and value.ndim == n_axes)):
                    return False
            elif not isinstance(value, int | float):
                return False
        return True

    def _joins_other_axes(self, function: Callable, tensors: Any, dim: int = 0) -> bool:
        n_axes = tensors[0].ndim
        if not all(self._is_end(tensor) and tensor.ndim == n_axes for tensor in tensors):
            return False
        return 0 not in as_dims(dim, n_axes + (function is torch.stack))

    def _linear(self, form: Callable, args: tuple, kwargs: dict) -> Any:
        with torch.no_grad():
            ends = self._run(form, *_replaced(args, self._sequences), **_replaced(kwargs, self._sequences))
        made = tensors_in(ends)
        if not made or not all(tensor.is_floating_point() for tensor in made):
            return None  # a conversion to whole numbers
        starts = self._run(form, *args, **kwargs)
        if isinstance(starts, Tensor):
            return self.follow(starts, ends)
        return type(starts)(self.follow(start, end) for start, end in zip(starts, ends, strict=True))

    def _sequences(self, value: Tensor) -> Tensor:
        return self._followed[value].sequences if value in self._followed else value

    def _of_points(self, function: Callable, followed: list[Tensor], args: tuple, kwargs: dict) -> Any:
        """Run an operation on all points."""
        versions = [(start, self._points(start)._version) for start in followed]
        result = self._run(function, *self.all_points(args), **self.all_points(kwargs))
        for start, version in versions:
            end = self._followed[start]
            if end.points._version != version and not end.changed:
                self._check_alone(start)
                end.changed = True
        return result

    def _check_alone(self, start: Tensor) -> None:
        """Raise `_UnfitError` where another value shares the memory of one whose points were changed in place."""
        memory = start.untyped_storage().data_ptr()
        for other in list(self._followed):
            if other is not start and other.untyped_storage().data_ptr() == memory:
                raise self._unfit("a view was changed in place")


def _replaced(value: Any, put: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with other tensors."""
    if isinstance(value, Tensor):
        return put(value)
    if isinstance(value, dict):
        return {key: _replaced(item, put) for key, item in value.items()}
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        items = [_replaced(item, put) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _as_tuple(*values: Any) -> tuple:
    """`f(1, 2)` and `f((1, 2))` alike."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], tuple | list) else values


def _spares_rows(h: Tensor, dim: int | tuple[int, ...] | None) -> bool:
    return 0 not in as_dims(dim, h.ndim)


def _takes_whole_rows(h: Tensor, index: Any) -> bool:
    """Basic indexing behind a full slice of the first axis."""
    first, *others = index if isinstance(index, tuple) else (index,)
    if not all(type(item) in (int, slice, type(None), type(Ellipsis)) for item in others):
        return False
    if first is Ellipsis:
        return sum(type(item) in (int, slice) for item in others) < h.ndim
    return isinstance(first, slice) and first == slice(None)


# Linear in each row by itself, where the predicate holds for the arguments of the call.
_ROW_BY_ROW: dict[Callable, Callable[..., bool]] = by_names(
    {
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d": (
            lambda h, weight, *_, **__: h.ndim == weight.ndim  # otherwise the first axis holds channels
        ),
        "linear": lambda h, *_, **__: h.ndim > 1,
        "matmul": lambda h, weight: h.ndim > 1 and weight.ndim <= 2,
        "avg_pool1d avg_pool2d avg_pool3d": lambda *_, **__: True,
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d": lambda *_, **__: True,
        "dropout dropout1d dropout2d dropout3d": lambda h, p=0.5, training=True, inplace=False: not training,
        "pad": lambda h, pad, mode="constant", value=None: len(pad) // 2 < h.ndim,
        "neg negative positive clone contiguous to float double half bfloat16 cpu cuda": lambda *_, **__: True,
        "unsqueeze": lambda h, dim: 0 not in as_dims(dim, h.ndim + 1),
        "squeeze": lambda h, dim=None: _spares_rows(h, dim),
        "transpose swapaxes swapdims": lambda h, dim0, dim1: _spares_rows(h, (dim0, dim1)),
        "permute": lambda h, *dims: _as_tuple(*dims)[0] % h.ndim == 0,
        "flatten": lambda h, start_dim=0, end_dim=-1: _spares_rows(h, start_dim),
        "unflatten": lambda h, dim, sizes: _spares_rows(h, dim),
        "flip": lambda h, *dims: _spares_rows(h, _as_tuple(*dims)),
        "roll": lambda h, shifts, dims=None: _spares_rows(h, dims),
        "select": lambda h, dim, index: _spares_rows(h, dim),
        "narrow": lambda h, dim, start, length: _spares_rows(h, dim),
        "chunk split": lambda h, sizes, dim=0: _spares_rows(h, dim),
        "sum mean": lambda h, dim=None, keepdim=False: _spares_rows(h, dim),
        "__getitem__": _takes_whole_rows,
    }
)
_ROW_BY_ROW.update(dict.fromkeys(getters("mT"), lambda h: h.ndim > 2))
_ROW_BY_ROW[F.batch_norm] = lambda h, mean, variance, weight=None, bias=None, training=False, *_, **__: not training

_RESHAPES = find("reshape view")
_SUMS = find("add sub subtract add_ sub_ subtract_ rsub __radd__ __rsub__")
_PRODUCTS = find("mul multiply mul_ multiply_ __rmul__")
_QUOTIENTS = find("div divide true_divide div_ divide_")
_JOINS = find("cat concat concatenate stack")

# Properties that the points share with the ends, and those that depend on the number of rows.
_VALUELESS = find("dim ndimension is_floating_point is_complex get_device __hash__") | getters(
    "ndim dtype device layout is_cuda is_cpu requires_grad is_sparse is_nested"
)
_SHAPES: dict[Callable, Callable] = {
    **dict.fromkeys(getters("shape"), lambda shape, *_: shape),
    torch.Tensor.size: lambda shape, dim=None: shape if dim is None else shape[dim],
    torch.Tensor.__len__: lambda shape: shape[0],
}
