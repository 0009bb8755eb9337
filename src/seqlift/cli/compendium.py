"""`seqlift compendium`: one entry for each motif of all targets, methods and folds."""

import argparse

from seqlift.cli.shared import add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import CompendiumSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--motifs",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of `seqlift motifs`, with the hits of `seqlift hits`; their order does not matter",
    )
    add_shared(parser, "--database")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.01,
        metavar="P",
        help="two patterns are one motif if TOMTOM's p-value, times the number of other patterns, is at most this ... "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--similarity",
        type=float,
        default=0.9,
        metavar="COSINE",
        help="... and the cosine of their CWMs at least this (default: %(default)s)",
    )
    parser.add_argument(
        "--naming-threshold",
        type=float,
        default=0.01,
        metavar="Q",
        help="largest p-value, calibrated and corrected for many motifs, that gives a name (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the null of the names (default: %(default)s)")
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the compendium")
    add_flags(parser, CompendiumSettings)


def run(arguments: argparse.Namespace) -> None:
    """Build the compendium and print it."""
    from seqlift.motifs.compendium.build import build_compendium, read_compendium

    settings = settings_from(arguments, CompendiumSettings)
    build_compendium(arguments.motifs, arguments.output_dir, database=arguments.database, settings=settings)
    written = read_compendium(arguments.output_dir)
    print(f"{written.summary['patterns']} patterns are {len(written.motifs)} motifs, {written.summary['named']} named")
    print(f"written: {arguments.output_dir}")
    if written.summary["message"]:
        print(written.summary["message"])
        return
    columns = ["motif", "sign", "name", "q", "consensus", "members", "seqlets", "hits", "regions"]
    print(written.motifs[columns].to_string(index=False))
