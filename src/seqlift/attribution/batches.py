"""What the methods share: checking the call, pairs of sequences and references in batches, and summing them up."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution import references as reference_kinds
from seqlift.errors import SeqliftError

References = Tensor | Callable[[Tensor, int, int], Tensor] | None


@dataclass(frozen=True)
class Request:
    """A checked call: sequences (N, 4, L), where references come from, how many there are, extra model inputs."""

    sequences: Tensor
    references: Tensor | Callable[[Tensor, int, int], Tensor]
    n_references: int
    args: tuple[Tensor, ...]
    seed: int

    @classmethod
    def check(cls, sequences: Tensor, references: References, n_references: int, args: tuple, seed: int) -> "Request":
        """Hold the arguments of a method's call against what it needs.

        Raises
        ------
        SeqliftError
            Names the argument, its shape or value, and the rule.
        """
        if not isinstance(sequences, Tensor) or sequences.ndim != 3 or sequences.shape[1] != 4:
            shape = tuple(getattr(sequences, "shape", ()))
            raise SeqliftError(
                f"`sequences` must be a tensor of shape (N, 4, L), not {type(sequences).__name__} {shape}"
            )
        if not sequences.is_floating_point():
            raise SeqliftError(
                f"`sequences` (type {sequences.dtype}) must have a floating type, as the model's input does"
            )
        if isinstance(references, Tensor):
            shape, n = tuple(references.shape), len(sequences)
            if references.ndim == 3:
                references = references[None].expand(n, -1, -1, -1)
            if references.ndim != 4 or len(references) != n or references.shape[2:] != sequences.shape[1:]:
                raise SeqliftError(
                    f"`references` of shape {shape} must be (N, R, 4, L) or (R, 4, L) "
                    f"for sequences of shape {tuple(sequences.shape)}"
                )
            n_references = references.shape[1]
        if n_references < 1:
            raise SeqliftError(f"`n_references` (={n_references}) must be at least 1")
        args = tuple(args)
        for i, arg in enumerate(args):
            if not isinstance(arg, Tensor) or len(arg) != len(sequences):
                raise SeqliftError(
                    f"`args[{i}]` must be a tensor with a row for each of the {len(sequences)} sequences"
                )
        references = reference_kinds.dinucleotide_shuffles if references is None else references
        return cls(sequences.detach(), references, n_references, args, seed)

    def batches(self, n_pairs: int, device: torch.device) -> Iterator[tuple[slice, slice, Tensor, Tensor, tuple]]:
        """Blocks of at most `n_pairs` pairs: rows, columns, sequences (B, 4, L), references (B, R', 4, L), args.

        Whole sequences share a block where all their references fit in one; otherwise one sequence takes several.
        """
        rows = max(1, n_pairs // self.n_references)
        columns = min(self.n_references, max(1, n_pairs))
        for first in range(0, len(self.sequences), rows):
            chosen = slice(first, min(first + rows, len(self.sequences)))
            x = self.sequences[chosen].to(device)
            if isinstance(self.references, Tensor):
                references = self.references[chosen]
            else:
                references = self.references(self.sequences[chosen], self.n_references, self.seed)
                wanted = (len(x), self.n_references, *x.shape[1:])
                if tuple(references.shape) != wanted:
                    raise SeqliftError(f"`references` returned shape {tuple(references.shape)}; it must be {wanted}")
            args = tuple(arg[chosen].to(device) for arg in self.args)
            for column in range(0, self.n_references, columns):
                block = slice(column, min(column + columns, self.n_references))
                yield chosen, block, x, references[:, block].detach().to(device, x.dtype), args


def default_batch_size(device: torch.device, length: int) -> int:
    """Rows (N, 4, length) at a time: near the cache's size on a CPU, many on a GPU; by length, not by machine load.

    Parameters
    ----------
    device : torch.device
    length : int, bp

    Returns
    -------
    int
    """
    budget = 2**24 if device.type == "cuda" else 2**15
    return max(16, min(8192, budget // max(1, length)))


def select(output: Tensor, target: int) -> Tensor:
    """One target of a model's output.

    Parameters
    ----------
    output : torch.Tensor, shape (N, T), or (N,) for a single target
    target : int

    Returns
    -------
    torch.Tensor, shape (N,)

    Raises
    ------
    SeqliftError
        If the output has another shape, or no such target.
    """
    if output.ndim == 1:
        output = output[:, None]
    if output.ndim != 2:
        raise SeqliftError(f"the model's output has shape {tuple(output.shape)}; it must be (N, T)")
    if not -output.shape[1] <= target < output.shape[1]:
        raise SeqliftError(f"`target` (={target}) must be less than the {output.shape[1]} outputs of the model")
    return output[:, target]


class Totals:
    """Sums over references, kept on the CPU: the scores and how they vary."""

    def __init__(self, request: Request):
        n, _, length = request.sequences.shape
        dtype = torch.float64 if request.sequences.dtype == torch.float64 else torch.float32
        self._request = request
        self.hypothetical = torch.zeros(n, 4, length, dtype=dtype)
        self._contributions = torch.zeros(n, request.n_references, length, dtype=dtype)
        self.delta = torch.zeros(n, request.n_references, dtype=dtype)
        self.prediction = torch.zeros(n, dtype=dtype)
        self.reference_prediction = torch.zeros(n, request.n_references, dtype=dtype)

    def add(
        self, rows: slice, columns: slice, x: Tensor, references: Tensor, multipliers: Tensor, fx: Tensor, fr: Tensor
    ):
        """Take in a block: multipliers (B, R', 4, L), predictions (B,) and reference predictions (B, R')."""
        x = x[:, None]
        precise = multipliers.dtype if multipliers.dtype == torch.float64 else torch.float32
        multipliers, references = multipliers.to(precise), references.to(precise)
        of_reference = (multipliers * references).sum(2)  # (B, R', L): Σ_a m[a] ref[a]
        self.hypothetical[rows] += (multipliers.sum(1) - of_reference.sum(1)[:, None]).cpu()
        contributions = (multipliers * x).sum(2) - of_reference  # (B, R', L): Σ_a m[a] (x[a] - ref[a])
        self._contributions[rows, columns] = contributions.cpu()
        difference = fx.to(torch.float64)[:, None] - fr.to(torch.float64)
        self.delta[rows, columns] = (difference - contributions.to(torch.float64).sum(-1)).to(precise).cpu()
        self.prediction[rows] = fx.to(precise).cpu()
        self.reference_prediction[rows, columns] = fr.to(precise).cpu()

    @functools.cached_property
    def standard_error(self) -> Tensor:
        """Of the mean contribution over references, (N, L); NaN for a single reference."""
        n = self._request.n_references
        if n == 1:
            return torch.full_like(self._contributions[:, 0], torch.nan)
        return self._contributions.std(1) / n**0.5

    def result(self) -> dict[str, Tensor]:
        """The fields that every method's result has."""
        hypothetical = self.hypothetical / self._request.n_references
        return {
            "hypothetical": hypothetical,
            "contributions": hypothetical * self._request.sequences.to("cpu", hypothetical.dtype),
            "delta": self.delta,
            "prediction": self.prediction,
            "reference_prediction": self.reference_prediction,
            "standard_error": self.standard_error,
        }
