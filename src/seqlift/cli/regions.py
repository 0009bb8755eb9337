"""`seqlift regions`: windows around peaks, negatives, labels and splits."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.errors import SeqliftError
from seqlift.regions.settings import RegionSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--genome")
    targets = parser.add_mutually_exclusive_group(required=True)
    text = "a target and its peaks (BED, narrowPeak or broadPeak, may be gzipped); once for each target"
    targets.add_argument("--target", action="append", metavar="NAME=PEAKS", help=text)
    targets.add_argument("--targets", metavar="TSV", help="table of targets: name, peaks, signal, control, ...")
    text = "folder in which the paths of the table of targets start (default: %(default)s)"
    parser.add_argument("--data-dir", default=".", metavar="DIR", help=text)
    add_required(parser, "--output", "TSV", "regions.tsv.gz to write")
    add_required(parser, "--summary", "JSON", "regions.json to write: what was kept and dropped")
    add_flags(parser, RegionSettings)


def run(arguments: argparse.Namespace) -> None:
    """Make and write the regions, and print what was kept and dropped."""
    from seqlift.data.targets import Target, read_targets
    from seqlift.regions.make import make_regions
    from seqlift.regions.peaks import DROPPED
    from seqlift.regions.table import write_regions

    settings = settings_from(arguments, RegionSettings)
    targets = [] if arguments.target else read_targets(arguments.targets, data_dir=arguments.data_dir)
    for text in arguments.target or []:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            raise SeqliftError(f"--target {text!r} must be NAME=PEAKS, as in --target Reb1=Reb1.narrowPeak")
        targets.append(Target(name, path))
    regions = make_regions(arguments.genome, targets, settings)
    write_regions(regions, arguments.output, arguments.summary)
    summary = regions.summary
    for name, peaks in summary["peaks"].items():
        print(f"{peaks['read']} peaks of {name}: {peaks['path']}")
    print(f"{arguments.output}: {len(regions.table)} regions of {settings.length} bp")
    for split, counts in summary["kept"].items():
        parts = ", ".join(f"{count} {name}" for name, count in counts.items())
        background = summary["background"].get(split)
        random = f", {background} background" if background else ""
        print(f"  {split}: {summary['regions'][split]} regions ({parts}{random})")
    for reason, count in summary["dropped"].items():
        if count:
            print(f"  {count} peaks make no region of their own: {DROPPED[reason]}")
    if summary["duplicates"]["across_splits_dropped"]:
        print(f"  {summary['duplicates']['across_splits_dropped']} regions dropped: their sequence is in another split")
