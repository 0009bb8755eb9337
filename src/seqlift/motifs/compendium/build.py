"""The compendium: one entry for each motif of a run, whichever targets, methods and folds found it.

`compendium_merging` says which patterns are one motif and makes the consensus, `compendium_sites` turns the hits of
patterns into sites of motifs. Here that becomes the files of `motifs/compendium/` (`compendium_drawing` adds logos):

========================  ==========================================================================================
file                      what
========================  ==========================================================================================
compendium.tsv            one row a motif, see `compendium_tables`
members.tsv               one row a pattern, see there
usage.tsv                 one row for each motif, output and method that it was found in
positions.tsv             how many sites lie at which distance from the region's centre
compendium.meme           minimal MEME 4: consensus PFMs of the motifs that raise the output
compendium_negative.meme  of those that lower it
compendium.json           settings, counts, and each motif's consensus matrices; written last
========================  ==========================================================================================
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.motifs.compendium.merging import Found, Motif, merge
from seqlift.motifs.compendium.sites import Placement, motif_sites, read_called
from seqlift.motifs.compendium.tables import (
    MEMBER_COLUMNS,
    MOTIF_COLUMNS,
    Usage,
    member_table,
    motif_table,
    position_table,
    usage_table,
)
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.folder import MotifFolder, Source, counted, read_different
from seqlift.motifs.output import write_meme
from seqlift.motifs.settings import CompendiumSettings

FORMAT = "seqlift compendium 1"


def build_compendium(
    folders: Iterable[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    settings: CompendiumSettings = CompendiumSettings(),
) -> list[Motif]:
    """Merge the patterns of all folders into motifs and write the compendium.

    Parameters
    ----------
    folders : iterable of path-like
        Folders of motifs with their hits, of different outputs, methods and folds; their order does not matter.
    output_dir : path-like
    database : str, path-like or Database
        `jaspar:<group>`, the path of a MEME file, or one already loaded.
    settings : CompendiumSettings

    Returns
    -------
    list of Motif, by falling number of seqlets

    Raises
    ------
    SeqliftError
        If a folder is missing, unfinished or without hits, or two are of the same output, method and fold.
    """
    known, read = load_database(database), read_different(folders)
    patterns = [Found(*one.source, pattern) for one in read for pattern in one.patterns]
    motifs = merge(patterns, known, **asdict(settings))
    numbers: dict[str, int] = {}
    usage = [_use(one, motifs, numbers) for one in read]
    _write(Path(output_dir), read, motifs, usage, settings, known)
    return motifs


def _use(folder: MotifFolder, motifs: list[Motif], numbers: dict[str, int]) -> Usage:
    """Read the hits of one folder and lay them on the motifs; `numbers` of regions grow with new names."""
    hits, regions = read_called(folder.folder)
    placements = {}
    for number, motif in enumerate(motifs):
        for member in motif.members:
            if member.found.source == folder.source:
                place = Placement(number, member.reverse, member.offset, motif.width)
                placements[member.found.pattern.name] = place
    sites = motif_sites(hits, placements, folder.folder / "hits.bed.gz")
    of_region = np.array([numbers.setdefault(name, len(numbers)) for name in sites["region"].cat.categories], np.int32)
    compact = pd.DataFrame(
        {
            "motif": sites["motif"].astype(np.int32),
            "region": of_region[sites["region"].cat.codes],
            "contribution": sites["contribution"],
            "distance": sites["distance"].astype(np.float32),
        }
    )
    members = hits.groupby("pattern", observed=True).agg(hits=("region", "size"), regions=("region", "nunique"))
    return Usage(folder.source, compact, members, regions)


def _write(
    folder: Path,
    read: list[MotifFolder],
    motifs: list[Motif],
    usage: list[Usage],
    settings: CompendiumSettings,
    database: Database,
) -> None:
    """All files; compendium.json last, so that a folder with it is whole."""
    sources = counted(one.source for one in usage)
    counting = [one for one in usage if one.source in sources]
    tables = {
        "compendium.tsv": motif_table(motifs, counting),
        "members.tsv": member_table(motifs, usage),
        "usage.tsv": usage_table(motifs, counting),
        "positions.tsv": position_table(motifs, counting),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("compendium.json", "grammar.tsv", "logos/logos.json"):
        (folder / name).unlink(missing_ok=True)  # of older motifs, also what later stages made of them
    for name, table in tables.items():
        with replacing(folder / name) as temporary:
            table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
    for sign, name in (("positive", "compendium.meme"), ("negative", "compendium_negative.meme")):
        entries = [(one.name, one.match, one.frequencies, one.seqlets) for one in motifs if one.sign == sign]
        write_meme(entries, _background(read), folder / name)
    summary = {
        "format": FORMAT,
        "settings": asdict(settings),
        "database": {"name": database.name, "release": database.release, "motifs": len(database.ids)},
        "folders": [
            {
                **used.source._asdict(),
                "patterns": len(one.patterns),
                "sites": len(used.sites),
                "regions_searched": used.regions_searched,
            }
            for one, used in zip(read, usage, strict=True)
        ],
        "patterns": sum(len(one.patterns) for one in read),
        "named": sum(one.match.named for one in motifs),
        "message": "" if motifs else "No motifs: no output and method has a pattern; their motifs.json say why.",
        # Rows A C G T; trimmed and oriented as in the logos and MEME files.
        "motifs": {
            one.name: {
                kind: [[float(f"{value:.6g}") for value in row] for row in matrix]
                for kind, matrix in (("pfm", one.frequencies), ("cwm", one.contributions), ("hcwm", one.hypothetical))
            }
            for one in motifs
        },
    }
    with replacing(folder / "compendium.json") as temporary:
        temporary.write_text(json.dumps(summary) + "\n", encoding="utf-8")


def _background(folders: list[MotifFolder]) -> np.ndarray:
    """Shares of A C G T, mean over all regions in which motifs were sought."""
    regions = np.array([one.summary["regions"] for one in folders], float)
    shares = np.array([[one.summary["background"][base] for base in "ACGT"] for one in folders])
    return regions @ shares / regions.sum() if regions.any() else np.full(4, 0.25)


@dataclass(frozen=True)
class Compendium:
    """A compendium as other stages read it.

    Attributes
    ----------
    folder : pathlib.Path
    summary : dict
        compendium.json.
    motifs, members : pandas.DataFrame
        compendium.tsv and members.tsv; text is text, empty where there is nothing.
    """

    folder: Path
    summary: dict
    motifs: pd.DataFrame
    members: pd.DataFrame

    def placements(self, source: Source) -> dict[str, Placement]:
        """How the patterns of one folder lie on the motifs."""
        width = dict(zip(self.motifs["motif"], self.motifs["width"], strict=True))
        number = {motif: i for i, motif in enumerate(self.motifs["motif"])}
        own = self.members[
            (self.members["output"] == source.output)
            & (self.members["method"] == source.method)
            & (self.members["fold"] == ("" if source.fold is None else str(source.fold)))
        ]
        return {
            row.pattern: Placement(number[row.motif], row.strand == "-", row.offset, width[row.motif])
            for row in own.itertuples()
        }


def read_compendium(folder: str | os.PathLike) -> Compendium:
    """Read a folder that `build_compendium` wrote.

    Raises
    ------
    SeqliftError
        If a file is missing, cannot be read or is of another format.
    """
    folder = Path(folder)
    path = folder / "compendium.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(summary, dict) or summary.get("format") != FORMAT:
            raise ValueError(f"its `format` is not {FORMAT!r}")
        path = folder / "compendium.tsv"
        motifs = _read_table(path, MOTIF_COLUMNS, {"members", "width", "seqlets", "hits", "regions"})
        path = folder / "members.tsv"
        members = _read_table(path, MEMBER_COLUMNS, {"offset", "seqlets", "hits", "regions"})
        if not set(members["motif"]) <= set(motifs["motif"]):
            raise ValueError("it names motifs that are not in compendium.tsv")
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; make the folder again with `seqlift compendium`") from None
    except (OSError, ValueError) as error:
        raise SeqliftError(f"{path}: cannot be read ({error}); make it again with `seqlift compendium`") from None
    return Compendium(folder, summary, motifs, members)


def _read_table(path: Path, columns: list[str], numbers: set[str]) -> pd.DataFrame:
    """Whole numbers are numbers, everything else stays text."""
    types = {column: np.int64 if column in numbers else str for column in columns}
    return pd.read_csv(path, sep="\t", usecols=columns, dtype=types, keep_default_na=False)
