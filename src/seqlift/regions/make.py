"""Regions: the windows for training and evaluation, each with its labels and its split.

A region is a window of one length around the summit of a peak, or a negative. It has a label for each target: 1 where
the target has a peak, 0 where it has none, empty where that is unknown. Regions are split by chromosome, or by long
intervals, into train, valid and test (or into folds), because neighbouring or overlapping windows share bases, and a
model must be evaluated on held-out sequence.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import some
from seqlift.data.genome import Genome
from seqlift.data.intervals import merge_intervals
from seqlift.data.signal import check_bigwigs, signal_totals, strands_of
from seqlift.data.targets import SIGNAL_KEYS, Target, check_names, check_target
from seqlift.errors import SeqliftError
from seqlift.regions.duplicates import repeated_in_another_split, sequence_digests
from seqlift.regions.masks import outside, read_mask, read_masks, widened
from seqlift.regions.negatives import (
    background_rows,
    describe_negatives,
    even_sets,
    make_negatives,
    window_names,
)
from seqlift.regions.peaks import DROPPED, MIN_PEAKS, labels, place_windows, read_target_peaks
from seqlift.regions.settings import RegionSettings
from seqlift.regions.splits import Splits, check_apart, choose_splits, interval_example, matching
from seqlift.regions.table import (
    COLUMNS,
    FORMAT,
    KINDS,
    SIGNAL_PREFIX,
    SPLITS,
    TARGET_PREFIX,
    Regions,
    target_names,
)
from seqlift.regions.windows import candidate_windows

log = logging.getLogger(__name__)


def make_regions(genome_path: str | os.PathLike, targets: Sequence[Target], settings: RegionSettings) -> Regions:
    """Make windows around the peaks of all targets, label them, split them and add negatives.

    The rules, none of which depends on the order of the lines of a file:

    - *Windows.* `length` bp from `summit - length // 2`. A peak makes no region if its window, widened by `jitter` on
      either side, overlaps `exclude_regions`, is not inside `include_regions`, or reaches past the end of its
      chromosome or across a border between splits, or if its window has more than `max_n_fraction` of N.
    - *Fraction kept.* Each target keeps the best `top_fraction` of its peaks by score, without those on excluded
      chromosomes and in masked places. Peaks that tie with the last one kept are kept too.
    - *Merging.* The peaks of all targets come in the order of their rank (fraction of its target's peaks that score
      higher; at equal rank, order of targets, then of chromosomes, then of summits). Each one not merged yet makes a
      region, and all other summits within `merge_distance` bp of its own are merged into it. So regions are centred
      on the best peak of their surroundings and the summits of two regions are more than `merge_distance` apart.
    - *Labels.* 1 for a target with a summit among its best `top_fraction` inside the window. Unknown where the window
      overlaps the target's `unlabelled` intervals, or contains only weaker or masked summits of it. Else 0.
    - *Negatives.* `ratio` negatives for each region with a peak, in each split; label 0 for all targets. They are drawn
      without replacement, with no base of their window, jitter included, nearer than `min_distance` bp to any peak in
      the files or to the window around its summit, and none in masked or unlabelled places. Or they are dinucleotide
      shuffles of a region's own window.
    - *Duplicates.* No sequence, on either strand, is in two splits (see `seqlift.regions.duplicates`).

    Parameters
    ----------
    genome_path : path of a FASTA file
    targets : sequence of Target
    settings : RegionSettings

    Returns
    -------
    Regions
        In its summary, `dropped` counts for each reason the peaks that are not the centre of a region; the others are
        the regions of kind `peak`. `used` counts a target's peaks that are the centre of a region, or merged into one,
        before those without a label and duplicates are dropped.

    Raises
    ------
    SeqliftError
        On bad settings and bad files; if files do not fit the genome; if a target has fewer than `MIN_PEAKS` regions,
        or no peak or no negative left in a split; if there is too little room for the negatives.
    """
    check_names([target.name for target in targets])
    for target in targets:
        try:
            check_target(target)
        except SeqliftError as error:
            raise SeqliftError(f"target {target.name!r} {error}") from None
    strands, control_strands = strands_of(targets)
    files = {target.name: {key: list(map(str, getattr(target, key))) for key in SIGNAL_KEYS} for target in targets}
    with Genome(genome_path) as genome:
        check_bigwigs(sorted({path for of in files.values() for paths in of.values() for path in paths}), genome.sizes)
        peaks = read_target_peaks(targets, genome, settings.exclude_chromosomes)
        splits = choose_splits(
            genome.sizes,
            peaks,
            valid=settings.valid,
            test=settings.test,
            folds=settings.folds or 0,
            excluded=matching(genome.sizes, settings.exclude_chromosomes),
            source=str(genome.path),
        )
        source = str(genome.path)
        masked = pd.concat(
            [
                read_masks(settings.exclude_regions, genome.sizes, source=source),
                outside(settings.include_regions, genome.sizes, source=source),
            ],
            ignore_index=True,
        )
        unlabelled = [read_mask(t.unlabelled, genome.sizes, source=source) if t.unlabelled else None for t in targets]
        peaks = place_windows(peaks, targets, genome, splits, masked, settings)
        positives, repeated = _positives(peaks, targets, unlabelled, genome, splits)
        _check_positives(positives, peaks, targets, splits, genome.sizes)

        blocked = _blocked(peaks, masked, unlabelled, settings)
        candidates = candidate_windows(
            genome,
            blocked,
            settings.length,
            max_n_fraction=settings.max_n_fraction,
            splits=splits,
            margin=settings.jitter,
            seed=settings.seed,
        )
        negatives, made = make_negatives(settings, positives, candidates, genome=genome, splits=splits, blocked=blocked)
        background = background_rows(candidates, splits, target_names(positives), settings)
        table = pd.concat([part for part in (positives, negatives, background) if len(part)], ignore_index=True)
        table, duplicates = _without_duplicates(table, repeated, genome, splits, settings.seed)
        table = _in_order(table, genome.sizes)
        _check_negatives(table, splits)
        check_apart(table, settings.jitter)
        how: dict[str, Any] = {
            "window": settings.length if settings.signal_window is None else settings.signal_window,
            "missing": settings.missing,
            "negative": settings.negative,
        }
        totals = {t.name: signal_totals(table, t, genome.sizes, **how) for t in targets if t.signal}
        table = table.assign(**{SIGNAL_PREFIX + name: total for name, total in totals.items()})
        signal = {
            **how,
            "strands": strands,
            "control_strands": control_strands,
            "files": {name: files[name] for name in totals},
            "unknown": {name: int(np.isnan(total).sum()) for name, total in totals.items()},
        }
        summary: dict[str, Any] = {
            "format": FORMAT,
            "length": settings.length,
            "targets": target_names(table),
            "genome": {"path": str(genome_path), "sha256": genome.sha256, "chromosomes": genome.sizes},
            "splits": splits.describe(),
            "folds": settings.folds or 0,
            "seed": settings.seed,
            "settings": {
                "merge_distance": settings.merge_distance,
                "top_fraction": settings.top_fraction,
                "max_n_fraction": settings.max_n_fraction,
                "jitter_margin": settings.jitter,
                "exclude_chromosomes": list(settings.exclude_chromosomes),
                "exclude_regions": list(map(str, settings.exclude_regions)),
                "include_regions": list(map(str, settings.include_regions)),
            },
            "negatives": describe_negatives(table, settings, made, splits.names),
            **_count(table, splits),
            # Free windows that do not overlap: the rest of the genome besides peaks
            "windows": {split: int((candidates["split"] == split).sum()) for split in splits.names},
            "duplicates": duplicates,
            "signal": signal if totals else None,
            **_count_peaks(peaks, targets),
        }
    if summary["negatives"]["warning"]:
        log.warning("warning: %s", summary["negatives"]["warning"])
    return Regions(table, summary)


def _positives(
    peaks: pd.DataFrame,
    targets: Sequence[Target],
    unlabelled: Sequence[pd.DataFrame | None],
    genome: Genome,
    splits: Splits,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of kind `peak`, and the digests of the sequences dropped as duplicates. Marks what it drops in `peaks`."""
    centres = peaks[peaks["dropped"] == ""]
    without = [{} if intervals is None else merge_intervals(intervals) for intervals in unlabelled]
    known = labels(peaks, centres, without)
    rows = centres.assign(
        name=window_names(centres), kind="peak", set=0, source=centres["file"] + ":" + centres["line"].astype(str)
    )
    columns = {TARGET_PREFIX + target.name: known[:, number] for number, target in enumerate(targets)}
    rows = rows[COLUMNS].assign(**columns)
    unknown = np.isnan(known).all(axis=1)
    peaks.loc[rows.index[unknown], "dropped"] = "unlabelled"
    rows = rows[~unknown]
    digests = sequence_digests(rows, genome)
    repeated = repeated_in_another_split(digests, rows, _keepers(splits))
    peaks.loc[rows.index[repeated], "dropped"] = "duplicate"
    return rows[~repeated].reset_index(drop=True), digests[repeated]


def _keepers(splits: Splits) -> list[str]:
    """Splits in the order in which they keep a duplicate sequence."""
    return ["test", "valid", "train"] if splits.names == list(SPLITS) else splits.names


def _blocked(
    peaks: pd.DataFrame,
    masked: pd.DataFrame,
    unlabelled: Sequence[pd.DataFrame | None],
    settings: RegionSettings,
) -> pd.DataFrame:
    """Intervals that no window of a negative may overlap: widened peaks and their windows, masked and unlabelled."""
    around = pd.DataFrame(
        {
            "chrom": peaks["chrom"],
            "start": np.minimum(peaks["peak_start"], peaks["start"]),
            "end": np.maximum(peaks["peak_end"], peaks["end"]),
        }
    )
    margin = settings.jitter
    blocked = [widened(around, settings.min_distance + margin), widened(masked, margin)]
    blocked += [widened(intervals, margin) for intervals in unlabelled if intervals is not None]
    return pd.concat(blocked, ignore_index=True)


def _without_duplicates(
    table: pd.DataFrame, dropped: np.ndarray, genome: Genome, splits: Splits, seed: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The table without negatives whose sequence is in another split; and how many windows are duplicates.

    Shuffled sequences are made later and are never duplicates.
    """
    real = table[table["kind"] != "shuffled"]
    digests = sequence_digests(real, genome)
    repeated = repeated_in_another_split(digests, real, _keepers(splits))
    _, group, count = np.unique(np.concatenate([digests, dropped]), return_inverse=True, return_counts=True)
    alike = count[group] > 1
    # A background window at the place of a negative is not a duplicate
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
    peaks: pd.DataFrame,
    targets: Sequence[Target],
    splits: Splits,
    sizes: Mapping[str, int],
) -> None:
    """Raise SeqliftError unless each target has enough peaks, and some in each split."""
    split_of_peak = splits.of_positions(peaks["chrom"], peaks["summit"])
    parts = splits.describe()
    for number, name in enumerate(target_names(positives)):
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
                "(top_fraction, exclude_chromosomes, exclude_regions, length, max_n_fraction), or leave the target out"
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
    first = "use fewer folds" if split.startswith("fold") else "choose other valid and test chromosomes"
    return f"{first}, or keep more peaks (top_fraction, exclude_chromosomes, length, max_n_fraction)"


def _check_negatives(table: pd.DataFrame, splits: Splits) -> None:
    """Raise SeqliftError unless each target has negatives in each split."""
    counted = table[table["kind"] != "background"]
    for split in splits.names:
        rows = counted[counted["split"] == split]
        for name in target_names(table):
            if not (rows[TARGET_PREFIX + name] == 0).any():
                raise SeqliftError(
                    f"target {name!r} has no negatives in split {split!r}; raise ratio so that each split gets some, "
                    "or use negatives that lie there"
                )


def _count(table: pd.DataFrame, splits: Splits) -> dict[str, dict]:
    """Rows of each split, and of these the positives of each target, negatives and background."""
    names = target_names(table)
    counts: dict[str, dict] = {"kept": {}, "regions": {}, "background": {}}
    for split in splits.names:
        rows = table[table["split"] == split]
        counts["kept"][split] = {name: int((rows[TARGET_PREFIX + name] == 1).sum()) for name in names}
        counts["kept"][split]["negative"] = int((~rows["kind"].isin(["peak", "background"])).sum())
        counts["regions"][split] = len(rows)
        if split not in ("train", "valid"):
            counts["background"][split] = int((rows["kind"] == "background").sum())
    counts["masked"] = {name: int(table[TARGET_PREFIX + name].isna().sum()) for name in names}
    return counts


def _count_peaks(peaks: pd.DataFrame, targets: Sequence[Target]) -> dict[str, dict]:
    """Numbers of peaks: dropped by reason; and for each target read and used."""
    used = peaks["dropped"].isin(["", "merged", "unlabelled", "duplicate"])
    return {
        "dropped": {reason: int((peaks["dropped"] == reason).sum()) for reason in DROPPED},
        "peaks": {
            target.name: {
                "path": str(target.peaks),
                "read": int((peaks["target"] == number).sum()),
                "used": int((used & (peaks["target"] == number)).sum()),
            }
            for number, target in enumerate(targets)
        },
    }
