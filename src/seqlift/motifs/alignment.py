"""Align matrices: patterns with patterns, and known motifs with the patterns named after them."""

from collections.abc import Sequence

import numpy as np


def align(one: np.ndarray, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Align matrices with one matrix, each at its largest cosine over offsets and strands.

    Parameters
    ----------
    one : numpy.ndarray, shape (4, w)
    others : sequence of n numpy.ndarray, each of shape (4, v), each of its own width

    Returns
    -------
    cosine : numpy.ndarray, shape (n,)
        Over all positions covered by either matrix; 0 if a matrix is all zeros.
    offset : numpy.ndarray, shape (n,), int
        Position of `one` at the first column of the other (after reverse-complementing); may be negative.
    reverse : numpy.ndarray, shape (n,), bool
        The reverse complement of the other is aligned.
    """
    longest = max(other.shape[1] for other in others)
    size = one.shape[1] + longest  # no wrap-around
    transform = np.fft.rfft(one, size)
    by_strand = []
    for step in (1, -1):
        padded = np.zeros((len(others), 4, longest))
        for row, other in zip(padded, others, strict=True):
            row[:, : other.shape[1]] = other[::step, ::step]
        by_strand.append(np.fft.irfft((transform * np.fft.rfft(padded, size).conj()).sum(axis=1), size))
    norms = np.linalg.norm(one) * np.array([np.linalg.norm(other) for other in others])
    products = np.concatenate(by_strand, axis=1) / np.where(norms > 0, norms, 1)[:, None]
    # Rounded, so that of equal ones (palindromes) the forward strand is taken and not the last digit's.
    best = np.argmax(np.round(products, 9), axis=1)
    reverse, shift = np.divmod(best, size)
    return products[np.arange(len(others)), best], np.where(shift < one.shape[1], shift, shift - size), reverse == 1


def lay_known(frequencies: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Align a known motif with a pattern by the cosine of their frequencies minus 1/4.

    Parameters
    ----------
    frequencies, known : numpy.ndarray, shapes (4, w) and (4, v)
        Base frequencies of the pattern and of the known motif.

    Returns
    -------
    known : numpy.ndarray, shape (4, v)
        On the strand that fits.
    offset : int
        Position of the pattern (0-based) at which it begins; negative where it begins before the pattern.
    """
    _, offset, reverse = align(frequencies - 0.25, [known - 0.25])
    return known[::-1, ::-1] if reverse[0] else known, int(offset[0])
