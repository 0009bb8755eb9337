"""`seqlift regions`: windows around peaks, negatives, labels and splits."""

import argparse

from seqlift.errors import SeqliftError

# Flags without more to say than a type, a unit and a line of help: name, type, default, metavar, help
_NUMBERS = [
    ("folds", int, 0, "K", "deal out the chromosomes to K folds instead of --valid and --test"),
    ("negative-sets", int, 1, "N", "sets of negatives for training, of which each epoch sees one"),
    ("ratio", float, 1.0, "X", "negatives for each positive"),
    ("min-distance", int, 1000, "BP", "between a negative, jitter included, and any peak"),
    ("merge-distance", int, 0, "BP", "summits this near make one region; 0: the same base"),
    ("top-fraction", float, 1.0, "X", "share of each target's peaks to keep, the best by score"),
    ("max-n-fraction", float, 0.1, "X", "largest share of N"),
    ("jitter", int, 0, "BP", "room on either side of a window"),
    ("background", int, 0, "N", "random windows of each test split, for metrics at the true imbalance"),
    ("signal-window", int, None, "BP", "middle of a region that the signal is summed over (default: all of it)"),
    ("seed", int, 1, "N", "of the negatives"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    add = parser.add_argument
    add("--genome", required=True, metavar="FASTA", help="plain, gzip or bgzip")
    targets = parser.add_mutually_exclusive_group(required=True)
    text = "a target and its peaks (BED, narrowPeak or broadPeak, may be gzipped); once for each target"
    targets.add_argument("--target", action="append", metavar="NAME=PEAKS", help=text)
    targets.add_argument("--targets", metavar="TSV", help="table of targets: name, peaks, signal, control, ...")
    add("--data-dir", default=".", metavar="DIR", help="what paths in the table of targets are relative to")
    add("--length", required=True, type=int, metavar="BP", help="length of each window")
    text = "chromosomes, patterns or intervals (chr20:1-40000000)"
    add("--valid", nargs="+", default=[], metavar="CHR", help=f"{text} for early stopping")
    add("--test", nargs="+", default=[], metavar="CHR", help=f"{text} held out for the metrics")
    add(
        "--negatives", choices=["genome", "shuffled", "unbound", "bed"], default="genome", help="(default: %(default)s)"
    )
    add("--negatives-file", metavar="FILE", help="peaks for unbound, BED for bed")
    add("--exclude-chromosomes", nargs="*", default=[], metavar="PATTERN", help="shell patterns, as 'chrUn_*'")
    add("--exclude-regions", nargs="*", default=[], metavar="BED", help="no region overlaps these, as a blacklist")
    add("--include-regions", nargs="*", default=[], metavar="BED", help="every region lies inside these, of each file")
    text = "what a base without a value in a bigWig means: nothing there, or not known (default: %(default)s)"
    add("--missing", choices=["zero", "mask"], default="zero", help=text)
    text = "what to do with values below 0 (default: %(default)s)"
    add("--negative", choices=["refuse", "clip", "absolute"], default="refuse", help=text)
    for name, kind, default, metavar, text in _NUMBERS:
        shown = text if default is None else f"{text} (default: %(default)s)"
        add(f"--{name}", type=kind, default=default, metavar=metavar, help=shown)
    add("--output", required=True, metavar="TSV", help="regions.tsv.gz")
    add("--summary", required=True, metavar="JSON", help="regions.json: what was kept and dropped")


def run(arguments: argparse.Namespace) -> None:
    """Make and write the regions, and say what was kept and dropped."""
    from seqlift.data.targets import Target, read_targets
    from seqlift.regions.make import make_regions
    from seqlift.regions.peaks import DROPPED
    from seqlift.regions.table import write_regions

    settings = vars(arguments).copy()
    for name in ("stage", "genome", "target", "targets", "data_dir", "output", "summary"):
        settings.pop(name, None)
    settings["jitter_margin"] = settings.pop("jitter")
    targets = [] if arguments.target else read_targets(arguments.targets, data_dir=arguments.data_dir)
    for text in arguments.target or []:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            raise SeqliftError(f"--target {text!r} must be NAME=PEAKS, as in --target Reb1=Reb1.narrowPeak")
        targets.append(Target(name, path))
    regions = make_regions(arguments.genome, targets, **settings)
    write_regions(regions, arguments.output, arguments.summary)
    summary = regions.summary
    for name, peaks in summary["peaks"].items():
        print(f"{peaks['read']} peaks of {name}: {peaks['path']}")
    print(f"{arguments.output}: {len(regions.table)} regions of {arguments.length} bp")
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
