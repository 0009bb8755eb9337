"""The figure of docs/references.md, from what benchmarks/references.py found."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from references import FIXED, LENGTH, SHARES, TARGET, Accuracy, Data, KindResult

import seqlift
from seqlift.attribution.references import reference_kind
from seqlift.data.simulate import TARGETS
from seqlift.motifs.logos import draw_logo

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # after Okabe & Ito: told apart by all


def example(data: Data) -> tuple[pd.DataFrame, tuple[int, int]]:
    """The first test region with both motifs whose sites all lie within 80 bp; and the window to show."""
    for i in range(len(data.positives("both", 400))):
        row = data.positives("both", 400).iloc[i : i + 1]
        places = np.flatnonzero(data.inside(row, tuple(TARGETS["both"]))[0])
        if places[-1] - places[0] < 80:
            first = int(np.clip((places[0] + places[-1]) // 2 - 50, 0, LENGTH - 100))
            return row, (first, first + 100)
    raise LookupError("no region has its sites so close together")


def draw_example(axes: list[Axes], data: Data) -> None:
    """Contributions of one region against four kinds of reference, one below the other, to one scale."""
    row, (first, last) = example(data)
    x, target = data.sequences(row), data.targets.index(TARGET)
    shown = (
        ("dinucleotide", 1, "1 dinucleotide shuffle"),
        ("dinucleotide", 20, "20 dinucleotide shuffles"),
        ("uniform", 1, "uniform: ¼ of each base"),
        ("zeros", 1, "zeros: no base at all"),
    )
    sites = data.sites[(data.sites["chrom"] == row["chrom"].iloc[0])]
    start = int(row["start"].iloc[0])
    explain = functools.partial(seqlift.deeplift, data.model, x, target=target)
    results = [explain(reference_kind(kind), n_references=n).contributions[0] for kind, n, _ in shown]
    scores = [contributions[:, first:last].numpy() for contributions in results]
    limits = min(each.min() for each in scores), max(each.max() for each in scores)
    for i, (ax, (_, _, title)) in enumerate(zip(axes, shown, strict=True)):
        draw_logo(ax, scores[i], first=first, limits=limits)
        for site in sites[(sites["end"] > start) & (sites["start"] < start + LENGTH)].itertuples():
            colour = ORANGE if site.name == TARGET else GREY
            ax.axvspan(site.start - start - 0.5, site.end - start - 0.5, color=colour, alpha=0.18, lw=0, zorder=-2)
            if i == 0:
                middle = (site.start + site.end - 1) / 2 - start
                ax.text(
                    middle, 1.03, site.name, transform=ax.get_xaxis_transform(), ha="center", fontsize=8, color=colour
                )
        ax.set_title(title, fontsize=8.5, loc="left", pad=2 if i else 13)
        ax.set_xlim(first - 0.5, last - 0.5)
        ax.tick_params(labelsize=7)
        ax.locator_params(axis="y", nbins=3)
        if i < len(axes) - 1:
            ax.set_xticklabels([])
    axes[-1].set_xlabel("position in the region (bp)", fontsize=8.5)


def draw_accuracy(ax: Axes, found: list[Accuracy]) -> None:
    fixed, auto = found[: len(FIXED)], found[len(FIXED) :]
    for some, colour, marker, label in ((fixed, BLUE, "o", "fixed number"), (auto, ORANGE, "D", '"auto"')):
        used = [each.used.mean() for each in some]
        middle = np.array([np.median(each.rms) for each in some])
        high = np.array([np.quantile(each.rms, 0.95) for each in some])
        style = {"color": colour, "marker": marker, "ms": 5, "lw": 1.2, "capsize": 2.5, "label": label}
        if some is auto:
            style["ls"] = "none"
        ax.errorbar(used, middle, yerr=[np.zeros(len(some)), high - middle], **style)
    for each, share in zip(auto, SHARES, strict=True):
        at = (each.used.mean(), np.median(each.rms))
        ax.annotate(
            f"{share:.0%}", at, xytext=(-3, -12), textcoords="offset points", fontsize=7.5, color=ORANGE, ha="right"
        )
    ax.set(xscale="log", yscale="log", xlabel="references for each sequence (mean)")
    ax.set_ylabel("error (share of the largest contribution)")
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100, 200], ["1", "2", "5", "10", "20", "50", "100", "200"])
    ax.set_ylim(bottom=0.008)
    ax.set_yticks([0.01, 0.02, 0.05, 0.1, 0.2], ["1 %", "2 %", "5 %", "10 %", "20 %"])
    ax.minorticks_off()
    ax.legend(fontsize=8, frameon=False)


def draw_kinds(ax: Axes, results: list[KindResult]) -> None:
    places = np.arange(len(results))[::-1]
    for method, colour, shift in (("deeplift", BLUE, 0.1), ("interior", ORANGE, -0.1)):
        for target, marker, filled in (("GATA1", "o", True), ("TAL1", "s", False)):
            found = [getattr(each, method)[target] for each in results]
            name = {"deeplift": "DeepLIFT", "interior": "interior gradients"}[method]
            ax.errorbar(
                [each.auroc for each in found],
                places + shift,
                xerr=[each.error for each in found],
                ls="none",
                marker=marker,
                ms=5,
                color=colour,
                mfc=colour if filled else "white",
                lw=1,
                label=f"{name}, {target}",
            )
    ax.set_yticks(places, [f"{each.label} × {each.n_references}" for each in results], fontsize=8)
    ax.set_xlabel("AUROC of |contribution|, bases in planted sites")
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)
    ax.legend(fontsize=7.5, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.36, 0.995))


def draw(path: Path, data: Data, found: list[Accuracy], results: list[KindResult]) -> None:
    figure = Figure(figsize=(9.2, 8.2))
    FigureCanvasAgg(figure)
    margins = {"left": 0.075, "right": 0.98, "top": 0.955, "bottom": 0.065}
    grid = figure.add_gridspec(2, 1, height_ratios=[1.15, 1], hspace=0.27, **margins)
    logos = grid[0].subgridspec(4, 1, hspace=0.42)
    below = grid[1].subgridspec(1, 2, wspace=0.42)
    axes = [figure.add_subplot(logos[i]) for i in range(4)]
    draw_example(axes, data)
    axes[1].set_ylabel(f"contribution to {TARGET} (logit)", fontsize=8.5)
    axes[1].yaxis.set_label_coords(-0.05, -0.2)
    left, right = figure.add_subplot(below[0]), figure.add_subplot(below[1])
    draw_accuracy(left, found)
    draw_kinds(right, results)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
        ax.xaxis.label.set_fontsize(8.5)
        ax.yaxis.label.set_fontsize(8.5)
    for ax, letter, at in ((axes[0], "a", (-0.065, 1.12)), (left, "b", (-0.14, 1.02)), (right, "c", (-0.36, 1.02))):
        ax.text(*at, letter, transform=ax.transAxes, fontsize=13, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, metadata={"Software": None})
