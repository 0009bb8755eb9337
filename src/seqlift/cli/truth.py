"""`seqlift truth`: comparison of a run on simulated data with the planted sites."""

import argparse

from seqlift.cli.shared import accept_lists, add_required, add_shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    accept_lists(parser)
    add_required(parser, "--simulation", "DIR", "folder of `seqlift simulate`")
    add_shared(parser, "--regions")
    add_required(parser, "--predictions", "TSV", "predictions.tsv.gz of the run")
    parser.add_argument("--scores", nargs="*", default=[], metavar="H5", help="score files of the run")
    parser.add_argument("--motifs", nargs="*", default=[], metavar="DIR", help="motif folders of the run, with hits")
    add_required(parser, "--output", "JSON", "truth.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Compare, write the result and print it."""
    from seqlift.truth.comparison import compare_with_truth

    found = compare_with_truth(
        arguments.simulation,
        arguments.regions,
        arguments.predictions,
        scores=arguments.scores,
        motifs=arguments.motifs,
        output=arguments.output,
    )
    for target, numbers in found["targets"].items():
        print(
            f"{target}: AUROC {numbers['auroc_model']:.4f} on {numbers['positives']} + {numbers['negatives']} test "
            f"regions, best possible {numbers['auroc_best']:.4f}"
        )
    for key, numbers in found["contributions"].items():
        print(f"{key}: AUROC {numbers['auroc']:.4f} of |contribution| for 'inside a planted motif'")
    for key, numbers in found["patterns"].items():
        named = (
            f"{each['name'] or 'no name'} (p {each['p']:.1g})" for each in numbers["leading"] if each["p"] is not None
        )
        print(f"{key}: {', '.join(named) or numbers['message']}")
    for key, numbers in found["hits"].items():
        scans = ", ".join(f"{name} {_share(scan['precision'])}" for name, scan in numbers["scans"].items())
        print(
            f"{key}: {numbers['calls']} hits, precision {_share(numbers['precision'])}, recall "
            f"{_share(numbers['recall'])} of {numbers['sites']} planted sites (precision of scans with the same number "
            f"of calls: {scans})"
        )
    print(f"written: {arguments.output}")


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
