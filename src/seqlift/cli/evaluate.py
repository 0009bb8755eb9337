"""`seqlift evaluate`: models on held-out regions, beside simple baselines."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.errors import SeqliftError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "--model", "--regions", "--summary", "--genome")
    text = "known motifs, the best of which is a baseline: jaspar:<group> or a MEME file; without it there is none"
    parser.add_argument("--database", metavar="MOTIFS", help=text)
    parser.add_argument("--seed", type=int, default=1, help="seed of bootstraps and samples (default: %(default)s)")
    add_shared(parser, "--device")
    add_required(parser, "--output-dir", "DIR", "folder for metrics.json and predictions.tsv.gz")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, and print the model beside its baselines."""
    from seqlift.data.genome import Genome
    from seqlift.evaluation.evaluate import evaluate_models
    from seqlift.evaluation.printing import print_comparison
    from seqlift.regions.table import read_regions, read_summary

    if arguments.seed < 0:
        raise SeqliftError(f"--seed (={arguments.seed}) must be at least 0")
    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        metrics = evaluate_models(
            arguments.model,
            table,
            read_summary(arguments.summary),
            genome,
            database=arguments.database,
            seed=arguments.seed,
            device=arguments.device,
            output_dir=arguments.output_dir,
        )
    print_comparison(metrics)
    print(f"written: {arguments.output_dir}")
