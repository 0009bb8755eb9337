"""The regions on which explanations are judged: those that the model did not learn from, the same for all methods.

A model explains what it has memorised as neatly as what it has understood, so only held-out regions count: of the
`test` split, or for the model of one fold the regions of that fold. Of several folds the mean is explained, of which
each region is held out of one model alone: then all regions count, and the result says so.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift.errors import SeqliftError
from seqlift.regions.table import fold_names
from seqlift.scores.file import open_scores

_KEY = ["chrom", "start", "end"]


@dataclass(frozen=True)
class Explained:
    """What one score file says of the chosen regions.

    Attributes
    ----------
    path : pathlib.Path
    attributes : dict
        Of the file, as plain Python values.
    contributions : numpy.ndarray, shape (N, L)
        Of the bases that are there.
    prediction : torch.Tensor, shape (N,)
    n_references : torch.Tensor, shape (N,), or None
        None, like the next two, in files of methods without references.
    delta, reference_prediction : torch.Tensor, shape (N, R), or None
    """

    path: Path
    attributes: dict
    contributions: np.ndarray
    prediction: Tensor
    n_references: Tensor | None
    delta: Tensor | None
    reference_prediction: Tensor | None

    @property
    def method(self) -> str:
        """deeplift, interior_gradients, or what else the file says."""
        return str(self.attributes["method"])


@dataclass(frozen=True)
class Sample:
    """The regions of one output on which its explanations are judged.

    Attributes
    ----------
    output : str
    coords : pandas.DataFrame, N rows
        chrom, start, end, name, strand.
    sequences : torch.Tensor, shape (N, 4, L), float32
    held_out : "test", "fold", "folds" or "none"
        Of what the regions were held out: see above; "none" where no held-out region was scored.
    of : int
        How many regions could have been chosen.
    explained : list of Explained
        One for each method, in the order of their names.
    """

    output: str
    coords: pd.DataFrame
    sequences: Tensor
    held_out: str
    of: int
    explained: list[Explained]

    @property
    def known(self) -> np.ndarray:
        """Where there is a base, (N, L), bool."""
        return (self.sequences != 0).any(1).numpy()


def score_files(paths: Sequence[str | os.PathLike]) -> dict[str, list[Path]]:
    """Score files by the output that they explain, those of an output in the order of their methods.

    Raises
    ------
    SeqliftError
        If a file cannot be read, or two are of the same output and method.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in map(Path, paths):
        with open_scores(path) as scores:
            output, method = str(scores.attributes["target"]), str(scores.attributes["method"])
        methods = found.setdefault(output, {})
        if method in methods:
            raise SeqliftError(
                f"{path}: holds {method} scores of {output}, as {methods[method]} does; give one of them"
            )
        methods[method] = path
    return {output: [methods[method] for method in sorted(methods)] for output, methods in found.items()}


def choose_sample(
    paths: Sequence[Path], table: pd.DataFrame, *, max_regions: int, seed: int, fold: int | None = None
) -> Sample:
    """Choose regions that all score files of an output have, and read what the files say of them.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Score files of one output, each of another method.
    table : pandas.DataFrame
        The regions of the run (`seqlift.regions.table.read_regions`).
    max_regions : int
        Size of the random sample; it depends on the seed and the regions, not on their order.
    seed : int
    fold : int, optional
        Whose model alone is explained.

    Raises
    ------
    SeqliftError
        If the files have no region in common, or hold regions that are not in the table, or other sequences of them.
    """
    if max_regions < 1:
        raise SeqliftError(f"--max-regions (={max_regions}) must be at least 1")
    tables = []
    for i, path in enumerate(paths):
        with open_scores(path) as scores:
            here = scores.coords[_KEY].assign(**{f"row{i}": np.arange(len(scores.coords))})
            output = str(scores.attributes["target"])
        tables.append(here.drop_duplicates(_KEY))
    common = functools.reduce(lambda one, other: one.merge(other, on=_KEY), tables)
    if common.empty:
        raise SeqliftError(f"{paths[0]} and {paths[-1]} have no region in common; give score files of one run")
    eligible, held_out = _held_out(common, table, paths[0], fold)
    eligible = eligible.sort_values(_KEY, ignore_index=True)
    rows = np.arange(len(eligible))
    if len(rows) > max_regions:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_regions, replace=False))
    chosen = eligible.iloc[rows]
    read = [_read(path, chosen[f"row{i}"].to_numpy()) for i, path in enumerate(paths)]
    for path, (_, sequences, _) in zip(paths[1:], read[1:], strict=True):
        if not torch.equal(sequences, read[0][1]):
            raise SeqliftError(f"{path}: its sequences differ from those of {paths[0]}; give score files of one genome")
    return Sample(output, read[0][0], read[0][1], held_out, len(eligible), [explained for *_, explained in read])


def _held_out(common: pd.DataFrame, table: pd.DataFrame, path: Path, fold: int | None) -> tuple[pd.DataFrame, str]:
    """The regions that were held out, and of what."""
    peaks = table[table["kind"] == "peak"].drop_duplicates(_KEY)
    placed = common.merge(peaks[[*_KEY, "split"]], on=_KEY, how="left")
    lost = placed["split"].isna()
    if lost.any():
        where = placed[lost].iloc[0]
        raise SeqliftError(
            f"{path}: {int(lost.sum())} of its regions are no peak regions of the table (first: {where['chrom']}:"
            f"{where['start']}-{where['end']}); give the regions that were scored"
        )
    if fold_names(table):
        mine = placed[placed["split"] == f"fold{fold}"] if fold is not None else placed
        held_out = "folds" if fold is None else "fold"
    else:
        mine, held_out = placed[placed["split"] == "test"], "test"
    return (placed, "none") if mine.empty else (mine, held_out)


def _read(path: Path, rows: np.ndarray) -> tuple[pd.DataFrame, Tensor, Explained]:
    """Coordinates, sequences and scores of some rows of a score file, in the order that is asked for."""
    ascending = np.argsort(rows)
    back = np.argsort(ascending)  # HDF5 reads in ascending order only

    def take(dataset: h5py.Dataset) -> np.ndarray:
        return dataset[rows[ascending]][back]

    def tensor(dataset: h5py.Dataset) -> Tensor:
        return torch.from_numpy(take(dataset))

    def if_any(dataset: h5py.Dataset | None) -> Tensor | None:
        return None if dataset is None else tensor(dataset)

    with open_scores(path) as scores:
        attributes = {
            name: value.item() if hasattr(value, "item") else value for name, value in scores.attributes.items()
        }
        explained = Explained(
            path=path,
            attributes=attributes,
            contributions=take(scores.contributions).sum(1, dtype=np.float64),
            prediction=tensor(scores.prediction),
            n_references=if_any(scores.n_references),
            delta=if_any(scores.delta),
            reference_prediction=if_any(scores.reference_prediction),
        )
        return scores.coords.iloc[rows].reset_index(drop=True), tensor(scores.sequences).float(), explained
