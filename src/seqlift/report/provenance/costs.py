"""What the jobs of a run cost: time, memory and load, and the device, from what Snakemake and the stages left behind.

Snakemake writes one table a job, `benchmarks/<rule>/<what it is about>.tsv`, with one line for each time that the job
was repeated. The job's log has the same name in `logs/`, and a stage that runs a network says there where it ran. Both
stay when the config changes: a job of a method or a target that the run no longer has is not counted.
"""

import csv
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqlift.config import downloads, model_outputs, seed_list, shard_count

REPORT = "write_report"  # runs while the table is made: what is there of it is of an earlier time
DEVICE = re.compile(r"^device: (.+)$", re.MULTILINE)  # what a stage says in its log
_START_OF_LOG = 100_000  # characters that contain it


@dataclass(frozen=True)
class Job:
    """One job of a run, as it last ran.

    Attributes
    ----------
    rule : str
    about : str
        What tells it from other jobs of the rule: target, method, fold; empty where there is one job.
    seconds : float
        Of all repeats together.
    max_rss_mb : float or None
        Most memory that it held at a time, in MB (2^20 bytes). None for a job that ended before Snakemake measured it.
    mean_load : float or None
        CPU time as a percentage of the seconds; over 100 where several cores worked.
    device : str or None
        What its network ran on.
    """

    rule: str
    about: str
    seconds: float
    max_rss_mb: float | None
    mean_load: float | None
    device: str | None


def read_jobs(directory: str | os.PathLike, config: dict) -> list[Job]:
    """The jobs of a run that left a record, by rule and name.

    Those of the folder above, which all lengths share (simulation, downloads), are among them. The report's own is not:
    it has not ended when this is called.

    Parameters
    ----------
    directory : path-like
        results/<name>/<length>bp
    config : dict
        The resolved configuration of the run. Records of jobs that it does not ask for are passed over, as are files
        that are not Snakemake's.
    """
    directory = Path(directory)
    names, jobs = names_of_jobs(config), []
    for folder in (directory.absolute().parent, directory):
        for path in sorted((folder / "benchmarks").rglob("*.tsv")):
            name = path.relative_to(folder / "benchmarks").with_suffix("").as_posix()
            rule, about = split_name(name)
            if rule == REPORT or not is_asked_for(rule, about, config, names):
                continue
            cost = _read(path)
            if cost is not None:
                device = _device(folder / "logs" / f"{name}.log")
                jobs.append(Job(rule, about, *cost, device))
    return sorted(jobs, key=lambda job: (job.rule, job.about))


def split_name(name: str) -> tuple[str, str]:
    """Rule and what the job is about: fold1/train_model, attribute_bases/fold1/TAL1.deeplift -> fold1, the rest."""
    model = re.match(r"(fold\d+/)?(seed\d+/)?", name)
    before = model[0] if model else ""
    rule, _, about = name.removeprefix(before).partition("/")
    return rule, (before + about).rstrip("/")


def is_asked_for(rule: str, about: str, config: dict, names: frozenset[str]) -> bool:
    """Whether a run with this config has such a job; `names` are those of `names_of_jobs`."""
    folds = (config.get("regions") or {}).get("folds") or 0
    if rule == "train_model":
        seeds = seed_list(config)
        return about in {
            "/".join(part for part in (fold, seed) if part)
            for fold in [f"fold{i}" for i in range(folds)] or [""]
            for seed in ([f"seed{seed}" for seed in seeds] if len(seeds) > 1 else [""])
        }
    name = about
    if re.match(r"fold\d+(/|$)", about):
        fold, _, name = about.partition("/")
        if int(fold.removeprefix("fold")) >= folds or not (config.get("attribution") or {}).get("each_fold"):
            return False
    if rule.startswith("download"):
        return any(file == name or file.endswith(f"/{name}") for file in downloads(config))
    if rule == "attribute_bases":
        shard = re.search(r"\.\d+of(\d+)$", name)
        if int(shard[1] if shard else 1) != shard_count(config):
            return False
        name = name[: shard.start()] if shard else name
    return name in names and _is_switched_on(rule, name, config)


def names_of_jobs(config: dict) -> frozenset[str]:
    """What jobs of a run with this config are about, besides folds and downloads."""
    methods = (config.get("attribution") or {}).get("methods") or []
    outputs, targets = model_outputs(config), [target["name"] for target in config["targets"]]
    of_methods = [f"{output}.{method}" for output in outputs for method in methods]
    sites = (config.get("aggregate") or {}).get("sites") or {}
    of_sites = (f"{site}.{each}" for site in sites for each in of_methods)
    return frozenset(["", *outputs, *targets, *of_methods, *of_sites])


def _is_switched_on(rule: str, name: str, config: dict) -> bool:
    """Whether the config asks for the results of a rule at all."""
    attribution = config.get("attribution") or {}

    def some_regions(section: dict | None) -> bool:
        return ((section or {}).get("max_regions") or 0) > 0

    if rule in ("simulate_data", "compare_with_truth"):
        return "simulate" in config
    if rule == "gather_scores":
        return shard_count(config) > 1
    if rule == "mutate_bases":
        return some_regions(attribution.get("mutagenesis"))
    if rule == "judge_explanations":
        return some_regions(config.get("faithfulness"))
    if rule == "write_difference_track":
        return bool((config.get("tracks") or {}).get("difference"))
    if rule == "predict_track":
        return config["model"]["head"] == "profile"
    if rule == "write_error_track":  # standard errors need references that differ
        settings = attribution.get(name.rpartition(".")[2]) or {}
        kind = str(settings.get("references", "")).partition(":")[0]
        return settings.get("n_references") != 1 and kind not in ("uniform", "background", "zeros")
    return True


def costs_of_rules(jobs: list[Job]) -> list[dict[str, Any]]:
    """One row a rule, the longest first.

    Returns
    -------
    list of dict
        rule; jobs (how many); seconds (of all) and longest (of one); max_rss_mb (of one; None where unknown); mean_load
        (weighted by time; None where unknown); devices (names, sorted).
    """
    rows = []
    for rule in sorted({job.rule for job in jobs}):
        own = [job for job in jobs if job.rule == rule]
        memory = [job.max_rss_mb for job in own if job.max_rss_mb is not None]
        rows.append(
            {
                "rule": rule,
                "jobs": len(own),
                "seconds": round(sum(job.seconds for job in own), 2),
                "longest": max(job.seconds for job in own),
                "max_rss_mb": max(memory, default=None),
                "mean_load": _mean_load([(job.mean_load, job.seconds) for job in own]),
                "devices": sorted({job.device for job in own if job.device}),
            }
        )
    return sorted(rows, key=lambda row: -row["seconds"])


def _read(path: Path) -> tuple[float, float | None, float | None] | None:
    """Seconds, memory and mean load of one benchmark file; None if it holds no job's record."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file, delimiter="\t") if _number(row.get("s")) is not None]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    if not rows:
        return None
    seconds = [_number(row["s"]) or 0.0 for row in rows]
    memory = [found for row in rows if (found := _number(row.get("max_rss"))) is not None]
    loads = [_number(row.get("mean_load")) for row in rows]
    load = _mean_load(list(zip(loads, seconds, strict=True)))
    return round(sum(seconds), 2), max(memory, default=None), load


def _mean_load(pairs: list[tuple[float | None, float]]) -> float | None:
    """Mean of loads, each weighted by its seconds, over those that are known."""
    known = [(load, seconds) for load, seconds in pairs if load is not None]
    total = sum(seconds for _, seconds in known)
    return round(sum(load * seconds for load, seconds in known) / total, 1) if total else None


def _number(text: str | None) -> float | None:
    """A number of a benchmark file, where NA and - mean not measured."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _device(log: Path) -> str | None:
    """Where a stage says in its log that its network ran."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            found = DEVICE.search(file.read(_START_OF_LOG))
    except OSError:
        return None
    return found[1].strip() if found else None


def devices_of_rules(jobs: list[Job]) -> dict[str, list[str]]:
    """Rule -> names of the devices on which its jobs ran, for rules that say so."""
    rows = costs_of_rules(jobs)
    return {row["rule"]: row["devices"] for row in sorted(rows, key=lambda row: row["rule"]) if row["devices"]}


def as_json(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    """The jobs as `provenance.json` lists them, without what is not known."""
    for job in jobs:
        yield {key: value for key, value in vars(job).items() if value is not None and value != ""}
