"""The score file: contribution, coordinates and diagnostics of every base.

One HDF5 file holds the scores of one output by one method, one row a region. TF-MoDISco and Fi-NeMo read its `raw`,
`shap` and `projected_shap` groups as they are. Rows carry their coordinates, so they cannot drift from them.

====================================  ==================  ==========================================================
dataset                               shape, type         what
====================================  ==================  ==========================================================
raw/seq                               (N, 4, L) int8      one-hot sequence, bases A C G T; N is all zeros
shap/seq                              (N, 4, L) float32   hypothetical contributions, in units of the model's output
projected_shap/seq                    (N, 4, L) float32   contributions: the hypothetical one of the base that is there
coords/chrom, name, strand            (N,) UTF-8          chromosome, region name, strand
coords/start, end                     (N,) int64          bp, 0-based, end exclusive
diagnostics/prediction                (N,) float32        f(sequence)
diagnostics/n_references              (N,) int32          references used; R is the most that any row used
diagnostics/delta                     (N, R) float32      completeness delta; NaN beyond the references that were used
diagnostics/reference_prediction      (N, R) float32      f(reference); NaN beyond the references that were used
diagnostics/standard_error            (N, L) float32      of the contribution, over references (NaN for one reference)
diagnostics/model_spread              (N, L) float32      standard deviation of the contribution, over models
path/alphas, path/weights             (K,) float64        interior gradients only: quadrature nodes and weights
path/prediction                       (N, K) float32      f at each node, mean over references
path/slope                            (N, K) float32      df/dα at each node: the sum of gradient × (x - reference)
path/gradient_size                    (N, K) float32      the sum over bases of |gradient × (x - reference)|
path/alpha_half, path/alpha_90        (N,) float32        α at which half and 90 % of f's change has happened
path/steps                            (N, R) int32        points that each average took; 0 beyond the references used
====================================  ==================  ==========================================================

Mutagenesis has no references: of `diagnostics` its files hold `prediction` alone. `model_spread` is there on
request: over the folds and replicates whose mean is explained, each explained by itself.

Attributes of the file: `format`, `method`, `target` (the output: a target, `<target>.counts` or `<target>.profile`),
`quantity` (class, counts, profile), `models` (networks in the mean), `fold` (where the model of one fold is explained),
`learned` (false: the model, or one of them, knows nothing of the target), `rule`, `references`, `seed`,
`model_fingerprint`, `package_version` and further settings of the method.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from seqlift.core.files import replacing
from seqlift.data.targets import NAME
from seqlift.errors import SeqliftError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

FORMAT = "seqlift scores 2"
_COORDS = ["chrom", "start", "end", "name", "strand"]
_GROUPS = {"sequences": "raw/seq", "hypothetical": "shap/seq", "contributions": "projected_shap/seq"}
_TYPES = {"raw/seq": np.int8, "diagnostics/n_references": np.int32, "path/steps": np.int32}
_PER_REFERENCE = ("diagnostics/delta", "diagnostics/reference_prediction", "path/steps")
_NODES = ("path/alphas", "path/weights")
_CHUNK = 2**18  # numbers: about 1 MB
_CACHE = 4 * 2**20  # bytes of each dataset: a chunk that blocks of rows share is compressed once, not with each of them


def check_name(what: str, value: str | None) -> str:
    """The name itself.

    Raises
    ------
    SeqliftError
        Unless files and folders can be named by a target or method like this; `what` names the argument.
    """
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise SeqliftError(
            f"{what} (={value!r}) must be made of letters, digits and . _ + -, starting with a letter or digit; "
            "files and folders are named by it"
        )
    return value


def place_names(coords: pd.DataFrame) -> pd.Series:
    """What rows are called that have no name: `chrom:start-end`."""
    return coords["chrom"].astype(str) + ":" + coords["start"].astype(str) + "-" + coords["end"].astype(str)


class _File(io.FileIO):
    """The file beneath HDF5, which remembers the first failure and hides it from HDF5.

    HDF5 writes again when it is closed, and where that fails too, as on a full disk, it cannot be closed at all: it
    prints its troubles until the program ends. So what cannot be written is kept in memory, for the little that HDF5
    still does before `check` is called.
    """

    failure: OSError | None = None

    def __init__(self, path: str | os.PathLike):
        super().__init__(path, "w+")
        self._kept: list[tuple[int, bytes]] = []  # where, and what should be there

    def write(self, data: "ReadableBuffer") -> int:
        """All of it, as HDF5 expects, also where the system takes it in parts."""
        left, place = memoryview(data).cast("B"), self.tell()
        end = place + len(left)
        try:
            while left and self.failure is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        if self.failure is not None:
            self._kept.append((end - len(left), bytes(left)))
            self.seek(end)
        return end - place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As any file's, with what is kept in its place."""
        wanted, place = memoryview(buffer).cast("B"), self.tell()
        found = super().readinto(wanted)
        for start, kept in self._kept:
            first, last = max(start, place), min(start + len(kept), place + len(wanted))
            if first < last:
                wanted[first - place : last - place] = kept[first - start : last - start]
                found = max(found, last - place)
        return found

    def truncate(self, size: int | None = None) -> int:
        """As any file's."""
        size = self.tell() if size is None else size
        try:
            return size if self.failure is not None else super().truncate(size)
        except OSError as error:
            self.failure = error
            return size

    def check(self, path: str | os.PathLike) -> None:
        """Raise what was hidden.

        Raises
        ------
        SeqliftError
        """
        if self.failure is not None:
            raise SeqliftError(
                f"{path}: the scores cannot be written ({self.failure.strerror}); make room and run it again"
            )


class ScoreWriter:
    """Appends blocks of rows to an open score file; made by `create_scores`."""

    def __init__(self, file: h5py.File, coords: pd.DataFrame, length: int, check: Callable[[], None]):
        self._file, self._n, self._length, self._row, self._check = file, len(coords), length, 0, check
        for column in _COORDS:
            if column in ("start", "end"):
                file.create_dataset(f"coords/{column}", data=coords[column].to_numpy(np.int64))
            else:
                text = coords[column].astype(str).to_numpy(object)
                file.create_dataset(f"coords/{column}", data=text, dtype=h5py.string_dtype())
        for name in _GROUPS.values():
            self._make(name, 4, length)
        self._make("diagnostics/prediction")
        self._names: set[str] = set()
        self._open: dict[str, h5py.Dataset] = {}  # a dataset that is closed compresses its last chunk, and later again

    def _make(self, name: str, *shape: int) -> None:
        dtype = _TYPES.get(name, np.float32)
        settings = {}
        if self._n:
            rows = max(1, min(self._n, _CHUNK // max(1, 4 * self._length)))
            grows = name in _PER_REFERENCE
            settings = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            settings["chunks"] = (rows, *(max(16, size) if grows else max(1, size) for size in shape))
            settings["maxshape"] = (self._n, *(None if grows else size for size in shape))
        empty = np.nan if dtype is np.float32 else 0
        self._file.create_dataset(name, (self._n, *shape), dtype, fillvalue=empty, **settings)

    def append(
        self,
        *,
        sequences: np.ndarray,
        hypothetical: np.ndarray,
        contributions: np.ndarray,
        prediction: np.ndarray,
        n_references: np.ndarray | None = None,
        delta: np.ndarray | None = None,
        reference_prediction: np.ndarray | None = None,
        standard_error: np.ndarray | None = None,
        model_spread: np.ndarray | None = None,
        path: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Write the next rows, in the order of the coordinates; shapes as in the table above, the first axis shorter.

        What has a column for each reference may have more or fewer columns than in the rows before. What a method does
        not have is left out, from all rows; `path` holds all of the group `path`.

        Raises
        ------
        SeqliftError
            If a score is not finite: nothing downstream could use the file. If the disk is full.
        ValueError
            If rows have something that the first ones had not, or lack it.
        """
        given = {
            "sequences": sequences,
            "hypothetical": hypothetical,
            "contributions": contributions,
            "prediction": prediction,
            "n_references": n_references,
            "delta": delta,
            "reference_prediction": reference_prediction,
            "standard_error": standard_error,
            "model_spread": model_spread,
        }
        datasets = {
            _GROUPS.get(name, f"diagnostics/{name}"): np.asarray(x) for name, x in given.items() if x is not None
        }
        datasets |= {f"path/{name}": np.asarray(values) for name, values in (path or {}).items()}
        if not np.isfinite(hypothetical).all():
            bad = self._row + int(np.flatnonzero(~np.isfinite(hypothetical).all(axis=(1, 2)))[0])
            name = self._file["coords/name"][bad].decode()
            raise SeqliftError(
                f"the scores of region {name!r} (row {bad}) are not finite numbers: the model's output or gradient "
                "overflowed there; train it again with a lower learning rate, or check its weights"
            )
        self._append(datasets)

    def _append(self, datasets: dict[str, np.ndarray]) -> None:
        """Write the next rows of all datasets, by their names."""
        if self._names and set(datasets) != self._names:
            raise ValueError(f"{sorted(set(datasets) ^ self._names)}: in some rows only")
        self._names = set(datasets)
        rows = slice(self._row, self._row + len(datasets["raw/seq"]))
        for name, values in datasets.items():
            if name in _NODES:
                self._file.require_dataset(name, values.shape, np.float64, data=values)
            else:
                self._put(name, rows, values)
        self._row = rows.stop
        self._check()

    def copy(self, source: h5py.File, rows: slice) -> None:
        """Write some rows of another score file as the next rows, whatever it holds.

        Raises
        ------
        SeqliftError
            If the disk is full.
        ValueError
            If the rows have something that the ones before had not, or lack it.
        """
        names = [*_GROUPS.values()]
        names += [f"{group}/{name}" for group in ("diagnostics", "path") if group in source for name in source[group]]
        self._append({name: source[name][:] if name in _NODES else source[name][rows] for name in names})

    def _put(self, name: str, rows: slice, values: np.ndarray) -> None:
        if name not in self._open:
            if name not in self._file:
                self._make(name, *values.shape[1:])
            self._open[name] = self._file[name]
        dataset = self._open[name]
        if name in _PER_REFERENCE:
            if values.shape[1] > dataset.shape[1]:
                dataset.resize(values.shape[1], axis=1)
            dataset[rows, : values.shape[1]] = values
        else:
            dataset[rows] = values


@contextlib.contextmanager
def create_hdf5(path: str | os.PathLike) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A new HDF5 file that appears at `path` when it is whole, and a function to call after each block written.

    Raises
    ------
    SeqliftError
        By that function, and at the end: if the disk is full, of which h5py by itself would crash.
    """
    with replacing(path) as temporary, _File(temporary) as below:
        with h5py.File(below, "w", rdcc_nbytes=_CACHE) as file:
            yield file, lambda: below.check(path)
        below.check(path)


@contextlib.contextmanager
def open_hdf5(path: Path, *, missing: str, remedy: str) -> Iterator[h5py.File]:
    """An HDF5 file to read from.

    Raises
    ------
    SeqliftError
        If it is missing (the message then ends with `missing`) or no HDF5 file (with `remedy`).
    """
    if not path.is_file():
        raise SeqliftError(f"{path}: {missing}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SeqliftError(f"{path}: not an HDF5 file ({error}); {remedy}") from None
    with file:
        yield file


@contextlib.contextmanager
def create_scores(
    path: str | os.PathLike, coords: pd.DataFrame, *, length: int, attributes: Mapping[str, str | int | float]
) -> Iterator[ScoreWriter]:
    """Open a new score file for writing block by block; it appears at `path` only when all rows were written.

    Parameters
    ----------
    path : path-like
        The file to make.
    coords : pandas.DataFrame, N rows
        Columns chrom, start, end (bp, 0-based, end exclusive), name, strand, in the order of the rows to come.
    length : int, bp
    attributes : mapping
        Stored as attributes of the file; `method` and `target` are needed.

    Raises
    ------
    ValueError
        If fewer or more rows than coordinates were written.
    """
    missing = {"method", "target"} - set(attributes)
    if missing:
        raise ValueError(f"attributes lack {sorted(missing)}")
    with create_hdf5(path) as (file, check):
        file.attrs["format"] = FORMAT
        for key, value in attributes.items():
            file.attrs[key] = value
        writer = ScoreWriter(file, coords, length, check)
        check()
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
    prediction : h5py.Dataset, shape (N,)
    n_references : h5py.Dataset, shape (N,), or None
    delta, reference_prediction : h5py.Dataset, shape (N, R), or None
    standard_error : h5py.Dataset, shape (N, L), or None
        None for a method without references (mutagenesis).
    model_spread : h5py.Dataset, shape (N, L), or None
        None where the models were not explained one by one.
    attributes : dict
    interior : dict of h5py.Dataset or None
        The group `path`; None unless made by interior gradients.
    """

    path: Path
    coords: pd.DataFrame
    sequences: h5py.Dataset
    hypothetical: h5py.Dataset
    contributions: h5py.Dataset
    prediction: h5py.Dataset
    n_references: h5py.Dataset | None
    delta: h5py.Dataset | None
    reference_prediction: h5py.Dataset | None
    standard_error: h5py.Dataset | None
    model_spread: h5py.Dataset | None
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
    missing, remedy = "no such score file; `seqlift attribute` makes it", "make it again with `seqlift attribute`"
    with open_hdf5(path, missing=missing, remedy=remedy) as file:
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
            prediction=file["diagnostics/prediction"],
            n_references=file.get("diagnostics/n_references"),
            delta=file.get("diagnostics/delta"),
            reference_prediction=file.get("diagnostics/reference_prediction"),
            standard_error=file.get("diagnostics/standard_error"),
            model_spread=file.get("diagnostics/model_spread"),
            attributes=dict(file.attrs),
            interior=dict(file["path"]) if "path" in file else None,
        )


def choose_examples(
    coords: pd.DataFrame, prediction: np.ndarray, split: pd.Series, count: int
) -> tuple[list[int], str]:
    """The rows to show, and the rule by which they were chosen, in words.

    The highest predictions among held-out (test) regions; where none was scored, among all. Of regions that
    overlap only the higher one is shown. Ties keep the order of the file.

    Parameters
    ----------
    coords : pandas.DataFrame, N rows
        chrom, start, end of the score file's rows.
    prediction : numpy.ndarray, shape (N,)
    split : pandas.Series, N rows
    count : int
        At most this many.
    """
    held_out = (split == "test").to_numpy()
    rule = "the held-out regions with the highest prediction for the target; of overlapping regions, the higher one"
    if not held_out.any():
        rule = "no held-out region was scored, so the regions of any split with the highest prediction"
        held_out = np.ones(len(coords), bool)
    order = [row for row in np.argsort(-np.asarray(prediction), kind="stable") if held_out[row]]
    chosen: list[int] = []
    for row in order:
        if len(chosen) == count:
            break
        here = coords.iloc[row]
        others = coords.iloc[chosen]
        overlap = (others["chrom"] == here["chrom"]) & (others["start"] < here["end"]) & (others["end"] > here["start"])
        if not overlap.any():
            chosen.append(int(row))
    return chosen, rule
