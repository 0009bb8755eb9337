"""Combine overlapping regions into one value for each base.

Where regions overlap a base has several scores, since each was made in another context. `nearest-summit` takes the
score of the region whose centre (start + length // 2, where the summit lies) is nearest, because there the model saw
the most sequence on both sides; a base half way between two centres takes the region with the lower start, and of
regions with the same start the one whose name sorts first. `mean` takes the mean over the regions that contain the
base.
Neither depends on the order of the rows, nor on how many of them are in memory at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

POLICIES = ("nearest-summit", "mean")
_VALUES = 2**21  # at a time: some tens of MB


class RowsByIndex(Protocol):
    """What gives rows by an index array, shape (n, L), float32: an array, in memory or on the disk, or rows of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray: ...


class Laid(NamedTuple):
    """Some bases of a chromosome.

    Attributes
    ----------
    positions : numpy.ndarray, shape (m,), int64, bp, 0-based, rising
    values : numpy.ndarray, shape (m,), float32
    several : int
        How many of them lie in more than one region: there the policy decided.
    """

    positions: np.ndarray
    values: np.ndarray
    several: int


def lay(
    starts: np.ndarray, names: np.ndarray, values: RowsByIndex, overlap: str, at_once: int = _VALUES
) -> Iterator[Laid]:
    """One value for each base of one chromosome, from windows of one length.

    Parameters
    ----------
    starts : numpy.ndarray, shape (n,), int, bp, 0-based
    names : numpy.ndarray, shape (n,), str
        Break ties between windows with the same start.
    values : RowsByIndex, shape (n, L), float32
        NaN where there is nothing (N). May lie on the disk: a block of rows is read at a time.
    overlap : "nearest-summit" or "mean"
    at_once : int
        Values in memory at a time. Changes no result.

    Yields
    ------
    Laid
        Of blocks that follow one another on the chromosome.
    """
    order = np.lexsort((names, starts))
    starts = np.asarray(starts)[order].astype(np.int64)
    rows = max(1, at_once // max(1, values.shape[1]))
    return (_mean if overlap == "mean" else _nearest)(starts, order, values, rows)


def runs(positions: np.ndarray) -> Iterator[tuple[int, int]]:
    """Index ranges (begin, end) of stretches without a gap."""
    if len(positions):
        edges = np.flatnonzero(np.diff(positions) != 1) + 1
        yield from zip([0, *edges.tolist()], [*edges.tolist(), len(positions)], strict=True)


def _nearest(starts: np.ndarray, order: np.ndarray, values: RowsByIndex, rows: int) -> Iterator[Laid]:
    length = values.shape[1]
    first = np.concatenate([[True], starts[1:] > starts[:-1]])
    alone = np.diff([*np.flatnonzero(first).tolist(), len(starts)]) == 1  # no other window has this start
    starts, order = starts[first], order[first]
    # Windows of one length: sorted by start they are sorted by centre too, and each owns the stretch around its centre
    # up to half way to its neighbours, or to its own end if that comes first.
    centres = starts + length // 2
    last = starts + length
    last[:-1] = np.minimum(last[:-1], (centres[:-1] + centres[1:]) // 2 + 1)
    begin = np.concatenate([starts[:1], np.maximum(starts[1:], last[:-1])])
    # Between these two no other window lies
    before = np.where(alone, np.concatenate([starts[:1], starts[:-1] + length]), last)
    after = np.where(alone, np.concatenate([starts[1:], starts[-1:] + length]), last)
    for row in range(0, len(starts), rows):
        block = slice(row, row + rows)
        found = np.asarray(values[order[block]])  # (b, L)
        positions = starts[block, None] + np.arange(length)
        mine = (positions >= begin[block, None]) & (positions < last[block, None]) & ~np.isnan(found)
        shared = mine & ((positions < before[block, None]) | (positions >= after[block, None]))
        yield Laid(positions[mine], found[mine], int(shared.sum()))


def _mean(starts: np.ndarray, order: np.ndarray, values: RowsByIndex, rows: int) -> Iterator[Laid]:
    n, length = len(starts), values.shape[1]
    # Gaps between windows are left out, so that a place for every base fits into memory: `place` of each start
    place = np.concatenate([[0], np.cumsum(np.minimum(np.diff(starts), length))])
    total, count = np.zeros(0), np.zeros(0, np.int64)  # of bases that the next block may have, too
    for row in range(0, n, rows):
        here = slice(row, min(row + rows, n))
        end = place[here.stop - 1] + length - place[row]
        total, count = (np.concatenate([kept, np.zeros(end - len(kept), kept.dtype)]) for kept in (total, count))
        found = np.asarray(values[order[here]])  # (b, L)
        known = ~np.isnan(found)
        at = (place[here] - place[row])[:, None] + np.arange(length)
        np.add.at(total, at[known], found[known].astype(np.float64))  # one after the other, so blocks change nothing
        np.add.at(count, at[known], 1)
        done = place[here.stop] - place[row] if here.stop < n else end
        held = np.flatnonzero(count[:done])
        window = row + np.searchsorted(place[here] - place[row], held, side="right") - 1
        positions = starts[window] + held - (place[window] - place[row])
        yield Laid(positions, (total[held] / count[held]).astype(np.float32), int((count[held] > 1).sum()))
        total, count = total[done:], count[done:]
