"""`seqlift motifs`: find and name the patterns in a score file."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import MotifSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--scores")
    add_required(parser, "--output-dir", "DIR", "folder for the patterns and motifs.json")
    add_flags(parser, MotifSettings)


def run(arguments: argparse.Namespace) -> None:
    """Find the patterns and print them."""
    from seqlift.motifs.discovery import discover
    from seqlift.motifs.folder import read_motifs

    settings = settings_from(arguments, MotifSettings)
    summary = discover(arguments.scores, arguments.output_dir, **vars(settings))
    found = [summary.seqlets["found_positive"], summary.seqlets["found_negative"]]
    chosen = sum(min(several, settings.max_seqlets) for several in found)
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
