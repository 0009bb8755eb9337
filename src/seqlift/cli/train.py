"""`seqlift train`: a model from regions."""

import argparse

from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, read_json, settings_from
from seqlift.training.settings import TrainingSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_shared(parser, "--regions")
    add("--summary", metavar="JSON", help="regions.json of `seqlift regions`; needed by heads that predict a signal")
    add_shared(parser, "--genome")
    text = "type, head and settings of the network as a JSON object, or @FILE (default: %(default)s)"
    add("--architecture", default='{"type": "basset"}', metavar="JSON", help=text)
    add("--fold", type=int, metavar="I", help="fold to hold out, from 0, if the regions are split into folds")
    add_shared(parser, "--device")
    add("--devices", type=int, default=1, metavar="N", help="GPUs, or processes on the CPU, that share each step")
    add_required(parser, "--output-dir", "DIR", "folder for model.ckpt and history.tsv")
    add_flags(parser, TrainingSettings)


def run(arguments: argparse.Namespace) -> None:
    """Train, and print what has been learned."""
    settings = settings_from(arguments, TrainingSettings)
    architecture = read_json(arguments.architecture, "--architecture")
    from seqlift.data.genome import Genome
    from seqlift.regions.table import read_regions, read_summary
    from seqlift.training.train import train_model

    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        training = train_model(
            table,
            genome,
            read_summary(arguments.summary) if arguments.summary else None,
            architecture=architecture,
            settings=settings,
            fold=arguments.fold,
            device=arguments.device,
            devices=arguments.devices,
            output_dir=arguments.output_dir,
        )
    learned = ", ".join(f"{name} {'yes' if good else 'NO'}" for name, good in training["learned_targets"].items())
    print(
        f"validation loss {training['valid_loss']:.4f} in epoch {training['best_epoch']} of {training['epochs_run']} "
        f"(constant predictions: {training['base_rate_loss']:.4f}); learned: {learned}"
    )
    print(f"written: {arguments.output_dir}")
