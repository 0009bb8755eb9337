"""The sequences of a region table as the model reads them, and the altered copies of them that training sees.

A region is no more than an address in the encoded genome (one byte a base: 0..3 for A C G T, 4 for N), and windows are
cut when a batch needs them: on a GPU from a copy of the genome that lies on the card, if it fits there, else from the
memory-mapped file. So a million regions of any length take no more memory than their addresses and labels, and nothing
is read before training starts; only shuffled sequences, which stand nowhere in the genome, are held. Sequences become
one-hot only in the batch that is being used.

In training every region is moved by up to `jitter` bp and read from either strand at random: a binding site means the
same a few bases further and on the other strand. Measured signal moves and turns with its sequence. What a region looks
like in an epoch is a pure function of (seed, epoch, index of the region); the batch size, the order, the number of
processes and a restart change nothing.
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
# Genomes that lie on a device already: training and validation share one
_GENOMES: WeakKeyDictionary[Genome, dict[torch.device, Tensor]] = WeakKeyDictionary()


class Batch(NamedTuple):
    """Some regions, on one device. `one_hot(codes)` is what the model reads.

    Attributes
    ----------
    codes : torch.Tensor, shape (B, L), uint8, 0..3 for A C G T and 4 for N
    labels : torch.Tensor, shape (B, T), float32, NaN where a target has no label
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
    """Regions as training sees them: moved and turned at random, anew in every epoch.

    An item is a whole `Batch`, asked for by a list of (epoch, index) or by what `EpochOrder` yields, the same in one
    piece: use `DataLoader(regions, sampler=EpochOrder(regions, ...), batch_size=None)`. It lies on `device` if the
    genome does, else in the memory of the CPU.

    Regions of kind 'shuffled' have no surroundings and are only turned.

    Parameters
    ----------
    table : pandas.DataFrame
        N regions (columns chrom, start, end, name, kind, and set where there are several sets of negatives).
    genome : Genome
        Where they lie.
    labels : numpy.ndarray, shape (N, T)
        NaN where a target has no label.
    jitter : int
        Largest move to either side, bp.
    reverse_complement : bool
        Whether half of the regions are read from the other strand.
    seed : int
    device : str or torch.device
        Where the model is.
    signal : Signal, optional
        Of the same regions in the same order, with a margin of at least `jitter`.

    Raises
    ------
    SeqliftError
        As `load_codes`; also if the margin of the signal is smaller than the jitter.
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
        """Number of regions, of all sets of negatives."""
        return len(self._fixed)

    @property
    def on_device(self) -> bool:
        """Whether the genome lies where the model is."""
        return self._source.bases is not None

    def active(self, epoch: int) -> np.ndarray:
        """Indices of the regions that `epoch` (from 0) trains on: all peaks, and one set of negatives after another."""
        return np.flatnonzero((self._sets < 0) | (self._sets == epoch % self._n_sets))

    def __getitem__(self, key: tuple[int, np.ndarray]) -> Batch:
        """The batch of an epoch and the indices (B,) of its regions."""
        epoch, index = key
        shifts, turned = self._draws(epoch)
        return self._source.batch(index, shifts[index], turned[index])

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        """The batch for (epoch, index) `keys`, all of one epoch."""
        return self[keys[0][0], np.array([index for _, index in keys])]

    def _draws(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Shift (N,) in bp and turn (N,) of every region in `epoch`."""
        if self._drawn is None or self._drawn[0] != epoch:
            n = len(self)
            shifts = np.random.default_rng([self.seed, epoch, 1]).integers(-self.jitter, self.jitter, n, endpoint=True)
            turned = np.random.default_rng([self.seed, epoch, 2]).random(n) < 0.5
            shifts[self._fixed] = 0
            self._drawn = epoch, shifts, turned & self.reverse_complement
        return self._drawn[1], self._drawn[2]


class FixedRegions(Dataset):
    """Regions as they are, batch after batch in the order of the rows: for validation and test.

    Item i is the i-th `Batch`: iterate over it, or use `DataLoader(regions, batch_size=None)`.

    Parameters
    ----------
    batch_size : int
        Regions in a batch; the last one may be smaller.
    table, genome, labels, seed, device, signal
        As `TrainingRegions`; a margin of the signal is left out.
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

    Yields (epoch, indices of a batch). The trainer announces the epoch through `set_epoch`. A last batch that is
    smaller than the others is left out, as it would disturb batch normalisation, unless it is the only one.

    With several processes, `world`, each takes its share of every batch, so that the step they make together is on the
    same regions as the step of a single process.

    Parameters
    ----------
    regions : TrainingRegions
    seed : int
    batch_size : int
        Regions in a step, of all processes together; a multiple of `world`.
    rank, world : int
        Number of this process, from 0, and how many there are.
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
        """Say which epoch the next pass belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return max(1, self.regions.epoch_size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        epoch = self.epoch
        active = self.regions.active(epoch)
        order = active[np.random.default_rng([self.seed, epoch, 0]).permutation(len(active))]
        size = min(self.batch_size, len(order) // self.world * self.world)  # every process has a share of one size
        for number in range(len(self)):
            yield epoch, order[number * size : (number + 1) * size][self.rank :: self.world]


class _Source:
    """Where batches come from: the addresses of regions, their labels and their signal.

    Addresses are places in one long array: the genome, and behind it the shuffled sequences, `side`. `bases` is the
    genome on a GPU, None where it stays a mapped file.
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
        self.side = shuffles(table[shuffled], self.addresses[shuffled], genome, self.length, seed).ravel()
        self.addresses[shuffled] = len(genome.encoded) + self.length * np.arange(shuffled.sum())
        self.labels = torch.from_numpy(np.array(labels, np.float32, order="C"))
        self.signal = signal
        self.bases: Tensor | None = None
        device = torch.device(device)
        if device.type != "cpu" and self._size(device) <= _SHARE_OF_CARD * torch.cuda.mem_get_info(device)[0]:
            self.place(device)

    def _size(self, device: torch.device) -> int:
        """Bytes that `place` would take."""
        arrays = [self.side] if device in _GENOMES.get(self.genome, {}) else [self.genome.encoded, self.side]
        if self.signal is not None:
            arrays += [array for array, _ in self.signal.tracks()]
        return sum(array.nbytes for array in arrays)

    def place(self, device: torch.device) -> None:
        """Copy genome, shuffled sequences, labels and signal to `device`, from where batches are cut then."""
        genomes = _GENOMES.setdefault(self.genome, {})
        if device not in genomes:
            genomes[device] = _placed(self.genome.encoded, device)
        self.bases = genomes[device]
        self.shuffled = torch.from_numpy(self.side).to(device)
        self.labels = self.labels.to(device)
        if self.signal is not None:
            self.tracks = [
                (_placed(array, device), torch.from_numpy(exchanged).to(device))
                for array, exchanged in self.signal.tracks()
            ]
            self.known = torch.from_numpy(np.array(self.signal.known)).to(device)

    def batch(self, index: np.ndarray, shifts: np.ndarray, turned: np.ndarray) -> Batch:
        """The regions `index` (B,), moved by `shifts` (B,) bp and, where `turned` (B,), read from the other strand."""
        starts = self.addresses[index] + shifts
        cut = self._from_memory if self.bases is None else self._from_device
        return cut(index, starts, shifts, turned)

    def _from_memory(self, index: np.ndarray, starts: np.ndarray, shifts: np.ndarray, turned: np.ndarray) -> Batch:
        codes = torch.from_numpy(cut(self.genome.encoded, starts, self.length, turned, self.side))
        labels = self.labels[torch.from_numpy(index)]
        if self.signal is None:
            return Batch(codes, labels, None, None, None)
        signal = self.signal
        tracks = []
        for array, exchanged in signal.tracks():
            out = np.empty((len(index), array.shape[1], signal.window), np.float32)
            _cut_tracks(array, index, signal.margin + shifts, turned, exchanged, out)
            tracks.append(torch.from_numpy(out))
        return self._with_signal(codes, labels, tracks, torch.from_numpy(np.array(signal.known[index])))

    def _from_device(self, index: np.ndarray, starts: np.ndarray, shifts: np.ndarray, turned: np.ndarray) -> Batch:
        assert self.bases is not None  # see `place`
        device = self.bases.device
        chosen, places, moved, other = (torch.from_numpy(array).to(device) for array in (index, starts, shifts, turned))
        codes = _cut_on_device(self.bases, self.shuffled, places, self.length, other)
        labels = self.labels[chosen]
        if self.signal is None:
            return Batch(codes, labels, None, None, None)
        window, first = self.signal.window, self.signal.margin + moved
        tracks = [_tracks_on_device(array, chosen, first, other, exchanged, window) for array, exchanged in self.tracks]
        return self._with_signal(codes, labels, tracks, self.known[chosen])

    def _with_signal(self, codes: Tensor, labels: Tensor, tracks: list[Tensor], known: Tensor) -> Batch:
        assert self.signal is not None
        _, n_targets, n_strands, _ = self.signal.values.shape
        values = tracks[0].unflatten(1, (n_targets, n_strands))
        return Batch(codes, labels, values, tracks[1] if len(tracks) > 1 else None, known)


def _placed(array: np.ndarray, device: torch.device) -> Tensor:
    """An array copied to the device in pieces, so that a mapped file never lies in memory."""
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
    turned: np.ndarray,
    exchanged: np.ndarray,
    out: np.ndarray,
) -> None:
    """out[i, k] = tracks[index[i], k, first[i] : first[i] + W], or of channel exchanged[k] backwards where turned."""
    width = out.shape[2]
    last = np.uint64(width - 1)
    for i in range(len(index)):
        for k in range(out.shape[1]):
            channel = exchanged[k] if turned[i] else k
            source = tracks[index[i], channel, first[i] : first[i] + width]
            track = out[i, k]
            if turned[i]:
                for j in range(width):
                    track[j] = source[last - np.uint64(j)]
            else:
                for j in range(width):
                    track[j] = source[j]


def _cut_on_device(genome: Tensor, side: Tensor, starts: Tensor, length: int, turned: Tensor) -> Tensor:
    """What `_cut` does, by index arithmetic on the device of `genome`: (N, length) uint8."""
    places = starts[:, None] + _columns(length, turned)
    codes = genome[places.clamp(max=len(genome) - 1)]
    if len(side):
        codes = torch.where(places < len(genome), codes, side[(places - len(genome)).clamp(min=0)])
    return torch.where(turned[:, None] & (codes < 4), 3 - codes, codes)


def _tracks_on_device(
    tracks: Tensor, index: Tensor, first: Tensor, turned: Tensor, exchanged: Tensor, width: int
) -> Tensor:
    channels = torch.where(turned[:, None], exchanged, torch.arange(tracks.shape[1], device=tracks.device))  # (B, K)
    columns = first[:, None] + _columns(width, turned)  # (B, W)
    return tracks[index[:, None, None], channels[:, :, None], columns[:, None, :]]


def _columns(length: int, turned: Tensor) -> Tensor:
    """0, 1, ... length - 1, or backwards where turned: (N, length). Moves are along the plus strand for both."""
    columns = torch.arange(length, device=turned.device)
    return torch.where(turned[:, None], length - 1 - columns, columns)
