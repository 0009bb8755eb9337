"""The sequences of a region table, in memory, and the altered copies of them that training sees.

A sequence is kept as one byte a base (0..3 for A C G T, 4 for N) and becomes one-hot only in the batch that is being
used, so a hundred thousand regions of a kilobase fit in a hundred megabytes. In training every region is moved by up to
`jitter` bp and read from either strand at random: a binding site means the same a few bases further and on the other
strand. What a region looks like in an epoch is a pure function of (seed, epoch, index of the region); the batch size,
the order and a restart change nothing.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset, Sampler

from seqlift.errors import SeqliftError
from seqlift.genome import Genome
from seqlift.shuffle import dinucleotide_shuffle

_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)  # of A C G T N
# Shuffles of a window are numbered from here, so that none is also one of the references it will be explained against
_FIRST_SHUFFLE = 2**40


def load_codes(table: pd.DataFrame, genome: Genome, *, margin: int = 0, seed: int) -> np.ndarray:
    """The sequences of regions, with `margin` bp of their surroundings on either side.

    Parameters
    ----------
    table : pandas.DataFrame
        Regions, all of the same length (columns chrom, start, end, kind).
    genome : Genome
        Where they lie.
    margin : int
        bp added on either side; a region of kind 'shuffled' has none, its margin is N.
    seed : int
        Of the dinucleotide shuffles that stand for regions of kind 'shuffled'.

    Returns
    -------
    numpy.ndarray, shape (N, margin + length + margin), uint8
        Codes 0..3 for A C G T and 4 for N, in the order of the rows.

    Raises
    ------
    SeqliftError
        Regions of different lengths, or (with their margin) beyond the ends of their chromosome.
    """
    lengths = (table["end"] - table["start"]).unique()
    if len(lengths) != 1:
        raise SeqliftError(f"regions must all have the same length and be at least one; found {sorted(lengths)} bp")
    width = int(lengths[0]) + 2 * margin
    codes = np.full((len(table), width), 4, np.uint8)
    chroms = table["chrom"].to_numpy()
    starts = table["start"].to_numpy() - margin
    shuffled = table["kind"].to_numpy() == "shuffled"
    for chrom in pd.unique(chroms):
        rows = np.flatnonzero(chroms == chrom)
        chromosome = genome.codes(chrom)
        # A shuffle needs its window only
        slack = np.where(shuffled[rows], margin, 0)
        outside = (starts[rows] + slack < 0) | (starts[rows] + width - slack > len(chromosome))
        if outside.any():
            first = table.iloc[rows[outside][0]]
            raise SeqliftError(
                f"{int(outside.sum())} regions of {chrom} (first: {first['name']}, {first.start}-{first.end}) do not "
                f"fit into its {len(chromosome)} bp with a jitter of {margin} bp on either side; "
                "make the regions with at least that jitter, or train with less"
            )
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(chromosome, margin, constant_values=4), width)
        codes[rows] = windows[starts[rows] + margin]
    if shuffled.any():
        inner = codes[shuffled, margin : width - margin]
        number = _shuffle_numbers(table[shuffled])
        for k in np.unique(number):
            same = number == k
            inner[same] = dinucleotide_shuffle(inner[same], 1, seed=seed, start=_FIRST_SHUFFLE + int(k))[:, 0]
        codes[shuffled] = np.pad(inner, ((0, 0), (margin, margin)), constant_values=4)
    return codes


def _shuffle_numbers(shuffled: pd.DataFrame) -> np.ndarray:
    """Which shuffle of its window each row stands for: k of `<name>_shuffle<k>`, so that no other row matters."""
    number = shuffled["name"].str.extract(r"_shuffle(\d+)$", expand=False)
    if number.isna().any():
        raise SeqliftError(
            f"region {shuffled['name'][number.isna()].iloc[0]!r} is of kind 'shuffled', but its name does not end in "
            "'_shuffle' and a number; make the regions with `seqlift regions`"
        )
    return number.to_numpy(int)


def one_hot(codes: torch.Tensor) -> torch.Tensor:
    """One-hot sequences (N, 4, L), float32, of codes (N, L), on the device of the codes; N is all zeros."""
    bases = torch.arange(4, dtype=codes.dtype, device=codes.device)
    return (codes[:, None, :] == bases[:, None]).to(torch.float32)


def load_one_hot(table: pd.DataFrame, genome: Genome, seed: int) -> torch.Tensor:
    """The sequences of regions as the model takes them: (N, 4, length) float32, in the order of the rows.

    Parameters and errors as `load_codes`, without margin.
    """
    return one_hot(torch.from_numpy(load_codes(table, genome, seed=seed)))


class AugmentedRegions(Dataset):
    """Regions as training sees them: moved and turned at random, anew in every epoch.

    Items are asked for by lists of (epoch, index), as `EpochOrder` makes them, and come as a whole batch: codes
    (B, length) uint8 and labels (B, T) float32. Regions of kind 'shuffled' have no surroundings and are only turned.

    Parameters
    ----------
    codes : numpy.ndarray, shape (N, jitter + length + jitter), uint8
        From `load_codes` with `margin=jitter`.
    labels : numpy.ndarray, shape (N, T)
        0 or 1.
    jitter : int
        Largest move to either side, bp.
    reverse_complement : bool
        Whether half of the regions are read from the other strand.
    fixed : numpy.ndarray, shape (N,), bool
        Regions that must not be moved.
    seed : int
    """

    def __init__(
        self,
        codes: np.ndarray,
        labels: np.ndarray,
        *,
        jitter: int,
        reverse_complement: bool,
        fixed: np.ndarray,
        seed: int,
    ):
        self.codes = codes
        self.labels = np.ascontiguousarray(labels, np.float32)
        self.jitter = jitter
        self.reverse_complement = reverse_complement
        self.fixed = fixed
        self.seed = seed
        self._drawn: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch for (epoch, index) `keys`, all of one epoch."""
        index = np.array([index for _, index in keys])
        shifts, turned = self._draws(keys[0][0])
        return torch.from_numpy(self._altered(index, shifts[index], turned[index])), torch.from_numpy(
            self.labels[index]
        )

    def _draws(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Shift (N,) in bp and turn (N,) of every region in `epoch`."""
        if self._drawn is None or self._drawn[0] != epoch:
            n = len(self)
            shifts = np.random.default_rng([self.seed, epoch, 1]).integers(-self.jitter, self.jitter, n, endpoint=True)
            turned = np.random.default_rng([self.seed, epoch, 2]).random(n) < 0.5
            self._drawn = epoch, np.where(self.fixed, 0, shifts), turned & self.reverse_complement
        return self._drawn[1], self._drawn[2]

    def _altered(self, index: np.ndarray, shifts: np.ndarray, turned: np.ndarray) -> np.ndarray:
        length = self.codes.shape[1] - 2 * self.jitter
        columns = np.arange(length)
        # Turned regions are read backwards; moves are along the plus strand for both
        columns = np.where(turned[:, None], length - 1 - columns, columns) + (self.jitter + shifts)[:, None]
        batch = self.codes[index[:, None], columns]
        batch[turned] = _COMPLEMENT[batch[turned]]
        return batch


class EpochOrder(Sampler):
    """A random order of `n` regions for each epoch, as (epoch, index); a pure function of (seed, epoch).

    The trainer announces the epoch through `set_epoch`.
    """

    def __init__(self, n: int, seed: int):
        self.n = n
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch
        return ((epoch, int(index)) for index in np.random.default_rng([self.seed, epoch, 0]).permutation(self.n))
