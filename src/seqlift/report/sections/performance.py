"""The section on performance: how well each target is predicted, beside the baselines, as tables and figures."""

from typing import Any

import numpy as np
import pandas as pd

from seqlift.evaluation.comparison import Row, comparison, predictor_name, profile_comparison
from seqlift.report.figures import performance as figures
from seqlift.report.figures.canvas import Room
from seqlift.report.read import analysis
from seqlift.report.read.run import Run

DIFFERENT = 0.005  # metrics.json and the predictions further apart than this are not of one evaluation
PROFILES = 2_000_000  # characters of the page that example profiles of all targets take
MAIN = {"classes": ("AUROC, 1:1",), "counts": ("Pearson", "Spearman")}  # drawn beside the baselines


def sections(run: Run) -> list[dict]:
    """What the template shows of each target.

    Returns
    -------
    list of dict, one for each target
        `name`, `table` and `profile_table` (columns and rows), `facts` (counts of regions), `figures` (captions and
        images), `examples` (of profiles) and `more_examples` (how many are not drawn), `folds`,
        `disagrees` (what metrics.json and the predictions differ in).
    """
    predictions = run.predictions()
    test = predictions[(predictions["split"] == "test") & (predictions["kind"] != "background")]
    rows, profile_rows, examples = comparison(run.metrics), profile_comparison(run.metrics), run.profiles()
    found = []
    for target in run.targets:
        own = [row for row in rows if row.target == target]
        make = _class_figures if run.head == "classes" else _count_figures
        drawn, disagrees = make(run, target, test)
        drawn += [
            (f"{column}, with its interval", figures.forest(own, column))
            for column in MAIN["classes" if run.head == "classes" else "counts"]
            if any(row.values[column].value is not None for row in own)
        ]
        about: dict[str, Any] = {
            "name": target,
            "outputs": run.outputs_of(target),
            "table": _table(own),
            "facts": _facts(run, target),
            "figures": drawn,
            "folds": _folds(run, target),
            "disagrees": disagrees,
            "profile_table": None,
            "profile_figures": [],
            "examples": [],
            "more_examples": 0,
        }
        if examples is not None:
            profile = run.metric(target)["profile"]
            profile_baselines = [row for row in profile_rows if row.target == target]
            about["profile_table"] = _table(profile_baselines)
            about["profile_facts"] = profile
            about["profile_figures"] = _profile_figures(target, test, profile_baselines)
            own_examples = examples[examples["target"] == target]
            about["examples"] = _examples(own_examples, test, target, Room(PROFILES // len(run.targets)))
            about["more_examples"] = own_examples["name"].nunique() - len(about["examples"])
        found.append(about)
    return found


def _table(rows: list[Row]) -> dict:
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    return {
        "columns": columns,
        "rows": [
            {"kind": row.kind, "name": row.name, "values": [row.values.get(column) for column in columns]}
            for row in rows
        ],
    }


def _facts(run: Run, target: str) -> list[tuple[str, int]]:
    """Numbers of regions that the target is evaluated on, in words."""
    found = run.metric(target)
    if run.head != "classes":
        peaks = found["groups"]["peaks"]["regions"]
        facts = [("held-out regions with a signal", found["regions"]), ("of them peaks of the target", peaks)]
        return facts + [("left out, signal unknown", found["unknown"])] * bool(found["unknown"])
    against = found["against"]
    facts = [
        ("positives", found["positives"]),
        ("sampled negatives", against["matched"]["negatives"]),
        ("all others", against["all"]["negatives"]),
    ]
    if against["background"]:
        windows = against["background"]["windows"]
        facts += [("background windows", against["background"]["negatives"]), ("which represent", windows)]
    return facts + [("left out, label masked", found["masked"])] * bool(found["masked"])


def _class_figures(run: Run, target: str, test: pd.DataFrame) -> tuple[list, str]:
    known = test[test[f"target:{target}"].notna()]
    label = known[f"target:{target}"].to_numpy(float)
    columns = {"model": f"logit:{target}"} | {kind: f"{kind}:{target}" for kind in ("motif", "kmers")}
    curves = {
        kind: analysis.curves(label, known[column].to_numpy(float))
        for kind, column in columns.items()
        if column in known and known[column].notna().all()
    }
    found = {kind: curve for kind, curve in curves.items() if curve is not None}
    if "model" not in found:
        return [], ""
    best = (((run.truth or {}).get("targets") or {}).get(target) or {}).get("auroc_best")
    numbers = run.metric(target)
    names = {kind: _short(kind, numbers) for kind in found}
    drawn = [
        ("ROC", figures.roc(target, found, names, best)),
        ("Precision and recall", figures.precision_recall(target, found, names)),
        (
            f"Reliability, error {numbers['reliability']['calibration_error']:.3f}",
            figures.reliability(target, numbers["reliability"]),
        ),
    ]
    return drawn, _difference("AUROC", run.headline(target)[1]["auroc"], found["model"].auroc)


def _count_figures(run: Run, target: str, test: pd.DataFrame) -> tuple[list, str]:
    known = test[test[f"signal:{target}"].notna()]
    if len(known) < 2:
        return [], ""
    observed, predicted = (
        np.log1p(known[f"signal:{target}"].to_numpy(float)),
        known[f"log_count:{target}"].to_numpy(float),
    )
    peak = (known[f"target:{target}"] == 1).to_numpy()
    dots = min(figures.DOTS, figures.ALL_DOTS // len(run.targets))
    with np.errstate(invalid="ignore", divide="ignore"):
        again = float(np.corrcoef(predicted, observed)[0, 1])
    drawn = [("Log counts", figures.scatter(target, observed, predicted, peak, dots))]
    return drawn, _difference("Pearson", run.headline(target)[1]["pearson"], again)


def _difference(kind: str, said: float | None, again: float) -> str:
    if said is None or not np.isfinite(again) or abs(said - again) <= DIFFERENT:
        return ""
    return f"{kind} {said:.3f} in the one, {again:.3f} from the other"


def _short(kind: str, numbers: dict) -> str:
    """`model`, the name of the motif, `6-mers`."""
    if kind == "model":
        return "model"
    name = predictor_name(kind, numbers["baselines"][kind], "classes")
    return name.split(", ")[0] if kind == "kmers" else name.split(", ", 1)[1].split(" (")[0]


def _profile_figures(target: str, test: pd.DataFrame, profile_baselines: list[Row]) -> list:
    peaks = test[(test[f"target:{target}"] == 1) & test[f"jsd:{target}"].notna()]
    columns = {"model": "jsd", "replicates": "jsd_replicates", "mean": "jsd_mean", "shuffled": "jsd_shuffled"}
    distances = {row.kind: peaks[f"{columns[row.kind]}:{target}"].dropna().to_numpy(float) for row in profile_baselines}
    distances = {kind: values for kind, values in distances.items() if len(values)}
    if "model" not in distances:
        return []
    names = {row.kind: figures.short_name(row) for row in profile_baselines}
    return [
        ("Distances of held-out peaks", figures.distances(target, distances, names)),
        ("Medians, with intervals", figures.forest(profile_baselines, "peaks", lowest_is_best=True)),
    ]


def _examples(bases: pd.DataFrame, test: pd.DataFrame, target: str, room: Room) -> list[dict]:
    """Profiles of some regions, with their distance and place, limited by the size of the page."""
    distance = test.set_index("name")[f"jsd:{target}"]
    found = []
    for name, part in bases.groupby("name", sort=False):
        if room.full:
            break
        strands = {
            strand: rows[["position", "observed", "predicted"]].to_numpy(float)
            for strand, rows in part.groupby("strand", sort=True)
        }
        image = figures.profile(name, part["chrom"].iloc[0], strands)
        room.take(image)
        found.append(
            {
                "name": name,
                "place": f"{part['chrom'].iloc[0]}:{part['position'].min():,}–{part['position'].max() + 1:,}",
                "distance": float(distance[name]) if name in distance else None,
                "total": float(part["observed"].sum()),
                "image": image,
            }
        )
    return found


def _folds(run: Run, target: str) -> dict | None:
    """Each fold's own numbers and their standard deviation, as a table; None without folds."""
    parts = [run.metric(target).get("folds"), (run.metric(target).get("profile") or {}).get("folds")]
    names = {"auroc": "AUROC, all others", "auprc": "AUPRC, all others", "pearson": "Pearson", "spearman": "Spearman"}
    names["median"] = "median distance of profiles"
    found: dict = {"columns": [], "each": {}, "deviation": []}
    for part in parts:
        if part:
            for key, deviation in part["standard_deviation"].items():
                found["columns"].append(names[key])
                found["deviation"].append(deviation)
                for fold in part["each"]:
                    found["each"].setdefault(fold["fold"], []).append(fold.get(key))
    return found if found["columns"] else None
