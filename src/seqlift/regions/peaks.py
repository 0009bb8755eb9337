"""The peaks of all targets on one genome: which become the centre of a region, and the labels of a window.

Peaks of one binding site differ by a few bases between experiments, so those with summits near each other are one
region. A peak caller's weakest peaks are partly noise: they may be left out as centres, but a window with one is not an
example of an unbound window either. Its label is unknown.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import naming_advice, some
from seqlift.data.genome import Genome
from seqlift.data.intervals import merge_intervals, overlapping, read_peaks
from seqlift.data.targets import Target
from seqlift.errors import SeqliftError
from seqlift.regions.masks import widened
from seqlift.regions.settings import RegionSettings
from seqlift.regions.splits import Splits, matching
from seqlift.regions.windows import window_content

MIN_PEAKS = 10  # a target with fewer has too little for training and test

# Reasons why a peak is not the centre of a region; the first that applies is counted
DROPPED = {
    "excluded_chromosome": "on an excluded chromosome",
    "masked": "its window and the room for jitter overlap an excluded region, or leave the included ones",
    "below_top_fraction": "score below the fraction of peaks kept",
    "off_chromosome": "its window and the room for jitter reach past the end of the chromosome",
    "between_splits": "its window and the room for jitter lie across the border between two splits",
    "too_many_n": "too many N in its window",
    "merged": "merged into the region of a peak nearby that ranks as high or higher",
    "unlabelled": "no known label for its window",
    "duplicate": "its sequence is that of a region of another split",
}


def read_target_peaks(targets: Sequence[Target], genome: Genome, excluded: Sequence[str]) -> pd.DataFrame:
    """The peaks of all targets, by chromosome and summit.

    Parameters
    ----------
    targets : sequence of Target
    genome : Genome
    excluded : sequence of str
        Shell patterns of chromosomes that the genome need not have.

    Returns
    -------
    pandas.DataFrame
        Columns of `seqlift.data.intervals.read_peaks`, with `target` (its number), `file` (its name) and `place` (of
        the chromosome in the genome; the number of chromosomes if the genome lacks it).

    Raises
    ------
    SeqliftError
        If a file is broken, does not fit the genome, or has fewer than `MIN_PEAKS` peaks.
    """
    tables = []
    for number, target in enumerate(targets):
        peaks = read_genome_peaks(target.peaks, genome, excluded)
        if len(peaks) < MIN_PEAKS:
            raise SeqliftError(
                f"{target.peaks}: target {target.name!r} has {len(peaks)} peaks, at least {MIN_PEAKS} are needed, "
                "better hundreds; use the peak caller's full list, or leave the target out"
            )
        tables.append(peaks.assign(target=number))
    peaks = pd.concat(tables, ignore_index=True)
    keys = [peaks["line"], peaks["target"], peaks["end"], peaks["start"], peaks["summit"], peaks["chrom"]]
    return peaks.iloc[np.lexsort([*keys, peaks["place"]])].reset_index(drop=True)


def read_genome_peaks(path: str | os.PathLike, genome: Genome, excluded: Sequence[str]) -> pd.DataFrame:
    """The peaks of one file, checked against the genome; see `read_target_peaks`."""
    peaks = read_peaks(path)
    present = list(dict.fromkeys(peaks["chrom"]))
    left_out = matching(present, excluded)
    missing = [chrom for chrom in present if chrom not in genome.sizes and chrom not in left_out]
    if missing:
        rows = peaks[peaks["chrom"].isin(missing)]
        raise SeqliftError(
            f"{path}:{rows['line'].iloc[0]}: {len(rows)} of {len(peaks)} peaks lie on chromosomes that the FASTA file "
            f"lacks: {some(missing)}; {genome.path} has {some(genome.sizes)}. "
            f"{naming_advice(missing, present, genome.sizes)}"
        )
    size = peaks["chrom"].map(genome.sizes)  # NaN where excluded and not in the FASTA file
    off = peaks[peaks["summit"] >= size]
    if len(off):
        first = off.iloc[0]
        raise SeqliftError(
            f"{path}:{first['line']}: summit {first['summit']} lies past the end of {first['chrom']} "
            f"({genome.sizes[first['chrom']]} bp in {genome.path}), as do {len(off)} in all; use the FASTA file of the "
            "assembly of the peaks"
        )
    order = {chrom: number for number, chrom in enumerate(genome.sizes)}
    place = peaks["chrom"].map(order).fillna(len(order)).astype(np.int64)
    return peaks.assign(file=Path(path).name, place=place)


def _rank_by_score(
    peaks: pd.DataFrame, aside: np.ndarray, targets: Sequence[Target], top_fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fraction of its target's peaks that score higher (0: the best), and whether a peak is below the fraction kept.

    Peaks `aside`, shape (N,) bool, do not count.
    """
    rank = np.zeros(len(peaks))
    weak = np.zeros(len(peaks), dtype=bool)
    number_of = peaks["target"].to_numpy()
    for number, target in enumerate(targets):
        rows = np.flatnonzero((number_of == number) & ~aside)
        scores = peaks["score"].iloc[rows]
        if top_fraction < 1:
            _check_scores(scores, peaks["line"].iloc[rows], target, top_fraction)
        if len(scores) and not scores.isna().any():
            higher = scores.rank(method="min", ascending=False).to_numpy() - 1
            rank[rows] = higher / len(scores)
            # The number kept is rounded to the nearest, at least one
            weak[rows] = higher >= max(1, np.floor(top_fraction * len(scores) + 0.5))
    return rank, weak


def _check_scores(scores: pd.Series, lines: pd.Series, target: Target, top_fraction: float) -> None:
    remedy = f"top_fraction ({top_fraction}) keeps the best by score: add scores or set it to 1"
    without = lines[scores.isna()]
    if len(without):
        raise SeqliftError(
            f"{target.peaks}:{without.min()}: no score in column 5, as in {len(without)} of {len(scores)} peaks of "
            f"target {target.name!r}; {remedy}"
        )
    if len(scores) > 1 and scores.nunique() == 1:
        raise SeqliftError(
            f"{target.peaks}: all peaks of target {target.name!r} have the same score ({scores.iloc[0]:g}, column 5); "
            f"{remedy}"
        )


def place_windows(
    peaks: pd.DataFrame,
    targets: Sequence[Target],
    genome: Genome,
    splits: Splits,
    masked: pd.DataFrame,
    settings: RegionSettings,
) -> pd.DataFrame:
    """Place a window around each peak and decide which peaks are the centre of a region (rules in `make_regions`).

    Parameters
    ----------
    peaks : pandas.DataFrame
        From `read_target_peaks`.
    targets : sequence of Target
    genome : Genome
    splits : Splits
    masked : pandas.DataFrame
        `chrom`, `start`, `end`: intervals that no region may overlap.
    settings : RegionSettings

    Returns
    -------
    pandas.DataFrame
        The peaks, with `start` and `end` of their windows (the peaks' own are `peak_start` and `peak_end`), `rank`,
        `uncertain` (bool: the label is unknown), `split`, `gc`, and `dropped` (a key of `DROPPED`, '' for a centre).
    """
    margin = settings.jitter
    windows = pd.DataFrame({"chrom": peaks["chrom"], "start": peaks["summit"] - settings.length // 2})
    windows["end"] = windows["start"] + settings.length
    excluded = ~peaks["chrom"].isin(list(splits.parts)).to_numpy()
    in_mask = overlapping(widened(windows, margin), merge_intervals(masked))
    rank, weak = _rank_by_score(peaks, excluded | in_mask, targets, settings.top_fraction)
    size = peaks["chrom"].map(genome.sizes).fillna(0).to_numpy()
    off = ((windows["start"] - margin < 0) | (windows["end"] + margin > size)).to_numpy()
    split = splits.of(windows, margin)
    gc, n_fraction = np.zeros(len(peaks)), np.zeros(len(peaks))
    whole = np.flatnonzero(~off & ~excluded)
    gc[whole], n_fraction[whole] = measure_windows(windows.iloc[whole], genome, settings.length)
    dropped = np.select(
        [excluded, in_mask, weak, off, split == "", n_fraction > settings.max_n_fraction],
        ["excluded_chromosome", "masked", "below_top_fraction", "off_chromosome", "between_splits", "too_many_n"],
        default="",
    ).astype(object)
    placed = peaks.rename(columns={"start": "peak_start", "end": "peak_end"}).assign(
        start=windows["start"], end=windows["end"], rank=rank, uncertain=weak | in_mask, split=split, gc=gc
    )
    left = np.flatnonzero(dropped == "")
    dropped[left[merged(placed.iloc[left], settings.merge_distance)]] = "merged"
    return placed.assign(dropped=dropped)


def measure_windows(windows: pd.DataFrame, genome: Genome, length: int) -> tuple[np.ndarray, np.ndarray]:
    """GC content and fraction of N of windows (`chrom`, `start`) within their chromosomes, each shape (N,)."""
    gc, n_fraction = np.zeros(len(windows)), np.zeros(len(windows))
    starts = windows["start"].to_numpy()
    for chrom, rows in windows.groupby("chrom").indices.items():
        gc[rows], n_fraction[rows] = window_content(genome.codes(chrom), starts[rows], length)
    return gc, n_fraction


def merged(peaks: pd.DataFrame, distance: int) -> np.ndarray:
    """Which peaks are merged into a better one at most `distance` bp away, shape (N,) bool (rules in `make_regions`).

    `peaks` has the columns `place`, `summit` (sorted by both), `target` and `rank`.
    """
    summits = _on_one_line(peaks["place"], peaks["summit"])
    first = np.searchsorted(summits, summits - distance).tolist()
    last = np.searchsorted(summits, summits + distance, side="right").tolist()
    gone = np.zeros(len(peaks), dtype=bool)
    for turn in np.lexsort([summits, peaks["target"], peaks["rank"]]).tolist():
        if not gone[turn]:
            gone[first[turn] : last[turn]] = True
            gone[turn] = False  # no later turn can reach it: all within its distance are merged now
    return gone


def _summits_inside(peaks: pd.DataFrame, windows: pd.DataFrame, n_targets: int) -> np.ndarray:
    """Which targets have a summit in each window, shape (N, n_targets) bool."""
    begin = _on_one_line(windows["place"], windows["start"])
    end = _on_one_line(windows["place"], windows["end"])
    inside = np.zeros((len(windows), n_targets), dtype=bool)
    summits = _on_one_line(peaks["place"], peaks["summit"])
    for number in range(n_targets):
        known = summits[(peaks["target"] == number).to_numpy()]
        inside[:, number] = np.searchsorted(known, begin) < np.searchsorted(known, end)
    return inside


def _on_one_line(place: pd.Series, position: pd.Series) -> np.ndarray:
    """Positions on all chromosomes end to end, far apart: one sorted search serves all."""
    return (place.to_numpy(np.int64) << 40) + position.to_numpy(np.int64)


def labels(peaks: pd.DataFrame, windows: pd.DataFrame, unlabelled: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """The label of each window for each target: 1 with a certain summit, NaN if unknown, else 0.

    Parameters
    ----------
    peaks : pandas.DataFrame
        `place`, `summit` (sorted by both), `target` and `uncertain` (bool).
    windows : pandas.DataFrame, N rows
        `chrom`, `start`, `end`, `place`.
    unlabelled : sequence of dict
        For each target the merged intervals where its label is unknown.

    Returns
    -------
    numpy.ndarray, shape (N, T), float64
    """
    uncertain = peaks["uncertain"].to_numpy()
    strong = _summits_inside(peaks[~uncertain], windows, len(unlabelled))
    weak = _summits_inside(peaks[uncertain], windows, len(unlabelled))
    found = np.where(strong, 1.0, np.where(weak, np.nan, 0.0))
    for number, intervals in enumerate(unlabelled):
        if intervals:
            found[overlapping(windows, intervals), number] = np.nan
    return found
