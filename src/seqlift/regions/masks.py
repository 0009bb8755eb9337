"""Masks: parts of a genome where regions are excluded, or to which they are limited.

Blacklists list places where reads pile up in every experiment (satellites, collapsed repeats), so that a peak there has
no biological meaning. Mappability tracks list the places where short reads map uniquely: elsewhere the absence of a
peak has no meaning.
"""

import os
from collections.abc import Mapping, Sequence

import pandas as pd

from seqlift.data.chromosomes import naming_advice, some
from seqlift.data.intervals import complement, merge_intervals, read_intervals
from seqlift.errors import SeqliftError

_NOWHERE = pd.DataFrame({"chrom": pd.Series(dtype=str), "start": pd.Series(dtype=int), "end": pd.Series(dtype=int)})


def read_mask(path: str | os.PathLike, sizes: Mapping[str, int], *, source: str) -> pd.DataFrame:
    """Read the intervals of a BED file that lie on a genome's chromosomes; others (alternative contigs) are left out.

    Parameters
    ----------
    path : path of the BED file
    sizes : mapping of str to int
        Chromosome -> length (bp).
    source : str
        The FASTA file, for messages.

    Returns
    -------
    pandas.DataFrame
        `chrom`, `start`, `end` (bp, 0-based, end exclusive), cut at the end of the chromosome.

    Raises
    ------
    SeqliftError
        If the file is broken, none of its chromosomes is known, or an interval lies past the end of its chromosome.
    """
    intervals = read_intervals(path)
    found = list(dict.fromkeys(intervals["chrom"]))
    if not set(found) & set(sizes):
        raise SeqliftError(
            f"{path}: none of its chromosomes ({some(found)}) is one of {source} ({some(sizes)}), so it would have no "
            f"effect. {naming_advice(found, found, sizes)}"
        )
    intervals = intervals[intervals["chrom"].isin(list(sizes))]
    size = intervals["chrom"].map(sizes).astype("int64")
    past = intervals[intervals["start"] >= size]
    if len(past):
        first = past.iloc[0]
        raise SeqliftError(
            f"{path}:{first['line']}: interval {first['chrom']}:{first['start']}-{first['end']} lies past the end of "
            f"{first['chrom']} ({sizes[first['chrom']]} bp in {source}), as do {len(past)} in all; use a file of the "
            "assembly of the FASTA file"
        )
    return intervals.assign(end=intervals["end"].clip(upper=size))[["chrom", "start", "end"]]


def read_masks(paths: Sequence[str | os.PathLike], sizes: Mapping[str, int], *, source: str) -> pd.DataFrame:
    """The intervals of all files together; for parameters and errors see `read_mask`."""
    return pd.concat([_NOWHERE, *(read_mask(path, sizes, source=source) for path in paths)], ignore_index=True)


def outside(paths: Sequence[str | os.PathLike], sizes: Mapping[str, int], *, source: str) -> pd.DataFrame:
    """Everything outside the intervals of at least one of the files; for parameters and errors see `read_mask`."""
    left = [complement(merge_intervals(read_mask(path, sizes, source=source)), sizes) for path in paths]
    return pd.concat([_NOWHERE, *left], ignore_index=True)


def widened(intervals: pd.DataFrame, by: int | pd.Series) -> pd.DataFrame:
    """The intervals extended by `by` bp on either side, also past the ends of their chromosomes."""
    return pd.DataFrame({"chrom": intervals["chrom"], "start": intervals["start"] - by, "end": intervals["end"] + by})
