"""Batches of regions for the network: shifted and reverse-complemented at random in training, unchanged otherwise.

A region is an address in the encoded genome, and a window is cut when a batch needs it: on a GPU from a copy of the
genome on the card, if it fits, otherwise from the memory-mapped file. So a million regions of any length take no more
memory than their addresses and labels; only shuffled sequences, which do not occur in the genome, are kept in memory.
Sequences become one-hot only in the batch that is being used.

In training every region is shifted by up to `jitter` bp and read from a random strand: a binding site means the same
some bases further and on the other strand. Measured signal is shifted and reversed with its sequence. Shift and strand
of a region are a pure function of (seed, epoch, index of the region), whatever the batch size, the order, the number of
processes or a restart.
"""

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from seqlift.core.compiled import compiled
from seqlift.data.genome import Genome
from seqlift.data.signal import Signal
from seqlift.data.windows import addresses, cut, region_length, shuffles
from seqlift.errors import SeqliftError

_SHARE_OF_CARD = 0.5  # of its free memory, for genome and signal; the rest is for the network and its activations
_COPIED = 2**26  # values copied to the card at once
# Copies of genomes on a device, which training and validation share
_GENOMES: WeakKeyDictionary[Genome, dict[torch.device, Tensor]] = WeakKeyDictionary()


class Batch(NamedTuple):
    """Regions on one device; the network reads `one_hot(codes)`.

    Attributes
    ----------
    codes : torch.Tensor, shape (B, L), uint8
        0..3 for A C G T, 4 for N.
    labels : torch.Tensor, shape (B, T), float32
        NaN where a target has no label.
    signal : torch.Tensor or None, shape (B, T, S, W), float32
        Base-resolution signal: target, strand (plus, minus), position.
    control : torch.Tensor or None, shape (B, C, W), float32
    known : torch.Tensor or None, shape (B, T), bool
        Where the signal of a target was measured.
    """

    codes: Tensor
    labels: Tensor
    signal: Tensor | None
    control: Tensor | None
    known: Tensor | None


class TrainingRegions(Dataset):
    """Regions for training, shifted and reverse-complemented at random in every epoch.

    An item is a whole `Batch`, for what `EpochOrder` yields: use
    `DataLoader(regions, sampler=EpochOrder(regions, ...), batch_size=None)`. It is on `device` if the genome is,
    otherwise in the memory of the CPU. Regions of kind 'shuffled' have no surroundings, so they are not shifted.

    Parameters
    ----------
    table : pandas.DataFrame
        N regions (columns chrom, start, end, name, kind, and set if there are several sets of negatives).
    genome : Genome
    labels : numpy.ndarray, shape (N, T)
        NaN where a target has no label.
    jitter : int
        Largest shift to either side, bp.
    reverse_complement : bool
        Whether to reverse-complement half of the regions.
    seed : int
    device : str or torch.device
        Device of the model.
    signal : Signal, optional
        Signal of the regions in the same order, with a margin of at least `jitter`.

    Raises
    ------
    SeqliftError
        If regions differ in length or lie too close to the end of a chromosome, or the margin of the signal is smaller
        than the jitter.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        genome: Genome,
        labels: np.ndarray,
        *,
        jitter: int,
        reverse_complement: bool,
        seed: int,
        device: str | torch.device = "cpu",
        signal: Signal | None = None,
    ):
        if signal is not None and signal.margin < jitter:
            raise SeqliftError(f"the signal has a margin of {signal.margin} bp, too little for a jitter of {jitter} bp")
        self._source = _Source(table, genome, labels, margin=jitter, seed=seed, device=device, signal=signal)
        kind = table["kind"].to_numpy()
        self._fixed = kind == "shuffled"
        sets = table["set"].to_numpy() if "set" in table else np.zeros(len(table), int)
        self._sets = np.where(kind == "peak", -1, sets)  # -1: in every epoch
        self._n_sets = int(sets.max()) + 1
        self.jitter = jitter
        self.reverse_complement = reverse_complement
        self.seed = seed
        self.epoch_size = min(len(self.active(epoch)) for epoch in range(self._n_sets))
        self._drawn: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of regions, with all sets of negatives."""
        return len(self._fixed)

    @property
    def on_device(self) -> bool:
        """Whether the genome is on the device of the model."""
        return self._source.bases is not None

    def active(self, epoch: int) -> np.ndarray:
        """Indices of the regions of an epoch (from 0): all peaks, and one set of negatives after another."""
        return np.flatnonzero((self._sets < 0) | (self._sets == epoch % self._n_sets))

    def __getitem__(self, key: tuple[int, np.ndarray]) -> Batch:
        """The batch of an epoch and the indices (B,) of its regions."""
        epoch, index = key
        shifts, reverse = self._draws(epoch)
        return self._source.batch(index, shifts[index], reverse[index])

    def _draws(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Shift (N,) in bp of every region in `epoch`, and whether it is reverse-complemented (N,)."""
        if self._drawn is None or self._drawn[0] != epoch:
            n = len(self)
            shifts = np.random.default_rng([self.seed, epoch, 1]).integers(-self.jitter, self.jitter, n, endpoint=True)
            reverse = np.random.default_rng([self.seed, epoch, 2]).random(n) < 0.5
            shifts[self._fixed] = 0
            self._drawn = epoch, shifts, reverse & self.reverse_complement
        return self._drawn[1], self._drawn[2]


class FixedRegions(Dataset):
    """Unchanged regions in the order of the rows, in batches: for validation and test.

    Item i is the i-th `Batch`: iterate over it, or use `DataLoader(regions, batch_size=None)`.

    Parameters
    ----------
    batch_size : int
        Regions in a batch; the last one may be smaller.
    table, genome, labels, seed, device, signal
        See `TrainingRegions`; the margin of the signal is not used.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        genome: Genome,
        labels: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        device: str | torch.device = "cpu",
        signal: Signal | None = None,
    ):
        self._source = _Source(table, genome, labels, margin=0, seed=seed, device=device, signal=signal)
        self.n_regions = len(table)
        self.batch_size = batch_size

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.n_regions // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < len(self):
            raise IndexError(number)
        index = np.arange(number * self.batch_size, min((number + 1) * self.batch_size, self.n_regions))
        return self._source.batch(index, np.zeros(len(index), np.int64), np.zeros(len(index), bool))


class EpochOrder(Sampler):
    """The regions of each epoch in random order, batch by batch; a pure function of (seed, epoch).

    Yields (epoch, indices of a batch); the trainer sets the epoch with `set_epoch`. A last batch that is smaller than
    the others is left out, as it would disturb batch normalisation, unless it is the only one.

    With several processes, each takes its share of every batch, so their common step is on the same regions as that of
    a single process.

    Parameters
    ----------
    regions : TrainingRegions
    seed : int
    batch_size : int
        Regions in a step, of all processes together; a multiple of `world`.
    rank, world : int
        Number of this process, from 0, and number of processes.
    """

    def __init__(self, regions: TrainingRegions, seed: int, batch_size: int, rank: int = 0, world: int = 1):
        if batch_size % world:
            raise SeqliftError(f"training.batch_size (={batch_size}) must be a multiple of the {world} devices")
        self.regions = regions
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return max(1, self.regions.epoch_size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        epoch = self.epoch
        active = self.regions.active(epoch)
        order = active[np.random.default_rng([self.seed, epoch, 0]).permutation(len(active))]
        size = min(self.batch_size, len(order) // self.world * self.world)  # the share of each process has one size
        for number in range(len(self)):
            yield epoch, order[number * size : (number + 1) * size][self.rank :: self.world]


class _Source:
    """Addresses, labels and signal of regions, from which batches are cut.

    Addresses are places in the genome with the shuffled sequences appended. `bases` is the genome on a GPU, None while
    batches are cut from the mapped file.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        genome: Genome,
        labels: np.ndarray,
        *,
        margin: int,
        seed: int,
        device: str | torch.device,
        signal: Signal | None,
    ):
        self.genome = genome
        self.length = region_length(table)
        self.addresses = addresses(table, genome, margin)
        shuffled = table["kind"].to_numpy() == "shuffled"
        self.shuffled = shuffles(table[shuffled], self.addresses[shuffled], genome, self.length, seed).ravel()
        self.addresses[shuffled] = len(genome.encoded) + self.length * np.arange(shuffled.sum())
        self.labels = torch.from_numpy(np.array(labels, np.float32, order="C"))
        self.signal = signal
        self.bases: Tensor | None = None
        device = torch.device(device)
        if device.type != "cpu" and self._size(device) <= _SHARE_OF_CARD * torch.cuda.mem_get_info(device)[0]:
            self.place(device)

    def _size(self, device: torch.device) -> int:
        """Bytes that `place` would take."""
        arrays = [self.shuffled] if device in _GENOMES.get(self.genome, {}) else [self.genome.encoded, self.shuffled]
        if self.signal is not None:
            arrays += [array for array, _ in self.signal.tracks()]
        return sum(array.nbytes for array in arrays)

    def place(self, device: torch.device) -> None:
        """Copy genome, shuffled sequences, labels and signal to `device`, and cut batches there."""
        genomes = _GENOMES.setdefault(self.genome, {})
        if device not in genomes:
            genomes[device] = _placed(self.genome.encoded, device)
        self.bases = genomes[device]
        self.placed_shuffled = torch.from_numpy(self.shuffled).to(device)
        self.labels = self.labels.to(device)
        if self.signal is not None:
            self.tracks = [
                (_placed(array, device), torch.from_numpy(exchanged).to(device))
                for array, exchanged in self.signal.tracks()
            ]
            self.known = torch.from_numpy(np.array(self.signal.known)).to(device)

    def batch(self, index: np.ndarray, shifts: np.ndarray, reverse: np.ndarray) -> Batch:
        """Regions `index` (B,), shifted by `shifts` (B,) bp and reverse-complemented where `reverse` (B,)."""
        starts = self.addresses[index] + shifts
        cut_batch = self._from_memory if self.bases is None else self._from_device
        return cut_batch(index, starts, shifts, reverse)

    def _from_memory(self, index: np.ndarray, starts: np.ndarray, shifts: np.ndarray, reverse: np.ndarray) -> Batch:
        codes = torch.from_numpy(cut(self.genome.encoded, starts, self.length, reverse, self.shuffled))
        labels = self.labels[torch.from_numpy(index)]
        if self.signal is None:
            return Batch(codes, labels, None, None, None)
        signal = self.signal
        tracks = []
        for array, exchanged in signal.tracks():
            out = np.empty((len(index), array.shape[1], signal.window), np.float32)
            _cut_tracks(array, index, signal.margin + shifts, reverse, exchanged, out)
            tracks.append(torch.from_numpy(out))
        return self._with_signal(codes, labels, tracks, torch.from_numpy(np.array(signal.known[index])))

    def _from_device(self, index: np.ndarray, starts: np.ndarray, shifts: np.ndarray, reverse: np.ndarray) -> Batch:
        assert self.bases is not None  # see `place`
        arrays = (index, starts, shifts, reverse)
        chosen, places, shifted, other = (torch.from_numpy(array).to(self.bases.device) for array in arrays)
        codes = _cut_on_device(self.bases, self.placed_shuffled, places, self.length, other)
        labels = self.labels[chosen]
        if self.signal is None:
            return Batch(codes, labels, None, None, None)
        window, first = self.signal.window, self.signal.margin + shifted
        tracks = [_tracks_on_device(array, chosen, first, other, exchanged, window) for array, exchanged in self.tracks]
        return self._with_signal(codes, labels, tracks, self.known[chosen])

    def _with_signal(self, codes: Tensor, labels: Tensor, tracks: list[Tensor], known: Tensor) -> Batch:
        assert self.signal is not None
        _, n_targets, n_strands, _ = self.signal.values.shape
        values = tracks[0].unflatten(1, (n_targets, n_strands))
        return Batch(codes, labels, values, tracks[1] if len(tracks) > 1 else None, known)


def _placed(array: np.ndarray, device: torch.device) -> Tensor:
    """An array copied to the device in pieces, so that a mapped file is never in memory as a whole."""
    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    placed = torch.empty(array.shape, dtype=dtype, device=device)
    step = max(1, _COPIED // max(1, int(np.prod(array.shape[1:]))))
    for first in range(0, len(array), step):
        placed[first : first + step] = torch.from_numpy(np.array(array[first : first + step]))
    return placed


@compiled
def _cut_tracks(
    tracks: np.ndarray,
    index: np.ndarray,
    first: np.ndarray,
    reverse: np.ndarray,
    exchanged: np.ndarray,
    out: np.ndarray,
) -> None:
    """out[i, k] = tracks[index[i], k, first[i] : first[i] + W]; where `reverse`, channel exchanged[k] reversed."""
    width = out.shape[2]
    last = np.uint64(width - 1)  # unsigned, see `data.windows`
    for i in range(len(index)):
        for k in range(out.shape[1]):
            channel = exchanged[k] if reverse[i] else k
            source = tracks[index[i], channel, first[i] : first[i] + width]
            track = out[i, k]
            if reverse[i]:
                for j in range(width):
                    track[j] = source[last - np.uint64(j)]
            else:
                for j in range(width):
                    track[j] = source[j]


def _cut_on_device(genome: Tensor, appended: Tensor, starts: Tensor, length: int, reverse: Tensor) -> Tensor:
    """The windows of `data.windows.cut`, (N, length) uint8, by index arithmetic on the device of `genome`."""
    places = starts[:, None] + _columns(length, reverse)
    codes = genome[places.clamp(max=len(genome) - 1)]
    if len(appended):
        codes = torch.where(places < len(genome), codes, appended[(places - len(genome)).clamp(min=0)])
    return torch.where(reverse[:, None] & (codes < 4), 3 - codes, codes)


def _tracks_on_device(
    tracks: Tensor, index: Tensor, first: Tensor, reverse: Tensor, exchanged: Tensor, width: int
) -> Tensor:
    channels = torch.where(reverse[:, None], exchanged, torch.arange(tracks.shape[1], device=tracks.device))  # (B, K)
    columns = first[:, None] + _columns(width, reverse)  # (B, W)
    return tracks[index[:, None, None], channels[:, :, None], columns[:, None, :]]


def _columns(length: int, reverse: Tensor) -> Tensor:
    """0, 1, ... length - 1, or in reverse order: (N, length). Shifts are along the plus strand for both."""
    columns = torch.arange(length, device=reverse.device)
    return torch.where(reverse[:, None], length - 1 - columns, columns)
