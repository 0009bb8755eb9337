"""Known motifs to compare with: JASPAR as shipped by pyjaspar, or any MEME file.

`jaspar:<group>` means the CORE collection of the newest JASPAR release in pyjaspar: the motifs of one
taxonomic group in all their versions. Recent versions were cut to the core, older ones keep the flanks, and some are
better (GATA1's MA0035.5 has 9.8 bits, MA0035.3 12.5): a pattern is compared with whatever is known of a factor. All
versions go by the name of the newest. Any other text is the path of a MEME motif file (version 4 and later, DNA).
"""

import contextlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqlift.errors import SeqliftError

_WIDTH = re.compile(r"\bw=\s*(\d+)")
_JASPAR_GROUPS = "SELECT DISTINCT VAL FROM MATRIX_ANNOTATION WHERE TAG = 'tax_group' ORDER BY VAL"
_JASPAR_MATRICES = """
    SELECT motif.BASE_ID, motif.VERSION, motif.NAME, cell.val
    FROM MATRIX AS motif
    JOIN MATRIX_DATA AS cell ON cell.ID = motif.ID
    WHERE motif.COLLECTION = 'CORE'
        AND motif.ID IN (SELECT ID FROM MATRIX_ANNOTATION WHERE TAG = 'tax_group' AND VAL = ?)
    ORDER BY motif.BASE_ID, motif.VERSION, cell.row, cell.col
"""
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


def load_database(name: str | os.PathLike | Database) -> Database:
    """Load `jaspar:<group>` or a MEME file; one that is loaded already is given back.

    Raises
    ------
    SeqliftError
        If the group does not exist, or the file is missing or not a MEME motif file (with the line).
    """
    if isinstance(name, Database):
        return name
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
    import pyjaspar

    # pyjaspar's own fetch_motifs makes four queries a motif and takes five seconds; this takes 0.1 s.
    jaspar = pyjaspar.jaspardb()
    with contextlib.closing(jaspar.conn) as connection:
        groups = [name for (name,) in connection.execute(_JASPAR_GROUPS)]
        if group not in groups:
            raise SeqliftError(
                f"motif database 'jaspar:{group}' does not exist; the groups are {', '.join(groups)} "
                "(or give the path of a MEME file)"
            )
        rows = connection.execute(_JASPAR_MATRICES, (group,)).fetchall()
    ids, names, matrices = [], {}, []
    for (base, version, name), cells in itertools.groupby(rows, key=lambda row: row[:3]):
        counts = np.array([cell[3] for cell in cells], float).reshape(4, -1)  # rows A C G T
        ids.append(f"{base}.{version}")
        names[base] = name  # the last of a base is its newest version
        matrices.append(counts / counts.sum(axis=0))
    return Database(
        name=f"jaspar:{group}",
        release=str(jaspar.release),
        ids=tuple(ids),
        names=tuple(names[identifier.split(".")[0]] for identifier in ids),
        matrices=tuple(matrices),
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
            f"{path}: no such file; give the path of a MEME file, or jaspar:vertebrates, jaspar:fungi, ..."
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
                raise SeqliftError(f"{path}:{i + 1}: motif {words[0]!r} occurs twice; give each its own identifier")
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
