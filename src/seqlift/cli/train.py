"""`seqlift train`: a model from regions."""

import argparse
import json
import logging

from seqlift.errors import SeqliftError

HELP = "train a model on regions: model.ckpt, history.tsv, metrics.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift train`."""
    parser.add_argument("--regions", required=True, metavar="TSV", help="regions.tsv.gz of `seqlift regions`")
    parser.add_argument("--genome", required=True, metavar="FASTA", help="the genome the regions lie on")
    parser.add_argument(
        "--architecture",
        required=True,
        metavar="JSON",
        help='type and hyperparameters, for example \'{"type": "basset", "dropout": 0.3}\'',
    )
    parser.add_argument("--epochs", type=int, required=True, help="at most so many passes over the training regions")
    parser.add_argument("--batch-size", type=int, required=True, help="regions in a step")
    parser.add_argument("--learning-rate", type=float, required=True, help="of AdamW")
    parser.add_argument("--weight-decay", type=float, required=True, help="of AdamW")
    parser.add_argument("--patience", type=int, required=True, help="epochs without improvement before stopping")
    parser.add_argument("--jitter", type=int, required=True, metavar="BP", help="largest random move of a region")
    parser.add_argument(
        "--reverse-complement",
        action=argparse.BooleanOptionalAction,
        required=True,
        help="whether half of the regions are read from the other strand in training",
    )
    parser.add_argument("--seed", type=int, required=True, help="of everything that is random")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU if there is one")
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="for model.ckpt, history.tsv, metrics.json")


def run(arguments: argparse.Namespace) -> None:
    """Train and say how good the model is."""
    try:
        architecture = json.loads(arguments.architecture)
        if not isinstance(architecture, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise SeqliftError(
            f'--architecture (={arguments.architecture!r}) must be a JSON object like {{"type": "basset"}}: {error}'
        ) from None

    from seqlift.genome import Genome
    from seqlift.regions import read_regions
    from seqlift.training import train_model

    logging.basicConfig(format="%(message)s")
    logging.getLogger("seqlift").setLevel(logging.INFO)
    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        metrics = train_model(
            table,
            genome,
            architecture=architecture,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            weight_decay=arguments.weight_decay,
            patience=arguments.patience,
            jitter=arguments.jitter,
            reverse_complement=arguments.reverse_complement,
            seed=arguments.seed,
            device=arguments.device,
            output_dir=arguments.output_dir,
        )
    for name, numbers in metrics["targets"].items():
        print(f"{name}: AUROC {numbers['auroc']:.3f} ({numbers['auroc_low']:.3f} to {numbers['auroc_high']:.3f})")
