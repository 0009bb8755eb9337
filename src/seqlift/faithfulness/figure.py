"""One figure for all outputs and methods: deletion and insertion curves, and how far others agree.

The curves are those with dinucleotide shuffles, which are the same for all methods, so that methods can be compared.
"""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqlift.faithfulness.curves import SHUFFLES

METHODS = {"deeplift": ("DeepLIFT", "#1f5fa8"), "interior_gradients": ("interior gradients", "#b4541a")}
MORE_COLOURS = ("#7a4fa3", "#8a6d1d", "#1b8a8f", "#a3345c")  # of methods from elsewhere
MUTAGENESIS, RANDOM, INK, SOFT = "#2f7d4f", "#8b97a3", "#1c2733", "#64707d"
NUMBERS = {  # by the words of the figure: a filled and an open mark
    "with mutagenesis": ("mutagenesis_spearman", "mutagenesis_pearson"),
    "with other methods": ("methods_spearman", "methods_pearson"),
    "between models": ("models_spearman", "models_pearson"),
    "between references": ("references_spearman", "references_pearson"),
    "true sites\n\u25cf AUROC \u25cb AUPRC": ("truth_auroc", "truth_auprc"),
}
STYLE: dict[Any, Any] = {  # matplotlib's settings, whose names its type hints list one by one
    "axes.edgecolor": RANDOM,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "seqlift",
    "text.color": INK,
    "text.parse_math": False,  # a `$` in a name is a dollar sign
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
}
_ROW, _WIDTH, _TOP = 1.75, 10.5, 0.9  # inches


def draw_faithfulness(result: pd.DataFrame, points: pd.DataFrame, svg: Path, png: Path) -> None:
    """Draw the figure: a row of three panels for each output.

    Parameters
    ----------
    result, points : pandas.DataFrame
        The contents of faithfulness.tsv and curves.tsv.
    svg, png : path
        Where to write it.
    """
    outputs = list(dict.fromkeys(result["output"]))
    looks = _looks(list(dict.fromkeys(result["method"])))
    numbers = {words: names for words, names in NUMBERS.items() if result[list(names)].notna().any(axis=None)}
    height = _TOP + _ROW * len(outputs)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        grid = figure.subplots(len(outputs), 3, squeeze=False, width_ratios=(1, 1, 1.05))
        for i, (output, axes) in enumerate(zip(outputs, grid, strict=True)):
            here, last = result[result["output"] == output], i == len(outputs) - 1
            curves = points[(points["output"] == output) & (points["references"] == SHUFFLES)]
            for kind, ax in zip(("deletion", "insertion"), axes, strict=False):
                _draw_curves(ax, curves[curves["kind"] == kind], looks)
                ax.set_xlabel(f"% of bases {'replaced' if kind == 'deletion' else 'put in'}" if last else "")
                ax.tick_params(labelbottom=last)
                if i == 0:
                    ax.set_title(f"{kind.capitalize()}, largest contributions first", fontsize=9, loc="left")
            axes[0].set_ylabel(f"{output}\n({int(here['regions'].iloc[0])} regions)\noutput")
            _draw_numbers(axes[2], here, numbers, looks, last=last)
            if i == 0:
                axes[2].set_title("Who else says so", fontsize=9, loc="left")
        handles, labels = grid[0][0].get_legend_handles_labels()
        if not handles:
            handles, labels = grid[0][2].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper left", ncols=len(handles))
        figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=150)


def _looks(methods: list[str]) -> dict[str, tuple[str, str]]:
    """Name and colour of each method."""
    others = [method for method in methods if method not in METHODS]
    more = {method: (method, MORE_COLOURS[i % len(MORE_COLOURS)]) for i, method in enumerate(others)}
    return {method: METHODS.get(method) or more[method] for method in methods}


def _draw_curves(ax: Axes, curves: pd.DataFrame, looks: dict[str, tuple[str, str]]) -> None:
    """The curves of all methods, and random order and mutagenesis, which are the same for all of them."""
    first = curves["method"].iloc[0]
    shared = curves[curves["method"] == first]
    lines = [(shared[shared["order"] == "random"], "random order", RANDOM, "-")]
    lines += [(shared[shared["order"] == "mutagenesis"], "mutagenesis", MUTAGENESIS, "--")]
    of_methods = curves[curves["order"] == "method"]
    lines += [(of_methods[of_methods["method"] == method], *look, "-") for method, look in looks.items()]
    for line, label, colour, style in lines:
        if line["mean"].notna().any():
            share, mean, error = (line[name].to_numpy(float) for name in ("share", "mean", "standard_error"))
            ax.plot(share, mean, style, color=colour, label=label, linewidth=1.5)
            ax.fill_between(share, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    if not curves["mean"].notna().any():
        ax.text(0.5, 0.5, "the output is not above\nthat of the references", ha="center", transform=ax.transAxes)
        ax.set_yticks([])
    else:
        for level in (0, 1):
            ax.axhline(level, color=RANDOM, linewidth=0.5, linestyle=":")
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, -0.05), max(high, 1.05))
        ax.set_yticks([0, 1], ["references", "sequence"])
    # What matters happens in the first few percent
    ax.set_xscale("function", functions=(np.sqrt, np.square))
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1], ["0", "1", "5", "10", "20", "40", "70", "100"])


def _draw_numbers(
    ax: Axes, rows: pd.DataFrame, numbers: dict[str, tuple[str, str]], looks: dict, *, last: bool
) -> None:
    """Two marks for each row of numbers and method."""
    if not numbers:
        ax.set_axis_off()
        return
    filled, hollow = (list(names) for names in zip(*numbers.values(), strict=True))
    for j, (method, (label, colour)) in enumerate(looks.items()):
        row = rows[rows["method"] == method]
        if row.empty:
            continue
        place = np.arange(len(numbers)) + 0.2 * (j - (len(looks) - 1) / 2)
        ax.plot(row[filled].to_numpy(float)[0], place, "o", color=colour, label=label, markersize=4.5)
        ax.plot(row[hollow].to_numpy(float)[0], place, "o", color=colour, markersize=4.5, fillstyle="none")
    ax.set_yticks(range(len(numbers)), list(numbers))
    ax.set_ylim(len(numbers) - 0.5, -0.5)
    low = float(np.nanmin(rows[filled + hollow].to_numpy(float), initial=0.0))
    ax.set_xlim(low - 0.03, 1.03)
    ax.grid(axis="x", color="#d5dbe1", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(labelbottom=last)
    if last:
        ax.set_xlabel("\u25cf Spearman  \u25cb Pearson")
