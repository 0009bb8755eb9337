"""Negatives: stretches of the genome without peaks, as rich in G and C as the regions with peaks.

Regulatory DNA is richer in G and C than the rest of the genome. A model that is shown random stretches as negatives
learns just that. So each negative is drawn to have the GC content of a positive region of the same split, and what is
left to learn is the order of the bases.
"""

import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.genome import N_CODE, Genome

GC_BINS = 20
_BASES_AT_ONCE = 2**23  # measured in one step: keeps memory small


def window_content(codes: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure windows of a chromosome.

    Parameters
    ----------
    codes : numpy.ndarray, shape (size of the chromosome,), uint8 codes 0..4
    starts : numpy.ndarray, shape (W,), int
        Windows lie on the chromosome from here to start + length (bp, 0-based).
    length : int
        In bp.

    Returns
    -------
    gc : numpy.ndarray, shape (W,), float64
        (G + C) / (A + C + G + T); 0 where all is N.
    n_share : numpy.ndarray, shape (W,), float64
        Share of N.
    """
    gc = np.zeros(len(starts))
    n_share = np.zeros(len(starts))
    if len(starts):
        windows = np.lib.stride_tricks.sliding_window_view(codes, length)
        step = max(1, _BASES_AT_ONCE // length)
        for first in range(0, len(starts), step):
            block = windows[starts[first : first + step]]  # (step, length)
            unknown = np.count_nonzero(block == N_CODE, axis=1)
            strong = np.count_nonzero((block == 1) | (block == 2), axis=1)
            gc[first : first + step] = strong / np.maximum(length - unknown, 1)
            n_share[first : first + step] = unknown / length
    return gc, n_share


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
    candidates = candidate_windows(genome, exclude, length, min_distance, max_n_share, splits, seed, jitter_margin)
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


def candidate_windows(
    genome: Genome,
    exclude: pd.DataFrame,
    length: int,
    min_distance: int,
    max_n_share: float,
    splits: Mapping[str, str],
    seed: int,
    margin: int,
) -> pd.DataFrame:
    """Windows that do not overlap, lie away from `exclude` and hold few N; columns as in `draw_negatives`.

    Parameters
    ----------
    genome : Genome
    exclude : pandas.DataFrame
        chrom, start, end (bp, 0-based, end exclusive): what the windows stay `min_distance` bp away from.
    length, min_distance : int, bp
    max_n_share : float
        Largest share of N in a window.
    splits : dict
        Chromosome -> split; the others have no windows.
    seed : int
    margin : int, bp
        Kept free at the ends of each chromosome.
    """
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
        gc, n_share = window_content(genome.codes(chrom), starts, length)
        columns = {"chrom": chrom, "start": starts, "end": starts + length, "split": splits[chrom], "gc": gc}
        tables.append(pd.DataFrame(columns)[n_share <= max_n_share])
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
