"""`seqlift simulate`: the GATA1/TAL1 experiment of the DeepLIFT paper, as the files of a real project."""

import argparse

from seqlift.cli.shared import add_required
from seqlift.core.settings import add_flags, settings_from
from seqlift.data.settings import SimulationSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_required(parser, "--output-dir", "DIR", "folder for the files")
    text = "length of a sequence (default: %(default)s)"
    parser.add_argument("--length", type=int, default=200, metavar="BP", help=text)
    add_flags(parser, SimulationSettings)


def run(arguments: argparse.Namespace) -> None:
    """Make the simulation and say where it is."""
    from seqlift.data.simulate import simulate

    settings = settings_from(arguments, SimulationSettings)
    made = simulate(arguments.output_dir, seed=settings.seed, n_sequences=settings.sequences, length=arguments.length)
    targets = ", ".join(made.targets)
    print(f"{made.folder}: genome, peaks of {targets}, and the truth about {settings.sequences} sequences")
