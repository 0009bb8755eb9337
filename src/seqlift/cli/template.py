"""`seqlift template`: a config to start from, in which every key is explained."""

import argparse
import sys

from seqlift.core.packaged import workflow_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "seqlift template > my.yaml; then name your FASTA and peaks in it: seqlift run --configfile my.yaml"


def run(arguments: argparse.Namespace) -> None:
    """Print the template."""
    sys.stdout.write((workflow_root() / "configs" / "template.yaml").read_text(encoding="utf-8"))
