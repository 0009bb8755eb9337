"""Flags that several stages share."""

import argparse
from typing import Any

from seqlift.motifs.settings import DATABASE

# Flags of several stages, with their arguments for argparse
SHARED: dict[str, dict[str, Any]] = {
    "--scores": {"required": True, "metavar": "H5", "help": "score file of `seqlift attribute`"},
    "--regions": {"required": True, "metavar": "TSV", "help": "regions.tsv.gz of `seqlift regions`"},
    "--genome": {"required": True, "metavar": "FASTA", "help": "the genome the regions lie on"},
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
