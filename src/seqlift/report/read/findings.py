"""What the stages after motif discovery found: hits, compendium, grammar, sites, faithfulness, each where it was run.

A config can leave any of them out, so an absent file is no error; one that is there is checked like any other.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqlift.motifs.compendium.tables import MEMBER_COLUMNS, MOTIF_COLUMNS, POSITION_COLUMNS, USAGE_COLUMNS
from seqlift.report.read.files import TEXT, read_json, read_table

GRAMMAR_COLUMNS = [
    *("output", "method", "motif_a", "motif_b", "name_a", "name_b", "together", "expected", "enrichment", "p", "q"),
    *("orientation", "orientation_q", "spacing", "spacing_count", "spacing_expected", "spacing_q"),
]
FAITHFULNESS_COLUMNS = [
    *("output", "method", "regions", "deletion_area", "deletion_area_low", "deletion_area_high"),
    *("insertion_area", "insertion_area_low", "insertion_area_high", "deletion_half", "random_deletion_half"),
]


@dataclass(frozen=True)
class Compendium:
    """motifs/compendium: its folder, its tables, the consensus matrices (motif -> pfm, cwm, hcwm) and the grammar."""

    folder: Path
    table: pd.DataFrame
    members: pd.DataFrame
    usage: pd.DataFrame
    positions: pd.DataFrame
    matrices: dict[str, dict]
    grammar: pd.DataFrame | None


@dataclass(frozen=True)
class Sites:
    """The mean contribution around the sites of one name, output and method; `stem` is the path without its ending."""

    sites: str
    output: str
    method: str
    stem: Path
    summary: dict


def read_compendium(run_dir: Path) -> Compendium | None:
    """The compendium of a run; None where there is none."""
    folder = run_dir / "motifs" / "compendium"
    if not (folder / "compendium.tsv").is_file():
        return None
    grammar = folder / "grammar.tsv"
    return Compendium(
        folder,
        _read(folder / "compendium.tsv", MOTIF_COLUMNS, "compendium"),
        _read(folder / "members.tsv", MEMBER_COLUMNS, "compendium"),
        _read(folder / "usage.tsv", USAGE_COLUMNS, "compendium"),
        _read(folder / "positions.tsv", POSITION_COLUMNS, "compendium"),
        read_json(folder / "compendium.json", "compendium", ["motifs"], "seqlift compendium 1")["motifs"],
        _read(grammar, GRAMMAR_COLUMNS, "grammar") if grammar.is_file() else None,
    )


def read_hit_summary(folder: Path) -> dict | None:
    """hits.json of one output and method; None where hits were not called."""
    path = folder / "hits.json"
    keys = ["regions", "hits", "seqlet_recall", "explained"]
    return read_json(path, "hits", keys, "seqlift hits 1") if path.is_file() else None


def read_faithfulness(run_dir: Path) -> pd.DataFrame | None:
    """faithfulness.tsv; None where it was not run."""
    path = run_dir / "faithfulness" / "faithfulness.tsv"
    return _read(path, FAITHFULNESS_COLUMNS, "faithfulness") if path.is_file() else None


def read_sites(run_dir: Path, outputs: list[str], methods: list[str]) -> list[Sites]:
    """All of aggregates/<sites>/<output>.<method>, by name of the sites, then in the order of outputs and methods."""
    folder = run_dir / "aggregates"
    found = []
    for sites in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []:
        for output in outputs:
            for method in methods:
                stem = sites / f"{output}.{method}"
                path = stem.with_name(f"{stem.name}.json")
                if path.is_file():
                    found.append(Sites(sites.name, output, method, stem, read_json(path, "aggregate", [])))
    return found


def _read(path: Path, columns: list[str], stage: str) -> pd.DataFrame:
    """A table whose empty text is empty, not missing."""
    table = read_table(path, columns, stage)
    text = [column for column in table if column in TEXT]
    return table.assign(**{column: table[column].fillna("") for column in text})
