"""The command `seqlift <stage> --flags`: parses and delegates.

Each stage lives in a module of this package with `add_arguments(parser)` and `run(arguments)`. Only the module
of the stage asked for is imported, so that `seqlift --help` and light stages do not wait for torch.
"""

import argparse
import errno
import gc
import importlib
import logging
import os
import signal
import sys

from seqlift.core.process import prepare_process
from seqlift.errors import SeqliftError

STAGES = {
    "run": "run the whole workflow in this folder: from FASTA and peaks to the report",
    "template": "print a config template in which every key is explained",
    "simulate": "make a genome, peaks and the truth of the GATA1/TAL1 experiment of the DeepLIFT paper",
    "fetch": "download a file, check it against its checksum and convert it",
    "regions": "windows around peaks, negatives, labels and splits: regions.tsv.gz",
    "train": "train a model on regions: model.ckpt, history.tsv",
    "evaluate": "evaluate models on held-out regions, with baselines: metrics.json, predictions.tsv.gz",
    "attribute": "score every base of the regions of a target with one method: <target>.<method>.h5",
    "gather": "join the score files of shards: <target>.<method>.h5",
    "tracks": "write the scores as genome tracks: <target>.<method>.bw",
    "convert": "change scores between our format and those of TF-MoDISco, chrombpnet, BPReveal, bpnet-lite, bedGraph",
    "motifs": "find and name the patterns in the scores",
    "logos": "draw the logos of the patterns, with the known motifs they are like",
    "hits": "find where each pattern is used, in all regions: hits.bed.gz, hits.json",
    "faithfulness": "test the scores on the model that they explain: faithfulness.tsv",
    "compendium": "merge the patterns of all targets, methods and folds that are one motif",
    "aggregate": "average the scores around any sites: heat map, profile and logo",
    "grammar": "find motifs that occur together, their order and distance: grammar.tsv",
    "truth": "compare a run on simulated data with the planted truth: truth.json",
    "report": "write the self-contained report.html",
    "browse": "show the whole genome of a run in the web browser, on this machine alone",
    "summary": "print where the results of a run are and its main numbers",
}

# What the file system may answer to a correct program: its owner wants to know which file, not where in the code.
_STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status (0 done, 1 bad input, 2 wrong usage, 130 stopped by Ctrl-C)."""
    prepare_process()
    gc.set_threshold(20_000)  # importing torch makes many objects, none of them garbage: a tenth of its time
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="seqlift", description="Base-resolution attribution and motif discovery for sequence CNNs."
    )
    commands = parser.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for stage, help_text in STAGES.items():
        command = commands.add_parser(stage, help=help_text, description=help_text)
        if argv[:1] == [stage]:
            module = importlib.import_module(f"seqlift.cli.{stage}")
            module.add_arguments(command)
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("seqlift").setLevel(logging.INFO)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    try:
        if "device" in arguments:
            _take_device(arguments)
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


def _end(number: int, frame: object) -> None:
    """End as Ctrl-C does, without leaving half-written files: schedulers send SIGTERM some seconds before SIGKILL."""
    raise SystemExit(128 + number)


def _take_device(arguments: argparse.Namespace) -> None:
    """GPUs that were asked for are there and this job's own before it does anything else, or it is an error."""
    from seqlift.core.devices import take_device

    several = "devices" in arguments
    arguments.device, n = take_device(arguments.device, most=None if several else 1)
    if several and n is not None:
        if arguments.devices != 1:
            raise SeqliftError(f"--devices (={arguments.devices}) must be left out where --device is gpu={n}")
        arguments.devices = max(1, n)
