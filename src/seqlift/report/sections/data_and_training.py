"""The sections on regions and training."""

import numpy as np
import pandas as pd

from seqlift.regions.peaks import DROPPED
from seqlift.report.figures import explanations as figures
from seqlift.report.formats import spread
from seqlift.report.read.run import Run

SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "held out (test)"}
NEGATIVE_KINDS = {
    "genome": "windows drawn from the genome away from all peaks and matched in GC content",
    "shuffled": "dinucleotide shuffles of the positive regions",
    "unbound": "peaks of another file away from all peaks of the targets",
    "bed": "regions of a file",
}
HEADLINE_NAMES = {"auroc": "AUROC", "pearson": "Pearson correlation of log counts"}


def regions_section(run: Run, table: pd.DataFrame) -> dict:
    """Windows, peaks, what was dropped and why, and the GC content of both classes."""
    positive = (table[[f"target:{target}" for target in run.targets]] == 1).any(axis=1).to_numpy()
    positive = positive & (table["kind"] == "peak").to_numpy()
    negative = (~table["kind"].isin(["peak", "background"])).to_numpy()
    gc = table["gc"].to_numpy(float)
    negatives, background = run.regions["negatives"], run.regions.get("background") or {}
    columns = [*run.targets, "negative"]
    duplicates = run.regions.get("duplicates") or {}
    return {
        "columns": [*run.targets, "negatives"] + (["background"] if any(background.values()) else []),
        "rows": [
            {
                "split": SPLIT_NAMES.get(split, split.replace("fold", "fold ")),
                "counts": [run.regions["kept"].get(split, {}).get(column) for column in columns]
                + ([background.get(split, 0)] if any(background.values()) else []),
                "total": total,
            }
            for split, total in run.regions["regions"].items()
        ],
        "dropped": sorted(
            ((DROPPED.get(reason, reason), n) for reason, n in run.regions["dropped"].items() if n),
            key=lambda item: (-item[1], item[0]),
        ),
        "duplicates": duplicates.get("across_splits_dropped", 0),
        "masked": {name: n for name, n in (run.regions.get("masked") or {}).items() if n},
        "peaks": run.regions["peaks"],
        "signal": run.regions.get("signal"),
        "shuffled": negatives.get("kind") == "shuffled",
        "negatives": NEGATIVE_KINDS.get(negatives.get("kind"), "regions without peaks"),
        "sets": negatives.get("sets", 1),
        "gc": figures.gc_match(gc[positive], gc[negative]),
        "gc_positive": float(gc[positive].mean()) if positive.any() else None,
        "gc_negative": float(gc[negative].mean()) if negative.any() else None,
    }


def training_section(run: Run) -> dict:
    """Epochs and learning curves of all models."""
    histories = run.histories()
    models = run.metrics["models"]
    best = [model.get("best_epoch") for model in models]
    kind = "auroc" if run.head == "classes" else "pearson"
    return {
        "epochs": spread(np.array([len(history) for history in histories])),
        "best_epoch": spread(np.array([epoch for epoch in best if epoch is not None])),
        "restarts": run.metrics.get("restarts", 0),
        "models": models if len(models) > 1 else [],
        "kind": HEADLINE_NAMES[kind],
        "loss": figures.training(histories, best),
        "validation": figures.validation(histories, run.targets, kind, best),
    }
