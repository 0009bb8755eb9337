"""Settings of the regions: windows around peaks, negatives, and the held-out chromosomes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from seqlift.core.settings import SEED, Settings, setting
from seqlift.data.settings import PATH, PATH_LIST, SignalSettings

FROM_FILE = ("unbound", "bed")

_CHROMOSOMES = {"minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}}


@dataclass(frozen=True, kw_only=True)
class RegionSection(Settings):
    """The section `regions` of the config. What each setting does: `seqlift.regions.make.make_regions`."""

    MOVED: ClassVar = {"top_share": "it is called top_fraction now", "max_n_share": "it is called max_n_fraction now"}

    valid: tuple[str, ...] = setting(
        (),
        "Held-out chromosomes used to select the best epoch: names, shell patterns, or parts such as "
        "`chr20:1-40000000` and `chr20:40000001-`. Absent: there must be `folds`.",
        metavar="CHR",
        optional=True,
        schema=_CHROMOSOMES,
    )
    test: tuple[str, ...] = setting(
        (),
        "Held-out chromosomes used to evaluate the model, named in the same way; no earlier stage uses them. Absent: "
        "there must be `folds`.",
        metavar="CHR",
        optional=True,
        schema=_CHROMOSOMES,
    )
    folds: int | None = setting(
        None,
        "Number of folds, instead of `valid` and `test`: one model is trained for each fold, with another part of the "
        "chromosomes held out, and together they are evaluated on all chromosomes. With several seeds there is a "
        "model for each fold and seed. Absent: there must be `valid` and `test`.",
        metavar="K",
        optional=True,
        minimum=3,
        maximum=100,
    )
    exclude_chromosomes: tuple[str, ...] = setting(
        (),
        "Chromosomes that are not used at all, as shell patterns such as `*_random`.",
        advice='For example chrM, chrY, "*_random" and "*_alt".',
        metavar="PATTERN",
        schema={"uniqueItems": True, "items": {"type": "string", "minLength": 1}},
    )
    exclude_regions: tuple[str, ...] = setting(
        (),
        "BED files of intervals to avoid, such as the ENCODE blacklist; no window overlaps them.",
        metavar="BED",
        schema=PATH_LIST,
    )
    include_regions: tuple[str, ...] = setting(
        (),
        "BED files of allowed intervals, such as mappable ones; every window lies inside an interval of each file.",
        metavar="BED",
        schema=PATH_LIST,
    )
    top_fraction: float = setting(
        1.0,
        "Fraction of each target's peaks that is used, highest scores first.",
        advice="Weak peaks often lack the motif: if the AUROC stays low, try 0.5.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=1,
    )
    merge_distance: int = setting(
        50,
        "Peaks with summits at most this many bp apart make one region with the labels of all.",
        advice="A few tens of bp are the accuracy of a summit; 0 merges only summits on the same base.",
        metavar="BP",
        minimum=0,
    )
    negatives: Literal["genome", "shuffled", "unbound", "bed"] = setting(
        "genome",
        "Kind of negatives: `genome`, windows of the genome away from peaks and matched in GC content; `shuffled`, "
        "dinucleotide shuffles of the peaks' windows; `unbound`, the summits of `negatives_file` away from all peaks; "
        "or `bed`, the intervals of `negatives_file`.",
        advice="Use shuffled for small genomes without space, unbound with open chromatin that the factor does not "
        "bind.",
    )
    negatives_file: str | None = setting(
        None,
        "File of peaks or intervals for the negatives `unbound` and `bed`, as BED or narrowPeak. Absent: the other "
        "kinds need none.",
        metavar="FILE",
        optional=True,
        schema=PATH,
    )
    negative_sets: int = setting(
        1,
        "Number of sets of negatives for training; each epoch uses one set in turn.",
        advice="With more sets, the model sees more of the genome at the same cost.",
        metavar="N",
        minimum=1,
        maximum=100,
    )
    ratio: float = setting(
        1.0,
        "Number of negatives for each positive region.",
        advice="1 is balanced; more negatives cost time and improve the model if sites are rare.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=100,
    )
    min_distance: int = setting(
        200,
        "Smallest distance in bp between a negative from the genome and any peak.",
        advice="Use at least the length of a window.",
        metavar="BP",
        minimum=0,
    )
    max_n_fraction: float = setting(
        0.1, "Windows with a larger fraction of N are dropped.", metavar="X", minimum=0, exclusiveMaximum=1
    )
    background: int = setting(
        5000,
        "Number of random windows of the held-out chromosomes, not matched in GC content and never used in training, "
        "for metrics at the genome's imbalance; 0 for none.",
        metavar="N",
        minimum=0,
    )
    seed: int = setting(1, "Seed of the negatives.", schema=SEED)

    def check(self) -> Iterator[tuple[str, str]]:
        """Rules between the settings."""
        if self.negatives in FROM_FILE and self.negatives_file is None:
            yield "negatives_file", f"is missing; negatives (={self.negatives!r}) are taken from a BED file"
        if self.negatives not in FROM_FILE and self.negatives_file is not None:
            text = f"(={str(self.negatives_file)!r}) has no effect with negatives (={self.negatives!r})"
            yield "negatives_file", f"{text}; delete it, or use {' or '.join(FROM_FILE)}"
        if self.folds and (self.valid or self.test):
            yield "folds", f"(={self.folds}) cannot be combined with valid or test; delete either"
        for key in ("valid", "test"):
            if not self.folds and not getattr(self, key):
                advice = f"add held-out chromosomes, as in {key}: [chr8], or folds: 5 instead of valid and test"
                yield key, f"is missing; {advice}"


@dataclass(frozen=True, kw_only=True)
class RegionSettings(RegionSection):
    """Everything the regions are made with: the section `regions`, the length, and how the signal is read."""

    length: int = setting(help="Length of each window.", metavar="BP", minimum=1)
    jitter: int = setting(
        0, "Room in bp on both sides of a window, for the jitter in training.", metavar="BP", minimum=0
    )
    signal_window: int | None = setting(
        SignalSettings.window,
        "Length of the window in the middle of a region whose signal is summed (default: the whole region).",
        metavar="BP",
        minimum=1,
    )
    missing: Literal["zero", "mask"] = setting(
        SignalSettings.missing, "Meaning of a base without a value in a bigWig: no signal, or unknown."
    )
    negative: Literal["refuse", "clip", "absolute"] = setting(
        SignalSettings.negative, "Treatment of negative values in a bigWig."
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """Rules between the settings."""
        yield from super().check()
        if self.merge_distance > (self.length - 1) // 2:
            yield (
                "merge_distance",
                f"(={self.merge_distance}) must be at most {(self.length - 1) // 2}, smaller than half of length "
                f"(={self.length}), so that a merged summit lies inside the window",
            )
        if self.signal_window is not None and self.signal_window > self.length:
            yield "signal_window", f"(={self.signal_window}) must be at most length (={self.length})"
