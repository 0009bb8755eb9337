"""`seqlift convert`: base scores of other programs as score files, and score files in their formats."""

import argparse
import contextlib

FORMATS = ("seqlift", "modisco", "chrombpnet", "bpreveal", "bpnet-lite", "bedgraph")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--from", dest="origin", required=True, choices=FORMATS, help="the format that is there")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format to write")
    parser.add_argument("--scores", required=True, metavar="FILE", help="the scores: HDF5, .npz or bedGraph")
    parser.add_argument("--sequences", metavar="NPZ", help="the one-hot sequences of modisco and bpnet-lite")
    parser.add_argument("--regions", metavar="BED", help="where the rows lie, a line for each, in their order")
    parser.add_argument("--kept", metavar="NPY", help="bpnet-lite's mask of the loci that have a row (idx_filename)")
    parser.add_argument(
        "--genome",
        metavar="FASTA",
        help="check the sequences against it; required for bedgraph and --to bpreveal",
    )
    parser.add_argument("--target", metavar="NAME", help="of a score file: what is explained")
    parser.add_argument("--method", metavar="NAME", help="of a score file: how it was explained")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write; the prefix of .npz archives")


def run(arguments: argparse.Namespace) -> None:
    """Convert and say what was written."""
    from seqlift.convert import Source, convert
    from seqlift.data.genome import Genome

    source = Source(arguments.origin, arguments.scores, arguments.sequences, arguments.regions, arguments.kept)
    with contextlib.nullcontext() if arguments.genome is None else Genome(arguments.genome) as genome:
        done = convert(
            source, arguments.to, arguments.output, target=arguments.target, method=arguments.method, genome=genome
        )
    print(f"{done.rows:,} regions: {', '.join(map(str, done.files))}")
    if arguments.to == "seqlift" and not done.hypothetical_known:
        print(
            "The hypothetical contributions are unknown (0 for the bases that are not there): tracks, averages and the "
            "report can use these scores, motif discovery cannot."
        )
