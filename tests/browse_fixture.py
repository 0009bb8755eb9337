"""A small finished run to be looked at in a genome browser, with names that would break out if they could."""

import gzip
import json

import numpy as np
import pandas as pd

from motif_fixture import one_hot, write_scores
from seqlift.regions.table import COLUMNS
from seqlift.tracks import write_track

LENGTH = 60
EVIL = "<img src=x onerror=\"document.title='hacked'\">"


def build_run(folder, *, packed=True):
    """results/x/60bp under `folder`, and its genome and peaks in `folder`/data; returns the results."""
    rng = np.random.default_rng(4)
    genome = {"chr1": rng.integers(0, 4, 40_000), "chr2": rng.integers(0, 4, 900)}
    data, results = folder / "data", folder / "results" / "x" / f"{LENGTH}bp"
    data.mkdir(parents=True)
    results.mkdir(parents=True)
    text = "".join(f">{name} described\n{''.join('ACGT'[c] for c in codes)}\n" for name, codes in genome.items())
    fasta = data / ("genome.fa.gz" if packed else "genome.fa")
    fasta.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    starts = np.arange(100, 6100, 200)
    table = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + LENGTH})
    table = table.assign(
        name=[f"chr1_{start}" for start in starts], strand=".", summit=starts + 30, kind="peak", split="train", set=0
    ).assign(score=1.0, gc=0.5, source="x:1", **{"target:T": 1})
    table = table[[*COLUMNS, "target:T"]]
    table.to_csv(results / "regions.tsv.gz", sep="\t", index=False)
    sizes = {name: len(codes) for name, codes in genome.items()}
    peaks = data / f"{EVIL.replace('/', '')}.bed.gz"
    lines = [f"chr1\t{start}\t{start + LENGTH}\tPeak_{i}" for i, start in enumerate(starts)]
    lines[2] = f"chr1\t{starts[2]}\t{starts[2] + LENGTH}\t{EVIL}"
    peaks.write_bytes(gzip.compress("\n".join(["track name=x", *lines, ""]).encode()))
    summary = {
        "length": LENGTH,
        "genome": {"path": f"data/{fasta.name}", "sha256": None, "chromosomes": sizes},
        "peaks": {"T": {"path": f"data/{peaks.name}"}},
    }
    (results / "regions.json").write_text(json.dumps(summary))
    codes = np.stack([genome["chr1"][start : start + LENGTH] for start in starts])
    hypothetical = rng.normal(0, 0.01, (len(starts), 4, LENGTH))
    hypothetical[:, :, 25:35] += 1
    hypothetical[2, :, 30] = 3  # here the browser opens
    for method in ("deeplift", "interior_gradients"):
        scores = folder / f"{method}.h5"
        write_scores(scores, table, one_hot(codes), hypothetical, target="T", method=method)
        write_track(scores, results / "tracks" / f"T.{method}.bw", chromosome_sizes=sizes)
    hits = results / "motifs" / "deeplift" / "T"
    hits.mkdir(parents=True)
    columns = (
        "chrom start end pattern score strand name coefficient similarity contribution share coverage region distance"
    )
    rows = ["#" + columns.replace(" ", "\t")]
    rows += [f"chr1\t{start + 25}\t{start + 35}\tpos_0\t900\t+\tGATA1\t1\t1\t1\t1\t1\tr\t0" for start in starts]
    rows += [f"chr1\t{starts[0] + 5}\t{starts[0] + 9}\tneg_0\t300\t-\t\t1\t1\t1\t1\t1\tr\t0"]
    (hits / "hits.bed.gz").write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))
    return results
