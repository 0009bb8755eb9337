"""A genome as UCSC's 2bit file, which browsers read piece by piece: a quarter of a byte a base, N as stretches.

IGV cannot read a FASTA file that gzip packed, the form in which most genomes are handed out.
"""

import os
from pathlib import Path

import numpy as np

from seqlift.core.files import replacing
from seqlift.data.genome import N_CODE, Genome
from seqlift.errors import SeqliftError

_SIGNATURE = 0x1A412743
_CODES = np.array([2, 1, 3, 0, 0], np.uint8)  # of A C G T N; UCSC counts T C A G
_BASES = 2**24  # packed at a time


def write_two_bit(genome: Genome, path: str | os.PathLike) -> None:
    """Write all chromosomes of a genome; letters but A C G T become N (https://genome.ucsc.edu/FAQ/FAQformat#format7).

    Raises
    ------
    SeqliftError
        If the genome does not fit the format: a name of more than 255 bytes, or more than 4 GB.
    """
    names = [name.encode() for name in genome.sizes]
    blocks = {name: _unknown(genome.codes(name)) for name in genome.sizes}
    long = [name.decode() for name in names if len(name) > 255]
    if long:
        raise SeqliftError(f"{genome.path}: a 2bit file holds names of up to 255 bytes; {long[0]!r} is longer")
    offset = 16 + sum(1 + len(name) + 4 for name in names)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(_words(_SIGNATURE, 0, len(names), 0))
        for name, (chrom, size) in zip(names, genome.sizes.items(), strict=True):
            if offset >= 2**32:
                raise SeqliftError(f"{genome.path}: too large for a 2bit file ({Path(path).name}), which holds 4 GB")
            file.write(bytes([len(name)]) + name + _words(offset))
            offset += 16 + 8 * len(blocks[chrom][0]) + -(-size // 4)
        for chrom, size in genome.sizes.items():
            starts, lengths = blocks[chrom]
            file.write(_words(size, len(starts), *starts, *lengths, 0, 0))
            codes = genome.codes(chrom)
            for first in range(0, size, _BASES):
                file.write(_packed(codes[first : first + _BASES]))


def _words(*numbers: int) -> bytes:
    return np.array(numbers, "<u4").tobytes()


def _unknown(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the stretches of N."""
    edges = [np.zeros(0, np.int64)]
    before = False
    for first in range(0, len(codes), _BASES):
        unknown = codes[first : first + _BASES] == N_CODE
        edges.append(first + np.flatnonzero(np.diff(unknown, prepend=before)))
        before = bool(unknown[-1])
    found = np.concatenate([*edges, [len(codes)] if before else []]).astype(np.int64)
    return found[::2], found[1::2] - found[::2]


def _packed(codes: np.ndarray) -> bytes:
    """Four bases a byte, the first one in its highest bits."""
    padded = np.zeros(-(-len(codes) // 4) * 4, np.uint8)
    padded[: len(codes)] = _CODES[codes]
    fours = padded.reshape(-1, 4)
    return (fours[:, 0] << 6 | fours[:, 1] << 4 | fours[:, 2] << 2 | fours[:, 3]).tobytes()
