"""Average the scores around sites.

A site is one base: the summit of a narrowPeak line, or the middle of another interval. For a line of w bp the base w
// 2 from its first, counted along its strand, so that motif hits on both strands lie base on
base. Sites on the - strand are read as their reverse complement; those without strand as on the + strand.

A site takes its scores from the region that contains it; of several from the one whose centre is nearest, as tracks do
(`seqlift.tracks`), since there the model saw the most sequence on both sides. Positions beyond the end of the region,
and N, have no score: each position has its own number of sites.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError
from seqlift.scores.file import Scores, open_scores

FORMAT = "seqlift aggregate 1"
HEAT_ROWS = 300  # of the heat map: more could not be distinguished
_ROWS = 1024  # regions in memory at a time
_SITES = 4096  # windows in memory at a time


@dataclass(frozen=True)
class Summary:
    """Summary of an average; written as `<prefix>.json`.

    Attributes
    ----------
    format, target, method : str
    scores, sites : str
        Names of the files.
    model_fingerprint : str
        "" if the score file does not say.
    flank : int, bp
        Positions from -flank to +flank.
    total : int
        Sites in the file.
    used : int
        Sites that lie in a scored region.
    outside : int
        Sites that do not, and were left out.
    cut : int
        Of those used: some positions have no score (beyond the region's end, or N).
    minus, unstranded : int
        Of those used: on the - strand; without strand, read as on the + strand.
    message : str
        Why there is nothing to see; "" if there is.
    """

    format: str
    target: str
    method: str
    scores: str
    sites: str
    model_fingerprint: str
    flank: int
    total: int
    used: int
    outside: int
    cut: int
    minus: int
    unstranded: int
    message: str


@dataclass(frozen=True)
class Aggregate:
    """The average of scores around sites; W = 2 × flank + 1 positions.

    Attributes
    ----------
    summary : Summary
    table : pandas.DataFrame, W rows
        `position` (bp from the site, along its strand), `mean` and `standard_error` over sites of the contribution of
        the base that is there, `n` (sites with a score), and `A`, `C`, `G`, `T`: what each base adds to the mean.
        NaN where n is 0; no standard error where n is 1.
    heat : numpy.ndarray, shape (rows, W), float64
        Contributions, the sites with the largest total first; where there are more than 300 sites each row is the mean
        of neighbours. NaN where there is no score.
    """

    summary: Summary
    table: pd.DataFrame
    heat: np.ndarray


def aggregate(score_path: str | os.PathLike, sites_path: str | os.PathLike, *, flank: int = 50) -> Aggregate:
    """Average the scores of one file around the sites of a BED file.

    Parameters
    ----------
    score_path : path-like
    sites_path : path-like
        BED or narrowPeak, plain or gzipped.
    flank : int, bp
        How far to look on either side of a site.

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, flank is not positive, or the files do not share one chromosome.
    """
    if flank < 1:
        raise SeqliftError(f"`flank` (={flank}) must be at least 1 bp")
    peaks = read_peaks(sites_path)
    with open_scores(score_path) as scores:
        if not len(scores.coords):
            raise SeqliftError(f"{scores.path}: holds no regions, so there is nothing to average")
        _check_chromosomes(scores, peaks, sites_path)
        sites = place_sites(scores.coords, peaks)
        table, totals, cut = _average(scores, sites, flank)
        heat = _heat_map(scores, sites, totals, flank)
    total, used = len(peaks), len(sites)
    message = "" if used else f"None of the {total} sites lies in a scored region: there is nothing to average."
    summary = Summary(
        format=FORMAT,
        target=str(scores.attributes["target"]),
        method=str(scores.attributes["method"]),
        scores=Path(score_path).name,
        sites=Path(sites_path).name,
        model_fingerprint=str(scores.attributes.get("model_fingerprint", "")),
        flank=flank,
        total=total,
        used=used,
        outside=total - used,
        cut=cut,
        minus=int((sites["strand"] == "-").sum()),
        unstranded=int((sites["strand"] == ".").sum()),
        message=message,
    )
    return Aggregate(summary, table, heat)


def _check_chromosomes(scores: Scores, peaks: pd.DataFrame, sites_path: str | os.PathLike) -> None:
    known = scores.coords["chrom"].unique()
    if not peaks["chrom"].isin(known).any():
        raise SeqliftError(
            f"{sites_path}: none of its chromosomes ({', '.join(map(repr, peaks['chrom'].unique()[:3]))}, ...) has "
            f"scores in {scores.path} ({', '.join(map(repr, known[:3]))}, ...); are the names of another assembly?"
        )


def place_sites(coords: pd.DataFrame, peaks: pd.DataFrame) -> pd.DataFrame:
    """The region of each site that lies in one.

    Parameters
    ----------
    coords : pandas.DataFrame, N rows
        chrom, start, end (bp, 0-based, end exclusive; all of one length) and name of the regions.
    peaks : pandas.DataFrame
        From `seqlift.data.intervals.read_peaks`.

    Returns
    -------
    pandas.DataFrame
        `row` of the region, `offset` of the site in it (bp), `strand`, `line` of the file; sorted by row, offset,
        strand and line.
    """
    middle = (peaks["start"] + peaks["end"]) // 2
    mirrored = peaks["end"] - 1 - (peaks["end"] - peaks["start"]) // 2
    own_summit = peaks["summit"] != middle
    centre = peaks["summit"].where(own_summit | (peaks["strand"] != "-"), mirrored).to_numpy()
    length = int(coords["end"].iloc[0] - coords["start"].iloc[0])
    rows, offsets = np.full(len(peaks), -1), np.zeros(len(peaks), np.int64)
    regions = coords.groupby("chrom", sort=False).indices
    for chrom, places in peaks.groupby("chrom", sort=False).indices.items():
        if chrom in regions:
            here = regions[chrom]
            starts = coords["start"].to_numpy()[here]
            order = np.lexsort((coords["name"].to_numpy().astype(str)[here], starts))
            here, starts = here[order], starts[order]
            first = np.unique(starts, return_index=True)[1]  # of regions at one place the one whose name sorts first
            chosen = _nearest(starts[first], centre[places], length)
            rows[places] = np.where(chosen < 0, -1, here[first][chosen])
            offsets[places] = np.where(chosen < 0, 0, centre[places] - starts[first][chosen])
    table = pd.DataFrame({"row": rows, "offset": offsets, "strand": peaks["strand"], "line": peaks["line"]})
    return table[rows >= 0].sort_values(["row", "offset", "strand", "line"], ignore_index=True)


def _nearest(starts: np.ndarray, centres: np.ndarray, length: int) -> np.ndarray:
    """Of windows with rising starts, the one that holds each position and has the nearest centre; -1 for none.

    A position half way between two centres takes the window with the lower start.
    """
    after = np.searchsorted(starts, centres - length // 2, side="right")
    best, distance = np.full(len(centres), -1), np.full(len(centres), length + 1)
    for neighbour in (after - 1, after):
        inside = (neighbour >= 0) & (neighbour < len(starts))
        place = centres - starts[np.where(inside, neighbour, 0)]
        inside &= (place >= 0) & (place < length)
        far = np.abs(place - length // 2)
        better = inside & (far < distance)
        best[better], distance[better] = neighbour[better], far[better]
    return best


def _windows(scores: Scores, sites: pd.DataFrame, flank: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Which sites, their contributions (n, W, 4) by base along their strand, and where there is a score (n, W)."""
    rows, offsets, minus = sites["row"].to_numpy(), sites["offset"].to_numpy(), (sites["strand"] == "-").to_numpy()
    pad = ((0, 0), (0, 0), (flank, flank))
    for low in range(0, len(scores.coords), _ROWS):
        begin, end = np.searchsorted(rows, [low, low + _ROWS])
        if begin == end:
            continue
        contributions = np.pad(scores.contributions[low : low + _ROWS], pad)
        known = np.any(np.pad(scores.sequences[low : low + _ROWS], pad), axis=1)
        for first in range(begin, end, _SITES):
            part = slice(first, min(first + _SITES, end))
            row, position = rows[part, None] - low, offsets[part, None] + np.arange(2 * flank + 1)
            values, there = contributions[row, :, position], known[row, position]
            back = minus[part]
            values[back], there[back] = values[back, ::-1, ::-1], there[back, ::-1]  # A C G T backwards: T G C A
            yield part, values, there


def _average(scores: Scores, sites: pd.DataFrame, flank: int) -> tuple[pd.DataFrame, np.ndarray, int]:
    """The table, each site's total contribution, and how many sites lack positions."""
    width = 2 * flank + 1
    by_base, squares, n = np.zeros((width, 4)), np.zeros(width), np.zeros(width, np.int64)
    totals, cut = np.zeros(len(sites)), 0
    for part, values, there in _windows(scores, sites, flank):
        values = values.astype(np.float64)
        one = values.sum(axis=2)
        by_base += values.sum(axis=0)
        squares += (one**2).sum(axis=0)
        n += there.sum(axis=0)
        totals[part] = one.sum(axis=1)
        cut += int((~there.all(axis=1)).sum())
    count = np.where(n > 0, n, np.nan)
    mean = by_base.sum(axis=1) / count
    variance = np.maximum(squares / count - mean**2, 0) * count / np.where(n > 1, n - 1, np.nan)
    table = pd.DataFrame({"position": np.arange(-flank, flank + 1), "mean": mean})
    table["standard_error"], table["n"] = np.sqrt(variance / count), n
    for base, column in zip("ACGT", by_base.T, strict=True):
        table[base] = column / count
    return table, totals, cut


def _heat_map(scores: Scores, sites: pd.DataFrame, totals: np.ndarray, flank: int) -> np.ndarray:
    """Sites by falling total contribution, neighbours averaged where there are too many."""
    n_rows = min(len(sites), HEAT_ROWS)
    rank = np.empty(len(sites), np.int64)
    rank[np.argsort(-totals, kind="stable")] = np.arange(len(sites))
    heat_row = rank * n_rows // max(1, len(sites))
    total, n = np.zeros((n_rows, 2 * flank + 1)), np.zeros((n_rows, 2 * flank + 1))
    for part, values, there in _windows(scores, sites, flank):
        np.add.at(total, heat_row[part], values.sum(axis=2))
        np.add.at(n, heat_row[part], there)
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
