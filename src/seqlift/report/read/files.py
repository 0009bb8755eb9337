"""Reads single files of a run and checks them: what is missing, cut short or of another format is named."""

import json
import os
import zlib
from collections.abc import Container
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import yaml

from seqlift.errors import SeqliftError

TEXT = (
    *("chrom", "name", "strand", "split", "kind", "model", "pattern", "match_id", "consensus", "closest", "motif"),
    *("output", "method", "fold", "sign", "outputs", "methods", "motif_a", "motif_b", "name_a", "name_b"),
    *("orientation", "order", "references", "spacing_orientation"),
)


def read_config(path: str | os.PathLike) -> dict:
    """The resolved configuration of a run; a SeqliftError if it is missing, not YAML or not a mapping."""
    path = Path(path)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `--config` is the resolved configuration of the run") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SeqliftError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise SeqliftError(f"{path}: it holds no `key: value` lines; `--config` is the resolved configuration of a run")
    return config


def read_json(path: Path, stage: str, keys: list[str], expected_format: str | None = None) -> dict:
    """Read a JSON object that `seqlift <stage>` wrote; a SeqliftError if it is missing or cut short, of another format
    or lacks a key.
    """
    require(path, stage)
    again = f"make it again with `seqlift {stage}`"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SeqliftError(f"{path}: not JSON ({error}); {again}") from None
    if not isinstance(content, dict):
        raise SeqliftError(f"{path}: it holds no JSON object; {again}")
    if expected_format is not None and content.get("format") != expected_format:
        raise SeqliftError(f"{path}: its `format` is {content.get('format')!r}, not {expected_format!r}; {again}")
    _require_all("key", keys, content, path, stage)
    return content


def read_table(path: Path, columns: list[str], stage: str) -> pd.DataFrame:
    """Read a tab-separated file (`.gz` unpacked) that `seqlift <stage>` wrote and check its columns.

    Names are kept as text: a pattern or chromosome called `NA` or `1` stays so. A table that is missing or cut short or
    lacks a column is a SeqliftError.
    """
    require(path, stage)
    text = dict.fromkeys(TEXT, str)
    try:
        header = pd.read_csv(path, sep="\t", nrows=0)
        missing_values = {name: [""] if name in text else ["", "nan"] for name in header}
        table = pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False, na_values=missing_values)
    except (EOFError, OSError, ValueError, zlib.error) as error:  # ValueError: pandas' and Unicode errors too
        reason = " ".join(str(error).split())
        raise SeqliftError(f"{path}: cannot be read ({reason}); make it again with `seqlift {stage}`") from None
    _require_all("column", columns, table, path, stage)
    return table


def relative_link(path: Path, start: Path) -> str:
    """A link from a page in the folder `start` to `path`, escaped for an address."""
    return quote(Path(os.path.relpath(path, start)).as_posix())


def require(path: Path, stage: str) -> None:
    """Raise a SeqliftError where `path` is no file."""
    if not path.is_file():
        raise SeqliftError(f"{path}: no such file; `seqlift {stage}` makes it")


def _require_all(kind: str, names: list[str], found: Container[str], path: Path, stage: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        again = f"make it again with `seqlift {stage}`"
        raise SeqliftError(f"{path}: it lacks the {kind} {missing[0]!r} (of {len(missing)} missing); {again}")
