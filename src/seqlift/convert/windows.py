"""Coordinates of scores: which line of a BED file belongs to which row, and where its window lies.

Most programs keep the windows of their scores in a BED or narrowPeak file with one line a row. What a line means
differs: chrombpnet centres the window on the summit (column 10), bpnet-lite on the middle of the interval, whatever
column 10 says, and TF-MoDISco knows of no coordinates, so there a line must be the window itself. The window of L bp
around a centre starts at centre - L // 2.

Written here, each line is a narrowPeak line that is the window itself and has its middle as its summit: all three
rules, and Fi-NeMo's, lead to the same place.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.files import replacing
from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError
from seqlift.scores.file import place_names


def read_windows(
    path: str | os.PathLike, *, rows: int, length: int, rule: str, scores: str, kept: np.ndarray | None = None
) -> pd.DataFrame:
    """The windows of the rows of a score file from the BED file beside it.

    Parameters
    ----------
    path : path-like
        BED or narrowPeak, plain or gzipped, one line a row in the order of the rows.
    rows : int
        How many there must be.
    length : int, bp
        Of the windows.
    rule : "window", "summit" or "middle"
        What a line means (module docstring).
    scores : str
        The score file's name, for messages.
    kept : numpy.ndarray, shape (lines,), bool, optional
        Which lines have a row.

    Returns
    -------
    pandas.DataFrame, N rows
        chrom, start, end, name, strand. A line without a name gets its coordinates as name; a name that occurs
        several times gets .2, .3 and so on.

    Raises
    ------
    SeqliftError
        If the numbers of lines and rows differ, or a line does not give a window.
    """
    peaks = read_peaks(path)
    if kept is not None:
        if len(kept) != len(peaks):
            raise SeqliftError(
                f"{path}: {len(peaks)} lines, but the mask of kept loci has {len(kept)}; give the loci as bpnet-lite "
                "saw them: only those of its `chroms`, several files interleaved"
            )
        peaks = peaks[kept].reset_index(drop=True)
    if len(peaks) != rows:
        raise SeqliftError(
            f"{path}: {len(peaks)} lines for the {rows} rows of {scores}; each row needs its line, in the same order. "
            "Programs leave out windows that run off a chromosome: give the file that lists the windows they kept"
        )
    if rule == "window":
        wrong = peaks["end"] - peaks["start"] != length
        if wrong.any():
            one = peaks[wrong].iloc[0]
            raise SeqliftError(
                f"{path}:{one['line']}: {one['end'] - one['start']} bp, but the rows of {scores} have {length}; "
                "each line must be the window that was scored"
            )
        start = peaks["start"]
    else:
        centre = peaks["summit"] if rule == "summit" else (peaks["start"] + peaks["end"]) // 2
        start = centre - length // 2
    if (start < 0).any():
        one = peaks[start < 0].iloc[0]
        raise SeqliftError(
            f"{path}:{one['line']}: the window of {length} bp around it would start before its chromosome; the line "
            "cannot have a row: give the file that lists the windows that were scored"
        )
    table = pd.DataFrame({"chrom": peaks["chrom"], "start": start.astype(np.int64)})
    table["end"] = table["start"] + length
    table["name"] = unique_names(peaks["name"].where(peaks["name"] != "", place_names(table)))
    table["strand"] = peaks["strand"]
    return table


def unique_names(names: pd.Series) -> pd.Series:
    """Names, the second and later of the same numbered."""
    again = names.groupby(names).cumcount() + 1
    numbered = names.where(again == 1, names + "." + again.astype(str))
    return numbered if numbered.is_unique else unique_names(numbered)  # there may have been such a name already


def write_windows(coords: pd.DataFrame, path: Path) -> None:
    """The windows as narrowPeak lines, whole or not at all."""
    middle = (coords["end"] - coords["start"]) // 2
    table = coords[["chrom", "start", "end", "name"]].assign(
        score=0, strand=coords["strand"], signal=0, p=-1, q=-1, summit=middle
    )
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", header=False, index=False, lineterminator="\n")
