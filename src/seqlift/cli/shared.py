"""Flags that several stages share."""

import argparse
from typing import Any

from seqlift.motifs.settings import DATABASE

# Flags of several stages, with their arguments for argparse
SHARED: dict[str, dict[str, Any]] = {
    "--scores": {"required": True, "metavar": "H5", "help": "score file of `seqlift attribute`"},
    "--model": {
        "required": True,
        "nargs": "+",
        "metavar": "CKPT",
        "help": "model.ckpt of `seqlift train`; of several (folds, seeds) the mean is used",
    },
    "--regions": {"required": True, "metavar": "TSV", "help": "regions.tsv.gz of `seqlift regions`"},
    "--summary": {"required": True, "metavar": "JSON", "help": "regions.json of `seqlift regions`"},
    "--genome": {"required": True, "metavar": "FASTA", "help": "the reference genome, plain, gzip or bgzip"},
    "--run-dir": {"required": True, "metavar": "DIR", "help": "the run's folder, results/<name>/<length>bp"},
    "--device": {
        "default": "auto",
        "metavar": "WHERE",
        "help": "auto (a GPU if there is one), cpu, cuda, or gpu=N: N GPUs that no other such job uses, 0 for the CPU",
    },
    "--database": {
        "default": DATABASE,
        "metavar": "NAME|MEME",
        "help": "known motifs, the same for patterns, compendium and logos: jaspar:vertebrates, jaspar:fungi, ... or a "
        "MEME file (default: %(default)s)",
    },
}


def add_shared(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Declare flags that are the same in several stages."""
    for flag in flags:
        parser.add_argument(flag, **SHARED[flag])


def add_required(parser: argparse.ArgumentParser, flag: str, metavar: str, text: str, **more: Any) -> None:
    """Declare a flag that a stage needs."""
    parser.add_argument(flag, required=True, metavar=metavar, help=text, **more)


def accept_lists(parser: argparse.ArgumentParser) -> None:
    """Accept `@FILE` in place of the lines of FILE: a command with thousands of files is too long for the system."""
    parser.fromfile_prefix_chars = "@"
    parser.epilog = "@FILE, as in --scores @FILE, is read as the lines of FILE, for lists too long for a command."
