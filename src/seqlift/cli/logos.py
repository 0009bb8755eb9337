"""`seqlift logos`: draw the logos of a folder of motifs, or of a compendium."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import LogoSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--motifs", metavar="DIR", help="folder of `seqlift motifs`")
    source.add_argument("--compendium", metavar="DIR", help="or folder of `seqlift compendium`")
    add_shared(parser, "--database")
    add_required(parser, "--output-dir", "DIR", "folder for the logos, usually DIR/logos")
    add_flags(parser, LogoSettings)


def run(arguments: argparse.Namespace) -> None:
    """Draw them."""
    settings = {"database": arguments.database, "colours": settings_from(arguments, LogoSettings).colours}
    if arguments.motifs:
        from seqlift.motifs.drawing import draw_logos

        drawn = draw_logos(arguments.motifs, arguments.output_dir, **settings)
    else:
        from seqlift.motifs.compendium.drawing import draw_compendium

        drawn = draw_compendium(arguments.compendium, arguments.output_dir, **settings)
    folder = arguments.motifs or arguments.compendium
    print(f"{len(drawn['patterns'])} motifs of {folder} drawn: {arguments.output_dir}")
