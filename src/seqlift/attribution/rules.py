"""DeepLIFT's rules: how much of an operation's change in output each of its inputs is given.

DeepLIFT (arXiv 1605.01713, 1704.02685) compares an activation on the sequence, written x here, with the same activation
on the reference, r. A linear operation passes multipliers on as it passes gradients on. Every other operation has a
rule in this file, and each rule keeps the sum: Σ multiplier · (x - r) over its inputs is its change in output.

* Rescale (1704.02685 §3.5.2), for functions of one element: m = (f(x) - f(r)) / (x - r), and the derivative where
  x = r. Where the quotient would cancel digits, it is written in a form that does not.
* Selection, for maxima: the change of a maximum is given to the element that holds the larger of the two maxima, on the
  sequence or on the reference. This element changed at least as much, so 0 <= m <= 1.
* Product rule (1605.01713 §"multipliers of products"), for two factors that both change: m1 = a2(r) + ½ Δa2, so each is
  weighted by the mean of the other. It is the gradient of the product at the midpoint of x and r, which also serves
  matrix products and convolutions of two activations.
* Softmax: exp(a - log Σ exp(a)), each step by Rescale, taken together so that nothing overflows.
* Compositions (normalisations, attention, division): written out in operations that have rules.

A rule has two sides. `record` runs the operation on the sequences and keeps what the other side needs; `replay` runs it
on the references and attaches the multipliers as its gradient, so that one backward pass through the references alone
collects them all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from seqlift.attribution import kernels, recurrent

RULES = ("rescale", "reveal-cancel", "genomics")
Function = Callable[[Tensor], Tensor]
Computed = tuple[Any, Callable]  # an output, and how its gradients become the inputs'

# ---------------------------------------------------------------------------------------------------------------------
# Pairs of a sequence and its references


class PairingError(Exception):
    """An activation's rows cannot be told apart by sequence and reference from its shape alone."""


@dataclass(frozen=True)
class Pairing:
    """How rows of the two passes belong together: row b of the first to rows b·R .. b·R + R - 1 of the second."""

    n_sequences: int
    n_references: int

    def __call__(self, x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the two activations, (B, 1, ...) and (B, R, ...), that broadcast against each other."""
        if self.n_references == 1 and x.shape == r.shape:
            return x, r
        if (
            x.ndim == 0
            or x.shape[0] != self.n_sequences
            or r.shape != (self.n_sequences * self.n_references, *x.shape[1:])
        ):
            raise PairingError
        return x.unsqueeze(1), r.unflatten(0, (self.n_sequences, self.n_references))

    def expand(self, x: Tensor, r: Tensor) -> Tensor:
        """The sequences' activation repeated to the shape of the references' one."""
        x, paired = self(x, r)
        return x.expand(paired.shape).reshape(r.shape)


class _Attach(torch.autograd.Function):
    """Run `compute(*inputs)`, which gives the output (a tensor or several) and how its gradients become the inputs'."""

    @staticmethod
    def forward(ctx: Any, compute: Callable, *inputs: Tensor) -> Any:
        output, ctx.backpropagate = compute(*inputs)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.backpropagate(*gradients)
        return None, *(gradients if isinstance(gradients, tuple) else (gradients,))


class Rule(Protocol):
    """How an operation is explained; see above."""

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Any, tuple]:
        """The operation's output on the sequences, and what is kept of it."""
        ...

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Any:
        """Its output on the references, with the multipliers as its gradient."""
        ...


def attach(compute: Callable, *inputs: Tensor) -> Any:
    """The output of `compute(*inputs)`, with the gradient that it states instead of autograd's."""
    return _Attach.apply(compute, *inputs)


# ---------------------------------------------------------------------------------------------------------------------
# Rescale: functions of one element


def _steepness(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        return torch.autograd.grad(function(at).sum(), at)[0]


def rescale_kinked(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """The quotient as it is: for functions made of straight pieces it loses no digits, however small x - r is."""
    delta = x - r
    multiplier = (fx - fr).div_(delta)
    equal = delta == 0
    if equal.any():
        multiplier = torch.where(equal, _steepness(function, r).expand_as(multiplier), multiplier)
    return multiplier


def rescale_smooth(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """The quotient, or the slope half-way where x and r are so near that it is the better of the two.

    The quotient loses about ε/|Δ| to rounding, the slope at the midpoint about Δ²: they meet near Δ = ε^(1/3).
    """
    delta = x - r
    near = delta.abs() <= torch.finfo(delta.dtype).eps ** (1 / 3)
    multiplier = (fx - fr).div_(delta)
    if near.any():
        middle = ((x + r) / 2)[near]
        multiplier[near] = _steepness(function, middle)
    return multiplier


def rescale_relu(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(max(0, x) - max(0, r)) / (x - r), and the slope, 0 or 1, where x = r."""
    delta = x - r
    return torch.where(delta == 0, (r > 0).to(delta.dtype), (fx - fr).div_(delta))


def rescale_exp(function: Function | None, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(eˣ - eʳ) / (x - r) = e^((x+r)/2) · sinh(Δ/2) / (Δ/2), which loses no digits near Δ = 0."""
    half = (x - r) / 2
    near = half.abs() < 0.5
    bounded = torch.where(near, half, torch.full_like(half, 0.5))
    series = torch.where(half == 0, torch.ones_like(half), torch.sinh(bounded) / bounded)
    return torch.where(near, torch.exp((x + r) / 2) * series, (fx - fr) / (2 * half))


def rescale_log(function: Function | None, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(log x - log r) / (x - r) = log(1 + Δ/r) / Δ, which loses no digits near Δ = 0."""
    ratio = (x - r) / r
    near = ratio.abs() < 0.5
    bounded = torch.where(near & (ratio != 0), ratio, torch.full_like(ratio, 0.5))
    series = torch.where(ratio == 0, torch.ones_like(ratio), torch.log1p(bounded) / bounded)
    return torch.where(near, series / r, (fx - fr) / (x - r))


def rescale_sqrt(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(√x - √r) / (x - r) = 1 / (√x + √r)."""
    return 1 / (fx + fr)


def rescale_reciprocal(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(1/x - 1/r) / (x - r) = -1 / (x r)."""
    return -(fx * fr)


def rescale_rsqrt(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(1/√x - 1/√r) / (x - r) = -1 / (√x √r (√x + √r))."""
    return -(fx * fr) / (x.sqrt() + r.sqrt())


def rescale_square(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(x² - r²) / (x - r) = x + r."""
    return x + r


def rescale_step(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """The quotient of a comparison's outcome (0 or 1), which changes all at once or not at all."""
    return torch.where(fx == fr, torch.zeros_like(fr), (fx - fr) / (x - r))


@dataclass(frozen=True)
class Rescale:
    """Rescale for an operation whose output element depends on the one input element at its place."""

    multiplier: Callable

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Tensor, tuple]:
        (x,) = tracked
        fx = function(x)
        return fx, (x, fx)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        x, fx = saved

        def compute(r: Tensor) -> Computed:
            paired = pairing(x, r)
            if self.multiplier in COMPILED and kernels.can_take(x, r, fx):
                fr, multiplier = COMPILED[self.multiplier](function, x, r, fx)
                return fr, multiplier.mul_  # one backward pass, so its memory can hold the product

            def in_shape(values: Tensor) -> Tensor:  # functions with a parameter for each channel need their axes
                return function(values.reshape(r.shape)).reshape(values.shape)

            fr = function(r)
            apply = in_shape if self.multiplier is rescale_kinked else function
            multiplier = self.multiplier(apply, *paired, *pairing(fx, fr)).reshape(r.shape)
            return fr, multiplier.mul_

        return attach(compute, *tracked)


def _compiled_kinked(function: Function, x: Tensor, r: Tensor, fx: Tensor) -> tuple[Tensor, Tensor]:
    fr = function(r)
    multiplier, equal = kernels.quotient(x, r, fx, fr, 0.0)
    if equal is not None:
        multiplier = torch.where(equal, _steepness(function, r), multiplier)
    return fr, multiplier


def _compiled_smooth(function: Function, x: Tensor, r: Tensor, fx: Tensor) -> tuple[Tensor, Tensor]:
    fr = function(r)
    multiplier, near = kernels.quotient(x, r, fx, fr, torch.finfo(r.dtype).eps ** (1 / 3))
    if near is not None:
        row, *place = near.nonzero(as_tuple=True)
        middle = (x[row // (len(r) // len(x)), *place] + r[row, *place]) / 2
        multiplier[row, *place] = _steepness(function, middle)
    return fr, multiplier


# The same on a CPU, in one pass over memory: the output on the references, and the multiplier.
COMPILED: dict[Callable, Callable] = {
    rescale_relu: lambda function, x, r, fx: kernels.relu(x, r),
    rescale_kinked: _compiled_kinked,
    rescale_smooth: _compiled_smooth,
}


# ---------------------------------------------------------------------------------------------------------------------
# Selection: maxima


@dataclass(frozen=True)
class Select:
    """Maxima and max pooling: `function` gives values and their flat places over the last `n_axes` input axes."""

    n_axes: int
    sign: int = 1  # -1 for minima

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Any, tuple]:
        (x,) = tracked
        values, places = function(x)
        return values, (x, values, places)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Any:
        def in_rows(values: Tensor, n_axes: int) -> Tensor:  # (B, C, M): one axis kept, one searched
            return values.reshape(len(values), -1, math.prod(values.shape[values.ndim - n_axes :]))

        def compute(r: Tensor) -> Computed:
            best_r, place_r = function(r)  # (..., K), places count over the axes searched
            pairing(saved[0], r)
            x, rows, best_x, best, place_x, place = (
                in_rows(values, self.n_axes) for values in (saved[0], r, saved[1], best_r, saved[2], place_r)
            )
            compiled = kernels.can_take(x, rows)
            place, share = (kernels.select if compiled else _select)(x, rows, best_x, best, place_x, place, self.sign)

            def backpropagate(gradient: Tensor) -> Tensor:
                gradient = gradient.reshape(share.shape)
                if compiled:
                    return kernels.scatter(gradient, place, share, rows.shape[-1]).view(r.shape)
                given = torch.zeros(rows.shape, dtype=gradient.dtype, device=gradient.device)
                return given.scatter_add_(-1, place, gradient * share).view(r.shape)

            return best_r, backpropagate

        return attach(compute, *tracked)


def _select(
    x: Tensor, r: Tensor, best_x: Tensor, best_r: Tensor, place_x: Tensor, place_r: Tensor, sign: int
) -> tuple[Tensor, Tensor]:
    """What `seqlift.attribution.kernels.select` describes."""
    x, best_x, place_x = (
        values.repeat_interleave(len(r) // len(x), 0) if len(r) > len(x) else values for values in (x, best_x, place_x)
    )
    from_x = best_x >= best_r if sign > 0 else best_x <= best_r
    place = torch.where(from_x, place_x, place_r)
    change = x.gather(-1, place) - r.gather(-1, place)
    share = torch.where(change == 0, torch.ones_like(change), (best_x - best_r) / change)
    return place, share


@dataclass(frozen=True)
class TopK:
    """The k largest (or, with `sign` -1, smallest) along the last axis, in order.

    The j-th largest value rises from r to x because some element rises from at most its old to at least its new value:
    among the j largest on the sequence there is one that was not among the j - 1 largest on the reference. The lowest
    of them on the reference is given the change. Where the value falls, the two change places.
    """

    k: int
    sign: int

    def _largest(self, values: Tensor) -> tuple[Tensor, Tensor]:
        top, places = (self.sign * values).topk(self.k, -1)
        return self.sign * top, places

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Any, tuple]:
        (x,) = tracked
        values, places = self._largest(x)
        return values, (x, values, places)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Any:
        def compute(r: Tensor) -> Computed:
            x = pairing.expand(saved[0], r)
            best_r, place_r = self._largest(r)
            best_x, place_x = (pairing.expand(values, best_r) for values in saved[1:])
            lowest_on_r = (self.sign * r.gather(-1, place_x)).cummin(-1).indices
            lowest_on_x = (self.sign * x.gather(-1, place_r)).cummin(-1).indices
            rises = self.sign * (best_x - best_r) >= 0
            place = torch.where(rises, place_x.gather(-1, lowest_on_r), place_r.gather(-1, lowest_on_x))
            change = x.gather(-1, place) - r.gather(-1, place)
            share = torch.where(change == 0, torch.ones_like(change), (best_x - best_r) / change)
            return best_r, lambda gradient: torch.zeros_like(r).scatter_add_(-1, place, gradient * share)

        return attach(compute, *tracked)


# ---------------------------------------------------------------------------------------------------------------------
# Products of two activations


@dataclass(frozen=True)
class Product:
    """Operations linear in each of two tracked inputs: the gradient at the midpoint of sequence and reference."""

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Tensor, tuple]:
        return function(*tracked), tuple(tracked)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        def compute(*r: Tensor) -> Computed:
            middle = [(pairing.expand(x, value) + value) / 2 for x, value in zip(saved, r, strict=True)]

            def backpropagate(gradient: Tensor) -> tuple[Tensor, ...]:
                with torch.enable_grad():
                    inputs = [value.detach().requires_grad_() for value in middle]
                    return torch.autograd.grad(function(*inputs), inputs, gradient)

            return function(*r), backpropagate

        return attach(compute, *tracked)


@dataclass(frozen=True)
class Choice:
    """where(condition, a, b) by a condition s, 0 or 1, that depends on the input: s a + (1 - s) b, two products."""

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Tensor, tuple]:
        return function(*tracked), tuple(tracked)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        def compute(s: Tensor, a: Tensor, b: Tensor) -> Computed:
            s_x, a_x, b_x = (pairing.expand(x, r) for x, r in zip(saved, (s, a, b), strict=True))
            share = (s_x + s) / 2
            gap = torch.where(s_x == s, torch.zeros_like(share), ((a_x - b_x) + (a - b)) / 2)
            return function(s, a, b), lambda gradient: (gradient * gap, gradient * share, gradient * (1 - share))

        return attach(compute, *tracked)


# ---------------------------------------------------------------------------------------------------------------------
# Softmax and log-sum-exp


def _log_sum_exp_multiplier(x: Tensor, r: Tensor, dim: int) -> Tensor:
    """Of log Σ exp: the exponentials' multipliers times the logarithm's, over a common maximum that cancels."""
    top = torch.maximum(x, r).amax(dim, keepdim=True)
    top = torch.where(top.isfinite(), top, torch.zeros_like(top))
    ex, er = torch.exp(x - top), torch.exp(r - top)
    zx, zr = ex.sum(dim, keepdim=True), er.sum(dim, keepdim=True)
    masked = x.isneginf() & r.isneginf()  # takes no part, on either side
    multiplier = torch.where(masked, torch.zeros_like(ex), rescale_exp(None, x - top, r - top, ex, er))
    return multiplier * rescale_log(None, zx, zr, x.logsumexp(dim, keepdim=True), r.logsumexp(dim, keepdim=True))


@dataclass(frozen=True)
class LogSumExp:
    """log Σ exp along `dim`: exponential, sum and logarithm together, so that nothing overflows."""

    dim: int
    keepdim: bool

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Tensor, tuple]:
        return function(*tracked), tuple(tracked)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        def compute(r: Tensor) -> Computed:
            multiplier = _log_sum_exp_multiplier(pairing.expand(saved[0], r), r, self.dim % r.ndim)

            def backpropagate(gradient: Tensor) -> Tensor:
                return (gradient if self.keepdim else gradient.unsqueeze(self.dim % r.ndim)) * multiplier

            return function(r), backpropagate

        return attach(compute, *tracked)


@dataclass(frozen=True)
class Softmax:
    """softmax along `dim` as exp(a - log Σ exp(a)): each part has a bounded multiplier, however sharp the maximum."""

    dim: int

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Tensor, tuple]:
        fx = function(*tracked)
        return fx, (*tracked, fx)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        def compute(r: Tensor) -> Computed:
            dim, fr = self.dim % r.ndim, function(r)
            x, fx = (pairing.expand(value, r) for value in saved)
            log_x, log_r = x - x.logsumexp(dim, keepdim=True), r - r.logsumexp(dim, keepdim=True)
            outer = torch.where(log_x.isneginf() & log_r.isneginf(), 0 * fr, rescale_exp(None, log_x, log_r, fx, fr))
            inner = _log_sum_exp_multiplier(x, r, dim)

            def backpropagate(gradient: Tensor) -> Tensor:
                gradient = gradient * outer
                return gradient - inner * gradient.sum(dim, keepdim=True)

            return fr, backpropagate

        return attach(compute, *tracked)


# ---------------------------------------------------------------------------------------------------------------------
# Which operation has which rule


def find(*names: str) -> set[Callable]:
    """Every function and tensor method of PyTorch with one of these names (several in a string, apart by spaces)."""
    wanted = " ".join(names).split()
    homes = (torch, torch.Tensor, F, torch.special, torch.linalg, torch._C._nn)
    return {getattr(home, name) for name in wanted for home in homes if callable(getattr(home, name, None))}


def getters(*names: str) -> set[Callable]:
    """The same for what is read of a tensor without a call."""
    wanted = " ".join(names).split()
    return {getattr(torch.Tensor, name).__get__ for name in wanted if hasattr(torch.Tensor, name)}


# Questions about a tensor that its values have no part in, and new tensors made in its likeness.
VALUELESS = find(
    "size dim ndimension numel nelement stride is_contiguous is_floating_point is_complex is_signed",
    "element_size get_device storage_offset is_same_size is_pinned is_shared is_inference",
    "zeros_like ones_like empty_like full_like new_zeros new_ones new_full new_empty new_tensor",
    "isnan isinf isfinite isneginf isposinf",
    "__len__ __hash__ __repr__ has_names is_distributed is_coalesced result_type can_cast",
) | getters(
    "shape dtype device ndim layout is_cuda is_cpu is_mps is_meta is_sparse is_quantized is_nested is_leaf",
    "requires_grad grad grad_fn names itemsize nbytes _version _base is_mkldnn is_xpu output_nr retains_grad",
)

# The same function of the input whatever autograd thinks of it.
IDENTITY = find("detach", "detach_", "requires_grad_", "retain_grad", "alias") | getters("data")

# Linear (or affine) in the arguments at these positions (a list of tensors counts as one), constant in all others.
LINEAR: dict[Callable, tuple[int, ...]] = {
    function: positions
    for positions, names in {
        (0,): (
            "view reshape flatten unflatten ravel squeeze unsqueeze transpose t permute movedim moveaxis swapaxes "
            "swapdims adjoint clone expand broadcast_to repeat tile __deepcopy__ repeat_interleave narrow select "
            "index_select __getitem__ split split_with_sizes chunk unbind tensor_split contiguous hsplit vsplit "
            "dsplit flip fliplr flipud roll rot90 diagonal diag diag_embed tril triu trace unfold fold pad "
            "constant_pad_nd sum mean cumsum neg negative positive to type float double half bfloat16 cuda "
            "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
            "interpolate upsample pixel_shuffle pixel_unshuffle channel_shuffle gather take_along_dim index_fill "
            "as_strided sum_to_size cat concat concatenate stack hstack vstack dstack column_stack row_stack "
            "atleast_1d atleast_2d atleast_3d dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout "
            "feature_alpha_dropout batch_norm real zero_ fill_ squeeze_ unsqueeze_ transpose_ t_ swapaxes_ neg_ "
            "dropout_ index_fill_ tril_ triu_ __iter__ resolve_conj resolve_neg"
        ),
        (0, 1): (
            "add sub subtract __radd__ __rsub__ rsub lerp add_ sub_ subtract_ lerp_ copy_ "
            "view_as reshape_as expand_as type_as"
        ),
        (0, 1, 2, 3, 4, 5, 6, 7): "broadcast_tensors",
        (0, 2): "masked_fill masked_fill_ __setitem__ masked_scatter masked_scatter_ index_put index_put_",
        (0, 3): "index_copy index_copy_ index_add index_add_ scatter scatter_ scatter_add scatter_add_",
        (1, 2): "where",
    }.items()
    for function in find(names)
}
LINEAR.update(dict.fromkeys(getters("T", "mT", "H", "mH", "real"), (0,)))
LINEAR[torch.Tensor.where] = (0, 2)  # x.where(condition, other)
# Linear where the divisor is constant; where it is not, written out below.
DIVISIONS = find("div divide true_divide __truediv__ __div__ __itruediv__ div_ divide_")
# The keywords by which those arguments go, where they are not given by position.
LINEAR_KEYWORDS = {"input", "self", "other", "end", "source", "src", "value", "tensors", "x"}

# Linear in each of two arguments: linear where one of them is constant, the product rule where both change.
PRODUCTS = find(
    "mul multiply matmul __rmul__ __rmatmul__ bmm mm mv dot inner outer einsum tensordot kron linear",
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d mul_ multiply_",
)

KINKED = find(
    "relu6 leaky_relu prelu rrelu hardtanh clamp clip clamp_min clamp_max abs absolute threshold hardsigmoid",
    "hardshrink softshrink hardswish __abs__",
)
SMOOTH = find(
    "gelu silu elu selu celu softplus mish tanh sigmoid expit logsigmoid log_sigmoid softsign tanhshrink",
    "erf erfc sin cos atan arctan asinh arcsinh sinh exp expm1 exp2 log1p cosh",
)
RELU = find("relu")
# What RevealCancel looks at beyond sequence and reference: defined for all numbers, growing no faster than they do.
ACTIVATIONS = (KINKED | SMOOTH | RELU) - find("exp expm1 exp2 log1p sinh cosh")
ELEMENTWISE: dict[Callable, Callable] = {
    **dict.fromkeys(KINKED, rescale_kinked),
    **dict.fromkeys(SMOOTH, rescale_smooth),
    **dict.fromkeys(RELU, rescale_relu),
    **dict.fromkeys(find("log"), rescale_log),
    **dict.fromkeys(find("sqrt"), rescale_sqrt),
    **dict.fromkeys(find("reciprocal"), rescale_reciprocal),
    **dict.fromkeys(find("rsqrt"), rescale_rsqrt),
    **dict.fromkeys(find("square"), rescale_square),
}

# What a comparison asks of a difference, as 0 and 1.
COMPARISONS: dict[Callable, Callable] = {
    function: outcome
    for names, outcome in {
        "gt greater __gt__": lambda difference: (difference > 0).to(difference.dtype),
        "ge greater_equal __ge__": lambda difference: (difference >= 0).to(difference.dtype),
        "lt less __lt__": lambda difference: (difference < 0).to(difference.dtype),
        "le less_equal __le__": lambda difference: (difference <= 0).to(difference.dtype),
    }.items()
    for function in find(names)
}
NEGATIONS = find("logical_not bitwise_not __invert__")
CONJUNCTIONS = find("logical_and bitwise_and __and__ __rand__")
DISJUNCTIONS = find("logical_or bitwise_or __or__ __ror__")
CHOICES = find("where masked_fill masked_fill_ __setitem__")
TO_NUMBERS = find("to type type_as float double half bfloat16")
TOP_K = find("topk")

# Max pools, the form of each that also gives places, and how many axes it searches.
MAX_POOLS: dict[Callable, tuple[Callable, int]] = {
    getattr(F, f"{kind}max_pool{n}d{suffix}"): (getattr(F, f"{kind}max_pool{n}d_with_indices"), n)
    for kind in ("", "adaptive_")
    for n in (1, 2, 3)
    for suffix in ("", "_with_indices")
}
MAX_POOLS.update({getattr(torch, f"max_pool{n}d"): (getattr(F, f"max_pool{n}d_with_indices"), n) for n in (1, 2, 3)})
EXTREMA = {**dict.fromkeys(find("max", "amax"), 1), **dict.fromkeys(find("min", "amin"), -1)}


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in the arguments or the result of an operation: in lists, tuples and dicts, to any depth."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, tuple | list):
        return []
    return [tensor for item in value for tensor in tensors_in(item)]


Dims = int | tuple[int, ...] | list[int] | None


def as_dims(dim: Dims, ndim: int) -> list[int]:
    """The axes that a `dim` argument names, from 0 up; all of them for None."""
    dims = range(ndim) if dim is None or dim == () else (dim if isinstance(dim, tuple | list) else (dim,))
    return sorted(d % ndim for d in dims)


# ---------------------------------------------------------------------------------------------------------------------
# Compositions, written out in operations that have rules. They run with the walk's eye on each operation inside.


def _centred(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x minus its mean, and its (biased) variance, over `dims`."""
    centred = x - x.mean(dims, keepdim=True)
    return centred, torch.square(centred).mean(dims, keepdim=True)


def _layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    centred, variance = _centred(input, tuple(range(-len(shape), 0)))
    y = centred * torch.rsqrt(variance + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    y = input * torch.rsqrt(torch.square(input).mean(tuple(range(-len(shape), 0)), keepdim=True) + eps)
    return y if weight is None else y * weight


def _group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    n, channels = input.shape[:2]
    grouped = input.reshape(n, num_groups, -1)
    centred, variance = _centred(grouped, (-1,))
    y = (centred * torch.rsqrt(variance + eps)).reshape(input.shape)
    per_channel = (1, channels, *[1] * (input.ndim - 2))
    y = y if weight is None else y * weight.reshape(per_channel)
    return y if bias is None else y + bias.reshape(per_channel)


def _instance_norm(
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
    return _group_norm(input, input.shape[1], weight, bias, eps)


def _attention(
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


def _divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is not None:
        raise NotImplementedError(f"rounding_mode={rounding_mode!r}")
    return input * torch.reciprocal(other)


def _divide_reversed(input: Any, other: Any) -> Tensor:
    return other * torch.reciprocal(input)


def _power(input: Tensor, exponent: Any) -> Tensor:
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


def _log_softmax(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    return (input if dtype is None else input.to(dtype)) - torch.logsumexp(input, dim, keepdim=True)


def _softmin(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    return torch.softmax(-input, dim)


def _glu(input: Tensor, dim: int = -1) -> Tensor:
    value, gate = input.chunk(2, dim)
    return value * torch.sigmoid(gate)


def _variance(
    input: Tensor, dim: Dims = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    dims = tuple(as_dims(dim, input.ndim))
    n = math.prod(input.shape[d] for d in dims)
    correction = correction if correction is not None else int(unbiased)
    _, variance = _centred(input, dims)
    variance = variance * (n / max(n - correction, 1))
    return variance if keepdim else variance.squeeze(dims)


def _standard_deviation(
    input: Tensor, dim: Dims = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    return torch.sqrt(_variance(input, dim, unbiased, keepdim, correction=correction))


def _vector_norm(
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


def _add_product(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + tensor1 * tensor2 * value


def _add_matrix_product(input: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return input * beta + (a @ b) * alpha


COMPOSITIONS: dict[Callable, Callable] = {
    function: written_out  # type: ignore[misc]  # each takes the arguments of its own function
    for names, written_out in {
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "group_norm": _group_norm,
        "instance_norm": _instance_norm,
        "scaled_dot_product_attention": _attention,
        "div divide true_divide __truediv__ __div__ div_ divide_": _divide,
        "__rtruediv__ __rdiv__": _divide_reversed,
        "pow __pow__ pow_ float_power": _power,
        "log_softmax": _log_softmax,
        "softmin": _softmin,
        "glu": _glu,
        "var": _variance,
        "std": _standard_deviation,
        "vector_norm": _vector_norm,
        "maximum fmax": maximum,
        "minimum fmin": minimum,
        "addcmul": _add_product,
        "addmm addmv baddbmm": _add_matrix_product,
        **recurrent.COMPOSITIONS,
    }.items()
    for function in find(names)
}
SOFTMAX = find("softmax")
LOG_SUM_EXP = find("logsumexp")
