"""A small run folder as the stages would leave it, made from formulas instead of training: the report's test input.

The "model" is a matched filter with a saturating output, so that a curve along the path rises and flattens and the two
methods nearly agree, as they do for a real network.
"""

import itertools
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import yaml

from seqlift.core.metrics import jensen_shannon
from seqlift.evaluation.numbers import target_numbers
from seqlift.models.outputs import outputs_of
from seqlift.motifs.folder import FORMAT as MOTIFS_FORMAT
from seqlift.motifs.information import informative_range
from seqlift.scores.file import create_scores, open_scores

MOTIFS = {"GATA1": ("AGATAA", "MA0035.3"), "TAL1": ("ACCATCTG", "MA0091.1"), "": ("TGACTCA", "MA0099.3")}
METHODS = ("deeplift", "interior_gradients")
WINDOW = 120  # bp of the signal
BASELINES = {
    "motif": {"id": "MA0035.3", "name": "GATA1", "training": 0.9},
    "kmers": {"k": 6, "penalty": 100.0, "regions": 180},
}
PATTERN_COLUMNS = [
    *("pattern", "seqlets", "name", "match_id", "p", "q", "p_tomtom", "strand", "consensus", "width"),
    *("trim_start", "trim_end", "mean_contribution", "information", "closest"),
]


def build_run(
    root: Path,
    *,
    name: str = "demo",
    targets: tuple[str, ...] = ("GATA1", "TAL1"),
    methods: tuple[str, ...] = METHODS,
    length: int = 200,
    regions: int = 360,
    patterns: bool = True,
    truth: dict | None = None,
    learned: bool = True,
    unlearned: tuple[str, ...] = (),
    restarts: int = 0,
    head: str = "classes",
    strands: int = 1,
    folds: int = 0,
    seeds: tuple[int, ...] = (),
    background: int = 0,
    masked: bool = False,
    gc_warning: str = "",
    region_name: str = "peak",
    n_references: int = 4,
    mutagenesis: int = 20,
    examples: int = 1,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Write `root`/results/<name>/<length>bp and a resolved config; returns the two paths."""
    rng = np.random.default_rng(seed)
    run = root / "results" / name / f"{length}bp"
    run.mkdir(parents=True)
    table, codes = _regions(rng, targets, length, regions, region_name, folds, background, masked)
    strengths = _plant(rng, codes, table, targets)
    table["gc"] = ((codes == 1) | (codes == 2)).mean(axis=1).round(4)
    if head != "classes":
        for target in targets:
            expected = np.where(table[f"target:{target}"] == 1, 30, 3) + 40 * strengths[target].sum(axis=1)
            table[f"signal:{target}"] = rng.poisson(expected).astype(float)
            table.loc[table.index % 40 == 7, f"signal:{target}"] = np.nan
    labels = {f"target:{t}": table[f"target:{t}"].map("{:.0f}".format, na_action="ignore") for t in targets}
    table.assign(**labels).to_csv(run / "regions.tsv.gz", sep="\t", index=False)
    summary = _write_region_summary(run, root, table, targets, length, head, strands, gc_warning)
    trained = list(itertools.product(range(folds) if folds else [None], seeds or [None]))  # folds and seeds
    _write_model(run, rng, table, summary, targets, strengths, learned, unlearned, restarts, head, strands, trained)
    for output in outputs_of(head, list(targets)):
        for method in methods:
            _write_scores(run, rng, table, codes, output, method, n_references, strengths[output.target], folds)
            (run / "tracks").mkdir(exist_ok=True)
            (run / "tracks" / f"{output.name}.{method}.bw").write_bytes(b"bigWig")
            _write_motifs(run, rng, output, method, patterns)
        if mutagenesis:
            _write_mutagenesis(run, table, codes, output, strengths[output.target], mutagenesis)
    if head == "profile":
        _write_predicted(run, table, summary, targets, strands)
    if truth is not None:
        (run / "truth.json").write_text(json.dumps(truth))
    config = {
        "name": name,
        "genome": {"fasta": "genome.fa"},
        "targets": [{"name": target, "peaks": f"{target}.bed"} for target in targets],
        "lengths": [length],
        "regions": {"negatives": "genome", "ratio": 1.0, "valid": ["chr2"], "test": ["chr3"], "seed": 1},
        "model": {"type": "basset", "head": head, "filters": [32, 32]},
        "training": {"epochs": 20, "batch_size": 64, "learning_rate": 0.001, "seed": 2},
        "attribution": {"methods": list(methods), "max_regions": 1000, "seed": 3}
        | {"mutagenesis": {"max_regions": mutagenesis}},
        "motifs": {"database": "jaspar:vertebrates", "max_seqlets": 2000, "seed": 4},
        "report": {"examples": examples},
    }
    config_path = root / "config.resolved.yaml"
    config_path.write_text(yaml.safe_dump(config))
    return run, config_path


def _regions(rng, targets, length, regions, region_name, folds, background, masked):
    rows = []
    for i in range(regions):
        chrom = ["chr1", "chr1", "chr2", "chr3"][i * 4 // regions]
        start = 1000 + i * (length + 50)
        rows.append((chrom, start, start + length, f"{region_name}{i}", ".", start + length // 2))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name", "strand", "summit"])
    table["kind"] = np.where(rng.random(regions) < 0.6, "peak", "genome")
    table["split"] = table["chrom"].map({"chr1": "train", "chr2": "valid", "chr3": "test"})
    if folds:
        table["split"] = [f"fold{i * folds // regions}" for i in range(regions)]
    table["set"] = 0
    table["score"] = rng.uniform(1, 1000, regions).round(1)
    table["gc"] = 0.0
    table["source"] = [f"peaks.bed:{i + 1}" if kind == "peak" else "" for i, kind in enumerate(table["kind"])]
    for target in targets:
        label = (table["kind"] == "peak") & (rng.random(regions) < (0.7 if len(targets) > 1 else 1))
        table[f"target:{target}"] = label.astype(float)
    table.loc[table.index[-background:] if background else [], "kind"] = "background"
    for target in targets:
        table.loc[table["kind"] == "background", f"target:{target}"] = 0.0
        if masked:
            table.loc[(table["kind"] == "genome") & (table.index % 9 == 0), f"target:{target}"] = np.nan
    return table, rng.choice(4, size=(regions, length), p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8)


def _motif(target: str) -> str:
    return MOTIFS.get(target, MOTIFS[""])[0]


def _plant(rng, codes, table, targets):
    """Plant motifs in the positives; returns per target the share of the signal at each base, shape (N, L)."""
    strengths = {}
    for target in targets:
        word = np.array(["ACGT".index(base) for base in _motif(target)])
        strength = np.zeros(codes.shape, np.float32)
        for row in np.flatnonzero(table[f"target:{target}"] == 1):
            for _ in range(rng.integers(1, 4)):
                at = rng.integers(0, codes.shape[1] - len(word))
                codes[row, at : at + len(word)] = word
                strength[row, at : at + len(word)] = rng.uniform(0.3, 0.7, len(word))
        strengths[target] = strength
    return strengths


def _write_region_summary(run, root, table, targets, length, head, strands, gc_warning):
    for target in targets:
        (root / f"{target}.bed").write_text("chr1\t1\t2\n")
        (root / f"{target}.bw").write_bytes(f"signal of {target}".encode())
    (root / "genome.fa").write_text(">chr1\nACGT\n")
    splits = list(dict.fromkeys(table["split"]))
    background = table["kind"] == "background"
    negative = ~table["kind"].isin(["peak", "background"])
    kept = {
        split: {t: int((table.loc[table["split"] == split, f"target:{t}"] == 1).sum()) for t in targets}
        | {"negative": int(((table["split"] == split) & negative).sum())}
        for split in splits
    }
    files = {t: {"signal": [str(root / f"{t}.bw")], "signal_minus": [], "control": []} for t in targets}
    signal = {"window": WINDOW, "strands": strands, "control_strands": 0, "missing": "zero", "negative": "refuse"}
    summary = {
        "format": "seqlift regions 2",
        "length": length,
        "targets": list(targets),
        "genome": {
            "path": str(root / "genome.fa"),
            "sha256": "ab" * 32,
            "chromosomes": {"chr1": 230218, "chr2": 813184, "chr3": 316620},
        },
        "folds": sum(split.startswith("fold") for split in splits),
        "settings": {"exclude_regions": [], "include_regions": []},
        "negatives": {
            "kind": "genome",
            "file": None,
            "ratio": 1.0,
            "sets": 1,
            "min_distance": 500,
            "warning": gc_warning,
        },
        "seed": 1,
        "kept": kept,
        "regions": {split: int((table["split"] == split).sum()) for split in splits},
        "masked": {t: int(table[f"target:{t}"].isna().sum()) for t in targets},
        "windows": dict.fromkeys(splits, 5000),
        "background": {split: int((background & (table["split"] == split)).sum()) for split in splits},
        "duplicates": {"identical": 4, "across_splits_dropped": 2},
        "signal": None if head == "classes" else signal | {"files": files, "unknown": dict.fromkeys(targets, 9)},
        "dropped": {"off_chromosome": 3, "too_many_n": 11, "merged": 0},
        "peaks": {t: {"path": str(root / f"{t}.bed"), "read": 300, "used": 280} for t in targets},
    }
    (run / "regions.json").write_text(json.dumps(summary))
    return summary


def _write_model(run, rng, table, summary, targets, strengths, learned, unlearned, restarts, head, strands, trained):
    folds = sum(seed == trained[0][1] for fold, seed in trained if fold is not None)
    for i, (fold, seed) in enumerate(trained):
        folder = run / "model" / ("" if fold is None else f"fold{fold}") / ("" if seed is None else f"seed{seed}")
        folder.mkdir(parents=True)
        (folder / "model.ckpt").write_bytes(b"weights")
        epochs = np.arange(1, 16)
        kept = pd.DataFrame({"epoch": epochs, "train_loss": 0.2 + (0.5 + 0.04 * i) * np.exp(-epochs / 3)})
        kept["valid_loss"] = 0.25 + (0.45 + 0.05 * i) * np.exp(-epochs / 3) + 0.004 * np.maximum(0, epochs - 9)
        for target in targets:
            kept[f"valid_{'auroc' if head == 'classes' else 'pearson'}_{target}"] = 0.96 - 0.4 * np.exp(-epochs / 2.5)
        kept["learning_rate"], kept["seconds"] = 0.001, 3.1
        history = pd.concat([kept.assign(attempt=1, train_loss=9.0)] * restarts + [kept.assign(attempt=restarts + 1)])
        history.to_csv(folder / "history.tsv", sep="\t", index=False)
    held_out = table if folds else table[table["split"] != "train"]
    predictions = held_out[["chrom", "start", "end", "name", "split", "kind"]].copy()
    predictions["model"] = held_out["split"] if folds else ""
    predictions["split"] = "test" if folds else held_out["split"]
    for target in targets:
        predictions[f"target:{target}"] = held_out[f"target:{target}"]
        signal = strengths[target].sum(axis=1)[held_out.index] if learned else 0
        noise = rng.normal(0, 1.0, (3, len(held_out)))
        if head == "classes":
            predictions[f"logit:{target}"] = -1.5 + signal * 0.9 + noise[0]
        else:
            predictions[f"signal:{target}"] = held_out[f"signal:{target}"]
            predictions[f"log_count:{target}"] = 2.2 + signal * 0.35 + 0.3 * noise[0]
        predictions[f"motif:{target}"] = signal * 0.6 + 1.3 * noise[1]
        predictions[f"kmers:{target}"] = signal * 0.4 + 1.4 * noise[2]
    predictions = predictions.reset_index(drop=True)
    if head == "profile":
        _write_profiles(run, rng, predictions, targets, strands)
    predictions.to_csv(run / "model" / "predictions.tsv.gz", sep="\t", index=False)
    models = [
        {"fold": fold, "seed": 1 if seed is None else seed, "best_epoch": 9, "epochs_run": 15}
        | {"restarts": restarts, "attempt": restarts + 1, "learned": learned, "valid_loss": 0.3 + 0.01 * i}
        for i, (fold, seed) in enumerate(trained)
    ]
    metrics = {
        "format": "seqlift metrics 2",
        "head": head,
        "split": "test",
        "outputs": [
            {"name": o.name, "target": o.target, "quantity": o.quantity} for o in outputs_of(head, list(targets))
        ],
        "targets": {
            t: target_numbers(predictions, t, head, summary, [BASELINES] * max(1, folds), seed=1) for t in targets
        },
        "bootstrap": {"resamples": 1000, "seed": 1, "level": 0.95},
        "models": models,
        "parameters": 123456,
        "device": "cpu",
        "restarts": restarts,
        "learned": learned,
        "learned_targets": dict.fromkeys(targets, learned),
        "learned_outputs": {o.name: learned and o.name not in unlearned for o in outputs_of(head, list(targets))},
    }
    text = json.dumps(metrics, default=float).replace("NaN", "null")
    (run / "model" / "metrics.json").write_text(text)


def _write_profiles(run, rng, predictions, targets, strands):
    """Distances and example profiles: counts around two summits, and what a good model would expect of them."""
    place = np.arange(WINDOW)
    shape = 0.1 + np.exp(-((place - 45) ** 2) / 60) + 0.7 * np.exp(-((place - 72) ** 2) / 40)
    shape = np.stack([shape, shape[::-1]][:strands]) / (shape.sum() * strands)
    examples = []
    for target in targets:
        total = predictions[f"signal:{target}"].fillna(0).to_numpy()
        values = rng.poisson(np.clip(total, 0, None)[:, None, None] * shape)
        half = rng.binomial(values, 0.5)
        shuffled = rng.permuted(values.reshape(len(values), -1), axis=1)
        flat = np.ones_like(shape) + shape * 20
        noisy = shape * rng.gamma(9, 1 / 9, (len(values), *shape.shape))
        known = predictions[f"signal:{target}"].notna() & (values.sum(axis=(1, 2)) > 0)
        others = {"jsd": noisy, "jsd_shuffled": shuffled, "jsd_mean": np.broadcast_to(flat, values.shape)}
        for kind, other in others.items():
            predictions[f"{kind}:{target}"] = np.where(known, jensen_shannon(values, other), np.nan)
        predictions[f"jsd_replicates:{target}"] = np.where(known, jensen_shannon(half, values - half), np.nan)
        peaks = predictions[(predictions["split"] == "test") & (predictions[f"target:{target}"] == 1) & known]
        for row in peaks.index[:3]:
            for s in range(strands):
                bases = pd.DataFrame({"position": predictions["start"][row] + 40 + place, "observed": values[row, s]})
                bases = bases.assign(target=target, name=predictions["name"][row], chrom=predictions["chrom"][row])
                expected = noisy[row, s] / noisy[row].sum() * values[row].sum()
                examples.append(bases.assign(strand="+-"[s] if strands == 2 else ".", predicted=expected))
    pd.concat(examples).to_csv(run / "model" / "profiles.tsv.gz", sep="\t", index=False)


def _write_predicted(run, table, summary, targets, strands):
    """Tracks of the predicted signal in the window of each peak, which is not the whole region."""
    place = np.arange(WINDOW)
    peaks = table[table["kind"] == "peak"]
    for target in targets:
        for s in range(strands):
            with pyBigWig.open(str(run / "tracks" / f"{target}.predicted{['', '.minus'][s]}.bw"), "w") as track:
                track.addHeader(list(summary["genome"]["chromosomes"].items()))
                for row in peaks.index:
                    values = (1 + row % 5) * np.exp(-((place - [45, 72][s]) ** 2) / 60)
                    start = int(peaks["start"][row]) + 40
                    track.addEntries(peaks["chrom"][row], start, values=values.tolist(), span=1, step=1)


def _write_scores(run, rng, table, codes, output, method, n_references, strength, folds):
    target = output.target
    rows = np.flatnonzero(table[f"target:{target}"] == 1)
    codes, strength = codes[rows], strength[rows]
    n, length = codes.shape
    sequences = (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.float32)
    total = strength + np.random.default_rng(len(target)).normal(0, 0.02, strength.shape)  # the same for both methods
    total = total + rng.normal(0, 0.015, strength.shape)
    hypothetical = sequences * total[:, None, :] - (1 - sequences) * total[:, None, :] / 3
    contributions = sequences * total[:, None, :]
    prediction = contributions.sum(axis=(1, 2)) - 1.5
    references = np.full((n, n_references), -1.5)
    delta = rng.normal(0, 1e-5 if method == "deeplift" else 2e-3, (n, n_references))
    path = None
    if method == "interior_gradients":
        nodes, weights = np.polynomial.legendre.leggauss(20)
        alphas = (nodes + 1) / 2
        rise = (prediction + 1.5)[:, None]
        curve = (1 - np.exp(-4 * alphas)) / (1 - np.exp(-4))
        slope = rise * 4 * np.exp(-4 * alphas) / (1 - np.exp(-4))
        path = {"alphas": alphas, "weights": weights / 2, "prediction": rise * curve - 1.5, "slope": slope}
        path["gradient_size"] = np.abs(slope) * 1.2 + 0.3
        for name, share in (("alpha_half", 0.5), ("alpha_90", 0.9)):
            path[name] = np.full(n, -np.log(1 - share * (1 - np.exp(-4))) / 4)
        path["steps"] = np.full((n, n_references), 20)
    attributes = {
        "method": method,
        "target": output.name,
        "rule": "rescale" if method == "deeplift" else "",
        "references": "dinucleotide",
        "seed": 3,
        "tolerance": 0.001 if method == "deeplift" else 0.02,
        "model_fingerprint": "cd" * 32,
        "package_version": "0.1.0",
    }
    with create_scores(
        run / "scores" / f"{output.name}.{method}.h5", table.iloc[rows], length=length, attributes=attributes
    ) as writer:
        writer.append(
            sequences=sequences,
            hypothetical=hypothetical,
            contributions=contributions,
            prediction=prediction,
            n_references=np.full(n, n_references),
            delta=delta,
            reference_prediction=references,
            standard_error=np.full((n, length), np.nan) if n_references == 1 else np.abs(total) * 0.2 + 0.01,
            model_spread=np.abs(total) * 0.31 if folds else None,
            path=path,
        )


def _write_mutagenesis(run, table, codes, output, strength, regions):
    """Of the best held-out region and some others: the contributions of the methods, squashed as by redundant sites."""
    rows = np.flatnonzero(table[f"target:{output.target}"] == 1)
    held_out = rows[(table["split"].iloc[rows] == "test").to_numpy()]
    best = held_out[np.argsort(-strength[held_out].sum(axis=1), kind="stable")[:10]]
    rows = np.union1d(best, rows[: regions - len(best)])
    sequences = (codes[rows][:, None, :] == np.arange(4)[None, :, None]).astype(np.float32)
    noise = np.random.default_rng(7).normal(0, 0.02, strength[rows].shape)
    contributions = sequences * (np.tanh(2 * strength[rows]) / 3 + noise)[:, None]
    attributes = {"method": "mutagenesis", "target": output.name, "model_fingerprint": "cd" * 32, "seed": 3}
    path = run / "scores" / f"{output.name}.mutagenesis.h5"
    with create_scores(path, table.iloc[rows], length=codes.shape[1], attributes=attributes) as writer:
        writer.append(
            sequences=sequences,
            hypothetical=contributions,
            contributions=contributions,
            prediction=contributions.sum(axis=(1, 2)) - 1.5,
        )


def _write_motifs(run, rng, output, method, patterns):
    target = output.target
    folder = run / "motifs" / method / output.name
    (folder / "logos").mkdir(parents=True)
    (folder / "logos" / "logos.json").write_text("{}")
    word, match = MOTIFS.get(target, MOTIFS[""])
    sites = _sites(run / "scores" / f"{output.name}.{method}.h5", word)
    rows, seqlets = [], []
    with h5py.File(folder / "modisco.h5", "w") as file:
        for i, (pattern, n) in enumerate([("pos_0", 912), ("pos_1", 133), ("neg_0", 41)] if patterns else []):
            frequencies = rng.dirichlet(np.full(4, 5.0), 14).T
            for j, base in enumerate(word):
                frequencies[:, 3 + j] = 0.02
                frequencies["ACGT".index(base), 3 + j] = 0.94
            cwm = (frequencies - 0.25) * (0.6 if pattern.startswith("pos") else -0.3)
            first, last = informative_range(cwm)
            sign, _, number = pattern.partition("_")
            group = file.create_group(f"{sign}_patterns/pattern_{number}")
            for name, values in (("sequence", frequencies), ("contrib_scores", cwm), ("hypothetical_contribs", cwm)):
                group[name] = values.T
            own = sites[i::3]
            group["seqlets/example_idx"], group["seqlets/start"] = own[:, 0], own[:, 1] - 3
            group["seqlets/is_revcomp"] = np.zeros(len(own), bool)
            seqlets += [(pattern, *site, first - 3, last - 3) for site in own]
            rows.append(
                {
                    "pattern": pattern,
                    "seqlets": n,
                    "name": target if i == 0 else "",
                    "match_id": match if i == 0 else "",
                    "p": 10.0 ** -(9 - i * 4),
                    "q": 10.0 ** -(8 - i * 4),
                    "p_tomtom": 10.0 ** -(10 - i * 4),
                    "strand": "+-+"[i],
                    "consensus": word,
                    "width": last - first,
                    "trim_start": first,
                    "trim_end": last,
                    "mean_contribution": [2.31, 0.85, -0.41][i],
                    "information": 9.7,
                    "closest": f"{match} {target}",
                }
            )
    pd.DataFrame(rows, columns=PATTERN_COLUMNS).to_csv(folder / "patterns.tsv", sep="\t", index=False)
    (folder / "patterns.meme").write_text("MEME version 4\n")
    _write_seqlets(run / "scores" / f"{output.name}.{method}.h5", folder, seqlets)
    message = (
        "" if patterns else "TF-MoDISco found no pattern among 87 seqlets: try more regions (attribution.max_regions)"
    )
    (folder / "motifs.json").write_text(
        json.dumps(
            {
                "format": MOTIFS_FORMAT,
                "target": output.name,
                "method": method,
                "fold": None,
                "regions": 200,
                "seqlets": {"positive": 1045, "negative": 41} if patterns else {"positive": 87, "negative": 0},
                "patterns": len(rows),
                "message": message,
                "settings": {"max_seqlets": 2000, "window": 200, "seed": 4, "offset": 0},
                "database": {"name": "JASPAR CORE vertebrates", "version": "2026", "motifs": 879},
            }
        )
    )


def _sites(scores: Path, word: str) -> np.ndarray:
    """Where `word` stands in the sequences of a score file: (row, start) pairs, shape (S, 2)."""
    with open_scores(scores) as file:
        codes = file.sequences[:].argmax(axis=1)
    wanted = np.array(["ACGT".index(base) for base in word])
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(word), axis=1)
    return np.argwhere((windows == wanted).all(axis=2))


def _write_seqlets(scores: Path, folder: Path, seqlets: list[tuple]) -> None:
    with open_scores(scores) as file:
        coords = file.coords
        contributions = file.contributions[:].sum(axis=1)
    rows = []
    for pattern, row, start, low, high in seqlets:
        chrom, begin, name = coords.loc[row, ["chrom", "start", "name"]]
        low, high = start + low, start + high
        total = float(contributions[row, max(low, 0) : high].sum())
        rows.append((chrom, begin + low, begin + high, pattern, 500, "+", total, name))
    columns = ["#chrom", "start", "end", "pattern", "score", "strand", "contribution", "region"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["#chrom", "start", "end", "pattern"])
    table.to_csv(folder / "seqlets.bed.gz", sep="\t", index=False)


def write_scores(
    path: Path,
    names,
    contributions,
    *,
    delta=None,
    prediction=None,
    reference_prediction=None,
    n_references=None,
    model_spread=None,
    tolerance=0.01,
):
    """A score file of given contributions (N, L), which all stand at A; made for one question. Returns `path`."""
    n, length = contributions.shape
    coords = pd.DataFrame({"chrom": "chr1", "start": np.arange(n) * 1000, "name": names, "strand": "."})
    coords["end"] = coords["start"] + length
    projected = np.zeros((n, 4, length), np.float32)
    projected[:, 0] = contributions
    delta = np.zeros((n, 1)) if delta is None else delta
    attributes = {"method": "deeplift", "target": "t", "tolerance": tolerance}
    with create_scores(path, coords, length=length, attributes=attributes) as writer:
        writer.append(
            sequences=projected != 0,
            hypothetical=projected,
            contributions=projected,
            prediction=np.arange(n, dtype=float) if prediction is None else prediction,
            n_references=np.full(n, delta.shape[1]) if n_references is None else n_references,
            delta=delta,
            reference_prediction=np.full(delta.shape, -1.0) if reference_prediction is None else reference_prediction,
            standard_error=np.full((n, length), np.nan),
            model_spread=model_spread,
        )
    return path
