"""Pairs of sequences and references: which there are, and how they go through a method in blocks."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from seqlift.attribution import references as reference_kinds
from seqlift.attribution.batch_size import BatchSize, default_batch_size
from seqlift.attribution.checks import check_finite, check_independence, check_inputs
from seqlift.attribution.options import DeepLiftOptions
from seqlift.attribution.totals import BY_REFERENCE, Block, Summary, Totals, summarise
from seqlift.errors import SeqliftError

References = Tensor | Callable[[Tensor, int, int], Tensor] | None

ROUND = 10  # references that "auto" adds at a time
GROUP = 8  # blocks whose sequences are handled together, so that those that need more references still fill a block


@dataclass(frozen=True)
class Request:
    """A checked call of a method with references."""

    sequences: Tensor  # (N, 4, L)
    references: Tensor | Callable[[Tensor, int, int], Tensor]  # (N, R, 4, L) or a callable
    limit: int  # number of references of a sequence, or the largest number with `max_relative_error`
    max_relative_error: float | None  # largest standard error as a share of the largest |contribution|; None: any
    args: tuple[Tensor, ...]  # (N, ...)
    seed: int
    center_first_layer: bool
    can_start_later: bool  # whether references can be drawn without those before them

    @classmethod
    def check(
        cls,
        sequences: Tensor,
        references: References,
        n_references: int | str,
        args: tuple,
        seed: int,
        options: DeepLiftOptions,
    ) -> "Request":
        """Check the arguments of a call; a `SeqliftError` names the argument, its shape or value, and the rule."""
        args = check_inputs(sequences, args)
        auto = n_references == "auto"
        if isinstance(references, Tensor):
            if auto:
                raise SeqliftError(
                    '`n_references="auto"` draws references as they are needed: `references` must be a callable or '
                    "None, not a tensor"
                )
            shape, n = tuple(references.shape), len(sequences)
            if references.ndim == 3:
                references = references[None].expand(n, -1, -1, -1)
            if references.ndim != 4 or len(references) != n or references.shape[2:] != sequences.shape[1:]:
                raise SeqliftError(
                    f"`references` of shape {shape} must be (N, R, 4, L) or (R, 4, L) "
                    f"for sequences of shape {tuple(sequences.shape)}"
                )
            n_references = references.shape[1]
        if auto:
            if not options.max_relative_error > 0:
                raise SeqliftError(f"`max_relative_error` (={options.max_relative_error}) must be positive")
            if not isinstance(options.max_references, Integral) or options.max_references < 2:
                raise SeqliftError(
                    f"`max_references` (={options.max_references!r}) must be at least 2: one has no error"
                )
        elif not isinstance(n_references, Integral) or n_references < 1:
            raise SeqliftError(f'`n_references` (={n_references!r}) must be at least 1, or "auto"')
        references = reference_kinds.dinucleotide_shuffles if references is None else references
        limit, share = (options.max_references, options.max_relative_error) if auto else (n_references, None)
        from_any = isinstance(references, Tensor) or _takes_start(references)
        return cls(sequences.detach(), references, limit, share, args, seed, options.center_first_layer, from_any)

    def draw(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """References `start` to `stop` (exclusive) of the sequences in `rows` (B,): (B, stop - start, 4, L)."""
        if isinstance(self.references, Tensor):
            return self.references[rows, start:stop]
        sequences = self.sequences[rows]
        n = stop - start if self.can_start_later else stop
        options = {"start": start} if self.can_start_later else {}
        drawn = self.references(sequences, n, self.seed, **options)
        wanted = (len(rows), n, *sequences.shape[1:])
        if tuple(drawn.shape) != wanted:
            raise SeqliftError(f"`references` returned shape {tuple(drawn.shape)}; it must be {wanted}")
        return drawn[:, start - stop :]


def _takes_start(references: Callable) -> bool:
    """Whether a callable has a parameter `start=0`, so that it can leave out the first references."""
    try:
        start = inspect.signature(references).parameters.get("start")
    except (TypeError, ValueError):  # written in C
        return False
    return start is not None and start.default == 0


def centred(x: Tensor, references: Tensor) -> Tensor:
    """References (B, R, 4, L), changed so that they sum over the bases to what x (B, 4, L) does at each position.

    Mean-centring the weights of a first layer for one-hot input (arXiv 1605.01713 on constrained inputs) moves the mean
    over bases of each weight into the bias, times Σx. On a reference r, the centred layer gives what the original layer
    gives on r + (Σx - Σr) / 4. So any model can be centred without changing it, also where Σx is not 1 (N, zero
    padding).
    """
    missing = x.sum(1)[:, None] - references.sum(2)
    return references + (missing / 4)[:, :, None]


class Pairs:
    """The pairs of a call, explained group by group, round by round, block by block.

    Parameters
    ----------
    request : Request
    where : torch.device
        The model's device.
    predict : callable, (B, 4, L), *args -> (B,)
        The output that is explained.
    compute : callable, (x (B, 4, L), references (B, R', 4, L), args, rows) -> Block
        The method; `rows` is the number of rows that it may give to the model at a time.
    batch_size : int, optional
        Rows at a time, to begin with; fewer if they do not fit into memory.
    points : int
        Rows of one pair.
    """

    def __init__(
        self,
        request: Request,
        where: torch.device,
        predict: Callable[..., Tensor],
        compute: Callable[[Tensor, Tensor, tuple[Tensor, ...], int], Block],
        batch_size: int | None = None,
        *,
        points: int = 1,
    ):
        self._request, self._where, self._predict, self._compute = request, where, predict, compute
        self._points, self._checked = points, False
        self._round = request.limit if request.max_relative_error is None else min(ROUND, request.limit)
        if batch_size is None:
            batch_size = default_batch_size(predict, *self._on_device(torch.arange(1)))
            whole = self._round * points  # the rows of a sequence are better not divided
            batch_size = whole if batch_size < whole <= 2 * batch_size else batch_size
        self._batch_size = BatchSize(batch_size)

    def _on_device(self, rows: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self._request.sequences[rows].to(self._where), tuple(a[rows].to(self._where) for a in self._request.args)

    def _at_once(self) -> int:
        """Pairs in a block."""
        return max(1, self._batch_size.rows // self._points)

    def explain(self) -> dict[str, Tensor]:
        """The fields of a result by name (`Totals.result`).

        Raises
        ------
        SeqliftError
            If a single row does not fit into memory, or rows of a batch depend on each other.
        """
        fields: dict[str, Tensor] = {}
        n, first = len(self._request.sequences), 0
        while first < n:
            group = torch.arange(first, min(n, first + GROUP * max(1, self._at_once() // self._round)))
            for name, values in self._explain_group(group).items():
                if name not in fields:
                    fields[name] = values.new_empty(n, *values.shape[1:])
                fields[name][group] = values
            first += len(group)
        used = int(fields["n_references"].max())
        return {name: values[:, :used] if name in BY_REFERENCE else values for name, values in fields.items()}

    def _explain_group(self, group: Tensor) -> dict[str, Tensor]:
        request, start, active = self._request, 0, torch.arange(len(group))
        totals = Totals(request.sequences[group], request.limit, self._where)
        while start < request.limit and len(active):
            stop, done = min(start + self._round, request.limit), 0
            while done < len(active):
                rows = active[done : done + max(1, self._at_once() // (stop - start))]
                self._explain_round(group, rows, start, stop, totals)
                done += len(rows)
            start = stop
            if request.max_relative_error is not None:
                active = active[totals.unsure(request.max_relative_error)[active]]
        return totals.result()

    def _explain_round(self, group: Tensor, rows: Tensor, start: int, stop: int, totals: Totals) -> None:
        """Add references `start` to `stop` of some sequences, in one block, or in several if it is too large."""
        drawn = None if self._request.can_start_later else self._request.draw(group[rows], start, stop)
        row, column = 0, start
        while row < len(rows):
            n_parts = -(-(stop - start) // self._at_once())
            some = rows[row : row + max(1, self._at_once() // (stop - start))]
            columns = slice(column, min(stop, column - (start - stop) // n_parts))
            if drawn is None:
                references = self._request.draw(group[some], columns.start, columns.stop)
            else:
                references = drawn[row : row + len(some), columns.start - start : columns.stop - start]
            block = functools.partial(self._explain_block, group[some], references)
            summary = self._batch_size.attempt(block, self._points * len(some) * references.shape[1])
            if summary is not None:
                totals.add(some, columns, summary)
                column = columns.stop if columns.stop < stop else start
                row += len(some) if column == start else 0

    def _explain_block(self, rows: Tensor, references: Tensor) -> Summary:
        x, args = self._on_device(rows)
        references = references.detach().to(self._where, x.dtype)
        if self._request.center_first_layer:
            references = centred(x, references)
        check_finite(references, rows, "`references`: one of")
        block = self._compute(x, references, args, self._batch_size.rows)
        if not self._checked:  # after the method itself, whose errors say more about the model
            self._check_independence(references[:1, 0], int(rows[0]))
            self._checked = True
        check_finite(block.prediction, rows, "the model's output for")
        check_finite(block.reference_prediction, rows, "the model's output for a reference of")
        check_finite(block.multipliers, rows, "though its output is finite, the multiplier of a base of")
        return summarise(x, references, block)

    def _check_independence(self, reference: Tensor, row: int) -> None:
        """Check it with two different sequences, or with a sequence and a reference."""
        sequences = self._request.sequences
        other = next((i for i in range(len(sequences)) if not torch.equal(sequences[i], sequences[row])), row)
        x, args = self._on_device(torch.tensor([row, other]))
        x = torch.cat([x[:1], reference]) if other == row else x
        check_independence(self._predict, x, args)
