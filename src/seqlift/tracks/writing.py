"""Write a track as bigWig, with a JSON beside it that says what it holds.

bigWig is an unforgiving format: NaN crashes the writer, entries past a chromosome's end are written in silence. So
everything is checked before a byte is written, and what was written is read back and compared base by base before it
takes its name.
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pyBigWig

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.tracks.laying import POLICIES, lay, runs
from seqlift.tracks.sizes import read_sizes
from seqlift.tracks.source import Rows, Source, open_source
from seqlift.tracks.verifying import FORMAT, compare


@dataclass(frozen=True)
class TrackSummary:
    """What a track holds; written beside it as `<track>.json`.

    Attributes
    ----------
    format : str
        Of this file.
    target, method : str
        What was explained and how; of a difference both methods, of a prediction `prediction`.
    value : str
        contribution, standard-error, difference or predicted.
    overlap : str
        Which number a base takes where regions overlap: nearest-summit or mean.
    scores, minus : str or None
        Names of the score files; None where there is none.
    model_fingerprint : str
        Of the model ("" if the score file does not say).
    regions : int
    bases : int, bp that have a value
    bases_in_several_regions : int, bp where the policy decided
    chromosomes : dict of str to int, bp with a value on each chromosome that has any
    minimum, maximum : float, of the values
    strand : str
        Of a prediction of both strands: + or -.
    """

    format: str
    target: str
    method: str
    value: str
    overlap: str
    scores: str | None
    minus: str | None
    model_fingerprint: str
    regions: int
    bases: int
    bases_in_several_regions: int
    chromosomes: dict[str, int]
    minimum: float
    maximum: float
    strand: str = "."

    def sentence(self, path: str | os.PathLike) -> str:
        """What to tell the user."""
        return (
            f"{path}: {self.bases:,} bp of {self.regions:,} regions on {len(self.chromosomes)} chromosomes; "
            f"{self.bases_in_several_regions:,} bp lay in several regions ({self.overlap})"
        )


def write_track(
    score_path: str | os.PathLike,
    bigwig_path: str | os.PathLike,
    *,
    chromosome_sizes: dict[str, int] | str | os.PathLike,
    overlap: str = "nearest-summit",
    minus: str | os.PathLike | None = None,
    value: str = "contribution",
) -> TrackSummary:
    """Write what a score file says of each base as bigWig, read it back, and write `<bigwig_path>.json` beside it.

    Parameters
    ----------
    score_path, bigwig_path : path-like
    chromosome_sizes : dict of str to int, bp, or path of a regions.json or FASTA that says them
        All chromosomes of the genome. The header lists them sorted by name, as UCSC's own writer does: its readers
        search the names.
    overlap : "nearest-summit" or "mean"
        The mean of standard errors is at least the standard error of the mean.
    minus : path-like, optional
        A second score file of the same regions: the track is of the contributions of the first less those of this.
    value : "contribution" or "standard-error"

    Returns
    -------
    TrackSummary

    Raises
    ------
    SeqliftError
        If a region lies off its chromosome, the chromosome is unknown, a score is not finite, there is nothing to
        write, the two files are not of the same output and regions, or the file read back differs from the scores.
    """
    sizes = chromosome_sizes if isinstance(chromosome_sizes, dict) else read_sizes(chromosome_sizes)
    with open_source(score_path, Path(bigwig_path).parent, minus=minus, value=value) as source:
        return write_source(source, bigwig_path, chromosome_sizes=sizes, overlap=overlap)


def write_source(
    source: Source, bigwig_path: str | os.PathLike, *, chromosome_sizes: dict[str, int], overlap: str
) -> TrackSummary:
    """Write numbers of regions as bigWig; see `write_track`."""
    if overlap not in POLICIES:
        raise SeqliftError(f"overlap policy {overlap!r} does not exist; choose one of {', '.join(POLICIES)}")
    bigwig_path = Path(bigwig_path)
    note = bigwig_path.with_name(bigwig_path.name + ".json")
    sizes = {name: int(chromosome_sizes[name]) for name in sorted(chromosome_sizes)}
    source.check_places(sizes)
    chromosomes: dict[str, int] = {}
    several, low, high = 0, math.inf, -math.inf
    with replacing(bigwig_path) as temporary, replacing(note) as text:
        with pyBigWig.open(os.fspath(temporary), "w") as track:
            track.addHeader(list(sizes.items()))
            for chrom, rows in source.by_chromosome(sizes):
                starts, names = (source.coords[column].to_numpy()[rows] for column in ("start", "name"))
                for laid in lay(starts, names.astype(str), Rows(source.values, rows), overlap):
                    if len(laid.positions) == 0:
                        continue
                    for begin, end in runs(laid.positions):
                        track.addEntries(
                            chrom, int(laid.positions[begin]), values=laid.values[begin:end], span=1, step=1
                        )
                    chromosomes[chrom] = chromosomes.get(chrom, 0) + len(laid.positions)
                    several += laid.several
                    low, high = min(low, float(laid.values.min())), max(high, float(laid.values.max()))
        compare(source, temporary, sizes, overlap)
        summary = TrackSummary(
            format=FORMAT,
            **source.about,
            overlap=overlap,
            regions=len(source.coords),
            bases=sum(chromosomes.values()),
            bases_in_several_regions=several,
            chromosomes=chromosomes,
            minimum=low,
            maximum=high,
        )
        text.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    return summary
