"""`seqlift tracks`: a score file as bigWig."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--scores", required=True, metavar="H5", help="score file of `seqlift attribute`")
    parser.add_argument(
        "--genome-sizes", required=True, metavar="FILE", help="regions.json, or the FASTA, for the chromosome sizes"
    )
    parser.add_argument(
        "--overlap",
        choices=["nearest-summit", "mean"],
        default="nearest-summit",
        help="which score a base takes where regions overlap: that of the region with the nearest centre, or the mean "
        "(default: %(default)s)",
    )
    parser.add_argument("--output", required=True, metavar="BW", help="bigWig to write; <BW>.json is written beside it")


def run(arguments: argparse.Namespace) -> None:
    """Write the track and say what it holds."""
    from seqlift.tracks import read_sizes, write_track

    sizes = read_sizes(arguments.genome_sizes)
    summary = write_track(arguments.scores, arguments.output, chromosome_sizes=sizes, overlap=arguments.overlap)
    print(
        f"{arguments.output}: {summary.bases:,} bp of {summary.regions:,} regions on {len(summary.chromosomes)} "
        f"chromosomes; {summary.bases_in_several_regions:,} bp lay in several regions ({summary.overlap})"
    )
