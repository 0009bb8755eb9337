"""Candidate windows for negatives, and drawing negatives with the GC content of the regions with peaks.

Regulatory DNA is richer in G and C than the rest of the genome, and a model with random windows as negatives learns
just that. So each negative has the GC content of a positive region of the same split, and the model must learn the
order of the bases.

Negatives are drawn without replacement from candidates: windows that neither overlap nor lie near a peak. There may be
several sets of them, one for each epoch of training in turn.
"""

import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from seqlift.core.compiled import compiled
from seqlift.data.genome import N_CODE, Genome
from seqlift.regions.splits import Splits

GC_DRIFT = 0.02  # mean difference in GC content above which negatives do not match any more
_BASES_AT_ONCE = 2**23  # measured in one step: keeps memory small


def window_content(codes: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """GC content and fraction of N of windows of a chromosome.

    Parameters
    ----------
    codes : numpy.ndarray, shape (size of the chromosome,), uint8 codes 0..4
    starts : numpy.ndarray, shape (W,), int
        Starts of windows on the chromosome (bp, 0-based).
    length : int
        In bp.

    Returns
    -------
    gc, n_fraction : numpy.ndarray, shape (W,), float64
        (G + C) / (A + C + G + T), 0 where all is N; and the fraction of N.
    """
    gc = np.zeros(len(starts))
    n_fraction = np.zeros(len(starts))
    if len(starts):
        windows = np.lib.stride_tricks.sliding_window_view(codes, length)
        step = max(1, _BASES_AT_ONCE // length)
        for first in range(0, len(starts), step):
            block = windows[starts[first : first + step]]  # (step, length)
            unknown = np.count_nonzero(block == N_CODE, axis=1)
            strong = np.count_nonzero((block == 1) | (block == 2), axis=1)
            gc[first : first + step] = strong / np.maximum(length - unknown, 1)
            n_fraction[first : first + step] = unknown / length
    return gc, n_fraction


def candidate_windows(
    genome: Genome,
    blocked: pd.DataFrame,
    length: int,
    *,
    max_n_fraction: float,
    splits: Splits,
    margin: int,
    seed: int,
) -> pd.DataFrame:
    """Windows that overlap neither each other nor `blocked`, with few N.

    Every free stretch of a split is cut into adjacent windows, from a random phase. The result does not
    depend on the order of rows.

    Parameters
    ----------
    genome : Genome
    blocked : pandas.DataFrame
        `chrom`, `start`, `end` (bp, 0-based, end exclusive).
    length : int
        Length of each window (bp).
    max_n_fraction : float
        Largest fraction of N in a window.
    splits : Splits
        Windows lie on its parts only.
    margin : int
        Room at the ends of each part (bp).
    seed : int

    Returns
    -------
    pandas.DataFrame
        `chrom`, `split` (both categorical), `start` (int64, bp) and `gc` (float64), in the order of the genome:
        19 bytes per window, 300 MB for windows of 200 bp in all of a human genome.
    """
    spans_of = {chrom: rows.sort_values("start") for chrom, rows in blocked.groupby("chrom", observed=True)}
    chroms = [chrom for chrom in genome.sizes if chrom in splits]
    found = []
    for number, chrom in enumerate(chroms):
        spans = spans_of.get(chrom, blocked.iloc[:0])
        for first, last, split in splits.parts[chrom]:
            # The first part's key is that of a whole chromosome
            rng = np.random.default_rng([seed, zlib.crc32(chrom.encode()), *([first] if first else [])])
            starts = _cut_free(spans, first + margin, last - margin, length, rng)
            gc, n_fraction = window_content(genome.codes(chrom), starts, length)
            good = n_fraction <= max_n_fraction
            chrom_code = np.full(good.sum(), number, np.int32)
            split_code = np.full(good.sum(), splits.names.index(split), np.int16)
            found.append((chrom_code, split_code, starts[good], gc[good]))
    chrom_codes, split_codes, start, gc = (np.concatenate(column) for column in zip(*found, strict=True))
    return pd.DataFrame(
        {
            "chrom": pd.Categorical.from_codes(chrom_codes, chroms),
            "split": pd.Categorical.from_codes(split_codes, splits.names),
            "start": start,
            "gc": gc,
        }
    )


def _cut_free(spans: pd.DataFrame, first: int, last: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Starts of windows between `first` and `last` that overlap no span; spans are sorted by start."""
    # Free stretches lie between the end of all spans before and the start of the next
    reach = np.maximum.accumulate(spans["end"].to_numpy(np.int64))
    begin = np.maximum(np.concatenate([[first], reach]), first)
    end = np.minimum(np.concatenate([spans["start"].to_numpy(np.int64), [last]]), last)
    room = np.maximum(end - begin, 0)
    fits = room // length
    phase = np.floor(rng.random(len(room)) * (room - fits * length + 1)).astype(np.int64)
    number = np.arange(fits.sum()) - np.repeat(np.cumsum(fits) - fits, fits)  # of a window within its stretch
    return np.repeat(begin + phase, fits) + number * length


def share_out(n: int, weights: pd.Series) -> dict[str, int]:
    """Split `n` in proportion to `weights`: whole numbers that sum to `n` (largest remainder, then by name)."""
    weights = weights.sort_index()
    exact = n * weights / weights.sum()
    shares = exact.astype(int)
    remainder = (shares - exact).sort_values(kind="stable").index[: n - shares.sum()]
    shares[remainder] += 1
    return shares.to_dict()


def draw_matched(
    candidates: pd.DataFrame,
    positives: pd.DataFrame,
    quotas: Mapping[str, int],
    n_sets: Mapping[str, int],
    *,
    seed: int,
) -> pd.DataFrame:
    """Draw candidates that match the positives of their split in GC content, without replacement.

    The negatives of a set are shared among the positives of its split evenly (a remainder goes to random positives).
    Then, in random order and with the sets taking turns, each takes the free candidate of its split with the nearest GC
    content, at random among equals. The result does not depend on the order of the positives.

    Parameters
    ----------
    candidates : pandas.DataFrame
        `split`, `gc` and others; a split has at least quota x sets of them.
    positives : pandas.DataFrame
        `split` and `gc` (fraction).
    quotas, n_sets : mapping of str to int
        Split -> negatives in each set, and number of sets.
    seed : int

    Returns
    -------
    pandas.DataFrame
        The rows of `candidates` that were drawn, in their order, with the column `set`.
    """
    rows, sets = [], []
    for split, quota in quotas.items():
        available = np.flatnonzero(candidates["split"] == split)
        rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
        gc = np.sort(positives.loc[positives["split"] == split, "gc"].to_numpy())

        def wanted(quota: int = quota, gc: np.ndarray = gc, rng: np.random.Generator = rng) -> np.ndarray:
            return np.concatenate([np.repeat(gc, quota // len(gc)), rng.permutation(gc)])[:quota]

        first = wanted()
        available = available[rng.permutation(len(available))]  # so that equals come in random order
        content = candidates["gc"].to_numpy()[available]
        order = np.argsort(content, kind="stable")
        turns = [rng.permutation(first), *(rng.permutation(wanted()) for _ in range(1, n_sets[split]))]
        chosen = _nearest_free(content[order], np.column_stack(turns).ravel())
        rows.append(available[order[chosen]])
        sets.append(np.tile(np.arange(n_sets[split]), quota))
    return _chosen(candidates, rows, sets)


def draw_any(
    candidates: pd.DataFrame, quotas: Mapping[str, int], n_sets: Mapping[str, int], *, seed: int
) -> pd.DataFrame:
    """Draw candidates of each split at random, without replacement; parameters and result as `draw_matched`."""
    rows, sets = [], []
    for split, quota in quotas.items():
        available = np.flatnonzero(candidates["split"] == split)
        rng = np.random.default_rng([seed, zlib.crc32(split.encode()), 1])
        rows.append(rng.permutation(available)[: quota * n_sets[split]])
        sets.append(np.repeat(np.arange(n_sets[split]), quota))
    return _chosen(candidates, rows, sets)


def _chosen(candidates: pd.DataFrame, rows: list[np.ndarray], sets: list[np.ndarray]) -> pd.DataFrame:
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return candidates.iloc[row[order]].assign(set=np.concatenate(sets)[order]).reset_index(drop=True)


@compiled
def _first_free(ways: np.ndarray, place: int) -> int:
    end = place
    while ways[end] != end:
        end = ways[end]
    while ways[place] != end:
        following = ways[place]
        ways[place] = end
        place = following
    return end


@compiled
def _nearest_free(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each wanted value in turn, (W,), the index of the nearest free one of the sorted values, (V,) with V >= W."""
    # right[i]: a place at or after i on the way to the first free one; left[i + 1]: the same before. Following and
    # shortening these ways (union-find) keeps each search short.
    places = np.searchsorted(values, wanted)
    right = np.arange(len(values) + 1)
    left = np.arange(len(values) + 1)
    taken = np.empty(len(wanted), dtype=np.int64)
    for turn in range(len(wanted)):
        after = _first_free(right, places[turn])
        before = _first_free(left, places[turn]) - 1
        if before < 0 or (after < len(values) and values[after] - wanted[turn] <= wanted[turn] - values[before]):
            chosen = after
        else:
            chosen = before
        right[chosen] = chosen + 1
        left[chosen + 1] = chosen
        taken[turn] = chosen
    return taken
