"""Information content of a pattern, and its informative part, which is drawn and named.

It imports no matplotlib, so that stages that draw nothing start fast.
"""

import numpy as np

FLANK = 2  # bp kept on either side of the informative part of a pattern


def information_content(frequencies: np.ndarray) -> np.ndarray:
    """Letter heights in bits, against a background of 1/4 for each base (Schneider & Stephens 1990).

    Parameters
    ----------
    frequencies : numpy.ndarray, shape (4, L)
        Base frequencies; each column sums to 1 (a column of zeros, as at N, gets height 0).

    Returns
    -------
    numpy.ndarray, shape (4, L)
        frequency × (2 − entropy of the column); the columns sum to at most 2 bits. Without the small-sample
        correction, since patterns have at least 20 seqlets.
    """
    frequencies = np.asarray(frequencies, dtype=float)
    logarithm = np.log2(frequencies, out=np.zeros_like(frequencies), where=frequencies > 0)
    column = frequencies.sum(axis=0) * 2 + (frequencies * logarithm).sum(axis=0)
    return frequencies * np.maximum(column, 0)


def informative_range(weights: np.ndarray, fraction: float = 0.3, flank: int = FLANK) -> tuple[int, int]:
    """The part of a pattern worth drawing and naming.

    From the first to the last position whose total |weight| over the four bases reaches `fraction` of the largest such
    total (TF-MoDISco's rule, with its default of 0.3), and `flank` positions on either side: weak preferences beside
    the core tell factors of one family apart.

    Parameters
    ----------
    weights : numpy.ndarray, shape (4, L)
        A CWM (or information content).
    fraction : float
        Between 0 and 1.
    flank : int, bp

    Returns
    -------
    (start, end) : int, positions, 0-based, end exclusive. The whole pattern when all weights are zero.
    """
    total = np.abs(weights).sum(axis=0)
    if not total.any():
        return 0, len(total)
    kept = np.flatnonzero(total >= fraction * total.max())
    return max(0, int(kept[0]) - flank), min(len(total), int(kept[-1]) + 1 + flank)
