"""`seqlift truth`: comparison of a run on simulated data with the planted sites."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the stage."""
    parser.add_argument("--simulation", required=True, metavar="DIR", help="folder made by `seqlift simulate`")
    parser.add_argument("--regions", required=True, metavar="FILE", help="regions.tsv.gz of the run")
    parser.add_argument("--predictions", required=True, metavar="FILE", help="predictions.tsv.gz of the run")
    parser.add_argument("--scores", nargs="*", default=[], metavar="FILE", help="score files of the run")
    parser.add_argument("--motifs", nargs="*", default=[], metavar="DIR", help="motif folders of the run, with hits")
    parser.add_argument("--output", required=True, metavar="FILE", help="truth.json to write")


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
            f"{_share(numbers['recall'])} of {numbers['sites']} planted sites (precision of scans with "
            f"the same number of calls: "
            f"{scans})"
        )
    print(f"written: {arguments.output}")


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
