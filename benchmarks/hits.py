"""Are the hits where the motifs were planted, and what do they cost beside finemo and plain scans? Prints Markdown.

    python benchmarks/hits.py --simulated results/demo/200bp data/demo \\
        --runs results/yeast/300bp results/yeast_atac/500bp > benchmarks/results/hits.md

Needs a finished run on simulated data, and may be given others. finemo takes minutes where patterns are alike.
`--regions` takes the first N regions of each score file for the comparison with planted sites, `--quick`
only shows that it runs: its numbers mean nothing.
"""

import argparse
import json
import os
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from printing import machine, table, versions

from seqlift.data.simulate import Simulation, read_simulation
from seqlift.motifs.folder import MotifFolder, StoredPattern, read_motifs
from seqlift.motifs.hits.fit import OVERLAP, fit_hits, not_overlapping
from seqlift.scores.file import open_scores
from seqlift.truth.hits import judge, meant_motifs, on_genome, scan, sites_within
from seqlift.truth.sites import motifs_of

SIMILARITY = 0.7  # the default of `seqlift hits`, and finemo's own λ
TRIM = 0.3  # finemo's own: share of the largest position at which a pattern begins and ends
SHUFFLES = 5
SCANS = {"best": "likelihood ratio", "jaspar": "FIMO, planted motif", "pfm": "FIMO, our PFMs"}
BATCH = 256  # finemo's 2,000 regions at once take longer on a processor


def by_finemo(motifs: MotifFolder, contributions: np.ndarray, sequences: np.ndarray) -> tuple[pd.DataFrame, int]:
    """Hits as `finemo call-hits` calls them, with its defaults: row, start, end, pattern, rank; regions not converged.

    Its own reader of modisco.h5 gives the patterns and what it cuts off them.
    """
    from finemo.data_io import load_modisco_motifs
    from finemo.hitcaller import fit_contribs

    about, cwms, masks, _ = load_modisco_motifs(
        str(motifs.folder / "modisco.h5"), None, None, TRIM, "cwm", None, None, None, SIMILARITY, True
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        hits, quality = fit_contribs(
            cwms,
            contributions.astype(np.float32),
            sequences,
            masks,
            False,
            about.get_column("lambda").to_numpy(),
            batch_size=BATCH,
            device=torch.device("cpu"),
        )
    late = sum("has not converged" in str(one.message) or "failed" in str(one.message) for one in said)
    motif = hits["motif_id"].to_numpy().astype(int)
    first, last = (about[column].to_numpy()[motif] for column in ("motif_start", "motif_end"))
    scale = dict(zip(quality["peak_id"].to_list(), quality["global_scale"].to_list(), strict=True))
    rows, start = hits["peak_id"].to_numpy().astype(int), hits["hit_start"].to_numpy()
    names = [{"pos_patterns": "pos", "neg_patterns": "neg"}[name.split(".")[0]] for name in about["motif_name"]]
    numbers = [name.rsplit("_", 1)[1] for name in about["motif_name"]]
    patterns = np.array([f"{sign}_{number}" for sign, number in zip(names, numbers, strict=True)], object)
    found = pd.DataFrame(
        {
            "row": rows,
            "start": start + first,
            "end": start + last,
            "pattern": patterns[motif],
            "rank": -hits["hit_coefficient"].to_numpy() * [scale[row] for row in rows],
        }
    )
    return found, late


def by_seqlift(motifs: MotifFolder, contributions: np.ndarray, sequences: np.ndarray) -> tuple[pd.DataFrame, int]:
    """The same by this package."""
    patterns = [one.contributions[:, one.start : one.end] for one in motifs.patterns]
    codes = np.where(sequences.any(axis=1), sequences.argmax(axis=1), 4).astype(np.uint8)
    found = fit_hits(contributions, codes, patterns, SIMILARITY)
    widths = np.array([pattern.shape[1] for pattern in patterns])
    return pd.DataFrame(
        {
            "row": found.rows,
            "start": found.starts,
            "end": found.starts + widths[found.patterns],
            "pattern": np.array([one.name for one in motifs.patterns], object)[found.patterns],
            "rank": -found.strengths,
        }
    ), 0


def without_overlaps(calls: pd.DataFrame) -> pd.DataFrame:
    """Of calls that overlap by more than half the better one."""
    calls = calls.sort_values(["row", "rank"], kind="stable", ignore_index=True)
    start, end = calls["start"].to_numpy(int), calls["end"].to_numpy(int)
    return calls[not_overlapping(calls["row"].to_numpy(int), start, end - start, OVERLAP)]


def compare(simulation: Simulation, motifs: MotifFolder, path: Path, regions: int | None) -> tuple[list, list]:
    """Rows of both tables for one output and method."""
    with open_scores(path) as scores:
        coords = scores.coords.iloc[:regions]
        sequences = scores.sequences[: len(coords)]
        contributions = scores.contributions[: len(coords)].sum(axis=1).astype(float)
        key = f"{scores.attributes['target']}, {scores.attributes['method'].replace('_', ' ')}"
        wanted = motifs_of(simulation, str(scores.attributes["target"]), path)
    meant = meant_motifs(simulation, motifs)
    sites = sites_within(simulation, wanted, coords)
    found, seconds, late = {}, {}, 0
    by_seqlift(motifs, contributions[:2], sequences[:2])  # compiled before the clock starts
    for name, function in (("finemo", by_finemo), ("seqlift", by_seqlift)):
        started = time.perf_counter()
        found[name], missed = function(motifs, contributions, sequences)
        seconds[name] = time.perf_counter() - started
        late += missed
    found["finemo, overlaps dropped"] = without_overlaps(found["finemo"])
    calls = len(found["seqlift"])
    rows = []
    for name in ("seqlift", "finemo", "finemo, overlaps dropped"):
        ranked = found[name].sort_values("rank", kind="stable").assign(motif=found[name]["pattern"].map(meant))
        whole, equal = (judge(on_genome(some, coords), sites) for some in (ranked, ranked.head(calls)))
        rows.append([key, name, *numbers(whole), *numbers(equal)[1:]])
    for name, scanned in scan(simulation, motifs, wanted, sequences).items():
        rows.append([key, SCANS[name], "", "", "", *numbers(judge(on_genome(scanned, coords).head(calls), sites))[1:]])
    speed = [
        key,
        str(len(motifs.patterns)),
        f"{len(coords) / seconds['seqlift']:,.0f}",
        f"{len(coords) / seconds['finemo']:,.1f}",
        f"{seconds['finemo'] / seconds['seqlift']:,.0f}",
        str(late),
    ]
    return rows, speed


def numbers(found: dict) -> list[str]:
    """Calls, precision and recall as text."""
    shares = ("" if found[name] is None else f"{found[name]:.3f}" for name in ("precision", "recall"))
    return [f"{found['calls']:,}", *shares]


def on_all_runs(run: Path) -> list[list[str]]:
    """What the hits of a run explain, and how many its patterns have when their columns are shuffled."""
    rows = []
    for path in sorted(run.glob("motifs/*/*/hits.json")):
        about = json.loads(path.read_text())
        motifs = read_motifs(path.parent)
        if not motifs.patterns:
            continue
        name = f"{about['target']}.{about['method']}"
        with open_scores(run / "scores" / f"{name}.h5") as scores:
            contributions, sequences = scores.contributions[:].sum(axis=1).astype(float), scores.sequences[:]
        rng = np.random.default_rng(1)
        found = []
        for _ in range(1 + SHUFFLES):
            found.append(len(by_seqlift(motifs, contributions, sequences)[0]))
            motifs = replace(motifs, patterns=[shuffled(one, rng) for one in motifs.patterns])
        rows.append(
            [
                f"{run.parent.name}: {about['target']}, {about['method'].replace('_', ' ')}",
                f"{about['regions']:,}",
                str(len(motifs.patterns)),
                f"{about['hits']:,}",
                f"{about['regions_with_hits'] / about['regions']:.0%}",
                f"{about['explained']:.0%}",
                f"{about['seqlet_recall']:.0%}",
                f"{about['seqlet_recall_any']:.0%}",
                f"{np.mean(found[1:]) / found[0]:.1%}",
            ]
        )
    return rows


def shuffled(pattern: StoredPattern, rng: np.random.Generator) -> StoredPattern:
    """The same pattern, its columns in another order where it is shown."""
    contributions = pattern.contributions.copy()
    contributions[:, pattern.start : pattern.end] = rng.permutation(
        contributions[:, pattern.start : pattern.end], axis=1
    )
    return replace(pattern, contributions=contributions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--simulated",
        type=Path,
        required=True,
        nargs=2,
        metavar=("RUN", "SIMULATION"),
        help="results/<name>/<length>bp",
    )
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="other runs, on real data")
    parser.add_argument("--regions", type=int, help="the first N of each score file (default: all)")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run, simulation = arguments.simulated[0], read_simulation(arguments.simulated[1])
    regions = 20 if arguments.quick else arguments.regions
    rows, speeds = [], []
    for path in sorted(run.glob("motifs/*/*/motifs.json")):
        motifs = read_motifs(path.parent)
        if motifs.patterns:
            scores = run / "scores" / f"{motifs.summary['target']}.{motifs.summary['method']}.h5"
            found, speed = compare(simulation, motifs, scores, regions)
            rows += found
            speeds.append(speed)
    print("# Hits\n")
    print(f"{machine(torch.device('cpu'))}. {versions('finemo', 'memelite', 'numpy', 'numba', 'seqlift')}.")
    print(f"Load average of the machine: {os.getloadavg()[0]:.1f}.\n")
    print("## Against the planted sites\n")
    print(
        "Hits of each run's patterns in its regions (all are peaks of the output), compared with the planted sites of "
        "its motifs (`src/seqlift/truth/hits.py` says when a hit is right)"
        f"{f', in the first {regions} regions of each' if regions else ''}. First all that each calls, then its best "
        "ones, the same number as seqlift calls. seqlift: `seqlift hits`. finemo: with its own defaults and reader of "
        "modisco.h5; overlaps dropped: of its hits that overlap by more than half only the one of the largest "
        "coefficient. Likelihood ratio: of each window, from the true matrix and background, the best that a scan of "
        "single windows can do. FIMO (memelite): by its p-values.\n"
    )
    header = ["output, method", "caller", "calls", "precision", "recall", "precision at equal calls", "recall"]
    print(table(header, rows))
    print("\n## Speed\n")
    print("Regions a second on one thread, without reading the files; regions at which finemo gave up.\n")
    print(table(["output, method", "patterns", "seqlift", "finemo", "ratio", "not converged"], speeds))
    print("\n## On all runs\n")
    print(
        "What `seqlift hits` called: share of the regions with a hit, of the total contribution (without sign) under "
        "hits, and of the seqlets that are found again as hits of their own pattern, or of any. Shuffled: hits of the "
        f"same patterns with their columns shuffled, mean of {SHUFFLES}, over the hits of the patterns: what patterns "
        "of the same bases find by chance.\n"
    )
    header = ["output, method", "regions", "patterns", "hits", "with a hit", "explained", "own", "any", "shuffled"]
    print(table(header, [row for each in [run, *arguments.runs] for row in on_all_runs(each)]))


if __name__ == "__main__":
    main()
