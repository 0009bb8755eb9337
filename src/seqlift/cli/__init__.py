"""The command `seqlift <stage> --flags`: parses and delegates.

Each stage lives in a module of this package with `add_arguments(parser)` and `run(arguments)`. Only the module
of the stage asked for is imported, so that `seqlift --help` and light stages do not wait for torch.
"""

import argparse
import errno
import importlib
import logging
import os
import sys
from typing import Any

from seqlift.errors import SeqliftError

STAGES = {
    "run": "run the whole workflow in this folder: from FASTA and peaks to the report",
    "template": "print a config to start from, in which every key is explained",
    "simulate": "make a genome, peaks and the truth of the GATA1/TAL1 experiment of the DeepLIFT paper",
    "fetch": "download a file, check it against its checksum and convert it",
    "regions": "windows around peaks, negatives, labels and splits: regions.tsv.gz",
    "train": "train a model on regions: model.ckpt, history.tsv",
    "evaluate": "judge models on regions they never saw, beside baselines: metrics.json, predictions.tsv.gz",
    "attribute": "score every base of the regions of a target with one method: <target>.<method>.h5",
    "gather": "put the score files of shards together: <target>.<method>.h5",
    "tracks": "lay the scores on genome coordinates: <target>.<method>.bw",
    "convert": "change scores between our format and those of TF-MoDISco, chrombpnet, BPReveal, bpnet-lite, bedGraph",
    "motifs": "find and name the patterns in the scores",
    "logos": "draw the logos of the patterns, with the known motifs they are like",
    "hits": "where each pattern is used, over all regions: hits.bed.gz, hits.json",
    "faithfulness": "hold the scores against the model that they explain: faithfulness.tsv",
    "compendium": "merge the patterns of all targets, methods and folds that are one motif",
    "aggregate": "average the scores around any sites: heat map, profile and logo",
    "grammar": "find which motifs stand together, in which order and how far apart: grammar.tsv",
    "truth": "hold a run on simulated data against the planted truth: truth.json",
    "report": "write the self-contained report.html",
    "browse": "show the whole genome of a run in the web browser, on this machine alone",
    "summary": "print where the results of a run are and its main numbers",
}

# Flags of several stages, with what argparse is told of them
SHARED: dict[str, dict[str, Any]] = {
    "--scores": {"required": True, "metavar": "H5", "help": "score file of `seqlift attribute`"},
    "--regions": {"required": True, "metavar": "TSV", "help": "regions.tsv.gz of `seqlift regions`"},
    "--genome": {"required": True, "metavar": "FASTA", "help": "the genome the regions lie on"},
    "--device": {"default": "auto", "choices": ["auto", "cpu", "cuda"], "help": "auto: a GPU if there is one"},
    "--database": {
        "default": "jaspar:vertebrates",
        "metavar": "NAME|MEME",
        "help": "known motifs, the same for patterns, compendium and logos: jaspar:vertebrates, jaspar:fungi, ... or a "
        "MEME file (default: %(default)s)",
    },
    "--colours": {
        "default": "classic",
        "metavar": "NAME",
        "help": "classic, or colour-blind: colours that colour-blind people can tell apart (default: %(default)s)",
    },
}

# What the file system may answer to a correct program: its owner wants to know which file, not where in the code.
_STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}


def add_shared(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Declare flags that are the same in several stages."""
    for flag in flags:
        parser.add_argument(flag, **SHARED[flag])


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status (0 done, 1 bad input, 2 wrong usage, 130 stopped by Ctrl-C)."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="seqlift", description="Which bases made the network say so?")
    commands = parser.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for stage, help_text in STAGES.items():
        command = commands.add_parser(stage, help=help_text, description=help_text)
        if argv[:1] == [stage]:
            module = importlib.import_module(f"seqlift.cli.{stage}")
            module.add_arguments(command)
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("seqlift").setLevel(logging.INFO)
    try:
        module.run(arguments)
    except SeqliftError as error:
        print(f"seqlift {arguments.stage}: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output (head, less) has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        if error.errno not in _STORAGE_ERRORS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"seqlift {arguments.stage}: error: {where}{error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"seqlift {arguments.stage}: stopped", file=sys.stderr)
        return 130
    return 0
