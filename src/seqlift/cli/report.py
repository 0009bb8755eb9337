"""`seqlift report`: the self-contained page of a run."""

import argparse

from seqlift.cli.shared import add_required, add_shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--run-dir")
    add_required(parser, "--config", "YAML", "the run's resolved configuration")
    add_required(parser, "--output", "HTML", "the page to write")
    text = "Snakefile of the workflow that made the run, whose commit provenance.json names"
    parser.add_argument("--workflow", metavar="SNAKEFILE", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Write the report and `provenance.json`."""
    from seqlift.report import write_report

    path = write_report(arguments.run_dir, arguments.config, arguments.output, workflow=arguments.workflow)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and {arguments.run_dir}/provenance.json")
