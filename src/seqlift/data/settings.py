"""Settings of the data: the genome, downloads, the simulation, the targets and how their signal is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from seqlift.core.settings import SEED, Settings, setting

NAME = {
    "pattern": "^[A-Za-z0-9][A-Za-z0-9._+-]*$",
    "x-rule": "made of letters, digits and . _ + - only, starting with a letter or digit (it names files)",
}
"""Schema of a name that becomes part of a file name."""

PATH = {"pattern": r"^[^{}\n]+$", "x-rule": "a path without { or }"}
"""Schema of a path; Snakemake would read braces as wildcards."""

PATH_LIST = {"uniqueItems": True, "items": {"type": "string", **PATH}}

PATHS = {
    "anyOf": [{"type": "string", **PATH}, {"type": "array", **PATH_LIST}],
    "x-rule": "a path without { or }, or a list of such paths",
}

URL = {
    # A host, perhaps a port, no user and password, ASCII without spaces
    "pattern": r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?#][!-~]*)?$",
    "x-rule": "an address that starts with https:// or http://, without user name and password, which the results "
    "would show, and with %.. for spaces and other characters that are not ASCII",
}

_MOVED = {"download": "downloads are listed at the top now, by file name: `downloads: {FILE: {url: ...}}`"}


@dataclass(frozen=True)
class GenomeSettings(Settings):
    """The reference genome."""

    MOVED: ClassVar = _MOVED

    fasta: str = setting(help="FASTA file, plain, gzip or bgzip.", schema=PATH)


@dataclass(frozen=True)
class DownloadSettings(Settings):
    """Source of one file that the workflow downloads."""

    url: str = setting(
        help="Address of the file. If the name of the file ends in .narrowPeak, peaks of any format are converted to "
        "sorted narrowPeak; any other file is kept as it is.",
        schema=URL,
    )
    sha256: str | None = setting(
        None,
        "SHA-256 of the file at this address. Give at most one of the three checksums.",
        optional=True,
        schema={"pattern": "^[0-9a-fA-F]{64}$", "x-rule": "64 hexadecimal digits"},
    )
    md5: str | None = setting(
        None,
        "MD5 of the file at this address.",
        optional=True,
        schema={"pattern": "^[0-9a-fA-F]{32}$", "x-rule": "32 hexadecimal digits"},
    )
    md5_list: str | None = setting(
        None,
        "Address of a list of MD5 sums (as written by `md5sum`) that contains the file.",
        optional=True,
        schema=URL,
    )
    rename_chromosomes: dict[str, str] = setting(
        {},
        "Chromosome names in the peak file and their names in the FASTA.",
        metavar="OLD=NEW",
        schema={"additionalProperties": {"type": "string", "minLength": 1}},
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """One checksum."""
        given = [key for key in ("sha256", "md5", "md5_list") if getattr(self, key)]
        if len(given) > 1:
            yield given[0], f"and {' and '.join(given[1:])} are given; keep one checksum"


@dataclass(frozen=True)
class SimulationSettings(Settings):
    """The simulated data: GATA1 and TAL1 motifs planted in random sequences."""

    sequences: int = setting(
        8000,
        "Number of sequences of 200 bp, in four classes of equal size (no motif, GATA1, TAL1, both).",
        metavar="N",
        minimum=40,
        multipleOf=4,
    )
    seed: int = setting(1, "Seed of the simulation.", schema=SEED)


@dataclass(frozen=True)
class TargetSettings(Settings):
    """One target: what the model predicts, and its files."""

    MOVED: ClassVar = _MOVED

    name: str = setting(help="Name of the target; it names files and is shown in the report.", schema=NAME)
    peaks: str = setting(
        help="Peaks as BED, narrowPeak or broadPeak, plain or gzip. They define the regions, and label them for the "
        "head `classes`.",
        schema=PATH,
    )
    signal: tuple[str, ...] = setting(
        (),
        "Measured signal as bigWig, a path or a list of replicates, which are summed; with `signal_minus` it is that "
        "of the plus strand. The heads `counts` and `profile` learn it.",
        schema=PATHS,
    )
    signal_minus: tuple[str, ...] = setting(
        (), "Signal of the minus strand, if the experiment is stranded.", schema=PATHS
    )
    control: tuple[str, ...] = setting(
        (),
        "Control signal as bigWig, such as the input of a ChIP, which the head `profile` uses to model the bias.",
        schema=PATHS,
    )
    control_minus: tuple[str, ...] = setting((), "Control signal of the minus strand.", schema=PATHS)
    unlabelled: str | None = setting(
        None,
        "BED of intervals where it is unknown whether the target is present; regions that overlap them are neither "
        "positive nor negative for it. Absent: none.",
        optional=True,
        schema=PATH,
    )


@dataclass(frozen=True)
class SignalSettings(Settings):
    """How the signal of the targets is read."""

    window: int | None = setting(
        None,
        "Length in bp of the window in the middle of each region whose signal is predicted; null for the whole region.",
        advice="For profiles, leave some hundred bp of sequence on both sides, as with lengths: [1000] and window: "
        "500, because bases at the edge depend on their flanks.",
        minimum=1,
    )
    missing: Literal["zero", "mask"] = setting(
        "zero", "Meaning of a base without a value: `zero`, no signal; or `mask`, the region is unknown."
    )
    negative: Literal["refuse", "clip", "absolute"] = setting(
        "refuse",
        "Treatment of negative values, which no count can have: `refuse` stops the run, `clip` sets them to zero, "
        "`absolute` removes their sign.",
    )
