"""Settings of the attribution: which regions are explained, and how each method explains them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from seqlift.attribution.reference_kinds import HELP, PATTERN, RULE
from seqlift.core.settings import SEED, Settings, section, setting

_MOVED = {"error_share": "it is called max_relative_error now"}


@dataclass(frozen=True, kw_only=True)
class DeepLiftSettings(Settings):
    """Settings of DeepLIFT."""

    MOVED: ClassVar = _MOVED

    references: str = setting(
        "dinucleotide",
        f"Kind of references, sequences that represent no signal. {HELP}.",
        advice="docs/references.md says how to choose.",
        metavar="KIND",
        schema={"pattern": PATTERN, "x-rule": RULE},
    )
    n_references: int | Literal["auto"] = setting(
        20,
        "Number of references of each region, or `auto`, which adds references until the standard error is small; "
        "more than one makes sense only for shuffles, genomic windows and the records of a FASTA file.",
        advice="The standard error falls with the square root; below 10 shuffles the contributions are noisy.",
        metavar="R",
        minimum=1,
    )
    max_relative_error: float = setting(
        0.1,
        "With n_references `auto`, the largest standard error at any base relative to the region's largest "
        "contribution.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=1,
    )
    max_references: int = setting(
        200, "With n_references `auto`, the largest number of references of each region.", metavar="R", minimum=2
    )
    rule: Literal["rescale", "reveal-cancel", "genomics"] = setting(
        "rescale",
        "Rule for nonlinear layers: `rescale`, `reveal-cancel`, or `genomics` (Rescale in convolutional layers, "
        "RevealCancel in dense ones).",
        advice="reveal-cancel also finds effects that cancel each other, and takes longer (docs/deeplift.md).",
    )
    center_first_layer: bool = setting(
        False,
        "Compute the scores of the network with the weights of its first layer centred over the bases; makes a "
        "difference for references of zeros, and at N in those of a FASTA file.",
    )
    tolerance: float = setting(
        0.001,
        "Largest accepted completeness delta, relative to the change in prediction or to the sum of the absolute "
        "contributions, whichever is larger. Above it the run fails.",
        metavar="X",
        exclusiveMinimum=0,
    )


@dataclass(frozen=True, kw_only=True)
class InteriorGradientsSettings(Settings):
    """Settings of interior gradients."""

    MOVED: ClassVar = _MOVED

    references: str = setting(
        "uniform",
        "Kind of references at which the paths begin, as for DeepLIFT.",
        advice="One path from uniform bases is enough; a single shuffle gives mostly noise, so use 10 or more of them.",
        metavar="KIND",
        schema={"pattern": PATTERN, "x-rule": RULE},
    )
    n_references: int | Literal["auto"] = setting(
        1,
        "Number of references, and so of paths, of each region, or `auto`, as for DeepLIFT.",
        advice="Each path costs `steps` gradients. The standard error needs two or more random references.",
        metavar="R",
        minimum=1,
    )
    max_relative_error: float = setting(
        0.1,
        "With n_references `auto`, the largest relative standard error, as for DeepLIFT.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=1,
    )
    max_references: int = setting(
        200, "With n_references `auto`, the largest number of references of each region.", metavar="R", minimum=2
    )
    steps: int | Literal["auto"] = setting(
        50,
        "Number of points on the path from the reference to the sequence at which the gradient is computed, or "
        "`auto`, which adds points until the contributions add up.",
        advice="More points make the sum more accurate: networks with sharp thresholds need 50 or more.",
        metavar="K",
        minimum=1,
    )
    step_tolerance: float = setting(
        0.01,
        "With steps `auto`, points are added until the completeness delta relative to the change in prediction is at "
        "most this.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=1,
    )
    max_steps: int = setting(
        1000, "With steps `auto`, the largest number of points on each path.", metavar="K", minimum=16
    )
    gradient_correction: bool = setting(
        False,
        "Subtract the mean gradient over the four bases (Majdandzic 2023) where the path leaves the space of "
        "sequences, as it does from zeros.",
    )
    center_first_layer: bool = setting(
        False, "Compute the scores of the network with a centred first layer, as for DeepLIFT."
    )
    tolerance: float = setting(
        0.2,
        "Largest accepted completeness delta, as for DeepLIFT; more steps make it smaller.",
        metavar="X",
        exclusiveMinimum=0,
    )


METHODS: dict[str, type[DeepLiftSettings] | type[InteriorGradientsSettings]] = {
    "deeplift": DeepLiftSettings,
    "interior_gradients": InteriorGradientsSettings,
}
"""The methods with references, each with its settings."""


@dataclass(frozen=True, kw_only=True)
class MutagenesisSettings(Settings):
    """In-silico saturation mutagenesis, the reference method in the report."""

    max_regions: int = setting(
        20,
        "Number of regions of each target in which every base is mutated, including the report's examples; 0 for "
        "none. Each base takes three predictions.",
        advice="20 regions of 200 bp take seconds, 20 of 2000 bp minutes.",
        metavar="M",
        minimum=0,
    )


@dataclass(frozen=True, kw_only=True)
class AttributionSettings(Settings):
    """The section `attribution` of the config."""

    MOVED: ClassVar = {"spread": "it is called model_std now"}

    methods: tuple[str, ...] = setting(
        tuple(METHODS),
        "The methods; each has its own scores, tracks and motifs. Their order does not matter.",
        schema={"minItems": 1, "uniqueItems": True, "items": {"enum": list(METHODS)}},
    )
    max_regions: int = setting(
        1000,
        "Largest number of regions explained for each target, a random sample of its positive ones.",
        advice="1,000 show the main motifs; use 5,000 or more for rare ones.",
        metavar="M",
        minimum=1,
    )
    shard_size: int = setting(
        20000,
        "Largest number of regions that one job explains. If max_regions is larger, several jobs share the regions "
        "evenly, and their scores are gathered into one file.",
        advice="The number of jobs depends on max_regions, so set that close to the number of your peaks. Another "
        "shard_size computes the scores again.",
        metavar="M",
        minimum=1,
    )
    seed: int = setting(1, "Seed of the references and of the sample of regions.", schema=SEED)
    model_std: bool = setting(
        False,
        "If several models are averaged (folds, seeds or replicates), also explain each of them and write the "
        "standard deviation over models at each base. Takes twice the time.",
    )
    each_fold: bool = setting(
        False,
        "With folds, also explain the model of each fold separately (the mean over its seeds) and find its motifs; "
        "the compendium shows which folds found a motif. Takes the same time again for each fold.",
    )
    deeplift: DeepLiftSettings = section(DeepLiftSettings, "Settings of DeepLIFT.")
    interior_gradients: InteriorGradientsSettings = section(
        InteriorGradientsSettings, "Settings of interior gradients."
    )
    mutagenesis: MutagenesisSettings = section(
        MutagenesisSettings,
        "In-silico saturation mutagenesis, the reference method in the report (docs/mutagenesis.md).",
    )
