"""`seqlift summary`: where the results of a run are, and the numbers that show whether it worked."""

import argparse

from seqlift.cli.shared import add_shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--run-dir")


def run(arguments: argparse.Namespace) -> None:
    """Print the summary of a run."""
    from seqlift.report.summary import print_summary

    print_summary(arguments.run_dir)
