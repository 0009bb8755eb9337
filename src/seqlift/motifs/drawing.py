"""Draw the logos of a folder of motifs: each motif alone, beside the known motif it is named after, and all at once.

===========================  =======================================================================================
file                         what
===========================  =======================================================================================
<motif>.cwm.*                mean contributions; <motif>.hcwm.* mean hypothetical contributions, of all four bases;
                             <motif>.pfm.* base frequencies in bits
<motif>.<kind>.reverse.*     the same on the opposite strand
<motif>.match.*              of named ones: CWM, PFM and, aligned under them, the known motif
overview.svg, .png           all on one sheet
logos.json                   what was drawn, from what, in which colours and to which scale
===========================  =======================================================================================

Motifs are the patterns of one output and method, trimmed and oriented as in patterns.meme, or those of a compendium
(`compendium.drawing`). All logos of a kind share one y axis: a low logo is a weak motif.
"""

import json
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import lay_known
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.folder import read_motifs
from seqlift.motifs.information import information_content
from seqlift.motifs.logos import (
    FORMATS,
    KINDS,
    choose_palette,
    common_limits,
    draw_logo,
    letter_heights,
    plain_text,
    save_figure,
    save_logos,
)

if TYPE_CHECKING:
    from seqlift.motifs.discovery import MotifSummary

FORMAT = "seqlift logos 1"
_OURS = re.compile(r"((pos|neg|m)_\d+\.(cwm|hcwm|pfm|match)(\.reverse)?|overview)\.(svg|png|pdf)")
_INCH, _SMALL = 0.24, 0.17  # width of a letter, also on the sheet of all motifs
_LABEL, _HEAD, _ROW = 2.0, 0.7, 1.65  # inches of that sheet


@dataclass(frozen=True)
class Shown:
    """Motifs to draw, with their names and statistics.

    Attributes
    ----------
    title : str
        Of the sheet of all motifs.
    message : str
        Text of the sheet if there are no motifs.
    target, method : str
        Empty for motifs of several.
    lines : list of dict
        Of each motif `motif` (what it is called here), `name`, `match_id`, `q` and `seqlets`.
    matrices : list of dict
        Of each motif its `cwm`, `hcwm` and `pfm`, shape (4, w), as shown.
    table : pathlib.Path
        File with the names, for messages.
    database : str
        By which the motifs were named.
    """

    title: str
    message: str
    target: str
    method: str
    lines: list[dict]
    matrices: list[dict]
    table: Path
    database: str


@dataclass(frozen=True)
class KnownMotif:
    """The known motif that a motif is named after.

    Attributes
    ----------
    match_id, name : str
    matrix : numpy.ndarray, shape (4, v)
        Its base frequencies.
    offset : int
        Position of the motif as shown (0-based) at which the known motif begins; negative where it begins before.
    """

    match_id: str
    name: str
    matrix: np.ndarray
    offset: int


def draw_logos(
    motifs: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    colours: str = "classic",
) -> dict:
    """Draw all logos of a folder that `seqlift motifs` wrote.

    Parameters
    ----------
    motifs : path-like
    output_dir : path-like
        Logos of an earlier run in it are deleted; other files stay.
    database : str, path-like or Database
        The known motifs by which the patterns were named.
    colours : str
        `classic` or `colour-blind`.

    Returns
    -------
    dict, the content of logos.json

    Raises
    ------
    SeqliftError
        If the folder is broken, the database lacks a motif that names a pattern, or there are no such colours.
    """
    folder = read_motifs(motifs)
    output, method, _ = folder.source
    shown = Shown(
        title=f"{output}, {method.replace('_', ' ')}",
        message=folder.summary["message"],
        target=output,
        method=method,
        lines=folder.table.rename(columns={"pattern": "motif"}).to_dict("records"),
        matrices=[{kind: pattern.shown(kind) for kind in KINDS} for pattern in folder.patterns],
        table=folder.folder / "patterns.tsv",
        database=folder.summary["database"]["name"],
    )
    return draw(shown, output_dir, database=database, colours=colours)


def draw(shown: Shown, output_dir: str | os.PathLike, *, database: str | os.PathLike | Database, colours: str) -> dict:
    """Draw motifs of any kind; parameters, result and errors as of `draw_logos`."""
    palette = choose_palette(colours)
    known = _known_motifs(shown, load_database(database))
    limits = {kind: common_limits(kind, [one[kind] for one in shown.matrices]) for kind in KINDS}
    place = Path(output_dir)
    place.mkdir(parents=True, exist_ok=True)
    (place / "logos.json").unlink(missing_ok=True)  # it is written last: a folder with it is whole
    for path in place.iterdir():
        if _OURS.fullmatch(path.name):
            path.unlink()
    entries = []
    for line, matrices, match in zip(shown.lines, shown.matrices, known, strict=True):
        name, named = line["motif"], None
        files = save_logos(place, name, matrices, limits, palette)
        if match is not None:
            save_figure(match_figure(matrices, match, limits, palette), place / f"{name}.match", formats=FORMATS)
            files += [f"{name}.match.{form}" for form in FORMATS]
            named = {"match_id": match.match_id, "name": match.name, "offset": match.offset}
        entries.append({"pattern": name, "width": matrices["pfm"].shape[1], "match": named, "files": files})
    save_figure(overview_figure(shown, known, limits, palette), place / "overview", dpi=100)
    manifest = {
        "format": FORMAT,
        "target": shown.target,
        "method": shown.method,
        "colours": colours,
        "palette": palette,
        "limits": limits,
        "overview": ["overview.svg", "overview.png"],
        "patterns": entries,
    }
    with replacing(place / "logos.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def find_motifs(
    score_path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    database: str | os.PathLike | Database = "jaspar:vertebrates",
    colours: str = "classic",
    **settings: Any,
) -> "MotifSummary":
    """Find motifs in a score file, name them after known motifs and draw their logos.

    Parameters
    ----------
    score_path : path-like
        A score file, as `seqlift.save_scores` or `seqlift attribute` writes it.
    folder : path-like
        Where to write patterns.tsv, patterns.meme, modisco.h5, seqlets.bed.gz and motifs.json, and the logos in a
        folder `logos`. Motifs of an earlier run are replaced.
    database : str or path-like
        Known motifs: `jaspar:<group>` (JASPAR CORE, for example `jaspar:fungi`) or the path of a MEME file.
    colours : "classic" or "colour-blind"
        Colours of the letters.
    **settings
        `max_seqlets`, `window` (bp), `threshold`, `seed` and `tfmodisco`: see `seqlift.motifs.discovery.discover`.

    Returns
    -------
    seqlift.motifs.discovery.MotifSummary
        The numbers of seqlets, patterns and named patterns. If there are no patterns, `message` says why.

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, a setting is out of range, scores are not finite or not hypothetical, or regions
        are too short.

    Examples
    --------
    A model that looks for GATAAG in the middle of a sequence, and a little at every other base:

    >>> import pathlib, numpy as np, seqlift, tempfile, torch
    >>> folder, rng = pathlib.Path(tempfile.mkdtemp()), np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (400, 80))
    >>> codes[:, 37:43] = [2, 0, 3, 0, 0, 2]
    >>> sequences = torch.eye(4)[codes].mT  # (400, 4, 80)
    >>> weights = torch.from_numpy(rng.normal(0, 0.02, (4, 80))).float()
    >>> weights[:, 37:43] = sequences[0, :, 37:43]
    >>> result = seqlift.mutagenesis(lambda x: (x * weights).sum((1, 2))[:, None], sequences)
    >>> places = [("chr1", 100 * i, 100 * i + 80) for i in range(400)]
    >>> path = seqlift.save_scores(folder / "gata.h5", result, sequences, places, target="gata")
    >>> rows = ["0 0 1 0", "1 0 0 0", "0 0 0 1", "1 0 0 0", "1 0 0 0", "0 0 1 0"]
    >>> meme = "\\n".join(["MEME version 4", "MOTIF M1 GATA", "letter-probability matrix: w= 6", *rows])
    >>> written = (folder / "known.meme").write_text(meme)
    >>> found = seqlift.find_motifs(path, folder / "motifs", database=folder / "known.meme", window=80)
    >>> found.patterns, found.named
    (1, 1)
    """
    from seqlift.motifs.discovery import discover

    choose_palette(colours)  # reports wrong colours before the long work
    known = load_database(database)
    summary = discover(score_path, folder, database=known, **settings)
    draw_logos(folder, Path(folder) / "logos", database=known, colours=colours)
    return summary


def _known_motifs(shown: Shown, database: Database) -> list[KnownMotif | None]:
    """The known motif that each motif is named after, aligned with it; None without a name."""
    index = {identifier: i for i, identifier in enumerate(database.ids)}
    found: list[KnownMotif | None] = []
    for line, matrices in zip(shown.lines, shown.matrices, strict=True):
        match_id = line["match_id"]
        if not match_id:
            found.append(None)
        elif match_id not in index:
            raise SeqliftError(
                f"{shown.table}: {line['motif']} is named after {match_id!r}, which {database.name} lacks; the "
                f"patterns were named by {shown.database}: give that --database"
            )
        else:
            matrix, offset = lay_known(matrices["pfm"], database.matrices[index[match_id]])
            found.append(KnownMotif(match_id, database.names[index[match_id]], matrix, offset))
    return found


@plain_text
def match_figure(matrices: dict[str, np.ndarray], match: KnownMotif, limits: dict, palette: dict[str, str]) -> Figure:
    """CWM, PFM and the known motif, one above the other, position under position."""
    width = matrices["pfm"].shape[1]
    first, last = _span(width, match)
    inches = 0.95 + _INCH * max(last - first, 8)
    figure = Figure(figsize=(inches, 3.9))
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 1)
    heights = [letter_heights(kind, matrices[kind]) for kind in ("cwm", "pfm")] + [information_content(match.matrix)]
    starts, labels = (0, 0, match.offset), (KINDS["cwm"], KINDS["pfm"], KINDS["pfm"])
    ranges = (limits["cwm"], limits["pfm"], limits["pfm"])
    titles = ("contributions (CWM)", "frequencies (PFM)", f"{match.name} ({match.match_id})")
    for ax, height, start, label, limit, title in zip(axes, heights, starts, labels, ranges, titles, strict=True):
        draw_logo(ax, height, first=start + 1, ylabel=label, limits=limit, palette=palette)
        ax.set_xlim(first + 0.5, last + 0.5)
        ax.set_title(title, fontsize=8, loc="left", pad=3)
        ax.locator_params(axis="y", nbins=3)
        ax.set_xticks([])
    ticks = [1, *range(5, width + 1, 5)]
    axes[1].set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7)
    figure.subplots_adjust(left=0.7 / inches, right=1 - 0.1 / inches, bottom=0.03, top=0.93, hspace=0.42)
    return figure


@plain_text
def overview_figure(shown: Shown, known: list[KnownMotif | None], limits: dict, palette: dict[str, str]) -> Figure:
    """All motifs on one sheet, a line each: what it is, its CWM, and its PFM above the known motif.

    Parameters
    ----------
    shown : Shown
    known : list of KnownMotif or None
    limits : dict
        By kind, the range of the y axis.
    palette : dict of str to str
    """
    if not shown.lines:
        return _nothing(shown.title, shown.message)
    spans = [_span(one["pfm"].shape[1], match) for one, match in zip(shown.matrices, known, strict=True)]
    panel = 0.75 + _SMALL * max(last - first for first, last in spans)
    sheet = _Sheet(_LABEL + 2 * panel, _HEAD + _ROW * len(shown.lines))
    sheet.write(0.15, 0.12, shown.title, fontsize=12, weight="bold")
    for x, text in ((_LABEL, "contributions (CWM)"), (_LABEL + panel, "bits (PFM), under it the known motif")):
        sheet.write(x + 0.35, 0.46, text, fontsize=8, color="#555555")
    rows = zip(shown.lines, shown.matrices, known, spans, strict=True)
    for i, (line, one, match, span) in enumerate(rows):
        top = _HEAD + _ROW * i
        sheet.write(0.15, top + 0.1, line["name"] or "no name", fontsize=10, color="black" if match else "#777777")
        facts = f"{line['motif']}, {line['seqlets']} seqlets\nq = {float(line['q']):.1e}\n{line['match_id']}"
        sheet.write(0.15, top + 0.34, facts, fontsize=7.5, color="#444444", linespacing=1.35)
        logos: list[tuple[float, float, float, np.ndarray, int, tuple[float, float]]] = [
            (_LABEL, 0, _ROW - 0.25, one["cwm"], 0, limits["cwm"]),
            (_LABEL + panel, 0, 0.85 if match else _ROW - 0.25, information_content(one["pfm"]), 0, limits["pfm"]),
        ]
        if match:
            motif = information_content(match.matrix)
            logos.append((_LABEL + panel, 1.02, 0.48, motif, match.offset, limits["pfm"]))
        for x, y, height, letters, start, limit in logos:
            ax = sheet.place(x + 0.35, top + 0.08 + y, _SMALL * (span[1] - span[0]), height)
            draw_logo(ax, letters, first=start, limits=limit, palette=palette)
            ax.set_xlim(span[0] - 0.5, span[1] - 0.5)
            ax.set_xticks([])
            ax.locator_params(axis="y", nbins=3)
            ax.tick_params(axis="y", labelsize=6)
    return sheet.figure


def _span(width: int, match: KnownMotif | None) -> tuple[int, int]:
    """First and last (exclusive) position that a motif and the known motif under it take."""
    if match is None:
        return 0, width
    return min(0, match.offset), max(width, match.offset + match.matrix.shape[1])


class _Sheet:
    """A figure on which things are placed in inches from the left and the top."""

    def __init__(self, width: float, height: float):
        self.figure = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)
        self._width, self._height = width, height

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x / self._width, 1 - y / self._height, text, va="top", **style)

    def place(self, x: float, y: float, width: float, height: float) -> Axes:
        bottom = 1 - (y + height) / self._height
        return self.figure.add_axes((x / self._width, bottom, width / self._width, height / self._height))


def _nothing(title: str, message: str) -> Figure:
    """The sheet of a folder without motifs says why."""
    sheet = _Sheet(8, 1.7)
    sheet.write(0.15, 0.12, title, fontsize=12, weight="bold")
    sheet.write(0.15, 0.5, "\n".join(textwrap.wrap(message, 110)), fontsize=8, linespacing=1.35)
    return sheet.figure
