"""The sequences of regions: windows of the encoded genome, dinucleotide shuffles of them, and their one-hot encoding.

A region is an address in the encoded genome (one byte per base: 0..3 for A C G T, 4 for N). Negatives of kind
'shuffled' do not occur in the genome: each is the dinucleotide shuffle of a window whose number its name ends in.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift.core.compiled import compiled
from seqlift.data.genome import Genome, encode
from seqlift.data.shuffle import dinucleotide_shuffle
from seqlift.errors import SeqliftError

# Number of a window's first shuffle: references are numbered from 0, so no negative is also its own reference
_FIRST_SHUFFLE = 2**40


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """One-hot encode codes (0..3 for A C G T, 4 for N), shape (..., L) uint8, on their device.

    Returns
    -------
    torch.Tensor, shape (..., 4, L)
        All zeros for N.
    """
    if codes.device.type == "cpu":  # torch would use threads, which takes longer
        return torch.from_numpy(encode(codes.numpy())).to(dtype)
    bases = torch.arange(4, dtype=codes.dtype, device=codes.device)[:, None]
    return (codes[..., None, :] == bases).to(dtype)


def load_one_hot(table: pd.DataFrame, genome: Genome, seed: int) -> Tensor:
    """One-hot sequences (N, 4, length), float32, of regions in the order of the rows; see `load_codes`."""
    return one_hot(torch.from_numpy(load_codes(table, genome, seed=seed)))


def load_codes(table: pd.DataFrame, genome: Genome, *, margin: int = 0, seed: int) -> np.ndarray:
    """Coded sequences of regions, with `margin` bp of their surroundings on either side.

    Parameters
    ----------
    table : pandas.DataFrame
        Regions, all of the same length (columns chrom, start, end, name, kind).
    genome : Genome
    margin : int
        bp added on either side; the margin of a region of kind 'shuffled' is N.
    seed : int
        Seed of the dinucleotide shuffles.

    Returns
    -------
    numpy.ndarray, shape (N, margin + length + margin), uint8
        0..3 for A C G T and 4 for N, in the order of the rows.

    Raises
    ------
    SeqliftError
        If regions differ in length, or reach (with their margin) beyond the ends of their chromosome.
    """
    length = region_length(table)
    starts = addresses(table, genome, margin)
    shuffled = table["kind"].to_numpy() == "shuffled"
    codes = np.full((len(table), length + 2 * margin), 4, np.uint8)
    codes[~shuffled] = cut(genome.encoded, starts[~shuffled] - margin, length + 2 * margin)
    codes[shuffled, margin : margin + length] = shuffles(table[shuffled], starts[shuffled], genome, length, seed)
    return codes


def region_length(table: pd.DataFrame) -> int:
    """Length in bp of the regions; SeqliftError if they differ in length or there are none."""
    lengths = (table["end"] - table["start"]).unique()
    if len(lengths) != 1:
        raise SeqliftError(f"regions must all have the same length and be at least one; found {sorted(lengths)} bp")
    return int(lengths[0])


def addresses(table: pd.DataFrame, genome: Genome, margin: int) -> np.ndarray:
    """Start of each region in `genome.encoded`, (N,) int64; SeqliftError if one has no room for `margin`."""
    starts, ends = table["start"].to_numpy(np.int64), table["end"].to_numpy(np.int64)
    margins = np.where(table["kind"].to_numpy() == "shuffled", 0, margin)  # a shuffle has no surroundings
    place, names = pd.factorize(table["chrom"])
    sizes = np.array([len(genome.codes(chrom)) for chrom in names])
    outside = np.flatnonzero((starts < margins) | (ends + margins > sizes[place]))
    if len(outside):
        first = table.iloc[outside[0]]
        same = int((place[outside] == place[outside[0]]).sum())
        raise SeqliftError(
            f"{same} regions of {first.chrom} (first: {first['name']}, {first.start}-{first.end}) do not fit into its "
            f"{genome.sizes[first.chrom]} bp with a jitter of {margin} bp on either side; make the regions with at "
            "least that jitter, or train with less"
        )
    return starts + np.array([genome.offsets[chrom] for chrom in names])[place]


def shuffles(shuffled: pd.DataFrame, starts: np.ndarray, genome: Genome, length: int, seed: int) -> np.ndarray:
    """Dinucleotide shuffles (N, length), uint8, of regions of kind 'shuffled'; `starts` (N,) are their addresses.

    A shuffle is a function of its window, the seed and k, the number in its name `<name>_shuffle<k>`.
    """
    numbers = shuffled["name"].str.extract(r"_shuffle(\d+)$", expand=False)
    if numbers.isna().any():
        raise SeqliftError(
            f"region {shuffled['name'][numbers.isna()].iloc[0]!r} is of kind 'shuffled', but its name does not end in "
            "'_shuffle' and a number; make the regions with `seqlift regions`"
        )
    codes = cut(genome.encoded, starts, length)
    number = numbers.to_numpy(int)
    for k in np.unique(number):
        same = number == k
        codes[same] = dinucleotide_shuffle(codes[same], 1, seed=seed, start=_FIRST_SHUFFLE + int(k))[:, 0]
    return codes


def cut(
    genome: np.ndarray,
    starts: np.ndarray,
    length: int,
    reverse: np.ndarray | None = None,
    appended: np.ndarray | None = None,
) -> np.ndarray:
    """Windows (N, length), uint8, of the encoded genome, reverse-complemented where `reverse` (N,) is true.

    `starts` (N,) beyond the end of the genome are places in `appended`, as if it followed the genome.
    """
    reverse = np.zeros(len(starts), bool) if reverse is None else reverse
    appended = np.empty(0, np.uint8) if appended is None else appended
    windows = np.empty((len(starts), length), np.uint8)
    _cut_windows(genome, appended, starts, reverse, windows)
    return windows


# Indices that count backwards are unsigned: numba checks the sign of a signed one, and the loop takes ten times as long
@compiled
def _cut_windows(
    genome: np.ndarray, appended: np.ndarray, starts: np.ndarray, reverse: np.ndarray, windows: np.ndarray
) -> None:
    length = windows.shape[1]
    last = np.uint64(length - 1)
    for i in range(len(starts)):
        start = starts[i]
        if start < len(genome):
            source = genome[start : start + length]
        else:
            source = appended[start - len(genome) : start - len(genome) + length]
        window = windows[i]
        if reverse[i]:
            for j in range(length):
                code = source[last - np.uint64(j)]
                window[j] = np.uint8(3) - code if code < np.uint8(4) else code
        else:
            for j in range(length):
                window[j] = source[j]
