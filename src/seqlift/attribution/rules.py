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

`seqlift.attribution.operations` says which operation has which rule.

A rule has two sides. `record` runs the operation on the sequences and keeps what the other side needs; `replay` runs it
on the references and attaches the multipliers as its gradient, so that one backward pass through the references alone
collects them all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqlift.attribution import kernels

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
        """Views of the two activations, (B, 1, ...) and (B, R, ...), that broadcast with each other."""
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


def attach(compute: Callable, *inputs: Tensor) -> Any:
    """The output of `compute(*inputs)`, with the gradient that it states instead of autograd's."""
    return _Attach.apply(compute, *inputs)


class Rule:
    """How an operation is explained; see the head of this file."""

    def record(self, function: Callable, tracked: list[Tensor]) -> tuple[Any, tuple]:
        """The operation's output on the sequences, and what is kept for `replay`: its inputs, unless stated."""
        return function(*tracked), tuple(tracked)

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Any:
        """Its output on the references, with the multipliers as its gradient."""
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------------------------
# Rescale: functions of one element


def _slope(function: Function, at: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        return torch.autograd.grad(function(at).sum(), at)[0]


def rescale_kinked(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """The quotient: for piecewise linear functions it loses no digits, however small x - r is."""
    delta = x - r
    multiplier = (fx - fr).div_(delta)
    equal = delta == 0
    if equal.any():
        multiplier = torch.where(equal, _slope(function, r).expand_as(multiplier), multiplier)
    return multiplier


def rescale_smooth(function: Function, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """The quotient, or the slope at the midpoint where x and r are so near that this is more precise.

    The quotient loses about ε/|Δ| to rounding, the slope at the midpoint about Δ²: they meet near Δ = ε^(1/3).
    """
    delta = x - r
    near = delta.abs() <= torch.finfo(delta.dtype).eps ** (1 / 3)
    multiplier = (fx - fr).div_(delta)
    if near.any():
        middle = ((x + r) / 2)[near]
        multiplier[near] = _slope(function, middle)
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
    """(√x - √r) / (x - r) = 1 / (√x + √r); 0 where both are 0, as what does not change contributes nothing."""
    total = fx + fr
    return torch.where(total == 0, torch.zeros_like(total), 1 / total)


def rescale_power(function: Any, x: Tensor, r: Tensor, fx: Tensor, fr: Tensor) -> Tensor:
    """(xᵖ - rᵖ) / (x - r) = rᵖ (e^(p log(1 + Δ/r)) - 1) / Δ, which loses no digits near Δ = 0; 0 where both are 0.

    `function` is a `functools.partial` of `torch.pow` with the keyword `exponent`.
    """
    exponent, delta = function.keywords["exponent"], x - r
    ratio = delta / r
    near = (ratio.abs() < 0.5) & (ratio != 0)
    series = fr * torch.expm1(exponent * torch.log1p(torch.where(near, ratio, torch.full_like(ratio, 0.5))))
    multiplier = torch.where(near, series, fx - fr) / delta
    multiplier = torch.where(delta == 0, exponent * r.pow(exponent - 1), multiplier)
    return torch.where((delta == 0) & (r == 0), torch.zeros_like(multiplier), multiplier)


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
class Rescale(Rule):
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
        multiplier = torch.where(equal, _slope(function, r), multiplier)
    return fr, multiplier


def _compiled_smooth(function: Function, x: Tensor, r: Tensor, fx: Tensor) -> tuple[Tensor, Tensor]:
    fr = function(r)
    multiplier, near = kernels.quotient(x, r, fx, fr, torch.finfo(r.dtype).eps ** (1 / 3))
    if near is not None:
        row, *place = near.nonzero(as_tuple=True)
        middle = (x[row // (len(r) // len(x)), *place] + r[row, *place]) / 2
        multiplier[row, *place] = _slope(function, middle)
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
class Select(Rule):
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
    return place, _share(x, r, best_x, best_r, place)


def _share(x: Tensor, r: Tensor, best_x: Tensor, best_r: Tensor, place: Tensor) -> Tensor:
    """The change of maxima as a share of that of the elements at `place`."""
    change = x.gather(-1, place) - r.gather(-1, place)
    return torch.where(change == 0, torch.ones_like(change), (best_x - best_r) / change)


@dataclass(frozen=True)
class TopK(Rule):
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
            share = _share(x, r, best_x, best_r, place)
            return best_r, lambda gradient: torch.zeros_like(r).scatter_add_(-1, place, gradient * share)

        return attach(compute, *tracked)


# ---------------------------------------------------------------------------------------------------------------------
# Products of two activations


@dataclass(frozen=True)
class Product(Rule):
    """Operations linear in each of two tracked inputs: the gradient at the midpoint of sequence and reference."""

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
class Choice(Rule):
    """where(condition, a, b) by a condition s, 0 or 1, that depends on the input: s a + (1 - s) b, two products."""

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
class LogSumExp(Rule):
    """log Σ exp along `dim`: exponential, sum and logarithm together, so that nothing overflows."""

    dim: int
    keepdim: bool

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        def compute(r: Tensor) -> Computed:
            multiplier = _log_sum_exp_multiplier(pairing.expand(saved[0], r), r, self.dim % r.ndim)

            def backpropagate(gradient: Tensor) -> Tensor:
                return (gradient if self.keepdim else gradient.unsqueeze(self.dim % r.ndim)) * multiplier

            return function(r), backpropagate

        return attach(compute, *tracked)


@dataclass(frozen=True)
class Softmax(Rule):
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
