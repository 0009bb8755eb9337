"""Negatives: stretches of the genome without peaks, as rich in G and C as the regions with peaks.

Regulatory DNA is richer in G and C than the rest of the genome. A model that is shown random stretches as negatives
learns just that. So each negative is drawn to have the GC content of a positive region of the same split, and what is
left to learn is the order of the bases.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.genome import Genome

GC_BINS = 20


@dataclass(frozen=True)
class WindowCounts:
    """Running counts along a coded chromosome: the GC content and share of N of any window in two look-ups."""

    gc: np.ndarray  # shape (length + 1,): number of G and C before each position
    n: np.ndarray  # shape (length + 1,): number of N before each position

    @classmethod
    def of(cls, codes: np.ndarray) -> "WindowCounts":
        """Count along a chromosome, given as codes 0..4, shape (length,), uint8."""
        gc = np.zeros(len(codes) + 1, dtype=np.int32)
        np.cumsum((codes == 1) | (codes == 2), out=gc[1:])
        n = np.zeros(len(codes) + 1, dtype=np.int32)
        np.cumsum(codes == 4, out=n[1:])
        return cls(gc, n)

    def gc_content(self, starts: np.ndarray, length: int) -> np.ndarray:
        """(G + C) / (A + C + G + T) of windows of `length` bp, shape of `starts`; 0 where all is N."""
        known = length - (self.n[starts + length] - self.n[starts])
        return (self.gc[starts + length] - self.gc[starts]) / np.maximum(known, 1)

    def n_share(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Share of N in windows of `length` bp, shape of `starts`."""
        return (self.n[starts + length] - self.n[starts]) / length


def gc_histogram(gc: np.ndarray) -> list[int]:
    """Count GC contents in 20 bins of 0.05 from 0 to 1, the last with its upper end."""
    return np.histogram(gc, bins=GC_BINS, range=(0.0, 1.0))[0].tolist()


def draw_negatives(
    genome: Genome,
    positives: pd.DataFrame,
    exclude: pd.DataFrame,
    *,
    length: int,
    n: int,
    min_distance: int,
    max_n_share: float,
    splits: Mapping[str, str],
    seed: int,
    jitter_margin: int = 0,
) -> pd.DataFrame:
    """Draw windows from the genome that match the positives of their split in GC content.

    Every free stretch (away from `exclude`) is cut into as many adjacent windows as fit, from a random phase; these
    are the candidates, which thus never overlap. The `n` negatives are shared among the splits in proportion to
    their positives, and among the positives of a split evenly (a remainder goes to positives chosen at random). Then,
    in random order, each takes the candidate of its split with the nearest GC content that is not taken yet, at random
    among equals. The result depends on the arguments' content and `seed` alone, not on the order of rows or mappings.

    Parameters
    ----------
    genome : Genome
    positives : pandas.DataFrame
        Columns `chrom`, `start` (bp, 0-based) and `gc` (fraction); windows of `length` bp.
    exclude : pandas.DataFrame
        Columns `chrom`, `start`, `end` (bp, 0-based, end exclusive). Rows on chromosomes not in `splits` are ignored.
    length : int
        Of each window (bp).
    n : int
        How many to draw.
    min_distance : int
        Smallest number of bases between a negative and any interval of `exclude` (bp).
    max_n_share : float
        Largest share of N in a window.
    splits : mapping of str to str
        Chromosome -> split. Negatives are drawn on these chromosomes only.
    seed : int
    jitter_margin : int
        Bases that must fit on the chromosome on either side of a window (bp).

    Returns
    -------
    pandas.DataFrame, n rows
        Columns `chrom`, `start`, `end`, `split`, `gc`, in the order of the genome's chromosomes, then of `start`.

    Raises
    ------
    SeqliftError
        If a split has fewer candidates than are asked for; says how many there are.
    """
    drawn = []
    split_of_positive = positives["chrom"].map(splits)
    quotas = _share_out(n, split_of_positive.value_counts())
    candidates = _candidates(genome, exclude, length, min_distance, max_n_share, splits, seed, jitter_margin)
    for split, quota in quotas.items():
        available = candidates[candidates["split"] == split]
        if len(available) < quota:
            raise SeqliftError(
                f"split {split!r} needs {quota} negatives from the genome, but its chromosomes have room for only "
                f"{len(available)} windows of {length} bp at least {min_distance} bp away from all peaks; lower the "
                "ratio or min_distance, or make the negatives by shuffling (negatives: shuffled)"
            )
        rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
        wanted = np.sort(positives.loc[split_of_positive == split, "gc"].to_numpy())
        wanted = np.concatenate([np.repeat(wanted, quota // len(wanted)), rng.permutation(wanted)])[:quota]
        available = available.iloc[rng.permutation(len(available))]  # so that equals come in random order
        available = available.sort_values("gc", kind="stable")
        drawn.append(available.iloc[_nearest_free(available["gc"].to_numpy(), rng.permutation(wanted))])
    if not drawn:
        return candidates.iloc[:0]
    return pd.concat(drawn).sort_index().reset_index(drop=True)


def _share_out(n: int, weights: pd.Series) -> dict[str, int]:
    """Split `n` in proportion to `weights`: whole numbers that sum to `n` (largest remainder, then by name)."""
    weights = weights.sort_index()
    exact = n * weights / weights.sum()
    shares = exact.astype(int)
    remainder = (shares - exact).sort_values(kind="stable").index[: n - shares.sum()]
    shares[remainder] += 1
    return shares.to_dict()


def _candidates(
    genome: Genome,
    exclude: pd.DataFrame,
    length: int,
    min_distance: int,
    max_n_share: float,
    splits: Mapping[str, str],
    seed: int,
    margin: int,
) -> pd.DataFrame:
    """Windows that do not overlap, lie away from `exclude` and hold few N; columns as in `draw_negatives`."""
    tables = []
    excluded = dict(list(exclude.groupby("chrom")))
    for chrom in genome.sizes:
        if chrom not in splits:
            continue
        spans = excluded.get(chrom, exclude.iloc[:0]).sort_values("start")
        blocked_from = spans["start"].to_numpy() - min_distance
        blocked_to = np.maximum.accumulate(spans["end"].to_numpy() + min_distance)
        # Free stretches lie between the end of all that came before and the start of what comes next.
        begin = np.concatenate([[margin], np.maximum(blocked_to, margin)]).astype(np.int64)
        end = np.concatenate([blocked_from, [genome.sizes[chrom] - margin]]).astype(np.int64)
        end = np.minimum(end, genome.sizes[chrom] - margin)
        room = np.maximum(end - begin, 0)
        fits = room // length
        rng = np.random.default_rng([seed, zlib.crc32(chrom.encode())])
        phase = np.floor(rng.random(len(room)) * (room - fits * length + 1)).astype(np.int64)
        number = np.arange(fits.sum()) - np.repeat(np.cumsum(fits) - fits, fits)  # of a window within its stretch
        starts = np.repeat(begin + phase, fits) + number * length
        counts = WindowCounts.of(genome.codes(chrom))
        starts = starts[counts.n_share(starts, length) <= max_n_share]
        columns = {"chrom": chrom, "start": starts, "end": starts + length, "split": splits[chrom]}
        tables.append(pd.DataFrame(columns | {"gc": counts.gc_content(starts, length)}))
    return pd.concat(tables, ignore_index=True)


def _nearest_free(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each wanted value in turn, the index of the nearest value that is not taken yet.

    Parameters
    ----------
    values : numpy.ndarray, shape (V,), sorted
    wanted : numpy.ndarray, shape (W,), W <= V

    Returns
    -------
    numpy.ndarray, shape (W,), int
    """
    # right[i]: a place at or after i on the way to the first free one; left[i + 1]: the same before. Following and
    # shortening these ways (union-find) keeps each search short.
    right = np.arange(len(values) + 1)
    left = np.arange(len(values) + 1)

    def first_free(ways: np.ndarray, place: int) -> int:
        end = place
        while ways[end] != end:
            end = ways[end]
        while ways[place] != end:
            ways[place], place = end, ways[place]
        return int(end)

    taken = np.empty(len(wanted), dtype=np.int64)
    for turn, place in enumerate(np.searchsorted(values, wanted)):
        after = first_free(right, int(place))
        before = first_free(left, int(place)) - 1
        if before < 0 or (after < len(values) and values[after] - wanted[turn] <= wanted[turn] - values[before]):
            chosen = after
        else:
            chosen = before
        right[chosen] = chosen + 1
        left[chosen + 1] = chosen
        taken[turn] = chosen
    return taken
