"""Puts the page together: numbers and figures of each section, filled into the templates.

Every name that comes from a user's file (targets, regions, chromosomes, paths) passes the templates' escaping, and that
of JSON where the page's script reads it.
"""

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from seqlift.motifs import logos
from seqlift.report import formats
from seqlift.report.figures.explanations import DOTS
from seqlift.report.motifs.pages import add_examples, motif_pages, motif_rows
from seqlift.report.motifs.tables import pattern_tables
from seqlift.report.read.entries import entries_of, key_of
from seqlift.report.read.run import METHOD_NAMES, Run
from seqlift.report.regions.choice import BUDGET
from seqlift.report.regions.page import RegionPage, region_page, script_json
from seqlift.report.sections import performance
from seqlift.report.sections.about import file_list, settings_list
from seqlift.report.sections.data_and_training import SPLIT_NAMES, regions_section, training_section
from seqlift.report.sections.evidence import faithfulness_section, grammar_section, hit_rows, site_figures
from seqlift.report.sections.explanations import draw_examples, examples_in_turn, explain
from seqlift.report.sections.overview import card, in_short, leading_motifs, notices

SIZE = 24_000_000  # characters of the page: regions take what all else leaves of them
UNITS = {"classes": "logit", "counts": "log count", "profile": "output"}
SCRIPTS = ("tables.js", "region_data.js", "region_rows.js", "region_view.js", "regions.js", "search.js", "views.js")
STYLES = ("report.css", "views.css")
FILTERS = ("number", "count", "percent", "scientific", "signed", "duration", "megabytes", "value")


def render_page(run: Run, provenance: dict, *, examples: int, folder: Path, genes: Path | None = None) -> str:
    """The whole page as HTML.

    Parameters
    ----------
    run : Run
    provenance : dict
        What `seqlift.report.provenance.collect.collect_provenance` gave.
    examples : int
        Number of example regions for each target.
    folder : pathlib.Path
        Where the page will lie; links are relative to it.
    genes : pathlib.Path, optional
        BED, GFF3 or GTF file of genes to search by and to draw.
    """
    config = provenance["config"]
    palette = logos.choose_palette((config.get("logos") or {}).get("colours", "classic"))
    table = run.region_table()
    entries = entries_of(run)
    explanations = [explain(run, output, table, examples) for output in run.outputs]
    planted = run.planted_sites()
    draw_examples(explanations, planted, palette)
    content = _content(run, provenance, explanations, entries, palette, folder) | _about_model(run, table, config)
    content |= {"examples": examples > 0, "planted": planted is not None, "genes": genes is not None}
    content["notices"] = notices(run, provenance, content["performance"], explanations)
    first = [example["region"].name for example in examples_in_turn(explanations)]
    unit = UNITS[run.head]

    def page(budget: int) -> str:
        regions = region_page(run, table, entries, first, budget=budget, genes=genes, palette=palette, unit=unit)
        add_examples(content["motif_pages"], regions.hits)
        return _fill(content, regions)

    rest = len(page(0))  # with one region
    budget = max(0, min(BUDGET, SIZE - rest))
    text = page(budget)
    while budget and len(text) > SIZE:  # regions with many hits, genes or long names are larger than was reckoned
        budget = int(0.95 * budget * (SIZE - rest) / (len(text) - rest))
        text = page(budget)
    return text


def _fill(content: dict, regions: RegionPage) -> str:
    """The templates with their content."""
    environment = _environment()
    script = "\n".join(_packaged(environment, name) for name in SCRIPTS)
    return environment.get_template("page.html").render(
        **content,
        style=Markup("\n".join(_packaged(environment, name) for name in STYLES)),  # ours, not a user's
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        region_index=Markup(script_json(regions.index)),
        region_blocks=Markup("\n".join(regions.blocks)),  # base64
        region_page=regions,
        choice=regions.choice,
        method_names=METHOD_NAMES,
        split_names=SPLIT_NAMES,
        dots=DOTS,
    )


def _content(run: Run, provenance: dict, explanations: list[dict], entries: list, palette: dict, folder: Path) -> dict:
    """What the sections on motifs, evidence and files need."""
    config = provenance["config"]
    evidence = {
        "hits": hit_rows(run, folder),
        "grammar": grammar_section(run, folder),
        "sites": site_figures(run, folder),
        "faithfulness": faithfulness_section(run, folder),
    }
    database = (config.get("motifs") or {}).get("database", "jaspar:vertebrates")
    return evidence | {
        "run": run,
        "title": f"{run.name}, {run.length} bp",
        "unit": UNITS[run.head],
        "unlearned": run.unlearned(),
        "uncertain": [output for output in run.flagged() if output not in run.unlearned()],
        "cards": [card(run, target, leading_motifs(run, entries, palette)) for target in run.targets],
        "short": in_short(run, entries, explanations, evidence),
        "entries": entries,
        "motif_of": key_of(entries),
        "motif_rows": motif_rows(entries, palette),
        "motif_pages": motif_pages(run, entries, database, folder, palette),
        "patterns": pattern_tables(run, folder, palette),
        "explanations": explanations,
        "truth": run.truth,
        "provenance": provenance,
        "files": file_list(run, folder),
        "settings": settings_list(config),
    }


def _about_model(run: Run, table: pd.DataFrame, config: dict) -> dict:
    """What the sections on data, training and performance need."""
    model = config.get("model") or {}
    real = table["kind"] != "background"
    return {
        "genome": Path(run.regions["genome"]["path"]).name,
        "test_chromosomes": list(dict.fromkeys(table.loc[table["split"] == "test", "chrom"])),
        "n_regions": {split: int(((table["split"] == split) & real).sum()) for split in ("train", "valid", "test")}
        | {"all": int(real.sum())},
        "n_background": int((~real).sum()),
        "performance": performance.sections(run),
        "regions": regions_section(run, table),
        "training": training_section(run),
        "architecture": model.get("type", "neural"),
        "replicates": model.get("replicates", 1),
        "both_strands": bool(model.get("both_strands", False)),
    }


@functools.cache  # the templates are compiled once
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seqlift", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update({name: getattr(formats, name) for name in FILTERS})
    return environment


def _packaged(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None  # of `_environment`
    return environment.loader.get_source(environment, name)[0]
