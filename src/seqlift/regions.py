"""Regions: the windows a model is trained and judged on, each with its labels and its split.

A region is a window of one length around the summit of a peak, or a negative. It carries one label a target: 1 where
the target has a peak, 0 where it has none. Regions are split by chromosome into train, valid and test, because
neighbouring or overlapping windows share bases, and a model must be judged on sequence it has not seen.
"""

import fnmatch
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.genome import Genome
from seqlift.intervals import read_peaks
from seqlift.negatives import draw_negatives, gc_histogram, window_content
from seqlift.region_table import (
    COLUMNS,
    FORMAT,
    KINDS,
    SIGNAL_PREFIX,
    SPLITS,
    TARGET_PREFIX,
    Regions,
    assign_fold,
    fold_names,
    labels_of,
    read_regions,
    target_names,
    write_regions,
)
from seqlift.targets import Target

__all__ = [
    "COLUMNS",
    "DROPPED",
    "FORMAT",
    "KINDS",
    "NEGATIVES",
    "SIGNAL_PREFIX",
    "SPLITS",
    "TARGET_PREFIX",
    "Regions",
    "assign_fold",
    "fold_names",
    "labels_of",
    "make_regions",
    "read_regions",
    "target_names",
    "write_regions",
]

NEGATIVES = ("genome", "shuffled")

# Why a peak is not the centre of a region. In this order: the first that holds is counted.
DROPPED = {
    "excluded_chromosome": "on a chromosome that is excluded",
    "below_top_share": "score below the share of peaks kept",
    "off_chromosome": "its window and the room for jitter run off the chromosome",
    "too_many_n": "its window holds too many N",
    "merged": "merged into the region of a peak nearby that ranks as high or higher",
    "uncertain_label": "its window holds a peak of another target whose score is below the share kept",
}


def make_regions(
    genome_path: str | os.PathLike,
    targets: Sequence[Target],
    *,
    length: int,
    valid: Sequence[str],
    test: Sequence[str],
    negatives: str = "genome",
    ratio: float = 1.0,
    min_distance: int = 1000,
    merge_distance: int = 0,
    top_share: float = 1.0,
    max_n_share: float = 0.1,
    jitter_margin: int = 0,
    exclude_chromosomes: Sequence[str] = (),
    seed: int = 1,
) -> Regions:
    """Make windows around the peaks of all targets, label them, split them and add negatives.

    The rules, none of which depends on the order of the lines of a file:

    - *Share kept.* Each target keeps the best `top_share` of its peaks by score, those on excluded chromosomes left
      aside. Peaks that tie with the last one kept are kept too, so no peak is dropped in favour of its equal.
    - *Windows.* `length` bp from `summit - length // 2`. A peak whose window, widened by `jitter_margin` on either
      side, runs off its chromosome, or whose window holds more than `max_n_share` of N, makes no region.
    - *Merging.* The peaks of all targets are taken in the order of their rank (share of its target's peaks that score
      higher; at equal rank, order of targets, then of chromosomes, then of summits). Each one not merged yet makes a
      region, and all other summits within `merge_distance` bp of its own are merged into it. So regions are centred
      on the best peak of their surroundings and the summits of two regions are more than `merge_distance` apart.
    - *Labels.* A region is positive for a target that has a summit among its best `top_share` inside the window. A
      region that holds only weaker summits of a target is neither positive nor negative for it; it is dropped and
      counted as `uncertain_label`.
    - *Negatives.* `ratio` negatives for each region with a peak, in each split; label 0 for all targets. Either drawn
      from the genome (see `seqlift.negatives`), at least `min_distance` bp away from all peaks that were read, also
      the weaker ones, and from the windows around their summits; or rows of kind `shuffled`, which stand for
      dinucleotide shuffles of a region's own window. Shuffle number k of a window is named `<name>_shuffle<k>`.

    Parameters
    ----------
    genome_path : path of a FASTA file
    targets : sequence of Target
    length : int
        Of each window (bp).
    valid, test : sequences of str
        Chromosomes held out; all others that are not excluded are for training.
    negatives : {"genome", "shuffled"}
    ratio : float
        Negatives for each region with a peak.
    min_distance, merge_distance, jitter_margin : int
        In bp. `merge_distance` is smaller than half the length, so that a merged summit lies inside the window.
    top_share, max_n_share : float
        Between 0 and 1.
    exclude_chromosomes : sequence of str
        Shell patterns, as `chrUn_*`. Their peaks may be on chromosomes that the FASTA file lacks.
    seed : int
        Of the drawing of negatives.

    Returns
    -------
    Regions
        In its summary, `dropped` counts for each reason the peaks that are not the centre of a region; together with
        the regions of kind `peak` they are all the peaks read. `used` counts a target's peaks that are the centre of
        a region, or merged into one, before regions of uncertain label are dropped.

    Raises
    ------
    SeqliftError
        On bad settings and bad files; if the FASTA file lacks a chromosome of the peaks; if a target has no peak or
        no negative left in a split; if the genome has too little room for the negatives.
    """
    _check_settings(targets, length, negatives, ratio, min_distance, merge_distance, top_share, max_n_share)
    if jitter_margin < 0:
        raise SeqliftError(f"jitter ({jitter_margin}) must not be negative")
    names = [target.name for target in targets]
    with Genome(genome_path) as genome:
        excluded = _matching(genome.sizes, exclude_chromosomes)
        splits = _split_chromosomes(genome, valid, test, excluded)
        peaks = _read_all(targets, genome, exclude_chromosomes)
        peaks["window"] = peaks["summit"] - length // 2
        peaks["excluded"] = ~peaks["chrom"].isin(splits)
        peaks["rank"], peaks["weak"] = _rank(peaks, targets, top_share)
        peaks = _measure_windows(peaks, genome, length, jitter_margin)
        peaks["dropped"] = np.select(
            [peaks["excluded"], peaks["weak"], peaks["off"], peaks["n_share"] > max_n_share],
            ["excluded_chromosome", "below_top_share", "off_chromosome", "too_many_n"],
            default="",
        )
        used = peaks.loc[peaks["dropped"] == "", "target"].value_counts()
        _merge(peaks, merge_distance)
        strong, weak = _summits_inside(peaks, names, length)
        uncertain = (peaks["dropped"] == "") & (weak & ~strong).any(axis=1)
        peaks.loc[uncertain, "dropped"] = "uncertain_label"
        centres = peaks["dropped"] == ""
        positives = _region_rows(peaks[centres], strong[centres], names, splits, length)
        if negatives == "shuffled":
            added = _shuffled_rows(positives, names, ratio, seed)
        else:
            added = draw_negatives(
                genome,
                positives,
                _around(peaks, length),
                length=length,
                n=round(ratio * len(positives)),
                min_distance=min_distance,
                max_n_share=max_n_share,
                splits=splits,
                seed=seed,
                jitter_margin=jitter_margin,
            )
            added = _genome_rows(added, names, length)
        table = pd.concat([positives, added], ignore_index=True) if len(added) else positives
        order = {chrom: number for number, chrom in enumerate(genome.sizes)}
        table = table.iloc[np.lexsort([table["name"], table["start"], table["chrom"].map(order)])]
        table = table.reset_index(drop=True)
        _check_splits(table, names, peaks, splits)
        summary = {
            "format": FORMAT,
            "length": length,
            "targets": names,
            "genome": {"path": str(genome_path), "sha256": genome.sha256, "chromosomes": genome.sizes},
            "splits": {split: [c for c in genome.sizes if splits.get(c) == split] for split in SPLITS},
            "settings": {
                "merge_distance": merge_distance,
                "top_share": top_share,
                "max_n_share": max_n_share,
                "jitter_margin": jitter_margin,
                "exclude_chromosomes": list(exclude_chromosomes),
            },
            "negatives": _describe_negatives(table, negatives, ratio, min_distance),
            "seed": seed,
            "signal": None,
            "folds": 0,
            "kept": _count(table, names),
            "regions": {split: int((table["split"] == split).sum()) for split in SPLITS},
            "dropped": {reason: int((peaks["dropped"] == reason).sum()) for reason in DROPPED},
            "peaks": {
                target.name: {
                    "path": str(target.peaks),
                    "read": int((peaks["target"] == number).sum()),
                    "used": int(used.get(number, 0)),
                }
                for number, target in enumerate(targets)
            },
        }
    return Regions(table, summary)


def _check_settings(targets, length, negatives, ratio, min_distance, merge_distance, top_share, max_n_share) -> None:
    if not targets:
        raise SeqliftError("no target is named; name at least one with its peaks")
    for name, count in Counter(target.name for target in targets).items():
        if count > 1:
            raise SeqliftError(f"target {name!r} is named {count} times; every target needs its own name")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise SeqliftError(
                f"target {name!r}: files are named after it; use letters, digits, '.', '_', '+' and '-' only"
            )
    if length < 1:
        raise SeqliftError(f"length ({length}) must be at least 1 bp")
    if negatives not in NEGATIVES:
        raise SeqliftError(f"negatives is {negatives!r}, must be one of {', '.join(NEGATIVES)}")
    if not 0 <= ratio < np.inf:
        raise SeqliftError(f"ratio ({ratio}) must not be negative: it is the number of negatives for each positive")
    if min_distance < 0:
        raise SeqliftError(f"min_distance ({min_distance}) must not be negative")
    if not 0 <= merge_distance <= (length - 1) // 2:
        raise SeqliftError(
            f"merge_distance ({merge_distance}) must be from 0 to {(length - 1) // 2}: below half of length "
            f"({length}), so that summits merged into a region lie inside its window"
        )
    if not 0 < top_share <= 1:
        raise SeqliftError(f"top_share ({top_share}) must be above 0 and at most 1: the share of peaks to keep")
    if not 0 <= max_n_share <= 1:
        raise SeqliftError(f"max_n_share ({max_n_share}) must be from 0 to 1: the largest share of N in a window")


def _matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def _split_chromosomes(genome: Genome, valid: Sequence[str], test: Sequence[str], excluded: set[str]) -> dict[str, str]:
    """Chromosome -> split, for all chromosomes that are not excluded."""
    splits = {}
    for split, chromosomes in (("valid", valid), ("test", test)):
        for chrom in chromosomes:
            if chrom not in genome.sizes:
                raise SeqliftError(
                    f"{split} chromosome {chrom!r} is not in {genome.path}, which has {_some(genome.sizes)}; name "
                    "chromosomes as the FASTA file does"
                )
            if chrom in excluded:
                raise SeqliftError(f"{split} chromosome {chrom!r} is excluded by exclude_chromosomes; choose one")
            if splits.get(chrom, split) != split:
                raise SeqliftError(f"chromosome {chrom!r} is both in valid and in test; a chromosome has one split")
            splits[chrom] = split
    return {chrom: splits.get(chrom, "train") for chrom in genome.sizes if chrom not in excluded}


def _read_all(targets: Sequence[Target], genome: Genome, exclude_chromosomes: Sequence[str]) -> pd.DataFrame:
    """The peaks of all targets, with `target` (number of it) and `file`, by chromosome and summit."""
    tables = []
    for number, target in enumerate(targets):
        peaks = read_peaks(target.peaks)
        present = list(dict.fromkeys(peaks["chrom"]))
        unknown = set(present) - set(genome.sizes) - _matching(present, exclude_chromosomes)
        missing = [chrom for chrom in present if chrom in unknown]
        if missing:
            rows = peaks[peaks["chrom"].isin(missing)]
            raise SeqliftError(
                f"{target.peaks}:{rows['line'].iloc[0]}: {len(rows)} of {len(peaks)} peaks lie on chromosomes that the "
                f"FASTA file lacks: {_some(missing)}; {genome.path} has {_some(genome.sizes)}"
                f"{_naming_hint(missing, genome.sizes)}"
            )
        size = peaks["chrom"].map(genome.sizes)  # NaN where excluded and not in the FASTA file
        off = peaks[peaks["summit"] >= size]
        if len(off):
            first = off.iloc[0]
            raise SeqliftError(
                f"{target.peaks}:{first['line']}: summit {first['summit']} lies past the end of {first['chrom']} "
                f"({genome.sizes[first['chrom']]} bp in {genome.path}), as do {len(off)} in all; the peaks come from "
                "another assembly: use the FASTA file of theirs"
            )
        tables.append(peaks.assign(target=number, file=Path(target.peaks).name))
    peaks = pd.concat(tables, ignore_index=True)
    order = {chrom: number for number, chrom in enumerate(genome.sizes)}
    place = peaks["chrom"].map(order).fillna(len(order))
    keys = [peaks["line"], peaks["target"], peaks["end"], peaks["start"], peaks["summit"], peaks["chrom"], place]
    return peaks.iloc[np.lexsort(keys)].reset_index(drop=True)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def _naming_hint(missing: Sequence[str], known: Mapping[str, int]) -> str:
    """What the difference between the chromosome names of peaks and FASTA file may come from, and what to do."""
    if any("chr" + chrom in known for chrom in missing):
        return ". The FASTA file writes 'chr' before the names, the peaks do not: add it, for example by sed 's/^/chr/'"
    if any(chrom.startswith("chr") and chrom[3:] in known for chrom in missing):
        return (
            ". The peaks write 'chr' before the names, the FASTA file does not: drop it, for example by sed 's/^chr//'"
        )
    if any(re.fullmatch(r"(chr)?\d+", chrom) for chrom in missing) and {"chrI", "chrII", "I", "II"} & set(known):
        return (
            ". The FASTA file has Roman numerals, the peaks Arabic ones: rename them, for example by "
            "rename_chromosomes of a download"
        )
    return ". Use the FASTA file of the assembly the peaks were called on, or list the others in exclude_chromosomes"


def _rank(peaks: pd.DataFrame, targets: Sequence[Target], top_share: float) -> tuple[pd.Series, pd.Series]:
    """Share of its target's peaks that score higher (0: the best), and whether a peak is below the share kept."""
    rank = pd.Series(0.0, index=peaks.index)
    weak = pd.Series(False, index=peaks.index)
    for number, target in enumerate(targets):
        scores = peaks.loc[(peaks["target"] == number) & ~peaks["excluded"], "score"]
        if top_share < 1:
            without = peaks.loc[scores.index[scores.isna()], "line"]
            if len(without):
                raise SeqliftError(
                    f"{target.peaks}:{without.min()}: no score in column 5, as in {len(without)} of {len(scores)} peaks "
                    f"of target {target.name!r}; top_share ({top_share}) keeps the best by score: add scores or set it "
                    "to 1"
                )
            if len(scores) > 1 and scores.nunique() == 1:
                raise SeqliftError(
                    f"{target.peaks}: all peaks of target {target.name!r} have the same score ({scores.iloc[0]:g}, "
                    f"column 5); top_share ({top_share}) keeps the best by score: add scores or set it to 1"
                )
        if not scores.isna().any() and len(scores):
            higher = scores.rank(method="min", ascending=False) - 1
            rank[scores.index] = higher / len(scores)
            # The number kept is rounded to the nearest, at least one.
            weak[scores.index] = higher >= max(1, np.floor(top_share * len(scores) + 0.5))
    return rank, weak


def _measure_windows(peaks: pd.DataFrame, genome: Genome, length: int, margin: int) -> pd.DataFrame:
    """Add `off` (the window and its margins run off the chromosome), `n_share` and `gc` of each window."""
    size = peaks["chrom"].map(genome.sizes).fillna(0)
    off = (peaks["window"] - margin < 0) | (peaks["window"] + length + margin > size)
    n_share = np.zeros(len(peaks))
    gc = np.zeros(len(peaks))
    for chrom, rows in peaks.loc[~off & ~peaks["excluded"], "window"].groupby(peaks["chrom"]):
        gc[rows.index], n_share[rows.index] = window_content(genome.codes(chrom), rows.to_numpy(), length)
    return peaks.assign(off=off, n_share=n_share, gc=gc)


def _merge(peaks: pd.DataFrame, distance: int) -> None:
    """Mark in `dropped` the peaks that are merged into a better one (rule in `make_regions`). Changes `peaks`."""
    for _, rows in peaks[peaks["dropped"] == ""].groupby("chrom"):
        summits = rows["summit"].to_numpy()  # sorted
        first = np.searchsorted(summits, summits - distance)
        last = np.searchsorted(summits, summits + distance, side="right")
        merged = np.zeros(len(rows), dtype=bool)
        for turn in np.lexsort([summits, rows["target"], rows["rank"]]):
            if not merged[turn]:
                merged[first[turn] : last[turn]] = True
                merged[turn] = False  # no later turn can reach it: all within its reach are merged now
        peaks.loc[rows.index[merged], "dropped"] = "merged"


def _summits_inside(peaks: pd.DataFrame, names: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Which targets have a summit inside each peak's window: among those kept by score, and among the weaker ones.

    Returns
    -------
    tuple of two numpy.ndarray, shape (peaks, targets), bool
    """
    found = []
    for kind in (~peaks["weak"], peaks["weak"]):
        inside = np.zeros((len(peaks), len(names)), dtype=bool)
        for number in range(len(names)):
            chosen = peaks[kind & (peaks["target"] == number)]
            summits = {chrom: rows.to_numpy() for chrom, rows in chosen["summit"].groupby(chosen["chrom"])}
            for chrom, windows in peaks["window"].groupby(peaks["chrom"]):
                known = summits.get(chrom, np.empty(0, dtype=np.int64))
                inside[windows.index, number] = np.searchsorted(known, windows) < np.searchsorted(
                    known, windows + length
                )
        found.append(inside)
    return found[0], found[1]


def _region_rows(
    centres: pd.DataFrame, labels: np.ndarray, names: Sequence[str], splits: Mapping[str, str], length: int
) -> pd.DataFrame:
    """Rows of kind `peak`."""
    start = centres["window"]
    rows = pd.DataFrame({"chrom": centres["chrom"], "start": start, "end": start + length})
    rows["name"] = _name(rows)
    rows["strand"] = centres["strand"]
    rows["summit"] = centres["summit"]
    rows["kind"] = "peak"
    rows["split"] = centres["chrom"].map(splits)
    rows["set"] = 0
    rows["score"] = centres["score"]
    rows["gc"] = centres["gc"]
    rows["source"] = centres["file"] + ":" + centres["line"].astype(str)
    for number, name in enumerate(names):
        rows[TARGET_PREFIX + name] = labels[:, number].astype(np.float64)
    return rows.reset_index(drop=True)


def _name(rows: pd.DataFrame) -> pd.Series:
    """Names that are unique because no two windows are equal, and stay the same when other regions come or go."""
    return rows["chrom"] + "_" + rows["start"].astype(str) + "_" + rows["end"].astype(str)


def _shuffled_rows(positives: pd.DataFrame, names: Sequence[str], ratio: float, seed: int) -> pd.DataFrame:
    """Rows of kind `shuffled`: `ratio` copies of each window; a remainder goes to windows chosen at random."""
    copies = []
    for split, rows in positives.groupby("split"):
        rng = np.random.default_rng([seed, zlib.crc32(str(split).encode())])
        times, rest = divmod(round(ratio * len(rows)), len(rows))
        numbers = np.full(len(rows), times)
        numbers[rng.permutation(len(rows))[:rest]] += 1
        copy = rows.loc[rows.index.repeat(numbers)]
        number = copy.groupby(level=0).cumcount()
        copies.append(copy.assign(name=copy["name"] + "_shuffle" + number.astype(str)))
    shuffled = pd.concat(copies, ignore_index=True) if copies else positives.iloc[:0]
    return shuffled.assign(kind="shuffled", score=np.nan, **{TARGET_PREFIX + name: 0.0 for name in names})


def _around(peaks: pd.DataFrame, length: int) -> pd.DataFrame:
    """What negatives keep away from: each peak and the window around its summit, whichever reaches farther."""
    return pd.DataFrame(
        {
            "chrom": peaks["chrom"],
            "start": np.minimum(peaks["start"], peaks["window"]),
            "end": np.maximum(peaks["end"], peaks["window"] + length),
        }
    )


def _genome_rows(drawn: pd.DataFrame, names: Sequence[str], length: int) -> pd.DataFrame:
    """Rows of kind `genome`."""
    rows = drawn.assign(name=_name(drawn), strand=".", summit=drawn["start"] + length // 2)
    rows = rows.assign(kind="genome", set=0, score=np.nan, source="", **{TARGET_PREFIX + name: 0.0 for name in names})
    return rows[[*COLUMNS, *(TARGET_PREFIX + name for name in names)]]


def _check_splits(table: pd.DataFrame, names: Sequence[str], peaks: pd.DataFrame, splits: Mapping[str, str]) -> None:
    """Raise SeqliftError unless each target has positives and negatives in each split."""
    split_of_peak = peaks["chrom"].map(splits)
    for split in SPLITS:
        rows = table[table["split"] == split]
        for number, name in enumerate(names):
            labels = rows[TARGET_PREFIX + name]
            if not labels.any():
                here = peaks[(split_of_peak == split) & (peaks["target"] == number)]
                reasons = [f"{(here['dropped'] == key).sum()} {why}" for key, why in DROPPED.items()]
                why = "; ".join(reason for reason in reasons if not reason.startswith("0 "))
                chromosomes = [chrom for chrom in splits if splits[chrom] == split]
                raise SeqliftError(
                    f"target {name!r} has no peaks left in split {split!r} (chromosomes: {_some(chromosomes) or 'none'}"
                    f"; {len(here)} peaks read there{': ' + why if why else ''}); choose other valid and test "
                    "chromosomes, or keep more peaks (top_share, exclude_chromosomes, length, max_n_share)"
                )
            if labels.all():
                raise SeqliftError(
                    f"target {name!r} has no negatives in split {split!r}; raise ratio so that each split gets some"
                )


def _count(table: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """For each split, the positives of each target and the negatives."""
    counts = {}
    for split in SPLITS:
        rows = table[table["split"] == split]
        counts[split] = {name: int(rows[TARGET_PREFIX + name].sum()) for name in names}
        counts[split]["negative"] = int((rows["kind"] != "peak").sum())
    return counts


def _describe_negatives(table: pd.DataFrame, kind: str, ratio: float, min_distance: int) -> dict:
    """Settings of the negatives and how well their GC content matches that of the regions with peaks."""
    from scipy.stats import wasserstein_distance  # importing it takes longer than most runs of bad input

    peak = table["kind"] == "peak"
    distance = {
        split: float(wasserstein_distance(rows.loc[peak, "gc"], rows.loc[~peak, "gc"]))
        for split, rows in table.groupby("split")
        if (peak & (table["split"] == split)).any() and (~peak & (table["split"] == split)).any()
    }
    return {
        "kind": kind,
        "ratio": ratio,
        "min_distance": min_distance,
        "gc_histogram": {
            "bins": "20 of 0.05, from 0 to 1",
            "positives": gc_histogram(table.loc[peak, "gc"].to_numpy()),
            "negatives": gc_histogram(table.loc[~peak, "gc"].to_numpy()),
        },
        # Mean difference between the sorted GC contents of positives and negatives (first Wasserstein distance).
        "gc_distance": {split: round(value, 6) for split, value in distance.items()},
    }
