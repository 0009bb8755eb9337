"""The genome as the model sees it: chromosomes of A, C, G and T, and N for every base that is not known.

A FASTA file is opened through pyfaidx, which reads any stretch of a plain file by its index. Compressed files, plain
gzip (as UCSC ships them) and bgzip alike, are unpacked once into a cache: pyfaidx cannot index plain gzip, and reads
bgzip only with Biopython. The index is kept in the cache too, so a folder of data may be read-only, and both are filed
under the checksum of the FASTA file, so that a changed file never meets an old index.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyfaidx

from seqlift.errors import SeqliftError
from seqlift.files import replacing

BASES = "ACGT"
N_CODE = 4

_CODE_OF_BYTE = np.full(256, N_CODE, dtype=np.uint8)
for _code, _base in enumerate(BASES):
    _CODE_OF_BYTE[[ord(_base), ord(_base.lower())]] = _code
_LETTER_OF_BYTE = bytes(np.frombuffer(b"ACGTN", dtype=np.uint8)[_CODE_OF_BYTE])

_IUPAC = b"ACGTRYSWKMBDHVNXacgtryswkmbdhvnx"  # X: masked base
_OTHER_FORMATS = {
    b"BZh": "a bzip2 file",
    b"PK\x03\x04": "a zip file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x43\x27\x41\x1a": "a 2bit file (twoBitToFa makes FASTA of it)",
    b"\x1a\x41\x27\x43": "a 2bit file (twoBitToFa makes FASTA of it)",
}
_CODES_KEPT = 512 * 2**20  # bytes of coded chromosomes kept in memory: small genomes whole, two large chromosomes


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

    Opening a file for the first time checks it from end to end and indexes it (seconds for yeast, a minute or two for
    human); later it only takes its checksum. Close it, or use it in a `with` statement.

    Parameters
    ----------
    path : path of the FASTA file
    cache_dir : path of a folder, optional
        Where the index and the unpacked copy of a compressed file go. By default `$XDG_CACHE_HOME/seqlift`, else
        `~/.cache/seqlift`, or a folder of the user's own under the system's temporary folder where those cannot be
        written.

    Attributes
    ----------
    path : pathlib.Path
    sizes : dict of str to int
        Chromosome -> length (bp), in the order of the file. A chromosome is the first word of its header line.
    sha256 : str
        Checksum of the file as it lies on the disk, compressed or not.

    Raises
    ------
    SeqliftError
        If the file is missing, damaged or no FASTA file of DNA; names the line.
    """

    def __init__(self, path: str | os.PathLike, *, cache_dir: str | os.PathLike | None = None):
        self.path = Path(path)
        try:
            self.sha256 = sha256_of(self.path)
            with open(self.path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
        except FileNotFoundError:
            raise SeqliftError(f"{self.path}: no such FASTA file; check the name") from None
        except OSError as error:
            raise SeqliftError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        folder = _cache_folder(cache_dir) / "genomes" / self.sha256
        if packed:
            fasta = folder / "genome.fa"
            if not fasta.exists():
                _unpack(self.path, fasta)
        else:
            fasta = self.path
            if fasta.suffix.lower() in (".gz", ".bgz"):
                raise SeqliftError(f"{fasta}: its name says gzip but its content is not; rename or fetch it again")
        index = folder / "genome.fa.fai"
        if not index.exists():
            _build_index(fasta, index, shown=self.path)
        # build_index=False: a newer date on a file of the same checksum does not make its index stale.
        self._faidx = pyfaidx.Faidx(str(fasta), indexname=str(index), as_raw=True, build_index=False)
        self.sizes = {name: record.rlen for name, record in self._faidx.index.items()}
        self._codes: OrderedDict[str, np.ndarray] = OrderedDict()

    def __enter__(self) -> "Genome":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and forget the coded chromosomes."""
        self._faidx.close()
        self._codes.clear()

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
        text = self._faidx.fetch(chrom, int(start) + 1, int(end))
        return text.encode("latin-1").translate(_LETTER_OF_BYTE).decode("ascii")

    def codes(self, chrom: str) -> np.ndarray:
        """Give a whole chromosome coded.

        The chromosomes last used are kept in memory, up to half a gigabyte.

        Returns
        -------
        numpy.ndarray, shape (length of the chromosome,), uint8, read-only
            0..3 for A, C, G, T; 4 for anything else.
        """
        if chrom not in self._codes:
            size = self._size(chrom)
            coded = codes(self._faidx.fetch(chrom, 1, size))
            coded.flags.writeable = False  # it is shared
            self._codes[chrom] = coded
            while len(self._codes) > 1 and sum(map(len, self._codes.values())) > _CODES_KEPT:
                self._codes.popitem(last=False)
        self._codes.move_to_end(chrom)
        return self._codes[chrom]

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


def _unpack(source: Path, target: Path) -> None:
    """Unpack a gzip or bgzip file (bgzip is gzip in many members) to `target`, whole or not at all."""
    try:
        with replacing(target) as temporary:
            with gzip.open(source, "rb") as packed, open(temporary, "wb") as plain:
                shutil.copyfileobj(packed, plain, 2**20)
            _check_fasta(temporary, shown=source)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeqliftError(f"{source}: damaged gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise SeqliftError(f"{source}: cannot be unpacked to {target}: {error.strerror or error}") from None


def _build_index(fasta: Path, index: Path, *, shown: Path) -> None:
    """Check a plain FASTA file and write its index, whole or not at all. `shown`: the name used in messages."""
    if fasta == shown:  # an unpacked copy has been checked
        _check_fasta(fasta, shown=shown)
    with replacing(index) as temporary:
        temporary.unlink()  # pyfaidx builds an index only where there is none
        try:
            pyfaidx.Faidx(str(fasta), indexname=str(temporary)).close()
        except (pyfaidx.FastaIndexingError, RuntimeError) as error:
            raise SeqliftError(f"{shown}: cannot be indexed: {error}; rewrap it to lines of one length") from None
        except OSError as error:
            raise SeqliftError(f"{shown}: its index cannot be written to {index.parent}: {error}") from None


def _check_fasta(fasta: Path, *, shown: Path) -> None:
    """Raise SeqliftError unless the file is FASTA of DNA that can be indexed; names the line.

    pyfaidx accepts letters of proteins, and a last line longer than the others, which it then reads wrongly.
    """
    headers: dict[bytes, int] = {}
    name = None
    bases = width = 0
    ended = False  # after a shorter line nothing but a header may follow
    number = 0

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
        for number, line in enumerate(file, start=1):
            stripped = line.rstrip(b"\r\n")
            if stripped.startswith(b">"):
                check_record()
                words = stripped[1:].split(maxsplit=1)
                if not words or stripped[1:2].isspace():
                    raise SeqliftError(f"{shown}:{number}: header line without a name; write '>name'")
                name = words[0]
                if name in headers:
                    raise SeqliftError(
                        f"{shown}:{number}: chromosome {_text(name)} stands there a second time (first in line "
                        f"{headers[name]}); names must be unique"
                    )
                headers[name] = number
                bases = width = 0
                ended = False
            elif name is None:
                if stripped and not stripped.startswith(b";"):
                    raise SeqliftError(
                        f"{shown}:{number}: not a FASTA file: must start with a header line '>name', "
                        f"found {_text(stripped[:40])}"
                    )
            elif not stripped:
                ended = True
            else:
                wrong = stripped.translate(None, _IUPAC)
                if wrong:
                    raise SeqliftError(f"{shown}:{number}: {_wrong_letter(wrong)}")
                width = width or len(stripped)
                if ended or len(stripped) > width:
                    raise SeqliftError(
                        f"{shown}:{number}: lines of {_text(name)} differ in length (first {width}); all but the last "
                        "must be equal: rewrap the file, for example with `seqkit seq -w 60`"
                    )
                ended = len(stripped) < width
                bases += len(stripped)
    if name is None:
        raise SeqliftError(f"{shown}: empty; a FASTA file with at least one chromosome is needed")
    check_record()


def _wrong_letter(wrong: bytes) -> str:
    letter = _text(wrong[:1])
    if wrong[:1] in b"Uu":
        return f"letter {letter} in a sequence: this is RNA; write T for U"
    if wrong[:1] in b"EFILPQJOZefilpqjoz*":
        return f"letter {letter} in a sequence: this is protein; a genome of DNA is needed"
    return f"{letter} in a sequence; only A, C, G, T, N and the other IUPAC letters of DNA may stand there"


def _text(content: bytes) -> str:
    return repr(content.decode("latin-1"))
