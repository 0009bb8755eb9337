"""What of a run is shown: its bigWigs, and the genome, peaks and genes that it names."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from seqlift.config import data_path
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.tracks.appearance import Appearance, appearances


@dataclass(frozen=True)
class Shown:
    """The files that are shown, and no others.

    Attributes
    ----------
    title : str
        Name of the run and length of its windows.
    folder : pathlib.Path
        Of the run, resolved.
    genome : Genome
    tracks : list of Appearance
    peaks : list of (str, pathlib.Path)
        Target and file.
    hits : list of (str, str, pathlib.Path)
        Output, method and file.
    genes : pathlib.Path or None
    regions : pathlib.Path
    """

    title: str
    folder: Path
    genome: Genome
    tracks: list[Appearance]
    peaks: list[tuple[str, Path]]
    hits: list[tuple[str, str, Path]]
    genes: Path | None
    regions: Path


def read_shown(results: str | os.PathLike) -> Shown:
    """Find what a run has to show.

    Parameters
    ----------
    results : path-like
        results/<name>/<length>bp

    Raises
    ------
    SeqliftError
        If it is no finished run, a file that it names is gone, the genome has changed, or a track is a link to a place
        outside of the results.
    """
    folder = Path(results).resolve()
    summary = _summary(Path(results), folder)
    tracks = sorted(folder.glob("tracks/*.bw"))
    hits = sorted(folder.glob("motifs/*/*/hits.bed.gz"))
    if not tracks:
        raise SeqliftError(f"{results}: has no tracks; run snakemake to its end, or make one by `seqlift tracks write`")
    for path in (*tracks, *hits):
        if not path.resolve().is_relative_to(folder):
            raise SeqliftError(f"{path}: a link to a place outside of the results; put the file itself there")
    fasta = _named(folder, summary["genome"]["path"], "the genome")
    genome = Genome(fasta)
    if summary["genome"].get("sha256") not in (None, genome.sha256):
        raise SeqliftError(f"{fasta}: is not the genome of this run any more (another checksum); put that one back")
    return Shown(
        title=f"{folder.parent.name}, {summary['length']} bp",
        folder=folder,
        genome=genome,
        tracks=appearances(tracks),
        peaks=[(name, _named(folder, each["path"], f"the peaks of {name}")) for name, each in _peaks(summary)],
        hits=[(path.parent.name, path.parent.parent.name, path) for path in hits],
        genes=_genes(folder),
        regions=folder / "regions.tsv.gz",
    )


def _summary(results: Path, folder: Path) -> dict:
    path = folder / "regions.json"
    if not path.is_file():
        runs = sorted(each.parent.name for each in folder.glob("*bp/regions.json"))
        hint = f"give {results / runs[0]}" if runs else "give the folder results/<name>/<length>bp of a finished run"
        raise SeqliftError(f"{results}: holds no regions.json, so it is no run of seqlift; {hint}")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(summary["genome"]["path"], str) or not isinstance(summary["length"], int):
            raise TypeError("of another form")
    except (ValueError, KeyError, TypeError) as error:
        raise SeqliftError(f"{path}: not a summary of regions ({error}); make it again with snakemake") from None
    return summary


def _peaks(summary: dict) -> list[tuple[str, dict]]:
    return sorted((summary.get("peaks") or {}).items())


def _named(folder: Path, path: str, what: str) -> Path:
    """A file that the run names: paths are relative to where snakemake was started, three folders up, or to here."""
    starts = [folder.parents[2], Path.cwd()] if len(folder.parents) > 2 else [Path.cwd()]
    for start in starts:
        if (start / path).is_file():
            return start / path
    looked = ", ".join(map(str, starts))
    raise SeqliftError(f"{path}: {what} of this run, is not there (looked in {looked}); put it back")


def _genes(folder: Path) -> Path | None:
    """`report.genes` of the run's config."""
    try:
        config = yaml.safe_load((folder.parent / "config.yaml").read_text(encoding="utf-8"))
        genes = data_path(config, config["report"]["genes"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):  # runs without one are as good
        return None
    return _named(folder, genes, "the genes") if genes else None
