"""Regions with planted motifs and models that know them, so that every number of an evaluation can be recomputed."""

import json

import numpy as np
import pandas as pd
import torch
from torch import nn

from motif_fixture import FIRST, SECOND, frequencies
from seqlift.models import Shape, build_model
from seqlift.models.checkpoint import save_checkpoint

LENGTH = 80
TARGETS = ("one", "two")
WORDS = {"one": FIRST, "two": SECOND}
CHROMOSOMES = ("chrA", "chrB", "chrC")
STEP = 200  # bp from region to region


class Matched(nn.Module):
    """The best match of each target's motif on either strand, times a weight that is trained (that is, set by a test).

    With a profile head, also where the matches are: the score at each base of the window.
    """

    def __init__(self, length, n_targets, window=0, strands=1, control_channels=0):
        super().__init__()
        self.window, self.strands = window, strands
        filters = [np.log2(frequencies(word) / 0.25) for word in list(WORDS.values())[:n_targets]]
        width = max(each.shape[1] for each in filters)
        filters = np.stack([np.pad(each, ((0, 0), (0, width - each.shape[1]))) for each in filters])
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32))
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.shift = nn.Parameter(torch.tensor(-6.0))

    def forward(self, sequences, control=None):
        both = [torch.conv1d(each, self.filters, padding="same") for each in (sequences, sequences.flip(1, 2))]
        both[1] = both[1].flip(2)
        scores = torch.maximum(*both)  # (N, T, L)
        total = self.scale * scores.amax(dim=2) + self.shift
        if not self.window:
            return total
        first = (sequences.shape[2] - self.window) // 2
        logits = scores[:, :, None, first : first + self.window].expand(-1, -1, self.strands, -1) * 0.3
        if control is not None:
            logits = logits + control.reshape(len(control), -1, 1, self.window).log1p()
        return logits, total


def write_genome(path, table_of_words, seed=0):
    """A random genome; returns base codes of each chromosome, with words planted at (chrom, position)."""
    rng = np.random.default_rng(seed)
    codes = {chrom: rng.integers(0, 4, 40_000) for chrom in CHROMOSOMES}
    for chrom, position, word in table_of_words:
        bases = np.array(["ACGT".index(base) for base in word])
        codes[chrom][position : position + len(bases)] = bases if rng.random() < 0.5 else 3 - bases[::-1]
    text = "".join(f">{chrom}\n{''.join('ACGT'[base] for base in bases)}\n" for chrom, bases in codes.items())
    path.write_text(text)
    return codes


def build_regions(folder, *, folds=False, signal=False, background=40, seed=0):
    """Genome, table and summary: peaks hold the word of their target (most of them), negatives and background none."""
    rng = np.random.default_rng(seed)
    rows, words = [], []
    for number, chrom in enumerate(CHROMOSOMES):
        split = f"fold{number}" if folds else ("train", "valid", "test")[number]
        n_background = background if folds or split == "test" else 0
        for i in range(120 + n_background):
            start = 500 + STEP * i
            kind = "background" if i >= 120 else "peak" if i < 70 else "genome"
            labels = [float(kind == "peak" and i % 3 != 2), float(kind == "peak" and i % 3 != 0)]
            for label, word in zip(labels, WORDS.values(), strict=True):
                if label and rng.random() < 0.85:
                    words.append((chrom, start + int(rng.integers(5, LENGTH // 2 - 12)) + 35 * (word == SECOND), word))
            if i % 10 == 9 and kind == "peak":
                labels[0] = np.nan  # masked
            rows.append(
                (chrom, start, start + LENGTH, f"{chrom}_{i}", ".", start + LENGTH // 2, kind, split, 0, *labels)
            )
    columns = ["chrom", "start", "end", "name", "strand", "summit", "kind", "split", "set"]
    table = pd.DataFrame(rows, columns=[*columns, *(f"target:{name}" for name in TARGETS)])
    table.insert(9, "score", 1.0)
    table.insert(10, "gc", 0.5)
    table.insert(11, "source", "")
    genome = folder / "genome.fa"
    write_genome(genome, words, seed)
    splits = sorted(table["split"].unique())
    summary = {
        "format": "seqlift regions 2",
        "length": LENGTH,
        "targets": list(TARGETS),
        "peaks": {name: {"path": f"{name}.bed", "read": 9, "used": 9} for name in TARGETS},
        "windows": dict.fromkeys(splits, 400),
        "folds": 3 if folds else 0,
        "signal": None,
    }
    if signal:
        for i, name in enumerate(TARGETS):
            values = rng.poisson(np.where(table[f"target:{name}"] == 1, 60, 6)).astype(float)
            values[5 + i :: 25] = np.nan  # unknown
            table[f"signal:{name}"] = values
        files = {name: {"signal": [f"{name}.bw"]} for name in TARGETS}
        summary["signal"] = {"window": 40, "strands": 1, "control_strands": 0, "files": files}
    return genome, table, summary


def write_regions(folder, table, summary):
    """regions.tsv.gz and regions.json as `seqlift regions` writes them; returns their paths."""
    text = table.copy()
    for name in TARGETS:
        text[f"target:{name}"] = text[f"target:{name}"].map("{:.0f}".format, na_action="ignore")
    text.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    (folder / "regions.json").write_text(json.dumps(summary))
    return folder / "regions.tsv.gz", folder / "regions.json"


def write_model(path, *, head="classes", targets=TARGETS, length=LENGTH, shift=-6.0, control=0, **training):
    """A model file of `Matched`; `shift` is what it adds to all its numbers."""
    window = 40 if head == "profile" else 0
    shape = Shape(length=length, n_targets=len(targets), window=window, control_channels=control)
    architecture = {"type": "evaluation_fixture:Matched", "head": head, "arguments": {}}
    model = build_model(architecture, shape)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if name.endswith("shift")).fill_(shift)
    training = {"seed": 3, "learned": True, "restarts": 0, "fold": None, "best_epoch": 4} | training
    save_checkpoint(path, model, architecture=architecture, targets=list(targets), shape=shape, training=training)
    return path


def write_database(path):
    """The two planted motifs and a decoy as a MEME file."""
    text = "MEME version 4\n\nALPHABET= ACGT\n"
    for name, word in {"DECOY": "AAAAAAAAAA", "ONE": FIRST, "TWO": SECOND}.items():
        matrix = frequencies(word)
        text += f"\nMOTIF M_{name} {name}\nletter-probability matrix: alength= 4 w= {matrix.shape[1]}\n"
        text += "".join(" ".join(f"{x:.6f}" for x in column) + "\n" for column in matrix.T)
    path.write_text(text)
    return path
