"""Scores as two NumPy archives, for TF-MoDISco (`modisco motifs -s ohe.npz -a shap.npz`) and bpnet-lite.

Each archive holds one array (N, 4, L), named `arr_0`: the one-hot sequences, and the hypothetical contributions. An
array of N rows lies there row after row, so it is read and written as a stream, a block at a time, however large.
"""

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from seqlift.convert.rows import BLOCK, Blocks, Rows
from seqlift.core.files import replacing
from seqlift.errors import SeqliftError

MEMBER = "arr_0"


def shape_of(path: Path) -> tuple[int, int, int]:
    """(N, 4, L) of an archive of scores or sequences.

    Raises
    ------
    SeqliftError
        If it is no such archive.
    """
    with _opened(path) as (shape, _, _):
        return shape


def read_pair(sequences: Path, scores: Path) -> Blocks:
    """Blocks of the two archives, side by side."""
    with _opened(sequences) as (shape, code_type, codes), _opened(scores) as (_, score_type, values):
        n, _, length = shape
        for first in range(0, n, BLOCK):
            rows = min(BLOCK, n - first)
            yield (
                _take(codes, code_type, (rows, 4, length), sequences),
                _take(values, score_type, (rows, 4, length), scores).astype(np.float32),
            )


def check_pair(sequences: Path, scores: Path) -> tuple[int, int, int]:
    """The shape of both archives, which must be one.

    Raises
    ------
    SeqliftError
    """
    shape, other = shape_of(sequences), shape_of(scores)
    if shape != other:
        raise SeqliftError(
            f"{scores}: shape {other}, but the sequences in {sequences} have {shape}; they are not of the same run"
        )
    return shape


def write_pair(rows: Rows, sequences: Path, scores: Path) -> None:
    """Write the rows as two archives; each appears when it is whole."""
    shape = (len(rows.coords), 4, rows.length)
    with (
        replacing(sequences) as one,
        replacing(scores) as other,
        _archive(one, shape, np.int8) as codes,
        _archive(other, shape, np.float32) as values,
    ):
        for block, hypothetical in rows.blocks():
            codes.write(np.ascontiguousarray(block, np.int8).data)
            values.write(np.ascontiguousarray(hypothetical, np.float32).data)


@contextlib.contextmanager
def _archive(path: Path, shape: tuple, dtype: type) -> Iterator[IO[bytes]]:
    """An archive with one array, open for its rows. No date goes in: the same scores give the same file."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(zipfile.ZipInfo(f"{MEMBER}.npy"), "w", force_zip64=True) as stream,
    ):
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        yield stream


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[tuple[int, int, int], np.dtype, IO[bytes]]]:
    """Shape, type and the stream of the rows of a .npz (its one array) or .npy file."""
    if not path.is_file():
        raise SeqliftError(f"{path}: no such file; check the name")
    with contextlib.ExitStack() as stack:
        try:
            stream = _stream(path, stack)
            first = np.lib.format.read_magic(stream) == (1, 0)
            read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read_header(stream)
        except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise SeqliftError(f"{path}: not a NumPy array or archive ({error}); save it with numpy.savez") from None
        if len(shape) != 3 or shape[1] != 4:
            hint = "it is (N, L, 4): transpose it with .transpose(0, 2, 1)" if shape[2:] == (4,) else "check the file"
            raise SeqliftError(f"{path}: its array has shape {shape}, must be (N, 4, L), bases A C G T; {hint}")
        if dtype.kind not in "biuf":
            raise SeqliftError(f"{path}: its array holds {dtype}, must hold numbers; save the scores themselves")
        if fortran:
            raise SeqliftError(f"{path}: its array is in Fortran order; save numpy.ascontiguousarray(array)")
        n, bases, length = map(int, shape)
        yield (n, bases, length), dtype, stream


def _stream(path: Path, stack: contextlib.ExitStack) -> IO[bytes]:
    if not zipfile.is_zipfile(path):
        return stack.enter_context(open(path, "rb"))
    archive = stack.enter_context(zipfile.ZipFile(path))
    arrays = [name for name in archive.namelist() if name.endswith(".npy")]
    name = f"{MEMBER}.npy"
    if name not in arrays:
        if len(arrays) != 1:
            found = ", ".join(name.removesuffix(".npy") for name in arrays) or "none"
            raise SeqliftError(f"{path}: holds no array named {MEMBER}, but: {found}; save the one array that is meant")
        name = arrays[0]
    return stack.enter_context(archive.open(name))


def _take(stream: IO[bytes], dtype: np.dtype, shape: tuple, path: Path) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    try:
        data = stream.read(size)
    except (zlib.error, zipfile.BadZipFile, EOFError) as error:
        raise SeqliftError(f"{path}: damaged archive ({error}); make it again") from None
    if len(data) != size:
        raise SeqliftError(f"{path}: ends before its last row; it was cut short, make it again")
    return np.frombuffer(data, dtype).reshape(shape)


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """bpnet-lite's `idx_filename`: which loci were kept, shape (loci,), bool.

    Raises
    ------
    SeqliftError
    """
    try:
        mask = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; check the name") from None
    except (ValueError, EOFError, OSError) as error:
        raise SeqliftError(f"{path}: not a NumPy array ({error}); give the file of bpnet-lite's idx_filename") from None
    if not isinstance(mask, np.ndarray) or mask.ndim != 1 or mask.dtype != bool:
        raise SeqliftError(f"{path}: must be one row of true and false, one for each locus")
    return mask
