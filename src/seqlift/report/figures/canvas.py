"""What all figures of the report share: the style, and how a drawing becomes part of the page.

A figure is in the page as an `<img>` whose address holds the drawing itself, so the page needs no network, figures
cannot disturb each other's identifiers, and each has its description as alternative text. Text stays text in the
reader's own sans-serif font; letters of sequence logos are shapes.
"""

import base64
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seqlift.errors import SeqliftError

INK, SOFT, RULE = "#1c2733", "#64707d", "#d5dbe1"
POSITIVE, NEGATIVE = "#1f5fa8", "#8b97a3"
PAGE = 10.6  # inches: 1018 CSS pixels, the width of the page's column
LARGEST = 300_000  # bytes of an SVG file that goes into the page as it is
PAIR = 2.5  # inches: 240 CSS pixels, so that two pairs of figures fit side by side
COLUMNS = 1000  # bars side by side: about a pixel each on the width of the page

STYLE: dict[Any, Any] = {  # matplotlib's settings, whose names its type hints list one by one
    "axes.edgecolor": "#8b97a3",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib; only used to measure, see `_image`
    "font.size": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "seqlift",
    "text.parse_math": False,  # names come from files: a `$` in one is a dollar sign
    "text.color": INK,
    "xtick.color": "#8b97a3",
    "ytick.color": "#8b97a3",
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}
_FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_TAG = re.compile(r"<[^>]*>")
_PATH_DATA = re.compile(r' d="[^"]*"')
_SPACE_AROUND_COMMANDS = re.compile(r"\s*([A-Za-z])\s+(?=[-\d.MLQCz\"])|\s+(?=\")")


@dataclass(frozen=True)
class Image:
    """A drawing ready for the page: `source` for `src`, its alternative text and its size in CSS pixels."""

    source: str
    alt: str
    width: int
    height: int


class Room:
    """What pictures of one kind may take of the page together, in characters, so that it stays small whatever the run.

    The picture that reaches the limit is still shown, those after it are not: they need not even be drawn.
    """

    def __init__(self, size: int):
        self._left = size

    @property
    def full(self) -> bool:
        return self._left <= 0

    def take(self, *images: Image) -> None:
        """Note that these are shown."""
        self._left -= sum(len(image.source) for image in images)


class drawing:  # noqa: N801, used like a function: `with drawing(3, 2) as (figure, image):`
    """Opens a figure of `width` × `height` inches in the report's style; gives it and the call that finishes it.

    Its axes find their places by themselves unless it is `placed`, that is, all of them were put where they belong.
    """

    def __init__(self, width: float, height: float, *, placed: bool = False):
        self.size = width, height
        self.placed = placed
        self.style = matplotlib.rc_context(STYLE)

    def __enter__(self) -> tuple[Figure, Callable[..., Image]]:
        self.style.__enter__()
        self.figure = Figure(figsize=self.size)
        FigureCanvasSVG(self.figure)
        return self.figure, self._image

    def __exit__(self, *error: Any) -> None:
        self.style.__exit__(*error)

    def _image(self, alt: str, over: str = "") -> Image:
        if not self.placed:
            self.figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
        handle = io.StringIO()
        self.figure.savefig(handle, format="svg", metadata={"Date": None, "Creator": None})
        width, height = (round(96 * inches) for inches in self.size)
        return Image(svg_source(handle.getvalue(), over), alt, width, height)


def svg_source(svg: str, over: str = "") -> str:
    """SVG text as an address for `<img src>`: two decimals, the reader's font, no preamble, no idle white space.

    `over` is SVG that is drawn on top, as it is.
    """
    svg = svg[svg.index("<svg") :]
    svg = _TAG.sub(lambda tag: _DECIMALS.sub(_two_decimals, tag.group()), svg)
    svg = _PATH_DATA.sub(lambda found: _SPACE_AROUND_COMMANDS.sub(r"\1", found.group()), svg)
    svg = svg.replace("'DejaVu Sans'", _FONTS)
    svg = re.sub(r">\s+<", "><", svg).strip()
    return address(svg.removesuffix("</svg>") + over + "</svg>" if over else svg)


def address(svg: str) -> str:
    """SVG text, as it is, as an address for `<img src>`."""
    return "data:image/svg+xml," + quote(svg, safe="=:/;,?@!$*()-._~+^|{}[]")


def _two_decimals(found: re.Match) -> str:
    return f"{float(found.group()):.2f}".rstrip("0").rstrip(".")


def axes(ax: Axes, xlabel: str, ylabel: str) -> None:
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.yaxis.set_major_locator(MaxNLocator(5))


def note(
    ax: Axes, text: str, at: tuple[float, float], colour: str, shift: tuple[float, float] = (0, 0), **look: Any
) -> None:
    """Text at a place given in fractions of the axes, moved by `shift` points."""
    settings: dict[str, Any] = {"xycoords": "axes fraction", "va": "bottom", "fontsize": 8.5, **look}
    ax.annotate(text, at, xytext=shift, textcoords="offset points", color=colour, **settings)


def genome_axis(ax: Axes, ticks: int) -> None:
    """Ticks at round genome coordinates, at most `ticks` steps."""
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def histogram(ax: Axes, values: np.ndarray, edges: np.ndarray, *, filled: float = 0, **look: Any) -> None:
    """Percentages of the values in each bin: filled with this opacity, or as an outline."""
    weights = np.full(len(values), 100 / len(values))
    look |= {"histtype": "stepfilled", "alpha": filled, "linewidth": 0} if filled else {"histtype": "step"}
    ax.hist(values, bins=edges.tolist(), weights=weights, **look)


def bars(ax: Axes, first: int, values: np.ndarray, **look: Any) -> None:
    """Values of bases, the first one at position `first`, as filled bars; of those that share a pixel the largest.

    They are one outline: a shape for each bar would make a page of many regions several times as large.
    """
    wide = math.ceil(len(values) / COLUMNS)
    starts = np.arange(0, len(values), wide)
    high, low = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    edges = first - 0.5 + np.append(starts, len(values))
    ax.stairs(np.where(high >= -low, high, low), edges, fill=True, linewidth=0, **look)


def unit_square(ax: Axes, xlabel: str, ylabel: str) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    labels = [f"{tick:g}" for tick in ticks]
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    ax.set_xticks(ticks, labels)
    ax.set_yticks(ticks, labels)


def file_image(path: Path, alt: str, stage: str, largest: int = LARGEST) -> Image:
    """A figure of another stage: `path` is its SVG; where that is larger than `largest`, the PNG beside it.

    Raises
    ------
    SeqliftError
        If a file is missing or is no drawing with a size; the message names `stage`.
    """
    again = f"make it again with `seqlift {stage}`"
    try:
        if path.stat().st_size > largest:
            data = path.with_suffix(".png").read_bytes()
            if data[:8] != b"\x89PNG\r\n\x1a\n":
                raise SeqliftError(f"{path.with_suffix('.png')}: not a PNG picture; {again}")
            width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
            return Image("data:image/png;base64," + base64.b64encode(data).decode(), alt, width // 2, height // 2)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeqliftError(f"{path}: cannot be read ({error}); {again}") from None
    wide = re.search(r'<svg[^>]*?\swidth="([\d.]+)pt"', text)
    high = re.search(r'<svg[^>]*?\sheight="([\d.]+)pt"', text)
    if wide is None or high is None:
        raise SeqliftError(f"{path}: not an SVG drawing with a size in pt; {again}")
    return Image(svg_source(text), alt, round(float(wide.group(1)) * 4 / 3), round(float(high.group(1)) * 4 / 3))
