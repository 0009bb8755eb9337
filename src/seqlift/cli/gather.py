"""`seqlift gather`: put the score files of shards together."""

import argparse

from seqlift.cli.shared import add_required


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_required(parser, "--scores", "H5", "the files of `seqlift attribute --shard`, in any order", nargs="+")
    add_required(parser, "--output", "H5", "the score file to write")


def run(arguments: argparse.Namespace) -> None:
    """Gather the scores."""
    from seqlift.scores.gather import gather_scores

    n = gather_scores(arguments.scores, arguments.output)
    print(f"{n} regions of {len(arguments.scores)} shards gathered: {arguments.output}")
