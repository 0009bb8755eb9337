"""An average as table and picture: `<prefix>.tsv`, `.json`, `.svg` and `.png`.

The picture has three parts over one axis of positions: the sites as a heat map, the average profile with its standard
error, and the logo of the mean contributions in the middle, where letters are wide enough to be read.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqlift.aggregates.averaging import Aggregate
from seqlift.core.files import replacing
from seqlift.motifs.logos import COLOURS, choose_palette, draw_logo, save_figure

LOGO_FLANK = 20  # bp on either side of the site whose letters are drawn
_WIDTH = 6.4  # inches


def write_aggregate(result: Aggregate, prefix: str | os.PathLike, *, colours: str = "classic") -> list[Path]:
    """Write the table, the picture and the summary, which comes last; returns the files.

    Parameters
    ----------
    result : Aggregate
    prefix : path-like
    colours : str
        Of the logo's letters, `classic` or `colour-blind`.

    Raises
    ------
    SeqliftError
        If there are no such colours.
    """
    palette = choose_palette(colours)
    prefix = Path(prefix)
    table, picture, summary = (prefix.with_name(prefix.name + end) for end in (".tsv", "", ".json"))
    with replacing(table) as temporary:
        result.table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    save_figure(aggregate_figure(result, palette), picture)
    with replacing(summary) as temporary:
        temporary.write_text(json.dumps(asdict(result.summary), indent=2) + "\n", encoding="utf-8")
    return [table, summary, prefix.with_name(f"{prefix.name}.svg"), prefix.with_name(f"{prefix.name}.png")]


def aggregate_figure(result: Aggregate, palette: dict[str, str] = COLOURS) -> Figure:
    """Heat map, average profile and logo of one average."""
    summary = result.summary
    figure = Figure(figsize=(_WIDTH, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    heat, profile, logo = figure.subplots(3, 1, gridspec_kw={"height_ratios": [2.2, 1.3, 1.0]})
    strands = f", {summary.minus:,} reverse-complemented" if summary.minus else ""
    figure.suptitle(
        f"{summary.target}, {summary.method}: {summary.used:,} of {summary.total:,} sites of {summary.sites}{strands}",
        fontsize=9,
        parse_math=False,  # a `$` in a file's name is a dollar sign
    )
    if not summary.used:
        for ax in (heat, profile, logo):
            ax.set_axis_off()
        profile.text(0.5, 0.5, summary.message, ha="center", va="center", fontsize=9, transform=profile.transAxes)
        return figure
    _draw_heat(figure, heat, result)
    _draw_profile(profile, result)
    _draw_letters(logo, result, palette)
    return figure


def _draw_heat(figure: Figure, ax: Axes, result: Aggregate) -> None:
    rows, width = result.heat.shape
    flank = width // 2
    finite = np.abs(result.heat[np.isfinite(result.heat)])
    limit = float(np.quantile(finite, 0.99)) or float(finite.max()) or 1.0  # a few sites must not bleach all others
    image = ax.imshow(
        result.heat,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
        extent=(-flank - 0.5, flank + 0.5, rows, 0),
    )
    ax.set_facecolor("#dddddd")  # no score
    ax.set_yticks([])
    each = result.summary.used / rows
    ax.set_ylabel("sites" if rows == result.summary.used else f"sites, mean of {each:.3g} each", fontsize=8)
    ax.tick_params(axis="x", labelsize=7)
    bar = figure.colorbar(image, ax=ax, fraction=0.035, pad=0.01)
    bar.set_label("contribution", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _draw_profile(ax: Axes, result: Aggregate) -> None:
    table = result.table
    error = table["standard_error"].fillna(0)
    ax.fill_between(
        table["position"], table["mean"] - error, table["mean"] + error, color="#255c99", alpha=0.3, linewidth=0
    )
    ax.plot(table["position"], table["mean"], color="#255c99", linewidth=1)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.axvline(0, color="black", linewidth=0.4, linestyle=":")
    ax.set_xlim(table["position"].iloc[0] - 0.5, table["position"].iloc[-1] + 0.5)
    ax.set_ylabel("mean contribution\n± standard error", fontsize=8)
    ax.set_xlabel("bp from the site", fontsize=8)
    ax.tick_params(labelsize=7)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _draw_letters(ax: Axes, result: Aggregate, palette: dict[str, str]) -> None:
    middle = result.table[result.table["position"].abs() <= LOGO_FLANK]
    draw_logo(
        ax,
        np.nan_to_num(middle[list("ACGT")].to_numpy().T),
        first=float(middle["position"].iloc[0]),
        ylabel="mean contribution",
        palette=palette,
    )
    step = 5 if len(middle) > 10 else 1
    ax.set_xticks([place for place in middle["position"] if place % step == 0])
    ax.tick_params(labelsize=7)
    ax.set_xlabel("bp from the site", fontsize=8)
