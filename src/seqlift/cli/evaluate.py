"""`seqlift evaluate`: models judged on regions they never saw, beside simple baselines."""

import argparse
import json

from seqlift.cli.shared import add_shared
from seqlift.errors import SeqliftError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    parser.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="CKPT",
        help="model.ckpt of `seqlift train`, or one of each fold and seed",
    )
    add_shared(parser, "--regions")
    parser.add_argument("--summary", required=True, metavar="JSON", help="regions.json of `seqlift regions`")
    add_shared(parser, "--genome")
    parser.add_argument(
        "--database",
        metavar="MOTIFS",
        help="known motifs, the best of which is a baseline: jaspar:<group> or a MEME file; without it there is none",
    )
    parser.add_argument("--seed", type=int, default=1, help="of bootstraps and samples (default: %(default)s)")
    add_shared(parser, "--device")
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="for metrics.json and predictions.tsv.gz")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, and print the model beside its baselines."""
    from seqlift.data.genome import Genome
    from seqlift.evaluation.evaluate import evaluate_models
    from seqlift.evaluation.printing import print_comparison
    from seqlift.regions.table import read_regions

    if arguments.seed < 0:
        raise SeqliftError(f"--seed (={arguments.seed}) must be at least 0")
    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        metrics = evaluate_models(
            arguments.model,
            table,
            _read_summary(arguments.summary),
            genome,
            database=arguments.database,
            seed=arguments.seed,
            device=arguments.device,
            output_dir=arguments.output_dir,
        )
    print_comparison(metrics)
    print(f"written: {arguments.output_dir}")


def _read_summary(path: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            summary = json.load(file)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift regions` makes it") from None
    except ValueError as error:
        raise SeqliftError(f"{path}: not JSON ({error}); make it again with `seqlift regions`") from None
    if not isinstance(summary, dict) or summary.get("format") != "seqlift regions 2":
        raise SeqliftError(f"{path}: not the summary of regions of this seqlift; make it again with `seqlift regions`")
    return summary
