"""Scores as HDF5 files of chrombpnet and BPReveal.

chrombpnet (`<prefix>.counts_scores.h5`): `raw/seq`, `shap/seq`, `projected_shap/seq`, each (N, 4, L); the coordinates
are in a narrowPeak file (`<prefix>.interpreted_regions.bed`). Our own score file is laid out alike.

BPReveal (interpretFlat): `input_seqs` and `hyp_scores`, each (N, L, 4), with `coords_chrom` (a number in `chrom_names`;
before version 4 and in BPNet the name itself), `coords_start`, `coords_end`, `chrom_names`, `chrom_sizes` (bp). Scores
of a FASTA file have `descriptions` in the place of coordinates; beside coordinates they hold the names of the windows.

Both programs store half precision; written here it is float32, which they read as well, so that nothing is lost.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from seqlift.convert.rows import BLOCK, Blocks, Rows
from seqlift.convert.windows import unique_names
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.scores.file import create_hdf5, open_hdf5, place_names

_PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}  # no plugin is needed to read it
_TOLERANCE = 2e-3  # of half precision: projected scores are the product of numbers that were rounded too


@contextlib.contextmanager
def opened(path: Path, names: tuple[str, ...], kind: str) -> Iterator[h5py.File]:
    """An HDF5 file that has these datasets.

    Raises
    ------
    SeqliftError
    """
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  # chrombpnet packs with Blosc, which h5py cannot read by itself
    remedy = f"give the file that {kind} wrote"
    with open_hdf5(path, missing="no such file; check the name", remedy=remedy) as file:
        missing = [name for name in names if not isinstance(file.get(name), h5py.Dataset)]
        if missing:
            found = ", ".join(list(file)[:6]) or "nothing"
            raise SeqliftError(
                f"{path}: has no {missing[0]}, so it is not a file of {kind}; it holds {found}; check --from"
            )
        yield file


def shape_of(path: Path, kind: str) -> tuple[int, int]:
    """Rows and length (bp) of a file of scores.

    Raises
    ------
    SeqliftError
    """
    codes, values = ("raw/seq", "shap/seq") if kind == "chrombpnet" else ("input_seqs", "hyp_scores")
    axis = 1 if kind == "chrombpnet" else 2
    with opened(path, (codes, values), kind) as file:
        shape, other = file[codes].shape, file[values].shape
        if len(shape) != 3 or shape[axis] != 4 or shape != other:
            wanted = "(N, 4, L)" if axis == 1 else "(N, L, 4)"
            raise SeqliftError(f"{path}: {codes} {shape} and {values} {other} must be of one shape {wanted}")
        return shape[0], shape[3 - axis]


def read_chrombpnet(path: Path) -> Blocks:
    """Blocks of a file of chrombpnet; where it has projected scores, they must be those of the bases that are there."""
    with opened(path, ("raw/seq", "shap/seq"), "chrombpnet") as file:
        projected = file.get("projected_shap/seq")
        for first in range(0, len(file["raw/seq"]), BLOCK):
            rows = slice(first, first + BLOCK)
            sequences, hypothetical = _read(file["raw/seq"], rows), _read(file["shap/seq"], rows).astype(np.float32)
            if projected is not None:
                _check_projected(path, first, sequences * hypothetical, _read(projected, rows))
            yield sequences, hypothetical


def _check_projected(path: Path, first: int, product: np.ndarray, projected: np.ndarray) -> None:
    far = np.abs(product - projected) > _TOLERANCE * np.abs(product) + 1e-6
    if far.any():
        row = first + int(np.argmax(far.any(axis=(1, 2))))
        raise SeqliftError(
            f"{path}: projected_shap/seq of row {row} is not raw/seq times shap/seq; the file holds scores of two kinds"
        )


def read_bpreveal(path: Path) -> Blocks:
    """Blocks of a file of BPReveal, with axes (n, 4, L)."""
    with opened(path, ("input_seqs", "hyp_scores"), "bpreveal") as file:
        for first in range(0, len(file["input_seqs"]), BLOCK):
            rows = slice(first, first + BLOCK)
            sequences, hypothetical = _read(file["input_seqs"], rows), _read(file["hyp_scores"], rows)
            yield sequences.transpose(0, 2, 1), hypothetical.transpose(0, 2, 1).astype(np.float32)


def _read(dataset: h5py.Dataset, rows: slice) -> np.ndarray:
    try:
        return dataset[rows]
    except OSError as error:
        raise SeqliftError(
            f"{dataset.file.filename}: {dataset.name} cannot be read ({error}); it is damaged, or packed with a codec "
            "that needs the package hdf5plugin"
        ) from None


def bpreveal_windows(path: Path, length: int) -> pd.DataFrame | None:
    """The coordinates inside a file of BPReveal; None where it has none (scores of a FASTA file).

    Raises
    ------
    SeqliftError
        If they are not windows of this length.
    """
    names = ("coords_chrom", "coords_start", "coords_end")
    with opened(path, ("hyp_scores",), "bpreveal") as file:
        if names[0] not in file:
            return None
        chrom, start, end = (file[name][:] for name in names)
        if chrom.dtype.kind in "iu":
            known = file["chrom_names"].asstr()[:] if "chrom_names" in file else np.empty(0, object)
            if len(chrom) and chrom.max() >= len(known):
                raise SeqliftError(
                    f"{path}: coords_chrom names chromosome {chrom.max()} of the {len(known)} in chrom_names; the "
                    "file is damaged, make it again"
                )
            chrom = known[chrom]
        else:
            chrom = file["coords_chrom"].asstr()[:]
        table = pd.DataFrame({"chrom": chrom, "start": start.astype(np.int64), "end": end.astype(np.int64)})
        wrong = np.flatnonzero((table["end"] - table["start"] != length).to_numpy())
        if len(wrong):
            one = table.iloc[wrong[0]]
            raise SeqliftError(
                f"{path}: row {wrong[0]} is said to lie at {one['chrom']}:{one['start']}-{one['end']}, but its "
                f"sequence has {length} bp; the coordinates are not those of the sequences"
            )
        described = "descriptions" in file
        names = pd.Series(file["descriptions"].asstr()[:], dtype=object) if described else place_names(table)
        return table.assign(name=unique_names(names), strand=".")


def write_chrombpnet(rows: Rows, path: Path) -> None:
    """Write rows as chrombpnet lays them out."""
    shape = (len(rows.coords), 4, rows.length)
    with create_hdf5(path) as (file, check):
        chunks = _chunks(shape)
        sequences = file.create_dataset("raw/seq", shape, np.int8, chunks=chunks, **_PACKED)
        hypothetical = file.create_dataset("shap/seq", shape, np.float32, chunks=chunks, **_PACKED)
        projected = file.create_dataset("projected_shap/seq", shape, np.float32, chunks=chunks, **_PACKED)
        for first, codes, values in _numbered(rows):
            block = slice(first, first + len(codes))
            sequences[block], hypothetical[block], projected[block] = codes, values, codes * values
            check()


def write_bpreveal(rows: Rows, path: Path, genome: Genome) -> None:
    """Write rows as BPReveal's interpretFlat does.

    Raises
    ------
    SeqliftError
        If a window lies on no chromosome of the genome.
    """
    shape = (len(rows.coords), rows.length, 4)
    numbers = {chrom: number for number, chrom in enumerate(genome.sizes)}
    unknown = rows.coords["chrom"][~rows.coords["chrom"].isin(numbers.keys())]
    if len(unknown):
        raise SeqliftError(f"{genome.path}: has no chromosome {unknown.iloc[0]!r}; give the genome of the scores")
    with create_hdf5(path) as (file, check):
        chunks = _chunks(shape)
        sequences = file.create_dataset("input_seqs", shape, np.uint8, chunks=chunks, **_PACKED)
        hypothetical = file.create_dataset("hyp_scores", shape, np.float32, chunks=chunks, **_PACKED)
        for first, codes, values in _numbered(rows):
            block = slice(first, first + len(codes))
            sequences[block], hypothetical[block] = codes.transpose(0, 2, 1), values.transpose(0, 2, 1)
            check()
        text = h5py.string_dtype()
        file.create_dataset("chrom_names", data=np.array(list(numbers), object), dtype=text)
        file.create_dataset("chrom_sizes", data=np.array(list(genome.sizes.values()), np.uint64))
        file.create_dataset("coords_chrom", data=rows.coords["chrom"].map(numbers).to_numpy(np.uint32))
        for column in ("start", "end"):
            file.create_dataset(f"coords_{column}", data=rows.coords[column].to_numpy(np.uint32))
        file.create_dataset("descriptions", data=rows.coords["name"].astype(str).to_numpy(object), dtype=text)


def _numbered(rows: Rows) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    first = 0
    for codes, values in rows.blocks():
        yield first, codes, values
        first += len(codes)


def _chunks(shape: tuple) -> tuple | None:
    """About a megabyte of scores in a chunk; none where there are no rows."""
    n, one, other = shape
    return (max(1, min(n, 2**18 // (one * other))), one, other) if n else None
