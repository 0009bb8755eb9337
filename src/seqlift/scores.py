"""The score file: what every base contributes, where it lies, and how far it can be trusted.

One HDF5 file holds the scores of one target by one method, one row a region. TF-MoDISco and Fi-NeMo read its `raw`,
`shap` and `projected_shap` groups as they are. Rows carry their coordinates, so they cannot drift from them.

====================================  ==================  ==========================================================
dataset                               shape, type         what
====================================  ==================  ==========================================================
raw/seq                               (N, 4, L) int8      one-hot sequence, bases A C G T; N is all zeros
shap/seq                              (N, 4, L) float32   hypothetical contributions, in units of the model's output
projected_shap/seq                    (N, 4, L) float32   contributions: the hypothetical one of the base that is there
coords/chrom, name, strand            (N,) UTF-8          chromosome, region name, strand
coords/start, end                     (N,) int64          bp, 0-based, end exclusive
diagnostics/delta                     (N, R) float32      completeness delta of each sequence and reference
diagnostics/prediction                (N,) float32        f(sequence)
diagnostics/reference_prediction      (N, R) float32      f(reference)
diagnostics/standard_error            (N, L) float32      of the contribution, over references (NaN for one reference)
path/alphas, path/weights             (K,) float64        interior gradients only: quadrature nodes and weights
path/prediction                       (N, K) float32      f at each node, mean over references
path/slope                            (N, K) float32      df/dα at each node: the sum of gradient × (x - reference)
path/gradient_size                    (N, K) float32      the sum over bases of |gradient × (x - reference)|
====================================  ==================  ==========================================================

Attributes of the file: `format`, `method`, `target`, `rule`, `references`, `seed`, `model_fingerprint`,
`package_version` and further settings of the method.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.files import replacing

FORMAT = "seqlift scores 1"
_COORDS = ["chrom", "start", "end", "name", "strand"]
_PATH = ["prediction", "slope", "gradient_size"]


class ScoreWriter:
    """Appends blocks of rows to an open score file; made by `create_scores`."""

    def __init__(self, file: h5py.File, coords: pd.DataFrame, length: int, n_references: int, alphas, weights):
        n = len(coords)
        self._file, self._n, self._row = file, n, 0
        rows = max(1, min(n, 2**18 // max(1, 4 * length)))  # about 1 MB a chunk
        compress = {"compression": "gzip", "compression_opts": 4, "shuffle": True}

        def make(name: str, shape: tuple[int, ...], dtype: type) -> None:
            file.create_dataset(
                name, (n, *shape), dtype, chunks=(rows, *shape) if n and all(shape) else None, **(compress if n else {})
            )

        make("raw/seq", (4, length), np.int8)
        make("shap/seq", (4, length), np.float32)
        make("projected_shap/seq", (4, length), np.float32)
        make("diagnostics/delta", (n_references,), np.float32)
        make("diagnostics/prediction", (), np.float32)
        make("diagnostics/reference_prediction", (n_references,), np.float32)
        make("diagnostics/standard_error", (length,), np.float32)
        for column in _COORDS:
            if column in ("start", "end"):
                file.create_dataset(f"coords/{column}", data=coords[column].to_numpy(np.int64))
            else:
                text = coords[column].astype(str).to_numpy(object)
                file.create_dataset(f"coords/{column}", data=text, dtype=h5py.string_dtype())
        self._path = alphas is not None
        if self._path:
            file.create_dataset("path/alphas", data=np.asarray(alphas, np.float64))
            file.create_dataset("path/weights", data=np.asarray(weights, np.float64))
            for name in _PATH:
                make(f"path/{name}", (len(alphas),), np.float32)

    def append(
        self,
        sequences,
        hypothetical,
        contributions,
        delta,
        prediction,
        reference_prediction,
        standard_error,
        path: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Write the next rows, in the order of the coordinates; shapes as in the table above, the first axis shorter.

        Raises
        ------
        SeqliftError
            If a score is not finite: nothing downstream could use the file.
        """
        rows = slice(self._row, self._row + len(sequences))
        if not np.isfinite(hypothetical).all():
            bad = self._row + int(np.flatnonzero(~np.isfinite(hypothetical).all(axis=(1, 2)))[0])
            name = self._file["coords/name"][bad].decode()
            raise SeqliftError(
                f"the scores of region {name!r} (row {bad}) are not finite numbers: the model's output or gradient "
                "overflowed there; train it again with a lower learning rate, or check its weights"
            )
        self._file["raw/seq"][rows] = np.asarray(sequences, np.int8)
        self._file["shap/seq"][rows] = hypothetical
        self._file["projected_shap/seq"][rows] = contributions
        self._file["diagnostics/delta"][rows] = delta
        self._file["diagnostics/prediction"][rows] = prediction
        self._file["diagnostics/reference_prediction"][rows] = reference_prediction
        self._file["diagnostics/standard_error"][rows] = standard_error
        if self._path:
            for name in _PATH:
                self._file[f"path/{name}"][rows] = path[name]
        self._row = rows.stop


@contextlib.contextmanager
def create_scores(
    path: str | os.PathLike,
    coords: pd.DataFrame,
    *,
    length: int,
    n_references: int,
    attributes: dict[str, str | int | float],
    alphas=None,
    weights=None,
) -> Iterator[ScoreWriter]:
    """Open a new score file for writing block by block; it appears at `path` only when all rows were written.

    Parameters
    ----------
    path : path-like
        The file to make.
    coords : pandas.DataFrame, N rows
        Columns chrom, start, end (bp, 0-based, end exclusive), name, strand, in the order of the rows to come.
    length : int, bp
    n_references : int
    attributes : dict
        Stored as attributes of the file; `method` and `target` are needed.
    alphas, weights : array, shape (K,), optional
        Quadrature nodes and weights of interior gradients; they make the group `path`.

    Raises
    ------
    ValueError
        If fewer or more rows than coordinates were written.
    """
    missing = {"method", "target"} - set(attributes)
    if missing:
        raise ValueError(f"attributes lack {sorted(missing)}")
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        for key, value in attributes.items():
            file.attrs[key] = value
        writer = ScoreWriter(file, coords, length, n_references, alphas, weights)
        yield writer
        if writer._row != len(coords):
            raise ValueError(f"{writer._row} rows were written for {len(coords)} regions")


@dataclass(frozen=True)
class Scores:
    """An open score file. Datasets are read when they are indexed: `scores.contributions[10:20]`.

    Attributes
    ----------
    path : pathlib.Path
    coords : pandas.DataFrame, N rows
        chrom, start, end (bp, 0-based, end exclusive), name, strand.
    sequences : h5py.Dataset, shape (N, 4, L), int8
    hypothetical, contributions : h5py.Dataset, shape (N, 4, L), float32
    delta, reference_prediction : h5py.Dataset, shape (N, R)
    prediction : h5py.Dataset, shape (N,)
    standard_error : h5py.Dataset, shape (N, L)
    attributes : dict
    interior : dict of h5py.Dataset or None
        alphas and weights (K,), prediction, slope and gradient_size (N, K); None unless made by interior gradients.
    """

    path: Path
    coords: pd.DataFrame
    sequences: h5py.Dataset
    hypothetical: h5py.Dataset
    contributions: h5py.Dataset
    delta: h5py.Dataset
    prediction: h5py.Dataset
    reference_prediction: h5py.Dataset
    standard_error: h5py.Dataset
    attributes: dict
    interior: dict[str, h5py.Dataset] | None


@contextlib.contextmanager
def open_scores(path: str | os.PathLike) -> Iterator[Scores]:
    """Open a score file for reading.

    Raises
    ------
    SeqliftError
        If the file is missing, is not HDF5, or is not a score file of this format.
    """
    path = Path(path)
    if not path.is_file():
        raise SeqliftError(f"{path}: no such score file; `seqlift attribute` makes it")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SeqliftError(f"{path}: not an HDF5 file ({error}); make it again with `seqlift attribute`") from None
    with file:
        if file.attrs.get("format") != FORMAT:
            raise SeqliftError(
                f"{path}: its `format` is {file.attrs.get('format')!r}, not {FORMAT!r}; "
                "make it again with `seqlift attribute` of this version"
            )
        coords = {}
        for column in _COORDS:
            dataset = file[f"coords/{column}"]
            coords[column] = dataset[:] if column in ("start", "end") else dataset.asstr()[:]
        yield Scores(
            path=path,
            coords=pd.DataFrame(coords),
            sequences=file["raw/seq"],
            hypothetical=file["shap/seq"],
            contributions=file["projected_shap/seq"],
            delta=file["diagnostics/delta"],
            prediction=file["diagnostics/prediction"],
            reference_prediction=file["diagnostics/reference_prediction"],
            standard_error=file["diagnostics/standard_error"],
            attributes=dict(file.attrs),
            interior={key: file[f"path/{key}"] for key in ["alphas", "weights", *_PATH]} if "path" in file else None,
        )
