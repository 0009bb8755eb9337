"""Everything that is said of each held-out region: the model's prediction, the baselines', and what was measured.

One row a region. Columns after the labels, of each target T: `logit:T` (classes head) or `log_count:T`, the predicted
log(1 + count), beside `signal:T`, the count that was measured; `motif:T` and `kmers:T`, what the baselines say. With a
profile head also Jensen-Shannon distances of the observed profile: `jsd:T` to the predicted one, `jsd_shuffled:T`,
`jsd_mean:T` and `jsd_replicates:T` to the baselines of `seqlift.evaluation.profiles`. Empty where there is none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqlift.data.genome import Genome
from seqlift.data.windows import load_codes
from seqlift.evaluation import baselines
from seqlift.evaluation.parts import Part
from seqlift.evaluation.profiles import ProfileJudge
from seqlift.models.predicting import predict
from seqlift.motifs.database import Database
from seqlift.regions.table import SIGNAL_PREFIX, TARGET_PREFIX, labels_of

COORDINATES = ["chrom", "start", "end", "name", "split", "kind"]
_ROWS_AT_ONCE = 4096  # of word counts: keeps memory small


@dataclass(frozen=True)
class Predicted:
    """What one model and the baselines trained on the same regions say.

    Attributes
    ----------
    rows : pandas.DataFrame
        One row a held-out region.
    baselines : dict
        target -> {"motif": dict or None, "kmers": dict or None}: what was chosen, and on what.
    examples : pandas.DataFrame or None
        Profiles of some test regions, one row a base.
    """

    rows: pd.DataFrame
    baselines: dict
    examples: pd.DataFrame | None


def predict_part(
    part: Part,
    summary: dict,
    genome: Genome,
    *,
    database: Database | None,
    seed: int,
    device: str,
    work_dir: Path,
) -> Predicted:
    """Predict the held-out regions of a part, by its model and by the baselines.

    Parameters
    ----------
    part : Part
    summary : dict
        The content of regions.json.
    genome : Genome
    database : Database or None
    seed : int
    device : {"cpu", "cuda"}
    work_dir : pathlib.Path
        A folder for temporary files.
    """
    model = part.model
    # Shuffled negatives are those of the training
    shuffles = int(model.training.get("seed", 1))
    codes = load_codes(part.held_out, genome, seed=shuffles)
    rows = part.held_out[COORDINATES].assign(model=part.name)
    rows[[TARGET_PREFIX + name for name in model.targets]] = labels_of(part.held_out)
    examples = None
    if model.head != "classes":
        columns = [SIGNAL_PREFIX + name for name in model.targets]
        rows[columns] = part.held_out[columns].to_numpy(float)
    if model.head == "profile":
        with ProfileJudge(part, summary, genome, seed=seed, work_dir=work_dir) as judge:
            log_counts, distances = judge.judge(codes, device=device)
            rows[[f"log_count:{name}" for name in model.targets]] = log_counts
            rows = pd.concat([rows, distances], axis=1)
            examples = judge.examples(rows, codes, device=device)
    else:
        column = "logit" if model.head == "classes" else "log_count"
        rows[[f"{column}:{name}" for name in model.targets]] = predict(model.model, codes, device=device)
    scores, about = _baselines(part, codes, genome, database=database, seed=seed, shuffles=shuffles)
    return Predicted(pd.concat([rows, scores], axis=1), about, examples)


def observed(table: pd.DataFrame, head: str, targets: list[str]) -> np.ndarray:
    """What is predicted of each region and target, (N, T): label or log(1 + count); NaN where unknown."""
    if head == "classes":
        return labels_of(table)
    return np.log1p(table[[SIGNAL_PREFIX + name for name in targets]].to_numpy(float))


def _baselines(
    part: Part, codes: np.ndarray, genome: Genome, *, database: Database | None, seed: int, shuffles: int
) -> tuple[pd.DataFrame, dict]:
    """Scores of the held-out regions by the baselines, and what these are."""
    targets, head = part.model.targets, part.model.head
    labels = head == "classes"
    samples = {}
    for split, table, n in (
        ("motif", part.train, baselines.motif_sample(part.model.length)),
        ("train", part.train, baselines.KMER_SAMPLE),
        ("valid", part.valid, baselines.KMER_SAMPLE // 2),
    ):
        table = table[table["kind"] != "background"]
        table = table.iloc[baselines.sample_rows(labels_of(table), n=n, seed=seed)]
        samples[split] = (
            load_codes(table, genome, seed=shuffles) if len(table) else codes[:0],
            observed(table, head, targets),
        )
    columns: dict[str, np.ndarray] = {}
    about: dict[str, dict[str, Any]] = {name: {"motif": None, "kmers": None} for name in targets}
    if database is not None:
        _add_motifs(columns, about, targets, samples["motif"], codes, database, labels)
    words = {split: baselines.kmer_counts(samples[split][0]) for split in ("train", "valid")}
    models = {}
    for i, name in enumerate(targets):
        model = baselines.fit_kmers(*((words[split], samples[split][1][:, i]) for split in words), labels=labels)
        if model is not None:
            models[name] = model
            about[name]["kmers"] = {"k": baselines.WORD, "penalty": model.penalty, "regions": model.regions}
            columns[f"kmers:{name}"] = np.empty(len(codes))
    for first in range(0, len(codes), _ROWS_AT_ONCE):
        block = slice(first, first + _ROWS_AT_ONCE)
        counts = baselines.kmer_counts(codes[block])
        for name, model in models.items():
            columns[f"kmers:{name}"][block] = baselines.kmer_scores(model, counts)
    return pd.DataFrame(columns, index=range(len(codes))), about


def _add_motifs(
    columns: dict[str, np.ndarray],
    about: dict[str, dict[str, Any]],
    targets: list[str],
    sample: tuple[np.ndarray, np.ndarray],
    codes: np.ndarray,
    database: Database,
    labels: bool,
) -> None:
    """Choose each target's motif on the sample and score all held-out regions with it."""
    background = baselines.base_composition(sample[0])
    scores = baselines.motif_scores(sample[0], database.matrices, background)
    for i, name in enumerate(targets):
        chosen = baselines.choose_motif(scores, sample[1][:, i], database, labels=labels)
        if chosen is not None:
            best = database.matrices[chosen.index]
            columns[f"motif:{name}"] = baselines.motif_scores(codes, [best], background)[:, 0]
            about[name]["motif"] = {"id": chosen.identifier, "name": chosen.name, "training": chosen.criterion}
