"""A model beside its baselines, as rows of a table: what `seqlift evaluate`, the summary and the report show."""

from dataclasses import dataclass

FORMAT = "seqlift metrics 2"


@dataclass(frozen=True)
class Value:
    """A number with its bootstrap interval; all None where there is none."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        ends = "" if self.low is None or self.high is None else f" ({self.low:.3f}-{self.high:.3f})"
        return f"{self.value:.3f}{ends}"


@dataclass(frozen=True)
class Row:
    """One predictor of one output: `kind` is model, motif, kmers, or a baseline of profiles; `values` by column."""

    target: str
    kind: str
    name: str
    values: dict[str, Value]


def value_of(numbers: dict | None, key: str) -> Value:
    """A number with its interval out of a part of metrics.json."""
    numbers = numbers or {}
    prefix = "" if key == "median" else f"{key}_"
    return Value(numbers.get(key), numbers.get(f"{prefix}low"), numbers.get(f"{prefix}high"))


def comparison(metrics: dict) -> list[Row]:
    """Each target's model and baselines side by side; see `profile_comparison` for profiles.

    Parameters
    ----------
    metrics : dict
        The content of metrics.json.

    Returns
    -------
    list of Row
        Columns of classes: `AUROC, 1:1`, `AUPRC, 1:1`, `AUPRC, genome` (where there is a background) and `AUROC, all`;
        of counts: `Pearson`, `Spearman`, `Pearson, peaks` and `Spearman, peaks`.
    """
    rows = []
    background = any((found.get("against") or {}).get("background") for found in metrics["targets"].values())
    for target, found in metrics["targets"].items():
        predictors = {"model": found, **found.get("baselines", {})}
        for kind, numbers in predictors.items():
            values = _class_values(numbers, background) if metrics["head"] == "classes" else _count_values(numbers)
            rows.append(Row(target, kind, predictor_name(kind, numbers, metrics["head"]), values))
    return rows


def profile_comparison(metrics: dict) -> list[Row]:
    """Median Jensen-Shannon distances of the model and of the baselines; empty without a profile head."""
    rows = []
    for target, found in metrics["targets"].items():
        profile = found.get("profile")
        for kind in ("model", "replicates", "mean", "shuffled") if profile else ():
            if any((profile["groups"][group] or {}).get(kind) for group in profile["groups"]):
                values = {
                    "peaks": value_of(profile["groups"]["peaks"].get(kind), "median"),
                    "all regions": value_of(profile["groups"]["all"].get(kind), "median"),
                }
                name = "model" if kind == "model" else baseline_name(kind, profile["replicates"])
                rows.append(Row(target, kind, name, values))
    return rows


def predictor_name(kind: str, numbers: dict, head: str) -> str:
    """`model`, or what the baseline is."""
    if kind == "model":
        return "model"
    chosen = numbers["chosen"]
    chosen = chosen if isinstance(chosen, list) else [chosen]
    if kind == "motif":
        names = dict.fromkeys(f"{each['name']} ({each['id']})" for each in chosen)
        return "best motif, " + " or ".join(names)
    method = "logistic" if head == "classes" else "ridge"
    return f"{chosen[0]['k']}-mers, {method} regression"


def baseline_name(kind: str, replicates: str | None) -> str:
    """A baseline of profiles in words."""
    if kind == "replicates":
        return "another replicate" if replicates == "replicates" else "one half of the reads against the other"
    return {"mean": "mean profile of training peaks", "shuffled": "positions shuffled"}[kind]


def _class_values(numbers: dict, background: bool) -> dict[str, Value]:
    against = numbers["against"]
    values = {
        "AUROC, 1:1": value_of(against["matched"], "auroc"),
        "AUPRC, 1:1": value_of(against["matched"], "auprc"),
    }
    if background:
        values["AUPRC, genome"] = value_of(against["background"], "auprc")
    return values | {"AUROC, all": value_of(against["all"], "auroc")}


def _count_values(numbers: dict) -> dict[str, Value]:
    return {
        name if group == "all" else f"{name}, peaks": value_of(numbers["groups"][group], name.lower())
        for group in ("all", "peaks")
        for name in ("Pearson", "Spearman")
    }
