"""Known motifs to compare with: JASPAR as shipped by pyjaspar, or a MEME file of the user's.

`jaspar:<group>` stands for the CORE collection of the newest JASPAR release that pyjaspar holds, all motifs of one
taxonomic group in their newest versions. Any other text is the path of a MEME motif file (minimal or full format,
version 4 and later, DNA).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqlift.errors import SeqliftError

GROUPS = (
    "vertebrates",
    "fungi",
    "plants",
    "insects",
    "nematodes",
    "urochordates",
    "cnidaria",
    "diatoms",
    "dictyostelium",
    "oomycota",
    "trematodes",
)
_WIDTH = re.compile(r"\bw=\s*(\d+)")
_LETTERS = re.compile(r"\balength=\s*(\d+)")


@dataclass(frozen=True)
class Database:
    """Known motifs.

    Attributes
    ----------
    name : str
        As given: `jaspar:vertebrates`, or the name of the file.
    release : str
        JASPAR's release, or "".
    ids, names : tuple of str
        `MA0035.5` and `GATA1`; a motif without a second name has its id twice.
    matrices : tuple of numpy.ndarray, each of shape (4, w)
        Base frequencies A C G T; columns sum to 1.
    """

    name: str
    release: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    matrices: tuple[np.ndarray, ...]


def load_database(name: str | os.PathLike) -> Database:
    """Load `jaspar:<group>` or a MEME file.

    Raises
    ------
    SeqliftError
        If the group does not exist, or the file is missing or not a MEME motif file (with the line).
    """
    name = os.fspath(name)
    if name.startswith("jaspar:"):
        return _load_jaspar(name.removeprefix("jaspar:"))
    motifs = read_meme(name)
    ids = tuple(motifs)
    return Database(
        name=Path(name).name,
        release="",
        ids=ids,
        names=tuple(alternative or identifier for identifier, (alternative, _) in motifs.items()),
        matrices=tuple(matrix for _, matrix in motifs.values()),
    )


def _load_jaspar(group: str) -> Database:
    if group not in GROUPS:
        raise SeqliftError(
            f"motif database 'jaspar:{group}' does not exist; the groups are {', '.join(GROUPS)} "
            "(or give the path of a MEME file)"
        )
    import pyjaspar

    jaspar = pyjaspar.jaspardb()
    motifs = sorted(jaspar.fetch_motifs(collection="CORE", tax_group=[group]), key=lambda motif: motif.matrix_id)
    counts = [np.array([motif.counts[base] for base in "ACGT"], float) for motif in motifs]
    return Database(
        name=f"jaspar:{group}",
        release=str(jaspar.release),
        ids=tuple(motif.matrix_id for motif in motifs),
        names=tuple(motif.name for motif in motifs),
        matrices=tuple(matrix / matrix.sum(axis=0) for matrix in counts),
    )


def read_meme(path: str | os.PathLike) -> dict[str, tuple[str, np.ndarray]]:
    """Read the motifs of a MEME file.

    Returns
    -------
    dict of id to (second name or "", matrix), in file order
        matrix : numpy.ndarray, shape (4, w), base frequencies A C G T; columns sum to 1.

    Raises
    ------
    SeqliftError
        With file and line, if the file is missing, holds no motifs, or a matrix is not one of DNA frequencies.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SeqliftError(
            f"{path}: no such file; the motif database is a MEME file, or jaspar: with one of {', '.join(GROUPS)}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SeqliftError(f"{path}: cannot be read as a MEME motif file ({error})") from None
    if not any(line.startswith("MEME version") for line in lines[:20]):
        raise SeqliftError(f"{path}:1: not a MEME motif file: no line 'MEME version ...' at its beginning")

    motifs: dict[str, tuple[str, np.ndarray]] = {}
    waiting: tuple[int, list[str]] | None = None  # a MOTIF line that has no matrix yet
    i = 0
    while i < len(lines):
        line = lines[i].strip()
        if line.startswith("ALPHABET"):
            letters = line.removeprefix("ALPHABET").strip("= ").upper()
            if not letters.startswith(("ACGT", "DNA", '"DNA"')):
                raise SeqliftError(f"{path}:{i + 1}: alphabet {letters!r}; motifs of DNA (ACGT) are needed")
        elif line.startswith("MOTIF"):
            words = line.split()[1:]
            if not words:
                raise SeqliftError(f"{path}:{i + 1}: a MOTIF line needs an identifier")
            if words[0] in motifs:
                raise SeqliftError(f"{path}:{i + 1}: motif {words[0]!r} is there twice; give each its own identifier")
            waiting = i + 1, words
        elif line.startswith("letter-probability matrix"):
            if waiting is None:
                raise SeqliftError(f"{path}:{i + 1}: a matrix without a MOTIF line before it")
            rows = _matrix(path, lines, i)
            motifs[waiting[1][0]] = (" ".join(waiting[1][1:]), rows.T)
            waiting = None
            i += len(rows)
        i += 1
    if waiting is not None:
        raise SeqliftError(f"{path}:{waiting[0]}: motif {waiting[1][0]!r} has no 'letter-probability matrix'")
    if not motifs:
        raise SeqliftError(f"{path}: holds no MOTIF, so there is nothing to compare with")
    return motifs


def _matrix(path: Path, lines: list[str], header: int) -> np.ndarray:
    """The rows (w, 4) below a `letter-probability matrix` line."""
    letters = _LETTERS.search(lines[header])
    if letters and int(letters[1]) != 4:
        raise SeqliftError(f"{path}:{header + 1}: alength= {letters[1]}; motifs of DNA have 4 letters")
    width = _WIDTH.search(lines[header])
    rows: list[list[float]] = []
    for i in range(header + 1, len(lines)):
        words = lines[i].split()
        if width and len(rows) == int(width[1]):
            break
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if not width and (len(row) != 4 or not words):
            break
        if len(row) != 4:
            raise SeqliftError(
                f"{path}:{i + 1}: {lines[i].strip()!r} is not a row of four frequencies"
                + (f"; line {header + 1} announces {width[1]} rows" if width else "")
            )
        if min(row) < 0 or not abs(sum(row) - 1) <= 0.02:
            raise SeqliftError(
                f"{path}:{i + 1}: frequencies {lines[i].strip()!r} sum to {sum(row):.3g}; "
                "each is at least 0 and a row sums to 1"
            )
        rows.append(row)
    if not rows or (width and len(rows) < int(width[1])):
        raise SeqliftError(f"{path}:{header + 1}: the matrix has {len(rows)} rows, fewer than announced")
    matrix = np.array(rows)
    return matrix / matrix.sum(axis=1, keepdims=True)
