"""`seqlift hits`: where each pattern is used."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.motifs.settings import HitSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--scores")
    add_required(parser, "--motifs", "DIR", "folder of `seqlift motifs` for these scores")
    add_required(parser, "--output-dir", "DIR", "folder for hits.bed.gz and hits.json")
    add_flags(parser, HitSettings)


def run(arguments: argparse.Namespace) -> None:
    """Call the hits and print how many there are."""
    from seqlift.motifs.hits.call import call_hits

    settings = settings_from(arguments, HitSettings)
    found = call_hits(arguments.scores, arguments.motifs, arguments.output_dir, min_similarity=settings.min_similarity)
    print(f"{found.target} {found.method}: {found.hits} hits in {found.regions_with_hits} of {found.regions} regions")
    print(f"written: {arguments.output_dir}")
    if found.message:
        print(found.message)
    if found.hits:
        print(f"{found.explained:.1%} of the total |contribution| lies under hits")
    for one in found.patterns:
        print(
            f"  {one['pattern']} {one['name'] or 'no name'}: {one['hits']} hits in {one['regions']} regions, "
            f"{one['seqlet_recall']:.1%} of {one['seqlets']} seqlets"
        )
