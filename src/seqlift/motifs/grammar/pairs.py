"""Statistics of two motifs in one region: together more often than chance, and in which order, strand and distance?

**Together.** Of N regions, A have a site of the first motif and B one of the second. Were they independent, the number
with both would be hypergeometric with mean A·B/N; p is its upper tail (Fisher's exact test, one-sided). For two sites
of one motif, S sites are thrown into N regions at random: a region then has two or more with probability
1 − (1 − 1/N)^S − S/N·(1 − 1/N)^(S−1), and p is the upper tail of that binomial. Two sites whose cores (without the
flanks of 2 bp that logos keep) share a base are alternative matches at one place and never a pair.

**Orientation and spacing.** Each region gives one pair, the two sites of the largest summed |contribution| that are
apart, so that pairs are independent of each other. The pair is seen from the first motif, which reads to the right: the
second lies `spacing` bp on (middle to middle; negative: before it), on the same strand (`> >`), facing it (`> <`) or
facing away (`< >`).

The null leaves to each motif where in the region its sites lie and on which strand, and takes away that they know of
each other: the position of one in any region is paired with that of the other in any region, all combinations at
once, as a cross-correlation of the two histograms; averaged over 21 bp, and without the places where the two would
overlap. p-values are binomial tails: for each of the three orientations (p times 3), and, within each orientation,
for each bp (p times the number of cells tried), as SpaMo (Whitington et al., Nucleic Acids Research 39:e98, 2011) does
with a uniform null. Regions that are copies of one sequence, as in repeats, count once where a distance is significant
(`grammar.copies`).
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from seqlift.motifs.grammar.copies import count_different, turn, windows_around
from seqlift.motifs.information import FLANK

ORIENTATIONS = ("> >", "> <", "< >")
LEAST_REGIONS = 20  # with each of two motifs, below which a pair is not looked at
LEAST_PAIRS = 20  # regions with both, below which nothing is said of orientation and spacing
_SMOOTH = 10  # bp to either side over which the null of the spacing is averaged


@dataclass(frozen=True)
class MotifSites:
    """Sites of one motif by one output and method, sorted by region and start.

    Attributes
    ----------
    width : int
        Of the consensus, bp.
    region : numpy.ndarray, shape (S,), int
        Number of the region.
    start : numpy.ndarray, shape (S,), int
        Of the consensus, bp from the start of the region.
    forward : numpy.ndarray, shape (S,), bool
        The consensus reads on the + strand.
    size : numpy.ndarray, shape (S,), float
        |contribution|.
    """

    width: int
    region: np.ndarray
    start: np.ndarray
    forward: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Together:
    """How many regions have both motifs, apart from each other."""

    regions_a: int
    regions_b: int
    together: int
    expected: float
    p: float


@dataclass(frozen=True)
class Spacing:
    """Pairs by orientation and distance, and what the null expects.

    Attributes
    ----------
    distance : numpy.ndarray, shape (D,), bp
        From the middle of the first motif to that of the second, in the direction of the first; 1 bp apart, whole or
        half numbers as the widths have it.
    observed : numpy.ndarray, shape (3, D), int
        Pairs (one a region) by `ORIENTATIONS` and distance.
    null : numpy.ndarray, shape (3, D)
        Probability of each; all sum to 1, or to 0 if the sites leave no room for pairs.
    """

    distance: np.ndarray
    observed: np.ndarray
    null: np.ndarray


@dataclass(frozen=True)
class Arrangement:
    """The most significant results of a `Spacing`: the leading orientation, and the leading distance with its
    orientation.
    """

    orientation: str
    orientation_p: float
    spacing: float
    spacing_orientation: str
    spacing_count: int
    spacing_expected: float
    spacing_p: float


def examine(
    a: MotifSites, b: MotifSites, codes: np.ndarray, max_spacing: int
) -> tuple[Together, tuple[Arrangement, Spacing] | None]:
    """Co-occurrence and spacing of two motifs, or of one with itself (`a is b`).

    Parameters
    ----------
    a, b : MotifSites
    codes : numpy.ndarray, shape (N, L), uint8
        Bases of all regions that were searched: 0 to 3 for A C G T, 4 for N.
    max_spacing : int, bp
        Distances up to this are tried one by one.

    Returns
    -------
    how often they are together, and what `arrangement` gives; None where they are never apart in one region
    """
    of_a, of_b = pairs_apart(a, b)
    together = count_together(a, b, of_a, len(codes))
    if not len(of_a):
        return together, None
    pairs = leading_pairs(a, b, of_a, of_b)
    spacing = spacing_of_pairs(a, b, *pairs)
    return together, arrangement(spacing, max_spacing, different_sequences(a, b, *pairs, codes))


def pairs_apart(a: MotifSites, b: MotifSites) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of sites of one region whose cores do not overlap: indices into `a` and `b`, sorted by region.

    For one motif (`a is b`) each pair comes once, the left site first.
    """
    first, last = np.searchsorted(b.region, a.region, "left"), np.searchsorted(b.region, a.region, "right")
    count = last - first
    of_a = np.repeat(np.arange(len(a.region)), count)
    of_b = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    apart = np.abs(_doubled_distance(a, b, of_a, of_b)) >= _least_doubled_distance(a, b)
    if a is b:
        apart &= of_a < of_b
    return of_a[apart], of_b[apart]


def _doubled_distance(a: MotifSites, b: MotifSites, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
    """Twice the distance of the middles, on the + strand; whole numbers, also where middles lie between two bases."""
    return 2 * (b.start[of_b] - a.start[of_a]) + b.width - a.width


def _least_doubled_distance(a: MotifSites, b: MotifSites) -> int:
    return max(1, a.width + b.width - 4 * FLANK)


def count_together(a: MotifSites, b: MotifSites, of_a: np.ndarray, n_regions: int) -> Together:
    """Regions that have both motifs, against chance.

    Parameters
    ----------
    a, b : MotifSites
    of_a : numpy.ndarray, int
        First of the indices that `pairs_apart` gives.
    n_regions : int
        All that were searched.
    """
    regions_a, regions_b, together = map(_different, (a.region, b.region, a.region[of_a]))
    if a is b:
        sites = len(a.region)
        miss = 1 - 1 / n_regions
        chance = 1 - miss**sites - sites / n_regions * miss ** (sites - 1)
        expected, p = n_regions * chance, stats.binom.sf(together - 1, n_regions, chance)
    else:
        expected = regions_a * regions_b / n_regions
        p = stats.hypergeom.sf(together - 1, n_regions, regions_a, regions_b)
    return Together(regions_a, regions_b, together, float(expected), min(1.0, float(p)))


def _different(numbers: np.ndarray) -> int:
    """How many different ones there are among sorted numbers."""
    return int(np.count_nonzero(np.diff(numbers))) + bool(len(numbers))


def leading_pairs(a: MotifSites, b: MotifSites, of_a: np.ndarray, of_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of all pairs (`pairs_apart`) the one of the largest summed |contribution| in each region, as two indices."""
    order = np.lexsort((of_b, of_a, -(a.size[of_a] + b.size[of_b]), a.region[of_a]))
    leading = order[np.unique(a.region[of_a[order]], return_index=True)[1]]
    return of_a[leading], of_b[leading]


def spacing_of_pairs(a: MotifSites, b: MotifSites, of_a: np.ndarray, of_b: np.ndarray) -> Spacing:
    """Orientation and distance of pairs, and their null.

    Parameters
    ----------
    a, b : MotifSites
    of_a, of_b : numpy.ndarray, int
        One pair for each region (`leading_pairs`), at least one.
    """
    first = min(a.start[of_a].min(), b.start[of_b].min())
    length = int(max(a.start[of_a].max(), b.start[of_b].max()) - first) + 1
    reach = 2 * length + abs(b.width - a.width)  # no doubled distance is larger
    reach += (reach - (b.width - a.width)) % 2
    distance = np.arange(-reach, reach + 1, 2)
    observed = np.zeros((3, len(distance)), int)
    orientation, doubled = _seen_from_first(a, b, of_a, of_b)
    np.add.at(observed, (orientation, (doubled + reach) // 2), 1)
    places = [_places(one, chosen, first, length) for one, chosen in ((a, of_a), (b, of_b))]
    if a is b:  # which is the first is a matter of order in the genome, not of the motif
        places = [(places[0] + places[1]) / 2] * 2
    null = _independent(places[0], places[1], b.width - a.width, reach)
    null[:, np.abs(distance) < _least_doubled_distance(a, b)] = 0
    if a is b:  # seen from either site, one on the same strand lies before or after the other
        null[0] = np.where(distance > 0, null[0] + null[0][::-1], 0)
    null = np.stack([null[0], np.where(distance > 0, null[1], 0), np.where(distance < 0, null[1], 0)])
    return Spacing(distance / 2, observed, null / (null.sum() or 1))


def _seen_from_first(a: MotifSites, b: MotifSites, of_a: np.ndarray, of_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orientation (index of `ORIENTATIONS`) and doubled distance of pairs, with the first site on the + strand."""
    doubled = np.where(a.forward[of_a], 1, -1) * _doubled_distance(a, b, of_a, of_b)
    same = a.forward[of_a] == b.forward[of_b]
    if a is b:
        doubled = np.where(same, np.abs(doubled), doubled)
    return np.where(same, 0, np.where(doubled > 0, 1, 2)), doubled


def different_sequences(
    a: MotifSites, b: MotifSites, of_a: np.ndarray, of_b: np.ndarray, codes: np.ndarray
) -> Callable[[int, float], int]:
    """A function that counts pairs of one orientation and distance (bp), copies of one sequence once.

    Parameters
    ----------
    a, b : MotifSites
    of_a, of_b : numpy.ndarray, int
        Of `leading_pairs`.
    codes : numpy.ndarray, shape (N, L), uint8
        Bases of the regions: 0 to 3 for A C G T, 4 for N.
    """
    orientation, doubled = _seen_from_first(a, b, of_a, of_b)

    def count(own: int, distance: float) -> int:
        chosen = np.flatnonzero((orientation == own) & (doubled == round(2 * distance)))
        first, second = of_a[chosen], of_b[chosen]
        left = np.minimum(a.start[first], b.start[second])
        right = np.maximum(a.start[first] + a.width, b.start[second] + b.width)
        sites = ((a.start[first], a.width), (b.start[second], b.width))
        windows = windows_around(codes, a.region[first], left, right, sites)
        forward = a.forward[first][:, None]
        return count_different(np.where(forward, windows, turn(windows)), either_strand=a is b and own > 0)

    return count


def _places(sites: MotifSites, chosen: np.ndarray, first: int, length: int) -> np.ndarray:
    """How many of the chosen sites start where: (2, length), + strand and - strand."""
    counts = np.zeros((2, length))
    np.add.at(counts, ((~sites.forward[chosen]).astype(int), sites.start[chosen] - first), 1)
    return counts


def _independent(a: np.ndarray, b: np.ndarray, wider: int, reach: int) -> np.ndarray:
    """Doubled distances of independent sites, (2, D): same strand, opposite strands.

    Parameters
    ----------
    a, b : numpy.ndarray, shape (2, length)
        Sites by strand and start.
    wider : int, bp
        How much wider the second motif is than the first.
    reach : int
        Largest doubled distance.
    """
    length = a.shape[1]
    size = 2 * length
    transforms = np.fft.rfft(a, size).conj()[:, None] * np.fft.rfft(b, size)[None]
    # (2, 2, 2·length): strand of a, strand of b, start of b - start of a from -length
    counts = np.roll(np.fft.irfft(transforms, size), length, axis=2)
    counts = np.maximum(counts, 0)  # FFT leaves -1e-16 where there is nothing
    doubled = 2 * np.arange(-length, length) + wider
    null = np.zeros((2, reach + 1))
    for strand_a in (0, 1):
        index = ((doubled if strand_a == 0 else -doubled) + reach) // 2
        for strand_b in (0, 1):
            null[int(strand_a != strand_b), index] += counts[strand_a, strand_b]
    window = np.full(2 * _SMOOTH + 1, 1 / (2 * _SMOOTH + 1))
    return np.stack([np.convolve(one, window, mode="same") for one in null])


def arrangement(
    spacing: Spacing, max_spacing: int, count_different: Callable[[int, float], int]
) -> tuple[Arrangement, Spacing] | None:
    """Test distance and orientation.

    Parameters
    ----------
    spacing : Spacing
    max_spacing : int, bp
        Larger distances are not tried one by one; the orientation is that of all pairs.
    count_different : callable
        From `different_sequences`; called for the significant distances.

    Returns
    -------
    the leading results, and the spacing with the copies that were found counted once; None where there are fewer than
    `LEAST_PAIRS` pairs or no room for a null
    """
    if spacing.observed.sum() < LEAST_PAIRS or not spacing.null.any():
        return None
    observed = spacing.observed.copy()
    counts, shares = observed.sum(axis=1), np.minimum(spacing.null.sum(axis=1), 1)  # 1 but for rounding
    tried = (np.abs(spacing.distance) <= max_spacing) & (spacing.null > 0)
    within = np.divide(spacing.null, shares[:, None], out=np.zeros_like(spacing.null), where=shares[:, None] > 0)
    tails = np.where(tried, stats.binom.sf(observed - 1, counts[:, None], within), 1.0)
    # Copies make a count smaller and its p larger. So the smallest p is corrected first, until one stays the smallest.
    waiting = [(p, int(cell), False) for cell, p in enumerate(tails.ravel())]
    heapq.heapify(waiting)
    while not waiting[0][2]:
        _, cell, _ = heapq.heappop(waiting)
        row, column = divmod(cell, observed.shape[1])
        if observed[row, column] > 1:
            observed[row, column] = count_different(row, float(spacing.distance[column]))
        p = stats.binom.sf(observed[row, column] - 1, counts[row], within[row, column]) if tried[row, column] else 1.0
        heapq.heappush(waiting, (float(p), cell, True))
    p, cell, _ = waiting[0]
    row, column = divmod(cell, observed.shape[1])
    left = observed.sum(axis=1)  # after removal of the copies
    orientation = stats.binom.sf(left - 1, left.sum(), shares)
    leading = int(np.argmin(orientation))
    found = Arrangement(
        orientation=ORIENTATIONS[leading],
        orientation_p=min(1.0, float(orientation[leading]) * len(ORIENTATIONS)),
        spacing=float(spacing.distance[column]),
        spacing_orientation=ORIENTATIONS[row],
        spacing_count=int(observed[row, column]),
        spacing_expected=float(counts[row] * within[row, column]),
        spacing_p=min(1.0, float(p) * int(tried.sum())),
    )
    return found, Spacing(spacing.distance, observed, spacing.null)
