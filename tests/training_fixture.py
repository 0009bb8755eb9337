"""A small genome with planted motifs to train on, for the tests of training."""

import json

import numpy as np
import pandas as pd
import pyBigWig

from seqlift.regions.table import COLUMNS

LENGTH = 40
WINDOW = 20
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


def make_signal_data(folder, strands=1, control=False):
    """The same with a bigWig for each target and strand: reads pile up near the motif.

    Returns
    -------
    tuple
        Table with `signal:` columns, and the content of regions.json that training reads.
    """
    table = make_data(folder)
    genome = dict(record.split("\n", 1) for record in (folder / "genome.fa").read_text()[1:].split(">"))
    random = np.random.default_rng(2)
    sizes = {str(chrom): int(part["end"].max()) + 30 for chrom, part in table.groupby("chrom")}
    files, ends = {}, ["", "_minus"][:strands]
    for j, name in enumerate(MOTIFS):
        files[name] = {role + end: [] for role in ("signal", "control") for end in ("", "_minus")}
        table[f"signal:{name}"] = 0.0
        for end in ends:
            reads = {chrom: random.poisson(0.3, size).astype(np.float32) for chrom, size in sizes.items()}
            for row in table[table[f"target:{name}"] == 1].itertuples():
                at = row.start + read_start(genome[row.chrom][row.start : row.end], j)
                reads[row.chrom][at : at + 6] += random.poisson(6, 6)
            first = table["start"] + (LENGTH - WINDOW) // 2
            table[f"signal:{name}"] += [
                float(reads[chrom][start : start + WINDOW].sum())
                for chrom, start in zip(table["chrom"], first, strict=True)
            ]
            files[name]["signal" + end] = [_write_bigwig(folder / f"{name}{end}.bw", reads)]
        if control:
            even = {chrom: np.ones(size, np.float32) for chrom, size in sizes.items()}
            files[name]["control"] = [_write_bigwig(folder / f"{name}.control.bw", even)]
    table.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    signal = {"window": WINDOW, "strands": strands, "control_strands": int(control), "missing": "zero",
              "negative": "refuse", "files": files, "unknown": dict.fromkeys(MOTIFS, 0)}  # fmt: skip
    (folder / "regions.json").write_text(json.dumps({"signal": signal}))
    return table, {"signal": signal}


def read_start(sequence, j):
    """Where in a region the reads of target j begin: at a fixed distance of its motif, inside the signal window."""
    place = 4 + 18 * j
    return place + sequence[place : place + 13].find(list(MOTIFS.values())[j]) + (10, -8)[j]


def _write_bigwig(path, values):
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(chrom, len(track)) for chrom, track in values.items()])
        for chrom, track in values.items():
            file.addEntries(chrom, 0, values=track, span=1, step=1)
    return str(path)
