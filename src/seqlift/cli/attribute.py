"""`seqlift attribute`: score every base of a target's peaks."""

import argparse

from seqlift.attribution.reference_kinds import HELP
from seqlift.cli.shared import add_shared

OPTIONS = ("references", "tolerance")  # of the methods with references; the rest is handed on as settings of the method


def count_or_auto(text: str) -> int | str:
    """A whole number, or `auto`."""
    return text if text == "auto" else int(text)


def shard(text: str) -> tuple[int, int]:
    """`2of16`: the second of sixteen."""
    number, count = text.split("of")
    return int(number), int(count)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift attribute`."""
    yes_or_no = argparse.BooleanOptionalAction
    parser.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="CKPT",
        help="model.ckpt of `seqlift train`; of several (folds, seeds) the mean is explained",
    )
    add_shared(parser, "--regions", "--genome")
    parser.add_argument(
        "--target",
        required=True,
        metavar="NAME",
        help="what is explained, at the target's peaks: a target, or of a profile model NAME.counts or NAME.profile",
    )
    parser.add_argument(
        "--model-std", action=yes_or_no, default=False, help="explain each fold and replicate too: how far they agree"
    )
    parser.add_argument("--method", required=True, help="deeplift, interior_gradients or mutagenesis")
    parser.add_argument("--max-regions", type=int, required=True, metavar="M", help="a random sample of so many")
    parser.add_argument("--seed", type=int, required=True, help="of references and samples")
    add_shared(parser, "--device")
    parser.add_argument("--output", required=True, metavar="H5", help="the score file to write")
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="IofN",
        help="only part I of N, as 2of16: a job of its own; see seqlift gather",
    )
    parser.add_argument(
        "--attempt",
        type=int,
        default=1,
        metavar="K",
        help="which try this is: each one after the first takes a quarter of the memory in the model (default: 1)",
    )

    both = parser.add_argument_group("DeepLIFT and interior gradients")
    both.add_argument(
        "--references",
        metavar="KIND",
        help=f"default: dinucleotide. {HELP}",
    )
    both.add_argument("--n-references", type=count_or_auto, metavar="R", help="references of each sequence, or auto")
    both.add_argument(
        "--max-relative-error", type=float, metavar="SHARE", help="auto: largest standard error, as a share"
    )
    both.add_argument("--max-references", type=int, metavar="R", help="auto: at most so many")
    both.add_argument("--center-first-layer", action=yes_or_no, default=None, help="as with centred first weights")
    both.add_argument(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="largest accepted completeness delta, as a share of the change in prediction (or of all contributions)",
    )
    parser.add_argument_group("DeepLIFT").add_argument("--rule", help="rescale (default), reveal-cancel or genomics")
    path = parser.add_argument_group("interior gradients")
    path.add_argument("--steps", type=count_or_auto, metavar="K", help="points on each path, or auto")
    path.add_argument("--step-tolerance", type=float, metavar="SHARE", help="auto: completeness delta to reach")
    path.add_argument("--max-steps", type=int, metavar="K", help="auto: at most so many")
    path.add_argument("--gradient-correction", action=yes_or_no, default=None, help="of gradients off the simplex")
    mutagenesis = parser.add_argument_group("mutagenesis")
    mutagenesis.add_argument("--sample", type=int, metavar="M", help="only so many of the regions")
    mutagenesis.add_argument("--examples", type=int, metavar="E", help="of which the report's examples come first")


def run(arguments: argparse.Namespace) -> None:
    """Explain the regions and write the score file."""
    from seqlift.attribution.attribute import SETTINGS, attribute_regions
    from seqlift.data.genome import Genome
    from seqlift.regions.table import read_regions

    names = {*OPTIONS, *(name for settings in SETTINGS.values() for name in settings)}
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        n = attribute_regions(
            arguments.model,
            table,
            genome,
            arguments.output,
            target=arguments.target,
            method=arguments.method,
            max_regions=arguments.max_regions,
            seed=arguments.seed,
            model_std=arguments.model_std,
            device=arguments.device,
            shard=arguments.shard,
            attempt=arguments.attempt,
            **given,
        )
    part = "" if arguments.shard is None else ", shard {} of {}".format(*arguments.shard)
    print(f"{n} regions of {arguments.target}{part} explained: {arguments.output}")
