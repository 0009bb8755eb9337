"""Contributions as bedGraph: text that every genome browser and every tool reads.

Going out, the lines are those of the bigWig track (`seqlift.tracks`): where windows overlap, a base has the value that
the track's policy gives it, and N has none. Numbers have enough digits to give the same float32 again.

Coming in, a bedGraph says what each base contributes and nothing about the bases that are not there: their hypothetical
contributions are unknown, and no file can make them up. The rows then hold 0 for them and say so
(`Rows.hypothetical_known`); tracks, averages and the report use such scores, motif discovery refuses them. Every base
of a window needs a value: a base without a line may be 0 or unknown, and only the author of the file knows which.
"""

import contextlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig

from seqlift.convert.rows import BLOCK, Blocks, genome_codes
from seqlift.core.files import replacing
from seqlift.data.genome import Genome, encode
from seqlift.data.intervals import read_lines, split_fields
from seqlift.errors import SeqliftError
from seqlift.tracks.writing import write_track

_LINES = 2**16  # bedGraph lines in memory at a time
_STRETCH = 2**20  # bp of a track read at a time


def write_bedgraph(scores: Path, output: Path, genome: Genome) -> None:
    """Write a score file's contributions as bedGraph, by way of its track."""
    with tempfile.TemporaryDirectory() as folder:
        track_path = Path(folder) / "track.bw"
        write_track(scores, track_path, chromosome_sizes=dict(genome.sizes))
        with (
            pyBigWig.open(os.fspath(track_path)) as track,
            replacing(output) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            for chrom, size in track.chroms().items():
                for start in range(0, size, _STRETCH):
                    _write_stretch(file.write, track, chrom, start, min(start + _STRETCH, size))


def _write_stretch(write: Callable[[str], int], track: Any, chrom: str, start: int, end: int) -> None:
    """One line for each stretch of neighbouring bases of the same value."""
    values = track.values(chrom, start, end, numpy=True).astype(np.float32)
    there = ~np.isnan(values)
    if not there.any():
        return
    changes = np.flatnonzero((values[1:] != values[:-1]) | (there[1:] != there[:-1])) + 1
    for begin, stop in zip([0, *changes.tolist()], [*changes.tolist(), len(values)], strict=True):
        if there[begin]:
            write(f"{chrom}\t{start + begin}\t{start + stop}\t{values[begin]!s}\n")


@contextlib.contextmanager
def bedgraph_blocks(path: Path, windows: pd.DataFrame, genome: Genome) -> Iterator[Callable[[], Blocks]]:
    """Blocks of windows with the sequence of a genome and the contributions of a bedGraph.

    The file is packed into a temporary bigWig first, from which windows are read in any order; so memory is bounded.

    Raises
    ------
    SeqliftError
        If a line is wrong, lines are unsorted or overlap, or a base of a window has no value.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed = os.path.join(folder, "track.bw")
        _pack(path, packed, genome)
        with pyBigWig.open(packed) as track:

            def blocks() -> Blocks:
                for first in range(0, len(windows), BLOCK):
                    part = windows.iloc[first : first + BLOCK]
                    sequences = encode(genome_codes(part, genome)).astype(np.int8)
                    values = np.stack(
                        [
                            track.values(row.chrom, row.start, row.end, numpy=True).astype(np.float32)
                            for row in part.itertuples()
                        ]
                    )
                    yield sequences, sequences * _known(path, part, sequences, values)[:, None, :]

            yield blocks


def _known(path: Path, part: pd.DataFrame, sequences: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (n, L) with 0 at N; every other base must have one."""
    there = sequences.any(axis=1)
    missing = there & np.isnan(values)
    if missing.any():
        row, position = np.argwhere(missing)[0]
        one = part.iloc[row]
        raise SeqliftError(
            f"{path}: has no value for {missing[row].sum()} bp of {one['name']!r} "
            f"({one['chrom']}:{one['start']}-{one['end']}), the first is {one['chrom']}:{one['start'] + position} "
            "(0-based); write a line for each base, also where the contribution is 0, or leave such windows out of "
            "the BED file"
        )
    return np.where(there, values, np.float32(0))


def _pack(path: Path, packed: str, genome: Genome) -> None:
    """A bedGraph as bigWig, its chromosomes in the order of the file."""
    order = dict.fromkeys(chrom for chrom, *_ in _lines(path, genome))
    if not order:
        raise SeqliftError(f"{path}: holds no line with a value; was it cut short?")
    sizes = {chrom: genome.sizes[chrom] for chrom in [*order, *genome.sizes]}
    with pyBigWig.open(packed, "w") as track:
        track.addHeader(list(sizes.items()), maxZooms=0)
        chunk: list[tuple] = []
        for line in _lines(path, genome):
            chunk.append(line)
            if len(chunk) == _LINES:
                _add(track, chunk)
                chunk = []
        if chunk:
            _add(track, chunk)


def _add(track: Any, chunk: list[tuple]) -> None:
    chroms, starts, ends, values = zip(*chunk, strict=True)
    track.addEntries(list(chroms), list(starts), ends=list(ends), values=list(values))


def _lines(path: Path, genome: Genome) -> Iterator[tuple[str, int, int, float]]:
    """The lines of a bedGraph, each checked, and sorted as bigWig needs them."""
    chrom, reach, done = None, 0, set()
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("#") or line.split(maxsplit=1)[0] in ("track", "browser"):
            continue
        where = f"{path}:{number}"
        name, start, end, value = _parse(split_fields(line), where)
        if name not in genome.sizes:
            raise SeqliftError(f"{where}: {genome.path} has no chromosome {name!r}; give the genome of the scores")
        if not 0 <= start < end <= genome.sizes[name]:
            raise SeqliftError(f"{where}: {name}:{start}-{end} does not lie inside {name} (0-{genome.sizes[name]})")
        if name != chrom:
            if name in done:
                raise SeqliftError(f"{where}: {name} comes a second time; sort the file with sort -k1,1 -k2,2n")
            done.add(name)
            chrom, reach = name, 0
        if start < reach:
            raise SeqliftError(
                f"{where}: starts at {start}, before the line above ends ({reach}); a bedGraph is sorted and its lines "
                "do not overlap: sort it with sort -k1,1 -k2,2n and keep one value for each base"
            )
        reach = end
        yield name, start, end, value


def _parse(fields: list[str], where: str) -> tuple[str, int, int, float]:
    try:
        chrom, start, end, value = fields
        parsed = chrom, int(start), int(end), float(value)
    except ValueError:
        raise SeqliftError(
            f"{where}: {' '.join(fields)[:60]!r}; a bedGraph line is chrom, start, end and a number"
        ) from None
    if not math.isfinite(parsed[3]):
        raise SeqliftError(f"{where}: value {value!r} must be a finite number; leave the line out if there is none")
    return parsed
