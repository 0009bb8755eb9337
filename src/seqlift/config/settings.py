"""The whole config as settings, and its JSON schema.

The meaning of a key, its default and its bounds are in the `settings.py` of its stage, or in the file of an
architecture; here is the order of the sections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqlift.aggregates.settings import AggregateSettings
from seqlift.attribution.settings import AttributionSettings
from seqlift.core.settings import Settings, json_schema, section, setting
from seqlift.data.settings import (
    NAME,
    PATH,
    DownloadSettings,
    GenomeSettings,
    SignalSettings,
    SimulationSettings,
    TargetSettings,
)
from seqlift.faithfulness.settings import FaithfulnessSettings
from seqlift.models.settings import ModelSettings
from seqlift.motifs.settings import (
    CompendiumSection,
    GrammarSettings,
    HitSettings,
    LogoSettings,
    MotifSettings,
)
from seqlift.regions.settings import RegionSection
from seqlift.tracks.settings import TrackSettings
from seqlift.training.settings import TrainingSettings

_CUSTOM_TYPE = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"


@dataclass(frozen=True, kw_only=True)
class ReportSettings(Settings):
    """What the report shows (here, as the report reads the config)."""

    examples: int = setting(3, "Number of example regions drawn for each target.", metavar="N", minimum=0, maximum=50)
    genes: str | None = setting(
        None,
        "Genes to search and to draw, in the report and in genome browsers: a BED, GFF3 or GTF file in `data_dir`, "
        "plain or gzipped. Absent: none.",
        metavar="FILE",
        optional=True,
        schema={
            "pattern": r"^[^{}\n]+\.(?i:bed|gff|gff3|gtf)(?i:\.gz)?$",
            "x-rule": "a path without { or } that ends in .bed, .gff, .gff3 or .gtf, or in one of these and .gz",
        },
    )


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """The config: its sections, in their order."""

    name: str = setting(help="Name of the run; its results are in results/<name>/.", schema=NAME)
    data_dir: str = setting(
        ".",
        "Folder in which relative paths of data are looked up: those of `genome`, `targets`, `regions`, "
        "`aggregate.sites` and `report.genes`. Existing files are never modified; missing ones that are listed under "
        "`downloads` are downloaded.",
        schema=PATH,
    )
    genome: GenomeSettings = setting(help="The reference genome.")
    downloads: dict[str, DownloadSettings] = setting(
        {},
        "Sources of missing files: the name of a file as used elsewhere in the config, and its source. Any file of "
        "the config can be downloaded. It is put where the config looks for it: into `data_dir`, or, for a motif "
        "database and FASTA references, into the folder in which you run snakemake. Names must be relative and must "
        "not lead out of these folders.",
        schema={"propertyNames": {"type": "string", **PATH}, "x-key": "FILE"},
    )
    simulate: SimulationSettings | None = setting(
        None,
        "Simulate the data: GATA1 and TAL1 motifs planted in random sequences, the experiment of the DeepLIFT paper. "
        "The files genome.fa, both.bed, GATA1.bed and TAL1.bed then appear in `data_dir`. Absent: the files are read.",
        optional=True,
    )
    targets: tuple[TargetSettings, ...] = setting(
        help="What the model predicts, one entry for each experiment, or the path of a TSV with a line for each. "
        "Their order does not matter.",
        schema={"minItems": 1, "x-rule": "a list of targets, or the path of a TSV of them"},
    )
    lengths: tuple[int, ...] = setting(
        (200,),
        "Lengths of the windows in bp. Each length is a separate run, results/<name>/<length>bp/.",
        advice="200 is enough for the site of a factor and its nearest partners; use 500 to 1000 for enhancers or "
        "accessibility.",
        schema={"minItems": 1, "items": {"type": "integer", "minimum": 10, "maximum": 1000000}},
    )
    regions: RegionSection = section(RegionSection, "Windows around the peaks, negatives, and held-out chromosomes.")
    signal: SignalSettings = section(SignalSettings, "How the signal of the targets is read.")
    model: ModelSettings = section(
        ModelSettings,
        "The network. The keys besides `type`, `head`, `both_strands` and `replicates` are those of the type.",
    )
    training: TrainingSettings = section(TrainingSettings, "How the network is trained.")
    attribution: AttributionSettings = section(AttributionSettings, "Which regions are explained, and how.")
    tracks: TrackSettings = section(TrackSettings, "How scores become bigWig tracks.")
    motifs: MotifSettings = section(MotifSettings, "How motifs are found and named.")
    logos: LogoSettings = section(LogoSettings, "How logos are drawn. A change draws them again and searches nothing.")
    hits: HitSettings = section(HitSettings, "How the hits of each pattern are called, in all regions (docs/hits.md).")
    compendium: CompendiumSection = section(
        CompendiumSection, "Which patterns of all targets, methods and folds are one motif (docs/compendium.md)."
    )
    grammar: GrammarSettings = section(GrammarSettings, "Which motifs occur together in a region.")
    aggregate: AggregateSettings = section(AggregateSettings, "Average scores around sites, without motif discovery.")
    faithfulness: FaithfulnessSettings = section(
        FaithfulnessSettings, "How the explanations are tested on the model that they explain (docs/faithfulness.md)."
    )
    report: ReportSettings = section(ReportSettings, "What the report shows.")


def config_schema() -> dict[str, Any]:
    """The JSON schema of the config (imports PyTorch, as the architectures do)."""
    from seqlift.models.architecture import kinds

    schema = json_schema(Config)
    del schema["properties"]["regions"]["default"]  # what is held out must be named
    model = _model_schema({name: (kind.heads, json_schema(kind.settings)) for name, kind in kinds().items()})
    schema["properties"]["model"] = {"description": schema["properties"]["model"]["description"], **model}
    schema["required"].append("regions")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "Settings of a seqlift run.",
        **schema,
    }


def _model_schema(architectures: Mapping[str, tuple[tuple[str, ...], dict]]) -> dict[str, Any]:
    """The section `model`: its keys depend on the type."""
    common = json_schema(ModelSettings)["properties"]
    names = sorted(architectures)
    del common["type"]["type"]
    common["type"]["anyOf"] = [{"enum": names}, {"type": "string", "pattern": _CUSTOM_TYPE}]
    common["type"]["x-rule"] = f"one of {', '.join(names)}, or package.module:Class for your own class"
    shared: dict[str, Any] = dict.fromkeys(common, True)
    able = [name for name in names if "profile" in architectures[name][0]]
    conditions = []
    for name in names:
        heads, node = architectures[name]
        rule = f"{' or '.join(heads)} with model.type {name}; for profile use {' or '.join(able)}, or your own class"
        head = True if "profile" in heads else {"enum": list(heads), "x-rule": rule}
        conditions.append((name, {"const": name}, {**shared, "head": head, **node["properties"]}))
    arguments = {
        "description": "Keyword arguments of the class, besides `length`, `n_targets` and others that every class has.",
        "type": "object",
        "default": {},
    }
    conditions.append(("custom", {"type": "string", "pattern": ":"}, {**shared, "arguments": arguments}))
    branches = [
        {
            "if": {"properties": {"type": test}},
            "then": {"title": title, "additionalProperties": False, "properties": properties},
        }
        for title, test, properties in conditions
    ]
    return {"type": "object", "properties": common, "allOf": branches, "default": {}}
