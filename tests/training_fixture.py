"""A small genome with planted motifs to train on, for the tests of training."""

import json

import numpy as np
import pandas as pd

from seqlift.region_table import COLUMNS

LENGTH = 40
MOTIFS = {"one": "GATAAG", "two": "CACGTG"}
SETTINGS = {
    "architecture": {"type": "basset", "filters": [16], "kernels": [9], "dense": [8], "dropout": 0.1},
    "epochs": 8,
    "batch_size": 16,
    "learning_rate": 0.02,
    "weight_decay": 0.01,
    "patience": 20,
    "jitter": 3,
    "reverse_complement": True,
    "seed": 4,
    "device": "cpu",
}


def make_data(folder, n=600, planted=True):
    """A genome of three chromosomes with regions that hold motif one, two, both or none, written to `folder`."""
    random = np.random.default_rng(1)
    rows, genome = [], {}
    for chrom, split, share in (("a", "train", 0.6), ("b", "valid", 0.2), ("c", "test", 0.2)):
        bases = random.choice(list("ACGT"), 60 * int(n * share) + 20)
        for i in range(int(n * share)):
            start = 10 + 60 * i
            has = [bool(i % 2), bool(i % 4 < 2)]
            for j, motif in enumerate(MOTIFS.values()):
                if has[j] and planted:
                    at = start + 4 + 18 * j + random.integers(8)
                    bases[at : at + len(motif)] = list(motif)
            kind = "peak" if any(has) else "genome"
            rows.append(
                (chrom, start, start + LENGTH, f"{chrom}:{start}", ".", start + 20, kind, split, 0, 1.0, 0.5, "x:1")
            )
            rows[-1] += tuple(map(int, has))
        genome[chrom] = "".join(bases)
    table = pd.DataFrame(rows, columns=COLUMNS + [f"target:{name}" for name in MOTIFS])
    (folder / "genome.fa").write_text("".join(f">{chrom}\n{bases}\n" for chrom, bases in genome.items()))
    table.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    return table


def flags(folder, output, **changes):
    settings = SETTINGS | changes
    arguments = ["train", "--regions", str(folder / "regions.tsv.gz"), "--genome", str(folder / "genome.fa")]
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            arguments += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    return [*arguments, "--output-dir", str(output)]
