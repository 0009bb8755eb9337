"""Duplicates: windows whose sequence another window has, too, on the same or the other strand.

Genomes repeat themselves: transposons, segmental duplications, satellites. A window of a held-out split whose sequence
is also in the training split, at another place, only tests the memory of the model. So sequences are compared,
not only places. One split keeps a sequence that is in several splits: the one that holds it as a peak, else
test before valid before train (of folds, the first).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seqlift.data.genome import Genome
from seqlift.data.shuffle import sequence_keys

_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)  # of A C G T N
_BASES_AT_ONCE = 2**23


def sequence_digests(table: pd.DataFrame, genome: Genome) -> np.ndarray:
    """A number for the sequence of each window, the same for its reverse complement.

    64 bits: among a million different sequences two share a number with a probability of 3e-8.

    Parameters
    ----------
    table : pandas.DataFrame, N rows
        Columns `chrom`, `start`, `end` (bp, 0-based, end exclusive), all of one length.
    genome : Genome

    Returns
    -------
    numpy.ndarray, shape (N,), uint64
    """
    digests = np.zeros(len(table), np.uint64)
    if not len(table):
        return digests
    starts = table["start"].to_numpy()
    length = int(table["end"].iloc[0]) - int(starts[0])
    step = max(1, _BASES_AT_ONCE // length)
    for chrom, rows in table.groupby("chrom", observed=True).indices.items():
        windows = np.lib.stride_tricks.sliding_window_view(genome.codes(chrom), length)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            forward = windows[starts[some]]  # (step, length)
            reverse = np.ascontiguousarray(_COMPLEMENT[forward][:, ::-1])
            digests[some] = np.minimum(sequence_keys(forward, 0), sequence_keys(reverse, 0))
    return digests


def repeated_in_another_split(digests: np.ndarray, table: pd.DataFrame, splits: Sequence[str]) -> np.ndarray:
    """Which rows to drop, so that no sequence is in two splits.

    Parameters
    ----------
    digests : numpy.ndarray, shape (N,)
    table : pandas.DataFrame, N rows
        Columns `split` and `kind`.
    splits : sequence of str
        Names of the splits, the one that keeps a sequence before the others first.

    Returns
    -------
    numpy.ndarray, shape (N,), bool
    """
    place = table["split"].map({split: place for place, split in enumerate(splits)}).to_numpy(int)
    rank = place + len(splits) * (table["kind"] != "peak").to_numpy()
    groups, group = np.unique(digests, return_inverse=True)
    best = np.full(len(groups), 2 * len(splits))
    np.minimum.at(best, group, rank)
    return place != best[group] % len(splits)
