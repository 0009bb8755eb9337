"""`seqlift tracks`: scores and predictions as bigWig, held against their source, and opened in IGV."""

import argparse

VALUES = ["contribution", "standard-error"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of each task."""
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)

    def task(name: str, text: str) -> argparse.ArgumentParser:
        return tasks.add_parser(name, help=text, description=text)

    write = task("write", "lay a score file on the genome")
    _add_scores(write)
    write.add_argument("--value", choices=VALUES, default=VALUES[0], help="what to show (default: %(default)s)")
    write.add_argument("--genome-sizes", required=True, metavar="FILE", help="regions.json, or the FASTA, for sizes")
    _add_overlap(write)
    write.add_argument("--output", required=True, metavar="BW", help="bigWig to write; <BW>.json is written beside it")

    verify = task("verify", "hold a track against its score file, base by base")
    _add_scores(verify)
    verify.add_argument("--track", required=True, metavar="BW", help="bigWig of `seqlift tracks write`")

    predicted = task("predicted", "lay the signal that a profile model expects in its peaks on the genome")
    predicted.add_argument("--model", required=True, nargs="+", metavar="CKPT", help="model.ckpt, or one of each fold")
    predicted.add_argument("--regions", required=True, metavar="TSV", help="regions.tsv.gz of `seqlift regions`")
    predicted.add_argument("--summary", required=True, metavar="JSON", help="regions.json of `seqlift regions`")
    predicted.add_argument("--genome", required=True, metavar="FASTA", help="the genome the regions lie on")
    predicted.add_argument("--target", required=True, metavar="NAME", help="target of the model")
    _add_overlap(predicted)
    predicted.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU if there is one"
    )
    predicted.add_argument(
        "--output", required=True, metavar="BW", help="bigWig to write, of the plus strand if of two"
    )
    predicted.add_argument("--output-minus", metavar="BW", help="that of the minus strand, if the model has both")


def _add_scores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", required=True, metavar="H5", help="score file of `seqlift attribute`")
    parser.add_argument("--minus", metavar="H5", help="score file of another method, whose contributions to take away")


def _add_overlap(parser: argparse.ArgumentParser) -> None:
    text = "where regions overlap: that of the region with the nearest centre, or the mean (default: %(default)s)"
    parser.add_argument("--overlap", choices=["nearest-summit", "mean"], default="nearest-summit", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Do what is asked and say what came out."""
    {"write": _write, "verify": _verify, "predicted": _predict}[arguments.task](arguments)


def _write(arguments: argparse.Namespace) -> None:
    from seqlift.tracks import read_sizes, write_track

    summary = write_track(
        arguments.scores,
        arguments.output,
        chromosome_sizes=read_sizes(arguments.genome_sizes),
        overlap=arguments.overlap,
        minus=arguments.minus,
        value=arguments.value,
    )
    _print(arguments.output, summary)


def _verify(arguments: argparse.Namespace) -> None:
    from seqlift.tracks import verify_track

    bases = verify_track(arguments.scores, arguments.track, minus=arguments.minus)
    print(f"{arguments.track}: all {bases:,} bp are those of {arguments.scores}, and no other base has a value")


def _predict(arguments: argparse.Namespace) -> None:
    from seqlift.tracks.predicted import write_predicted

    summaries = write_predicted(
        arguments.model,
        arguments.regions,
        arguments.summary,
        arguments.genome,
        target=arguments.target,
        output=arguments.output,
        output_minus=arguments.output_minus,
        overlap=arguments.overlap,
        device=arguments.device,
    )
    for path, summary in zip([arguments.output, arguments.output_minus], summaries, strict=False):
        _print(path, summary)


def _print(path: str, summary) -> None:
    print(
        f"{path}: {summary.bases:,} bp of {summary.regions:,} regions on {len(summary.chromosomes)} chromosomes; "
        f"{summary.bases_in_several_regions:,} bp lay in several regions ({summary.overlap})"
    )
