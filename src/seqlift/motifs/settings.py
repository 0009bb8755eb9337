"""Settings of the motifs: discovery, names, logos, hits, compendium and grammar."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqlift.core.settings import SEED, Settings, section, setting

GROUPS = ("vertebrates", "fungi", "plants", "insects", "nematodes", "urochordates")
"""Groups of species of which JASPAR has motifs."""

DATABASE = "jaspar:vertebrates"
"""The known motifs, where nothing else is given."""

_SHARE = {"exclusiveMinimum": 0, "exclusiveMaximum": 1}


@dataclass(frozen=True)
class ModiscoSettings(Settings):
    """Settings of TF-MoDISco, by its own names; the defaults are its own, except where the help gives a reason."""

    sliding_window_size: int = setting(
        20,
        "Width in bp of the core of a seqlet, over which contributions are summed.",
        advice="About the width of the motifs: a wide window also includes weak neighbours.",
        minimum=5,
    )
    flank_size: int = setting(5, "Number of bases added on either side of the core.", minimum=1)
    target_seqlet_fdr: float = setting(
        0.05,
        "False discovery rate of seqlets; a larger one includes weaker ones.",
        advice="TF-MoDISco's own 0.2 includes more noise.",
        schema=_SHARE,
    )
    min_passing_windows_frac: float = setting(
        0.03,
        "Smallest fraction of all windows that may become seqlets, whatever the false discovery rate.",
        schema=_SHARE,
    )
    max_passing_windows_frac: float = setting(
        0.2, "Largest fraction of all windows that may become seqlets.", schema=_SHARE
    )
    min_metacluster_size: int = setting(
        100, "Seqlets of one sign are clustered only if there are more than this.", minimum=20
    )
    trim_to_window_size: int = setting(
        24,
        "Patterns are trimmed to their most important stretch of this many bp before flanks are added.",
        advice="Wider patterns lose the seqlets near the ends of a region: TF-MoDISco's own 30 + 2 × 10 bp lose half "
        "of them in regions of 200 bp; 24 + 2 × 3 bp hold nearly all known motifs.",
        minimum=5,
    )
    initial_flank_to_add: int = setting(
        3, "Number of bases added on either side of the patterns before they are merged.", minimum=0
    )
    final_flank_to_add: int = setting(
        0, "Number of bases added on either side at the end; seqlets too near the end of a region are lost.", minimum=0
    )
    nearest_neighbors_to_compute: int = setting(
        250,
        "Number of neighbours of each seqlet in the graph that is clustered.",
        advice="An eighth of the seqlets or less; 500 for 20,000.",
        minimum=1,
    )
    n_leiden_runs: int = setting(
        1,
        "Number of clusterings with different seeds, of which the best is used.",
        advice="TF-MoDISco's own is 50; the time grows with it, and the better of two rarely differs.",
        minimum=1,
    )
    final_min_cluster_size: int = setting(
        20,
        "Smallest number of seqlets of a pattern.",
        advice="A smaller number shows rarer patterns, and more artefacts.",
        minimum=1,
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """Rules between the settings."""
        pairs = (
            ("min_metacluster_size", "final_min_cluster_size"),
            ("max_passing_windows_frac", "min_passing_windows_frac"),
        )
        for key, least in pairs:
            if getattr(self, key) < getattr(self, least):
                yield key, f"(={getattr(self, key)}) must be at least {least} (={getattr(self, least)})"

    @property
    def shortest(self) -> int:
        """Least bp of a region that must be searched: a seqlet and a pattern, and room to lie in different places."""
        seqlet = self.sliding_window_size + 2 * self.flank_size
        pattern = self.trim_to_window_size + 2 * (self.initial_flank_to_add + self.final_flank_to_add)
        return max(seqlet, pattern) + 20


@dataclass(frozen=True, kw_only=True)
class MotifSettings(Settings):
    """How motifs are found and named."""

    database: str = setting(
        DATABASE,
        "Known motifs that name the patterns: `jaspar:<group>` (as shipped by pyjaspar) or the path of a MEME file.",
        metavar="NAME|MEME",
        schema={
            "anyOf": [
                {"type": "string", "pattern": f"^jaspar:({'|'.join(GROUPS)})$"},
                {"type": "string", "pattern": r"^(?!jaspar:)[^{}\n]+\.meme$"},
            ],
            "x-rule": f"jaspar: with one of {', '.join(GROUPS)}, or a path ending in .meme",
        },
    )
    max_seqlets: int = setting(
        2000,
        "Largest number of seqlets of each sign that TF-MoDISco clusters: one half are the strongest of all regions, "
        "the other half is sampled evenly from the rest of the ranking.",
        advice="2000 is quick and finds the main motifs; 20000 finds rarer and weaker ones and takes longer.",
        metavar="N",
        minimum=21,
    )
    window: int = setting(
        200,
        "Length in bp of the middle of each region that is searched.",
        advice="Make it smaller if motifs of neighbouring sites are found.",
        metavar="BP",
        minimum=20,
    )
    threshold: float = setting(
        0.01,
        "A pattern gets a name if its p-value, calibrated on shuffled patterns and corrected for their number, is at "
        "most this.",
        advice="0.05 names more patterns, and some wrongly.",
        metavar="Q",
        exclusiveMinimum=0,
        maximum=1,
    )
    seed: int = setting(
        1,
        "Seed of the shuffled patterns, and of the sample of regions from which thresholds of seqlets are learned.",
        schema=SEED,
    )
    tfmodisco: ModiscoSettings = section(ModiscoSettings, "Settings of TF-MoDISco, by its own names.")

    def check(self) -> Iterator[tuple[str, str]]:
        """More seqlets than the smallest number that is clustered."""
        fewest = self.tfmodisco.min_metacluster_size
        if self.max_seqlets <= fewest:
            yield "max_seqlets", f"(={self.max_seqlets}) must be more than tfmodisco.min_metacluster_size (={fewest})"


@dataclass(frozen=True, kw_only=True)
class LogoSettings(Settings):
    """How logos are drawn. A change draws them again and searches nothing."""

    colours: Literal["classic", "colour-blind"] = setting(
        "classic",
        "Colours of the bases: `classic` (A green, C blue, G yellow, T red), or `colour-blind`, which colour-blind "
        "people can distinguish.",
    )


@dataclass(frozen=True, kw_only=True)
class HitSettings(Settings):
    """How the hits of each pattern are called, in all regions (docs/hits.md)."""

    min_similarity: float = setting(
        0.7,
        "Smallest cosine between the contributions of a hit and the CWM of its pattern.",
        advice="0.8 leaves out the weakest sites, and the most false positives; 0.6 includes more of both.",
        metavar="COSINE",
        schema=_SHARE,
    )


@dataclass(frozen=True, kw_only=True)
class CompendiumSection(Settings):
    """The section `compendium`: which patterns of all targets, methods and folds are one motif (docs/compendium.md)."""

    threshold: float = setting(
        0.01,
        "Two patterns are one motif if the p-value of TOMTOM, times the number of other patterns, is at most this, "
        "and their CWMs are similar enough (`similarity`).",
        metavar="P",
        exclusiveMinimum=0,
        maximum=1,
    )
    similarity: float = setting(
        0.9,
        "Smallest cosine of the CWMs of any two patterns of one motif, the best over all offsets and both strands.",
        advice="0.8 merges relatives, 0.95 keeps variants of a motif apart.",
        metavar="COSINE",
        exclusiveMinimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class CompendiumSettings(CompendiumSection):
    """Everything the compendium is made with: the section `compendium`, and how motifs get their names."""

    naming_threshold: float = setting(
        MotifSettings.threshold,
        "A motif gets a name if its p-value, calibrated and corrected for their number, is at most this.",
        metavar="Q",
        exclusiveMinimum=0,
        maximum=1,
    )
    seed: int = setting(MotifSettings.seed, "Seed of the shuffled motifs.", schema=SEED)


@dataclass(frozen=True, kw_only=True)
class GrammarSettings(Settings):
    """Which motifs occur together in a region."""

    max_spacing: int = setting(
        150,
        "Largest distance of two motifs, in bp, that is tested.",
        advice="Each distance is a test of its own, so a larger one finds less at short distances.",
        metavar="BP",
        minimum=1,
    )
