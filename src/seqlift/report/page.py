"""Puts the page together: numbers and figures of each section, filled into the templates.

Every name that comes from a user's file (targets, regions, chromosomes, paths) passes the templates' escaping, and that
of JSON where the page's script reads it.
"""

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from seqlift.motifs import logos
from seqlift.report import formats, performance
from seqlift.report.about import file_list, settings_list, timings
from seqlift.report.entries import entries_of, key_of
from seqlift.report.evidence import faithfulness_section, grammar_section, hit_rows, site_figures
from seqlift.report.explanations import explain
from seqlift.report.motif_pages import motif_pages, motif_rows
from seqlift.report.overview import card, in_short, leading_motifs, notices
from seqlift.report.pattern_tables import pattern_tables
from seqlift.report.region_page import region_page, script_json
from seqlift.report.run import METHOD_NAMES, Run
from seqlift.report.sections import SPLIT_NAMES, regions_section, training_section

UNITS = {"classes": "logit", "counts": "log count", "profile": "output"}
SCRIPTS = ("tables.js", "region_data.js", "region_rows.js", "region_view.js", "regions.js", "search.js", "views.js")
STYLES = ("report.css", "views.css")
FAITHFULNESS_COLUMNS = (
    ("mutagenesis", "mutagenesis_spearman"),
    ("other method", "methods_spearman"),
    ("models", "models_spearman"),
    ("references", "references_spearman"),
    ("AUROC of planted bases", "truth_auroc"),
)
FILTERS = ("number", "count", "percent", "scientific", "signed", "duration", "value")


def render_page(run: Run, provenance: dict, *, examples: int, folder: Path, genes: Path | None = None) -> str:
    """The whole page as HTML.

    Parameters
    ----------
    run : Run
    provenance : dict
        What `seqlift.provenance.collect_provenance` gave.
    examples : int
        Number of example regions for each target.
    folder : pathlib.Path
        Where the page will lie; links are relative to it.
    genes : pathlib.Path, optional
        BED, GFF3 or GTF file of genes to search by and to draw.
    """
    environment = _environment()
    config = provenance["config"]
    palette = logos.choose_palette((config.get("logos") or {}).get("colours", "classic"))
    table = run.region_table()
    entries = entries_of(run)
    explanations = [explain(run, output, table, examples) for output in run.outputs]
    shown = [example["region"].name for each in explanations for example in each["examples"]]
    unit = UNITS[run.head]
    regions = region_page(run, table, entries, shown, genes=genes, palette=palette, unit=unit)
    judged = performance.sections(run)
    evidence = {
        "hits": hit_rows(run, folder),
        "grammar": grammar_section(run, folder),
        "sites": site_figures(run, folder),
        "faithfulness": faithfulness_section(run, folder),
    }
    script = "\n".join(_packaged(environment, name) for name in SCRIPTS)
    database = (config.get("motifs") or {}).get("database", "jaspar:vertebrates")
    return environment.get_template("page.html").render(
        run=run,
        title=f"{run.name}, {run.length} bp",
        style=Markup("\n".join(_packaged(environment, name) for name in STYLES)),  # ours, not a user's
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        region_index=Markup(script_json(regions.index)),
        region_blocks=Markup("\n".join(regions.blocks)),  # base64
        method_names=METHOD_NAMES,
        split_names=SPLIT_NAMES,
        unit=unit,
        unlearned=run.unlearned(),
        uncertain=[output for output in run.flagged() if output not in run.unlearned()],
        notices=notices(run, provenance, judged, explanations),
        cards=[card(run, target, leading_motifs(run, entries, palette)) for target in run.targets],
        short=in_short(run, entries, explanations, evidence),
        entries=entries,
        motif_of=key_of(entries),
        motif_rows=motif_rows(entries, palette),
        motif_pages=motif_pages(run, entries, regions.hits, database, folder, palette),
        patterns=pattern_tables(run, folder, palette),
        choice=regions.choice,
        region_page=regions,
        genes=genes,
        explanations=explanations,
        truth=run.truth,
        provenance=provenance,
        **evidence,
        faithfulness_columns=FAITHFULNESS_COLUMNS,
        **_about_model(run, table, config, judged),
        files=file_list(run, folder),
        settings=settings_list(config),
        timings=timings(run),
    )


def _about_model(run: Run, table, config: dict, judged: list[dict]) -> dict:
    """What the sections on data, training and performance need."""
    model = config.get("model") or {}
    return {
        "genome": Path(run.regions["genome"]["path"]).name,
        "test_chromosomes": list(dict.fromkeys(table.loc[table["split"] == "test", "chrom"])),
        "n_regions": {split: run.regions["regions"].get(split, 0) for split in ("train", "valid", "test")}
        | {"all": int((table["kind"] != "background").sum())},
        "performance": judged,
        "regions": regions_section(run, table),
        "training": training_section(run),
        "architecture": model.get("type", "neural"),
        "replicates": model.get("replicates", 1),
        "both_strands": bool(model.get("both_strands", False)),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seqlift", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update({name: getattr(formats, name) for name in FILTERS})
    return environment


def _packaged(environment: jinja2.Environment, name: str) -> str:
    return environment.loader.get_source(environment, name)[0]
