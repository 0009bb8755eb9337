"""Masks: parts of a genome where no region may lie, or only where regions may lie.

Blacklists hold places where reads pile up whatever the experiment (satellites, collapsed repeats): a peak there says
nothing about biology. Mappability tracks hold the places that short reads can be told apart at: elsewhere the absence
of a peak says nothing.
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
        `chrom`, `start`, `end` (bp, 0-based, end exclusive); ends past the end of the chromosome are cut.

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
            f"{first['chrom']} ({sizes[first['chrom']]} bp in {source}), as do {len(past)} in all; the file is of "
            "another assembly: take the one of the FASTA file's"
        )
    return intervals.assign(end=intervals["end"].clip(upper=size))[["chrom", "start", "end"]]


def read_masks(paths: Sequence[str | os.PathLike], sizes: Mapping[str, int], *, source: str) -> pd.DataFrame:
    """The intervals of all files together; parameters and errors as `read_mask`."""
    return pd.concat([_NOWHERE, *(read_mask(path, sizes, source=source) for path in paths)], ignore_index=True)


def outside(paths: Sequence[str | os.PathLike], sizes: Mapping[str, int], *, source: str) -> pd.DataFrame:
    """What lies outside the intervals of at least one of the files; parameters and errors as `read_mask`.

    A window that does not overlap this lies inside one interval (or several that touch) of each file.
    """
    left = [complement(merge_intervals(read_mask(path, sizes, source=source)), sizes) for path in paths]
    return pd.concat([_NOWHERE, *left], ignore_index=True)


def widened(intervals: pd.DataFrame, by: int | pd.Series) -> pd.DataFrame:
    """The intervals with `by` bp more on either side; they may then reach past the ends of their chromosomes."""
    return pd.DataFrame({"chrom": intervals["chrom"], "start": intervals["start"] - by, "end": intervals["end"] + by})
