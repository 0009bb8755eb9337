"""`seqlift gather`: put the score files of shards together."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift gather`."""
    parser.add_argument(
        "--scores",
        required=True,
        nargs="+",
        metavar="H5",
        help="the files of `seqlift attribute --shard`, in any order",
    )
    parser.add_argument("--output", required=True, metavar="H5", help="the score file to write")


def run(arguments: argparse.Namespace) -> None:
    """Gather the scores."""
    from seqlift.scores.gather import gather_scores

    n = gather_scores(arguments.scores, arguments.output)
    print(f"{n} regions of {len(arguments.scores)} shards gathered: {arguments.output}")
