"""Targets: what a model learns to predict.

A target is one experiment, such as the binding of a factor or the openness of chromatin in a cell type. It has peaks,
perhaps the signal at each base (bigWig, one file per strand or one for both), and perhaps a control of the same assay.
Many targets are written as a table with one line each:

    name    peaks             signal                 signal_minus   control    control_minus   unlabelled
    Reb1    Reb1.narrowPeak   rep1.bw,rep2.bw                       input.bw                   lowmap.bed

Columns are separated by tabs (by white space where a line has no tab), in any order; only `name` and `peaks` are
required. Files between commas are replicates, whose signals are summed. An empty entry or `.` means none. Empty lines
and lines that start with `#` are skipped.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from seqlift.data.intervals import read_lines, split_fields
from seqlift.errors import SeqliftError

NEGATIVE = "negative"  # name of the regions without a peak in tables and figures
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # of a target or method, which names files and folders
_NEEDS = {"signal_minus": "signal", "control": "signal", "control_minus": "control"}


@dataclass(frozen=True)
class Target:
    """One target and its files.

    Attributes
    ----------
    name : str
        Letters, digits, '.', '_', '+' and '-'; starts with a letter or digit.
    peaks : str
        BED, narrowPeak or broadPeak: where regions are, and where the label of the target is 1.
    signal, signal_minus : tuple of str
        bigWigs, replicates of one another; with a `signal_minus`, `signal` is that of the plus strand.
    control, control_minus : tuple of str
        bigWigs of the control (input, bias), for a model with a profile head.
    unlabelled : str
        BED: regions that overlap it have no label for this target; '' for none.
    """

    name: str
    peaks: str
    signal: tuple[str, ...] = ()
    signal_minus: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    control_minus: tuple[str, ...] = ()
    unlabelled: str = ""


COLUMNS = tuple(field.name for field in fields(Target))
SIGNAL_KEYS = ("signal", "signal_minus", "control", "control_minus")
"""Columns, and keys of a target in a config, that name bigWigs."""

_SINGLE = ("name", "peaks", "unlabelled")


def check_names(names: Iterable[str]) -> None:
    """Raise SeqliftError unless there is a name, each can be the name of a target, and no two are the same."""
    seen: dict[str, str] = {}
    for name in names:
        problem = _name_problem(name)
        if not problem and name.casefold() in seen:
            problem = _same_name(name, seen[name.casefold()])
        if problem:
            raise SeqliftError(f"target {name!r}: {problem}")
        seen[name.casefold()] = name
    if not seen:
        raise SeqliftError("no target is named; name at least one with its peaks")


def check_target(target: Target) -> None:
    """Raise SeqliftError if a target's files do not fit together; the message names the key, not the target."""
    for key, needed in _NEEDS.items():
        if getattr(target, key) and not getattr(target, needed):
            raise SeqliftError(f"has {key} but no {needed}; give both, or delete {key}")
    if bool(target.control_minus) and not target.signal_minus:
        raise SeqliftError("has control_minus but no signal_minus; give the control of an unstranded signal one strand")
    for plus, minus in (("signal", "signal_minus"), ("control", "control_minus")):
        both = set(getattr(target, plus)) & set(getattr(target, minus))
        if both:
            raise SeqliftError(f"has {sorted(both)[0]} as {plus} and as {minus}; each strand needs its own file")
    for key in COLUMNS:
        paths = getattr(target, key)
        if key not in _SINGLE and len(set(paths)) < len(paths):
            raise SeqliftError(f"names a file twice in {key}; it would be counted twice")


def read_targets(path: str | os.PathLike, *, data_dir: str | os.PathLike = ".") -> list[Target]:
    """Read a table of targets (format above).

    Parameters
    ----------
    path : path of the table
    data_dir : path of a folder
        Folder of relative paths in the table.

    Returns
    -------
    list of Target
        In the order of the table, with paths joined to `data_dir`. The files need not exist.

    Raises
    ------
    SeqliftError
        If the table is missing or breaks a rule; names file and line.
    """
    columns: list[str] | None = None
    targets: list[Target] = []
    lines: dict[str, int] = {}  # of each name, without case
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}:{number}"
        entries = [entry.strip() for entry in split_fields(line)]
        if columns is None:
            columns = _read_header(entries, where)
            continue
        if len(entries) != len(columns):
            raise SeqliftError(
                f"{where}: {len(entries)} columns, must be {len(columns)} as in the header ({' '.join(columns)}); "
                "write '.' where there is none"
            )
        target = _read_target(dict(zip(columns, entries, strict=True)), data_dir, where)
        first = lines.setdefault(target.name.casefold(), len(targets))
        if first != len(targets):
            raise SeqliftError(f"{where}: target {target.name!r}: {_same_name(target.name, targets[first].name)}")
        targets.append(target)
    if columns is None:
        raise SeqliftError(f"{path}: empty; it must start with a header line that names the columns: name peaks ...")
    if not targets:
        raise SeqliftError(f"{path}: names no target below its header; add a line for each")
    return targets


def targets_text(targets: Sequence[Target]) -> str:
    """A table of targets that `read_targets` reads, with unchanged paths."""
    check_names([target.name for target in targets])
    rows = ["\t".join(COLUMNS)]
    for target in targets:
        entries = []
        for column in COLUMNS:
            value = getattr(target, column)
            files = [value] if column in _SINGLE else value
            wrong = [file for file in files if set(file) & (set("\t\r\n") | (set() if column in _SINGLE else {","}))]
            if wrong:
                raise SeqliftError(
                    f"target {target.name!r}: {column} {wrong[0]!r} holds a comma, tab or line end, which separate "
                    "entries in a table of targets; rename the file"
                )
            entries.append(",".join(files) or ".")
        rows.append("\t".join(entries))
    return "".join(row + "\n" for row in rows)


def _read_header(entries: Sequence[str], where: str) -> list[str]:
    known = ", ".join(COLUMNS)
    for column in entries:
        if column not in COLUMNS:
            raise SeqliftError(f"{where}: column {column!r} is unknown; the header line names columns out of {known}")
        if list(entries).count(column) > 1:
            raise SeqliftError(f"{where}: column {column!r} is named twice")
    for column in ("name", "peaks"):
        if column not in entries:
            raise SeqliftError(f"{where}: column {column!r} is missing; the header line must name it (of {known})")
    return list(entries)


def _read_target(entries: dict[str, str], data_dir: str | os.PathLike, where: str) -> Target:
    problem = _name_problem(entries["name"])
    if problem:
        raise SeqliftError(f"{where}: target {entries['name']!r}: {problem}")
    values: dict[str, Any] = {"name": entries["name"]}
    for column, entry in entries.items():
        if column == "name":
            continue
        files = [] if entry in ("", ".") else [part.strip() for part in entry.split(",")]
        if column in _SINGLE:
            files = [entry] if files else []
        if not all(files) or "." in files:
            raise SeqliftError(f"{where}: {column} is {entry!r}: nothing is before or after a comma; delete it")
        joined = tuple(os.path.normpath(Path(data_dir) / file) for file in files)
        values[column] = "".join(joined) if column in _SINGLE else joined
    if not values["peaks"]:
        raise SeqliftError(f"{where}: target {entries['name']!r} has no peaks; name their file")
    target = Target(**values)
    try:
        check_target(target)
    except SeqliftError as error:
        raise SeqliftError(f"{where}: target {target.name!r} {error}") from None
    return target


def _name_problem(name: str) -> str:
    if not NAME.fullmatch(name):
        return "it names files; use letters, digits, '.', '_', '+' and '-' only, and start with a letter or digit"
    if name.casefold() == NEGATIVE:
        return "is the name of the regions without a peak; choose another name"
    return ""


def _same_name(name: str, first: str) -> str:
    how = "is named twice" if name == first else f"differs from {first!r} only in upper and lower case"
    return f"{how}; every target needs its own name, which names files"
