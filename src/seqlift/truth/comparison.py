"""Comparison of a run on simulated data with the planted sites: how good the model is, and whether scores lie in sites.

Four comparisons. First, the AUROC of the model on held-out regions beside the best that is possible: by the lemma of
Neyman and Pearson nothing separates two classes better than the ratio of their likelihoods, and for the simulation that
ratio can be computed exactly from the true motifs. Second, how well the size of a base's contribution tells the bases
inside planted sites of the target's motifs from all others. Third, the names of the leading patterns. Fourth, the hits
of the patterns against the planted sites (`hits`).
"""

import json
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from seqlift.core.files import replacing
from seqlift.core.metrics import auroc_auprc
from seqlift.data.genome import Genome
from seqlift.data.simulate import Simulation, read_simulation
from seqlift.errors import SeqliftError
from seqlift.motifs.folder import MotifFolder, read_motifs
from seqlift.regions.table import fold_names, read_regions, target_names
from seqlift.scores.file import open_scores
from seqlift.truth.hits import compare_hits
from seqlift.truth.likelihood import likelihood_ratios
from seqlift.truth.sites import motifs_of, planted_sites

FORMAT = "seqlift truth 1"
LEADING_PATTERNS = 3


def compare_with_truth(
    simulation_dir: str | os.PathLike,
    regions_path: str | os.PathLike,
    predictions_path: str | os.PathLike,
    *,
    scores: Sequence[str | os.PathLike] = (),
    motifs: Sequence[str | os.PathLike] = (),
    output: str | os.PathLike | None = None,
) -> dict:
    """Compare a run with the simulation of its data.

    Parameters
    ----------
    simulation_dir : path-like
        What `seqlift simulate` wrote.
    regions_path : path-like
        The run's regions.tsv.gz.
    predictions_path : path-like
        The run's predictions.tsv.gz.
    scores : sequence of path-like
        Score files of the run.
    motifs : sequence of path-like
        Motif folders of the run with their hits; of scores that are among `scores`.
    output : path-like, optional
        Where to write the result as JSON.

    Returns
    -------
    dict
        `targets`: for each target `auroc_best`, `auroc_model`, `difference` (best - model), `positives`, `negatives`;
        `contributions`: for each <target>.<method> `auroc`, `auprc`, `regions`, `bases`, `inside`;
        `patterns`: for each <target>.<method> the leading positive patterns with name, match_id and p, and `message`;
        `hits`: for each <target>.<method> `sites`, `calls`, `precision`, `recall`, and under `scans` the same of scans
        with the same number of calls.

    Raises
    ------
    SeqliftError
        If a file is missing or is not of the run or the simulation, or two are of one target and method.
    """
    simulation = read_simulation(simulation_dir)
    result: dict[str, Any] = {
        "format": FORMAT,
        "targets": compare_models(simulation, regions_path, predictions_path),
        "contributions": {},
        "patterns": {},
        "hits": {},
    }
    of_key: dict[str, str | os.PathLike] = {}
    for path in scores:
        key, found = compare_contributions(simulation, path)
        if key in of_key:
            raise SeqliftError(f"{of_key[key]} and {path} both hold scores of {key}; name one of them")
        result["contributions"][key] = found
        of_key[key] = path
    for folder in motifs:
        read = read_motifs(folder)
        key = f"{read.source.output}.{read.source.method}"
        if key in result["patterns"]:
            raise SeqliftError(f"{folder}: a second folder of motifs of {key}; name one of them")
        result["patterns"][key] = leading_patterns(read)
        if key not in of_key:
            raise SeqliftError(f"{folder}: motifs of {key}, whose score file is missing; give it with --scores, too")
        with open_scores(of_key[key]) as opened:
            result["hits"][key] = compare_hits(simulation, read, opened)
    if output is not None:
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n")
    return result


def compare_models(
    simulation: Simulation, regions_path: str | os.PathLike, predictions_path: str | os.PathLike
) -> dict[str, dict]:
    """AUROC of the model and of the likelihood ratio on the same test regions, for each target.

    Raises
    ------
    SeqliftError
        If the predictions are not of these regions, a target is not one of the simulation, or a test region is a
        shuffle, which the simulation's model of a sequence does not describe.
    """
    table = read_regions(regions_path)
    targets = target_names(table)
    for target in targets:
        motifs_of(simulation, target, regions_path)
    # Of folds each region is held out once; background is there for other numbers
    test = table if fold_names(table) else table[table["split"] == "test"]
    test = test[(test["set"] == 0) & (test["kind"] != "background")]
    shuffled = test["kind"] == "shuffled"
    if shuffled.any():
        raise SeqliftError(
            f"{regions_path}: {int(shuffled.sum())} test regions (first: {test.loc[shuffled, 'name'].iloc[0]}) are "
            "shuffles; the best possible AUROC is known for negatives drawn from the simulated genome only"
        )
    logits = _predictions(predictions_path, test, targets)
    ratios = likelihood_ratios(_sequences(simulation, test), simulation)
    found = {}
    for target in targets:
        known = test[f"target:{target}"].notna().to_numpy()
        positive = test[f"target:{target}"].to_numpy()[known] == 1
        if positive.all() or not positive.any():
            raise SeqliftError(
                f"{regions_path}: {int(positive.sum())} of {len(positive)} test regions belong to {target!r}; an AUROC "
                "needs both kinds: choose other test contigs"
            )
        best, _ = auroc_auprc(ratios[target][known], positive)
        model, _ = auroc_auprc(logits[target][known], positive)
        found[target] = {
            "auroc_best": best,
            "auroc_model": model,
            "difference": best - model,
            "positives": int(positive.sum()),
            "negatives": int((~positive).sum()),
        }
    return found


def compare_contributions(simulation: Simulation, path: str | os.PathLike) -> tuple[str, dict]:
    """How well |contribution| tells the bases inside planted sites of the target's motifs from the others.

    Sites of motifs that are not of the target count as background. Returns the key <target>.<method> and the numbers.

    Raises
    ------
    SeqliftError
        If the file's target is not one of the simulation, or all or none of its bases are inside planted sites.
    """
    with open_scores(path) as scores:
        target = scores.attributes["target"]
        motifs = motifs_of(simulation, target, path)
        inside = _inside(simulation, motifs, scores.coords, scores.contributions.shape[2])
        size = np.empty(inside.shape, np.float32)
        for row in range(0, len(size), 1024):
            size[row : row + 1024] = np.abs(scores.contributions[row : row + 1024].sum(axis=1))
        key = f"{target}.{scores.attributes['method']}"
    if inside.all() or not inside.any():
        raise SeqliftError(
            f"{path}: {int(inside.sum())} of the {inside.size} bases of its {len(inside)} regions lie in planted sites "
            f"of {' or '.join(motifs)} ({simulation.folder / 'truth.bed'}); are the scores of this simulation?"
        )
    auroc, auprc = auroc_auprc(size.ravel(), inside.ravel())
    return key, {
        "auroc": auroc,
        "auprc": auprc,
        "regions": len(inside),
        "bases": int(inside.size),
        "inside": int(inside.sum()),
    }


def leading_patterns(motifs: MotifFolder) -> dict:
    """The first positive patterns of a folder, with the motif each was named after: `leading`, and `message`."""
    columns = motifs.table[["pattern", "seqlets", "name", "match_id"]].assign(p=pd.to_numeric(motifs.table["p"]))
    leading = columns[columns["pattern"].str.startswith("pos")].head(LEADING_PATTERNS)
    leading = leading.astype(object).where(leading.notna(), None)  # JSON has no NaN
    return {"leading": leading.to_dict("records"), "message": motifs.summary.get("message", "")}


def _predictions(path: str | os.PathLike, test: pd.DataFrame, targets: list[str]) -> dict[str, np.ndarray]:
    """Logits of the test regions, in their order, for each target."""
    try:
        table = pd.read_csv(path, sep="\t", dtype={"chrom": str, "name": str}, keep_default_na=False)
        logits = table.set_index("name")[[f"logit:{target}" for target in targets]].astype(float)
    except FileNotFoundError:
        raise SeqliftError(f"{path}: No such file; `seqlift evaluate` makes it") from None
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise SeqliftError(f"{path}: not predictions for the targets {', '.join(targets)} ({error})") from None
    missing = ~test["name"].isin(logits.index)
    if missing.any() or logits.index.has_duplicates:
        raise SeqliftError(
            f"{path}: lacks {int(missing.sum())} of the {len(test)} test regions, or names one twice "
            f"(first lacking: {next(iter(test.loc[missing, 'name']), 'none')}); are the predictions for these regions?"
        )
    logits = logits.loc[test["name"]]
    return {target: logits[f"logit:{target}"].to_numpy() for target in targets}


def _sequences(simulation: Simulation, regions: pd.DataFrame) -> np.ndarray:
    """Base codes of the regions, shape (N, L); of longer regions only the middle, which alone can hold sites."""
    length = int((regions["end"] - regions["start"]).iloc[0])
    kept = min(length, simulation.length)
    starts = regions["start"].to_numpy() + length // 2 - kept // 2
    sequences = np.empty((len(regions), kept), np.uint8)
    with Genome(simulation.folder / "genome.fa") as genome:
        for chrom, rows in regions.reset_index(drop=True).groupby("chrom").groups.items():
            windows = np.lib.stride_tricks.sliding_window_view(genome.codes(chrom), kept)
            sequences[rows] = windows[starts[rows]]
    return sequences


def _inside(simulation: Simulation, motifs: tuple[str, ...], coords: pd.DataFrame, length: int) -> np.ndarray:
    """Whether each base of each region of `length` bp lies in a planted site of one of `motifs`, shape (N, L)."""
    sites = planted_sites(simulation, motifs)
    inside = np.empty((len(coords), length), bool)
    for chrom, rows in coords.reset_index(drop=True).groupby("chrom").groups.items():
        here = sites[sites["chrom"] == chrom]
        covered = np.zeros(max(coords["end"].max(), here["end"].max() if len(here) else 0), bool)
        for start, end in zip(here["start"], here["end"], strict=True):
            covered[start:end] = True
        inside[rows] = np.lib.stride_tricks.sliding_window_view(covered, length)[coords["start"].to_numpy()[rows]]
    return inside
