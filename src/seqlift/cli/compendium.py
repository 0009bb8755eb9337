"""`seqlift compendium`: one entry for each motif of all targets, methods and folds."""

import argparse

from seqlift.cli.shared import accept_lists, add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import CompendiumSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    accept_lists(parser)
    text = "folders of `seqlift motifs`, with the hits of `seqlift hits`; their order does not matter"
    add_required(parser, "--motifs", "DIR", text, nargs="+")
    add_shared(parser, "--database")
    add_required(parser, "--output-dir", "DIR", "folder for the compendium")
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
