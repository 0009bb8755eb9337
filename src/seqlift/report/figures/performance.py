"""Figures of how well a target is predicted: curves, reliability, correlations and profiles, beside the baselines."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seqlift.evaluation.comparison import Row
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
    unit_square,
)
from seqlift.report.read.analysis import Curves, wilson_interval

COLOURS = {
    "model": POSITIVE,
    "motif": "#b4541a",
    "kmers": "#2f7d4f",
    "replicates": "#2f7d4f",
    "mean": "#a37b12",
    "shuffled": NEGATIVE,
}
NAMES = {"model": "model", "replicates": "replicate", "mean": "mean", "shuffled": "shuffled"}
DOTS = 3000  # of a scatter plot: more make the file larger, not the picture clearer
ALL_DOTS = 15_000  # of the scatter plots of all targets
STRAND_NAMES = {"+": "plus strand", "-": "minus strand", ".": ""}


def roc(target: str, found: dict[str, Curves], names: dict[str, str], best_possible: float | None) -> Image:
    """Receiver operating characteristic of the model and the baselines.

    `found` has the curves of model, motif and kmers, `names` what to call them; `best_possible` is the AUROC of the
    planted truth.
    """
    with drawing(PAIR, 2.4) as (figure, image):
        ax = figure.add_subplot()
        ax.plot([0, 1], [0, 1], color=RULE, linewidth=1, zorder=1)
        for kind, curve in found.items():
            ax.plot(curve.false_positive_rate, curve.true_positive_rate, **_line(kind))
        unit_square(ax, "false positive rate", "true positive rate")
        areas = {kind: f"{names[kind]} {curve.auroc:.3f}" for kind, curve in found.items()}
        best = [] if best_possible is None else [(f"best possible {best_possible:.3f}", SOFT)]
        _notes(ax, [(text, COLOURS[kind]) for kind, text in areas.items()] + best, right=True)
        return image(f"ROC curves of {target} on the held-out split; areas: {', '.join(areas.values())}.")


def precision_recall(target: str, found: dict[str, Curves], names: dict[str, str]) -> Image:
    """Precision against recall of the model and the baselines; parameters as of `roc`."""
    with drawing(PAIR, 2.4) as (figure, image):
        ax = figure.add_subplot()
        chance = found["model"].prevalence
        ax.axhline(chance, color=RULE, linewidth=1, zorder=1)
        for kind, curve in found.items():
            ax.plot(curve.recall, curve.precision, **_line(kind))
        unit_square(ax, "recall", "precision")
        areas = {kind: f"{names[kind]} {curve.auprc:.3f}" for kind, curve in found.items()}
        _notes(ax, [(text, COLOURS[kind]) for kind, text in areas.items()] + [(f"by chance {chance:.3f}", SOFT)])
        said = ", ".join(areas.values())
        return image(f"Precision-recall curves of {target}; areas: {said}; by chance {chance:.3f}.")


def _line(kind: str) -> dict:
    return {"color": COLOURS[kind], "linewidth": 1.8 if kind == "model" else 1.1, "zorder": 3 if kind == "model" else 2}


def _notes(ax: Axes, notes: list[tuple[str, str]], *, right: bool = False) -> None:
    """Lines of text in a lower corner, each in its own colour, the first on top."""
    for i, (text, colour) in enumerate(reversed(notes)):
        x, side = (0.98, "right") if right else (0.03, "left")
        note(ax, text, (x, 0.03), colour, (0, 10.5 * i), ha=side)


def reliability(target: str, found: dict) -> Image:
    """Observed share of positives against predicted probability, with 95 % intervals; bars: regions in each bin.

    `found` is the reliability of metrics.json.
    """
    with drawing(PAIR, 2.4) as (figure, image):
        ax = figure.add_subplot()
        count = np.array(found["count"])
        bins = len(count)
        filled = np.flatnonzero(count)
        middles, heights = (np.arange(bins) + 0.5) / bins, 0.25 * count / max(1, count.max())
        ax.bar(middles, heights, 0.92 / bins, color="#e9eef3", zorder=0)
        ax.plot([0, 1], [0, 1], color=RULE, linewidth=1, zorder=1)
        predicted, observed = (np.array([found[name][i] for i in filled]) for name in ("predicted", "observed"))
        low, high = wilson_interval(observed * count[filled], count[filled])
        ax.vlines(predicted, low, high, color=POSITIVE, linewidth=1, alpha=0.6)
        ax.plot(predicted, observed, "o-", color=POSITIVE, markersize=4)
        unit_square(ax, "predicted probability", "share of positives")
        return image(
            f"Reliability of the probabilities of {target} in {bins} bins; expected calibration error "
            f"{found['calibration_error']:.3f}, Brier score {found['brier']:.3f}."
        )


def forest(rows: list[Row], column: str, *, lowest_is_best: bool = False) -> Image:
    """One number of the model and of each baseline or replicate, with its interval, one below the other."""
    shown = [row for row in rows if row.values[column].value is not None]
    with drawing(PAIR, 0.62 + 0.42 * len(shown)) as (figure, image):
        ax = figure.add_subplot()
        for i, row in enumerate(shown):
            value, colour = row.values[column], COLOURS[row.kind]
            if value.low is not None and value.high is not None:
                ax.plot([value.low, value.high], [-i, -i], color=colour, linewidth=2)
            assert value.value is not None  # or it would not be shown
            ax.plot(value.value, -i, "o", color=colour, markersize=5.5)
            text = f"{_forest_name(row)}  {value.value:.3f}".replace("-0.", "−0.")
            ax.text(0, -i + 0.24, text, color=colour, transform=ax.get_yaxis_transform(), fontsize=8.5)
        ax.set_ylim(0.4 - len(shown), 0.75)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.margins(x=0.06)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        label = f"distance (median, {column})" if lowest_is_best else column
        ax.set_xlabel(label)
        said = ", ".join(f"{row.name} {row.values[column]}" for row in shown)
        return image(f"{label} with bootstrap intervals: {said}.")


def _forest_name(row: Row) -> str:
    if row.kind == "motif":
        return row.name.split(", ", 1)[1].split(" (")[0]
    return row.name.split(", ")[0] if row.kind == "kmers" else short_name(row)


def short_name(row: Row) -> str:
    """A baseline of profiles in one or two words."""
    return "halves" if row.kind == "replicates" and "half" in row.name else NAMES[row.kind]


def scatter(target: str, observed: np.ndarray, predicted: np.ndarray, peak: np.ndarray, dots: int = DOTS) -> Image:
    """Predicted against observed log(1 + count) of held-out regions, peaks (a mask) and others, all of shape (N,).

    Of more than `dots` regions a random choice of this size is drawn.
    """
    with drawing(PAIR, 2.4) as (figure, image):
        ax = figure.add_subplot()
        shown = np.sort(np.random.default_rng(0).permutation(len(observed))[:dots])
        low, high = min(observed.min(), predicted.min()), max(observed.max(), predicted.max())
        room = 0.04 * (high - low) or 1
        ax.plot([low, high], [low, high], color=RULE, linewidth=1, zorder=1)
        size = float(np.clip(900 / max(1, len(shown)), 1.6, 4))
        for chosen, colour in ((~peak, NEGATIVE), (peak, POSITIVE)):
            rows = shown[chosen[shown]]
            look: dict[str, Any] = {
                "color": colour,
                "markersize": size,
                "markeredgewidth": 0,
                "alpha": 0.5,
                "zorder": 2,
            }
            ax.plot(observed[rows], predicted[rows], "o", **look)
        ax.set(xlim=(low - room, high + room), ylim=(low - room, high + room), aspect="equal")
        axes(ax, "observed log(1 + count)", "predicted")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        _notes(ax, [("peaks", POSITIVE), ("other regions", SOFT)][: 2 if (~peak).any() else 1], right=True)
        return image(f"Predicted against observed log counts of {target} in {len(observed)} held-out regions.")


def distances(target: str, found: dict[str, np.ndarray], names: dict[str, str]) -> Image:
    """Distributions over regions of the Jensen-Shannon distance of the model and of each baseline."""
    with drawing(PAIR, 2.4) as (figure, image):
        ax = figure.add_subplot()
        low = min(values.min() for values in found.values())
        high = max(values.max() for values in found.values())
        edges = np.linspace(low, high if high > low else low + 0.01, 31)
        for kind, values in found.items():
            look: dict[str, Any] = {"filled": 0.35, "zorder": 1} if kind == "model" else {"linewidth": 1.4, "zorder": 2}
            histogram(ax, values, edges, color=COLOURS[kind], label=names[kind], **look)
        axes(ax, "Jensen–Shannon distance", "% of peaks")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_ylim(0, ax.get_ylim()[1] * 1.34)
        ax.legend(loc="upper center", ncols=2, columnspacing=0.9, handlelength=1.0, borderaxespad=0)
        said = ", ".join(f"{names[kind]} {np.median(values):.3f}" for kind, values in found.items())
        return image(f"Histograms of the Jensen-Shannon distances of the profiles of {target}; medians: {said}.")


def profile(name: str, chrom: str, strands: dict[str, np.ndarray]) -> Image:
    """Observed and expected signal of one region, the minus strand pointing down.

    `strands` has for `+` and `-`, or `.`, an array (W, 3) of position (bp, 0-based), observed and predicted.
    """
    height = 1.9 if len(strands) == 1 else 2.4
    with drawing(PAGE, height, placed=True) as (figure, image):
        ax = figure.add_axes((0.62 / PAGE, 0.5 / height, 1 - 0.97 / PAGE, 1 - 0.72 / height))
        for strand, values in strands.items():
            sign = -1 if strand == "-" else 1
            position, observed, predicted = values.T
            bars(ax, position[0], sign * observed, color=NEGATIVE, alpha=0.55)
            ax.plot(position, sign * predicted, color=POSITIVE, linewidth=1.3)
        ax.axhline(0, color="#8b97a3", linewidth=0.6)
        first, last = next(iter(strands.values()))[[0, -1], 0]
        ax.set_xlim(first - 0.5, last + 0.5)
        axes(ax, f"position on {chrom} (bp, 0-based)", "signal")
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
        genome_axis(ax, 9)
        for i, (text, colour) in enumerate((("observed", SOFT), ("predicted", POSITIVE))):
            note(ax, text, (0, 1), colour, (64 * i, 3), fontsize=9, fontweight="bold", va="baseline")
        if len(strands) == 2:
            for height_, text in ((0.95, STRAND_NAMES["+"]), (0.05, STRAND_NAMES["-"])):
                ax.text(0.995, height_, text, transform=ax.transAxes, ha="right", va="center", color=INK, fontsize=8.5)
        return image(f"Observed and predicted signal at every base of {name}.")
