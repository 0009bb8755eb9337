"""The values of a track: one number for each base of each region of a score file, kept on disk while it is written.

`contribution`: of the base that is there. `standard-error`: of that contribution, over references. `difference`: of the
contributions of two methods for the same output and regions. A score file is compressed in blocks of its own rows,
while tracks need them sorted by place: so its rows are read once, in their order, and kept uncompressed in a temporary
file, from which any rows come quickly. No more than a block of rows is in memory, whatever the number of regions.
"""

import contextlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import some
from seqlift.errors import SeqliftError
from seqlift.scores.file import Scores, open_scores
from seqlift.tracks.laying import RowsByIndex

VALUES = ("contribution", "standard-error")  # of one score file; with --minus a `difference`
_NUMBERS = 2**22  # of a score file read at once


@dataclass(frozen=True)
class Source:
    """Numbers of regions, ready to be laid on the genome.

    Attributes
    ----------
    name : str
        The file that they come from, for messages.
    coords : pandas.DataFrame, N rows
        chrom, start, end (bp, 0-based, end exclusive), name.
    values : numpy.memmap or Rows, shape (N, L), float32
        NaN where there is nothing: the base is N.
    about : dict
        `target`, `method`, `value`, `scores`, `minus` (file names), `model_fingerprint`: what the track's JSON says.
    """

    name: str
    coords: pd.DataFrame
    values: RowsByIndex
    about: dict

    def by_chromosome(self, sizes: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
        """Row numbers of each chromosome that has any, in the order of `sizes`."""
        rows = self.coords.groupby("chrom", sort=False).indices
        yield from ((chrom, rows[chrom]) for chrom in sizes if chrom in rows)

    def check_places(self, sizes: dict[str, int]) -> None:
        """Raise SeqliftError unless all regions lie on these chromosomes."""
        coords, length = self.coords, self.values.shape[1]
        size = coords["chrom"].map(sizes)
        unknown = coords["chrom"][size.isna()].unique()
        if len(unknown):
            raise SeqliftError(
                f"{self.name}: its regions lie on chromosomes that the genome lacks: {some(unknown)}; the genome has "
                f"{some(sizes)}; give the one that the regions were made from"
            )
        off = (coords["start"] < 0) | (coords["end"] > size) | (coords["end"] - coords["start"] != length)
        if off.any():
            row = coords[off].iloc[0]
            raise SeqliftError(
                f"{self.name}: {off.sum()} regions do not lie on the genome in {length} bp; the first is "
                f"{row['name']!r} at {row['chrom']}:{row['start']}-{row['end']} of {int(size[off].iloc[0])} bp; give "
                "the genome that the regions were made from"
            )


@contextlib.contextmanager
def scratch(shape: tuple[int, int], folder: str | os.PathLike) -> Iterator[np.memmap]:
    """An array of float32 on the disk, in a file without a name that goes with it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=os.fspath(folder)) as file:
        size = max(1, shape[0] * shape[1] * 4)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, size)  # so that a full disk says so here, not by a crash later
        else:
            file.truncate(size)
        yield np.memmap(file, np.float32, "r+", shape=shape)


class Rows:
    """Some rows of an array, read when they are indexed."""

    def __init__(self, values: RowsByIndex, rows: np.ndarray):
        self._values, self._rows = values, rows
        self.shape = (len(rows), values.shape[1])

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self._values[self._rows[index]]


@contextlib.contextmanager
def open_source(
    score_path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    minus: str | os.PathLike | None = None,
    value: str = "contribution",
) -> Iterator[Source]:
    """The values of a track of one score file, or of the difference of two.

    Parameters
    ----------
    score_path : path-like
    folder : path-like
        Holds the temporary file.
    minus : path-like, optional
        A second score file, whose contributions are taken away from those of the first.
    value : "contribution" or "standard-error"

    Raises
    ------
    SeqliftError
        If there is no region, a number is not finite, there is no standard error, or the two files do not belong
        together.
    """
    if value not in VALUES:
        raise SeqliftError(f"value {value!r} does not exist; choose one of {', '.join(VALUES)}")
    if minus is not None and value != "contribution":
        raise SeqliftError(f"a difference is one of contributions, not of {value}; leave out one of minus and value")
    with open_scores(score_path) as scores:
        if len(scores.coords) == 0:
            raise SeqliftError(f"{scores.path}: holds no regions, so there is nothing to lay on the genome")
        coords, (n, _, length) = scores.coords, scores.sequences.shape
        kept = np.ones(n, bool)
        about = {
            "target": str(scores.attributes["target"]),
            "method": str(scores.attributes["method"]),
            "value": value,
            "scores": Path(score_path).name,
            "minus": None,
            "model_fingerprint": str(scores.attributes.get("model_fingerprint", "")),
        }
        with scratch((n, length), folder) as values:
            if value == "standard-error":
                kept = _fill_errors(scores, values)
            else:
                _fill_contributions(scores, values)
            if minus is not None:
                with open_scores(minus) as second:
                    about |= _subtract(scores, second, values)
            shown: RowsByIndex = values
            if not kept.all():
                coords, shown = coords[kept].reset_index(drop=True), Rows(values, np.flatnonzero(kept))
            yield Source(str(score_path), coords, shown, about)


def _blocks(scores: Scores) -> Iterator[slice]:
    n, _, length = scores.contributions.shape
    rows = max(1, _NUMBERS // (4 * length))
    yield from (slice(row, min(row + rows, n)) for row in range(0, n, rows))


def _fill_contributions(scores: Scores, values: np.ndarray) -> None:
    """Contribution of the base that is there; NaN where there is none."""
    for rows in _blocks(scores):
        found = scores.contributions[rows].sum(axis=1)  # the other three channels are zero: exact
        _require_finite(scores, rows, np.isfinite(found).all(axis=1))
        found[~scores.sequences[rows].any(axis=1)] = np.nan
        values[rows] = found


def _fill_errors(scores: Scores, values: np.ndarray) -> np.ndarray:
    """Standard error of each contribution; returns which rows have one (N,): those of two and more references."""
    kept = np.zeros(len(scores.coords), bool)
    if scores.standard_error is not None:
        for rows in _blocks(scores):
            found = scores.standard_error[rows]
            kept[rows] = ~np.isnan(found).all(axis=1)
            _require_finite(scores, rows, np.isfinite(found).all(axis=1) | ~kept[rows])
            found[~scores.sequences[rows].any(axis=1)] = np.nan
            values[rows] = found
    if not kept.any():
        raise SeqliftError(
            f"{scores.path}: has no standard errors: each sequence was explained against one reference alone, or the "
            "scores were made elsewhere; take n_references of 2 or more, of references that are drawn at random"
        )
    return kept


def _subtract(scores: Scores, second: Scores, values: np.ndarray) -> dict:
    """Take the contributions of a second score file of the same regions away, row by row, whatever their order."""
    for name in ("target", "model_fingerprint"):
        ours, theirs = (str(file.attributes.get(name, "")) for file in (scores, second))
        if ours != theirs and "" not in (ours, theirs):  # scores from elsewhere do not say which model they explain
            raise SeqliftError(
                f"{second.path}: its {name} ({theirs}) is not that of {scores.path} ({ours}); a difference is of two "
                "methods that explain the same output of the same model"
            )
    keys = [pd.MultiIndex.from_frame(file.coords[["chrom", "start", "end", "name"]]) for file in (scores, second)]
    place = keys[0].get_indexer(keys[1]) if keys[0].is_unique else np.full(len(keys[1]), -1)
    if len(keys[0]) != len(keys[1]) or (np.sort(place) != np.arange(len(place))).any():
        raise SeqliftError(
            f"{second.path}: its {len(keys[1])} regions are not the {len(keys[0])} of {scores.path}; explain the same "
            "regions with both methods (same regions file, same max_regions and seed)"
        )
    sums = np.concatenate([_row_sums(scores, rows) for rows in _blocks(scores)])
    for rows in _blocks(second):
        found = second.contributions[rows].sum(axis=1)
        _require_finite(second, rows, np.isfinite(found).all(axis=1))
        differ = np.flatnonzero(_row_sums(second, rows) != sums[place[rows]])
        if len(differ):
            name = second.coords["name"].iloc[rows.start + differ[0]]
            raise SeqliftError(
                f"{second.path}: region {name!r} has another sequence than in {scores.path}; explain both on one genome"
            )
        values[place[rows]] -= found
    methods = f"{scores.attributes['method']} - {second.attributes['method']}"
    return {"method": methods, "value": "difference", "minus": second.path.name}


def _row_sums(scores: Scores, rows: slice) -> np.ndarray:
    return np.array([zlib.crc32(row.tobytes()) for row in scores.sequences[rows]])


def _require_finite(scores: Scores, rows: slice, good: np.ndarray) -> None:
    bad = np.flatnonzero(~good)
    if len(bad):
        row = rows.start + int(bad[0])
        raise SeqliftError(
            f"{scores.path}: {len(bad)} regions have scores that are not finite, the first is "
            f"{scores.coords['name'].iloc[row]!r} (row {row}); make the file again with `seqlift attribute`"
        )
