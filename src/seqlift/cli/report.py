"""`seqlift report`: the self-contained page of a run."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    parser.add_argument(
        "--run-dir", required=True, type=Path, metavar="DIR", help="the run's folder, results/<name>/<length>bp"
    )
    parser.add_argument("--config", required=True, type=Path, metavar="YAML", help="the run's resolved configuration")
    parser.add_argument("--output", required=True, type=Path, metavar="HTML", help="the page to write")
    parser.add_argument(
        "--workflow", metavar="SNAKEFILE", help="of the workflow that made the run; its commit is written down"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the report and `provenance.json`."""
    from seqlift.report import write_report

    path = write_report(arguments.run_dir, arguments.config, arguments.output, workflow=arguments.workflow)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and {arguments.run_dir / 'provenance.json'}")
