"""RevealCancel: positive and negative changes explained apart, so that one cannot hide behind the other.

Rescale looks at the total change Δz of an activation's input. Where a large rise and a large fall meet there, it sees
little and gives both the small multiplier of the rest. RevealCancel (arXiv 1704.02685 §3.5.3) splits Δz into its
positive and negative parts and gives each the mean of what it does alone and what it does on top of the other:

    Δy⁺ = ½ (f(r + Δz⁺) - f(r)) + ½ (f(r + Δz⁻ + Δz⁺) - f(r + Δz⁻)),    m⁺ = Δy⁺ / Δz⁺, and the same with the signs
    exchanged.

Each half is a Rescale multiplier between two points, m⁺ = ½ (m(r → r + Δz⁺) + m(r + Δz⁻ → x)), and so exact near
Δz⁺ = 0 too.

Where the parts come from (the Linear rule, §3.5.1): in z = W h + b the change Δh of each input goes, times its weight,
to Δz⁺ if Δh · w > 0 and to Δz⁻ if it is < 0,

    Δz⁺ = W⁺ Δh⁺ + W⁻ Δh⁻,    Δz⁻ = W⁺ Δh⁻ + W⁻ Δh⁺,

with W⁺ = max(W, 0), W⁻ = min(W, 0) and Δh⁺, Δh⁻ the positive and negative values of the total Δh. Multipliers come
back through these two sums; an input with Δh = 0 takes the mean of what a rise and a fall would be given. Operations
that only move or scale an activation carry its parts along (a negative factor exchanges them); adding two activations
adds their parts. So a convolution and the batch normalisation after it are one linear operation, as they should be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqlift.attribution import kernels
from seqlift.attribution.calls import Call, unchanged
from seqlift.attribution.operations import DIVISIONS, PRODUCTS, find, getters, tensors_in
from seqlift.attribution.rules import COMPILED, Computed, Pairing, Rescale, attach

_PARTS = "_seqlift_parts"

_DENSE = find("linear matmul __rmatmul__ mm mv")
_SCALING = find("mul multiply __rmul__") | DIVISIONS
_WEIGHTED = PRODUCTS - find("mul multiply __rmul__ mul_ multiply_")
_AVERAGING = find(
    "sum mean cumsum avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"
)
_SUMS = find("add __radd__")
_DIFFERENCES = find("sub subtract")
_REVERSED = find("rsub __rsub__")
_NORMALISING = find("batch_norm")
_NEGATING = find("neg negative")
_JOINING = find("cat concat concatenate stack hstack vstack")
_MOVING = (
    _JOINING
    | getters("T", "mT", "H", "mH", "real")
    | find(
        "view reshape flatten unflatten ravel squeeze unsqueeze transpose t permute movedim moveaxis swapaxes swapdims",
        "contiguous clone narrow select index_select __getitem__ split split_with_sizes chunk unbind tensor_split",
        "flip roll expand repeat repeat_interleave view_as reshape_as positive to float double",
        "dropout dropout1d dropout2d alpha_dropout feature_dropout",
    )
)

Parts = Callable[[], tuple[Any, Any]]  # makes the positive and the negative part, when and if a rule wants them


# ---------------------------------------------------------------------------------------------------------------------
# The rule of the activation


@dataclass(frozen=True)
class RevealCancel(Rescale):
    """RevealCancel where the parts of the change are known, Rescale where they are not."""

    def replay(self, function: Callable, tracked: list[Tensor], saved: tuple, pairing: Pairing) -> Tensor:
        (r,) = tracked
        parts = parts_of(r)
        if parts is None:
            return super().replay(function, tracked, saved, pairing)
        r = r.detach()
        x, fx = (pairing.expand(value, r) for value in saved)

        def compute(plus: Tensor, minus: Tensor) -> Computed:
            above, below = r + plus, r + minus
            f_above, f_below = function(above), function(below)

            def chord(a: Tensor, b: Tensor, fa: Tensor) -> tuple[Tensor, Tensor]:
                """f(b), and the multiplier between b and a."""
                if self.multiplier in COMPILED and kernels.can_take(a, b):
                    return COMPILED[self.multiplier](function, a, b, fa)
                fb = function(b)
                return fb, self.multiplier(function, a, b, fa, fb)

            fr, of_plus = chord(above, r, f_above)
            of_plus = (of_plus + chord(x, below, fx)[1]).div_(2)
            of_minus = (chord(below, r, f_below)[1] + chord(x, above, fx)[1]).div_(2)
            return fr, lambda gradient: (gradient * of_plus, gradient * of_minus)

        return attach(compute, *parts())


# ---------------------------------------------------------------------------------------------------------------------
# The parts that it is given


@dataclass(frozen=True)
class Inputs:
    """What the walk of the sequences keeps of a linear operation: its inputs, to know how much each changes."""


def parts_of(value: Tensor) -> Parts | None:
    """How to make the two parts of an activation's change, where a linear operation has said so."""
    version, parts = getattr(value, _PARTS, (None, None))
    return parts if version == value._version else None  # if not, it was changed in place since


def wants_inputs(rule: str, function: Callable, n_tracked: int, result: Any) -> bool:
    """Whether the parts of this linear operation's result are made from the total changes of its inputs."""
    if rule == "rescale":
        return False
    if function in _SUMS | _DIFFERENCES | _REVERSED | _JOINING:
        return n_tracked > 1
    if rule == "genomics":
        return function in _DENSE and isinstance(result, Tensor) and result.ndim == 2
    return function in _WEIGHTED | _AVERAGING


def note_parts(rule: str, run: Callable, call: Call, result: Any, totals: list[Parts] | None) -> None:
    """Note on the result of a linear operation, called on the references, how its change falls into parts.

    `run(function, *args, **kwargs)` makes a call; `totals` has the parts of the total change of each input
    (`total_parts`), if `wants_inputs`.
    """
    parts = _parts(rule, run, call, totals, result)
    if parts is None:
        return
    if isinstance(result, Tensor):
        setattr(result, _PARTS, (result._version, parts))
        return
    for i, piece in enumerate(result):  # of a chunk or a split
        setattr(piece, _PARTS, (piece._version, lambda i=i: tuple(part[i] for part in parts())))


def total_parts(x: Tensor, r: Tensor, pairing: Pairing) -> Parts:
    """The positive and the negative values of Δ = x - r; multipliers come back by its sign.

    An input that does not change takes the mean of what a rise and a fall would be given (1704.02685 §3.5.1). Whether
    it changes must not hang on rounding, which varies with the batch: Δ counts as 0 below some units in the last place
    of the sequence's largest value in this activation.
    """
    version = r._version

    def parts() -> tuple[Tensor, Tensor]:
        if r._version != version:
            raise NotImplementedError("RevealCancel needs an input of the layer before it, which was changed in place")
        return attach(compute, r)

    def compute(r: Tensor) -> Computed:
        on_sequence = pairing.expand(x, r)
        largest = on_sequence.abs().amax(tuple(range(1, r.ndim)), keepdim=True) if r.ndim > 1 else on_sequence.abs()
        delta, least = on_sequence - r, 32 * torch.finfo(r.dtype).eps * largest

        def backpropagate(of_rise: Tensor, of_fall: Tensor) -> Tensor:
            mean = (of_rise + of_fall) / 2
            return torch.where(delta > least, of_rise, torch.where(delta < -least, of_fall, mean))

        return (delta.clamp(min=0), delta.clamp(max=0)), backpropagate

    return parts


# ---------------------------------------------------------------------------------------------------------------------
# How linear operations hand on the parts of their inputs


@dataclass(frozen=True)
class _Linear:
    """A linear operation, to be run again with other values for its inputs."""

    run: Callable
    call: Call

    def __call__(self, *values: Tensor, constant: Callable[[Tensor], Tensor] = unchanged) -> Any:
        args, kwargs = self.call.with_inputs(values, constant)
        return self.run(self.call.function, *args, **kwargs)

    def without_bias(self) -> "_Linear":
        call, args = self.call, self.call.args
        kwargs = {key: value for key, value in call.kwargs.items() if key != "bias"}
        takes_bias = call.name == "linear" or call.name.startswith("conv")
        args = (*args[:2], None, *args[3:]) if takes_bias and len(args) > 2 else args
        return _Linear(self.run, Call(call.function, args, kwargs, call.tracked))

    def n_constants(self) -> int:
        """How many tensors of numbers there are beside its inputs."""
        tensors = tensors_in((self.call.args, self.call.kwargs))
        return sum(tensor.is_floating_point() for tensor in tensors) - len(self.call.tracked)


def _parts(rule: str, run: Callable, call: Call, totals: list[Parts] | None, result: Any) -> Parts | None:
    function, again = call.function, _Linear(run, call)
    known = [parts_of(value) for value in call.tracked]
    if function in _WEIGHTED | _AVERAGING:
        layer = again.without_bias()
        # The sign of a weight that is a product of several is not known from theirs alone
        return None if totals is None or layer.n_constants() > 1 else _of_layer(layer, totals[0])
    adds = function in _SUMS | _DIFFERENCES | _REVERSED
    if adds and ("alpha" in call.kwargs or len(call.args) > 2):
        return None
    if not any(known) and (totals is None or rule == "genomics" or function in _JOINING):
        return None
    if totals is not None:
        known = [own or total for own, total in zip(known, totals, strict=True)]
    parts = [own for own in known if own is not None]
    if len(parts) < len(known):
        return None
    if adds:
        return _of_sum(call, parts, result.shape)
    if function in _SCALING:
        return _of_scaling(again, parts[0])
    if function in _NORMALISING:
        return _of_normalisation(again, parts[0])
    if function in _NEGATING:
        return lambda: tuple(-part for part in reversed(parts[0]()))
    if function in _MOVING:
        return lambda: tuple(
            again(*chosen, constant=torch.zeros_like) for chosen in zip(*(own() for own in parts), strict=True)
        )
    return None


def _of_layer(layer: _Linear, total: Parts) -> Parts:
    """The Linear rule."""

    def parts() -> tuple[Tensor, Tensor]:
        rise, fall = total()
        if layer.call.function in _AVERAGING:  # weights of one sign
            return layer(rise), layer(fall)
        plus, minus = (lambda weight: weight.clamp(min=0)), (lambda weight: weight.clamp(max=0))
        return (
            layer(rise, constant=plus) + layer(fall, constant=minus),
            layer(fall, constant=plus) + layer(rise, constant=minus),
        )

    return parts


def _of_sum(call: Call, known: list[Parts], shape: torch.Size) -> Parts:
    first = (*call.args, *call.kwargs.values())[0]
    negative = [False] * len(known)
    if call.function in _DIFFERENCES:
        negative = [value is not first for value in call.tracked]
    elif call.function in _REVERSED:
        negative = [value is first for value in call.tracked]

    def parts() -> tuple[Tensor, Tensor]:
        summands = [
            (-own[1], -own[0]) if reverse else own for reverse, own in zip(negative, (f() for f in known), strict=True)
        ]
        return tuple(sum(part).broadcast_to(shape) for part in zip(*summands, strict=True))

    return parts


def _of_scaling(again: _Linear, own: Parts) -> Parts:
    call = again.call
    operands = [*call.args[:2], *(call.kwargs[key] for key in ("input", "other") if key in call.kwargs)]
    (factor,) = [value for value in operands if value is not call.tracked[0]]

    def parts() -> tuple[Tensor, Tensor]:
        plus, minus = (again(part) for part in own())
        return _swapped(torch.as_tensor(factor, device=plus.device) >= 0, plus, minus)

    return parts


def _of_normalisation(again: _Linear, own: Parts) -> Parts:
    value = again.call.tracked[0]
    one = value.new_ones(1, value.shape[1], *[1] * (value.ndim - 2))
    scale = again(one) - again(torch.zeros_like(one))  # of each channel
    return lambda: _swapped(scale >= 0, *(part * scale for part in own()))


def _swapped(keeps: Tensor, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
    """Both parts, exchanged where a factor is negative."""
    return torch.where(keeps, plus, minus), torch.where(keeps, minus, plus)
