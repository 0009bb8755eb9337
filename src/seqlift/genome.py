"""The genome as the model sees it: chromosomes of A, C, G and T, and N for every base that is not known.

A FASTA file, plain or compressed with gzip or bgzip, is read once from end to end and written to a cache as one byte a
base, all chromosomes one behind the other. That file is then mapped into memory, so that any window of any chromosome
is a slice: nothing is loaded at the start, a page comes from the disk when a window first needs it, and all processes
share it. What is in the cache is filed under the checksum of the FASTA file, so that a changed file never meets an old
encoding, and the folder of the FASTA file may be read-only.
"""

import contextlib
import gzip
import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqlift.errors import SeqliftError
from seqlift.files import replacing

BASES = "ACGT"
N_CODE = 4

_CODE_OF_BYTE = np.full(256, N_CODE, dtype=np.uint8)
for _code, _base in enumerate(BASES):
    _CODE_OF_BYTE[[ord(_base), ord(_base.lower())]] = _code
_LETTER_OF_CODE = np.frombuffer(b"ACGTN", dtype=np.uint8)

_IUPAC = b"ACGTRYSWKMBDHVNXacgtryswkmbdhvnx"  # X: masked base
_WRONG = 255
_TABLE = bytearray([_WRONG]) * 256  # byte of a sequence line -> code, or _WRONG
for _byte in _IUPAC:
    _TABLE[_byte] = _CODE_OF_BYTE[_byte]
_TABLE = bytes(_TABLE)

_OTHER_FORMATS = {
    b"BZh": "a bzip2 file",
    b"PK\x03\x04": "a zip file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x43\x27\x41\x1a": "a 2bit file (twoBitToFa makes FASTA of it)",
    b"\x1a\x41\x27\x43": "a 2bit file (twoBitToFa makes FASTA of it)",
}
_FORMAT = "seqlift genome 1"
_CHUNK = 2**22  # bytes of a FASTA file read at once
_SETTLED = 2.0  # s; a file changed later than this may change again without a new date (clocks of file systems tick)


def codes(sequence: str) -> np.ndarray:
    """Code a sequence: A, C, G, T -> 0, 1, 2, 3 in either case; anything else -> 4 (N).

    Parameters
    ----------
    sequence : str of length L

    Returns
    -------
    numpy.ndarray, shape (L,), uint8
    """
    return _CODE_OF_BYTE[np.frombuffer(sequence.encode("latin-1"), dtype=np.uint8)]


def one_hot(sequence: str | np.ndarray) -> np.ndarray:
    """One-hot encode one sequence; N is all zeros.

    Parameters
    ----------
    sequence : str of length L, or numpy.ndarray, shape (L,), uint8 codes 0..4

    Returns
    -------
    numpy.ndarray, shape (4, L), float32
        Bases in the order A C G T.
    """
    return one_hot_batch((codes(sequence) if isinstance(sequence, str) else sequence)[None])[0]


def one_hot_batch(sequences: np.ndarray) -> np.ndarray:
    """One-hot encode coded sequences of one length; N is all zeros.

    Parameters
    ----------
    sequences : numpy.ndarray, shape (N, L), uint8 codes 0..4

    Returns
    -------
    numpy.ndarray, shape (N, 4, L), float32
        Bases in the order A C G T.
    """
    n, length = sequences.shape
    encoded = np.empty((n, len(BASES), length), dtype=np.float32)
    for code in range(len(BASES)):
        np.equal(sequences, code, out=encoded[:, code])
    return encoded


def sha256_of(path: str | os.PathLike) -> str:
    """Checksum of a file's bytes, as `sha256sum` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Genome:
    """The chromosomes of a FASTA file, plain, gzipped or bgzipped, in upper or lower case.

    Opening a file for the first time checks and encodes it from end to end (a second for yeast, a minute or so for
    human); later it only maps the encoding into memory. A genome can be pickled, for the workers of a data loader: it
    maps the same file again.

    Parameters
    ----------
    path : path of the FASTA file
    cache_dir : path of a folder, optional
        Where the encoding goes, a byte a base. By default `$XDG_CACHE_HOME/seqlift`, else `~/.cache/seqlift`, or a
        folder of the user's own under the system's temporary folder where those cannot be written.

    Attributes
    ----------
    path : pathlib.Path
    sizes : dict of str to int
        Chromosome -> length (bp), in the order of the file. A chromosome is the first word of its header line.
    offsets : dict of str to int
        Chromosome -> where it starts in `encoded`.
    encoded : numpy.ndarray, shape (sum of sizes,), uint8, read-only
        All chromosomes in the order of the file: 0..3 for A, C, G, T; 4 for anything else. Memory-mapped.
    sha256 : str
        Checksum of the file as it lies on the disk, compressed or not. It is kept in the cache, and taken again when
        the file's size, dates or inode have changed.

    Raises
    ------
    SeqliftError
        If the file is missing, damaged or no FASTA file of DNA (names the line), or the cache cannot be written.
    """

    def __init__(self, path: str | os.PathLike, *, cache_dir: str | os.PathLike | None = None):
        self.path = Path(path)
        cache = _cache_folder(cache_dir) / "genomes"
        try:
            before = _state(self.path)
            self.sha256 = _checksum(self.path, before, cache)
            folder = cache / self.sha256
            self._file = folder / "genome.codes"
            self.sizes = _read_index(folder)
            if not self.sizes:
                self.sizes = _encode(self.path, folder, before)
        except FileNotFoundError:
            raise SeqliftError(f"{self.path}: no such FASTA file; check the name") from None
        except OSError as error:
            raise SeqliftError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        ends = np.cumsum(list(self.sizes.values())).tolist()
        self.offsets = dict(zip(self.sizes, [0, *ends[:-1]], strict=True))
        self.encoded = self._map()

    def _map(self) -> np.ndarray:
        return np.memmap(self._file, dtype=np.uint8, mode="r").view(np.ndarray)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "encoded"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.encoded = self._map()

    def __enter__(self) -> "Genome":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to do: no file stays open, and the mapping goes with the last array that uses it."""

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Give the bases of an interval in upper case; every letter but A, C, G and T becomes N.

        Parameters
        ----------
        chrom : str
        start, end : int
            In bp, 0-based, end exclusive; 0 <= start < end <= the length of the chromosome.

        Raises
        ------
        SeqliftError
            If the genome lacks the chromosome or the interval runs off it.
        """
        size = self._size(chrom)
        if not 0 <= start < end <= size:
            raise SeqliftError(f"{self.path}: interval {chrom}:{start}-{end} does not lie inside {chrom} (0-{size})")
        return _LETTER_OF_CODE[self.codes(chrom)[start:end]].tobytes().decode("ascii")

    def codes(self, chrom: str) -> np.ndarray:
        """Give a whole chromosome coded, as a view of `encoded`.

        Returns
        -------
        numpy.ndarray, shape (length of the chromosome,), uint8, read-only
            0..3 for A, C, G, T; 4 for anything else.
        """
        size = self._size(chrom)
        start = self.offsets[chrom]
        return self.encoded[start : start + size]

    def _size(self, chrom: str) -> int:
        if chrom not in self.sizes:
            known = ", ".join(list(self.sizes)[:5])
            raise SeqliftError(f"{self.path}: has no chromosome {chrom!r}; it has {known}, ... ({len(self.sizes)})")
        return self.sizes[chrom]


def _cache_folder(cache_dir: str | os.PathLike | None) -> Path:
    """The folder asked for, or the first of the usual ones that can be written."""
    shared = Path(tempfile.gettempdir()) / f"seqlift-cache-{os.getuid()}"
    if cache_dir is not None:
        choices = [Path(cache_dir)]
    else:
        choices = [Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "seqlift", shared]
    for folder in choices:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # In the shared temporary folder somebody else may have made it first, and could change what it holds.
            if os.access(folder, os.W_OK | os.X_OK) and (folder != shared or folder.stat().st_uid == os.getuid()):
                return folder
    tried = ", ".join(str(folder) for folder in choices)
    raise SeqliftError(f"cannot write the cache of genome indexes (tried {tried}); set XDG_CACHE_HOME to a folder")


def _state(path: Path) -> dict[str, int]:
    """What changes when a file changes, short of reading it."""
    status = path.stat()
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns", "ino", "dev")}


def _checksum(path: Path, state: dict[str, int], cache: Path) -> str:
    """The checksum of a FASTA file in this state: the one taken earlier, or a new one, then kept."""
    note = cache / "checksums" / (hashlib.sha256(os.fsencode(path.resolve())).hexdigest() + ".json")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(note.read_text())
        if kept["state"] == state:
            return kept["sha256"]
    settled = time.time() - state["ctime_ns"] / 1e9 > _SETTLED
    checksum = sha256_of(path)
    if settled and _state(path) == state:
        with contextlib.suppress(OSError), replacing(note) as temporary:  # without it the next start takes longer
            temporary.write_text(json.dumps({"state": state, "sha256": checksum}))
    return checksum


def _read_index(folder: Path) -> dict[str, int]:
    """Chromosomes and their sizes in an encoding that is whole, else nothing."""
    try:
        index = json.loads((folder / "genome.json").read_text())
        sizes = {str(name): int(size) for name, size in index["chromosomes"]}
        whole = index["format"] == _FORMAT and (folder / "genome.codes").stat().st_size == sum(sizes.values())
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return sizes if whole else {}


def _encode(fasta: Path, folder: Path, state: dict[str, int]) -> dict[str, int]:
    """Write the encoding and its index, each whole or not at all; gives chromosomes and their sizes.

    The index comes last and is believed only if the encoding has the size that it says, so that a start in the middle,
    in this process or another one, finds all or nothing. Two that start at once write the same bytes.
    """
    with open(fasta, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed and fasta.suffix.lower() in (".gz", ".bgz"):
        raise SeqliftError(f"{fasta}: its name says gzip but its content is not; rename or fetch it again")
    sizes: dict[str, int] = {}
    try:
        # bgzip is gzip in many members
        with replacing(folder / "genome.codes") as temporary, gzip.open(fasta) if packed else open(fasta, "rb") as file:
            with open(temporary, "wb") as target:
                for name, piece in _pieces(file, fasta):
                    sizes[name] = sizes.get(name, 0) + len(piece)
                    _write(target, piece, folder)
            if _state(fasta) != state:
                raise SeqliftError(f"{fasta}: changed while it was read; start again when it is complete")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeqliftError(f"{fasta}: damaged gzip file ({error}); fetch it again") from None
    with replacing(folder / "genome.json") as temporary:
        temporary.write_text(json.dumps({"format": _FORMAT, "chromosomes": list(sizes.items())}))
    return sizes


def _write(target: BinaryIO, piece: bytes, folder: Path) -> None:
    try:
        target.write(piece)
        target.flush()
    except OSError as error:
        raise SeqliftError(
            f"the encoded genome cannot be written to {folder}: {error.strerror or error}; it takes a byte a base: "
            "make room, or set XDG_CACHE_HOME to another folder"
        ) from None


def _pieces(file: BinaryIO, fasta: Path) -> Iterator[tuple[str, bytes]]:
    """(chromosome, some of its bases as codes), in order; SeqliftError where a line is no FASTA of DNA.

    Reads a few megabytes at a time, however long the lines are.
    """
    headers: dict[str, int] = {}  # name -> line
    name, bases, line = "", 0, 1
    header = None  # the beginning of a header line whose end has not come yet
    at_line_start, first = True, True

    def check_record() -> None:
        if name and not bases:
            raise SeqliftError(f"{fasta}:{headers[name]}: chromosome {name!r} has no bases; was the file cut short?")

    while chunk := file.read(_CHUNK):
        if first:
            for magic, what in _OTHER_FORMATS.items():
                if chunk.startswith(magic):
                    raise SeqliftError(f"{fasta}: is {what}, not FASTA; unpack or convert it")
            first = False
        position = 0
        while position < len(chunk):
            if header is None and at_line_start and chunk[position : position + 1] in (b">", b";"):
                header = b""
            if header is not None:  # a header line or a comment, up to its end
                end = chunk.find(b"\n", position)
                header += chunk[position : len(chunk) if end < 0 else end]
                if end < 0:
                    break
                if header.startswith(b">"):
                    check_record()
                    name, bases = _name(header, headers, fasta, line), 0
                header, at_line_start, position, line = None, True, end + 1, line + 1
                continue
            end = min([at for at in (chunk.find(b"\n>", position), chunk.find(b"\n;", position)) if at >= 0],
                      default=len(chunk) - 1) + 1  # fmt: skip
            text = chunk[position:end]
            codes = text.translate(_TABLE, b"\r\n")
            if codes and not name:
                raise SeqliftError(
                    f"{fasta}:{line + text[: len(text) - len(text.lstrip())].count(10)}: not a FASTA file: must start "
                    f"with a header line '>name', found {_text(text.strip().splitlines()[0][:40])}"
                )
            if _WRONG in codes:
                raise SeqliftError(_wrong_letter(text, fasta, line))
            if codes:
                yield name, codes
            bases += len(codes)
            line += text.count(b"\n")
            at_line_start = text.endswith(b"\n")
            position = end
    if header and header.startswith(b">"):  # the last line, without its end
        check_record()
        name, bases = _name(header, headers, fasta, line), 0
    if not name:
        raise SeqliftError(f"{fasta}: empty; a FASTA file with at least one chromosome is needed")
    check_record()


def _name(header: bytes, headers: dict[str, int], fasta: Path, line: int) -> str:
    """The name in a header line, entered among those found so far."""
    words = header[1:].split(maxsplit=1)
    if not words or header[1:2].isspace():
        raise SeqliftError(f"{fasta}:{line}: header line without a name; write '>name'")
    name = words[0].decode("latin-1")
    if name in headers:
        raise SeqliftError(
            f"{fasta}:{line}: chromosome {name!r} stands there a second time (first in line {headers[name]}); names "
            "must be unique"
        )
    headers[name] = line
    return name


def _wrong_letter(text: bytes, fasta: Path, line: int) -> str:
    """What is wrong with the first letter in `text`, which begins in `line`, that is none of DNA."""
    wrong = text.translate(None, _IUPAC + b"\r\n")[:1]
    where = f"{fasta}:{line + text[: text.index(wrong)].count(10)}"
    if wrong in b"Uu":
        return f"{where}: letter {_text(wrong)} in a sequence: this is RNA; write T for U"
    if wrong in b"EFILPQJOZefilpqjoz*":
        return f"{where}: letter {_text(wrong)} in a sequence: this is protein; a genome of DNA is needed"
    return (
        f"{where}: {_text(wrong)} in a sequence; only A, C, G, T, N and the other IUPAC letters of DNA may stand there"
    )


def _text(content: bytes) -> str:
    return repr(content.decode("latin-1"))
