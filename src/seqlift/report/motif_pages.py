"""The table of motifs and the page of each: logos, seqlets, places, targets, members and examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import lay_known
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.logos import COLOURS
from seqlift.report.canvas import Image
from seqlift.report.entries import Entry, Member
from seqlift.report.files_of_run import relative_link
from seqlift.report.letters import frequency_image, logo_image
from seqlift.report.motif_figures import BINS, heat_map, positions
from seqlift.report.run import Run
from seqlift.report.seqlet_windows import read_windows, shown_start

HEAT_MAPS = 150  # motifs, those of most seqlets, whose page has one: about 25 kB each
EXAMPLES = 6  # hits of a motif's page
MEMBERS = 60  # patterns of a motif's page that have a logo


@dataclass(frozen=True)
class Hit:
    """A hit that a motif's page shows: `region` is the number of its region in the page."""

    region: int
    output: str
    method: str
    start: int
    end: int
    strand: str
    contribution: float


def motif_rows(entries: list[Entry], palette: dict[str, str] = COLOURS) -> list[dict]:
    """The rows of the table of motifs."""
    return [
        {
            "entry": entry,
            "cwm": _logo(entry, "cwm", palette, 52),
            "pfm": _logo(entry, "pfm", palette, 52),
            "outputs": entry.outputs,
            "methods": entry.methods,
        }
        for entry in entries
    ]


def motif_pages(
    run: Run, entries: list[Entry], database: str, folder: Path, palette: dict[str, str] = COLOURS
) -> list[dict]:
    """What each motif's page shows.

    Parameters
    ----------
    database : str
        `motifs.database` of the config, for the known motif below each logo.
    folder : pathlib.Path
        Where the page will lie.
    """
    known = _open_database(database)
    drawn = entries[:HEAT_MAPS]
    windows = read_windows(run, [entry.leading for entry in drawn])
    pages = []
    for i, entry in enumerate(entries):
        leading = entry.leading
        pages.append(
            {
                "entry": entry,
                "leading": leading,
                "logos": {kind: _logo(entry, kind, palette, 92) for kind in ("cwm", "hcwm")},
                "reverse": _logo(entry, "cwm", palette, 64, reverse=True),
                "pfm": _logo(entry, "pfm", palette, 60),
                "match": _match(entry, known, palette),
                "heat": heat_map(windows[i], entry.label, palette) if i < len(drawn) else None,
                "places": _places(run, entry),
                "usage": entry.usage,
                "members": [
                    _member(run, member, entry, folder, palette, n < MEMBERS) for n, member in enumerate(entry.members)
                ],
                "examples": [],
            }
        )
    return pages


def add_examples(pages: list[dict], hits: pd.DataFrame) -> None:
    """Put the strongest hits of each motif onto its page.

    Parameters
    ----------
    pages : list of dict
        As from `motif_pages`.
    hits : pandas.DataFrame
        Hits on the regions of the page, with the number of their motif, `motif`.
    """
    for motif, own in hits.groupby("motif", sort=False):
        pages[motif]["examples"] = _examples(own)


def _open_database(name: str) -> Database | None:
    try:
        return load_database(name)
    except SeqliftError:  # the user's own file, no longer there: the page does without
        return None


def _logo(entry: Entry, kind: str, palette, height: int, reverse: bool = False) -> Image:
    matrix = entry.shown(kind)
    if reverse:
        matrix = matrix[::-1, ::-1]
    what = {"cwm": "mean contributions", "hcwm": "mean hypothetical contributions", "pfm": "base frequencies"}[kind]
    where = ", reverse complement" if reverse else ""
    alt = f"Sequence logo of the {what} of {entry.label}{where}: {entry.consensus}"
    return (frequency_image if kind == "pfm" else logo_image)(matrix, alt, height=height, palette=palette)


def _match(entry: Entry, known: Database | None, palette) -> dict | None:
    """The known motif, aligned below the pattern: both padded to the same columns."""
    if known is None or entry.match_id not in known.ids:
        return None
    query = entry.shown("pfm")
    matrix, offset = lay_known(query, known.matrices[known.ids.index(entry.match_id)])
    low, high = min(0, offset), max(query.shape[1], offset + matrix.shape[1])
    padded = []
    for part, first in ((query, 0), (matrix, offset)):
        whole = np.full((4, high - low), 0.25)
        whole[:, first - low : first - low + part.shape[1]] = part
        padded.append(whole)
    name = known.names[known.ids.index(entry.match_id)]
    return {
        "name": name,
        "id": entry.match_id,
        "query": frequency_image(padded[0], f"Base frequencies of {entry.label}", height=60, palette=palette),
        "known": frequency_image(padded[1], f"{name} ({entry.match_id}), aligned below", height=60, palette=palette),
    }


def _member(run: Run, member: Member, entry: Entry, folder: Path, palette, drawn: bool) -> dict:
    key = member.output, member.method
    motifs = run.fold_motifs[*key, member.fold] if member.fold else run.motifs[key]
    logos = motifs.folder / "logos"
    return {
        "member": member,
        "logo": _aligned(member, entry, palette) if drawn else None,
        "row": member.row,
        "link": relative_link(logos, folder) + "/" if logos.is_dir() else None,
    }


def _aligned(member: Member, entry: Entry, palette) -> Image:
    """The CWM of a member on the columns of the motif, so that all members stand below each other."""
    matrix, width = member.shown("cwm"), entry.shown("cwm").shape[1]
    whole = np.zeros((4, width))
    first, last = max(member.offset, 0), min(member.offset + matrix.shape[1], width)
    whole[:, first:last] = matrix[:, first - member.offset : last - member.offset]
    alt = f"Sequence logo of the mean contributions of {member.pattern.name}: {member.row['consensus']}"
    return logo_image(whole, alt, height=40, palette=palette)


def _places(run: Run, entry: Entry) -> Image:
    """Distances of the hits, or where there are none of the seqlets, to the middle of their region."""
    if entry.positions is not None:
        table = entry.positions
        edges = np.unique(np.r_[table["bin_start"], table["bin_end"]])
        counts = {
            method: part.groupby("bin_start")["hits"].sum().reindex(edges[:-1], fill_value=0).to_numpy()
            for method, part in table.groupby("method", sort=True)
        }
        return positions(counts, edges.astype(float), entry.label, "hits")
    edges = np.linspace(-run.length / 2, run.length / 2, BINS + 1)
    counts = {}
    for member in entry.members:
        pattern = member.pattern
        middle = shown_start(pattern) + (pattern.end - pattern.start) / 2 - run.length / 2
        counts[member.method] = counts.get(member.method, 0) + np.histogram(middle, edges)[0]
    return positions(counts, edges, entry.label, "seqlets")


def _examples(hits: pd.DataFrame) -> list[Hit]:
    """The strongest hits of a motif, each of another region and another place."""
    chosen: list = []
    for row in hits.iloc[np.argsort(-hits["contribution"].abs(), kind="stable")].itertuples():
        if len(chosen) == EXAMPLES:
            break
        here = [one for one in chosen if one.chrom == row.chrom and one.start < row.end and row.start < one.end]
        if not here and all(one.region != row.region for one in chosen):
            chosen.append(row)
    return [
        Hit(int(row.region), row.output, row.method, int(row.start), int(row.end), row.strand, float(row.contribution))
        for row in chosen
    ]
