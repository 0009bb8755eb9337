"""Means over references with their standard error, computed block by block.

Both are running figures in float64, merged block by block (Chan, Golub and LeVeque 1979), so memory does not grow with
the number of references and the result does not depend on how the pairs were divided into blocks.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

BY_REFERENCE = ("delta", "reference_prediction", "steps")  # fields of a result with a number for each pair, (N, R)


@dataclass(frozen=True)
class Block:
    """What a method computes for B sequences with R' references each."""

    multipliers: Tensor  # change of the output per change of the input, (B, R', 4, L)
    prediction: Tensor  # (B,)
    reference_prediction: Tensor  # (B, R')
    path: dict[str, Tensor] = field(default_factory=dict)  # what to average over references, (B, R', ...)
    steps: Tensor | None = None  # points that each path took, (B, R'), int64
    delta: Tensor | None = None  # completeness delta, (B, R'), where it is not that of the multipliers


@dataclass(frozen=True)
class Summary:
    """A block summed up over its R' references."""

    n_references: int
    means: dict[str, Tensor]  # `hypothetical` (B, 4, L), `contribution` (B, L), and those of `Block.path` (B, ...)
    squares: Tensor  # sum of the squared deviations of the contributions from their mean, (B, L)
    prediction: Tensor  # (B,)
    by_reference: dict[str, Tensor]  # `delta`, `reference_prediction`, and `steps` if the block has them, (B, R')


def exact_type(device: torch.device) -> torch.dtype:
    """The type for sums: float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def summarise(x: Tensor, references: Tensor, block: Block) -> Summary:
    """Summarise a block of sequences x (B, 4, L) with references (B, R', 4, L)."""
    exact = exact_type(x.device)
    precise = torch.float64 if block.multipliers.dtype == torch.float64 else torch.float32
    multipliers, references = block.multipliers.to(precise), references.to(precise)
    of_reference = (multipliers * references).sum(2)  # (B, R', L): Σ_a m[a] ref[a]
    contributions = ((multipliers * x.to(precise)[:, None]).sum(2) - of_reference).to(exact)
    contribution = contributions.mean(1)
    fx, fr = block.prediction.to(exact), block.reference_prediction.to(exact)
    delta = fx[:, None] - fr - contributions.sum(-1) if block.delta is None else block.delta.to(exact)
    by_reference = {"delta": delta, "reference_prediction": fr}
    return Summary(
        n_references=references.shape[1],
        means={
            "hypothetical": multipliers.mean(1) - of_reference.mean(1)[:, None],
            "contribution": contribution,
            **{name: values.to(exact).mean(1) for name, values in block.path.items()},
        },
        squares=(contributions - contribution[:, None]).square_().sum(1),
        prediction=fx,
        by_reference=by_reference if block.steps is None else by_reference | {"steps": block.steps},
    )


class Totals:
    """Running figures of sequences (G, 4, L), which have at most `limit` references, on the device of the model."""

    def __init__(self, sequences: Tensor, limit: int, where: torch.device):
        self._sequences, self._limit, self._where = sequences, limit, where
        n, _, length = sequences.shape
        self._count = torch.zeros(n, dtype=torch.int64)
        self._prediction = self._zeros(n)
        self._squares = self._zeros(n, length)
        self._means = {"hypothetical": self._zeros(n, 4, length), "contribution": self._zeros(n, length)}
        self._by_reference = {name: self._missing(torch.float64) for name in ("delta", "reference_prediction")}

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=exact_type(self._where), device=self._where)

    def _missing(self, dtype: torch.dtype) -> Tensor:
        """(G, limit) of NaN, or of 0 for whole numbers: the value of pairs that do not exist."""
        missing = torch.nan if dtype.is_floating_point else 0
        return torch.full((len(self._sequences), self._limit), missing, dtype=dtype)

    def add(self, rows: Tensor, columns: slice, summary: Summary) -> None:
        """Add the references in `columns` for the sequences in `rows` (B,), which had equally many before."""
        before, new = int(self._count[rows[0]]), summary.n_references
        share, on_device = new / (before + new), rows.to(self._where)
        apart = summary.means["contribution"] - self._means["contribution"][on_device]
        self._squares[on_device] += summary.squares + apart.square() * (before * share)
        for name, mean in summary.means.items():
            if name not in self._means:
                self._means[name] = self._zeros(len(self._sequences), *mean.shape[1:])
            total = self._means[name]
            total[on_device] += (mean - total[on_device]) * share
        self._count[rows] += new
        self._prediction[on_device] = summary.prediction
        for name, values in summary.by_reference.items():
            values = values.cpu()
            if name not in self._by_reference:
                self._by_reference[name] = self._missing(values.dtype)
            self._by_reference[name][rows, columns] = values.to(self._by_reference[name].dtype)

    def _standard_error(self) -> Tensor:
        """Standard error of the mean contribution over references, (G, L); NaN for a single reference."""
        n = self._count.to(self._where, self._squares.dtype)[:, None]
        return (self._squares / (n - 1) / n).sqrt()

    def unsure(self, max_relative_error: float) -> Tensor:
        """Which sequences' largest standard error is above this share of their largest |contribution|: (G,), bool."""
        scale = self._means["contribution"].abs().amax(-1)
        return ~(self._standard_error().amax(-1) <= max_relative_error * scale).cpu()

    def result(self) -> dict[str, Tensor]:
        """The fields of a result by name, on the CPU, float64 for float64 sequences and float32 for others.

        Pairs (G, limit) that do not exist, where a sequence has fewer references than others, are NaN (`steps`: 0).
        """
        dtype = torch.float64 if self._sequences.dtype == torch.float64 else torch.float32
        means = {name: mean for name, mean in self._means.items() if name != "contribution"}
        fields = means | self._by_reference
        fields |= {"prediction": self._prediction, "standard_error": self._standard_error()}
        fields = {name: f.to("cpu", dtype if f.is_floating_point() else f.dtype) for name, f in fields.items()}
        contributions = fields["hypothetical"] * self._sequences.to("cpu", dtype)
        return fields | {"contributions": contributions, "n_references": self._count}


def beyond_rounding(result: Any, eps: float) -> Tensor:
    """Which pairs of sequence and reference miss the change in prediction by more than rounding can: (N, R), bool.

    Rounding grows with `eps` (ε) of the type, Σ|contribution| and the predictions. Exact networks of any
    depth stay below 50 ε of their sum (`benchmarks/rounding.py`); the limit is 256 ε. Types of low precision have 4 √ε.
    """
    predictions = torch.maximum(result.prediction.abs()[:, None], result.reference_prediction.abs())
    size = result.contributions.abs().sum((1, 2))[:, None] + predictions
    used = torch.arange(result.delta.shape[1]) < result.n_references[:, None]
    return used & ~(result.delta.abs() <= min(256 * eps, 4 * eps**0.5) * size + 1e-30)


def broken_completeness(result: Any, tolerance: float) -> Tensor:
    """Which pairs of sequence and reference have contributions that do not add up: (N, R), bool.

    A pair is broken if |delta| > `tolerance` · size. The size is |f(x) - f(reference)|, or the sum of the sequence's
    absolute contributions where these cancel in a small change, or a thousandth of the predictions where both are tiny,
    as the delta then is the rounding of the predictions. Only the references that were used count.

    Parameters
    ----------
    result : DeepLift or InteriorGradients
    tolerance : float
    """
    change = (result.prediction[:, None] - result.reference_prediction).abs()
    size = result.contributions.abs().sum((1, 2))[:, None]
    rounding = torch.maximum(result.prediction.abs()[:, None], result.reference_prediction.abs()) / 1000
    explained = torch.maximum(torch.maximum(change, size), rounding).clamp(min=1e-6)
    used = torch.arange(result.delta.shape[1]) < result.n_references[:, None]
    return used & ((result.delta.abs() > tolerance * explained) | ~result.delta.isfinite())
