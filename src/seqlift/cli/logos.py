"""`seqlift logos`: draw the logos of a folder of motifs."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--motifs", required=True, metavar="DIR", help="folder of `seqlift motifs`")
    parser.add_argument(
        "--database",
        default="jaspar:vertebrates",
        metavar="NAME|MEME",
        help="known motifs by which the patterns were named: jaspar:<group> or a MEME file (default: %(default)s)",
    )
    parser.add_argument(
        "--colours",
        default="classic",
        metavar="NAME",
        help="classic, or colour-blind: colours that colour-blind people can tell apart (default: %(default)s)",
    )
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the logos, usually DIR/logos")


def run(arguments: argparse.Namespace) -> None:
    """Draw them."""
    from seqlift.motifs.drawing import draw_logos

    draw_logos(arguments.motifs, arguments.output_dir, database=arguments.database, colours=arguments.colours)
