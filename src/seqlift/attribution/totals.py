"""What comes out of a block of pairs, and the running figures of blocks that a result is made from.

A sequence's scores are means over its references, with a standard error. Both are kept as running figures in float64,
merged block by block (Chan, Golub and LeVeque 1979), so memory does not grow with the number of references and the
result does not depend on how the pairs were cut into blocks.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

BY_REFERENCE = ("delta", "reference_prediction", "steps")  # fields of a result with a number for each pair, (N, R)


@dataclass(frozen=True)
class Block:
    """What a method found for B sequences with R' references each.

    Attributes
    ----------
    multipliers : torch.Tensor, shape (B, R', 4, L)
        Change of the output per change of the input.
    prediction : torch.Tensor, shape (B,)
    reference_prediction : torch.Tensor, shape (B, R')
    path : dict of torch.Tensor, each of shape (B, R', ...)
        Whatever else is to be averaged over references, by the name of its field in the result.
    steps : torch.Tensor, shape (B, R'), int64, optional
        How many points of the path each pair took.
    delta : torch.Tensor, shape (B, R'), optional
        The completeness delta, where it is not that of the multipliers.
    """

    multipliers: Tensor
    prediction: Tensor
    reference_prediction: Tensor
    path: dict[str, Tensor] = field(default_factory=dict)
    steps: Tensor | None = None
    delta: Tensor | None = None


@dataclass(frozen=True)
class Summary:
    """A block with its references summed up.

    Attributes
    ----------
    n_references : int
        R'.
    means : dict of torch.Tensor, each of shape (B, ...)
        Over references: `hypothetical` (B, 4, L), `contribution` (B, L), and whatever is in `Block.path`.
    squares : torch.Tensor, shape (B, L)
        Sum over references of the squared deviation of the contribution from its mean.
    prediction : torch.Tensor, shape (B,)
    by_reference : dict of torch.Tensor, each of shape (B, R')
        `delta`, `reference_prediction`, and `steps` where the block has them.
    """

    n_references: int
    means: dict[str, Tensor]
    squares: Tensor
    prediction: Tensor
    by_reference: dict[str, Tensor]


def exact_type(device: torch.device) -> torch.dtype:
    """The type for sums: float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def summarise(x: Tensor, references: Tensor, block: Block) -> Summary:
    """Sum up a block of sequences x (B, 4, L) with references (B, R', 4, L)."""
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
    """Running figures of G sequences, on the device of the model.

    Parameters
    ----------
    sequences : torch.Tensor, shape (G, 4, L)
    limit : int
        The most references that a sequence can have.
    where : torch.device
    """

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
        """(G, limit) of NaN, or of 0 for whole numbers: pairs that are not made."""
        missing = torch.nan if dtype.is_floating_point else 0
        return torch.full((len(self._sequences), self._limit), missing, dtype=dtype)

    def add(self, rows: Tensor, columns: slice, summary: Summary) -> None:
        """Take in the references in `columns` of the sequences in `rows`, which had equally many of them before.

        Parameters
        ----------
        rows : torch.Tensor, shape (B,), int64
        columns : slice
        summary : Summary
        """
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
        """Of the mean contribution over references, (G, L); NaN for a single reference."""
        n = self._count.to(self._where, self._squares.dtype)[:, None]
        return (self._squares / (n - 1) / n).sqrt()

    def unsure(self, max_relative_error: float) -> Tensor:
        """Which sequences' largest standard error is above this share of their largest |contribution|: (G,), bool."""
        scale = self._means["contribution"].abs().amax(-1)
        return ~(self._standard_error().amax(-1) <= max_relative_error * scale).cpu()

    def result(self) -> dict[str, Tensor]:
        """The fields of a result by name, on the CPU.

        Returns
        -------
        dict of torch.Tensor
            `hypothetical`, `contributions` (G, 4, L), `standard_error` (G, L), `prediction`, `n_references` (G,),
            `delta`, `reference_prediction` (G, limit; NaN where a sequence has fewer references), `steps` (G, limit; 0
            there) if the blocks had them, and the means (G, ...) of what was in `Block.path`. float64 for float64
            sequences, float32 for others.
        """
        dtype = torch.float64 if self._sequences.dtype == torch.float64 else torch.float32
        means = {name: mean for name, mean in self._means.items() if name != "contribution"}
        fields = means | self._by_reference
        fields |= {"prediction": self._prediction, "standard_error": self._standard_error()}
        fields = {name: f.to("cpu", dtype if f.is_floating_point() else f.dtype) for name, f in fields.items()}
        contributions = fields["hypothetical"] * self._sequences.to("cpu", dtype)
        return fields | {"contributions": contributions, "n_references": self._count}


def broken_completeness(result: Any, tolerance: float) -> Tensor:
    """Which pairs of sequence and reference have scores that do not add up: (N, R), bool.

    The delta is held against what it is the rest of: |f(x) - f(reference)|, or the sum of the sequence's absolute
    contributions where these cancel in a small change. Where there is next to nothing to explain, a thousandth of the
    predictions takes their place: the rest is their own rounding. Of the references only those that were used count.

    Parameters
    ----------
    result : DeepLift or InteriorGradients
    tolerance : float
        Largest accepted share.
    """
    change = (result.prediction[:, None] - result.reference_prediction).abs()
    size = result.contributions.abs().sum((1, 2))[:, None]
    rounding = torch.maximum(result.prediction.abs()[:, None], result.reference_prediction.abs()) / 1000
    explained = torch.maximum(torch.maximum(change, size), rounding).clamp(min=1e-6)
    used = torch.arange(result.delta.shape[1]) < result.n_references[:, None]
    return used & ((result.delta.abs() > tolerance * explained) | ~result.delta.isfinite())
