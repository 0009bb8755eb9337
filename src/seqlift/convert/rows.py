"""Rows common to all formats of base scores: windows of one length, their bases and hypothetical contributions.

Formats differ in the order of their axes, in how they store a row and in where they keep its coordinates, often not in
the
file of the scores at all. Read through here they are the same thing: rows in the order of the file, a block at a time,
each with its place in the genome, so that a row never drifts from its coordinates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from seqlift.data.genome import BASES, Genome, encode
from seqlift.errors import SeqliftError

BLOCK = 1024  # rows in memory at a time: 16 MB of scores at 1 kb

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Rows:
    """Scores in any format, not yet read.

    Attributes
    ----------
    name : str
        The file of the scores, for messages.
    coords : pandas.DataFrame, N rows
        chrom, start, end (bp, 0-based, end exclusive), name, strand.
    length : int, bp
    blocks : callable
        Gives sequences (n, 4, L) int8 and hypothetical contributions (n, 4, L) float32, block by block, from the first
        row on, each time it is called.
    hypothetical_known : bool
        False where the format holds nothing but the contribution of the base that is there; those of the other
        bases are then 0.
    """

    name: str
    coords: pd.DataFrame
    length: int
    blocks: Callable[[], Blocks]
    hypothetical_known: bool = True


def checked(rows: Rows, genome: Genome | None) -> Rows:
    """The same rows, each block checked as it is read.

    A column of the sequence is one base or N (all zeros), scores are finite, and where a genome is given the bases are
    those at the coordinates. Scores that are zero at every base that is not in the sequence are not hypothetical.

    Raises
    ------
    SeqliftError
        When a block is read that breaks a rule; names the row.
    """

    def blocks() -> Blocks:
        first, here, elsewhere = 0, False, False
        for sequences, hypothetical in rows.blocks():
            _check_one_hot(rows, first, sequences)
            _check_finite(rows, first, hypothetical)
            if genome is not None:
                _check_genome(rows, first, sequences, genome)
            there = sequences.astype(bool)
            known = there.any(axis=1, keepdims=True)  # N has no base that is there, and may have scores or none
            here |= bool(hypothetical[there].any())
            elsewhere |= bool((hypothetical * (known & ~there)).any())
            yield sequences.astype(np.int8, copy=False), hypothetical
            first += len(sequences)
        if rows.hypothetical_known and here and not elsewhere:
            raise SeqliftError(
                f"{rows.name}: every score is 0 where the base is not there, so these are contributions, not "
                "hypothetical ones; save the hypothetical contributions (in tangermeme and bpnet-lite: "
                "hypothetical=True), or hand the contributions over as bedGraph"
            )

    return replace(rows, blocks=blocks)


def row_name(rows: Rows, row: int) -> str:
    """A row for messages: its name, number and place."""
    one = rows.coords.iloc[row]
    return f"{one['name']!r} (row {row}, {one['chrom']}:{one['start']}-{one['end']})"


def _check_one_hot(rows: Rows, first: int, sequences: np.ndarray) -> None:
    wrong = ((sequences != 0) & (sequences != 1)).any(axis=1) | (sequences.sum(axis=1) > 1)  # (n, L)
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        column = ", ".join(f"{value:g}" for value in sequences[row, :, position])
        raise SeqliftError(
            f"{rows.name}: {wrong.any(axis=1).sum()} rows are not one-hot, the first is {row_name(rows, first + row)}: "
            f"position {position} (0-based) holds A C G T = {column}; each base is one 1 and three 0, N is four 0"
        )


def _check_finite(rows: Rows, first: int, hypothetical: np.ndarray) -> None:
    wrong = ~np.isfinite(hypothetical).all(axis=(1, 2))
    if wrong.any():
        raise SeqliftError(
            f"{rows.name}: {wrong.sum()} rows have scores that are not finite, the first is "
            f"{row_name(rows, first + int(np.argmax(wrong)))}; a NaN or infinite score explains nothing: make the "
            "scores again, or leave those rows out together with their lines of the BED file"
        )


def _check_genome(rows: Rows, first: int, sequences: np.ndarray, genome: Genome) -> None:
    there = encode(genome_codes(rows.coords.iloc[first : first + len(sequences)], genome))
    wrong = (there != sequences).any(axis=(1, 2))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise SeqliftError(
            f"{rows.name}: {wrong.sum()} of {len(sequences)} rows hold other bases than {genome.path} has at their "
            f"coordinates, the first is {row_name(rows, first + row)}: {_letters(sequences[row])[:20]}... in the row, "
            f"{_letters(there[row])[:20]}... in the genome; rows and BED lines are out of step, or it is another genome"
        )


def genome_codes(coords: pd.DataFrame, genome: Genome) -> np.ndarray:
    """Codes (n, L) uint8 of windows; a window off its chromosome is an error."""
    codes = []
    for row in coords.itertuples():
        whole = genome.codes(row.chrom)
        if not 0 <= row.start < row.end <= len(whole):
            raise SeqliftError(
                f"{genome.path}: {row.name!r} ({row.chrom}:{row.start}-{row.end}) does not lie inside {row.chrom} "
                f"(0-{len(whole)}); give the genome that the scores were made with"
            )
        codes.append(whole[row.start : row.end])
    return np.stack(codes)


def _letters(one_hot: np.ndarray) -> str:
    return "".join(BASES[column.argmax()] if column.any() else "N" for column in one_hot.T)
