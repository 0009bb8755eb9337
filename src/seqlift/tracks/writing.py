"""Write a track as bigWig, with a JSON file beside it that describes it.

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
    """What a track contains; written beside it as `<track>.json`.

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
        """A summary in one sentence for the user."""
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
    """Write the scores of a score file as a bigWig track, read it back, and write `<bigwig_path>.json` beside it.

    Bases outside the scored regions have no value.

    Parameters
    ----------
    score_path : path-like
        A score file, as `seqlift.save_scores` or `seqlift attribute` writes it.
    bigwig_path : path-like
        The track to write.
    chromosome_sizes : dict of str to int, bp, or path-like
        Lengths of all chromosomes of the genome, or a regions.json or FASTA file to read them from. The header lists
        them sorted by name, because UCSC's readers search the names.
    overlap : "nearest-summit" or "mean"
        Value of a base in several regions: that of the region with the nearest centre, or the mean. The mean of
        standard errors is at least the standard error of the mean.
    minus : path-like, optional
        A second score file of the same regions: the track shows the contributions of the first minus those of this.
    value : "contribution" or "standard-error"
        The contribution of the base that is there, or its standard error over references.

    Returns
    -------
    TrackSummary
        What the track contains: bases, regions, chromosomes, smallest and largest value.

    Raises
    ------
    SeqliftError
        If a region lies off its chromosome, the chromosome is unknown, a score is not finite, there is nothing to
        write, the two files are not of the same output and regions, or the file read back differs from the scores.

    Examples
    --------
    >>> import pathlib, seqlift, tempfile, torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> sequences = torch.eye(4)[torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])].mT  # ACGTACGTAC
    >>> result = seqlift.mutagenesis(lambda x: x[:, 0].sum(1, keepdim=True), sequences)
    >>> path = seqlift.save_scores(folder / "a.h5", result, sequences, [("chr1", 100, 110)], target="number_of_A")
    >>> track = seqlift.write_track(path, folder / "a.bw", chromosome_sizes={"chr1": 1000})
    >>> track.bases, track.minimum, track.maximum
    (10, -0.25, 0.75)
    """
    sizes = chromosome_sizes if isinstance(chromosome_sizes, dict) else read_sizes(chromosome_sizes)
    with open_source(score_path, Path(bigwig_path).parent, minus=minus, value=value) as source:
        return write_source(source, bigwig_path, chromosome_sizes=sizes, overlap=overlap)


def write_source(
    source: Source, bigwig_path: str | os.PathLike, *, chromosome_sizes: dict[str, int], overlap: str
) -> TrackSummary:
    """Write the values of regions as bigWig; parameters, result and errors are those of `write_track`."""
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
