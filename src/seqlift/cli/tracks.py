"""`seqlift tracks`: scores and predictions as bigWig, checks of the tracks, and IGV sessions."""

import argparse
from collections.abc import Callable
from typing import Any

from seqlift.cli.shared import accept_lists, add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.tracks.settings import TrackSettings

VALUES = ["contribution", "standard-error"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)

    def task(name: str, text: str, function: Callable[..., str]) -> argparse.ArgumentParser:
        command = tasks.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    write = task("write", "write a score file as a genome track", _write)
    _add_scores(write)
    write.add_argument("--value", choices=VALUES, default=VALUES[0], help="what to show (default: %(default)s)")
    add_required(write, "--genome-sizes", "FILE", "regions.json, or the FASTA, for sizes")
    add_flags(write, TrackSettings, leave_out=["difference"])
    add_required(write, "--output", "BW", "bigWig to write; <BW>.json is written beside it")

    verify = task("verify", "compare a track with its score file, base by base", _verify)
    _add_scores(verify)
    add_required(verify, "--track", "BW", "bigWig of `seqlift tracks write`")

    predicted = task("predicted", "write the predicted signal of a profile model as a genome track", _predict)
    add_shared(predicted, "--model", "--regions", "--summary", "--genome")
    add_required(predicted, "--target", "NAME", "target of the model")
    add_flags(predicted, TrackSettings, leave_out=["difference"])
    add_shared(predicted, "--device")
    add_required(predicted, "--output", "BW", "bigWig to write; of two strands, the plus")
    predicted.add_argument("--output-minus", metavar="BW", help="that of the minus strand, if the model has both")

    session = task("session", "write a session of IGV, which opens tracks, peaks and hits over the genome", _session)
    accept_lists(session)
    add_shared(session, "--genome")
    add_required(session, "--tracks", "BW", "bigWigs of this command", nargs="+")
    session.add_argument("--peaks", nargs="*", default=[], metavar="BED", help="peak files")
    session.add_argument("--hits", nargs="*", default=[], metavar="BED", help="hits.bed.gz of `seqlift hits`")
    session.add_argument("--genes", metavar="FILE", help="genes as BED, GFF3 or GTF")
    add_required(session, "--output", "XML", "session to write; paths are relative to it")


def _add_scores(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--scores")
    parser.add_argument("--minus", metavar="H5", help="score file of another method, whose contributions to take away")


def run(arguments: argparse.Namespace) -> None:
    """Do the task and print what was written."""
    settings = {key: value for key, value in vars(arguments).items() if key not in ("stage", "task", "function")}
    if "overlap" in settings:
        settings["overlap"] = settings_from(arguments, TrackSettings).overlap
        del settings["settings"]
    print(arguments.function(**settings))


def _write(scores: str, output: str, genome_sizes: str, **settings: Any) -> str:
    from seqlift.tracks.writing import write_track

    return write_track(scores, output, chromosome_sizes=genome_sizes, **settings).sentence(output)


def _verify(scores: str, track: str, minus: str | None) -> str:
    from seqlift.tracks.verifying import verify_track

    bases = verify_track(scores, track, minus=minus)
    return f"{track}: all {bases:,} bp are those of {scores}, and no other base has a value"


def _predict(model: list[str], regions: str, summary: str, genome: str, **settings: Any) -> str:
    from seqlift.tracks.predicted import write_predicted

    written = write_predicted(model, regions, summary, genome, **settings)
    return "\n".join(
        each.sentence(path) for path, each in zip([settings["output"], settings["output_minus"]], written, strict=False)
    )


def _session(output: str, genome: str, **files: Any) -> str:
    from seqlift.tracks.session import write_session

    return f"{output}: opens in IGV, over the genome {write_session(output, genome, **files)}"
