"""Which patterns, where and how strongly, add up to the contributions of a region: Fi-NeMo's model, solved exactly.

The model is Fi-NeMo's (https://github.com/kundajelab/Fi-NeMo): the contributions c of a region, divided by their root
mean square, are a sum of patterns (CWMs of unit length, both strands) laid at positions p with strengths a >= 0,

    minimise  1/2 · ‖c − Σ a[m, p] · s[m, p] · CWM[m] at p‖² + λ · Σ a[m, p],   s = 1 / sqrt(E + 1),

where E is the sum of c² under the pattern and only the base that is there counts. s makes weak places pay more, so a
place is used only if (correlation with the pattern) / sqrt(E + 1) is above λ; by the penalty patterns compete, so that
one is used only for what the others leave unexplained. A place is a hit if, besides, its contributions have at least a
cosine of λ with the pattern. Of hits that overlap by more than half the stronger one is kept.

Why it is not the package finemo that solves it: its accelerated gradient descent stops at a duality gap at which alike
patterns still share a site, and the more alike they are the longer it takes. Coordinate descent over the few places
that can be above zero reaches the optimum in about a millisecond a region; `benchmarks/hits.py` measures both. The
tests compare it with finemo's own solver run to a small gap. Each region is solved by itself, in double precision and
in one fixed order: its hits do not depend on what else is in the file. Patterns may reach to the very ends of a region;
finemo needs room for the parts that were cut off them.
"""

from dataclasses import dataclass

import numpy as np

from seqlift.core.compiled import compiled

OVERLAP = 0.5  # if two hits share more than this fraction of the shorter one, the weaker is dropped
# A strength is settled when a step would change the correlation with what is left by less than this fraction of λ.
_TOLERANCE = 1e-5
# Passes over the places in use. Copies of one pattern converge slowly, and what is left to gain is then far too little
# to change which places are used.
_MOST_PASSES = 20_000


@dataclass(frozen=True)
class Hits:
    """K hits, by row, then start, then pattern.

    Attributes
    ----------
    rows : numpy.ndarray, shape (K,), int
        Of the contributions.
    patterns : numpy.ndarray, shape (K,), int
        Index of the pattern.
    reverse : numpy.ndarray, shape (K,), bool
        The sequence reads as the pattern does on the opposite strand.
    starts : numpy.ndarray, shape (K,), int
        First base, bp from the start of the region.
    strengths : numpy.ndarray, shape (K,)
        Length (root of the sum of squares) of the fitted pattern, in the units of the contributions.
    similarities : numpy.ndarray, shape (K,)
        Cosine between the contributions and the pattern.
    """

    rows: np.ndarray
    patterns: np.ndarray
    reverse: np.ndarray
    starts: np.ndarray
    strengths: np.ndarray
    similarities: np.ndarray


def fit_hits(contributions: np.ndarray, codes: np.ndarray, patterns: list[np.ndarray], similarity: float) -> Hits:
    """Hits of the patterns in each region.

    Parameters
    ----------
    contributions : numpy.ndarray, shape (N, L), finite
        Of the base that is there.
    codes : numpy.ndarray, shape (N, L), uint8
        That base: A C G T = 0 to 3, 4 = N.
    patterns : list of numpy.ndarray, each of shape (4, w), w at most L
        CWMs, cut to what a hit shall cover.
    similarity : float
        λ: penalty, and least cosine.
    """
    widths = np.array([pattern.shape[1] for pattern in patterns for _ in "+-"], int)
    weights = np.zeros((len(widths), 4, widths.max(initial=0)))
    for i, pattern in enumerate(patterns):
        size = np.sqrt((pattern**2).sum())
        if size > 0:  # one of zeros is like nothing
            weights[2 * i, :, : pattern.shape[1]] = pattern / size
            weights[2 * i + 1, :, : pattern.shape[1]] = pattern[::-1, ::-1] / size
    found = _fit(np.asarray(contributions, float), codes, weights, widths, similarity)
    rows, oriented, starts = found[:, :3].astype(int).T
    strengths, similarities = found[:, 3], found[:, 4]
    # Strongest first; where two are equal, as both strands of a palindrome are, the earlier pattern and the plus strand
    order = np.lexsort((starts, oriented, -strengths, rows))
    kept = order[not_overlapping(rows[order], starts[order], widths[oriented[order]], OVERLAP)]
    kept = kept[np.lexsort((oriented[kept], starts[kept], rows[kept]))]
    oriented = oriented[kept]
    return Hits(rows[kept], oriented // 2, oriented % 2 == 1, starts[kept], strengths[kept], similarities[kept])


@compiled
def _correlation(values: np.ndarray, codes: np.ndarray, weights: np.ndarray, start: int, width: int) -> float:
    """Sum of `values` (L,) times the weights (4, W) of the bases that are there, laid at `start`."""
    total = 0.0
    for i in range(width):
        base = codes[start + i]
        if base < 4:
            total += values[start + i] * weights[base, i]
    return total


@compiled
def _fit(
    contributions: np.ndarray, codes: np.ndarray, weights: np.ndarray, widths: np.ndarray, penalty: float
) -> np.ndarray:
    """All places used whose cosine is at least `penalty`, (K, 5): row, pattern, start, strength, cosine.

    `weights` (M, 4, W): both strands of each pattern.
    """
    n_rows, length = contributions.shape
    n_patterns = len(weights)
    scaled, left, energy = np.empty(length), np.empty(length), np.zeros(length + 1)
    used = np.zeros((n_patterns, length), np.bool_)
    pattern, start = np.empty(n_patterns * length, np.int64), np.empty(n_patterns * length, np.int64)
    scale, curvature = np.empty(n_patterns * length), np.empty(n_patterns * length)
    strength = np.empty(n_patterns * length)
    found, n_found = np.empty((1024, 5)), 0
    for row in range(n_rows):
        size = np.sqrt(np.mean(contributions[row] ** 2))
        if size == 0.0:
            continue
        for i in range(length):
            scaled[i] = left[i] = contributions[row, i] / size
            energy[i + 1] = energy[i] + scaled[i] ** 2
        n_used = 0
        while True:
            # Places that would gain from a strength above 0; none: the optimum is reached
            before = n_used
            for m in range(n_patterns):
                for p in range(length - widths[m] + 1):
                    if used[m, p]:
                        continue
                    s = 1.0 / np.sqrt(energy[p + widths[m]] - energy[p] + 1.0)
                    if s * _correlation(left, codes[row], weights[m], p, widths[m]) > penalty * (1 + 2 * _TOLERANCE):
                        used[m, p] = True
                        pattern[n_used], start[n_used], scale[n_used], strength[n_used] = m, p, s, 0.0
                        curvature[n_used] = 0.0
                        for i in range(widths[m]):
                            if codes[row, p + i] < 4:
                                curvature[n_used] += (s * weights[m, codes[row, p + i], i]) ** 2
                        n_used += 1
            if n_used == before:
                break
            for _ in range(_MOST_PASSES):
                largest = 0.0
                for k in range(n_used):
                    m, p = pattern[k], start[k]
                    slope = scale[k] * _correlation(left, codes[row], weights[m], p, widths[m]) - penalty
                    change = max(0.0, strength[k] + slope / curvature[k]) - strength[k]
                    if change != 0.0:
                        strength[k] += change
                        for i in range(widths[m]):
                            if codes[row, p + i] < 4:
                                left[p + i] -= change * scale[k] * weights[m, codes[row, p + i], i]
                        largest = max(largest, abs(change) * curvature[k])
                if largest <= penalty * _TOLERANCE:
                    break
        for k in range(n_used):
            m, p = pattern[k], start[k]
            used[m, p] = False
            under = energy[p + widths[m]] - energy[p]
            if strength[k] > 0.0 and under > 0.0:
                cosine = _correlation(scaled, codes[row], weights[m], p, widths[m]) / np.sqrt(under)
                if cosine >= penalty:
                    if n_found == len(found):
                        longer = np.empty((2 * n_found, 5))
                        longer[:n_found] = found
                        found = longer
                    found[n_found, 0], found[n_found, 1], found[n_found, 2] = row, m, p
                    found[n_found, 3], found[n_found, 4] = strength[k] * scale[k] * size, cosine
                    n_found += 1
    return found[:n_found]


@compiled
def not_overlapping(rows: np.ndarray, starts: np.ndarray, widths: np.ndarray, share: float) -> np.ndarray:
    """Whether each hit, grouped by row, shares with none kept before it more than `share` of the shorter one."""
    kept = np.zeros(len(rows), np.bool_)
    first = 0
    for k in range(len(rows)):
        if rows[k] != rows[first]:
            first = k
        kept[k] = True
        for other in range(first, k):
            if kept[other]:
                end = min(starts[k] + widths[k], starts[other] + widths[other])
                common = end - max(starts[k], starts[other])
                if common > share * min(widths[k], widths[other]):
                    kept[k] = False
                    break
    return kept
