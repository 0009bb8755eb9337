"""Copies of one sequence are one observation.

Genomes contain repeats: transposons, telomeres, tRNA and rRNA genes. Two motifs in a repeat have the same distance in
all
its copies, however little they have to do with each other. So before regions with two motifs at one distance and in one
orientation are counted as evidence, those that are alike *around* the sites are taken for copies: the bases between the
sites and `_MARGIN` bp beyond them, the sites themselves left out, are compared position by position.
"""

from collections.abc import Sequence

import numpy as np

_MARGIN = 20  # bp on either side of the pair
_IDENTITY = 0.6  # fraction of equal bases; unrelated sequence has 0.25 to 0.35
_LEAST = 20  # bp that two must have in common for the comparison to say anything
_NONE = 4  # code of N, and of what lies outside the region


def windows_around(
    codes: np.ndarray, rows: np.ndarray, left: np.ndarray, right: np.ndarray, sites: Sequence[tuple[np.ndarray, int]]
) -> np.ndarray:
    """The bases around pairs of sites, the sites themselves blanked.

    Parameters
    ----------
    codes : numpy.ndarray, shape (N, L), uint8
        0 to 3 for A C G T, 4 for N.
    rows : numpy.ndarray, shape (n,), int
        Region of each pair.
    left, right : numpy.ndarray, shape (n,), int
        Where the left site starts and the right one ends, bp from the region's start; of one distance for all pairs.
    sites : sequence of (start of shape (n,), width)

    Returns
    -------
    numpy.ndarray, shape (n, W), uint8
    """
    place = left[:, None] - _MARGIN + np.arange(int(right[0] - left[0]) + 2 * _MARGIN)
    inside = (place >= 0) & (place < codes.shape[1])
    for start, width in sites:
        inside &= (place < start[:, None]) | (place >= start[:, None] + width)
    return np.where(inside, codes[rows[:, None], np.clip(place, 0, codes.shape[1] - 1)], _NONE).astype(np.uint8)


def turn(windows: np.ndarray) -> np.ndarray:
    """Reverse complement."""
    return np.where(windows == _NONE, _NONE, 3 - windows)[:, ::-1].astype(np.uint8)


def count_different(windows: np.ndarray, either_strand: bool = False) -> int:
    """How many sequences there are, copies of one sequence counted once.

    Parameters
    ----------
    windows : numpy.ndarray, shape (n, W), uint8
        The first of a family represents it.
    either_strand : bool
        Two may be copies on opposite strands.
    """
    known = windows != _NONE
    kept: list[int] = []
    for i in range(len(windows)):
        seen = [windows[i]] + ([turn(windows[i : i + 1])[0]] if either_strand else [])
        if not any(_is_copy(one, windows[kept], known[kept]) for one in seen):
            kept.append(i)
    return len(kept)


def _is_copy(one: np.ndarray, others: np.ndarray, known: np.ndarray) -> bool:
    """Whether it is as good as the same as any of the others."""
    both = known & (one != _NONE)
    common = both.sum(axis=1)
    equal = ((others == one) & both).sum(axis=1)
    return bool(((common >= _LEAST) & (equal >= _IDENTITY * common)).any())
