"""What the methods share: checking the call, and taking pairs of sequences and references through in blocks."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution import references as reference_kinds
from seqlift.attribution.output import select  # noqa: F401
from seqlift.attribution.pace import Pace
from seqlift.attribution.totals import BY_REFERENCE, Block, Totals, summarise
from seqlift.errors import SeqliftError

References = Tensor | Callable[[Tensor, int, int], Tensor] | None

ROUND = 10  # references that "auto" adds at a time
GROUP = 8  # blocks whose sequences are kept together, so that those that need more references still fill a block


def check_inputs(sequences: Tensor, args: tuple) -> tuple[Tensor, ...]:
    """Hold sequences (N, 4, L) and further inputs of the model (N, ...) against what every method needs.

    Returns
    -------
    tuple of torch.Tensor
        `args`.

    Raises
    ------
    SeqliftError
        Names the argument, its shape or value, and the rule.
    """
    if not isinstance(sequences, Tensor) or sequences.ndim != 3 or sequences.shape[1] != 4:
        shape = tuple(getattr(sequences, "shape", ()))
        raise SeqliftError(f"`sequences` must be a tensor of shape (N, 4, L), not {type(sequences).__name__} {shape}")
    if not len(sequences):
        raise SeqliftError(f"`sequences` of shape {tuple(sequences.shape)} holds no sequence")
    if not sequences.is_floating_point():
        raise SeqliftError(f"`sequences` (type {sequences.dtype}) must have a floating type, as the model's input does")
    args = tuple(args)
    for i, arg in enumerate(args):
        if not isinstance(arg, Tensor) or arg.ndim == 0 or len(arg) != len(sequences):
            raise SeqliftError(f"`args[{i}]` must be a tensor with a row for each of the {len(sequences)} sequences")
    return args


@dataclass(frozen=True)
class Request:
    """A checked call.

    Attributes
    ----------
    sequences : torch.Tensor, shape (N, 4, L)
    references : torch.Tensor, shape (N, R, 4, L), or callable
    limit : int
        How many references a sequence has, or has at most.
    error_share : float, or None
        Only so many references as bring the largest standard error of a sequence down to this share of its largest
        |contribution|; None: as many as `limit` says.
    args : tuple of torch.Tensor, shape (N, ...)
    seed : int
    center_first_layer : bool
    """

    sequences: Tensor
    references: Tensor | Callable[[Tensor, int, int], Tensor]
    limit: int
    error_share: float | None
    args: tuple[Tensor, ...]
    seed: int
    center_first_layer: bool

    @classmethod
    def check(
        cls,
        sequences: Tensor,
        references: References,
        n_references: int | str,
        args: tuple,
        seed: int,
        *,
        error_share: float = 0.1,
        max_references: int = 200,
        center_first_layer: bool = False,
    ) -> "Request":
        """Hold the arguments of a method's call against what it needs.

        Raises
        ------
        SeqliftError
            Names the argument, its shape or value, and the rule.
        """
        args = check_inputs(sequences, args)
        auto = n_references == "auto"
        if isinstance(references, Tensor):
            if auto:
                raise SeqliftError(
                    '`n_references="auto"` draws references as they are wanted: `references` must be a callable or '
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
            if not error_share > 0:
                raise SeqliftError(f"`error_share` (={error_share}) must be positive")
            if max_references < 2:
                raise SeqliftError(f"`max_references` (={max_references}) must be at least 2: one has no error")
        elif isinstance(n_references, str) or n_references < 1:
            raise SeqliftError(f'`n_references` (={n_references!r}) must be at least 1, or "auto"')
        references = reference_kinds.dinucleotide_shuffles if references is None else references
        limit, share = (max_references, error_share) if auto else (n_references, None)
        return cls(sequences.detach(), references, limit, share, args, seed, center_first_layer)

    def draw(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """References `start` to `stop` (exclusive) of the sequences in `rows` (B,): (B, stop - start, 4, L).

        Raises
        ------
        SeqliftError
            If a callable returns another shape.
        """
        if isinstance(self.references, Tensor):
            return self.references[rows, start:stop]
        sequences, n = self.sequences[rows], stop
        if start and "start" in inspect.signature(self.references).parameters:
            n = stop - start
            drawn = self.references(sequences, n, self.seed, start=start)
        else:  # reference k is the same however many are asked for
            drawn = self.references(sequences, n, self.seed)
        wanted = (len(rows), n, *sequences.shape[1:])
        if tuple(drawn.shape) != wanted:
            raise SeqliftError(f"`references` returned shape {tuple(drawn.shape)}; it must be {wanted}")
        return drawn[:, start - stop :]


def centred(x: Tensor, references: Tensor) -> Tensor:
    """References (B, R, 4, L) completed, so that at each position they sum over the bases to what x (B, 4, L) does.

    Mean-centring the weights of a first layer for one-hot input (arXiv 1605.01713 on constrained inputs) moves the mean
    over bases of each weight into the bias, times Σx. On a reference r, the centred layer gives what the layer as it is
    gives on r + (Σx - Σr) / 4. So centring is done without touching the model, on any model, and also where Σx is not 1
    (N, zero padding).
    """
    missing = x.sum(1)[:, None] - references.sum(2)
    return references + (missing / 4)[:, :, None]


def explain_pairs(
    request: Request,
    where: torch.device,
    predict: Callable[..., Tensor],
    compute: Callable[[Tensor, Tensor, tuple[Tensor, ...], int], Block],
    batch_size: int | None = None,
    *,
    points: int = 1,
) -> dict[str, Tensor]:
    """Take all pairs of a call through a method.

    Parameters
    ----------
    request : Request
    where : torch.device
        Of the model.
    predict : callable, (B, 4, L), *args -> (B,)
        The output that is explained.
    compute : callable, (x (B, 4, L), references (B, R', 4, L), args, rows) -> Block
        The method. `rows` is how many rows it may give to the model at a time.
    batch_size : int, optional
        Rows at a time, to begin with; fewer where the memory does not hold them.
    points : int
        Rows that one pair takes.

    Returns
    -------
    dict of torch.Tensor
        The fields of a result by name (`Totals.result`).

    Raises
    ------
    SeqliftError
        If a single row does not fit in the memory.
    """
    pace = Pace(default_batch_size(where, request.sequences.shape[-1]) if batch_size is None else batch_size)
    step = request.limit if request.error_share is None else min(ROUND, request.limit)
    fields: dict[str, Tensor] = {}
    n, first = len(request.sequences), 0
    while first < n:
        group = torch.arange(first, min(n, first + GROUP * max(1, pace.rows // points // step)))
        totals = Totals(request.sequences[group], request.limit, where)
        _explain_group(request, group, totals, step, functools.partial(_run, request, where, compute), pace, points)
        for name, values in totals.result().items():
            if name not in fields:
                fields[name] = values.new_empty(n, *values.shape[1:])
            fields[name][group] = values
        first += len(group)
    used = int(fields["n_references"].max())
    return {name: values[:, :used] if name in BY_REFERENCE else values for name, values in fields.items()}


def _explain_group(request, group, totals, step, run, pace, points) -> None:
    """Round by round, the sequences in `group`, until they have references enough."""
    start, active = 0, torch.arange(len(group))
    while start < request.limit and len(active):
        stop, done = min(start + step, request.limit), 0
        while done < len(active):
            rows = active[done : done + max(1, pace.rows // points // (stop - start))]
            references = request.draw(group[rows], start, stop)
            done += len(rows)
            row = column = 0
            while row < len(rows):  # smaller blocks only where the references of a sequence do not fit in one
                pairs = max(1, pace.rows // points)
                some = rows[row : row + max(1, pairs // references.shape[1])]
                columns = slice(column, min(column + pairs, references.shape[1]))
                r = references[row : row + len(some), columns]
                taken = functools.partial(run, group[some], r, pace.rows)
                summary = pace.attempt(taken, points * len(some) * r.shape[1])
                if summary is not None:
                    totals.add(some, slice(start + columns.start, start + columns.stop), summary)
                    column = columns.stop % references.shape[1]
                    row += 0 if column else len(some)
        start = stop
        if request.error_share is not None:
            active = active[totals.unsure(request.error_share)[active]]


def _run(request: Request, where: torch.device, compute: Callable, rows: Tensor, references: Tensor, at_once: int):
    x = request.sequences[rows].to(where)
    references = references.detach().to(where, x.dtype)
    if request.center_first_layer:
        references = centred(x, references)
    args = tuple(arg[rows].to(where) for arg in request.args)
    return summarise(x, references, compute(x, references, args, at_once))


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
