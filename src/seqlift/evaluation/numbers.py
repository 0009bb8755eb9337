"""The numbers of metrics.json for one target, from the table of predictions.

`classes`: regions with a peak of the target vs. three kinds of others. `matched`: the sampled negatives, weighted 1:1
to the positives. `background`: random windows that represent all windows of the
held-out part of the genome that could be a negative, so that AUPRC is that of a search through the genome; only where
regions.background asks for them. `all`: all other held-out regions as they are, peaks of other targets among them.

`counts` and `profile`: correlations of log(1 + count) over `all` held-out regions with a known signal and over the
`peaks` of the target alone; and medians of the Jensen-Shannon distances (`seqlift.evaluation.predictions`) over the
same two groups. Regions with a masked label or an unknown signal are left out and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from seqlift.core.metrics import correlation, discrimination, median, reliability
from seqlift.evaluation.profiles import replicate_kind

DISTANCES = {"model": "jsd", "shuffled": "jsd_shuffled", "mean": "jsd_mean", "replicates": "jsd_replicates"}
MEASURE = "Jensen-Shannon distance, base 2"


def target_numbers(
    rows: pd.DataFrame, name: str, head: str, summary: dict, baselines: Sequence[dict], *, seed: int
) -> dict:
    """All numbers of one target.

    Parameters
    ----------
    rows : pandas.DataFrame
        The predictions of all parts.
    name : str
    head : {"classes", "counts", "profile"}
    summary : dict
        The content of regions.json: numbers of free windows, and files of the signal.
    baselines : sequence of dict
        What each part's baselines are, see `seqlift.evaluation.predictions.Predicted`.
    seed : int
        Of the bootstraps.
    """
    test = rows[rows["split"] == "test"]
    numbers = _class_numbers if head == "classes" else _count_numbers
    found = numbers(test, name, _score_column(name, head), summary, seed)
    found["baselines"] = {}
    for kind in ("motif", "kmers"):
        about = [each.get(kind) for each in baselines]
        if all(about) and about:
            scored = numbers(test, name, f"{kind}:{name}", summary, seed)
            kept = {key: scored[key] for key in ("against", "groups", "folds") if key in scored}
            found["baselines"][kind] = {"chosen": about if len(about) > 1 else about[0], **kept}
    if head == "profile":
        found["profile"] = _profile_numbers(test, name, summary, seed)
    return found


def _score_column(name: str, head: str) -> str:
    return f"{'logit' if head == 'classes' else 'log_count'}:{name}"


def _class_numbers(test: pd.DataFrame, name: str, column: str, summary: dict, seed: int) -> dict:
    label = test[f"target:{name}"].to_numpy(float)
    score = test[column].to_numpy(float)
    drawn_at_random = (test["kind"] == "background").to_numpy()
    known = np.isfinite(label) & np.isfinite(score)
    positive = known & (label == 1) & ~drawn_at_random
    others = known & (label == 0)
    drawn = others & ~drawn_at_random & (test["kind"] != "peak").to_numpy()
    even = positive.sum() / max(1, drawn.sum())

    def against(negative: np.ndarray, weight: float | np.ndarray) -> dict:
        chosen = positive | negative
        weights = np.where(positive, 1.0, weight)[chosen]
        found = asdict(discrimination(score[chosen], positive[chosen], weights=weights, seed=seed))
        total = weights.sum()
        return found | {"positive_share": float(weights[positive[chosen]].sum() / total) if total else None}

    background = None
    if (others & drawn_at_random).any():
        windows, weight = _windows(test, others & drawn_at_random, summary)
        background = against(others & drawn_at_random, weight) | {"windows": windows}
    seen = (positive | others) & ~drawn_at_random
    result = {
        "positives": int(positive.sum()),
        "masked": int((~np.isfinite(label) & ~drawn_at_random).sum()),
        "against": {
            "matched": against(drawn, even),
            "background": background,
            "all": against(others & ~drawn_at_random, 1.0),
        },
    }
    if column.startswith("logit"):
        probabilities = 1 / (1 + np.exp(-score[seen]))
        result["reliability"] = asdict(reliability(probabilities, positive[seen]))
    result["folds"] = _folds(
        test.assign(score=score, positive=positive, seen=seen),
        lambda part: asdict(
            discrimination(
                part.loc[part["seen"], "score"].to_numpy(), part.loc[part["seen"], "positive"].to_numpy(bool), seed=seed
            )
        ),
        ("auroc", "auprc"),
    )
    return result


def _windows(test: pd.DataFrame, background: np.ndarray, summary: dict) -> tuple[int, np.ndarray]:
    """Free windows that the background represents, and the number for each of its regions, (N,).

    With folds, the background of each fold represents the windows of that fold.
    """
    known = summary.get("windows") or {}
    model = test["model"].to_numpy(str)
    total, weight = 0, np.ones(len(test))
    for fold in np.unique(model[background]):
        here = background & (model == fold)
        windows = int(known.get(fold or "test") or here.sum())
        total += windows
        weight[here] = windows / here.sum()
    return total, weight


def _count_numbers(test: pd.DataFrame, name: str, column: str, summary: dict, seed: int) -> dict:
    count = test[f"signal:{name}"].to_numpy(float)
    score = test[column].to_numpy(float)
    counted = (test["kind"] != "background").to_numpy()
    known = np.isfinite(count) & np.isfinite(score) & counted
    truth = np.log1p(np.where(known, count, 0))
    peaks = known & (test[f"target:{name}"] == 1).to_numpy()

    def over(rows: np.ndarray) -> dict:
        return asdict(correlation(score[rows], truth[rows], seed=seed))

    return {
        "regions": int(known.sum()),
        "unknown": int((counted & ~known).sum()),
        "groups": {"all": over(known), "peaks": over(peaks)},
        "folds": _folds(
            test.assign(score=score, truth=truth)[known],
            lambda part: asdict(correlation(part["score"].to_numpy(), part["truth"].to_numpy(), seed=seed)),
            ("pearson", "spearman"),
        ),
    }


def _profile_numbers(test: pd.DataFrame, name: str, summary: dict, seed: int) -> dict:
    test = test[test["kind"] != "background"]
    known = test[f"signal:{name}"].notna()
    judged = test[f"jsd:{name}"].notna()

    def over(rows: pd.DataFrame) -> dict:
        found = {}
        for what, kind in DISTANCES.items():
            values = rows[f"{kind}:{name}"].to_numpy(float)
            values = values[np.isfinite(values)]
            found[what] = asdict(median(values, seed=seed)) if len(values) else None
        return found

    files = summary["signal"]["files"][name]
    measured_again = test[f"jsd_replicates:{name}"].notna().any()
    return {
        "measure": MEASURE,
        "replicates": replicate_kind(files) if measured_again else None,
        "regions": int(judged.sum()),
        "without_counts": int((known & ~judged).sum()),
        "unknown": int((~known).sum()),
        "groups": {"all": over(test[judged]), "peaks": over(test[judged & (test[f"target:{name}"] == 1)])},
        "folds": _folds(
            test[judged],
            lambda part: {"median": float(part[f"jsd:{name}"].median()), "regions": len(part)},
            ("median",),
        ),
    }


def _folds(rows: pd.DataFrame, judge: Callable[[pd.DataFrame], dict], spread: Sequence[str]) -> dict | None:
    """Each fold's own numbers and the standard deviation over folds of some of them; None without folds."""
    names = sorted((name for name in rows["model"].unique() if name), key=lambda name: int(name.removeprefix("fold")))
    if not names:
        return None
    found = [{"fold": int(name.removeprefix("fold")), **judge(rows[rows["model"] == name])} for name in names]
    deviation = {}
    for key in spread:
        values = [each[key] for each in found if np.isfinite(each[key])]
        deviation[key] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"each": found, "standard_deviation": deviation}
