"""Negatives of each kind as rows of the table of regions, and the background that weights the metrics.

What a model learns depends on its negatives. From genomic windows of the same GC content it learns the order of the
bases; from shuffles with the same dinucleotides, motifs and their grammar; from open chromatin where a factor does not
bind, the difference between its sites and other regulatory DNA.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import some
from seqlift.data.genome import Genome
from seqlift.data.intervals import merge_intervals, overlapping
from seqlift.errors import SeqliftError
from seqlift.regions.peaks import measure_windows, merged, read_genome_peaks
from seqlift.regions.settings import FROM_FILE, RegionSettings
from seqlift.regions.splits import Splits, matching
from seqlift.regions.table import COLUMNS, TARGET_PREFIX, target_names
from seqlift.regions.windows import GC_DRIFT, draw_any, draw_matched, share_out

# Reasons why a line of negatives_file is not a negative; the first that applies is counted
POOL_DROPPED = {
    "excluded_chromosome": "on an excluded chromosome",
    "between_splits": "its window and the room for jitter run off the chromosome or straddle a border between splits",
    "near_peak": "nearer than min_distance to a peak, or in a masked or unlabelled place",
    "too_many_n": "too many N in its window",
    "merged": "merged into a better one nearby",
}


def make_negatives(
    settings: RegionSettings,
    positives: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    genome: Genome,
    splits: Splits,
    blocked: pd.DataFrame,
) -> tuple[pd.DataFrame, dict]:
    """Rows of negatives; and how many were requested in each split, and how many lines of a file were dropped and why.

    Parameters
    ----------
    settings : RegionSettings
    positives : pandas.DataFrame
        Rows of kind `peak`.
    candidates : pandas.DataFrame
        From `seqlift.regions.windows.candidate_windows`.
    genome : Genome
    splits : Splits
    blocked : pandas.DataFrame
        Intervals that no window of a negative may overlap: widened peaks, masks and so on.

    Raises
    ------
    SeqliftError
        If the genome or the file has too few.
    """
    names = target_names(positives)
    quotas = share_out(round(settings.ratio * len(positives)), positives["split"].value_counts())
    sets = {split: 1 if split in ("valid", "test") else settings.negative_sets for split in quotas}
    requested = {split: quota * sets[split] for split, quota in quotas.items()}
    dropped: dict[str, int] = {}
    if settings.negatives == "shuffled":
        rows = _shuffled_rows(positives, sets, settings)
    elif settings.negatives == "genome":
        _check_room(candidates, quotas, sets, settings)
        rows = draw_matched(candidates, positives, quotas, sets, seed=settings.seed)
        rows = _as_rows(rows, settings.negatives, settings.length, names)
    else:
        pool, dropped = _pool(settings, genome, splits, blocked)
        have = pool["split"].value_counts()
        quotas = {split: min(quota, int(have.get(split, 0)) // sets[split]) for split, quota in quotas.items()}
        if settings.negatives == "unbound":
            rows = draw_matched(pool, positives, quotas, sets, seed=settings.seed)
        else:
            rows = draw_any(pool, quotas, sets, seed=settings.seed)
        rows = rows.assign(name=window_names(rows))
    rows = rows.assign(kind=settings.negatives, **{TARGET_PREFIX + name: 0.0 for name in names})
    return rows[[*COLUMNS, *(TARGET_PREFIX + name for name in names)]], {
        "requested": requested,
        "file_dropped": dropped,
    }


def window_names(rows: pd.DataFrame) -> pd.Series:
    """Names of windows by their place, which do not depend on other regions."""
    return rows["chrom"] + "_" + rows["start"].astype(str) + "_" + rows["end"].astype(str)


def _check_room(
    candidates: pd.DataFrame, quotas: Mapping[str, int], sets: Mapping[str, int], settings: RegionSettings
) -> None:
    for split, quota in quotas.items():
        have = int((candidates["split"] == split).sum())
        if have < quota * sets[split]:
            times = f" ({sets[split]} sets of {quota})" if sets[split] > 1 else ""
            room = f" with {settings.jitter} bp for jitter on either side" if settings.jitter else ""
            fewer = "ratio, negative_sets" if sets[split] > 1 else "ratio"
            raise SeqliftError(
                f"split {split!r} needs {quota * sets[split]} negatives from the genome{times}, but there is room for "
                f"only {have} windows of {settings.length} bp{room} at least {settings.min_distance} bp away from all "
                f"peaks; lower {fewer} or min_distance, or use negatives: shuffled"
            )


def _shuffled_rows(positives: pd.DataFrame, sets: Mapping[str, int], settings: RegionSettings) -> pd.DataFrame:
    """`ratio` copies of each window in each set, a remainder for random windows; names are `<name>_shuffle<k>`."""
    copies = []
    for split, rows in positives.groupby("split"):
        rng = np.random.default_rng([settings.seed, zlib.crc32(str(split).encode())])
        times, rest = divmod(round(settings.ratio * len(rows)), len(rows))
        for number in range(sets[str(split)]):
            counts = np.full(len(rows), times)
            counts[rng.permutation(len(rows))[:rest]] += 1
            copies.append(rows.loc[rows.index.repeat(counts)].assign(set=number))
    copy = pd.concat(copies)
    number = copy.groupby(level=0).cumcount()
    copy = copy.assign(name=copy["name"] + "_shuffle" + number.astype(str), score=np.nan)
    return copy.reset_index(drop=True)


def _pool(
    settings: RegionSettings, genome: Genome, splits: Splits, blocked: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Windows around the summits of negatives_file that can be negatives, and how many cannot, by reason."""
    assert settings.negatives_file is not None
    peaks = read_genome_peaks(settings.negatives_file, genome, settings.exclude_chromosomes)
    peaks = peaks.sort_values(["place", "summit", "start", "end", "line"], ignore_index=True)
    start = peaks["summit"] - settings.length // 2
    pool = peaks.assign(start=start, end=start + settings.length)
    pool["split"] = splits.of(pool, settings.jitter)
    excluded = peaks["chrom"].isin(matching(peaks["chrom"].unique(), settings.exclude_chromosomes)).to_numpy()
    near = overlapping(pool, merge_intervals(blocked))
    inside = np.flatnonzero(pool["split"] != "")
    gc, n_fraction = np.zeros(len(pool)), np.zeros(len(pool))
    gc[inside], n_fraction[inside] = measure_windows(pool.iloc[inside], genome, settings.length)
    why = np.select(
        [excluded, (pool["split"] == "").to_numpy(), near, n_fraction > settings.max_n_fraction],
        list(POOL_DROPPED)[:4],
        default="",
    )
    pool = pool.assign(gc=gc, rank=pool["score"].rank(method="min", ascending=False).fillna(0.0), target=0)
    left = np.flatnonzero(why == "")
    why[left[merged(pool.iloc[left], settings.merge_distance)]] = "merged"
    dropped = {reason: int((why == reason).sum()) for reason in POOL_DROPPED}
    pool = pool[why == ""].reset_index(drop=True)
    if not len(pool):
        reasons = "; ".join(f"{count} {POOL_DROPPED[reason]}" for reason, count in dropped.items() if count)
        raise SeqliftError(f"{settings.negatives_file}: none of its {len(peaks)} lines can be a negative: {reasons}")
    return pool.assign(source=pool["file"] + ":" + pool["line"].astype(str)), dropped


def even_sets(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows of negatives, the larger sets of a split reduced at random to the size of the smallest."""
    counts = rows.groupby(["split", "set"]).size()
    smallest = counts.groupby("split").transform("min")
    if (counts == smallest).all():
        return rows
    rng = np.random.default_rng([seed, 3])
    place = rows.iloc[rng.permutation(len(rows))].groupby(["split", "set"]).cumcount().reindex(rows.index)
    return rows[place < rows["split"].map(counts.groupby("split").min())]


def background_rows(
    candidates: pd.DataFrame, splits: Splits, names: Sequence[str], settings: RegionSettings
) -> pd.DataFrame:
    """Rows of kind `background`: random candidates of each test split (each fold), or all where there are too few.

    A window may also be a negative; a background without these would not be a random sample of the genome.
    """
    evaluated = [split for split in splits.names if split not in ("train", "valid")]
    quotas = {split: min(settings.background, int((candidates["split"] == split).sum())) for split in evaluated}
    rows = draw_any(candidates, quotas, dict.fromkeys(quotas, 1), seed=settings.seed)
    rows = _as_rows(rows, "background", settings.length, names)
    return rows.assign(name=rows["name"] + "_background")


def _as_rows(windows: pd.DataFrame, kind: str, length: int, names: Sequence[str]) -> pd.DataFrame:
    """Candidate windows as rows of the table."""
    rows = windows.assign(chrom=windows["chrom"].astype(str), split=windows["split"].astype(str))
    rows = rows.assign(end=rows["start"] + length, summit=rows["start"] + length // 2)
    rows = rows.assign(name=window_names(rows), kind=kind, strand=".", score=np.nan, source="")
    return rows[COLUMNS].assign(**{TARGET_PREFIX + name: 0.0 for name in names})


def describe_negatives(table: pd.DataFrame, settings: RegionSettings, made: Mapping, splits: Sequence[str]) -> dict:
    """The section `negatives` of regions.json: settings, numbers, and how well the GC content matches the peaks'."""
    from scipy.stats import wasserstein_distance  # importing it takes longer than most runs with bad input

    peaks = table[table["kind"] == "peak"]
    negatives = table[~table["kind"].isin(["peak", "background"])]
    distance = {}
    for split in splits:
        groups = [rows.loc[rows["split"] == split, "gc"].to_numpy() for rows in (peaks, negatives)]
        if all(len(group) for group in groups):
            distance[split] = round(float(wasserstein_distance(*groups)), 6)
    drawn = negatives["split"].value_counts()
    warnings = []
    far = [f"{split} {value:.3f}" for split, value in distance.items() if value > GC_DRIFT]
    if far and settings.negatives != "bed":
        warnings.append(
            f"negatives do not match the peaks in GC content: the mean difference is above {GC_DRIFT} in {some(far)}; "
            "a model could distinguish them by that alone: lower ratio, negative_sets or min_distance, or use "
            "negatives: shuffled"
        )
    numbers = {split: (drawn.get(split, 0), requested) for split, requested in made["requested"].items()}
    short = [f"{split} {n} of {requested}" for split, (n, requested) in numbers.items() if n < requested]
    if short and settings.negatives in FROM_FILE:
        warnings.append(f"fewer negatives than requested: {some(short)}")
    return {
        "kind": settings.negatives,
        "file": None if settings.negatives_file is None else str(settings.negatives_file),
        "ratio": settings.ratio,
        "sets": settings.negative_sets,
        "min_distance": settings.min_distance,
        "requested": made["requested"],
        "drawn": {split: int(drawn.get(split, 0)) for split in splits},
        "file_dropped": made["file_dropped"],
        "gc_histogram": {
            "bins": "20 of 0.05, from 0 to 1",
            "positives": np.histogram(peaks["gc"], bins=20, range=(0.0, 1.0))[0].tolist(),
            "negatives": np.histogram(negatives["gc"], bins=20, range=(0.0, 1.0))[0].tolist(),
        },
        # Mean difference between the sorted GC contents of positives and negatives (first Wasserstein distance).
        "gc_distance": distance,
        "warning": ". ".join(warnings),
    }
