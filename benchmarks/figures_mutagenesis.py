"""The figure and the numbers of docs/mutagenesis.md: one site, and two of which either suffices.

    python benchmarks/figures_mutagenesis.py > benchmarks/results/mutagenesis.md

The model is written down instead of trained, so what matters is known: it looks for GATA1 sites (the JASPAR matrix that
the demo plants) on one strand and is sure as soon as it has found one. Writes docs/images/mutagenesis.png, prints
Markdown.
"""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from printing import table
from torch import Tensor, nn

import seqlift
from seqlift.data.simulate import BACKGROUND, MOTIFS, jaspar_motif
from seqlift.data.windows import one_hot
from seqlift.motifs.logos import draw_logo
from seqlift.report.figures.canvas import STYLE

LENGTH, PLACES = 60, (8, 41)
THRESHOLD = 0.6  # share of the best score from which on a window counts as a site
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "mutagenesis.png"


class AnySite(nn.Module):
    """4 min(1, Σ sites): 0 without a site, 4 with one perfect site, and still 4 with two."""

    def __init__(self, probabilities: np.ndarray):
        super().__init__()
        odds = np.log2(np.maximum(probabilities, 0.01) / np.array(BACKGROUND)[:, None])
        self.best = float(odds.max(axis=0).sum())
        self.scan = nn.Conv1d(4, 1, odds.shape[1], bias=False)
        self.scan.weight.data = torch.from_numpy(odds)[None].float()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, L) -> (N, 1)."""
        sites = torch.relu(self.scan(x)[:, 0] / self.best - THRESHOLD) / (1 - THRESHOLD)
        return 4 * (1 - torch.relu(1 - sites.sum(1, keepdim=True)))


def sequences(site: np.ndarray) -> Tensor:
    """One random sequence with a site at the first place, and with sites at both; (2, 4, L)."""
    codes = np.random.default_rng(2).choice(4, LENGTH, p=BACKGROUND).astype(np.uint8)
    both = np.stack([codes, codes])
    both[:, PLACES[0] : PLACES[0] + len(site)] = site
    both[1, PLACES[1] : PLACES[1] + len(site)] = site
    return one_hot(torch.from_numpy(both))


def draw(x: Tensor, effects: np.ndarray, contributions: dict[str, np.ndarray]) -> Figure:
    """Effects as a map of colours and contributions as letters, a column for each sequence."""
    figure = Figure(figsize=(10.4, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + len(contributions), 2, sharey="row", sharex=True, height_ratios=[1, 1.1, 1.1])
    limit = np.abs(effects).max()
    for column, title in enumerate(("one site", "two sites, of which either suffices")):
        top = axes[0, column]
        top.set_title(title, fontsize=11)
        shown = top.imshow(effects[column], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="none")
        there = x[column].argmax(0)
        top.plot(np.arange(LENGTH), there, ".", color="#1c2733", markersize=2.5)
        top.set_yticks(range(4), "ACGT")
        top.tick_params(length=0)
        for ax, (method, values) in zip(axes[1:, column], contributions.items(), strict=True):
            total = values.sum(axis=1)
            draw_logo(ax, values[column], first=0.0, limits=(1.15 * min(total.min(), -0.1), 1.1 * total.max()))
            ax.set_ylabel(f"{method}\ncontribution" if column == 0 else "")
            ax.tick_params(labelleft=column == 0)
        axes[-1, column].set_xlabel("position (bp)")
    axes[0, 0].set_ylabel("effect of\nchanging to")
    figure.colorbar(shown, ax=axes[0], label="change of f", shrink=0.95, pad=0.01)
    return figure


def main() -> None:
    motif = jaspar_motif("GATA1", MOTIFS["GATA1"])
    model, x = AnySite(motif.probabilities), sequences(motif.probabilities.argmax(axis=0))
    mutated = seqlift.mutagenesis(model, x)
    explained = seqlift.deeplift(model, x, n_references=100)
    contributions = {"mutagenesis": mutated.contributions.numpy(), "DeepLIFT": explained.contributions.numpy()}
    with matplotlib.rc_context(STYLE | {"figure.facecolor": "white"}):
        figure = draw(x, mutated.effects.numpy(), contributions)
        figure.savefig(IMAGE, dpi=130, metadata={"Software": None})
    print("# Mutagenesis where one site is enough\n")
    print(
        f"`{Path(__file__).name}`: a model that is sure as soon as it has found a GATA1 site; sums of contributions.\n"
    )
    rows = []
    for i, title in enumerate(("one site", "two sites")):
        for method, values in contributions.items():
            inside = [float(values[i, :, place : place + motif.width].sum()) for place in PLACES]
            found = [inside[0], inside[1] if i else None, float(values[i].sum())]
            change = float(mutated.prediction[i] - explained.reference_prediction[i].mean())
            cells = ["" if value is None else f"{value:.2f}" for value in (*found, change)]
            rows.append([title, method, f"{float(mutated.prediction[i]):.2f}", *cells])
    header = ["sequence", "method", "f", "first site", "second site", "all bases", "f less its mean over shuffles"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
