"""`seqlift grammar`: motifs that occur together in a region, their order and distance."""

import argparse

from seqlift.cli.shared import accept_lists, add_required
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import GrammarSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    accept_lists(parser)
    add_required(parser, "--compendium", "DIR", "folder of `seqlift compendium`")
    add_required(parser, "--motifs", "DIR", "folders of motifs that it was made of, with hits", nargs="+")
    add_required(parser, "--scores", "H5", "their score files, which define the regions", nargs="+")
    add_required(parser, "--output-dir", "DIR", "folder for grammar.tsv and its figure")
    add_flags(parser, GrammarSettings)


def run(arguments: argparse.Namespace) -> None:
    """Find the grammar and print the significant pairs."""
    from seqlift.motifs.grammar.find import find_grammar

    table = find_grammar(
        arguments.compendium,
        arguments.motifs,
        arguments.scores,
        arguments.output_dir,
        max_spacing=settings_from(arguments, GrammarSettings).max_spacing,
    )
    out = table[(table["q"] <= 0.05) | (table["orientation_q"] <= 0.05) | (table["spacing_q"] <= 0.05)]
    print(f"{len(table)} pairs of motifs (by output and method), {len(out)} with a q of at most 0.05")
    print(f"written: {arguments.output_dir}")
    if len(out):
        columns = ["output", "method", "motif_a", "motif_b", "name_a", "name_b", "together", "enrichment", "q"]
        columns += ["orientation", "orientation_q", "spacing", "spacing_orientation", "spacing_q"]
        print(out.sort_values("q")[columns].head(30).to_string(index=False, float_format="{:.3g}".format, na_rep="-"))
