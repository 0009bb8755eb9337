"""`seqlift aggregate`: the mean contribution around any sites."""

import argparse

from seqlift.aggregates.settings import AggregateSettings
from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import LogoSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--scores")
    add_required(parser, "--sites", "BED", "motif hits, transcription start sites, or any others")
    add_required(parser, "--output-prefix", "P", "writes P.tsv, P.json, P.svg and P.png")
    add_flags(parser, AggregateSettings, LogoSettings, leave_out=["sites"])


def run(arguments: argparse.Namespace) -> None:
    """Average, write and say over how many sites."""
    from seqlift.aggregates.averaging import aggregate
    from seqlift.aggregates.writing import write_aggregate

    flank = settings_from(arguments, AggregateSettings, leave_out=["sites"]).flank
    result = aggregate(arguments.scores, arguments.sites, flank=flank)
    files = write_aggregate(result, arguments.output_prefix, colours=settings_from(arguments, LogoSettings).colours)
    summary = result.summary
    print(
        f"{files[0]}: {summary.used:,} of {summary.total:,} sites; {summary.outside:,} lie outside the scored regions"
        + (f", {summary.cut:,} reach beyond one or hold N" if summary.cut else "")
    )
    if summary.message:
        print(summary.message)
