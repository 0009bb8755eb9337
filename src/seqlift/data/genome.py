"""The genome as the model reads it: chromosomes of A, C, G and T, and N for every base that is not known.

A FASTA file, plain or compressed with gzip or bgzip, is read once with pyfaidx and written to a cache as one byte per
base, one chromosome after the other. That file is then mapped into memory, so that any window is a slice: nothing is
loaded at the start, and all processes share it. The cache is keyed by the checksum of the FASTA file, so that a changed
file never meets an old encoding, and the folder of the FASTA file may be read-only.
"""

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from seqlift.core.files import remove_left_over, replacing, temporary_prefix
from seqlift.errors import SeqliftError

BASES = "ACGT"
N_CODE = 4

_CODE_OF_BYTE = np.full(256, N_CODE, dtype=np.uint8)
for _code, _base in enumerate(BASES):
    _CODE_OF_BYTE[[ord(_base), ord(_base.lower())]] = _code
_LETTER_OF_CODE = np.frombuffer(b"ACGTN", dtype=np.uint8)

_IUPAC = b"ACGTRYSWKMBDHVNXacgtryswkmbdhvnx"  # X: masked base
_OTHER_FORMATS = {
    b"BZh": "a bzip2 file",
    b"PK\x03\x04": "a zip file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x43\x27\x41\x1a": "a 2bit file (twoBitToFa makes FASTA of it)",
    b"\x1a\x41\x27\x43": "a 2bit file (twoBitToFa makes FASTA of it)",
}
_BOM = b"\xef\xbb\xbf"
_CHUNK = 2**22  # bases encoded at once
_LINES = 2**20  # bytes of lines checked at once
_SETTLED = 2.0  # s; a file changed more recently may change again without a new date (clocks of file systems tick)


def codes(sequence: str) -> np.ndarray:
    """Code a sequence, shape (L,) uint8: A, C, G, T -> 0, 1, 2, 3 in either case; anything else -> 4 (N)."""
    return _CODE_OF_BYTE[np.frombuffer(sequence.encode("latin-1"), dtype=np.uint8)]


def encode(sequences: np.ndarray) -> np.ndarray:
    """One-hot encode coded sequences; N is all zeros.

    Parameters
    ----------
    sequences : numpy.ndarray, shape (..., L), uint8 codes 0..4

    Returns
    -------
    numpy.ndarray, shape (..., 4, L), float32
        Bases in the order A C G T.
    """
    return (sequences[..., None, :] == np.arange(len(BASES), dtype=np.uint8)[:, None]).astype(np.float32)


def sha256_of(path: str | os.PathLike) -> str:
    """Checksum of a file's bytes, as `sha256sum` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_checksum(path: str | os.PathLike) -> str:
    """SHA-256 of any file: from the cache if the file has not changed, else computed and kept there.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    try:
        cache = _cache_folder(None)
    except SeqliftError:  # nowhere to keep it
        return sha256_of(path)
    return _checksum(path, file_state(path), cache / "genomes")


class Genome:
    """The chromosomes of a FASTA file, plain, gzipped or bgzipped, in upper or lower case.

    Opening a file for the first time checks and encodes it (a second or two for yeast, minutes for human); later it
    only maps the encoding into memory. A pickled genome maps the same file again.

    Parameters
    ----------
    path : path of the FASTA file
    cache_dir : path of a folder, optional
        Folder of the encoding, a byte per base. By default `$XDG_CACHE_HOME/seqlift`, else `~/.cache/seqlift`, or a
        private folder under the system's temporary folder if those cannot be written.

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
        Checksum of the file as it is on the disk, compressed or not; computed again when its size, dates or inode
        have changed.

    Raises
    ------
    SeqliftError
        If the file is missing, damaged or no FASTA file of DNA (names the line), or the cache cannot be written.
    """

    def __init__(self, path: str | os.PathLike, *, cache_dir: str | os.PathLike | None = None):
        self.path = Path(path)
        cache = _cache_folder(cache_dir) / "genomes"
        try:
            before = file_state(self.path)
            self.sha256 = _checksum(self.path, before, cache)
            folder = cache / self.sha256
            self._file = folder / "genome.codes"
            self.sizes = _read_index(folder)
            if not self.sizes:
                _encode(self.path, folder, before)
                self.sizes = _read_index(folder)
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

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to do: no file stays open, and the mapping goes with the last array that uses it."""

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Bases of an interval (bp, 0-based, end exclusive) in upper case; every letter but A, C, G and T becomes N.

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
        """Codes of a whole chromosome, shape (length of the chromosome,) uint8: a read-only view of `encoded`."""
        size = self._size(chrom)
        start = self.offsets[chrom]
        return self.encoded[start : start + size]

    def _size(self, chrom: str) -> int:
        if chrom not in self.sizes:
            known = ", ".join(list(self.sizes)[:5])
            raise SeqliftError(f"{self.path}: has no chromosome {chrom!r}; it has {known}, ... ({len(self.sizes)})")
        return self.sizes[chrom]


def _cache_folder(cache_dir: str | os.PathLike | None) -> Path:
    """The given folder, or the first of the usual ones that can be written."""
    shared = Path(tempfile.gettempdir()) / f"seqlift-cache-{os.getuid()}"
    if cache_dir is not None:
        choices = [Path(cache_dir)]
    else:
        choices = [Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "seqlift", shared]
    for folder in choices:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # In the shared temporary folder another user may have made it first, and could change its content
            if os.access(folder, os.W_OK | os.X_OK) and (folder != shared or folder.stat().st_uid == os.getuid()):
                return folder
    tried = ", ".join(str(folder) for folder in choices)
    raise SeqliftError(f"cannot write the cache of genome indexes (tried {tried}); set XDG_CACHE_HOME to a folder")


def file_state(path: Path) -> dict[str, int]:
    """Size, dates and inode of a file, which change when its content changes."""
    status = path.stat()
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns", "ino", "dev")}


def _checksum(path: Path, state: dict[str, int], cache: Path) -> str:
    """SHA-256 of a file in this state: from the cache, or computed and kept there."""
    note = cache / "checksums" / (hashlib.sha256(os.fsencode(path.resolve())).hexdigest() + ".json")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(note.read_text())
        if kept["state"] == state:
            return kept["sha256"]
    settled = time.time() - state["ctime_ns"] / 1e9 > _SETTLED
    checksum = sha256_of(path)
    if settled and file_state(path) == state:
        with contextlib.suppress(OSError), replacing(note) as temporary:  # otherwise the next start takes longer
            temporary.write_text(json.dumps({"state": state, "sha256": checksum}))
    return checksum


def _read_index(folder: Path) -> dict[str, int]:
    """Chromosomes and their sizes in an encoding that is whole, else nothing."""
    try:
        entries = [line.split("\t") for line in (folder / "genome.fa.fai").read_text().splitlines()]
        sizes = {entry[0]: int(entry[1]) for entry in entries}
        whole = (folder / "genome.codes").stat().st_size == sum(sizes.values())
    except (OSError, ValueError, IndexError):
        return {}
    return sizes if whole else {}


def _encode(source: Path, folder: Path, state: dict[str, int]) -> None:
    """Write the encoding and its index, each complete or not at all.

    The index comes last, and is valid only if the encoding has the size that it says, so that another process finds all
    or nothing. Two processes that start at once write the same bytes.
    """
    with open(source, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed and source.suffix.lower() in (".gz", ".bgz"):
        raise SeqliftError(f"{source}: its name says gzip but its content is not; rename or fetch it again")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_over(folder / "encoding")
        with tempfile.TemporaryDirectory(dir=folder, prefix=temporary_prefix(folder / "encoding")) as name:
            fasta, scratch = source, Path(name)
            if packed:  # bgzip is gzip in many members
                fasta = scratch / "genome.fa"
                try:
                    with gzip.open(source, "rb") as whole, open(fasta, "wb") as plain:
                        shutil.copyfileobj(whole, plain, 2**20)
                except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                    raise SeqliftError(f"{source}: damaged gzip file ({error}); fetch it again") from None
            if _check_fasta(fasta, shown=source):
                fasta = _cleaned(fasta, scratch / "cleaned.fa")
            _write_codes(fasta, scratch / "genome.fa.fai", scratch / "genome.codes", shown=source)
            if file_state(source) != state:
                raise SeqliftError(f"{source}: changed while it was read; start again when it is complete")
            (scratch / "genome.codes").replace(folder / "genome.codes")
            (scratch / "genome.fa.fai").replace(folder / "genome.fa.fai")
    except OSError as error:
        raise SeqliftError(
            f"{source}: cannot be encoded to {folder}: {error.strerror or error}; that takes a byte per base, twice "
            "that while a compressed file is read: make room, or set XDG_CACHE_HOME to another folder"
        ) from None


def _write_codes(fasta: Path, index: Path, target: Path, *, shown: Path) -> None:
    """Index a plain FASTA file and write its bases as codes, some megabytes at a time."""
    import pyfaidx  # needed for the first reading of a genome only

    try:
        faidx = pyfaidx.Faidx(str(fasta), indexname=str(index), as_raw=True)
    except (pyfaidx.FastaIndexingError, RuntimeError) as error:
        raise SeqliftError(f"{shown}: cannot be indexed: {error}; rewrap it to lines of one length") from None
    with contextlib.closing(faidx), open(target, "wb") as file:
        for chrom, record in faidx.index.items():
            for start in range(0, record.rlen, _CHUNK):
                file.write(codes(faidx.fetch(chrom, start + 1, min(start + _CHUNK, record.rlen))).data)


def _cleaned(fasta: Path, target: Path) -> Path:
    """A copy without blank lines and byte order mark."""
    with open(fasta, "rb") as file, open(target, "wb") as clean:
        clean.write(file.readline().removeprefix(_BOM).lstrip(b"\r\n"))
        clean.writelines(line for line in file if line.strip())
    return target


def _check_fasta(fasta: Path, *, shown: Path) -> bool:
    """Raise SeqliftError unless the file is FASTA of DNA that can be indexed; names the line.

    Returns whether it has blank lines or a byte order mark, which pyfaidx does not read.

    pyfaidx accepts letters of proteins, and a last line longer than the others, which it then reads wrongly.
    """
    headers: dict[bytes, int] = {}
    name = None
    bases = width = 0
    ended = False  # after a shorter line nothing but a header may follow
    number = 0
    unclean = False

    def check_record() -> None:
        if name is not None and not bases:
            where = f"{shown}:{headers[name]}"
            raise SeqliftError(f"{where}: chromosome {_text(name)} has no bases; was the file cut short?")

    with open(fasta, "rb") as file:
        start = file.read(5)
        for magic, what in _OTHER_FORMATS.items():
            if start.startswith(magic):
                raise SeqliftError(f"{shown}: is {what}, not FASTA; unpack or convert it")
        file.seek(0)
        for lines in iter(lambda: file.readlines(_LINES), []):
            if width and not ended and _all_bases(lines, width):  # nearly always, and ten times as fast
                number += len(lines)
                bases += width * len(lines)
                continue
            for line in lines:
                number += 1
                stripped = line.rstrip(b"\r\n")
                if number == 1 and stripped.startswith(_BOM):
                    stripped, unclean = stripped.removeprefix(_BOM), True
                if not stripped.strip():
                    unclean = True
                elif stripped.startswith(b">"):
                    check_record()
                    try:
                        stripped.decode()
                    except UnicodeDecodeError:
                        raise SeqliftError(
                            f"{shown}:{number}: header {_text(stripped[:40])} is not UTF-8 text; rename the chromosome"
                        ) from None
                    words = stripped[1:].split(maxsplit=1)
                    if not words or stripped[1:2].isspace():
                        raise SeqliftError(f"{shown}:{number}: header line without a name; write '>name'")
                    name = words[0]
                    if name in headers:
                        raise SeqliftError(
                            f"{shown}:{number}: chromosome {_text(name)} is there a second time (first in line "
                            f"{headers[name]}); names must be unique"
                        )
                    headers[name] = number
                    bases = width = 0
                    ended = False
                elif name is None:
                    if not stripped.startswith(b";"):
                        raise SeqliftError(
                            f"{shown}:{number}: not a FASTA file: must start with a header line '>name', "
                            f"found {_text(stripped[:40])}"
                        )
                else:
                    wrong = stripped.translate(None, _IUPAC)
                    if wrong:
                        raise SeqliftError(f"{shown}:{number}: {_wrong_letter(wrong)}")
                    width = width or len(stripped)
                    if ended or len(stripped) > width:
                        raise SeqliftError(
                            f"{shown}:{number}: lines of {_text(name)} differ in length (first {width}); all but the "
                            "last must be equal: rewrap the file, for example with `seqkit seq -w 60`"
                        )
                    ended = len(stripped) < width
                    bases += len(stripped)
    if name is None:
        raise SeqliftError(f"{shown}: empty; a FASTA file with at least one chromosome is needed")
    check_record()
    return unclean


def _all_bases(lines: list[bytes], width: int) -> bool:
    """Whether all lines are of `width` letters of DNA; those of other files, or with a header between, may not be."""
    text = b"".join(lines)
    full = len(lines[0].rstrip(b"\r\n")) == width and len(set(map(len, lines))) == 1 and text.endswith(b"\n")
    return full and text.count(b"\r") in (0, len(lines)) and not text.translate(None, _IUPAC + b"\r\n")


def _wrong_letter(wrong: bytes) -> str:
    letter = _text(wrong[:1])
    if wrong[:1] in b"Uu":
        return f"letter {letter} in a sequence: this is RNA; write T for U"
    if wrong[:1] in b"EFILPQJOZefilpqjoz*":
        return f"letter {letter} in a sequence: this is protein; a genome of DNA is needed"
    return f"{letter} in a sequence; only A, C, G, T, N and the other IUPAC letters of DNA are allowed"


def _text(content: bytes) -> str:
    return repr(content.decode("latin-1"))
