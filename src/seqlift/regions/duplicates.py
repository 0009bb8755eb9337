"""Duplicates: windows with the sequence of another window, on the same or the other strand.

Genomes contain repeats: transposons, segmental duplications, satellites. A held-out window whose sequence is also in
the training split, at another place, only tests the memory of the model. So sequences are compared, not only places.
A sequence in several splits is kept in one: where it is a peak, else test before valid before train (of folds, the
first).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seqlift.data.genome import Genome
from seqlift.data.shuffle import sequence_keys

_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)  # of A C G T N
_BASES_AT_ONCE = 2**23


def sequence_digests(table: pd.DataFrame, genome: Genome) -> np.ndarray:
    """A hash of the sequence of each window (`chrom`, `start`, `end`, all of one length), shape (N,) uint64.

    A reverse complement has the same hash. Two of a million different sequences share one with probability 3e-8.
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
    """Which rows (columns `split` and `kind`) to drop so that no sequence is in two splits, shape (N,) bool.

    `splits` are the names of the splits in the order in which they keep a sequence.
    """
    place = table["split"].map({split: place for place, split in enumerate(splits)}).to_numpy(int)
    rank = place + len(splits) * (table["kind"] != "peak").to_numpy()
    groups, group = np.unique(digests, return_inverse=True)
    best = np.full(len(groups), 2 * len(splits))
    np.minimum.at(best, group, rank)
    return place != best[group] % len(splits)
