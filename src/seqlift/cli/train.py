"""`seqlift train`: a model from regions."""

import argparse
import json
import logging

from seqlift.cli.shared import add_shared
from seqlift.errors import SeqliftError

# fmt: off
_PASSED_ON = [
    "epochs", "batch_size", "learning_rate", "weight_decay", "patience", "jitter", "reverse_complement", "seed", "fold",
    "schedule", "gradient_clip", "precision", "class_weights", "count_weight", "restarts", "device", "devices",
    "tensorboard", "output_dir",
]
# fmt: on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift train`."""
    add, yes_no = parser.add_argument, argparse.BooleanOptionalAction
    add_shared(parser, "--regions")
    add("--summary", metavar="JSON", help="regions.json of `seqlift regions`; needed by heads that predict a signal")
    add_shared(parser, "--genome")
    add("--architecture", required=True, metavar="JSON",
        help='type, head and hyperparameters, for example \'{"type": "basset", "dropout": 0.3}\'')  # fmt: skip
    add("--epochs", type=int, required=True, help="at most so many passes over the training regions")
    add("--batch-size", type=int, required=True, help="regions in a step, of all devices together")
    add("--learning-rate", type=float, required=True, help="of AdamW")
    add("--weight-decay", type=float, required=True, help="of AdamW")
    add("--patience", type=int, required=True, help="epochs without improvement before stopping (at least 300 steps)")
    add("--jitter", type=int, required=True, metavar="BP", help="largest random move of a region")
    add("--reverse-complement", action=yes_no, required=True,
        help="whether half of the regions are read from the other strand in training")  # fmt: skip
    add("--seed", type=int, required=True, help="of everything that is random")
    add("--fold", type=int, metavar="I", help="fold to hold out, from 0, where the regions are split into folds")
    add("--schedule", default="cosine", choices=["cosine", "constant", "plateau"], help="of the learning rate")
    add("--gradient-clip", type=float, metavar="X", help="longest gradient (2-norm); without it none is shortened")
    add("--precision", default="32", choices=["32", "bf16-mixed", "16-mixed"], help="bits, in training")
    add("--class-weights", default="none", choices=["none", "balanced"],
        help="balanced: positives of a target count as much as its negatives (head classes)")  # fmt: skip
    add("--count-weight", type=float, default=1.0, metavar="X",
        help="weight of counts against the profile's shape (head profile); 1: as likely as the reads are")  # fmt: skip
    add("--restarts", type=int, default=2, metavar="N",
        help="start again with the next seed, up to so many times, if nothing has been learned")  # fmt: skip
    add_shared(parser, "--device")
    add("--devices", type=int, default=1, metavar="N", help="GPUs, or processes on the CPU, that share each step")
    add("--tensorboard", action=yes_no, default=False, help="whether to write TensorBoard events to DIR/tensorboard")
    add("--output-dir", required=True, metavar="DIR", help="for model.ckpt, history.tsv")


def run(arguments: argparse.Namespace) -> None:
    """Train and say what has been learned."""
    architecture = _json_object("--architecture", arguments.architecture, arguments.architecture)
    summary = None
    if arguments.summary:
        try:
            with open(arguments.summary) as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise SeqliftError(f"{arguments.summary}: cannot be read: {error}") from None
        summary = _json_object("--summary", arguments.summary, text)

    from seqlift.data.genome import Genome
    from seqlift.regions.table import read_regions
    from seqlift.training.train import train_model

    logging.basicConfig(format="%(message)s")
    logging.getLogger("seqlift").setLevel(logging.INFO)
    table = read_regions(arguments.regions)
    settings = {name: getattr(arguments, name) for name in _PASSED_ON}
    with Genome(arguments.genome) as genome:
        training = train_model(table, genome, summary, architecture=architecture, **settings)
    learned = ", ".join(f"{name} {'yes' if good else 'NO'}" for name, good in training["learned_targets"].items())
    print(
        f"validation loss {training['valid_loss']:.4f} in epoch {training['best_epoch']} of {training['epochs_run']} "
        f"(always saying the same: {training['base_rate_loss']:.4f}); learned: {learned}"
    )
    print(f"written: {arguments.output_dir}")


def _json_object(flag: str, value: str, text: str) -> dict:
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise SeqliftError(f'{flag} (={value!r}) must be a JSON object like {{"type": "basset"}}: {error}') from None
    return content
