"""The report: one page that says what a run did, how well it worked and how far its explanations can be trusted.

`report.html` holds its figures, style and script in itself, so it opens from a disk without a network; tracks, score
files and logos are linked by paths relative to it. A content security policy in the page forbids it to load or run
anything that is not written in it.
"""

import logging
import os
from pathlib import Path

from seqlift.config import data_path
from seqlift.core.files import replacing
from seqlift.report.provenance.collect import collect_provenance, write_provenance
from seqlift.report.provenance.costs import read_jobs
from seqlift.report.read.files import read_config
from seqlift.report.read.run import MUTAGENESIS, Run, load_run
from seqlift.scores.file import open_scores

__all__ = ["Run", "load_run", "read_config", "write_report"]

log = logging.getLogger(__name__)

EXAMPLES = 3


def write_report(
    run_dir: str | os.PathLike,
    config_path: str | os.PathLike,
    output: str | os.PathLike,
    *,
    workflow: str | None = None,
) -> Path:
    """Write the report of a run, and `provenance.json` into its folder.

    Parameters
    ----------
    run_dir : path-like
        results/<name>/<length>bp, with the files of all other stages.
    config_path : path-like
        The resolved configuration, YAML. `report.examples` is the number of example regions of each target.
    output : path-like
        The page to write. Its links are relative to its folder.
    workflow : str, optional
        Snakefile of the workflow that made the run, or the address that Snakemake had it from.

    Returns
    -------
    pathlib.Path
        `output`

    Raises
    ------
    SeqliftError
        If a file is missing, broken or of another run; the message names it and the stage that makes it.
    """
    from seqlift.report.page import render_page  # and with it matplotlib, which `seqlift summary` does without

    config = read_config(config_path)
    attribution = config.get("attribution") or {}
    mutagenesis = (attribution.get("mutagenesis") or {}).get("max_regions", 0) > 0
    run = load_run(run_dir, methods=attribution.get("methods"), mutagenesis=mutagenesis)
    attributions = {}
    for output_name in run.outputs:
        for method in [*run.methods, *([MUTAGENESIS] if run.mutagenesis else [])]:
            path = run.scores(output_name, method)
            with open_scores(path) as scores:
                attributions[path.name] = scores.attributes
    jobs = read_jobs(run.directory)
    log.info("%d outputs by %d methods; records of %d jobs", len(run.outputs), len(run.methods), len(jobs))
    provenance = collect_provenance(config, run.regions, run.metrics, attributions, jobs=jobs, workflow=workflow)
    write_provenance(run.directory / "provenance.json", provenance)
    settings = config.get("report") or {}
    page = render_page(
        run,
        provenance,
        examples=settings.get("examples", EXAMPLES),
        genes=Path(data_path(config, settings["genes"])) if settings.get("genes") else None,
        folder=Path(output).resolve().parent,
    )
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(output)
