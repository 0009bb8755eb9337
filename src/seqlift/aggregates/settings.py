"""Settings of the averages around sites."""

from dataclasses import dataclass

from seqlift.core.settings import Settings, setting
from seqlift.data.settings import NAME, PATH


@dataclass(frozen=True, kw_only=True)
class AggregateSettings(Settings):
    """Average scores around sites, without motif discovery."""

    sites: dict[str, str] = setting(
        {},
        "Name -> BED file of sites (motif hits, transcription start sites), in `data_dir` like all data; each is "
        "averaged for every output and method. {} averages nothing.",
        advice="For example {TSS: tss.bed, CTCF: fimo_hits.bed}.",
        schema={
            "propertyNames": {
                **NAME,
                "x-rule": str(NAME["x-rule"]).replace("made of", "named with").replace("files", "a folder"),
            },
            "additionalProperties": {"type": "string", **PATH},
        },
    )
    flank: int = setting(50, "Number of bp on either side of a site.", metavar="BP", minimum=1, maximum=10000)
