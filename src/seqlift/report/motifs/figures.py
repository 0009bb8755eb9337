"""Figures of a motif's page: its seqlets as a heat map, and where in the regions it lies.

Both are written as SVG by hand: a page can have hundreds of them, and a plotting library takes a tenth of a second for
each where this takes a few milliseconds.
"""

import base64
import io

import matplotlib
import numpy as np
from markupsafe import escape
from matplotlib.colors import to_rgb
from matplotlib.image import imsave

from seqlift.motifs.logos import BASES, COLOURS
from seqlift.report.figures.canvas import INK, RULE, SOFT, Image, address
from seqlift.report.figures.explanations import METHOD_COLOURS
from seqlift.report.motifs.seqlet_windows import Windows
from seqlift.report.read.run import METHOD_NAMES

DIVERGING = "PuOr_r"  # orange raises the output, purple lowers it: told apart also by colour-blind readers
BINS = 40
_FONT = "font-family='system-ui,sans-serif' font-size='11'"


def heat_map(windows: Windows, label: str, palette: dict[str, str] = COLOURS) -> Image:
    """Bases of the seqlets on the left, their contributions on the right, a row each."""
    pale = np.array([*(0.25 + 0.75 * np.array(to_rgb(palette[base])) for base in BASES), (1, 1, 1)])
    limit = float(np.quantile(np.abs(windows.contributions), 0.995)) or 1.0
    colours = matplotlib.colormaps[DIVERGING]((windows.contributions / limit + 1) / 2)[..., :3]
    rows, columns = windows.bases.shape
    wide, tall, top = 230, 180, 18
    parts = []
    for i, (title, pixels) in enumerate((("bases", pale[windows.bases]), ("contributions", colours))):
        left = 4 + i * (wide + 22)
        parts.append(
            f"<text x='{left}' y='12' fill='{INK}'>{title}</text>"
            f"<image x='{left}' y='{top}' width='{wide}' height='{tall}' preserveAspectRatio='none' "
            f"style='image-rendering:pixelated' href='{_png(pixels)}'/>"
        )
        for position in range(1, columns - windows.first, 5):
            x = left + (windows.first + position - 0.5) * wide / columns
            parts.append(f"<text x='{x:.1f}' y='{top + tall + 13}' text-anchor='middle'>{position}</text>")
    scale = np.linspace(1, -1, 60)[:, None]
    right = 4 + 2 * (wide + 22)
    parts.append(
        f"<image x='{right}' y='{top}' width='10' height='{tall}' preserveAspectRatio='none' "
        f"href='{_png(matplotlib.colormaps[DIVERGING]((scale + 1) / 2)[..., :3])}'/>"
    )
    for value, y in ((limit, top + 9), (0, top + tall / 2 + 4), (-limit, top + tall)):
        parts.append(f"<text x='{right + 14}' y='{y:.1f}'>{_signed(value, '.2g')}</text>")
    alt = (
        f"Heat maps of {rows} of {windows.total:,} seqlets of {label}, a row each: their bases, and the contribution "
        "of each base."
    )
    return _image(parts, right + 62, top + tall + 18, alt)


def positions(counts: dict[str, np.ndarray], edges: np.ndarray, label: str, what: str) -> Image:
    """How far from the middle of their region the hits (or seqlets) lie, one line a method.

    Parameters
    ----------
    counts : dict
        method -> array, shape (B,)
    edges : numpy.ndarray, shape (B + 1,), bp from the middle of the region
    label, what : str
        Of the motif, and what is counted.
    """
    wide, tall, left, top = 330, 150, 44, 22
    total = np.sum(list(counts.values()), axis=0)
    highest = max(int(max(found.max(initial=0) for found in counts.values())), 1)

    def x(at: float) -> float:
        return left + wide * (at - edges[0]) / (edges[-1] - edges[0])

    def y(n: float) -> float:
        return top + tall * (1 - n / highest)

    parts = [f"<path d='M{x(0):.1f} {top}v{tall}' stroke='{RULE}'/>"]
    for i, (method, found) in enumerate(counts.items()):
        steps = "".join(f"V{y(n):.1f}H{x(end):.1f}" for n, end in zip(found, edges[1:], strict=True))
        colour = METHOD_COLOURS.get(method, SOFT)
        parts.append(
            f"<path d='M{left} {y(0):.1f}{steps}V{y(0):.1f}' fill='none' stroke='{colour}' stroke-width='1.6'/>"
        )
        name = escape(METHOD_NAMES.get(method, method))
        parts.append(f"<text x='{left + 2 + i * 90}' y='12' fill='{colour}' font-weight='600'>{name}</text>")
    parts.append(f"<path d='M{left} {top}V{top + tall}H{left + wide}' fill='none' stroke='{SOFT}' stroke-width='.7'/>")
    for n in (highest, 0):
        parts.append(f"<text x='{left - 5}' y='{y(n) + 4:.1f}' text-anchor='end'>{n:,}</text>")
    for at in (edges[0], 0, edges[-1]):
        parts.append(f"<text x='{x(at):.1f}' y='{top + tall + 14}' text-anchor='middle'>{_signed(at, '.0f')}</text>")
    below = f"x='{left + wide / 2}' y='{top + tall + 29}' text-anchor='middle'"
    parts.append(f"<text {below}>distance to the summit (bp)</text>")
    middle = (edges[:-1] + edges[1:]) / 2
    alt = f"No {what} of {label} lie in the regions."
    if total.sum():
        half = total[np.abs(middle) <= edges[-1] / 4].sum() / total.sum()
        alt = f"Distance of the {what} of {label} to the summit; {100 * half:.0f} % lie in the inner quarter."
    return _image(parts, left + wide + 24, top + tall + 36, alt)


def _signed(value: float, form: str) -> str:
    return format(value, form).replace("-", "−") if value < 0 else format(value, form)


def _png(pixels: np.ndarray) -> str:
    """Pixels (rows, columns, 3), from 0 to 1, as an address."""
    handle = io.BytesIO()
    # None leaves an entry out, which matplotlib's type hints do not know
    imsave(handle, pixels, format="png", metadata={"Software": None})  # type: ignore[dict-item]
    return "data:image/png;base64," + base64.b64encode(handle.getvalue()).decode()


def _image(parts: list[str], width: int, height: int, alt: str) -> Image:
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {_FONT} fill='{SOFT}'>{''.join(parts)}</svg>"
    return Image(address(svg), alt, width, height)
