"""Figures of training, regions and explanations; those of performance are in `performance.py`."""

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seqlift.motifs.logos import COLOURS
from seqlift.report.figures.canvas import (
    INK,
    NEGATIVE,
    PAGE,
    PAIR,
    POSITIVE,
    RULE,
    SOFT,
    Image,
    axes,
    bars,
    drawing,
    genome_axis,
    histogram,
    note,
)
from seqlift.report.figures.letters import definitions, place_letters
from seqlift.report.read.analysis import Agreement, Completeness, Example, PathCurve
from seqlift.report.read.run import METHOD_NAMES, MUTAGENESIS

METHOD_COLOURS = {"deeplift": "#1f5fa8", "interior_gradients": "#b4541a", MUTAGENESIS: "#2f7d4f"}
LEGEND = 8  # names that fit into a legend
DOTS = 60  # regions that a row of dots shows
LOGO_BASES = 100  # letters of a page-wide logo that an eye can still read; longer regions show their core
_DENSITY = LinearSegmentedColormap.from_list("density", ["#e9eff6", "#8fb3d9", "#1f5fa8", "#0c2747"])


def training(histories: list[pd.DataFrame], best_epochs: list[int | None]) -> Image:
    """Training and validation loss by epoch, of each model."""
    last = [history.iloc[-1] for history in histories]
    ends = [", ".join(f"{row[f'{kind}_loss']:.3g}" for row in last) for kind in ("train", "valid")]
    alt = f"Line chart of the loss by epoch; it ends at {ends[0]} in training and {ends[1]} in validation."
    lines = [("train_loss", NEGATIVE, "training"), ("valid_loss", POSITIVE, "validation")]
    return _by_epoch(histories, lines, best_epochs, "loss", "upper right", alt)


def validation(histories: list[pd.DataFrame], targets: list[str], kind: str, best_epochs: list[int | None]) -> Image:
    """AUROC or Pearson correlation (`kind`) on the validation split by epoch, one line for each target and model."""
    name = {"auroc": "AUROC", "pearson": "Pearson"}[kind]
    columns = {target: f"valid_{kind}_{target}" for target in targets}
    highest = {target: max(history[column].max() for history in histories) for target, column in columns.items()}
    best = ", ".join(f"{target} {value:.3f}" for target, value in highest.items())
    alt = f"Line chart of the {name} on validation regions by epoch. Highest: {best}."
    named = len(targets) <= LEGEND
    lines = [
        (column, colour, _legend(target) if named else None)
        for (target, column), colour in zip(columns.items(), _target_colours(len(targets)), strict=True)
    ]
    return _by_epoch(histories, lines, best_epochs, f"{name}, validation", "lower right" if named else None, alt)


def _by_epoch(
    histories: list[pd.DataFrame],
    lines: Sequence[tuple[str, Any, str | None]],
    best_epochs: list[int | None],
    ylabel: str,
    legend: Literal["upper right", "lower right"] | None,
    alt: str,
) -> Image:
    """Columns of the histories (name, colour, label) by epoch, a line for each model."""
    with drawing(3.5, 2.6) as (figure, image):
        ax = figure.add_subplot()
        for column, colour, label in lines:
            for i, history in enumerate(histories):
                width = 1.6 if len(histories) == 1 else 0.9
                ax.plot(history["epoch"], history[column], color=colour, label=None if i else label, linewidth=width)
        _mark_epochs(ax, best_epochs)
        axes(ax, "epoch", ylabel)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if legend:
            ax.legend(loc=legend)
        return image(alt)


def gc_match(positives: np.ndarray, negatives: np.ndarray) -> Image:
    """Distribution of GC content of positive and negative regions."""
    with drawing(3.5, 2.6) as (figure, image):
        ax = figure.add_subplot()
        both = np.r_[positives, negatives]
        edges = np.linspace(both.min() - 0.01, both.max() + 0.01, 25)
        classes = (negatives, NEGATIVE, "negatives", 0.45), (positives, POSITIVE, "positives", 0)
        for values, colour, label, filled in classes:
            if len(values):
                histogram(ax, values, edges, filled=filled, color=colour, label=label, linewidth=1.6)
        axes(ax, "GC content", "% of regions")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        ax.set_ylim(0, ax.get_ylim()[1] * 1.18)
        ax.legend(loc="upper right", ncols=2, columnspacing=1.2, handlelength=1.4)
        return image("Histograms of the GC content of positive and negative regions, one over the other.")


def example_region(
    example: Example, planted: Sequence[tuple[int, int, str]] = (), palette: dict[str, str] = COLOURS
) -> tuple[Image, str]:
    """Sequence logos of one region, the methods one above the other on the same coordinates, and which part they show.

    A region of more than `LOGO_BASES` bp is drawn whole as bars, and its core (the stretch with the largest sum of
    |contribution| over the methods, mutagenesis aside) as letters. `planted` holds known motif instances (simulated
    data) to mark: start, end and name; genome coordinates, bp, 0-based, end exclusive.
    """
    methods = list(example.contributions)
    length = example.end - example.start
    sizes = [np.abs(c).sum(axis=0) for method, c in example.contributions.items() if method != MUTAGENESIS]
    low, high = core(np.sum(sizes, axis=0), LOGO_BASES)
    zoomed = (low, high) != (0, length)
    # Rows from the top: kind, method, height and the room below it, in inches
    rows = [("overview", method, 0.5, 0.22) for method in methods] if zoomed else []
    if rows:
        rows[-1] = (*rows[-1][:3], 0.58)
    rows += [("logo", method, 1.2, 0.24) for method in methods]
    rows[-1] = (*rows[-1][:3], 0.48)
    top = 0.38 if planted else 0.22
    total = top + sum(height + room for _, _, height, room in rows)
    letters = definitions(palette)
    with drawing(PAGE, total, placed=True) as (figure, image):
        y = total - top
        for i, (kind, method, height, room) in enumerate(rows):
            y -= height
            ax = figure.add_axes((0.62 / PAGE, y / total, 1 - 0.97 / PAGE, height / total))
            y -= room
            values = example.contributions[method].astype(float)
            if kind == "overview":
                _draw_overview(ax, example, values, method, (low, high))
            else:
                letters += _draw_scores(ax, example, values[:, low:high], method, low)
            _genome_axis(
                ax, labelled=i + 1 == len(rows) or rows[i + 1][0] != kind, named=i + 1 == len(rows), example=example
            )
            if i == 0:
                _mark_planted(ax, planted, example, height)
        part = f"{example.chrom}:{example.start + low:,}–{example.start + high:,}"
        names = " above ".join(METHOD_NAMES[method] for method in methods)
        alt = f"Contribution of each base at {part}: {names}, as sequence logos."
        return image(alt, letters), part if zoomed else ""


def core(importance: np.ndarray, width: int) -> tuple[int, int]:
    """The stretch of at most `width` bases with the largest sum; 0-based, end exclusive.

    Of the stretches within 2 % of the largest sum the middle one, so that what matters does not stick to an edge.
    """
    if len(importance) <= width:
        return 0, len(importance)
    cumulated = np.r_[0.0, np.cumsum(importance)]
    sums = cumulated[width:] - cumulated[:-width]
    best = np.flatnonzero(sums >= 0.98 * sums.max())
    start = int(best[len(best) // 2])
    return start, start + width


def path_prediction(curve: PathCurve, rows: list[int]) -> Image:
    """The output along the path from reference to sequence."""
    ends = curve.prediction.mean(axis=0)
    alt = f"The mean output rises from {ends[0]:.2f} at the reference to {ends[-1]:.2f} at the sequence."
    return _path(curve.alphas, curve.prediction, rows, "output f", alt)


def path_gradient(curve: PathCurve, rows: list[int]) -> Image:
    """The size of the gradients along the path."""
    mean = curve.gradient_size.mean(axis=0)
    peak = curve.nodes[int(np.argmax(mean))]
    alt = f"The mean size of the gradients is largest at α = {peak:.2f} and {mean[-1]:.3g} at the sequence."
    return _path(curve.nodes, curve.gradient_size, rows, "size of gradients", alt, lowest=0)


def _path(x: np.ndarray, y: np.ndarray, rows: list[int], ylabel: str, alt: str, lowest: float | None = None) -> Image:
    """Values along the path: those of examples (`rows`), the mean, and the middle 80 % of all regions."""
    colour = METHOD_COLOURS["interior_gradients"]
    with drawing(PAIR, 2.2) as (figure, image):
        ax = figure.add_subplot()
        low, high = np.quantile(y, [0.1, 0.9], axis=0)
        ax.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        for row in rows:
            ax.plot(x, y[row], color=SOFT, linewidth=0.8, alpha=0.8)
        ax.plot(x, y.mean(axis=0), color=colour, linewidth=2.2)
        axes(ax, "α, from reference to sequence", ylabel)
        ax.set_xlim(0, 1)
        ax.set_ylim(lowest)
        return image(alt)


def completeness(found: Completeness, method: str) -> Image:
    """Distribution of the relative completeness error, on a logarithmic axis."""
    with drawing(PAIR, 2.1) as (figure, image):
        ax = figure.add_subplot()
        values = found.relative[np.isfinite(found.relative)]
        floor = 1e-9  # below float32's rounding: drawn in the first bar
        logs = np.log10(np.maximum(values, floor))
        limit = np.log10(found.tolerance)
        low, high = np.floor(min([*logs, limit])), np.ceil(max([*logs, limit]) + 0.01)
        ax.hist(logs, bins=np.linspace(low, high, 41).tolist(), color=METHOD_COLOURS[method], alpha=0.75)
        ax.axvline(limit, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        ax.annotate("tolerance ", (limit, 1), xycoords=("data", "axes fraction"), ha="right", va="top", fontsize=8.5)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
        axes(ax, "relative error", "explanations")
        median = np.median(values) if len(values) else float("nan")
        return image(f"Histogram of the relative completeness error of {METHOD_NAMES[method]}; median {median:.1e}.")


def agreement_histogram(found: Agreement) -> Image:
    """Distribution over regions of the correlation between the two methods."""
    with drawing(PAIR, 2.2) as (figure, image):
        ax = figure.add_subplot()
        values = found.per_region[np.isfinite(found.per_region)]
        low = min(0.9, np.floor(10 * values.min()) / 10) if len(values) else 0.0
        ax.hist(values, bins=np.linspace(low, 1, 41).tolist(), color=SOFT, alpha=0.8)
        median = float(np.median(values)) if len(values) else float("nan")
        ax.axvline(median, color=INK, linewidth=1)
        axes(ax, "correlation within a region", "regions")
        ax.set_xlim(low, 1)
        return image(f"Histogram over regions of the correlation between the two methods; median {median:.2f}.")


def agreement_density(found: Agreement, first: str, second: str) -> Image:
    """Contribution by one method against the other, as a density over all bases."""
    with drawing(PAIR, 2.2) as (figure, image):
        ax = figure.add_subplot()
        counts = np.ma.masked_less(found.density.T, 1)
        limit = float(found.edges[-1])
        ax.plot([-limit, limit], [-limit, limit], color=RULE, linewidth=1, zorder=1)
        look: dict[str, Any] = {
            "cmap": _DENSITY,
            "norm": LogNorm(1, max(2, counts.max() if counts.count() else 2)),
            "zorder": 2,
        }
        extent = (-limit, limit, -limit, limit)
        ax.imshow(counts, origin="lower", extent=extent, interpolation="nearest", **look)
        used = np.flatnonzero(found.density.sum(axis=0) + found.density.sum(axis=1))
        room = found.edges[[used[0], used[-1] + 1]] if len(used) else (-1, 1)
        ax.set_xlim(*room)
        ax.set_ylim(*room)
        axes(ax, METHOD_NAMES[first], METHOD_NAMES[second])
        ax.locator_params(nbins=5)
        ax.set_aspect("equal", adjustable="box")
        alt = f"Density of all bases by their two contributions; correlation {found.overall:.2f} over all bases."
        return image(alt)


def mutagenesis_agreement(values: dict[str, np.ndarray], kind: str) -> Image:
    """Correlation with mutagenesis within each region, a row of dots for each method, its median as a line.

    Of more than `DOTS` regions a random choice has a dot. `values` has an array of shape (N,) for each method; `kind`
    names the correlation.
    """
    with drawing(PAIR, 0.55 + 0.55 * len(values)) as (figure, image):
        ax = figure.add_subplot()
        random = np.random.default_rng(0)  # dots of a row are set apart up and down
        lowest, said = 0.8, []
        for i, (method, found) in enumerate(values.items()):
            found = found[np.isfinite(found)]
            shown = found if len(found) <= DOTS else random.choice(found, DOTS, replace=False)
            height = -i + random.uniform(-0.14, 0.14, len(shown))
            ax.axhline(-i, color=RULE, linewidth=0.7, zorder=0)
            ax.plot(shown, height, "o", color=METHOD_COLOURS[method], markersize=4, markeredgewidth=0, alpha=0.55)
            if len(found):
                ax.plot([np.median(found)] * 2, [-i - 0.22, -i + 0.22], color=INK, linewidth=1.4)
                lowest = min(lowest, np.floor(10 * found.min()) / 10)
                said.append(f"{METHOD_NAMES[method]} {np.median(found):.2f}")
            name = METHOD_NAMES[method]
            ax.text(0, -i + 0.34, name, color=METHOD_COLOURS[method], transform=ax.get_yaxis_transform(), fontsize=8.5)
        ax.set_xlim(lowest - 0.02, 1.02)
        ax.set_ylim(0.6 - len(values), 0.7)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(f"{kind} correlation")
        return image(f"{kind} correlation with mutagenesis, dots for regions; medians: {', '.join(said)}.")


def _mark_epochs(ax: Axes, epochs: list[int | None]) -> None:
    """A line at the epoch that was kept; of several models a dot at each on the axis."""
    if len(epochs) > 1:
        kept = [epoch for epoch in epochs if epoch is not None]
        ax.plot(kept, [0] * len(kept), "o", color=SOFT, markersize=4, transform=ax.get_xaxis_transform(), clip_on=False)
    elif epochs and epochs[0] is not None:
        ax.axvline(epochs[0], color=RULE, linewidth=1, zorder=0)
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "va": "center"}
        note(ax, " kept", (epochs[0], 0.5), SOFT, **place)


def _target_colours(count: int) -> list:
    """Distinct, print-safe colours; a wheel of hues when there are many targets."""
    named = ["#1f5fa8", "#b4541a", "#2f7d4f", "#7b4a9e", "#a37b12", "#37808c"]
    if count <= len(named):
        return named[:count]
    return [matplotlib.colormaps["viridis"](x) for x in np.linspace(0, 0.9, count)]


def _legend(name: str) -> str:
    """A name for a legend, which would leave out one that starts with an underscore."""
    return f"\u200b{name}" if name.startswith("_") else name


def _power(exponent: float) -> str:
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + f"{exponent:.0f}".translate(digits)


def _draw_overview(ax: Axes, example: Example, values: np.ndarray, method: str, window: tuple[int, int]) -> None:
    total = values.sum(axis=0)
    ax.axvspan(example.start + window[0], example.start + window[1], color="#eef2f6", linewidth=0, zorder=0)
    bars(ax, example.start, total, color=METHOD_COLOURS[method])
    ax.axhline(0, color="#8b97a3", linewidth=0.6)
    ax.set_xlim(example.start - 0.5, example.end - 0.5)
    ax.locator_params(axis="y", nbins=3)
    _method_label(ax, method)


def _draw_scores(ax: Axes, example: Example, values: np.ndarray, method: str, offset: int) -> str:
    """Axes and errors of a row of letters; the letters themselves are returned, as SVG in points."""
    error = example.standard_error[method][offset : offset + values.shape[1]].astype(float)
    total = values.sum(axis=0)
    x = example.start + offset + np.arange(values.shape[1])
    known = np.isfinite(error)
    spread = np.where(known, error, 0)
    low, high = min((total - spread).min(), 0), max((total + spread).max(), 0)
    room = 0.04 * (high - low) or 1
    ax.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    ax.set_ylim(low - room, high + room)
    ax.axhline(0, color="black", linewidth=0.6)
    if known.any():
        ends = np.stack([x, total - error, x, total + error], axis=1)[known].reshape(-1, 2)
        lines = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(ends) // 2))  # one path: see `bars`
        ax.add_patch(PathPatch(lines, fill=False, edgecolor=INK, linewidth=0.45, alpha=0.75))
    ax.tick_params(axis="y", labelsize=8.5)
    ax.locator_params(axis="y", nbins=4)
    _method_label(ax, method)
    assert isinstance(ax.figure, Figure)  # `drawing` makes no parts of figures
    wide, tall = 72 * ax.figure.get_size_inches()  # points; SVG counts them from the top
    box = ax.get_position()
    unit = box.height * tall / (high - low + 2 * room)
    zero = (1 - box.y0) * tall - (room - low) * unit
    return place_letters(values, box.x0 * wide, zero, box.width * wide / len(x), unit)


def _method_label(ax: Axes, method: str) -> None:
    note(ax, METHOD_NAMES[method], (0, 1), METHOD_COLOURS[method], (0, 2), fontsize=9, fontweight="bold")


def _genome_axis(ax: Axes, *, labelled: bool, named: bool, example: Example) -> None:
    genome_axis(ax, 10)
    ax.spines["bottom"].set_visible(labelled)
    ax.spines["bottom"].set_position(("outward", 3))
    ax.tick_params(axis="x", length=3 if labelled else 0, labelbottom=labelled)
    if named:
        ax.set_xlabel(f"position on {example.chrom} (bp, 0-based)", labelpad=2)


def _mark_planted(ax: Axes, planted: Sequence[tuple[int, int, str]], example: Example, height: float) -> None:
    """Bars with names above the axes of `height` inches, higher than the method's name."""
    bar, label = 1 + 0.2 / height, 1 + 0.22 / height
    for start, end, name in planted:
        if end <= example.start or start >= example.end:
            continue
        look: dict[str, Any] = {"color": INK, "linewidth": 2.2, "solid_capstyle": "butt", "clip_on": False}
        ax.plot([start - 0.4, end - 0.6], [bar, bar], transform=ax.get_xaxis_transform(), **look)
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "center", "annotation_clip": False}
        note(ax, name, ((start + end - 1) / 2, label), INK, fontsize=8, **place)
