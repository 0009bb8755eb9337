"""Small sequence logos for the page: the letters of the published logos, each outline written once and then placed.

A logo as matplotlib writes it repeats the outline of every letter, 30 to 50 kB a logo. A page with the logos of twenty
targets holds hundreds, so here the four outlines are in a drawing once and each letter is a reference with a place
and a size: 3 to 4 kB. The region view draws with the same outlines.
"""

import functools
from typing import Any

import numpy as np
from matplotlib.path import Path

from seqlift.motifs.information import information_content
from seqlift.motifs.logos import BASES, COLOURS, outline
from seqlift.report.figures.canvas import Image, address

COLUMN = 13  # CSS pixels that a letter is wide
INVISIBLE = 0.03  # letters lower than this share of the tallest column are no more than a hairline


@functools.cache
def outlines() -> dict[str, str]:
    """SVG path data of A, C, G and T, each filling the box from (0, 0) to (100, 100), y pointing down."""
    found = {}
    for base in BASES:
        path = outline(base)
        box = path.get_extents()
        words = []
        for points, code in path.iter_segments(curves=True, simplify=False):
            points = 100 * (points.reshape(-1, 2) - box.min) / box.size
            points[:, 1] = 100 - points[:, 1]
            letter = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}[code]
            words.append(
                "Z" if letter == "Z" else letter + " ".join(f"{x:.1f}".removesuffix(".0") for x in points.ravel())
            )
        found[base] = "".join(words)
    return found


def definitions(palette: dict[str, str] = COLOURS) -> str:
    """The outlines as SVG definitions, for `place_letters` in the same drawing."""
    paths = (f"<path id='{base}' d='{shape}' fill='{palette[base]}'/>" for base, shape in outlines().items())
    return f"<defs>{''.join(paths)}</defs>"


def place_letters(matrix: np.ndarray, left: float, zero: float, wide: float, tall: float) -> str:
    """SVG references to the outlines, stacked as in a logo: the largest farthest from the line.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (4, L)
        Heights of A, C, G, T; negative ones hang below the line, upside down.
    left, zero : float
        Where the first column begins and where the line lies, in units of the drawing.
    wide, tall : float
        Width of a column, and height of a letter of height 1.
    """
    matrix = np.asarray(matrix, float)
    least = INVISIBLE * max(np.maximum(matrix, 0).sum(axis=0).max(), -np.minimum(matrix, 0).sum(axis=0).min(), 1e-30)
    uses = []
    for i, column in enumerate(matrix.T):
        up = down = zero
        for code in np.argsort(np.abs(column)):
            height = column[code] * tall
            if abs(column[code]) < least:
                continue
            if height > 0:
                up -= height
                y, scale = up, height
            else:
                down -= height
                y, scale = down, height  # a negative scale turns the letter upside down, its head at `down`
            x = left + (i + 0.03) * wide
            numbers = f"{0.0094 * wide:.3g},0,0,{scale / 100:.3g},{x:.5g},{y:.5g}"
            uses.append(f"<use href='#{BASES[code]}' transform='matrix({numbers})'/>")
    return "".join(uses)


def logo_image(matrix: np.ndarray, alt: str, *, height: int = 64, palette: dict[str, str] = COLOURS) -> Image:
    """A logo of the heights in `matrix`, shape (4, L), as wide as it has columns; scaled to its own tallest column."""
    high = max(np.maximum(matrix, 0).sum(axis=0).max(), 0)
    low = min(np.minimum(matrix, 0).sum(axis=0).min(), 0)
    tall = (height - 2) / ((high - low) or 1)
    width, zero = COLUMN * matrix.shape[1], 1 + high * tall
    line = f"<path d='M0 {zero:.4g}H{width}' stroke='#8b97a3' stroke-width='.7'/>"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}'>"
        f"{definitions(palette)}{place_letters(matrix, 0, zero, COLUMN, tall)}{line}</svg>"
    )
    return Image(address(svg), alt, width, height)


def frequency_image(frequencies: np.ndarray, alt: str, **settings: Any) -> Image:
    """A logo of base frequencies, shape (4, L), their heights in bits."""
    return logo_image(information_content(frequencies), alt, **settings)
