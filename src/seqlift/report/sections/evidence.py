"""The sections on hits, grammar, sites and faithfulness: what other stages found, as rows and figures."""

from pathlib import Path

import pandas as pd

from seqlift.report.figures.canvas import Room, file_image
from seqlift.report.read.files import relative_link
from seqlift.report.read.run import METHOD_NAMES, Run

CERTAIN = 0.05  # q of a pair that is listed
PAIRS = 100  # of motifs, at most this number is listed
SITE_FIGURES = 1_000_000  # characters of the page that figures around sites take; the others are linked
FAITHFULNESS_COMPARED = (  # columns that only some runs have, and what they are called
    ("mutagenesis", "mutagenesis_spearman"),
    ("other method", "methods_spearman"),
    ("models", "models_spearman"),
    ("references", "references_spearman"),
    ("AUROC of planted bases", "truth_auroc"),
)


def hit_rows(run: Run, folder: Path) -> list[dict]:
    """hits.json of every output and method, with a link to the hits."""
    return [
        found
        | {
            "output": output,
            "method": method,
            "link": relative_link(run.motifs[output, method].folder / "hits.bed.gz", folder),
        }
        for (output, method), found in run.hits.items()
    ]


def grammar_section(run: Run, folder: Path) -> dict | None:
    """Pairs of motifs that co-occur, or at one spacing, more often than chance; None where it was not run."""
    if run.compendium is None or run.compendium.grammar is None:
        return None
    table = run.compendium.grammar
    certain = table[(table["q"] <= CERTAIN) | (table["spacing_q"] <= CERTAIN)]
    order = certain[["q", "spacing_q"]].min(axis=1).sort_values(kind="stable").index
    path = run.compendium.folder / "grammar.svg"
    alt = "Heat map of how much more often than chance motifs co-occur, and their spacings by orientation."
    return {
        "rows": [_plain(row) for row in certain.loc[order].head(PAIRS).to_dict("records")],
        "pairs": len(table),
        "certain": len(certain),
        "figure": file_image(path, alt, "grammar") if path.is_file() else None,
        "link": relative_link(run.compendium.folder / "grammar.tsv", folder),
    }


def site_figures(run: Run, folder: Path) -> list[dict]:
    """Mean contribution around the user's sites, each a figure while there is room in the page, and a link."""
    found, room = [], Room(SITE_FIGURES)
    for sites in run.sites:
        files = {kind: sites.stem.with_name(f"{sites.stem.name}.{kind}") for kind in ("svg", "tsv")}
        alt = f"Mean contribution of {sites.output} by {METHOD_NAMES[sites.method]} around the sites of {sites.sites}."
        figure = None if room.full else file_image(files["svg"], alt, "aggregate")
        room.take(*filter(None, [figure]))
        found.append({"sites": sites, "figure": figure, "link": relative_link(files["tsv"], folder)})
    return found


def faithfulness_section(run: Run, folder: Path) -> dict | None:
    """Rows of faithfulness.tsv and its figure; None where it was not run."""
    if run.faithfulness is None:
        return None
    path = run.directory / "faithfulness" / "faithfulness.svg"
    alt = "Deletion and insertion curves of each output: mean output against the share of bases replaced, by method."
    return {
        "rows": [_plain(row) for row in run.faithfulness.to_dict("records")],
        "compared": [
            (label, column)
            for label, column in FAITHFULNESS_COMPARED
            if column in run.faithfulness and run.faithfulness[column].notna().any()
        ],
        "figure": file_image(path, alt, "faithfulness") if path.is_file() else None,
        "link": relative_link(run.directory / "faithfulness" / "faithfulness.tsv", folder),
    }


def _plain(row: dict) -> dict:
    """A row with None where a number is missing."""
    return {key: None if pd.isna(value) else value for key, value in row.items()}
