"""The figure and the numbers of docs/interior_gradients.md, from the demo's network and data.

    python benchmarks/figures_interior.py > benchmarks/results/interior_gradients.md

Trains the network of the demo first (minutes); `--folder` keeps it for the next time, and is the one of
`references.py`. Writes docs/images/interior_path.png, prints Markdown.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from printing import machine, table, versions
from references import Data, prepared
from torch import Tensor

import seqlift
from seqlift.attribution.interior_gradients import FIRST_STEPS, InteriorGradients
from seqlift.motifs.logos import draw_logo
from seqlift.report.figures.canvas import INK, SOFT, STYLE

TARGET = "GATA1"
N_REGIONS, N_REFERENCES = 40, 10
STEPS = (4, 8, 16, 32, 64, 128)
TOLERANCES = (0.1, 0.03, 0.01)
SHOWN = 84  # bp around the sites
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7a8590"  # after Okabe & Ito: told apart by all
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "interior_path.png"


def example(data: Data) -> tuple[Tensor, np.ndarray]:
    """The first region that the network is sure of and whose sites, of GATA1 alone, fit the figure; and its sites."""
    for i in range(len(data.positives(TARGET, N_REGIONS))):
        row = data.positives(TARGET, N_REGIONS).iloc[i : i + 1]
        inside, x = data.inside(row, (TARGET,))[0], data.sequences(row)
        places = np.flatnonzero(inside)
        with torch.no_grad():
            sure = float(data.model(x)[0, data.targets.index(TARGET)]) > 5
        if sure and not data.inside(row, ("TAL1",)).any() and places[-1] - places[0] < SHOWN - 6:
            return x, inside
    raise LookupError("no region has its sites so close together")


def explain(data: Data, x: Tensor, **arguments) -> InteriorGradients:
    settings = {"n_references": N_REFERENCES, "target": data.targets.index(TARGET)}
    return seqlift.interior_gradients(data.model, x, **settings | arguments)


# --- the figure -------------------------------------------------------------------------------------------------------


def draw_path(above: Axes, below: Axes, found: InteriorGradients, each: list[InteriorGradients]) -> None:
    """The probability along the path, and its slope."""

    def ends(one: InteriorGradients) -> tuple[np.ndarray, np.ndarray]:
        f = np.r_[float(one.reference_prediction.mean()), one.path_prediction[0].numpy(), float(one.prediction[0])]
        return np.r_[0, one.alphas.numpy(), 1], f

    for one in each:
        above.plot(*ends(one), color=GREY, lw=0.8, alpha=0.6)
        below.plot(one.alphas, one.path_slope[0], color=GREY, lw=0.8, alpha=0.6)
    alphas, f = ends(found)
    above.plot(alphas, f, color=ORANGE, lw=2.2)
    below.plot(found.alphas, found.path_slope[0], color=ORANGE, lw=2.2)
    for share, at in ((0.5, found.alpha_half), (0.9, found.alpha_90)):
        level = f[0] + share * (f[-1] - f[0])
        above.plot([float(at)] * 2, [0, level], color=INK, lw=0.9, ls=(0, (4, 2)))
        above.plot(float(at), level, "o", color=INK, ms=4.5, zorder=5)
        text = f"{share:.0%} of the change\nat α = {float(at):.2f}"
        leader = {"arrowstyle": "-", "color": SOFT, "lw": 0.8, "shrinkB": 4}
        above.annotate(text, (float(at), level), (0.62, level), ha="right", va="center", size=8.5, arrowprops=leader)
    above.set_ylabel("probability f")
    above.set_ylim(0, 1.03)
    below.set_ylabel("slope df/dα")
    below.set_xlabel("α, from reference to sequence")
    for ax in (above, below):
        ax.set_xlim(0, 1)
    above.tick_params(labelbottom=False)
    arrow = {"arrowstyle": "->", "color": SOFT, "lw": 0.8}
    below.annotate(
        "flat again at the\nsequence: saturated",
        (0.992, float(found.path_slope[0, -1])),
        (0.58, 0.55),
        textcoords="axes fraction",
        ha="right",
        size=8.5,
        arrowprops=arrow,
    )


def draw_map(ax: Axes, found: InteriorGradients, window: tuple[int, int]) -> matplotlib.image.AxesImage:
    """gradient · (x - reference), a row for each α, a column for each position."""
    first, last = window
    moved = found.path_gradient[0, :, first:last].numpy()
    limit = np.quantile(np.abs(moved), 0.999)
    edges = np.r_[0, (found.alphas[1:] + found.alphas[:-1]).numpy() / 2, 1]
    columns = np.arange(first, last + 1) - 0.5
    drawn = ax.pcolormesh(columns, edges, moved, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
    ax.set_ylabel("α")
    ax.tick_params(labelbottom=False)
    return drawn


def draw_logos(axes: list[Axes], found: InteriorGradients, window: tuple[int, int], x: Tensor) -> None:
    """What the gradients at the sequence alone say, and what all along the path do, to one scale."""
    first, last = window
    there = x[0, :, first:last].numpy()
    last_step = found.path_gradient[0, -1, first:last].numpy()  # the point next to the sequence
    average = found.contributions[0].sum(0)[first:last].numpy()
    limits = 1.1 * min(average.min(), last_step.min()), 1.1 * max(average.max(), last_step.max())
    for ax, values, title in zip(
        axes, (last_step, average), ("gradient next to the sequence", "average along the path"), strict=True
    ):
        draw_logo(ax, there * values, first=first, limits=limits)
        ax.set_xlim(first - 0.5, last - 0.5)
        ax.text(0.5, 0.9, title, transform=ax.transAxes, fontsize=8.5, va="top", ha="center")
        ax.set_ylabel("contribution")
        ax.locator_params(axis="y", nbins=3)
    axes[0].tick_params(labelbottom=False)
    axes[1].set_xlabel("position in the region (bp)")


def draw_steps(ax: Axes, errors: dict[str, dict[int, np.ndarray]], auto: dict[float, tuple[float, np.ndarray]]) -> None:
    """How far the contributions are from adding up, against the steps taken."""
    styles = {"gauss-legendre": (BLUE, "o", "Gauss-Legendre"), "midpoint": (GREY, "s", "midpoint")}
    for quadrature, by_steps in errors.items():
        colour, marker, label = styles[quadrature]
        rest = [np.quantile(values, 0.95) for values in by_steps.values()]
        ax.plot(list(by_steps), rest, color=colour, marker=marker, ms=4.5, label=label)
    rest = {tolerance: (steps, np.quantile(values, 0.95)) for tolerance, (steps, values) in auto.items()}
    ax.plot(*zip(*rest.values(), strict=True), ls="", marker="D", ms=6, color=ORANGE, label='"auto"')
    for tolerance, place in rest.items():
        ax.annotate(f"tolerance {tolerance:g}   ", place, ha="right", va="top", size=8, color=INK)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(STEPS, STEPS)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.minorticks_off()
    ax.set_xlabel("gradients for each path (mean)")
    ax.set_ylabel("|delta| / |change|\n(95 % quantile)")
    ax.legend(loc="upper right")


def draw(data: Data, errors: dict, auto: dict) -> tuple[Figure, InteriorGradients]:
    x, inside = example(data)
    middle = int(np.flatnonzero(inside)[[0, -1]].sum()) // 2
    window = middle - SHOWN // 2, middle + SHOWN // 2
    settings = {"steps": 100, "options": seqlift.InteriorGradientsOptions(keep_path=True, output="probability")}
    found = explain(data, x, **settings)
    shuffles = seqlift.attribution.references.dinucleotide_shuffles(x, N_REFERENCES, 0)
    each = [explain(data, x, references=shuffles[:, k : k + 1], **settings) for k in range(N_REFERENCES)]
    figure = Figure(figsize=(10.4, 7.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.35])
    left = left.subplots(3, 1, height_ratios=[3, 2, 3.4])
    right = right.subplots(3, 1, height_ratios=[4, 2, 2])
    draw_path(left[0], left[1], found, each)
    shown = draw_map(right[0], found, window)
    figure.colorbar(shown, ax=right[0], label="gradient · (x − r)", shrink=0.95, pad=0.01)
    draw_logos(right[1:], found, window, x)
    draw_steps(left[2], errors, auto)
    edges = np.flatnonzero(np.diff(np.r_[0, inside, 0])) - 0.5  # start, end, start, end, ...
    for ax in right:
        for first, last in edges.reshape(-1, 2):
            ax.axvspan(first, last, fill=False, ec=INK, lw=0.8, ls=(0, (2, 2)))
    titles = {
        left[0]: "a  The output and its slope along the path",
        right[0]: "b  Where the slope comes from",
        right[1]: "c  Contributions",
        left[2]: "d  More steps, a smaller rest",
    }
    for ax, title in titles.items():
        ax.set_title(title, loc="left", fontweight="bold", fontsize=9.5)
    return figure, found


# --- the numbers ------------------------------------------------------------------------------------------------------


def relative(found: InteriorGradients) -> np.ndarray:
    """|delta| as a share of |f(x) - f(reference)|, for each pair."""
    change = found.prediction[:, None] - found.reference_prediction
    return (found.delta / change).abs().flatten().numpy()


def gradients(steps: int) -> int:
    """How many it takes "auto" to end with this number of steps, the rounds before included."""
    total, level = steps, FIRST_STEPS
    while level < steps:
        total, level = total + level, 2 * level
    return total


def quantiles(values: np.ndarray) -> list[str]:
    percent = [100 * np.quantile(values, q) for q in (0.5, 0.95)]
    return [f"{value:.0f} %" if value >= 10 else f"{value:.2g} %" for value in percent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="keep data and network here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, prepared(arguments.folder or Path(temporary)) as data:
        x = data.sequences(data.positives(TARGET, N_REGIONS))
        errors = {
            quadrature: {
                steps: relative(
                    explain(data, x, steps=steps, options=seqlift.InteriorGradientsOptions(quadrature=quadrature))
                )
                for steps in STEPS
            }
            for quadrature in ("gauss-legendre", "midpoint")
        }
        auto = {
            tolerance: explain(
                data, x, steps="auto", options=seqlift.InteriorGradientsOptions(step_tolerance=tolerance)
            )
            for tolerance in TOLERANCES
        }
        default = relative(explain(data, x))
        cost = {t: float(np.mean([gradients(steps) for steps in r.steps.flatten().tolist()])) for t, r in auto.items()}
        auto_errors = {tolerance: (cost[tolerance], relative(found)) for tolerance, found in auto.items()}
        milestones = {output: explain(data, x, steps=100, output=output) for output in ("logit", "probability")}
        with matplotlib.rc_context(STYLE | {"figure.facecolor": "white"}):
            figure, _ = draw(data, errors, auto_errors)
            figure.savefig(IMAGE, dpi=130, metadata={"Software": None})
    print("# Interior gradients on the demo's network\n")
    print(
        f"`{Path(__file__).name}`: {N_REGIONS} test regions with {TARGET} sites, {N_REFERENCES} dinucleotide shuffles "
        f"each, target {TARGET}; {versions()}; {machine(torch.device('cpu'))}.\n"
    )
    print("How far the contributions are from adding up, as a share of |f(x) - f(reference)|:\n")
    names = {"gauss-legendre": "Gauss-Legendre", "midpoint": "midpoint"}
    rows = [
        [f"{steps}, {names[quadrature]}", str(steps), str(steps), *quantiles(values)]
        for quadrature, by_steps in errors.items()
        for steps, values in by_steps.items()
    ]
    rows.insert(0, ["50, Gauss-Legendre (default)", "50", "50", *quantiles(default)])
    for tolerance, (computed, values) in auto_errors.items():
        in_the_end = f"{float(auto[tolerance].steps.double().mean()):.0f}"
        rows.append([f'"auto", tolerance {tolerance:g}', in_the_end, f"{computed:.0f}", *quantiles(values)])
    print(table(["steps", "in the average", "gradients in all", "median", "95 % quantile"], rows))
    print("\nWhere on the path the change has happened (10 %, 50 % and 90 % of the regions lie below):\n")
    rows = [
        [output, name, *(f"{float(np.nanquantile(getattr(found, field), q)):.2f}" for q in (0.1, 0.5, 0.9))]
        for output, found in milestones.items()
        for name, field in (("half of it", "alpha_half"), ("90 % of it", "alpha_90"))
    ]
    print(table(["output", "of the change", "10 %", "median", "90 %"], rows))


if __name__ == "__main__":
    main()
