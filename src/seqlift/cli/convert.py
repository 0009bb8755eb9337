"""`seqlift convert`: base scores of other programs as score files, and score files in their formats."""

import argparse
import contextlib

from seqlift.cli.shared import add_required

FORMATS = ("seqlift", "modisco", "chrombpnet", "bpreveal", "bpnet-lite", "bedgraph")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--from", dest="origin", required=True, choices=FORMATS, help="format of the scores")
    add("--to", required=True, choices=FORMATS, help="format to write")
    add_required(parser, "--scores", "FILE", "the scores: HDF5, .npz or bedGraph")
    add("--sequences", metavar="NPZ", help="the one-hot sequences of modisco and bpnet-lite")
    add("--regions", metavar="BED", help="coordinates of the rows, one line for each, in their order")
    add("--kept", metavar="NPY", help="bpnet-lite's mask of the loci that have a row (idx_filename)")
    add("--genome", metavar="FASTA", help="check the sequences against it; required for bedgraph and --to bpreveal")
    add("--target", metavar="NAME", help="of a score file: the output that is explained")
    add("--method", metavar="NAME", help="of a score file: the attribution method")
    add_required(parser, "--output", "FILE", "file to write; the prefix of .npz archives")


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
