"""`seqlift summary`: where the results of a run are, and the numbers that show whether it worked."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    parser.add_argument(
        "--run-dir", required=True, type=Path, metavar="DIR", help="the run's folder, results/<name>/<length>bp"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the summary of a run."""
    from seqlift.report.summary import print_summary

    print_summary(arguments.run_dir)
