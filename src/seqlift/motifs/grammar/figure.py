"""The picture of the grammar: enrichment of pairs of motifs, and the distances of the significant ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure, SubFigure

from seqlift.motifs.grammar.pairs import LEAST_REGIONS, ORIENTATIONS, Spacing
from seqlift.motifs.logos import plain_text

_MOST_PAIRS = 20  # rows of the heat map
_PANELS = 6
_LIMIT = 3.0  # log2 enrichment at which the colours end
_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
# Three hues that colour-blind people tell apart (Okabe & Ito), by orientation.
_COLOURS = dict(zip(ORIENTATIONS, ("#0072b2", "#d55e00", "#009e73"), strict=True))


@dataclass(frozen=True)
class LeadingPair:
    """A pair of motifs by one output and method, and the distances of its sites; p is that of the leading distance."""

    output: str
    method: str
    motif_a: str
    motif_b: str
    p: float
    spacing: Spacing


def choose_panels(leading: Sequence[LeadingPair]) -> list[LeadingPair]:
    """Those to draw: of each pair of motifs the one of the smallest p, at most `_PANELS`, by rising p."""
    first: dict[tuple[str, str], LeadingPair] = {}
    for one in sorted(leading, key=lambda one: one.p):
        first.setdefault((one.motif_a, one.motif_b), one)
    return list(first.values())[:_PANELS]


@plain_text
def draw_grammar(table: pd.DataFrame, panels: Sequence[LeadingPair], max_spacing: int) -> Figure:
    """Heat map of log2 enrichment, pairs by output and method, and below it distances of the leading pairs.

    Parameters
    ----------
    table : pandas.DataFrame
        grammar.tsv.
    panels : sequence of LeadingPair
        Of `choose_panels`.
    max_spacing : int, bp
        Range of the distances.
    """
    if table.empty:
        return _nothing()
    label = {
        **dict(zip(table["motif_a"], _labels(table["motif_a"], table["name_a"]), strict=True)),
        **dict(zip(table["motif_b"], _labels(table["motif_b"], table["name_b"]), strict=True)),
    }
    pairs = _leading_pairs(table)
    sources = sorted(set(zip(table["output"], table["method"], strict=True)))
    map_height, rows = 0.26 * len(pairs) + 1.9, -(-len(panels) // 2)
    figure = Figure(figsize=(max(8.5, 0.5 * len(sources) + 5), map_height + 2.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [map_height, 2.3 * rows][: 1 + bool(rows)]
    upper, *lower = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).ravel()
    _draw_heat_map(upper, table, pairs, sources, label)
    if rows:
        axes = lower[0].subplots(rows, 2, squeeze=False).ravel()
        for ax, one in zip(axes, panels, strict=False):
            _draw_spacing(ax, one, label, table, max_spacing)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
    return figure


def _nothing() -> Figure:
    figure = Figure(figsize=(6, 1.2))
    FigureCanvasAgg(figure)
    text = f"No pairs: no two motifs have sites in {LEAST_REGIONS} regions each."
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=9)
    return figure


def _labels(motifs: pd.Series, names: pd.Series) -> list[str]:
    return [f"{name} ({motif})" if name else motif for motif, name in zip(motifs, names, strict=True)]


def _leading_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of motifs by their smallest p over outputs and methods; of equal ones the most enriched first."""
    order = table.sort_values(["p", "enrichment"], ascending=[True, False], kind="stable")
    pairs = list(dict.fromkeys(zip(order["motif_a"], order["motif_b"], strict=True)))
    return pairs[:_MOST_PAIRS]


def _mark(q: float) -> str:
    return next((mark for limit, mark in _MARKS if q <= limit), "")


def _draw_heat_map(figure: SubFigure, table: pd.DataFrame, pairs: list, sources: list, label: dict[str, str]) -> None:
    ax = figure.subplots()
    values, marks = np.full((len(pairs), len(sources)), np.nan), {}
    row_of, column_of = {pair: i for i, pair in enumerate(pairs)}, {source: i for i, source in enumerate(sources)}
    for one in table.itertuples():
        row = row_of.get((one.motif_a, one.motif_b))
        if row is not None:
            column = column_of[one.output, one.method]
            values[row, column] = np.log2(max(one.enrichment, 2.0**-_LIMIT))
            marks[row, column] = f"{one.together}{_mark(one.q)}"
    ax.set_facecolor("#dddddd")  # too few regions
    image = ax.imshow(values, aspect="auto", cmap="RdBu_r", norm=TwoSlopeNorm(0, -_LIMIT, _LIMIT))
    for (row, column), text in marks.items():
        dark = abs(values[row, column]) > 0.7 * _LIMIT
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.set_yticks(range(len(pairs)), [f"{label[a]} + {label[b]}" for a, b in pairs], fontsize=8)
    ax.set_xticks(range(len(sources)), [f"{output}\n{method.replace('_', ' ')}" for output, method in sources],
                  fontsize=8, rotation=0 if len(sources) <= 6 else 90)  # fmt: skip
    ax.set_title(
        "Regions with both motifs (numbers), against chance (colour); q ≤ 0.05 *, 0.01 **, 0.001 ***\n"
        f"grey: one of the motifs in fewer than {LEAST_REGIONS} regions",
        fontsize=9,
        loc="left",
    )
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label("log2 (observed / expected)", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _draw_spacing(ax: Axes, one: LeadingPair, label: dict[str, str], table: pd.DataFrame, max_spacing: int) -> None:
    """Pairs at each distance, stacked by orientation; the line is what the null expects of all orientations."""
    spacing = one.spacing
    near = np.abs(spacing.distance) <= max_spacing
    base = np.zeros(near.sum())
    for orientation, counts in zip(ORIENTATIONS, spacing.observed[:, near], strict=True):
        colour = _COLOURS[orientation]
        ax.bar(spacing.distance[near], counts, width=1, bottom=base, color=colour, label=orientation, linewidth=0)
        base += counts
    expected = spacing.null.sum(axis=0)[near] * spacing.observed.sum()
    ax.plot(spacing.distance[near], expected, color="black", linewidth=0.8, label="expected")
    row = table[
        (table["output"] == one.output)
        & (table["method"] == one.method)
        & (table["motif_a"] == one.motif_a)
        & (table["motif_b"] == one.motif_b)
    ].iloc[0]
    ax.set_title(
        f"{label[one.motif_a]} → {label[one.motif_b]}, {one.output}, {one.method.replace('_', ' ')}\n"
        f"{row['spacing']:g} bp {row['spacing_orientation']}: {row['spacing_count']}, expected "
        f"{row['spacing_expected']:.2g}, q {row['spacing_q']:.1g}",
        fontsize=8,
        loc="left",
    )
    ax.set_xlabel("bp from the first motif's middle, in its direction", fontsize=7)
    ax.set_ylabel("regions", fontsize=7)
    ax.tick_params(labelsize=7)
    ax.locator_params(axis="y", integer=True, nbins=5)
    ax.set_ylim(0, 1.35 * max(ax.get_ylim()[1], 1))  # room for the legend
    ax.legend(fontsize=6, frameon=False, loc="upper right", ncols=4)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
