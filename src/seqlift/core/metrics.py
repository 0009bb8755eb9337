"""Agreement of predictions with measurements, with the uncertainty due to the number of test regions.

AUROC is the chance that a random positive scores above a random negative; AUPRC (average precision) also depends on how
rare positives are, so a weight can let each negative represent several. A reliability curve compares predicted
probabilities against observed shares. Counts are compared by the correlation of their logarithms (Pearson) and of their
ranks (Spearman). Profiles are compared by the Jensen-Shannon distance with logarithms to base 2: 0 where two profiles
are the same, 1 where they share no position (Endres & Schindelin, IEEE Transactions on Information Theory 49:1858,
2003; the square root of the Jensen-Shannon divergence in bits).

All intervals are percentile bootstraps over the test regions. For AUROC and AUPRC these are resampled within the
positives and within the negatives, so the share of positives stays that of the data (Carpenter & Bithell, Statistics in
Medicine 19:1141, 2000).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from seqlift.core.compiled import compiled

RESAMPLES = 1000
LEVEL = 0.95
BINS = 10


@dataclass(frozen=True)
class Discrimination:
    """AUROC and AUPRC of one target, each with the ends of its bootstrap interval; NaN without both classes."""

    auroc: float
    auroc_low: float
    auroc_high: float
    auprc: float
    auprc_low: float
    auprc_high: float
    positives: int
    negatives: int


@dataclass(frozen=True)
class Correlation:
    """Pearson and Spearman correlation with the ends of their bootstrap intervals; NaN where one side is constant."""

    pearson: float
    pearson_low: float
    pearson_high: float
    spearman: float
    spearman_low: float
    spearman_high: float
    regions: int


@dataclass(frozen=True)
class Median:
    """The median of some values, with the ends of its bootstrap interval; NaN without values."""

    median: float
    low: float
    high: float
    regions: int


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities and observed fractions, in `BINS` bins of equal width from 0 to 1.

    Attributes
    ----------
    predicted, observed : list of float or None
        Mean predicted probability and share of positives in each bin; None where a bin is empty.
    count : list of int
        Regions in each bin.
    calibration_error : float
        Expected calibration error: the mean of |observed - predicted| over the bins, weighted by their counts.
    brier : float
        Mean squared difference between probability and label.
    """

    predicted: list[float | None]
    observed: list[float | None]
    count: list[int]
    calibration_error: float
    brier: float


def auroc_auprc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """AUROC and average precision; equal scores count as half right.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N,)
        Higher means more likely positive.
    positive : numpy.ndarray, shape (N,), bool
    weights : numpy.ndarray, shape (N,), optional
        How often each region counts; 1 each by default.

    Returns
    -------
    tuple of float
        NaN, NaN where there are no positives or no negatives.
    """
    order, last = _order(scores)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    return _areas(np.asarray(positive, bool)[order], weights[order], last)


def resampled_areas(scores: np.ndarray, positive: np.ndarray, times: Iterable[np.ndarray]) -> np.ndarray:
    """AUROC and average precision of bootstrap samples, sorting the scores only once.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N,)
    positive : numpy.ndarray, shape (N,), bool
    times : iterable of numpy.ndarray, shape (N,)
        How often each score is drawn, for each sample.

    Returns
    -------
    numpy.ndarray, shape (samples, 2)
        NaN where a sample has no positives or no negatives.
    """
    order, last = _order(scores)
    positive = np.asarray(positive, bool)[order]
    return np.array([_areas(positive, np.asarray(drawn, float)[order], last) for drawn in times])


def _order(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices from high to low score, and whether each place is the last of a run of equal scores."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    return order, np.append(ranked[1:] != ranked[:-1], np.ones(min(1, len(ranked)), bool))


@compiled
def _areas(positive: np.ndarray, weights: np.ndarray, last: np.ndarray) -> tuple[float, float]:
    """Both areas for regions sorted from high to low score, in one pass over the runs of equal scores."""
    positives = 0.0
    negatives = 0.0
    for i in range(len(positive)):
        if positive[i]:
            positives += weights[i]
        else:
            negatives += weights[i]
    if positives == 0 or negatives == 0:
        return np.nan, np.nan
    true = false = 0.0  # above the run
    gained = passed = 0.0  # in the run
    lost = precise = 0.0
    for i in range(len(positive)):
        if positive[i]:
            gained += weights[i]
        else:
            passed += weights[i]
        if last[i]:
            # A positive beats the negatives below its run of equal scores, and half of those within
            lost += gained * (false + passed / 2)
            true += gained
            false += passed
            if gained > 0:
                precise += gained * true / (true + false)
            gained = passed = 0.0
    return 1 - lost / (positives * negatives), precise / positives


def discrimination(
    scores: np.ndarray,
    positive: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Discrimination:
    """AUROC and AUPRC with bootstrap intervals.

    Parameters
    ----------
    scores, positive, weights
        See `auroc_auprc`. A region keeps its weight when it is resampled.
    resamples : int
        Bootstrap samples.
    level : float
        Coverage of the intervals, 0 to 1.
    seed : int
        Seed of the bootstrap.
    """
    positive = np.asarray(positive, bool)
    order, last = _order(scores)
    positive = positive[order]
    weights = np.ones(len(positive)) if weights is None else np.asarray(weights, float)[order]
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    areas = _areas(positive, weights, last)
    drawn = np.empty((0, 2))
    if n_positive and n_negative:
        random = np.random.default_rng(seed)
        drawn = np.empty((resamples, 2))
        times = np.empty(len(positive))
        for i in range(resamples):
            for group, n in ((positive, n_positive), (~positive, n_negative)):
                times[group] = np.bincount(random.integers(n, size=n), minlength=n)
            drawn[i] = _areas(positive, times * weights, last)
    auroc_interval, auprc_interval = _intervals(drawn, level)
    return Discrimination(areas[0], *auroc_interval, areas[1], *auprc_interval, n_positive, n_negative)


def correlation(
    x: np.ndarray, y: np.ndarray, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Correlation:
    """Pearson and Spearman correlation with bootstrap intervals; equal values share the mean of their ranks.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (N,), finite
    resamples, level, seed
        See `discrimination`. A resample in which one side is constant has no correlation and is left out.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    n = len(x)
    groups = [np.unique(values, return_inverse=True)[1] for values in (x, y)]

    def both(times: np.ndarray) -> tuple[float, float]:
        ranks = [_ranks(group, times) for group in groups]
        return _weighted_pearson(x, y, times), _weighted_pearson(ranks[0], ranks[1], times)

    found = both(np.ones(n)) if n > 1 else (np.nan, np.nan)
    drawn = np.empty((0, 2))
    if np.isfinite(found).all():
        drawn = np.array([both(np.bincount(rows, minlength=n)) for rows in resampled(n, resamples, seed)])
    pearson_interval, spearman_interval = _intervals(drawn, level)
    return Correlation(found[0], *pearson_interval, found[1], *spearman_interval, n)


def _weighted_pearson(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> float:
    total = times.sum()
    x, y = x - times @ x / total, y - times @ y / total
    spread = np.sqrt((times @ (x * x)) * (times @ (y * y)))
    # Rounding leaves a trace of spread in what is constant
    return float(times @ (x * y) / spread) if spread > 1e-12 * total else np.nan


def _ranks(group: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Ranks of values, each repeated `times` times; `group` numbers the distinct values from the smallest."""
    size = np.bincount(group, weights=times)
    return (np.cumsum(size) - (size - 1) / 2)[group]


def median(values: np.ndarray, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Median:
    """The median of `values`, shape (N,), finite, with its bootstrap interval."""
    ranked = np.sort(np.asarray(values, float))
    n = len(ranked)
    if not n:
        return Median(np.nan, np.nan, np.nan, 0)
    middle = [(n - 1) // 2, n // 2]
    drawn = [[ranked[np.partition(rows, middle)[middle]].mean()] for rows in resampled(n, resamples, seed)]
    (interval,) = _intervals(np.array(drawn), level)
    return Median(float(ranked[middle].mean()), *interval, n)


def resampled(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of each bootstrap sample: n of n, drawn with replacement."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield random.integers(n, size=n)


def _intervals(drawn: np.ndarray, level: float) -> list[tuple[float, float]]:
    """Lower and upper end for each column of the resamples; NaN where none is finite."""
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn):
        return [(np.nan, np.nan)] * drawn.shape[1]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def reliability(probabilities: np.ndarray, positive: np.ndarray, *, bins: int = BINS) -> Reliability:
    """The reliability curve of predicted probabilities.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (N,), 0 to 1
    positive : numpy.ndarray, shape (N,), bool
    bins : int
        Of equal width; a probability on an edge belongs to the bin above it, 1 to the last.
    """
    probabilities, positive = np.asarray(probabilities, float), np.asarray(positive, float)
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (probabilities, positive)]
    n = max(1, len(probabilities))
    predicted, observed = (
        [float(s / size) if size else None for s, size in zip(values, count, strict=True)] for values in sums
    )
    error = float(np.abs(sums[0] - sums[1]).sum() / n)
    return Reliability(predicted, observed, count.tolist(), error, float(((probabilities - positive) ** 2).sum() / n))


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance (base 2) between the profiles of each region.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N, ...), at least 0
        Scaled here so that each row sums to 1; all axes but the first are one distribution.

    Returns
    -------
    numpy.ndarray, shape (N,), float64
        0 (the same) to 1 (nothing shared); NaN where a row sums to 0.
    """
    first, second = (values.reshape(len(values), -1).astype(float) for values in (first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (values / values.sum(axis=1, keepdims=True) for values in (first, second))
        middle = (first + second) / 2
        terms = [np.where(p > 0, p * np.log2(p / middle), 0.0) for p in (first, second)]
    divergence = sum(term.sum(axis=1) for term in terms) / 2
    undefined = np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1)
    return np.where(undefined, np.nan, np.sqrt(np.clip(divergence, 0, 1)))
