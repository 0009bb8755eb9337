"""Intervals and peaks: reading BED, narrowPeak and broadPeak files, and merging and overlapping intervals.

An interval is chrom, start, end; 0-based, end exclusive. A peak is an interval with a summit, the base with the highest
signal: the binding site of a factor lies close to it. narrowPeak files contain the summit (column 10, as an offset from
the start), also those with columns added, as of IDR; for BED and broadPeak files it is the middle of the interval.
"""

import gzip
import logging
import math
import os
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError

PEAK_COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "summit", "line"]
_NARROW_PEAK_COLUMNS = 10  # BED12 also has a column 10, which counts blocks
_ODD_FRACTION = 0.01  # of the lines of a real file may be a little wrong; more, and the file is of another kind

log = logging.getLogger(__name__)


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Numbers (from 1) and texts of the lines of a file, plain or gzipped, without their ends (LF or CRLF).

    Raises
    ------
    SeqliftError
        If the file is missing, cannot be read, is a damaged gzip file or not text.
    """
    path = Path(path)
    number = 0
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"  # by content: names may be wrong
        opener = gzip.open if packed else open
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise SeqliftError(f"{path}: line {number} holds binary data; a text file is needed")
                yield number, line.rstrip("\r\n")
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; check the name") from None
    except UnicodeDecodeError:
        raise SeqliftError(f"{path}: not a text file (after line {number}); convert it to text first") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeqliftError(f"{path}: damaged gzip file after line {number} ({error}); fetch it again") from None
    except OSError as error:
        raise SeqliftError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_peaks(path: str | os.PathLike, *, rename: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read peaks from a BED (3 to 12 columns), narrowPeak or broadPeak file, plain or gzipped, LF or CRLF.

    A line of 10 columns or more is narrowPeak, with columns added or not, unless it has the blocks of BED12. A summit
    one base past the end of its peak, as some published files have, is the last base; this is warned about, and an
    error in more than 1 % of the lines.

    Lines that are empty or start with `track`, `browser` or `#` are skipped. Columns are separated by tabs, or by any
    white space where a line has no tab.

    Parameters
    ----------
    path : path of the file
    rename : mapping of chromosome names
        Name in the file -> name to use. Other names stay as they are.

    Returns
    -------
    pandas.DataFrame
        One row per peak, in the order of the file. Columns: `chrom`; `start`, `end` (bp, 0-based, end exclusive);
        `name` ('' for none); `score` (column 5, NaN for none); `strand` ('+', '-' or '.'); `summit` (position on the
        chromosome in bp); `line` (number in the file, from 1).

    Raises
    ------
    SeqliftError
        If the file is missing, is not text, holds no peak, or breaks a rule of its format (names file and line).
    """
    rename = rename or {}
    past: list[int] = []
    rows = []
    for number, line, where in _data_lines(path):
        *values, offset = _parse_peak(line, where, rename)
        past += [number] * (offset == values[2] - values[1])
        rows.append((*values, number))
    if len(past) > max(1, _ODD_FRACTION * len(rows)):
        raise SeqliftError(
            f"{path}:{past[0]}: the summit (column 10) lies one base past the end of its peak, as in {len(past)} of "
            f"{len(rows)} lines; is it counted from 1? It must be an offset from the start, counted from 0"
        )
    if past:
        log.warning(
            "%s:%d: the summit (column 10) lies one base past the end of its peak, as in %d of %d lines; the last base "
            "is taken",
            path, past[0], len(past), len(rows),
        )  # fmt: skip
    if not rows:
        raise SeqliftError(f"{path}: holds no peak; was it cut short, or filtered until nothing was left?")
    return pd.DataFrame(rows, columns=PEAK_COLUMNS).astype({"score": "float64"})


def read_intervals(path: str | os.PathLike) -> pd.DataFrame:
    """Read the intervals of a BED file, plain or gzipped; columns after the third are ignored.

    Returns
    -------
    pandas.DataFrame
        One row per interval, in the order of the file: `chrom`, `start`, `end` (bp, 0-based, end exclusive), `line`.

    Raises
    ------
    SeqliftError
        If the file is missing, is not text, holds no interval, or breaks a rule of its format (names file and line).
    """
    chroms: list[str] = []
    numbers = array("q")  # mappability tracks have ten million lines: a tuple for each would fill gigabytes
    for number, line, where in _data_lines(path):
        chrom, start, end = _parse_interval(split_fields(line), where)
        chroms.append(sys.intern(chrom))
        numbers.extend((start, end, number))
    if not chroms:
        raise SeqliftError(f"{path}: holds no interval; was it cut short, or filtered until nothing was left?")
    starts, ends, lines = np.array(numbers, dtype=np.int64).reshape(-1, 3).T
    return pd.DataFrame({"chrom": chroms, "start": starts, "end": ends, "line": lines})


def merge_intervals(intervals: pd.DataFrame) -> dict[str, np.ndarray]:
    """The bases that intervals (`chrom`, `start`, `end`) cover.

    Returns
    -------
    dict of str to numpy.ndarray, shape (M, 2), int64
        Chromosome -> start and end of stretches, rising; neither overlapping nor touching.
    """
    merged = {}
    for chrom, rows in intervals.groupby("chrom"):
        start, end = rows["start"].to_numpy(np.int64), rows["end"].to_numpy(np.int64)
        order = np.argsort(start, kind="stable")
        start, reach = start[order], np.maximum.accumulate(end[order])
        first = np.concatenate([[True], start[1:] > reach[:-1]])  # what starts after all before it have ended
        last = np.concatenate([first[1:], [True]])
        merged[str(chrom)] = np.column_stack([start[first], reach[last]])
    return merged


def complement(covered: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> pd.DataFrame:
    """What merged intervals leave uncovered of chromosomes of these sizes: `chrom`, `start`, `end`."""
    rows = []
    for chrom, size in sizes.items():
        stretches = covered.get(chrom, np.empty((0, 2), np.int64))
        begin = np.concatenate([[0], stretches[:, 1]])
        end = np.concatenate([stretches[:, 0], [size]])
        rows.append(pd.DataFrame({"chrom": chrom, "start": begin, "end": end})[end > begin])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame({"chrom": [], "start": [], "end": []})


def overlapping(windows: pd.DataFrame, covered: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which windows (`chrom`, `start`, `end`) overlap the intervals from `merge_intervals`, shape (N,) bool."""
    found = np.zeros(len(windows), dtype=bool)
    start, end = windows["start"].to_numpy(), windows["end"].to_numpy()
    for chrom, rows in windows.groupby("chrom").indices.items():
        if chrom in covered:
            stretches = covered[chrom]
            ended = np.searchsorted(stretches[:, 1], start[rows], side="right")  # stretches before the window
            found[rows] = ended < np.searchsorted(stretches[:, 0], end[rows])
    return found


def _data_lines(path: str | os.PathLike) -> Iterator[tuple[int, str, str]]:
    """Number, text and `file:number` of the lines of a BED-like file that hold an interval."""
    path = Path(path)
    for number, line in read_lines(path):
        if line.strip() and not line.startswith("#") and line.split(maxsplit=1)[0] not in ("track", "browser"):
            yield number, line, f"{path}:{number}"


def split_fields(line: str) -> list[str]:
    """Columns of a line of a BED-like file: between tabs, or between white space where it has no tab."""
    return line.split("\t") if "\t" in line else line.split()


def _parse_interval(fields: list[str], where: str) -> tuple[str, int, int]:
    """Chromosome, start and end of a line's columns."""
    if len(fields) < 3:
        raise SeqliftError(
            f"{where}: {len(fields)} columns, at least 3 are needed (chrom, start, end): {' '.join(fields)[:60]!r}"
        )
    start = _integer(fields[1].strip(), "start (column 2)", where)
    end = _integer(fields[2].strip(), "end (column 3)", where)
    if start < 0:
        raise SeqliftError(f"{where}: start ({start}) must not be negative; BED counts from 0")
    if start >= end:
        raise SeqliftError(
            f"{where}: start ({start}) must be smaller than end ({end}); BED counts from 0 and excludes the end"
        )
    return fields[0].strip(), start, end


def _parse_peak(line: str, where: str, rename: Mapping[str, str]) -> tuple:
    """Values of one line, as in `PEAK_COLUMNS` without the last, and the offset of the summit, -1 for none."""
    fields = [field.strip() for field in split_fields(line)]
    chrom, start, end = _parse_interval(fields, where)
    score = _score(fields[4], where) if len(fields) > 4 else math.nan
    strand = fields[5] if len(fields) > 5 else "."
    if strand not in ("+", "-", "."):
        raise SeqliftError(f"{where}: strand (column 6) is {strand!r}, must be '+', '-' or '.'")
    summit, offset = (start + end) // 2, -1
    if len(fields) >= _NARROW_PEAK_COLUMNS and not _has_blocks(fields):
        offset = _integer(fields[9], "summit (column 10)", where)
        if offset > end - start or offset < -1:
            raise SeqliftError(
                f"{where}: summit (column 10) is {offset}, must be an offset from the start inside the peak "
                f"(0 to {end - start - 1}), or -1 for none"
            )
        if offset != -1:
            summit = min(start + offset, end - 1)
    name = fields[3] if len(fields) > 3 and fields[3] != "." else ""
    return rename.get(chrom, chrom), start, end, name, score, strand, summit, offset


def _has_blocks(fields: list[str]) -> bool:
    """Whether a line is BED12 or gappedPeak: column 10 is the number of blocks that columns 11 and 12 list."""
    if len(fields) < 12:
        return False
    count, *lists = fields[9], *(text.removesuffix(",").split(",") for text in fields[10:12])
    return all(count == str(len(values)) and all(value.isdecimal() for value in values) for values in lists)


def _integer(text: str, what: str, where: str) -> int:
    if not text.removeprefix("-").isdecimal() or len(text) > 12:
        raise SeqliftError(f"{where}: {what} is {text!r}, must be a whole number; start a header line with '#'")
    return int(text)


def _score(text: str, where: str) -> float:
    if text == ".":
        return math.nan
    try:
        score = float(text)
    except ValueError:
        raise SeqliftError(f"{where}: score (column 5) is {text!r}, must be a number, or '.' for none") from None
    if math.isinf(score):
        raise SeqliftError(f"{where}: score (column 5) is {text!r}, must be finite, or '.' for none")
    return score
