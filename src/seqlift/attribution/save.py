"""Results of attribution as score files, which tracks, motif discovery and other programs read.

`seqlift attribute` writes a score file from a region table and a trained model; `save_scores` writes one from the
result of `seqlift.deeplift`, `seqlift.interior_gradients` or `seqlift.mutagenesis`, for any model, together with the
genomic coordinates of the sequences.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift import __version__
from seqlift.attribution.checks import check_one_hot
from seqlift.attribution.deeplift import DeepLift
from seqlift.attribution.interior_gradients import InteriorGradients
from seqlift.attribution.mutagenesis import Mutagenesis
from seqlift.errors import SeqliftError
from seqlift.scores.file import check_name, create_scores, place_names

METHODS = {"DeepLift": "deeplift", "InteriorGradients": "interior_gradients", "Mutagenesis": "mutagenesis"}
_FIELDS = ("hypothetical", "contributions", "prediction")
_OF_REFERENCES = ("n_references", "delta", "reference_prediction", "standard_error")  # mutagenesis has none of these
_OF_PATHS = {
    "alphas": "alphas",
    "weights": "weights",
    "prediction": "path_prediction",
    "slope": "path_slope",
    "gradient_size": "path_gradient_size",
    "alpha_half": "alpha_half",
    "alpha_90": "alpha_90",
    "steps": "steps",
}
_BLOCK = 1024  # rows written at a time


def save_scores(
    path: str | os.PathLike,
    result: DeepLift | InteriorGradients | Mutagenesis,
    sequences: Tensor | np.ndarray,
    coords: pd.DataFrame | Sequence[tuple[str, int, int]],
    *,
    target: str,
    method: str | None = None,
) -> Path:
    """Write the result of an attribution method as a score file.

    Parameters
    ----------
    path : path-like
        The file to write. An existing file is replaced when the new one is complete.
    result : seqlift.DeepLift, seqlift.InteriorGradients or seqlift.Mutagenesis
        The path of interior gradients is saved if they were computed with `keep_path=True`.
    sequences : torch.Tensor or numpy.ndarray, shape (N, 4, L), one-hot
        The sequences that were explained; a column of zeros is N.
    coords : pandas.DataFrame, or sequence of (chrom, start, end), N rows
        Position of each sequence on the + strand (bp, 0-based, end exclusive). A table may also have columns `name`,
        unique, and `strand`.
    target : str
        Name of the output that was explained: letters, digits and . _ + -
    method : str, optional
        By default that of the result.

    Returns
    -------
    pathlib.Path
        `path`

    Raises
    ------
    SeqliftError
        If coordinates, sequences and result do not fit together, or scores are not finite.

    Examples
    --------
    >>> import seqlift, tempfile, torch
    >>> sequences = torch.eye(4)[torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])].mT  # ACGTACGTAC
    >>> result = seqlift.mutagenesis(lambda x: x[:, 0].sum(1, keepdim=True), sequences)
    >>> path = seqlift.save_scores(
    ...     tempfile.mkdtemp() + "/a.h5", result, sequences, [("chr1", 100, 110)], target="number_of_A"
    ... )
    >>> path.name
    'a.h5'
    """
    method = METHODS.get(type(result).__name__) if method is None else method
    target, method = check_name("`target`", target), check_name("`method`", method)
    sequences = np.asarray(sequences)
    _check_sequences(sequences, score_fields(result))
    table = _table(coords, len(sequences), sequences.shape[2])
    attributes = {"method": method, "target": target, "source": "seqlift.save_scores", "package_version": __version__}
    with create_scores(path, table, length=sequences.shape[2], attributes=attributes) as writer:
        for first in range(0, len(table), _BLOCK):
            rows = slice(first, first + _BLOCK)
            writer.append(sequences=sequences[rows], **score_fields(result, rows))
    return Path(path)


def score_fields(result: object, rows: slice = slice(None)) -> dict[str, Any]:
    """Some rows of a result as `ScoreWriter.append` takes them; the path only where all of it was kept.

    Raises
    ------
    SeqliftError
        If it is not the result of an explanation.
    """
    try:
        fields: dict[str, Any] = {name: np.asarray(getattr(result, name)[rows]) for name in _FIELDS}
    except AttributeError as error:
        raise SeqliftError(
            f"`result` is a {type(result).__name__} ({error}); give what seqlift.deeplift, interior_gradients or "
            "mutagenesis returned"
        ) from None
    more = {name: getattr(result, name, None) for name in _OF_REFERENCES}
    fields |= {name: np.asarray(values[rows]) for name, values in more.items() if values is not None}
    path: dict[str, Any] = {name: getattr(result, field, None) for name, field in _OF_PATHS.items()}
    if all(values is not None for values in path.values()):
        shared = ("alphas", "weights")  # by all rows
        fields["path"] = {name: np.asarray(v if name in shared else v[rows]) for name, v in path.items()}
    return fields


def _check_sequences(sequences: np.ndarray, fields: dict[str, Any]) -> None:
    """One-hot, and the ones that were explained."""
    shape = fields["hypothetical"].shape
    if sequences.shape != shape:
        raise SeqliftError(f"`sequences` has shape {sequences.shape}, the scores have {shape}; give those explained")
    check_one_hot(torch.from_numpy(sequences), "a track needs one base, or N")
    absent = ((np.abs(fields["contributions"]) > 0) & (sequences == 0)).any(axis=(1, 2))  # NaN is said later
    if absent.any():
        raise SeqliftError(
            f"`sequences`: {absent.sum()} are not those that were explained, the first is row {absent.argmax()}: it "
            "has contributions of bases that are not in the sequence"
        )


def _table(coords: pd.DataFrame | Sequence[tuple[str, int, int]], n: int, length: int) -> pd.DataFrame:
    """Checked coordinates as a score file has them."""
    if not isinstance(coords, pd.DataFrame):
        coords = pd.DataFrame([tuple(one)[:3] for one in coords], columns=["chrom", "start", "end"])
    missing = [column for column in ("chrom", "start", "end") if column not in coords]
    if missing:
        raise SeqliftError(f"`coords` has no column {missing[0]!r}; it needs chrom, start and end (bp, 0-based)")
    if len(coords) != n:
        raise SeqliftError(f"`coords` has {len(coords)} rows for {n} sequences; each sequence needs its own")
    table = coords.reset_index(drop=True)
    wrong = (table["end"] - table["start"] != length) | (table["start"] < 0) | (table["start"] % 1 != 0)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        chrom, start, end = table[["chrom", "start", "end"]].iloc[row]
        raise SeqliftError(
            f"`coords`: row {row} ({chrom}:{start}-{end}) is not a window of {length} bp, the length of the sequences; "
            "start counts from 0, end is exclusive"
        )
    table = table.astype({"start": np.int64, "end": np.int64})  # pandas makes floats of a table that once had gaps
    names = table["name"].astype(str) if "name" in table else place_names(table)
    twice = names[names.duplicated()]
    if len(twice):
        raise SeqliftError(f"`coords`: the name {twice.iloc[0]!r} is used twice; names must be unique")
    return table[["chrom", "start", "end"]].assign(name=names, strand=table.get("strand", "."))
