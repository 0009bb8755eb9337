"""The table of regions, `regions.tsv.gz`, one row per region: written, read, and its targets, labels and folds.

Columns: `chrom start end` (bp, 0-based, end exclusive), `name`, `strand`, `summit` (position on the chromosome, bp),
`kind`, `split`, `set`, `score` (of the peak), `gc` (fraction), `source` (file:line of the peak), then `target:<name>`
for each target and `signal:<name>` for each target with a signal.

- `kind`: see `KINDS`.
- `split`: train, valid or test; or, where a model is trained for each fold, fold0, fold1, ...
- `set`: 0, or the number of the set of negatives; each epoch of training uses one set.
- `target:<name>`: 1 where the target has a peak, 0 where it has none, empty where that is unknown (masked).
- `signal:<name>`: total of the signal in the middle of the region, empty where it is unknown.
"""

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.files import gzip_text, replacing
from seqlift.data.intervals import read_lines
from seqlift.errors import SeqliftError

FORMAT = "seqlift regions 2"
SPLITS = ("train", "valid", "test")
KINDS = {
    "peak": "a peak of at least one target",
    "genome": "a negative drawn from the genome, matched in GC content",
    "shuffled": "a negative that is a dinucleotide shuffle of its window",
    "unbound": "a negative at a summit of negatives_file, away from all peaks",
    "bed": "a negative of negatives_file",
    "background": "a random window of a test split, for metrics at the true imbalance; not used in training",
}
COLUMNS = ["chrom", "start", "end", "name", "strand", "summit", "kind", "split", "set", "score", "gc", "source"]
TARGET_PREFIX = "target:"
SIGNAL_PREFIX = "signal:"
_FOLD = re.compile(r"fold(\d+)")
_LINES_AT_ONCE = 100_000  # a million regions as text fill gigabytes


@dataclass(frozen=True)
class Regions:
    """A table of regions, as in `regions.tsv.gz`, and its summary, as in `regions.json`."""

    table: pd.DataFrame
    summary: dict


def target_names(table: pd.DataFrame) -> list[str]:
    """Names of the targets of a table of regions, in the order of its columns."""
    return [column.removeprefix(TARGET_PREFIX) for column in table.columns if column.startswith(TARGET_PREFIX)]


def labels_of(table: pd.DataFrame) -> np.ndarray:
    """Labels of the regions, shape (N, T), float32: 1, 0, or NaN where the label is not known."""
    return table[[TARGET_PREFIX + name for name in target_names(table)]].to_numpy(np.float32)


def fold_names(table: pd.DataFrame) -> list[str]:
    """The folds of a table, fold0, fold1, ..., in order; empty where it is split into train, valid and test."""
    names = [name for name in table["split"].unique() if _FOLD.fullmatch(name)]
    return sorted(names, key=lambda name: int(name.removeprefix("fold")))


def assign_fold(table: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The table for training and evaluating the model of one fold (from 0).

    The fold's regions become its test split, those of the next fold (of the first after the last) its valid split, all
    others its train split. Validation and test keep the negatives of set 0 only, and the background of other folds is
    left out.

    Raises
    ------
    SeqliftError
        If the table has no folds, or not this one.
    """
    folds = fold_names(table)
    if not folds:
        raise SeqliftError(f"fold (={fold}) needs folds, but the regions are split into train, valid and test")
    if not 0 <= fold < len(folds):
        raise SeqliftError(f"fold (={fold}) must be from 0 to {len(folds) - 1}, the folds of the regions")
    names = {name: "train" for name in folds} | {folds[(fold + 1) % len(folds)]: "valid", folds[fold]: "test"}
    split = table["split"].map(names)
    keep = ((split == "train") | (table["set"] == 0)) & ((table["kind"] != "background") | (split == "test"))
    return table.assign(split=split)[keep].reset_index(drop=True)


def write_regions(regions: Regions, tsv_path: str | os.PathLike, json_path: str | os.PathLike) -> None:
    """Write `regions.tsv.gz` and `regions.json`, both or neither. The same regions give the same bytes."""
    table = regions.table
    try:
        with replacing(tsv_path) as tsv, replacing(json_path) as summary:
            with gzip_text(tsv) as lines:
                for first in range(0, max(len(table), 1), _LINES_AT_ONCE):
                    lines.write(_text(table.iloc[first : first + _LINES_AT_ONCE], header=first == 0))
            summary.write_text(json.dumps(regions.summary, indent=1) + "\n")
    except OSError as error:
        raise SeqliftError(f"{tsv_path}, {json_path}: cannot be written: {error.strerror or error}") from None


def _text(rows: pd.DataFrame, *, header: bool) -> str:
    texts = {}
    for column in rows.columns[len(COLUMNS) :]:
        form = "{:.0f}" if column.startswith(TARGET_PREFIX) else "{:.10g}"
        texts[column] = rows[column].map(form.format, na_action="ignore")
    return rows.assign(**texts).to_csv(sep="\t", index=False, header=header, float_format="%.6g", lineterminator="\n")


def read_summary(path: str | os.PathLike) -> dict:
    """Read `regions.json`; SeqliftError if it is missing or not in the format of this version."""
    try:
        summary = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift regions` makes it") from None
    except ValueError as error:
        raise SeqliftError(f"{path}: not JSON ({error}); make it again with `seqlift regions`") from None
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise SeqliftError(f"{path}: `format` must be {FORMAT!r}; make the regions again with `seqlift regions`")
    return summary


def read_regions(tsv_path: str | os.PathLike) -> pd.DataFrame:
    """Read a table of regions, plain or gzipped, and check it.

    Returns
    -------
    pandas.DataFrame
        Columns as in `regions.tsv.gz`: `start`, `end`, `summit`, `set` int64, `score`, `gc`, `target:<name>` and
        `signal:<name>` float64 (NaN if there is none), the others str.

    Raises
    ------
    SeqliftError
        If the file is missing, of an older format, or breaks a rule; names file and line.
    """
    path = Path(tsv_path)
    lines = read_lines(path)
    _, header = next(lines, (0, ""))
    columns = header.split("\t")
    _check_columns(columns, path)
    parts = [_read_part(first, body, columns, path) for first, body in _stretches(lines, len(columns), path)]
    if not parts:
        raise SeqliftError(f"{path}: holds no region; make the regions again")
    table = pd.concat(parts, ignore_index=True)
    length = table["end"] - table["start"]
    _require(
        length == length.iloc[0], f"must make the region {length.iloc[0]} bp long as the first is", table, "end", path
    )
    _require(~table["name"].duplicated(), "which an earlier line has too; names must be unique", table, "name", path)
    folds = table["split"].str.startswith("fold")
    if folds.any():
        _require(folds, "but other lines are of folds; make the regions again", table, "split", path)
    return table


def _check_columns(columns: list[str], path: Path) -> None:
    if columns[: len(COLUMNS)] != COLUMNS:
        raise SeqliftError(f"{path}:1: not a table of regions: columns must be {' '.join(COLUMNS)}, then the targets")
    added = columns[len(COLUMNS) :]
    for column in added:
        if not column.startswith((TARGET_PREFIX, SIGNAL_PREFIX)):
            raise SeqliftError(
                f"{path}:1: column {column!r} must be a target or its signal, named '{TARGET_PREFIX}<name>' or "
                f"'{SIGNAL_PREFIX}<name>'"
            )
    if len(set(columns)) < len(columns):
        raise SeqliftError(f"{path}:1: a target is named twice")
    if not any(column.startswith(TARGET_PREFIX) for column in added):
        raise SeqliftError(f"{path}:1: names no target; make the regions again")


def _stretches(lines: Iterator[tuple[int, str]], n_columns: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines in stretches, each with the number of its first line."""
    body: list[str] = []
    first = 2
    for number, line in lines:
        if line.count("\t") != n_columns - 1:
            raise SeqliftError(f"{path}:{number}: {line.count(chr(9)) + 1} columns, must be {n_columns}")
        body.append(line)
        if len(body) == _LINES_AT_ONCE:
            yield first, body
            first, body = number + 1, []
    if body:
        yield first, body


def _read_part(first: int, body: list[str], columns: list[str], path: Path) -> pd.DataFrame:
    """Lines of a table with the right types; the index is the position in the table."""
    # Python's strings, of which equal ones are shared: most columns have few different ones
    texts = pd.read_csv(
        io.StringIO("\n".join(body)),
        sep="\t",
        header=None,
        names=columns,
        dtype=object,
        keep_default_na=False,
        quoting=3,
    )
    texts.index += first - 2
    table = {}
    for column in ("start", "end", "summit", "set"):
        _require(texts[column].str.fullmatch(r"\d{1,12}"), "must be a whole number", texts, column, path)
        table[column] = texts[column].astype(np.int64)
    for column in ("score", "gc", *(name for name in columns if name.startswith(SIGNAL_PREFIX))):
        value = pd.to_numeric(texts[column].replace("", np.nan), errors="coerce").astype(np.float64)
        good = (value.notna() & np.isfinite(value)) | (texts[column] == "")
        _require(good, "must be a number or empty", texts, column, path)
        table[column] = value
    for column in (name for name in columns if name.startswith(TARGET_PREFIX)):
        _require(texts[column].isin(["0", "1", ""]), "must be 0, 1 or empty", texts, column, path)
        table[column] = texts[column].map({"0": 0.0, "1": 1.0}).astype(np.float64)
    _require(table["end"] > table["start"], "must be larger than start", texts, "end", path)
    _require(texts["strand"].isin(["+", "-", "."]), "must be '+', '-' or '.'", texts, "strand", path)
    _require(texts["kind"].isin(list(KINDS)), f"must be one of {', '.join(KINDS)}", texts, "kind", path)
    good = texts["split"].isin(SPLITS) | texts["split"].str.fullmatch(_FOLD)
    _require(good, f"must be one of {', '.join(SPLITS)}, or fold0, fold1, ...", texts, "split", path)
    for column in ("chrom", "strand", "kind", "split"):
        table[column] = pd.Categorical(texts[column]).astype(str)
    return pd.DataFrame({column: table.get(column, texts[column]) for column in columns}, index=texts.index).astype(
        {column: str for column in ("chrom", "name", "strand", "kind", "split", "source")}
    )


def _require(good: pd.Series, rule: str, texts: pd.DataFrame, column: str, path: Path) -> None:
    """Raise SeqliftError at the first line of a table that breaks a rule."""
    if not good.all():
        row = int(np.argmin(good.to_numpy(bool)))
        raise SeqliftError(
            f"{path}:{texts.index[row] + 2}: {column} is {str(texts[column].iloc[row])!r}, {rule} "
            f"({int((~good.astype(bool)).sum())} such lines)"
        )
