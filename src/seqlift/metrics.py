"""How well scores tell positives from negatives, with the uncertainty that comes from testing on so many regions.

AUROC is the chance that a random positive scores above a random negative; AUPRC (average precision) also depends on how
rare positives are. The intervals are percentile bootstraps over the test regions, drawn anew within the positives and
within the negatives, so the share of positives stays that of the data (Carpenter & Bithell, Statistics in Medicine
19:1141, 2000).
"""

from dataclasses import dataclass

import numpy as np


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
    return _areas(positive[order], weights[order], last)


def _order(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices from high to low score, and the place of the last one of each run of equal scores."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    return order, np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)


def _areas(positive: np.ndarray, weights: np.ndarray, last: np.ndarray) -> tuple[float, float]:
    """Both areas for regions sorted from high to low score."""
    true = np.cumsum(np.where(positive, weights, 0.0))[last]  # positives at or above each threshold
    false = np.cumsum(np.where(positive, 0.0, weights))[last]
    if true[-1] == 0 or false[-1] == 0:
        return np.nan, np.nan
    gained = np.diff(true, prepend=0.0)
    above = np.concatenate([[0.0], false[:-1]])
    # A positive beats the negatives below its run of equal scores, and half of those within
    auroc = 1 - float((gained * (above + false) / 2).sum() / (true[-1] * false[-1]))
    reached = true + false > 0
    precision = np.divide(true, true + false, out=np.zeros_like(true), where=reached)
    return auroc, float((gained * precision).sum() / true[-1])


def discrimination(
    scores: np.ndarray, positive: np.ndarray, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Discrimination:
    """AUROC and AUPRC with bootstrap intervals.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N,)
    positive : numpy.ndarray, shape (N,), bool
    resamples : int
        Bootstrap samples.
    level : float
        Coverage of the intervals, 0 to 1.
    seed : int
        Of the bootstrap.
    """
    positive = np.asarray(positive, bool)
    order, last = _order(scores)
    positive = positive[order]
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    areas = _areas(positive, np.ones(len(positive)), last)
    low = high = (np.nan, np.nan)
    if n_positive and n_negative:
        random = np.random.default_rng(seed)
        drawn = np.empty((resamples, 2))
        weights = np.empty(len(positive))
        for i in range(resamples):
            for group, n in ((positive, n_positive), (~positive, n_negative)):
                weights[group] = np.bincount(random.integers(n, size=n), minlength=n)
            drawn[i] = _areas(positive, weights, last)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Discrimination(
        auroc=areas[0],
        auroc_low=float(low[0]),
        auroc_high=float(high[0]),
        auprc=areas[1],
        auprc_low=float(low[1]),
        auprc_high=float(high[1]),
        positives=n_positive,
        negatives=n_negative,
    )
