"""`seqlift regions`: windows around peaks, negatives, labels and splits."""

import argparse

from seqlift.errors import SeqliftError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    parser.add_argument("--genome", required=True, metavar="FASTA", help="plain, gzip or bgzip")
    parser.add_argument(
        "--target",
        required=True,
        action="append",
        metavar="NAME=PEAKS",
        help="a target and its peaks (BED, narrowPeak or broadPeak, may be gzipped); once for each target",
    )
    parser.add_argument("--length", required=True, type=int, metavar="BP", help="length of each window")
    parser.add_argument("--valid", required=True, nargs="+", metavar="CHR", help="chromosomes for early stopping")
    parser.add_argument("--test", required=True, nargs="+", metavar="CHR", help="chromosomes held out for the metrics")
    parser.add_argument(
        "--negatives",
        choices=["genome", "shuffled"],
        default="genome",
        help="drawn from the genome, matched in GC content, or dinucleotide shuffles of the positives",
    )
    parser.add_argument("--ratio", type=float, default=1.0, help="negatives for each positive (default: %(default)s)")
    parser.add_argument(
        "--min-distance",
        type=int,
        default=1000,
        metavar="BP",
        help="between a negative from the genome and any peak (default: %(default)s)",
    )
    parser.add_argument(
        "--merge-distance",
        type=int,
        default=0,
        metavar="BP",
        help="summits this near make one region (default: %(default)s, the same base)",
    )
    parser.add_argument(
        "--top-share",
        type=float,
        default=1.0,
        metavar="X",
        help="share of each target's peaks to keep, the best by score (default: %(default)s)",
    )
    parser.add_argument(
        "--max-n-share", type=float, default=0.1, metavar="X", help="largest share of N (default: %(default)s)"
    )
    parser.add_argument(
        "--jitter", type=int, default=0, metavar="BP", help="room on either side of a window (default: %(default)s)"
    )
    parser.add_argument(
        "--exclude-chromosomes", nargs="*", default=[], metavar="PATTERN", help="shell patterns, as 'chrUn_*'"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the negatives (default: %(default)s)")
    parser.add_argument("--output", required=True, metavar="TSV", help="regions.tsv.gz")
    parser.add_argument("--summary", required=True, metavar="JSON", help="regions.json: what was kept and dropped")


def run(arguments: argparse.Namespace) -> None:
    """Make and write the regions, and say what was kept and dropped."""
    from seqlift.regions import DROPPED, make_regions, write_regions
    from seqlift.targets import Target

    targets = []
    for text in arguments.target:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            raise SeqliftError(f"--target {text!r} must be NAME=PEAKS, as in --target Reb1=Reb1.narrowPeak")
        targets.append(Target(name, path))
    regions = make_regions(
        arguments.genome,
        targets,
        length=arguments.length,
        valid=arguments.valid,
        test=arguments.test,
        negatives=arguments.negatives,
        ratio=arguments.ratio,
        min_distance=arguments.min_distance,
        merge_distance=arguments.merge_distance,
        top_share=arguments.top_share,
        max_n_share=arguments.max_n_share,
        jitter_margin=arguments.jitter,
        exclude_chromosomes=arguments.exclude_chromosomes,
        seed=arguments.seed,
    )
    write_regions(regions, arguments.output, arguments.summary)
    summary = regions.summary
    print(f"{arguments.output}: {len(regions.table)} regions of {arguments.length} bp")
    for split, counts in summary["kept"].items():
        parts = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"  {split}: {summary['regions'][split]} regions ({parts})")
    for reason, count in summary["dropped"].items():
        if count:
            print(f"  {count} peaks make no region of their own: {DROPPED[reason]}")
