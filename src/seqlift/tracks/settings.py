"""Settings of the tracks."""

from dataclasses import dataclass
from typing import Literal

from seqlift.core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TrackSettings(Settings):
    """How scores become bigWig tracks."""

    overlap: Literal["nearest-summit", "mean"] = setting(
        "nearest-summit",
        "Value of a base in several regions: `nearest-summit`, the score of the region with the nearest centre, or "
        "`mean`, the mean.",
    )
    difference: bool = setting(
        False, "Also write tracks of DeepLIFT's contributions minus those of interior gradients; needs both methods."
    )
