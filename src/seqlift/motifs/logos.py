"""Sequence logos: the importance of each base at each position.

Two heights are in use. A CWM (contribution weight matrix) logo draws the mean contribution of each base, so a letter's
height is what the model adds to its output when it meets that base there; letters below the line lower the output. A
PFM (position frequency matrix) logo draws the information content of Schneider & Stephens (1990), so a full-height
column of 2 bits is a base that never varies.

The letters are logomaker's glyphs, stacked as it stacks them, the largest farthest from the line. Its `Logo` class
makes one patch after another for the letters, which takes most of a second for a region of 200 bp; here each of the
four shapes is made once and copied to its places as one path, in milliseconds. Files carry no date and no random
identifiers: the same numbers always give the same file.
"""

import contextlib
import functools
import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import logomaker
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as GlyphPath

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.motifs.information import information_content

BASES = "ACGT"
COLOURS = {"A": "#109648", "C": "#255c99", "G": "#f7b32b", "T": "#d62839"}  # the usual hues, of even weight on white
# Hues and lightness that stay apart with each of the three kinds of colour blindness: under Machado et al.'s (2009)
# simulation no two are nearer than 45 CIELAB units, where A and T above come as near as 14.
COLOUR_BLIND = {"A": "#44aa99", "C": "#332288", "G": "#e69f00", "T": "#7a0019"}
PALETTES = {"classic": COLOURS, "colour-blind": COLOUR_BLIND}
FORMATS = ("svg", "png", "pdf")  # of logos that are written for publication
KINDS = {"cwm": "contribution", "hcwm": "hypothetical", "pfm": "bits"}  # and what their heights mean
FONT = "DejaVu Sans"  # comes with matplotlib: the same letters on every machine
INVISIBLE = 0.004  # letters lower than this fraction of the tallest column are thinner than a pixel and are left out
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
plain_text = matplotlib.rc_context({"text.parse_math": False})  # around what writes names: a `$` in one is a `$`


def choose_palette(name: str) -> dict[str, str]:
    """The colours of the bases by the name of a palette.

    Raises
    ------
    SeqliftError
        If there is no palette of that name.
    """
    if name not in PALETTES:
        raise SeqliftError(f"`colours` (={name!r}) must be one of {', '.join(PALETTES)}")
    return PALETTES[name]


def letter_heights(kind: str, matrix: np.ndarray) -> np.ndarray:
    """What a logo of the `kind` (cwm, hcwm, pfm) draws for a matrix of shape (4, L): a PFM's information, or itself."""
    return information_content(matrix) if kind == "pfm" else np.asarray(matrix, dtype=float)


def common_limits(kind: str, matrices: Iterable[np.ndarray]) -> tuple[float, float]:
    """Range of the y axis that holds the logos of all `matrices`, each of shape (4, L); 0 to 2 bits for PFMs."""
    if kind == "pfm":
        return 0.0, 2.0
    high = max((np.maximum(matrix, 0).sum(axis=0).max() for matrix in matrices), default=0.0)
    low = min((np.minimum(matrix, 0).sum(axis=0).min() for matrix in matrices), default=0.0)
    room = 0.03 * (high - low)
    return (float(low - room if low < 0 else 0), float(high + room if high > 0 else 0)) if high > low else (0.0, 1.0)


@functools.cache
def outline(base: str) -> GlyphPath:
    """logomaker's letter with its foot on 0, its head on 1 and its middle on 0."""
    ax = Figure().add_subplot()
    glyph = logomaker.Glyph(p=0, c=base, floor=0, ceiling=1, ax=ax, width=0.96, font_name=FONT, font_weight="bold")
    return glyph.patch.get_path()


def draw_logo(
    ax: Axes,
    matrix: np.ndarray,
    *,
    first: float = 0,
    ylabel: str | None = None,
    limits: tuple[float, float] | None = None,
    palette: dict[str, str] = COLOURS,
) -> None:
    """Draw letters of the heights in `matrix` onto `ax`; works for patterns and for whole regions alike.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    matrix : numpy.ndarray, shape (4, L)
        Height of A, C, G, T at each position; negative values hang below the line, upside down.
    first : float
        Coordinate of the first position: letter i is centred at first + i, one unit wide.
    ylabel : str, optional
        What the height means, with its unit.
    limits : (float, float), optional
        Range of the y axis, to hold several logos to one scale. Default: what the letters need.
    palette : dict of str to str
        Colours of A C G T, one of `PALETTES`.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != 4 or matrix.shape[1] == 0:
        raise ValueError(f"`matrix` has shape {matrix.shape}; a logo needs (4, L) with L of at least 1")
    if not np.isfinite(matrix).all():
        raise ValueError("`matrix` holds NaN or infinite heights")
    high = np.maximum(matrix, 0).sum(axis=0).max()
    low = np.minimum(matrix, 0).sum(axis=0).min()
    matrix = np.where(np.abs(matrix) < INVISIBLE * max(high, -low), 0.0, matrix)

    columns = np.arange(matrix.shape[1])
    order = np.argsort(np.abs(matrix), axis=0)
    stacked = np.take_along_axis(matrix, order, axis=0)
    # Each letter ends where those smaller than it on its side of the line, and itself, add up to.
    ends = np.where(stacked > 0, np.cumsum(np.maximum(stacked, 0), axis=0), np.cumsum(np.minimum(stacked, 0), axis=0))
    for code, base in enumerate(BASES):
        rank = np.argmax(order == code, axis=0)
        end = ends[rank, columns]
        drawn = np.flatnonzero(matrix[code])
        if len(drawn):
            shape = outline(base)
            outlined, codes = np.asarray(shape.vertices), np.asarray(shape.codes)
            place = np.stack([columns[drawn] + first, (end - matrix[code])[drawn]], axis=1)
            size = np.stack([np.ones(len(drawn)), matrix[code, drawn]], axis=1)  # below zero turns it upside down
            vertices = (outlined[None] * size[:, None] + place[:, None]).reshape(-1, 2)
            letters = GlyphPath(vertices, np.tile(codes, len(drawn)))
            ax.add_patch(PathPatch(letters, facecolor=palette[base], linewidth=0))
    ax.axhline(0, color="black", linewidth=0.6, zorder=1)
    ax.set_xlim(first - 0.5, first + matrix.shape[1] - 0.5)
    if limits is None:
        limits = (low, high) if high > low else (0, 1)
        room = 0.03 * (limits[1] - limits[0])
        limits = (limits[0] - room if low < 0 else 0, limits[1] + room)
    ax.set_ylim(*limits)
    for side in ("top", "right", "bottom"):
        ax.spines[side].set_visible(False)
    ax.spines["left"].set_visible(True)
    ax.tick_params(axis="x", length=0)
    ax.tick_params(axis="y", labelsize=8)
    if ylabel:
        ax.set_ylabel(ylabel, fontsize=8)


def pattern_figure(
    matrix: np.ndarray,
    *,
    ylabel: str,
    title: str = "",
    limits: tuple[float, float] | None = None,
    palette: dict[str, str] = COLOURS,
) -> Figure:
    """A figure with one logo of a pattern, positions numbered from 1; wide as the pattern is long."""
    width = matrix.shape[1]
    figure = Figure(figsize=(0.75 + 0.24 * max(width, 6), 1.55 if title else 1.35))
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    draw_logo(ax, matrix, first=1, ylabel=ylabel, limits=limits, palette=palette)
    ticks = [1, *range(5, width + 1, 5)]
    ax.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7)
    ax.locator_params(axis="y", nbins=4)
    if title:
        ax.set_title(title, fontsize=9, loc="left")
    # Fixed margins in inches keep letters of all logos the same size, whatever the labels.
    inches_wide, inches_high = figure.get_size_inches()
    figure.subplots_adjust(
        left=0.62 / inches_wide,
        right=1 - 0.08 / inches_wide,
        bottom=0.22 / inches_high,
        top=1 - (0.28 if title else 0.08) / inches_high,
    )
    return figure


def svg_text(figure: Figure) -> str:
    """The figure as SVG: letters and text as paths, two decimals, no date; equal figures give equal text."""
    handle = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "seqlift", "svg.fonttype": "path"}):
        figure.savefig(handle, format="svg", metadata={"Date": None, "Creator": None})
    return _DECIMALS.sub(lambda number: f"{float(number.group()):.2f}", handle.getvalue())


@contextlib.contextmanager
def _no_layout_tables() -> Iterator[None]:
    """Leave layout tables out of the fonts in a PDF, which has no use for them: reading them takes half of the time."""
    from fontTools import subset

    usual = subset.Options._drop_tables_default
    subset.Options._drop_tables_default = [*usual, "GDEF", "GPOS", "GSUB"]
    try:
        yield
    finally:
        subset.Options._drop_tables_default = usual


def save_figure(
    figure: Figure, stem: str | os.PathLike, dpi: int = 150, formats: Iterable[str] = ("svg", "png")
) -> None:
    """Write `<stem>.<format>` for each of `formats` (svg, png, pdf), each whole or not at all."""
    stem = Path(stem)
    for form in formats:
        with replacing(stem.parent / f"{stem.name}.{form}") as path:
            if form == "svg":
                path.write_text(svg_text(figure), encoding="utf-8")
            elif form == "png":
                figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})
            else:
                with matplotlib.rc_context({"pdf.fonttype": 42}), _no_layout_tables():  # fonts that journals accept
                    figure.savefig(path, format="pdf", metadata={"CreationDate": None, "Producer": None})


def save_logos(
    folder: str | os.PathLike,
    name: str,
    matrices: dict[str, np.ndarray],
    limits: dict[str, tuple[float, float]],
    palette: dict[str, str] = COLOURS,
) -> list[str]:
    """Draw a motif's logos on both strands: `<name>.<kind>.*` and `<name>.<kind>.reverse.*`, SVG, PNG and PDF.

    Parameters
    ----------
    folder : path-like
    name : str
    matrices : dict
        By kind (`cwm`, `hcwm`, `pfm`), each of shape (4, w); of the PFM the frequencies.
    limits : dict
        By kind, the range of the y axis (`common_limits`).
    palette : dict of str to str

    Returns
    -------
    list of str, the names of the files
    """
    files = []
    for kind, matrix in matrices.items():
        heights = letter_heights(kind, matrix)
        for suffix, oriented in (("", heights), (".reverse", heights[::-1, ::-1])):
            figure = pattern_figure(oriented, ylabel=KINDS[kind], limits=limits[kind], palette=palette)
            save_figure(figure, Path(folder) / f"{name}.{kind}{suffix}", formats=FORMATS)
            files += [f"{name}.{kind}{suffix}.{form}" for form in FORMATS]
    return files
