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
from seqlift.attribution.operations import DIVISIONS, PRODUCTS, find, getters
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


def note_parts(
    rule: str,
    run: Callable,
    function: Callable,
    args: tuple,
    kwargs: dict,
    inputs: list[Tensor],
    result: Any,
    totals: list[Parts] | None,
) -> None:
    """Note on a linear operation's result how its change falls into parts.

    Parameters
    ----------
    rule : "reveal-cancel" or "genomics"
    run : callable
        Makes a call: `run(function, *args, **kwargs)`.
    function, args, kwargs, result
        The call, on the references, and what it gave.
    inputs : list of torch.Tensor
        Those of its arguments that depend on the model's input.
    totals : list of callable, or None
        For each of them the parts of its total change (`total_parts`), if `wants_inputs`.
    """
    known = [parts_of(value) for value in inputs]
    parts = _parts(rule, _Call(run, function, args, kwargs, inputs), known, totals, result)
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


def _flat(value: Any) -> list:
    return [item for inner in value for item in _flat(inner)] if isinstance(value, tuple | list) else [value]


@dataclass(frozen=True)
class _Call:
    """A call of a linear operation, to be made again with other values for its inputs."""

    run: Callable
    function: Callable
    args: tuple
    kwargs: dict
    inputs: list[Tensor]

    def __call__(self, *values: Tensor, constant: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Any:
        """The call with these values for its inputs, and `constant` applied to its other tensors of numbers."""
        chosen = {id(old): new for old, new in zip(self.inputs, values, strict=True)}

        def put(value: Any) -> Any:
            if isinstance(value, Tensor):
                return chosen.get(id(value), constant(value) if value.is_floating_point() else value)
            return type(value)(map(put, value)) if type(value) in (tuple, list) else value

        return self.run(self.function, *map(put, self.args), **{key: put(value) for key, value in self.kwargs.items()})

    def without_bias(self) -> "_Call":
        kwargs = {key: value for key, value in self.kwargs.items() if key != "bias"}
        takes_bias = self.function.__name__ == "linear" or self.function.__name__.startswith("conv")
        args = (*self.args[:2], None, *self.args[3:]) if takes_bias and len(self.args) > 2 else self.args
        return _Call(self.run, self.function, args, kwargs, self.inputs)

    def n_constants(self) -> int:
        """How many other tensors of numbers there are."""
        values = [item for value in (*self.args, *self.kwargs.values()) for item in _flat(value)]
        return sum(isinstance(v, Tensor) and v.is_floating_point() for v in values) - len(self.inputs)

    def other_factor(self) -> Any:
        """What a scaling multiplies or divides its one input by."""
        operands = [*self.args[:2], *(self.kwargs[key] for key in ("input", "other") if key in self.kwargs)]
        (factor,) = [value for value in operands if value is not self.inputs[0]]
        return factor


def _parts(rule: str, call: _Call, known: list[Parts | None], totals: list[Parts] | None, result: Any) -> Parts | None:
    function = call.function
    if function in _WEIGHTED | _AVERAGING:
        layer = call.without_bias()
        # The sign of a weight that is a product of several is not known from theirs alone
        return None if totals is None or layer.n_constants() > 1 else _of_layer(layer, totals[0])
    if function in _SUMS | _DIFFERENCES | _REVERSED and ("alpha" in call.kwargs or len(call.args) > 2):
        return None
    if not any(known) and (totals is None or rule == "genomics" or function in _JOINING):
        return None
    if totals is not None:
        known = [own or total for own, total in zip(known, totals, strict=True)]
    parts = [own for own in known if own is not None]
    if len(parts) < len(known):
        return None
    if function in _SUMS | _DIFFERENCES | _REVERSED:
        return _of_sum(call, parts, result.shape)
    if function in _SCALING:
        return _of_scaling(call, parts[0], call.other_factor())
    if function in find("batch_norm"):
        return _of_normalisation(call, parts[0])
    if function in find("neg negative"):
        return lambda: tuple(-part for part in reversed(parts[0]()))
    if function in _MOVING:
        return lambda: tuple(
            call(*chosen, constant=torch.zeros_like) for chosen in zip(*(own() for own in parts), strict=True)
        )
    return None


def _of_layer(call: _Call, total: Parts) -> Parts:
    """The Linear rule."""

    def parts() -> tuple[Tensor, Tensor]:
        rise, fall = total()
        if call.function in _AVERAGING:  # weights of one sign
            return call(rise), call(fall)
        plus, minus = (lambda weight: weight.clamp(min=0)), (lambda weight: weight.clamp(max=0))
        return (
            call(rise, constant=plus) + call(fall, constant=minus),
            call(fall, constant=plus) + call(rise, constant=minus),
        )

    return parts


def _of_sum(call: _Call, known: list[Parts], shape: torch.Size) -> Parts:
    first = (*call.args, *call.kwargs.values())[0]
    negative = [False] * len(known)
    if call.function in _DIFFERENCES:
        negative = [value is not first for value in call.inputs]
    elif call.function in _REVERSED:
        negative = [value is first for value in call.inputs]

    def parts() -> tuple[Tensor, Tensor]:
        summands = [
            (-own[1], -own[0]) if reverse else own for reverse, own in zip(negative, (f() for f in known), strict=True)
        ]
        return tuple(sum(part).broadcast_to(shape) for part in zip(*summands, strict=True))

    return parts


def _of_scaling(call: _Call, own: Parts, factor: Any) -> Parts:
    def parts() -> tuple[Tensor, Tensor]:
        plus, minus = (call(part) for part in own())
        keeps = torch.as_tensor(factor, device=plus.device) >= 0
        return torch.where(keeps, plus, minus), torch.where(keeps, minus, plus)

    return parts


def _of_normalisation(call: _Call, own: Parts) -> Parts:
    value = call.inputs[0]
    one = value.new_ones(1, value.shape[1], *[1] * (value.ndim - 2))
    scale = call(one) - call(torch.zeros_like(one))  # of each channel

    def parts() -> tuple[Tensor, Tensor]:
        plus, minus = (part * scale for part in own())
        return torch.where(scale >= 0, plus, minus), torch.where(scale >= 0, minus, plus)

    return parts
