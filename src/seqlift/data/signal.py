"""Measured signal, read from bigWig files: reads, fragments or cut sites at every base, summed over replicates.

The count of a region, which a model regresses on, is the sum over a window in its middle; its profile is the values
themselves. Stranded experiments (ChIP-exo, ChIP-nexus, PRO-seq) have a file for each strand.

Most bigWigs leave out the bases where nothing was counted: there, no value means 0. Others, tracks of the mappable part
of a genome, leave out what could not be measured: there, regions with such a base are unknown. The file does not say
which; `missing` does. Counts are not negative. Files of the minus strand are often written with all values below 0, and
are read without the sign; any other file with values below 0 is refused unless `negative` says what to do.
"""

import hashlib
import json
import logging
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig

from seqlift.core.files import replacing
from seqlift.data.chromosomes import mapping_text, name_mapping, some
from seqlift.data.genome import file_state
from seqlift.data.targets import Target
from seqlift.errors import SeqliftError

log = logging.getLogger(__name__)

_MAGIC, _MAGIC_BIGBED = 0x888FFC26, 0x8789F2EB
# magic, version, zoom levels, offsets of chromosomes, data and index, ..., of the summary, ...
_HEADER = "<IHHQQQHHQQIQ"
_GAP = 20_000  # bp; windows nearer than this are read in one piece, as finding a place costs as much as reading on
_STRETCH = 2**22  # bp read in one piece
_BLOCK = 2**22  # values of windows handed on at once
_FORMAT = "seqlift signal 1"


@dataclass(frozen=True)
class Signal:
    """The base-resolution signal of a table's regions, memory-mapped.

    Attributes
    ----------
    values : numpy.ndarray, shape (N, T, S, margin + window + margin), float32
        Signal of each region, target and strand (plus, minus), replicates summed; 0 where unknown.
    control : numpy.ndarray or None, shape (N, C, margin + window + margin), float32
        Control of each target, in the order of the targets, plus before minus; 0 for a target without one.
    known : numpy.ndarray, shape (N, T), bool
        Where a target has a measured signal.
    window, margin : int
        In bp; the margin on either side is room for jitter.
    control_strands : int
        Channels of `control` for each target, 1 or 2; 0 without.
    """

    values: np.ndarray
    control: np.ndarray | None
    known: np.ndarray
    window: int
    margin: int
    control_strands: int = 0

    def tracks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Values and control, (N, channels, width), each with the channels that replace its own on the other strand."""
        n, n_targets, strands, width = self.values.shape
        values = self.values.view(np.ndarray).reshape(n, n_targets * strands, width)
        tracks = [(values, _exchanged(n_targets * strands, strands))]
        if self.control is not None:
            channels = self.control.shape[1]
            tracks.append((self.control.view(np.ndarray), _exchanged(channels, self.control_strands)))
        return tracks

    def __getstate__(self) -> dict:
        # For the workers of a data loader: they map the same files again
        return {name: Path(str(value.filename)) if isinstance(value, np.memmap) else value
                for name, value in self.__dict__.items()}  # fmt: skip

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(
            {name: np.load(value, mmap_mode="r") if isinstance(value, Path) else value for name, value in state.items()}
        )


def _exchanged(channels: int, strands: int) -> np.ndarray:
    return np.arange(channels) ^ (1 if strands == 2 else 0)


def strands_of(targets: Sequence[Target]) -> tuple[int, int]:
    """How many strands the signal of these targets has, and their control: 1 or 2 each, 0 where no target has one.

    Raises
    ------
    SeqliftError
        If some targets have both strands and others one: one model reads them all.
    """
    numbers = []
    for kind in ("signal", "control"):
        with_any = [target for target in targets if getattr(target, kind)]
        both = [target.name for target in with_any if getattr(target, f"{kind}_minus")]
        one = [target.name for target in with_any if not getattr(target, f"{kind}_minus")]
        if both and one:
            raise SeqliftError(
                f"targets differ in strands: {some(both)} with {kind}_minus, {some(one)} without; a model needs the "
                "same for all: give both strands of each, or one file with the sum of both"
            )
        numbers.append(2 if both else int(bool(one)))
    return numbers[0], numbers[1]


def check_bigwigs(paths: Sequence[str | os.PathLike], genome_sizes: Mapping[str, int]) -> None:
    """Raise SeqliftError unless each file is a bigWig with data of the genome of these sizes (chromosome -> bp).

    A file may lack chromosomes, because writers often leave out those without data, and may have others than the FASTA.
    """
    for path in paths:
        with _opened(path) as bigwig:
            sizes = bigwig.chroms()
            if not sizes or _summary(path)[0] == 0:
                raise SeqliftError(f"{path}: a bigWig without any data; was its making stopped?")
        shared = [name for name in sizes if name in genome_sizes]
        mapping = name_mapping(sizes, genome_sizes)
        called = {name: name for name in shared} | mapping  # what the FASTA file calls them
        differ = [name for name in called if sizes[name] != genome_sizes[called[name]]]
        if differ:
            lengths = (f"{name} {sizes[name]:,} bp, there {genome_sizes[called[name]]:,}" for name in differ)
            raise SeqliftError(
                f"{path}: is of another genome than the FASTA file: chromosomes differ in length: {some(lengths)}; use "
                "the bigWig and the FASTA of one assembly"
            )
        if mapping:
            raise SeqliftError(
                f"{path}: names chromosomes in another way than the FASTA file: {some(mapping)} for "
                f"{some(mapping.values())}. Convert its names ({mapping_text(mapping)}; bigWigToBedGraph, sed, "
                "bedGraphToBigWig), or use a FASTA file with the names of the bigWig"
            )
        if not shared:
            raise SeqliftError(
                f"{path}: is of another genome than the FASTA file: none of its chromosomes ({some(sizes)}) is one of "
                f"{some(genome_sizes)}; use the bigWig and the FASTA of one assembly"
            )


def signal_totals(
    table: pd.DataFrame,
    target: Target,
    sizes: Mapping[str, int],
    *,
    window: int,
    missing: str = "zero",
    negative: str = "refuse",
) -> np.ndarray:
    """Total of a target's signal in the window in the middle of each region, replicates and strands summed.

    Parameters
    ----------
    table : pandas.DataFrame
        N regions of one length (columns chrom, start, end, kind, and `target:<name>` if there).
    target : Target
        With at least one bigWig.
    sizes : dict of str to int
        Chromosome -> length, bp.
    window : int
        bp; starts at (length - window) // 2 in each region.
    missing, negative
        See `seqlift.data.settings.SignalSettings`.

    Returns
    -------
    numpy.ndarray, shape (N,), float64
        NaN where unknown: a shuffled sequence has no signal, and regions with missing values if `missing` is "mask".

    Raises
    ------
    SeqliftError
        If a file cannot be read or is of another genome, values are not finite or not allowed, the window is longer
        than the regions, or half of the target's peak regions have no signal.
    """
    check_bigwigs([*target.signal, *target.signal_minus], sizes)
    starts = table["start"].to_numpy(np.int64) + _offset(table, window)
    total = np.zeros(len(table))
    known = (table["kind"] != "shuffled").to_numpy(copy=True)
    for path in (*target.signal, *target.signal_minus):
        with _opened(path) as bigwig:
            reader = _Reader(path, bigwig, missing, negative)
            if reader.sign < 0:
                log.info("%s: all values are below 0, as often for the minus strand; read without the sign", path)
            for rows, values, complete in reader.windows(table["chrom"].to_numpy(), starts, window):
                total[rows] += values.sum(axis=1, dtype=float)
                known[rows] &= complete
    total[~known] = np.nan
    _check_peaks(table, target, total)
    return total


def load_signal(
    table: pd.DataFrame,
    summary_signal: Mapping,
    targets: Sequence[str],
    sizes: Mapping[str, int],
    *,
    margin: int,
    folder: str | os.PathLike,
) -> Signal:
    """The signal at every base of the regions, from files that are mapped into memory.

    They are made from the bigWigs unless `folder` has those of the same regions, bigWigs (by size, dates and inode) and
    settings. With `missing` "mask" a region is unknown if a value is missing in the window or its margins.

    Parameters
    ----------
    table : pandas.DataFrame
        N regions of one length (columns chrom, start, end, kind).
    summary_signal : dict
        `signal` of `regions.json`: window, strands, control_strands, missing, negative, files.
    targets : list of str
        Names, in the order of the labels.
    sizes : dict of str to int
        Chromosome -> length, bp.
    margin : int
        bp on either side of the window, room for jitter.
    folder : path
        Made if needed.

    Raises
    ------
    SeqliftError
        If the disk has no room, and for the reasons of `signal_totals`.
    """
    settings = {key: summary_signal[key] for key in ("window", "missing", "negative", "strands", "control_strands")}
    window = settings["window"]
    _offset(table, window)
    files = {name: summary_signal["files"].get(name, {}) for name in targets}
    used = [path for roles in files.values() for paths in roles.values() for path in paths]
    settings |= {"format": _FORMAT, "margin": margin, "targets": list(targets), "files": files}
    try:
        states = [file_state(Path(path)) for path in used]
    except OSError as error:
        reason = error.strerror or error
        raise SeqliftError(f"{error.filename}: cannot be read: {reason}; the regions were made with it") from None
    digest = hashlib.sha256(json.dumps([settings, states]).encode())
    for column in ("chrom", "start", "end", "kind"):
        digest.update(pd.util.hash_array(table[column].to_numpy(), categorize=True).tobytes())
    stem = Path(folder) / digest.hexdigest()
    paths = {name: stem.with_suffix(f".{name}.npy") for name in ("values", "control", "known")}
    if not paths["known"].exists():  # written last
        check_bigwigs(used, sizes)
        _write_signal(table, settings, files, paths)
    return Signal(
        values=np.load(paths["values"], mmap_mode="r"),
        control=np.load(paths["control"], mmap_mode="r") if settings["control_strands"] else None,
        known=np.load(paths["known"]),
        window=window,
        margin=margin,
        control_strands=settings["control_strands"],
    )


def _write_signal(table: pd.DataFrame, settings: dict, files: dict[str, dict], paths: dict[str, Path]) -> None:
    measured = np.flatnonzero((table["kind"] != "shuffled").to_numpy())
    chroms = table["chrom"].to_numpy()[measured]
    starts = table["start"].to_numpy(np.int64)[measured] + _offset(table, settings["window"]) - settings["margin"]
    width = settings["window"] + 2 * settings["margin"]
    known = np.zeros((len(table), len(files)), bool)

    def add(array: np.ndarray, paths: Sequence[str], missing: str) -> np.ndarray:
        """Add the windows of files to `array` (N, width); returns which windows have all values, (N,) bool."""
        whole = np.zeros(len(table), bool)
        whole[measured] = True
        for path in paths:
            with _opened(path) as bigwig:
                reader = _Reader(path, bigwig, missing, settings["negative"])
                for rows, values, complete in reader.windows(chroms, starts, width):
                    array[measured[rows]] += values
                    whole[measured[rows]] &= complete
        return whole

    strands = settings["strands"]
    with _new_array(paths["values"], (len(table), len(files), strands, width)) as values:
        for t, roles in enumerate(files.values()):
            if roles.get("signal"):
                known[:, t] = add(values[:, t, 0], roles["signal"], settings["missing"])
                if strands == 2:
                    known[:, t] &= add(values[:, t, 1], roles["signal_minus"], settings["missing"])
                values[~known[:, t], t] = 0
    strands = settings["control_strands"]
    if strands:
        with _new_array(paths["control"], (len(table), len(files) * strands, width)) as control:
            for t, roles in enumerate(files.values()):
                for s, role in enumerate(("control", "control_minus")[:strands]):
                    add(control[:, t * strands + s], roles.get(role, ()), "zero")
    with replacing(paths["known"]) as temporary:
        np.save(temporary, known)


@contextmanager
def _new_array(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A mapped .npy file of zeros, float32, to be filled; there whole or not at all."""
    with replacing(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        if hasattr(os, "posix_fallocate"):  # takes the room now: a mapped file that finds none later kills the process
            try:
                with open(temporary, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
            except OSError as error:
                raise SeqliftError(
                    f"the signal of the regions, {array.nbytes / 1e9:.1f} GB, cannot be written to {path.parent}: "
                    f"{error.strerror}; make room there"
                ) from None
        yield array
        array.flush()


class _Reader:
    """Windows of one bigWig, without missing values and without negative ones."""

    def __init__(self, path: str | os.PathLike, bigwig: Any, missing: str, negative: str):
        self.path = path
        self.bigwig = bigwig
        self.sizes = bigwig.chroms()
        self.missing = missing
        self.negative = negative
        _, lowest, highest = _summary(path)
        # Values are float32, so none is above 0; pyBigWig then writes 2e-308 as the largest
        self.sign = -1 if lowest < 0 and highest < 1e-100 else 1

    def windows(
        self, chroms: np.ndarray, starts: np.ndarray, width: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows (n,), their values (n, width) float32, 0 where the file has none, and which have all values (n,).

        They come in blocks, by chromosome and position, so that no part of the file is read twice.
        """
        code, names = pd.factorize(chroms)
        order = np.lexsort((starts, code))
        edges = np.searchsorted(code[order], np.arange(len(names) + 1))
        for chrom, begin, end in zip(names, edges[:-1], edges[1:], strict=True):
            rows = order[begin:end]
            for part in _stretches(starts[rows], width):
                values, complete = self._stretch(chrom, starts[rows[part]], width)
                yield rows[part], values, complete

    def _stretch(self, chrom: str, starts: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        begin, end = int(starts[0]), int(starts[-1]) + width
        piece = np.full(end - begin, np.nan, np.float32)
        first, last = max(begin, 0), min(end, self.sizes.get(chrom, 0))
        if first < last:
            try:
                piece[first - begin : last - begin] = self.bigwig.values(chrom, first, last, numpy=True)
            except RuntimeError as error:
                raise _damaged(self.path, f"{chrom}:{first + 1}-{last} cannot be read: {error}") from None
        lacking = np.isnan(piece)
        piece[lacking] = 0
        piece *= self.sign
        if self.negative == "clip":
            piece[(piece < 0) & (piece > -np.inf)] = 0
        elif self.negative == "absolute":
            np.abs(piece, out=piece)
        inside = starts - begin
        values = np.lib.stride_tricks.sliding_window_view(piece, width)[inside]  # (n, width), a copy
        if (piece < 0).any() or np.isinf(piece).any():
            self._check(chrom, starts, values)
        if self.missing == "zero":
            return values, np.ones(len(starts), bool)
        before = np.concatenate([[0], np.cumsum(lacking)])  # values lacking before each base
        return values, before[inside + width] == before[inside]

    def _check(self, chrom: str, starts: np.ndarray, values: np.ndarray) -> None:
        wrong = np.argwhere((values < 0) | np.isinf(values))
        if not len(wrong):  # only between windows
            return
        i, j = wrong[0]
        value, where = values[i, j] * self.sign, f"{chrom}:{starts[i] + j + 1}"
        if math.isinf(value):
            raise SeqliftError(f"{self.path}: {where} holds {value}; a signal must be finite: write the bigWig again")
        raise SeqliftError(
            f"{self.path}: {where} holds {value:g}, and the file has values above 0 too; counts cannot be below 0: "
            "give the bigWig of counts, not of a log ratio or difference, or set signal.negative to clip or absolute"
        )


def _stretches(starts: np.ndarray, width: int) -> Iterator[slice]:
    """Runs of windows, rising `starts` (n,), each to be read in one piece."""
    gaps = np.flatnonzero(np.diff(starts) > width + _GAP) + 1
    gaps = np.append(gaps, len(starts))
    first = 0
    while first < len(starts):
        last = min(
            gaps[np.searchsorted(gaps, first, side="right")],
            np.searchsorted(starts, starts[first] + _STRETCH, side="right"),
            first + max(1, _BLOCK // width),
        )
        yield slice(first, int(last))
        first = int(last)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator:
    """A bigWig, open for reading; SeqliftError if it is none, or cut short."""
    header = _header(path)
    size = os.path.getsize(path)
    if any(not 64 <= offset < size for offset in header[3:6]):
        raise _damaged(path, "it points beyond its end")
    try:
        bigwig = pyBigWig.open(os.fspath(path))
    except RuntimeError as error:
        raise _damaged(path, str(error)) from None
    try:
        yield bigwig
    finally:
        bigwig.close()


def _damaged(path: str | os.PathLike, what: str) -> SeqliftError:
    return SeqliftError(f"{path}: a damaged bigWig ({what}); was it cut short? Fetch or make it again")


def _header(path: str | os.PathLike) -> tuple[int, ...]:
    try:
        with open(path, "rb") as file:
            data = file.read(64)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such bigWig file; check the name") from None
    except OSError as error:
        raise SeqliftError(f"{path}: cannot be read: {error.strerror or error}") from None
    magic = int.from_bytes(data[:4], "little")
    if magic == _MAGIC_BIGBED:
        raise SeqliftError(f"{path}: is a bigBed file, not a bigWig; a signal needs a value for each base")
    if magic != _MAGIC:
        raise SeqliftError(
            f"{path}: not a bigWig file{'' if data else ' (it is empty)'}; convert a bedGraph with bedGraphToBigWig, a "
            "wiggle file with wigToBigWig"
        )
    if len(data) < 64:
        raise _damaged(path, f"only {len(data)} bytes")
    return struct.unpack(_HEADER, data)


def _summary(path: str | os.PathLike) -> tuple[int | None, float, float]:
    """Bases with a value, the smallest and the largest value, by the file's own summary; (None, NaN, NaN) without one.

    pyBigWig's `header()` rounds the values, and dies of infinite ones.
    """
    place = _header(path)[9]
    with open(path, "rb") as file:
        file.seek(place)
        summary = file.read(24)
    return struct.unpack("<Qdd", summary) if place and len(summary) == 24 else (None, math.nan, math.nan)


def _offset(table: pd.DataFrame, window: int) -> int:
    """Where the window in the middle of a region starts, bp from the region's start."""
    length = int((table["end"] - table["start"]).iloc[0])
    if not 1 <= window <= length:
        raise SeqliftError(f"signal.window (={window}) must be from 1 to the length of the regions, {length} bp")
    return (length - window) // 2


def _check_peaks(table: pd.DataFrame, target: Target, total: np.ndarray) -> None:
    peaks = (table["kind"] == "peak").to_numpy(copy=True)
    if f"target:{target.name}" in table:
        peaks &= (table[f"target:{target.name}"] == 1).to_numpy()
    nothing = int((np.nan_to_num(total[peaks]) == 0).sum())
    if peaks.any() and 2 * nothing >= peaks.sum():
        masked = ", or set signal.missing to zero if a base without a value had no reads"
        raise SeqliftError(
            f"target {target.name!r}: its signal ({some([*target.signal, *target.signal_minus])}) has no data in "
            f"{nothing} of its {peaks.sum()} peak regions; give peaks and bigWigs of one experiment and one assembly"
            + masked
            * bool(np.isnan(total[peaks]).any())
        )
