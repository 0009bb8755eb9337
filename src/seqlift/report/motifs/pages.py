"""The table of motifs and the page of each: logos, seqlets, places, targets, members and examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import lay_known
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.logos import COLOURS
from seqlift.report.figures.canvas import Image, Room
from seqlift.report.figures.letters import frequency_image, logo_image
from seqlift.report.motifs.figures import BINS, heat_map, positions
from seqlift.report.motifs.seqlet_windows import read_windows
from seqlift.report.read.entries import Entry, Member
from seqlift.report.read.files import relative_link
from seqlift.report.read.run import Run

HEAT_MAPS = 100  # motifs, those of most seqlets, whose page has one: about 25 kB each
EXAMPLES = 6  # hits of a motif's page
MEMBERS = 60  # patterns of a motif's page that have a logo
# Characters of the page that logos take: in the table of motifs, on the pages of motifs, of their patterns there
TABLE_LOGOS, PAGE_LOGOS, MEMBER_LOGOS = 2_000_000, 4_000_000, 1_500_000


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

    @property
    def stretch(self) -> str:
        """What a link to it shows: 20 bp more on either side, as far as the chromosome reaches."""
        return f"{max(0, self.start - 20)}-{self.end + 20}"


def motif_rows(entries: list[Entry], palette: dict[str, str] = COLOURS) -> list[dict]:
    """The rows of the table of motifs; `logos` is empty where those before it have taken their room."""
    rows, room = [], Room(TABLE_LOGOS)
    for entry in entries:
        logos = {} if room.full else {kind: _logo(entry, kind, palette, 52) for kind in ("cwm", "pfm")}
        room.take(*logos.values())
        rows.append({"entry": entry, "logos": logos, "outputs": entry.outputs, "methods": entry.methods})
    return rows


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
    pages, room, members = [], Room(PAGE_LOGOS), Room(MEMBER_LOGOS)
    for i, entry in enumerate(entries):
        logos = [] if room.full else _page_logos(entry, known, palette)
        room.take(*(image for _, images in logos for image in images))
        pages.append(
            {
                "entry": entry,
                "leading": entry.leading,
                "logos": logos,
                "heat": heat_map(windows[i], entry.label, palette) if i < len(drawn) else None,
                "places": _places(run, entry),
                "usage": entry.usage,
                "members": [
                    _member(run, member, folder, _aligned(member, entry, palette, members) if n < MEMBERS else None)
                    for n, member in enumerate(entry.members)
                ],
                "examples": [],
            }
        )
    return pages


def add_examples(pages: list[dict], hits: pd.DataFrame) -> None:
    """Put the strongest hits of each motif onto its page, in place of those that were there.

    Parameters
    ----------
    pages : list of dict
        As from `motif_pages`.
    hits : pandas.DataFrame
        Hits on the regions of the page, with the number of their motif, `motif`.
    """
    for page in pages:
        page["examples"] = []
    for motif, own in hits.groupby("motif", sort=False):
        pages[motif]["examples"] = _examples(own)


def _open_database(name: str) -> Database | None:
    try:
        return load_database(name)
    except SeqliftError:  # the user's own file, no longer there: the page does without
        return None


def _logo(entry: Entry, kind: str, palette: dict[str, str], height: int, reverse: bool = False) -> Image:
    matrix = entry.shown(kind)
    if reverse:
        matrix = matrix[::-1, ::-1]
    what = {"cwm": "mean contributions", "hcwm": "mean hypothetical contributions", "pfm": "base frequencies"}[kind]
    where = ", reverse complement" if reverse else ""
    alt = f"Sequence logo of the {what} of {entry.label}{where}: {entry.consensus}"
    return (frequency_image if kind == "pfm" else logo_image)(matrix, alt, height=height, palette=palette)


def _page_logos(entry: Entry, known: Database | None, palette: dict[str, str]) -> list[tuple[str, list[Image]]]:
    """The logos of a motif's page: captions, each with the logos below it."""
    caption, frequencies = "Frequencies, bits (PFM)", [_logo(entry, "pfm", palette, 60)]
    if known is not None and entry.match_id in known.ids:
        number = known.ids.index(entry.match_id)
        caption += f", above the known {known.names[number]} {entry.match_id}"
        frequencies = _matched(entry, known.matrices[number], f"{known.names[number]} ({entry.match_id})", palette)
    return [
        ("Mean contribution (CWM)", [_logo(entry, "cwm", palette, 92)]),
        ("Hypothetical (hCWM)", [_logo(entry, "hcwm", palette, 92)]),
        (caption, frequencies),
        ("CWM, other strand", [_logo(entry, "cwm", palette, 64, reverse=True)]),
    ]


def _matched(entry: Entry, known: np.ndarray, name: str, palette: dict[str, str]) -> list[Image]:
    """The base frequencies and, aligned below, the known motif: both padded to the same columns."""
    query = entry.shown("pfm")
    matrix, offset = lay_known(query, known)
    low, high = min(0, offset), max(query.shape[1], offset + matrix.shape[1])
    found = []
    words = f"Base frequencies of {entry.label}", f"{name}, aligned below"
    for part, first, alt in ((query, 0, words[0]), (matrix, offset, words[1])):
        whole = np.full((4, high - low), 0.25)
        whole[:, first - low : first - low + part.shape[1]] = part
        found.append(frequency_image(whole, alt, height=60, palette=palette))
    return found


def _member(run: Run, member: Member, folder: Path, logo: Image | None) -> dict:
    key = member.output, member.method
    motifs = run.fold_motifs[*key, member.fold] if member.fold else run.motifs[key]
    logos = motifs.folder / "logos"
    return {
        "member": member,
        "logo": logo,
        "row": member.row,
        "link": relative_link(logos, folder) + "/" if logos.is_dir() else None,
    }


def _aligned(member: Member, entry: Entry, palette: dict[str, str], room: Room) -> Image | None:
    """The CWM of a member on the columns of the motif, so that all members line up below each other."""
    if room.full:
        return None
    matrix, width = member.shown("cwm"), entry.shown("cwm").shape[1]
    whole = np.zeros((4, width))
    first, last = max(member.offset, 0), min(member.offset + matrix.shape[1], width)
    whole[:, first:last] = matrix[:, first - member.offset : last - member.offset]
    alt = f"Sequence logo of the mean contributions of {member.pattern.name}: {member.row['consensus']}"
    image = logo_image(whole, alt, height=40, palette=palette)
    room.take(image)
    return image


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
        middle = pattern.shown_starts + pattern.shown_width / 2 - run.length / 2
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
