"""The figures of docs/deeplift.md and the numbers in its text.

    python benchmarks/figures.py --cache paper > benchmarks/results/figures.md

The first two are of networks of one or two units that can be worked out by hand, explained by the package. The third is
of the network that `paper_table.py` trains; with the same `--cache` it is not trained again. Writes docs/images/*.png.
"""

import argparse
import contextlib
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from paper_table import SEQUENCES, TARGET, TRAINING, Experiment, trained
from printing import table
from torch import Tensor, nn

import seqlift
from seqlift.attribution.rules import RULES
from seqlift.data.simulate import TARGETS
from seqlift.data.windows import one_hot
from seqlift.motifs.logos import draw_logo
from seqlift.report.figures.canvas import STYLE

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 7.6  # inches; 1216 pixels, sharp at the width of a page
DPI = 160
# Okabe and Ito's, told apart by all kinds of colour vision
BLUE, ORANGE = "#0072b2", "#d55e00"
INK = "#1c2733"
LOOK = STYLE | {"axes.titlesize": 9.5, "axes.titleweight": "normal", "figure.facecolor": "white"}

# The hand-made networks: weights and biases of Linear layers with a ReLU after all but the last; inputs; their name
NETWORKS = {
    "AND:  max(0, i₁ + i₂ − 1)": ([([[1, 1]], [-1]), ([[1]], [0])], (1.0, 1.0)),
    "OR:  1 − max(0, 1 − i₁ − i₂)": ([([[-1, -1]], [1]), ([[-1]], [1])], (1.0, 1.0)),
    "MIN:  i₁ − max(0, i₁ − i₂)": ([([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0])], (3.0, 2.0)),
}


class Small(nn.Module):
    """A network of two numbers, given as the rows A and C of one position."""

    def __init__(self, weights: list[tuple[list, list]]):
        super().__init__()
        layers: list[nn.Module] = []
        for weight, bias in weights:
            layer = nn.Linear(len(weight[0]), len(weight))
            layer.weight.data, layer.bias.data = torch.tensor(weight).float(), torch.tensor(bias).float()
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, 1) -> (N, 1)."""
        return self.layers(x[:, :2, 0])


def contributions_of(method: str, model: nn.Module, inputs: tuple[float, float]) -> list[float]:
    """Of the two inputs, against a reference of zeros."""
    x = torch.tensor([*inputs, 0, 0]).view(1, 4, 1)
    zeros = torch.zeros(1, 4, 1)
    if method == "gradient × input":
        leaf = x.clone().requires_grad_()
        (multipliers,) = torch.autograd.grad(model(leaf).sum(), leaf)
    elif method == "interior gradients":
        multipliers = seqlift.interior_gradients(model, x, zeros, steps=200).hypothetical
    else:
        multipliers = seqlift.deeplift(model, x, zeros, rule=method).hypothetical  # of zeros: the multipliers
    return (multipliers * x)[0, :2, 0].tolist()


def new_figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=DPI, metadata={"Software": None})


# ---------------------------------------------------------------------------------------------------------------------
# Why a difference and not a slope


def draw_idea() -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    _slope_and_chord(left, np.linspace(0, 2.4, 400), lambda s: np.clip(s, None, 1), 2.0)
    left.set(
        title="Saturation:  y = min(x₁ + x₂, 1)",
        xlabel="x₁ + x₂",
        ylabel="output y",
        xticks=[0, 1, 2],
        yticks=[0, 0.5, 1],
        xlim=(-0.12, 2.5),
        ylim=(-0.2, 1.4),
    )
    left.annotate("gradient 0:\nno input would matter", (1.3, 1.12), color=ORANGE)
    left.annotate("multiplier ½", (1.06, 0.42), color=BLUE)
    _slope_and_chord(right, np.linspace(0, 13.6, 400), lambda s: np.clip(s - 10, 0, None), 12.0)
    right.set(
        title="Threshold:  y = max(0, x − 10)",
        xlabel="x",
        xticks=[0, 5, 10],
        yticks=[0, 1, 2, 3],
        xlim=(-0.6, 14.2),
        ylim=(-0.45, 3.75),
    )
    right.annotate("gradient 1:\ntimes x it gives 12, six times y", (1.2, 2.75), color=ORANGE)
    right.annotate("multiplier ⅙", (1.5, 1.08), color=BLUE)
    return figure


def _slope_and_chord(ax: Axes, s: np.ndarray, function, at: float) -> None:
    """A function, its tangent at a point and the chord from the reference, 0, to the point."""
    ax.plot(s, function(s), color=INK, linewidth=1.8, zorder=2)
    ends = np.array([0.0, at])
    ax.plot(ends, function(ends), color=BLUE, linewidth=1.8, linestyle=(0, (5, 2)), zorder=3)
    slope = (function(at + 1e-6) - function(at - 1e-6)) / 2e-6
    near = at + np.array([-1, 1]) * 0.11 * s[-1]
    ax.plot(near, function(at) + slope * (near - at), color=ORANGE, linewidth=4, solid_capstyle="butt", zorder=3)
    for where, colour, label in ((0.0, "white", "reference"), (at, INK, "input")):
        ax.plot([where], [function(where)], "o", color=colour, markeredgecolor=INK, markersize=6.5, zorder=4)
        ax.annotate(label, (where, function(where)), (10, -13), textcoords="offset points", zorder=5)


# ---------------------------------------------------------------------------------------------------------------------
# What the rules make of two inputs

SHOWN = ("gradient × input", "interior gradients", "rescale", "reveal-cancel")


def rules_of_networks() -> dict[tuple[str, str], list[float]]:
    return {
        (name, method): contributions_of(method, Small(weights), inputs)
        for name, (weights, inputs) in NETWORKS.items()
        for method in (*SHOWN, *(rule for rule in RULES if rule not in SHOWN))
    }


def draw_rules(found: dict[tuple[str, str], list[float]]) -> Figure:
    figure = new_figure(2.5)
    axes = figure.subplots(1, len(NETWORKS), sharey=True)
    places = np.arange(len(SHOWN))
    for ax, (name, (weights, inputs)) in zip(axes, NETWORKS.items(), strict=True):
        at_input, at_zero = Small(weights)(torch.tensor([[*inputs, 0, 0], [0, 0, 0, 0]])[:, :, None])[:, 0].tolist()
        values = np.array([found[name, method] for method in SHOWN])
        for i, (label, colour) in enumerate((("of i₁", BLUE), ("of i₂", ORANGE))):
            ax.barh(places + 0.18 * (2 * i - 1), values[:, i], 0.34, color=colour, label=label)
            for place, value in zip(places + 0.18 * (2 * i - 1), values[:, i], strict=True):
                ax.annotate(
                    f"{value:.3g}" if abs(value) > 1e-6 else "0",
                    (value, place),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                    color=colour,
                )
        ax.set_title(f"{name}\nat i₁ = {inputs[0]:g}, i₂ = {inputs[1]:g}:  Δy = {at_input - at_zero:g}")
        ax.set_xlim(0, 1.15 * values.max())
        ax.set_yticks(places, SHOWN)
        ax.tick_params(axis="y", length=0)
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel("contribution")
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# A region: contributions with their standard error, and what the other bases would contribute


def example(experiment: Experiment, model: nn.Module) -> tuple[seqlift.DeepLift, int, int, list[tuple[str, int, int]]]:
    """A test sequence with a site of each motif within 60 bp: its explanation, the window, the sites in it."""
    test = experiment.of_split("test")
    test = test[test["class"] == "both"]
    sites = {name: [] for name in test["name"]}
    for line in (experiment.simulation.folder / "truth.bed").read_text().splitlines():
        chrom, start, end, motif, _, _ = line.split("\t")
        chosen = test[(test["chrom"] == chrom) & (test["start"] <= int(start)) & (test["end"] >= int(end))]
        for row in chosen.itertuples():
            sites[row.name].append((motif, int(start) - row.start, int(end) - row.start))
    for row in test.itertuples():
        inside = sorted(sites[row.name], key=lambda site: site[1])
        first, last = inside[0][1], inside[-1][2]
        if len(inside) == 2 and 35 <= last - first <= 50 and first > 20 and last < 180:
            break
    codes = experiment.codes(test[test["name"] == row.name])
    x = one_hot(torch.from_numpy(codes))
    start = (first + last) // 2 - 35
    return seqlift.deeplift(model, x, target=list(TARGETS).index(TARGET)), start, start + 70, inside


def draw_example(result: seqlift.DeepLift, start: int, end: int, sites: list[tuple[str, int, int]]) -> Figure:
    figure = new_figure(3.9)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.25, 1])
    contributions = result.contributions[0, :, start:end].numpy()
    draw_logo(above, contributions, first=start, ylabel="contribution\n(logit)")
    at = np.arange(start, end)
    height = contributions.sum(0)
    error = result.standard_error[0, start:end].numpy()
    above.errorbar(at, height, error, fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.6, capthick=0.9)
    above.set_ylim(1.08 * min((height - error).min(), 0), 1.2 * (height + error).max())
    draw_logo(below, result.hypothetical[0, :, start:end].numpy(), first=start, ylabel="hypothetical\ncontribution")
    for ax in (above, below):
        ax.locator_params(axis="y", nbins=5)
        for _, first, last in sites:
            low, high = ax.get_ylim()
            ax.add_patch(
                Rectangle((first - 0.5, low), last - first, high - low, facecolor="#eef0f2", linewidth=0, zorder=-1)
            )
    for motif, first, last in sites:
        above.annotate(
            motif,
            ((first + last - 1) / 2, above.get_ylim()[1]),
            (0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
        )
    below.set_xlabel("position in the sequence, bp")
    below.tick_params(axis="x", length=2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, help="that of paper_table.py")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with matplotlib.rc_context(LOOK):
        save(draw_idea(), "deeplift_idea")
        found = rules_of_networks()
        save(draw_rules(found), "deeplift_rules")
        with contextlib.ExitStack() as stack:
            cache = arguments.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            experiment = Experiment.make(cache / f"simulation_{SEQUENCES}", SEQUENCES)
            model, _ = trained(experiment, TRAINING, 1, cache)
            save(draw_example(*example(experiment, model)), "deeplift_region")
    print("# Numbers of docs/deeplift.md\n\n`python benchmarks/figures.py`\n\n## Contributions of two inputs\n")
    rows = [[name, method, *(f"{value:.3f}" for value in values)] for (name, method), values in found.items()]
    print(table(["network", "method", "i₁", "i₂"], rows))


if __name__ == "__main__":
    main()
