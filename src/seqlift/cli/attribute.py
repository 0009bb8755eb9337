"""`seqlift attribute`: score every base of a target's peaks."""

import argparse
from dataclasses import fields

from seqlift.attribution.settings import (
    METHODS,
    AttributionSettings,
    DeepLiftSettings,
    InteriorGradientsSettings,
    MutagenesisSettings,
)
from seqlift.cli.shared import add_required, add_shared
from seqlift.core.settings import add_flags, read_json
from seqlift.errors import SeqliftError

_SHARED = ("max_regions", "seed", "model_std")


def shard(text: str) -> tuple[int, ...]:
    """Number and count of `2of16`: the second of sixteen."""
    number, count = map(int, text.split("of"))
    return number, count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_shared(parser, "--model", "--regions", "--genome")
    text = "output to explain, at the target's peaks: a target, or for a profile model NAME.counts or NAME.profile"
    add_required(parser, "--target", "NAME", text)
    add("--method", required=True, choices=[*METHODS, "mutagenesis"], help="method")
    add("--sample", type=int, metavar="M", help="mutagenesis: number of the regions to mutate (default: 20)")
    add("--examples", type=int, default=0, metavar="E", help="mutagenesis: include E examples of the report")
    add_shared(parser, "--device")
    add_required(parser, "--output", "H5", "the score file to write")
    add("--shard", type=shard, metavar="IofN", help="only part I of N, as 2of16; join the parts with `seqlift gather`")
    text = "number of this try: each one after the first uses a quarter of the memory in the model (default: 1)"
    add("--attempt", type=int, default=1, metavar="K", help=text)
    others = [field.name for field in fields(AttributionSettings) if field.name not in _SHARED]
    add_flags(parser, AttributionSettings, leave_out=others)
    add_flags(parser.add_argument_group("DeepLIFT and interior gradients"), DeepLiftSettings)
    add_flags(parser.add_argument_group("interior gradients"), InteriorGradientsSettings)


def settings_of(arguments: argparse.Namespace) -> AttributionSettings:
    """The settings of the attribution: those of `--settings`, then those of single flags."""
    given = read_json(arguments.settings, "--settings") if arguments.settings else {}
    own = dict(given.get(arguments.method, {}))
    kinds = {**METHODS, "mutagenesis": MutagenesisSettings}
    known = {field.name for field in fields(kinds[arguments.method])}
    for cls in METHODS.values():
        for field in fields(cls):
            value = getattr(arguments, field.name)
            if value is not None and field.name not in known:
                flag = f"--{field.name.replace('_', '-')}"
                raise SeqliftError(f"{flag} (={value}) is no setting of --method {arguments.method}; leave it out")
            own |= {} if value is None else {field.name: value}
    if arguments.sample is not None:
        own["max_regions"] = arguments.sample
    given |= {name: getattr(arguments, name) for name in _SHARED if getattr(arguments, name) is not None}
    return AttributionSettings.make({**given, arguments.method: own})


def run(arguments: argparse.Namespace) -> None:
    """Explain the regions and write the score file."""
    settings = settings_of(arguments)

    from seqlift.attribution.attribute import attribute_regions
    from seqlift.data.genome import Genome
    from seqlift.regions.table import read_regions

    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        n = attribute_regions(
            arguments.model,
            table,
            genome,
            arguments.output,
            target=arguments.target,
            method=arguments.method,
            settings=settings,
            examples=arguments.examples,
            device=arguments.device,
            shard=arguments.shard,
            attempt=arguments.attempt,
        )
    part = "" if arguments.shard is None else ", shard {} of {}".format(*arguments.shard)
    print(f"{n} regions of {arguments.target}{part} explained: {arguments.output}")
