"""Regions: the windows a model is trained and judged on, each with its labels and its split.

A region is a window of one length around the summit of a peak, or a negative. It carries one label a target: 1 where
the target has a peak, 0 where it has none, none where that is not known. Regions are split by chromosome, or by long
intervals, into train, valid and test (or into folds), because neighbouring or overlapping windows share bases, and a
model must be judged on sequence it has not seen.
"""

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seqlift.chromosomes import some
from seqlift.duplicates import repeated_in_another_split, sequence_digests
from seqlift.errors import SeqliftError
from seqlift.genome import Genome
from seqlift.intervals import merge_intervals, overlapping
from seqlift.masks import outside, read_mask, read_masks, widened
from seqlift.negatives import candidate_windows
from seqlift.peaks import (
    DROPPED,
    MIN_PEAKS,
    labels,
    measure_windows,
    merged,
    rank_by_score,
    read_target_peaks,
)
from seqlift.region_negatives import (
    FROM_FILE,
    NEGATIVES,
    Wish,
    background_rows,
    describe_negatives,
    even_sets,
    make_negatives,
    window_names,
)
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
from seqlift.signal import check_bigwigs, signal_totals, strands_of
from seqlift.splits import Splits, check_apart, interval_example, matching, split_by_folds, split_by_place
from seqlift.targets import Target, check_names, check_target

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

log = logging.getLogger(__name__)
_SIGNAL_FILES = ("signal", "signal_minus", "control", "control_minus")


def make_regions(
    genome_path: str | os.PathLike,
    targets: Sequence[Target],
    *,
    length: int,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    folds: int = 0,
    negatives: str = "genome",
    negatives_file: str | os.PathLike | None = None,
    negative_sets: int = 1,
    ratio: float = 1.0,
    min_distance: int = 1000,
    merge_distance: int = 0,
    top_share: float = 1.0,
    max_n_share: float = 0.1,
    jitter_margin: int = 0,
    exclude_chromosomes: Sequence[str] = (),
    exclude_regions: Sequence[str | os.PathLike] = (),
    include_regions: Sequence[str | os.PathLike] = (),
    background: int = 0,
    signal_window: int | None = None,
    missing: str = "zero",
    negative: str = "refuse",
    seed: int = 1,
) -> Regions:
    """Make windows around the peaks of all targets, label them, split them and add negatives.

    The rules, none of which depends on the order of the lines of a file:

    - *Windows.* `length` bp from `summit - length // 2`. A peak makes no region whose window, widened by
      `jitter_margin` on either side, overlaps `exclude_regions`, is not inside `include_regions`, runs off its
      chromosome or straddles a border between splits, or whose window holds more than `max_n_share` of N.
    - *Share kept.* Each target keeps the best `top_share` of its peaks by score, those on excluded chromosomes and in
      masked places left aside. Peaks that tie with the last one kept are kept too.
    - *Merging.* The peaks of all targets are taken in the order of their rank (share of its target's peaks that score
      higher; at equal rank, order of targets, then of chromosomes, then of summits). Each one not merged yet makes a
      region, and all other summits within `merge_distance` bp of its own are merged into it. So regions are centred
      on the best peak of their surroundings and the summits of two regions are more than `merge_distance` apart.
    - *Labels.* 1 for a target that has a summit among its best `top_share` inside the window. None where the window
      overlaps the target's `unlabelled` intervals, or holds only summits of it that are weaker or masked. Else 0.
    - *Negatives.* `ratio` negatives for each region with a peak, in each split; label 0 for all targets. They are drawn
      without replacement, with no base of their window, jitter included, nearer than `min_distance` bp to any peak that
      was read, also the weaker ones, or to the window around its summit, and none in masked or unlabelled places. Or
      they are dinucleotide shuffles of a region's own window.
    - *Duplicates.* No sequence, on either strand, is in two splits (see `seqlift.duplicates`).

    Parameters
    ----------
    genome_path : path of a FASTA file
    targets : sequence of Target
    length : int
        Of each window (bp).
    valid, test : sequences of str
        Chromosomes, shell patterns of them, or intervals (`chr20:1-40000000`: 1-based, both ends included) held out;
        everything else that is not excluded is for training.
    folds : int
        Instead of `valid` and `test`: into how many folds to deal out the chromosomes; 0 for none.
    negatives : {"genome", "shuffled", "unbound", "bed"}
        See `NEGATIVES`.
    negatives_file : path, optional
        Peaks for "unbound", BED for "bed".
    negative_sets : int
        Sets of negatives for training, of which each epoch sees one.
    ratio : float
        Negatives for each region with a peak.
    min_distance, merge_distance, jitter_margin : int
        In bp. `merge_distance` is smaller than half the length, so that a merged summit lies inside the window.
    top_share, max_n_share : float
        Between 0 and 1.
    exclude_chromosomes : sequence of str
        Shell patterns, as `chrUn_*`. Their peaks may be on chromosomes that the FASTA file lacks.
    exclude_regions, include_regions : sequences of paths
        BED files. A region may overlap no interval of the first, and must lie inside each of the second.
    background : int
        Random windows of each test split, not matched in GC content, for metrics at the true imbalance.
    signal_window : int, optional
        In the middle of each region, what the signal is summed over (bp); the whole region if not given.
    missing : {"zero", "mask"}
        What a base without a value in a bigWig means: nothing there, or not known.
    negative : {"refuse", "clip", "absolute"}
        What to do with values below 0 in a bigWig.
    seed : int
        Of the drawing of negatives.

    Returns
    -------
    Regions
        In its summary, `dropped` counts for each reason the peaks that are not the centre of a region; together with
        the regions of kind `peak` they are all the peaks read. `used` counts a target's peaks that are the centre of
        a region, or merged into one, before those without a label and duplicates are dropped.

    Raises
    ------
    SeqliftError
        On bad settings and bad files; if files do not fit the genome; if a target has fewer than `MIN_PEAKS` regions,
        or no peak or no negative left in a split; if there is too little room for the negatives.
    """
    _check_targets(targets)
    _check_settings(length, negatives, negatives_file, negative_sets, background, signal_window)
    _check_numbers(length, ratio, min_distance, merge_distance, top_share, max_n_share, jitter_margin)
    wish = Wish(
        negatives,
        negatives_file,
        ratio,
        negative_sets,
        min_distance,
        max_n_share,
        merge_distance=merge_distance,
        seed=seed,
    )
    names = [target.name for target in targets]
    with Genome(genome_path) as genome:
        check_bigwigs(
            [path for target in targets for paths in _signal_files(target).values() for path in paths], genome.sizes
        )
        excluded = matching(genome.sizes, exclude_chromosomes)
        source = str(genome.path)
        peaks = read_target_peaks(targets, genome, exclude_chromosomes)
        splits = _make_splits(genome, peaks, valid, test, folds, excluded)
        masked = [
            read_masks(exclude_regions, genome.sizes, source=source),
            outside(include_regions, genome.sizes, source=source),
        ]
        masked = pd.concat(masked, ignore_index=True)
        unlabelled = [
            read_mask(target.unlabelled, genome.sizes, source=source) if target.unlabelled else None
            for target in targets
        ]
        peaks = _judge(peaks, targets, genome, splits, masked, length, jitter_margin, top_share, max_n_share)
        used = peaks.loc[peaks["dropped"] == "", "target"].value_counts()
        left = np.flatnonzero(peaks["dropped"] == "")
        gone = left[merged(peaks.iloc[left], merge_distance)]
        peaks.iloc[gone, peaks.columns.get_loc("dropped")] = "merged"
        positives, digests = _positives(peaks, names, unlabelled, genome, splits)
        _check_positives(positives, names, peaks, targets, splits, genome.sizes)

        blocked = [widened(_around(peaks), min_distance + jitter_margin), widened(masked, jitter_margin)]
        blocked += [widened(intervals, jitter_margin) for intervals in unlabelled if intervals is not None]
        blocked = pd.concat(blocked, ignore_index=True)
        candidates = candidate_windows(
            genome, blocked, length, max_n_share=max_n_share, splits=splits, margin=jitter_margin, seed=seed
        )
        added, made = make_negatives(
            wish, positives, candidates, genome=genome, splits=splits, blocked=blocked, margin=jitter_margin,
            exclude_chromosomes=exclude_chromosomes,
        )  # fmt: skip
        judged = splits.names if folds else ["test"]
        random = background_rows(candidates, judged, background, length, names, seed)
        table = pd.concat([part for part in (positives, added, random) if len(part)], ignore_index=True)
        table, duplicates = _without_duplicates(table, digests, genome, splits, seed)
        table = _in_order(table, genome.sizes)
        _check_negatives(table, names, splits)
        check_apart(table, jitter_margin)
        window = length if signal_window is None else signal_window
        table, signal = _add_signal(table, targets, genome.sizes, window, missing, negative)
        described = describe_negatives(table, wish, made, splits.names)
        if described["warning"]:
            log.warning("warning: %s", described["warning"])
        summary = {
            "format": FORMAT,
            "length": length,
            "targets": names,
            "genome": {"path": str(genome_path), "sha256": genome.sha256, "chromosomes": genome.sizes},
            "splits": splits.describe(),
            "folds": folds,
            "settings": {
                "merge_distance": merge_distance,
                "top_share": top_share,
                "max_n_share": max_n_share,
                "jitter_margin": jitter_margin,
                "exclude_chromosomes": list(exclude_chromosomes),
                "exclude_regions": [str(path) for path in exclude_regions],
                "include_regions": [str(path) for path in include_regions],
            },
            "negatives": described,
            "seed": seed,
            "kept": _count(table, names, splits),
            "regions": {split: int((table["split"] == split).sum()) for split in splits.names},
            "masked": {name: int(table[TARGET_PREFIX + name].isna().sum()) for name in names},
            # Free windows that do not overlap: what a scan of the genome would show the model besides peaks
            "windows": {split: int((candidates["split"] == split).sum()) for split in splits.names},
            "background": {split: int(((table["kind"] == "background") & (table["split"] == split)).sum())
                           for split in judged},
            "duplicates": duplicates,
            "signal": signal,
            "dropped": {reason: int((peaks["dropped"] == reason).sum()) for reason in DROPPED},
            "peaks": {
                target.name: {
                    "path": str(target.peaks),
                    "read": int((peaks["target"] == number).sum()),
                    "used": int(used.get(number, 0)),
                }
                for number, target in enumerate(targets)
            },
        }  # fmt: skip
    return Regions(table, summary)


def _check_targets(targets: Sequence[Target]) -> None:
    check_names([target.name for target in targets])
    for target in targets:
        try:
            check_target(target)
        except SeqliftError as error:
            raise SeqliftError(f"target {target.name!r} {error}") from None
    strands_of(targets)


def _check_settings(
    length: int,
    negatives: str,
    negatives_file: str | os.PathLike | None,
    negative_sets: int,
    background: int,
    signal_window: int | None,
) -> None:
    if length < 1:
        raise SeqliftError(f"length ({length}) must be at least 1 bp")
    if negatives not in NEGATIVES:
        raise SeqliftError(f"negatives is {negatives!r}, must be one of {', '.join(NEGATIVES)}")
    if negatives in FROM_FILE and negatives_file is None:
        raise SeqliftError(f"negatives {negatives!r} come from a file; name it in negatives_file")
    if negatives not in FROM_FILE and negatives_file is not None:
        raise SeqliftError(
            f"negatives_file ({negatives_file}) is not used by negatives {negatives!r}; delete it, or set negatives to "
            f"{' or '.join(FROM_FILE)}"
        )
    if negative_sets < 1:
        raise SeqliftError(f"negative_sets ({negative_sets}) must be at least 1")
    if background < 0:
        raise SeqliftError(f"background ({background}) must not be negative: it is a number of windows")
    if signal_window is not None and not 1 <= signal_window <= length:
        raise SeqliftError(
            f"signal_window ({signal_window}) must be from 1 to length ({length}): it lies in each region"
        )


def _check_numbers(
    length: int,
    ratio: float,
    min_distance: int,
    merge_distance: int,
    top_share: float,
    max_n_share: float,
    jitter_margin: int,
) -> None:
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
    if jitter_margin < 0:
        raise SeqliftError(f"jitter ({jitter_margin}) must not be negative")


def _signal_files(target: Target) -> dict[str, list[str]]:
    return {key: [str(path) for path in getattr(target, key)] for key in _SIGNAL_FILES}


def _make_splits(
    genome: Genome, peaks: pd.DataFrame, valid: Sequence[str], test: Sequence[str], folds: int, excluded: set[str]
) -> Splits:
    if folds and (valid or test):
        raise SeqliftError(f"folds ({folds}) stand instead of valid and test; delete one or the other")
    if not folds and not (valid and test):
        raise SeqliftError("name the valid and the test chromosomes (or intervals of them), or a number of folds")
    splits = None if folds else split_by_place(genome.sizes, valid, test, excluded, source=str(genome.path))
    sizes = {chrom: size for chrom, size in genome.sizes.items() if chrom not in excluded}
    usable = peaks[peaks["chrom"].isin(list(sizes))]
    if not len(usable):
        raise SeqliftError("all peaks lie on chromosomes that exclude_chromosomes leaves out; name fewer of them there")
    chroms = usable["chrom"].unique()
    if len(chroms) == 1 and (splits is None or len(splits.parts[chroms[0]]) == 1):
        raise SeqliftError(
            f"all {len(usable)} peaks lie on {chroms[0]}, so that splits of whole chromosomes leave some without a "
            f"peak; split it by intervals, as in {interval_example(usable, sizes[chroms[0]])}"
        )
    return splits or split_by_folds(sizes, usable["chrom"].value_counts().to_dict(), folds)


def _judge(
    peaks: pd.DataFrame,
    targets: Sequence[Target],
    genome: Genome,
    splits: Splits,
    masked: pd.DataFrame,
    length: int,
    margin: int,
    top_share: float,
    max_n_share: float,
) -> pd.DataFrame:
    """The peaks with their windows as `start` and `end` (their own are `peak_start`, `peak_end`), and `dropped`."""
    windows = pd.DataFrame({"chrom": peaks["chrom"], "start": peaks["summit"] - length // 2})
    windows["end"] = windows["start"] + length
    excluded = ~peaks["chrom"].isin(list(splits.parts)).to_numpy()
    in_mask = overlapping(widened(windows, margin), merge_intervals(masked))
    rank, weak = rank_by_score(peaks.assign(aside=excluded | in_mask), targets, top_share)
    size = peaks["chrom"].map(genome.sizes).fillna(0).to_numpy()
    off = ((windows["start"] - margin < 0) | (windows["end"] + margin > size)).to_numpy()
    split = splits.of(windows, margin)
    gc, n_share = np.zeros(len(peaks)), np.zeros(len(peaks))
    whole = np.flatnonzero(~off & ~excluded)
    gc[whole], n_share[whole] = measure_windows(windows.iloc[whole], genome, length)
    dropped = np.select(
        [excluded, in_mask, weak, off, split == "", n_share > max_n_share],
        ["excluded_chromosome", "masked", "below_top_share", "off_chromosome", "between_splits", "too_many_n"],
        default="",
    ).astype(object)
    return peaks.rename(columns={"start": "peak_start", "end": "peak_end"}).assign(
        start=windows["start"],
        end=windows["end"],
        rank=rank,
        uncertain=weak | in_mask,
        split=split,
        gc=gc,
        dropped=dropped,
    )


def _positives(
    peaks: pd.DataFrame,
    names: Sequence[str],
    unlabelled: Sequence[pd.DataFrame | None],
    genome: Genome,
    splits: Splits,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of kind `peak`, and the digests of the sequences that were dropped. Marks these in `peaks`."""
    centres = peaks[peaks["dropped"] == ""]
    without = [{} if intervals is None else merge_intervals(intervals) for intervals in unlabelled]
    known = labels(peaks, centres, without)
    rows = centres[["chrom", "start", "end", "strand", "summit", "split", "score", "gc"]]
    rows = rows.assign(
        name=window_names(rows), kind="peak", set=0, source=centres["file"] + ":" + centres["line"].astype(str)
    )
    rows = rows[COLUMNS].assign(**{TARGET_PREFIX + name: known[:, number] for number, name in enumerate(names)})
    unknown = np.isnan(known).all(axis=1)
    peaks.loc[rows.index[unknown], "dropped"] = "unlabelled"
    rows = rows[~unknown]
    digests = sequence_digests(rows, genome)
    repeated = repeated_in_another_split(digests, rows, _keepers(splits))
    peaks.loc[rows.index[repeated], "dropped"] = "duplicate"
    return rows[~repeated].reset_index(drop=True), digests[repeated]


def _keepers(splits: Splits) -> list[str]:
    """Splits in the order in which they keep a sequence that stands in several."""
    return ["test", "valid", "train"] if splits.names == list(SPLITS) else splits.names


def _around(peaks: pd.DataFrame) -> pd.DataFrame:
    """What negatives keep away from: each peak and the window around its summit, whichever reaches farther."""
    return pd.DataFrame(
        {
            "chrom": peaks["chrom"],
            "start": np.minimum(peaks["peak_start"], peaks["start"]),
            "end": np.maximum(peaks["peak_end"], peaks["end"]),
        }
    )


def _without_duplicates(
    table: pd.DataFrame, dropped: np.ndarray, genome: Genome, splits: Splits, seed: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The table without negatives whose sequence stands in another split; and how many windows are duplicates.

    Shuffled sequences are made later and never repeat one another.
    """
    real = table[table["kind"] != "shuffled"]
    digests = sequence_digests(real, genome)
    repeated = repeated_in_another_split(digests, real, _keepers(splits))
    _, group, count = np.unique(np.concatenate([digests, dropped]), return_inverse=True, return_counts=True)
    alike = count[group] > 1
    # A background window may be the same place as a negative, which is no duplicate
    same_place = real.duplicated(["chrom", "start"], keep=False).to_numpy()
    identical = int(alike[len(real) :].sum() + (alike[: len(real)] & ~same_place).sum())
    table = table.drop(real.index[repeated])
    drawn = table["kind"].isin([kind for kind in KINDS if kind not in ("peak", "background")])
    even = even_sets(table[drawn], seed)
    table = table.drop(table.index[drawn].difference(even.index))
    return table, {"identical": identical, "across_splits_dropped": len(dropped) + int(repeated.sum())}


def _in_order(table: pd.DataFrame, sizes: Mapping[str, int]) -> pd.DataFrame:
    order = {chrom: number for number, chrom in enumerate(sizes)}
    keys = [table["name"], table["start"], table["chrom"].map(order)]
    return table.iloc[np.lexsort(keys)].reset_index(drop=True)


def _check_positives(
    positives: pd.DataFrame,
    names: Sequence[str],
    peaks: pd.DataFrame,
    targets: Sequence[Target],
    splits: Splits,
    sizes: Mapping[str, int],
) -> None:
    """Raise SeqliftError unless each target has enough peaks, and some in each split."""
    split_of_peak = splits.of_positions(peaks["chrom"], peaks["summit"])
    parts = splits.describe()
    for number, name in enumerate(names):
        positive = positives.loc[positives[TARGET_PREFIX + name] == 1, "split"]
        own = (peaks["target"] == number).to_numpy()
        for split in splits.names:
            if not (positive == split).any():
                here = peaks[own & (split_of_peak == split)]
                raise SeqliftError(
                    f"target {name!r} has no peaks left in split {split!r} ({some(parts[split]) or 'nothing'}; "
                    f"{len(here)} peaks read there{_reasons(here)}); {_remedy(peaks[own], split, sizes)}"
                )
        if len(positive) < MIN_PEAKS:
            raise SeqliftError(
                f"{targets[number].peaks}: target {name!r} has only {len(positive)} regions with a peak left of "
                f"{own.sum()} peaks{_reasons(peaks[own])}; at least {MIN_PEAKS} are needed: keep more peaks "
                "(top_share, exclude_chromosomes, exclude_regions, length, max_n_share), or leave the target out"
            )


def _reasons(peaks: pd.DataFrame) -> str:
    counts = peaks["dropped"].value_counts()
    reasons = [f"{counts[key]} {why}" for key, why in DROPPED.items() if key in counts]
    return f": {'; '.join(reasons)}" if reasons else ""


def _remedy(own: pd.DataFrame, split: str, sizes: Mapping[str, int]) -> str:
    kept = own[own["dropped"].isin(["", "merged"])]
    if kept["chrom"].nunique() == 1 and len(kept) > 2:
        chrom = kept["chrom"].iloc[0]
        return f"all its peaks lie on {chrom}: split that by intervals, as in {interval_example(kept, sizes[chrom])}"
    first = "ask for fewer folds" if split.startswith("fold") else "choose other valid and test chromosomes"
    return f"{first}, or keep more peaks (top_share, exclude_chromosomes, length, max_n_share)"


def _check_negatives(table: pd.DataFrame, names: Sequence[str], splits: Splits) -> None:
    """Raise SeqliftError unless each target has negatives in each split."""
    counted = table[table["kind"] != "background"]
    for split in splits.names:
        rows = counted[counted["split"] == split]
        for name in names:
            if not (rows[TARGET_PREFIX + name] == 0).any():
                raise SeqliftError(
                    f"target {name!r} has no negatives in split {split!r}; raise ratio so that each split gets some, "
                    "or take negatives that lie there"
                )


def _count(table: pd.DataFrame, names: Sequence[str], splits: Splits) -> dict[str, dict[str, int]]:
    """For each split, the positives of each target and the negatives; without the background."""
    counts = {}
    for split in splits.names:
        rows = table[table["split"] == split]
        counts[split] = {name: int((rows[TARGET_PREFIX + name] == 1).sum()) for name in names}
        counts[split]["negative"] = int((~rows["kind"].isin(["peak", "background"])).sum())
    return counts


def _add_signal(
    table: pd.DataFrame, targets: Sequence[Target], sizes: Mapping[str, int], window: int, missing: str, negative: str
) -> tuple[pd.DataFrame, dict | None]:
    """The table with a column `signal:<name>` for each target that has a signal, and what its numbers are."""
    measured = [target for target in targets if target.signal]
    if not measured:
        return table, None
    totals = {
        SIGNAL_PREFIX + target.name: signal_totals(
            table, target, sizes, window=window, missing=missing, negative=negative
        )
        for target in measured
    }
    strands, control_strands = strands_of(targets)
    described = {
        "window": window,
        "strands": strands,
        "control_strands": control_strands,
        "missing": missing,
        "negative": negative,
        "files": {target.name: _signal_files(target) for target in measured},
        "unknown": {target.name: int(np.isnan(totals[SIGNAL_PREFIX + target.name]).sum()) for target in measured},
    }
    return table.assign(**totals), described
