"""`seqlift motifs`: find and name the patterns in a score file."""

import argparse

from seqlift.cli.shared import add_shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_shared(parser, "--scores", "--database")
    parser.add_argument(
        "--max-seqlets",
        type=int,
        default=2000,
        metavar="N",
        help="most seqlets of each sign that are clustered, half of them the strongest, half spread over the "
        "rest of the ranking; more find rarer motifs, slower "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--window",
        type=int,
        default=200,
        metavar="BP",
        help="so many bp in the middle of each region are searched (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.01,
        metavar="Q",
        help="largest p-value, calibrated and corrected for many patterns, that gives a name (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="of shuffled patterns, and of the regions from which thresholds are learnt (default: %(default)s)",
    )
    parser.add_argument(
        "--tfmodisco",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of TF-MoDISco by its own names, such as n_leiden_runs=50 (docs/motifs.md)",
    )
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the patterns and motifs.json")


def run(arguments: argparse.Namespace) -> None:
    """Find the patterns and print them."""
    from seqlift.motifs.discovery import discover
    from seqlift.motifs.folder import read_motifs
    from seqlift.motifs.settings import parse_settings

    summary = discover(
        arguments.scores,
        arguments.output_dir,
        database=arguments.database,
        max_seqlets=arguments.max_seqlets,
        window=arguments.window,
        threshold=arguments.threshold,
        seed=arguments.seed,
        tfmodisco=parse_settings(arguments.tfmodisco),
    )
    found = [summary.seqlets["found_positive"], summary.seqlets["found_negative"]]
    chosen = sum(min(several, arguments.max_seqlets) for several in found)
    print(
        f"{summary.target} {summary.method}: {summary.patterns} patterns in {summary.regions} regions, from {chosen:,} "
        f"of {sum(found):,} seqlets"
    )
    print(f"written: {arguments.output_dir}")
    if summary.message:
        print(summary.message)
        return
    table = read_motifs(arguments.output_dir).table
    print(table[["pattern", "seqlets", "name", "match_id", "p", "q", "consensus"]].to_string(index=False))
