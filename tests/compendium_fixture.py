"""Folders of motifs and hits whose content is known, without running TF-MoDISco and Fi-NeMo."""

import gzip
import json

import h5py
import numpy as np
import pandas as pd

from seqlift.motifs.database import Database
from seqlift.motifs.folder import FORMAT
from seqlift.motifs.output import PATTERN_COLUMNS

FLAT = np.full((4, 1), 0.25)


def word(consensus: str, share: float = 0.91) -> np.ndarray:
    """A PFM (4, w) that holds `share` of each letter; N is flat."""
    matrix = np.full((4, len(consensus)), (1 - share) / 3)
    for i, base in enumerate(consensus):
        matrix[:, i] = 0.25
        if base != "N":
            matrix[:, i] = (1 - share) / 3
            matrix["ACGT".index(base), i] = share
    return matrix


def pattern(pfm, *, name="pos_0", seqlets=50, left=4, right=4, flipped=False, scale=1.0) -> dict:
    """A pattern that is shown as `pfm` (4, w): TF-MoDISco has it with flat flanks, and turned if it is flipped."""
    whole = np.concatenate([np.tile(FLAT, left), pfm, np.tile(FLAT, right)], axis=1)
    sign = -1 if name.startswith("neg") else 1
    start, end = left, left + pfm.shape[1]
    if flipped:
        whole, start, end = whole[::-1, ::-1], right, right + pfm.shape[1]
    return {"name": name, "pfm": whole, "cwm": sign * scale * (whole - 0.25), "hcwm": sign * scale * (whole - 0.25) * 2,
            "seqlets": seqlets, "start": start, "end": end, "flipped": flipped}  # fmt: skip


def write_folder(folder, patterns, *, output="factor", method="deeplift", fold=None, hits=(), regions=100):
    """A folder as `seqlift motifs` and `seqlift hits` leave it.

    Parameters
    ----------
    patterns : list of `pattern`
    hits : list of (pattern, region, start, end, strand, contribution, distance)
    regions : int
        That were searched.
    """
    folder.mkdir(parents=True)
    rows = []
    with h5py.File(folder / "modisco.h5", "w") as file:
        for one in patterns:
            sign, number = one["name"].split("_")
            group = file.create_group(f"{sign}_patterns/pattern_{number}")
            for key, kind in (("sequence", "pfm"), ("contrib_scores", "cwm"), ("hypothetical_contribs", "hcwm")):
                group[key] = one[kind].T
            n = one["seqlets"]
            group["seqlets/example_idx"], group["seqlets/start"] = np.arange(n) % regions, np.zeros(n, int)
            group["seqlets/is_revcomp"] = np.zeros(n, bool)
            rows.append({"pattern": one["name"], "seqlets": n, "strand": "-" if one["flipped"] else "+",
                         "trim_start": one["start"], "trim_end": one["end"]})  # fmt: skip
    pd.DataFrame(rows, columns=PATTERN_COLUMNS).to_csv(folder / "patterns.tsv", sep="\t", index=False)
    summary = {"format": FORMAT, "target": output, "method": method, "fold": fold, "regions": regions}
    summary |= {"background": {"A": 0.3, "C": 0.2, "G": 0.2, "T": 0.3}, "settings": {"offset": 0}}
    (folder / "motifs.json").write_text(json.dumps(summary))
    write_hits(folder, hits, regions)
    return folder


def write_hits(folder, hits, regions):
    """Only the columns that matter here have values that mean something."""
    header = (
        "#chrom start end pattern score strand name coefficient similarity contribution share coverage region distance"
    )
    lines = [
        f"chr1\t{start}\t{end}\t{name}\t0\t{strand}\t\t1\t1\t{contribution}\t0.1\t0.1\t{region}\t{distance}"
        for name, region, start, end, strand, contribution, distance in hits
    ]
    with gzip.open(folder / "hits.bed.gz", "wt") as file:
        file.write("\n".join(["\t".join(header.split()), *lines]) + "\n")
    (folder / "hits.json").write_text(json.dumps({"format": "seqlift hits 1", "regions": regions}))


def database(*known: tuple[str, str], others=60) -> Database:
    """Known motifs (name, consensus) among random ones."""
    rng = np.random.default_rng(5)
    random = tuple(rng.dirichlet([0.3] * 4, int(rng.integers(7, 15))).T for _ in range(others))
    names = tuple(name for name, _ in known) + tuple(f"other{i}" for i in range(others))
    return Database("test", "", tuple(f"id_{name}" for name in names), names,
                    tuple(word(text) for _, text in known) + random)  # fmt: skip
