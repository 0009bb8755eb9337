"""A run whose explanation is known: a network that looks for one motif, and regions in which it was planted."""

import numpy as np
import pandas as pd
import torch

from seqlift.attribution.attribute import attribute_regions
from seqlift.data.genome import Genome
from seqlift.models import Shape, build_model
from seqlift.models.checkpoint import save_checkpoint
from seqlift.regions.table import COLUMNS

LENGTH, N, MOTIF, OFFSET = 60, 40, "GATAAG", 27
SETTINGS = {
    "deeplift": {"n_references": 6, "tolerance": 0.01},
    "interior_gradients": {"references": "uniform", "n_references": 1, "steps": 64, "tolerance": 0.5},
}
NETWORK = f'''
import torch
from torch import nn


class Planted(nn.Module):
    """A match of all bases of the motif lifts the output, and each G or C a little, too."""

    def __init__(self, length, n_targets, gc=0.02):
        super().__init__()
        self.scan = nn.Conv1d(4, 1, {len(MOTIF)})
        self.gc = gc
        with torch.no_grad():
            self.scan.weight.zero_()
            self.scan.bias.fill_({1 - len(MOTIF)})
            for position, base in enumerate("{MOTIF}"):
                self.scan.weight[0, "ACGT".index(base), position] = 1

    def forward(self, x):
        found = 4 * torch.relu(self.scan(x)).sum((1, 2))
        return (found + self.gc * x[:, 1:3].sum((1, 2)))[:, None]
'''


def make_run(folder, monkeypatch, splits=("test", "train")):
    """Genome, regions of which each second one is a peak with the motif in its middle, and the network, in `folder`."""
    monkeypatch.chdir(folder)
    random = np.random.default_rng(3)
    bases = random.choice(list("ACT"), 80 * N)  # without G the motif is nowhere by chance
    starts = np.arange(N) * 80 + 10
    for start in starts[::2]:
        bases[start + OFFSET : start + OFFSET + len(MOTIF)] = list(MOTIF)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(bases) + "\n")
    table = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + LENGTH})
    table = table.assign(name=[f"r{i}" for i in range(N)], strand=".", summit=starts + LENGTH // 2)
    table = table.assign(kind=["peak", "genome"] * (N // 2), split=[splits[i // 2 % len(splits)] for i in range(N)])
    table = table.assign(set=0, score=1.0, gc=0.5, source="x.bed:1")[COLUMNS]
    table["target:one"] = [1, 0] * (N // 2)
    table.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    (folder / "truth.bed").write_text(
        "".join(f"chr1\t{s + OFFSET}\t{s + OFFSET + len(MOTIF)}\tGATA\t0\t+\n" for s in starts[::2])
    )
    (folder / "planted_network.py").write_text(NETWORK)
    save(folder / "model.ckpt", {"type": "planted_network:Planted", "head": "classes"})
    return table


def save(path, architecture, seed=0, **training):
    """A model that was not trained, in a file."""
    shape = Shape(LENGTH, 1, strands=1, window=30, control_channels=0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(architecture, shape).eval()
    save_checkpoint(path, model, architecture=architecture, targets=["one"], shape=shape, training=training)
    return path


def attribute(folder, table, method, models=None, target="one", name=None, **changes):
    """A score file; its path."""
    path = folder / (name or f"{target}.{method}.h5")
    with Genome(folder / "genome.fa") as genome:
        settings = {"target": target, "method": method, "device": "cpu"} | SETTINGS[method] | changes
        attribute_regions(models or folder / "model.ckpt", table, genome, path, **settings)
    return path
