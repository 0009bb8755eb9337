"""The stage `evaluate`: from model files and regions to metrics.json and the table of predictions."""

import contextlib
import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqlift.core.devices import choose_device, describe_device
from seqlift.core.files import gzip_text, replacing
from seqlift.core.metrics import LEVEL, RESAMPLES
from seqlift.data.genome import Genome
from seqlift.evaluation.comparison import FORMAT
from seqlift.evaluation.numbers import target_numbers
from seqlift.evaluation.parts import Part, make_parts
from seqlift.evaluation.predictions import predict_part
from seqlift.models.outputs import outputs_of
from seqlift.models.several import load_models
from seqlift.motifs.database import load_database

PROFILES = ["target", "name", "chrom", "position", "strand", "observed", "predicted"]

log = logging.getLogger(__name__)


def evaluate_models(
    paths: Sequence[str | os.PathLike],
    table: pd.DataFrame,
    summary: dict,
    genome: Genome,
    *,
    database: str | None = None,
    seed: int = 1,
    device: str = "auto",
    output_dir: str | os.PathLike,
) -> dict:
    """Predict all held-out regions and compare the predictions with the measurements.

    Writes `metrics.json`, `predictions.tsv.gz` and, for a profile head, `profiles.tsv.gz` with some example regions.

    Parameters
    ----------
    paths : sequence of path-like
        Model files: one, or one of each fold and seed.
    table : pandas.DataFrame
        Regions as `seqlift.regions.make.read_regions` gives them.
    summary : dict
        The content of regions.json.
    genome : Genome
    database : str, optional
        Known motifs for the baseline: `jaspar:<group>` or a MEME file. Without it there is no motif baseline.
    seed : int
        Of bootstraps, samples for the baselines, and shuffled or halved profiles.
    device : {"auto", "cpu", "cuda"}
    output_dir : path-like
        Made if needed.

    Returns
    -------
    dict
        The content of `metrics.json`.

    Raises
    ------
    SeqliftError
        If a model does not fit the regions or the other models, regions have no test split, or a file is broken.
    """
    device = str(choose_device(device))
    log.info("device: %s", describe_device(device))
    motifs = None if database is None else load_database(database)
    parts = make_parts(load_models(paths), list(map(str, paths)), table, summary)
    first = parts[0].model
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    found, baselines = [], []
    for part in parts:
        log.info("predicting %s held-out regions%s", f"{len(part.held_out):,}", f", {part.name}" if part.name else "")
        predicted = predict_part(part, summary, genome, database=motifs, seed=seed, device=device, work_dir=output_dir)
        found.append(predicted)
        baselines.append(predicted.baselines)
    rows = _as_written(pd.concat([each.rows for each in found], ignore_index=True))
    metrics = {
        "format": FORMAT,
        "head": first.head,
        "split": "test",
        "outputs": [
            {"name": output.name, "target": output.target, "quantity": output.quantity}
            for output in outputs_of(first.head, first.targets)
        ],
        **_training(parts),
        "targets": {
            name: target_numbers(rows, name, first.head, summary, [each.get(name, {}) for each in baselines], seed=seed)
            for name in first.targets
        },
        "bootstrap": {"resamples": RESAMPLES, "seed": seed, "level": LEVEL},
        "database": None
        if motifs is None
        else {"name": motifs.name, "release": motifs.release, "motifs": len(motifs.ids)},
        "device": device,
    }
    metrics = _without_nan(metrics)
    profiles = pd.concat([each.examples for each in found], ignore_index=True) if first.head == "profile" else None
    _write(output_dir, rows, metrics, profiles)
    return metrics


def _training(parts: Sequence[Part]) -> dict:
    """What training said of itself: what each model has learned, how often it was started again."""
    first = parts[0].models[0]
    outputs = outputs_of(first.head, first.targets)
    models: list[dict[str, Any]] = []
    for fold, model in [(part.fold, model) for part in parts for model in part.models]:
        training = model.training
        by_target = training.get("learned_targets") or {}
        learned = {name: bool(by_target.get(name, model.learned)) for name in first.targets}
        models.append(
            {
                "fold": fold,
                "seed": training.get("seed"),
                "learned": model.learned,
                "learned_targets": learned,
                "learned_outputs": {output.name: model.learned_about(output) for output in outputs},
                "restarts": int(training.get("restarts", 0)),
                "attempt": int(training.get("attempt", 1)),  # which one of the history was kept
                "fingerprint": model.fingerprint,
                **{key: training.get(key) for key in ("best_epoch", "epochs_run", "valid_loss", "base_rate_loss")},
            }
        )
    return {
        "learned": all(model["learned"] for model in models),
        "learned_targets": {t: all(model["learned_targets"][t] for model in models) for t in first.targets},
        "learned_outputs": {
            each.name: all(model["learned_outputs"][each.name] for model in models) for each in outputs
        },
        "restarts": sum(model["restarts"] for model in models),
        "parameters": sum(weights.numel() for weights in first.model.parameters()),
        "models": models,
    }


def _without_nan(value: Any) -> Any:
    """The same with None for NaN and infinities, which JSON does not have, and plain Python numbers."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(output_dir: Path, rows: pd.DataFrame, metrics: dict, profiles: pd.DataFrame | None) -> None:
    """All files or, if the disk is full, none of them."""
    tables = {"predictions.tsv.gz": rows} | ({} if profiles is None else {"profiles.tsv.gz": profiles[PROFILES]})
    with contextlib.ExitStack() as whole:
        for name, table in tables.items():
            _write_table(whole.enter_context(replacing(output_dir / name)), table)
        path = whole.enter_context(replacing(output_dir / "metrics.json"))
        path.write_text(json.dumps(metrics, indent=2) + "\n")


def _as_written(rows: pd.DataFrame) -> pd.DataFrame:
    """Numbers rounded to the six digits of the file, so that whoever reads it can recompute metrics.json."""
    digits = {name: np.char.mod("%.6g", rows[name].to_numpy()).astype(float) for name in rows.select_dtypes("floating")}
    return rows.assign(**digits)


def _write_table(path: Path, rows: pd.DataFrame) -> None:
    for name in rows:
        if name.startswith("target:"):  # 0, 1 or nothing, not 1.0
            rows = rows.assign(**{name: rows[name].map("{:.0f}".format, na_action="ignore")})
    with gzip_text(path) as lines:
        rows.to_csv(lines, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
