"""`seqlift simulate`: the GATA1/TAL1 experiment of the DeepLIFT paper, as the files of a real project."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the stage."""
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the files")
    parser.add_argument("--seed", required=True, type=int, help="the same seed gives the same bytes")
    parser.add_argument("--sequences", type=int, default=8000, metavar="N", help="multiple of 4 (default: %(default)s)")
    parser.add_argument("--length", type=int, default=200, metavar="BP", help="of a sequence (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Make the simulation and say where it is."""
    from seqlift.data.simulate import simulate

    made = simulate(arguments.output_dir, seed=arguments.seed, n_sequences=arguments.sequences, length=arguments.length)
    targets = ", ".join(made.targets)
    print(f"{made.folder}: genome, peaks of {targets}, and the truth about {arguments.sequences} sequences")
