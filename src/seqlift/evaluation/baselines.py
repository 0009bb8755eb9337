"""What a simpler model makes of the same regions: the best single known motif, and the counts of short words.

A network is worth its trouble only where it beats these. The *motif* baseline takes from a database the one motif whose
best match tells the training regions apart best, and scores every region with it: the largest log-odds, over positions
and both strands, of the motif's frequencies against the base composition of the training regions. The *k-mer* baseline
is a linear model of how often each word of `WORD` bases occurs, a word and its reverse complement counted as one
(cf. Ghandi et al., PLoS Computational Biology 10:e1003711, 2014): logistic regression for labels, ridge regression for
log counts, its penalty chosen on validation regions. Neither sees a test region before it is scored.

The work is bounded: the motif is chosen on about `MOTIF_SAMPLE` training regions (fewer where they are long:
`MOTIF_BASES` in all) and the regressions learn from about `KMER_SAMPLE`, drawn so that every target and the negatives
have their share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from seqlift.data.windows import one_hot
from seqlift.motifs.database import Database

WORD = 6
MOTIF_SAMPLE = 2_000
MOTIF_BASES = 1_000_000  # all motifs of JASPAR's vertebrates take about half a minute for this number, on one core
KMER_SAMPLE = 10_000
FLAT_SHARE = 0.01  # of the base composition in each column of a motif: no base is impossible
PENALTIES = tuple(10.0**exponent for exponent in range(-1, 6))  # times the sum of squared weights
_NUMBERS_AT_ONCE = 2**24  # of a convolution's output: keeps memory small


@dataclass(frozen=True)
class MotifBaseline:
    """The motif that serves best for one target: its place in the database, and the score on the training sample.

    `criterion` is the AUROC for labels and the Pearson correlation for log counts.
    """

    index: int
    identifier: str
    name: str
    criterion: float


@dataclass(frozen=True)
class KmerBaseline:
    """A linear model of k-mer counts, (words,) weights for scaled counts, and the penalty that was chosen."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float
    penalty: float
    regions: int


def sample_rows(values: np.ndarray, *, n: int, seed: int) -> np.ndarray:
    """Rows to learn from: about `n`, one half shared among the targets' positives, the other half from the rest.

    Parameters
    ----------
    values : numpy.ndarray, shape (N, T)
        Above 0: positive; NaN: unknown. Of log counts, pass the labels of the peaks all the same.
    n : int
    seed : int

    Returns
    -------
    numpy.ndarray of int, increasing
    """
    if len(values) <= n:
        return np.arange(len(values))
    random = np.random.default_rng(seed)
    positive = values > 0
    share = max(100, n // 2 // positive.shape[1])
    chosen = [random.permutation(np.flatnonzero(column))[:share] for column in positive.T]
    chosen.append(random.permutation(np.flatnonzero(~positive.any(axis=1)))[: n - n // 2])
    return np.unique(np.concatenate(chosen))


def motif_sample(length: int) -> int:
    """Training regions of `length` bp to choose a motif on."""
    return max(200, min(MOTIF_SAMPLE, MOTIF_BASES // length))


def base_composition(codes: np.ndarray) -> np.ndarray:
    """Frequencies of A, C, G and T on both strands together, shape (4,), of base codes (N, L)."""
    counts = np.bincount(codes.ravel(), minlength=5)[:4].astype(float)
    counts += counts[::-1]  # the other strand
    return (counts + 1) / (counts + 1).sum()


def motif_scores(codes: np.ndarray, matrices: Sequence[np.ndarray], background: np.ndarray) -> np.ndarray:
    """Log-odds of the best match of each motif in each sequence, over all positions and both strands.

    Parameters
    ----------
    codes : numpy.ndarray, shape (N, L), uint8
        Base codes as of `seqlift.data.windows.load_codes`; N counts as neither for nor against.
    matrices : sequence of numpy.ndarray, each of shape (4, w)
        Base frequencies A C G T.
    background : numpy.ndarray, shape (4,)

    Returns
    -------
    numpy.ndarray, shape (N, motifs), float32
        In bits; -inf for a motif that is longer than the sequences.
    """
    found = np.full((len(codes), len(matrices)), -np.inf, np.float32)
    widths = np.array([matrix.shape[1] for matrix in matrices])
    for width in np.unique(widths[widths <= codes.shape[1]]):
        these = np.flatnonzero(widths == width)
        odds = np.stack([_log_odds(matrices[i], background) for i in these.tolist()])
        filters = torch.from_numpy(np.concatenate([odds, odds[:, ::-1, ::-1]]).astype(np.float32))
        rows = max(1, _NUMBERS_AT_ONCE // (len(filters) * codes.shape[1]))
        for first in range(0, len(codes), rows):
            sequences = one_hot(torch.from_numpy(np.ascontiguousarray(codes[first : first + rows])))
            best = torch.conv1d(sequences, filters).amax(dim=2).numpy()  # (rows, 2 motifs)
            found[first : first + rows, these] = np.maximum(best[:, : len(these)], best[:, len(these) :])
    return found


def _log_odds(matrix: np.ndarray, background: np.ndarray) -> np.ndarray:
    flat = background[:, None]
    return np.log2(((1 - FLAT_SHARE) * matrix + FLAT_SHARE * flat) / flat)


def choose_motif(scores: np.ndarray, values: np.ndarray, database: Database, *, labels: bool) -> MotifBaseline | None:
    """The motif whose best match serves best for one target; None where there is nothing to choose by.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N, motifs)
        Of training regions.
    values : numpy.ndarray, shape (N,)
        Labels or log counts; NaN is left out.
    database : Database
    labels : bool
        Choose by AUROC; else by the Pearson correlation.
    """
    known = np.isfinite(values)
    scores, values = scores[known], values[known]
    if not len(values) or np.ptp(values) == 0:
        return None
    if labels:
        positive = values > 0
        ranks = pd.DataFrame(scores).rank().to_numpy()[positive].sum(axis=0)
        n = positive.sum()
        criterion = (ranks - n * (n + 1) / 2) / (n * (len(values) - n))
    else:
        with np.errstate(invalid="ignore"):  # -inf: longer than the sequences
            x, y = scores - scores.mean(axis=0), values - values.mean()
            criterion = (x * y[:, None]).sum(axis=0) / np.sqrt((x * x).sum(axis=0) * (y * y).sum())
    criterion = np.where(np.isfinite(scores[0]) & np.isfinite(criterion), criterion, -np.inf)
    best = int(np.argmax(criterion))
    if not np.isfinite(criterion[best]):
        return None
    return MotifBaseline(best, database.ids[best], database.names[best], float(criterion[best]))


def kmer_counts(codes: np.ndarray, k: int = WORD) -> np.ndarray:
    """How often each word of `k` bases occurs, a word and its reverse complement counted as one.

    Parameters
    ----------
    codes : numpy.ndarray, shape (N, L), uint8
        A word that holds an N is not counted.

    Returns
    -------
    numpy.ndarray, shape (N, words), float32
        In the order of the first of each pair of words, A C G T as digits to base 4: 2,080 words for k = 6.
    """
    column = _word_columns(k)
    n_words = column.max() + 1
    if codes.shape[1] < k:
        return np.zeros((len(codes), n_words), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(codes, k, axis=1)  # (N, L - k + 1, k)
    number = np.zeros(windows.shape[:2], np.int64)
    for i in range(k):
        number = 4 * number + np.minimum(windows[..., i], 3)
    known = (windows < 4).all(axis=2)
    cell = np.arange(len(codes))[:, None] * n_words + column[number]
    return np.bincount(cell[known], minlength=len(codes) * n_words).reshape(-1, n_words).astype(np.float32)


def _word_columns(k: int) -> np.ndarray:
    """Column of each of the 4^k words; a word and its reverse complement share one."""
    number = np.arange(4**k)
    reverse, rest = np.zeros_like(number), number.copy()
    for _ in range(k):
        reverse = 4 * reverse + 3 - rest % 4
        rest //= 4
    return np.unique(np.minimum(number, reverse), return_inverse=True)[1]


def fit_kmers(
    train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], *, labels: bool
) -> KmerBaseline | None:
    """Fit the linear model of one target; None where the training values are all the same or none is known.

    Parameters
    ----------
    train, valid : tuple
        Word counts (N, words) and values (N,), labels or log counts; NaN is left out. The penalty is the one of
        `PENALTIES` with the least loss on `valid`, or the largest where `valid` is empty.
    labels : bool
        Logistic regression; else ridge regression.
    """
    (counts, values), (valid_counts, valid_values) = (_known(*part) for part in (train, valid))
    if not len(values) or np.ptp(values) == 0:
        return None
    mean, scale = counts.mean(axis=0), counts.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    features, valid_features = (counts - mean) / scale, (valid_counts - mean) / scale
    best, least = None, np.inf
    for penalty in sorted(PENALTIES, reverse=True):
        weights, intercept = (_logistic if labels else _ridge)(features, values, penalty)
        loss = _loss(valid_features @ weights + intercept, valid_values, labels)
        if best is None or loss < least:
            best, least = KmerBaseline(mean, scale, weights, intercept, penalty, len(values)), loss
    return best


def kmer_scores(model: KmerBaseline, counts: np.ndarray) -> np.ndarray:
    """Logits or log counts, shape (N,), of word counts (N, words)."""
    return (counts - model.mean) / model.scale @ model.weights + model.intercept


def _known(counts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(values)
    return counts[known], values[known].astype(float)


def _logistic(features: np.ndarray, values: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / penalty, max_iter=500).fit(features, values > 0)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def _ridge(features: np.ndarray, values: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(
        features.astype(np.float64), values
    )  # words outnumber regions: it needs the digits
    return model.coef_.astype(np.float32), float(model.intercept_)


def _loss(predicted: np.ndarray, values: np.ndarray, labels: bool) -> float:
    if not len(values):
        return np.inf
    if labels:
        return float(np.mean(np.logaddexp(0, predicted) - (values > 0) * predicted))
    return float(np.mean((predicted - values) ** 2))
