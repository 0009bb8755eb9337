"""What the jobs of a run cost: time, memory, load and device, from what Snakemake and the stages left behind.

Snakemake writes one table for each job, `benchmarks/<rule>/<what it is about>.tsv`, with one line for each repeat. The
job's log has the same name in `logs/`, and a stage that runs a network writes there on which device. Both files stay
when the config changes, so the jobs of an earlier config of the run are among those listed here.
"""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

REPORT = "write_report"  # still runs while the table is made: its record is of an earlier report
DEVICE = re.compile(r"^device: (.+)$", re.MULTILINE)  # what a stage writes into its log
_START_OF_LOG = 100_000  # characters that contain it


class Job(NamedTuple):
    """One job of a run, as it last ran; what was not measured is None."""

    rule: str
    about: str  # what tells it from other jobs of the rule: target, method, fold; empty where there is one job
    seconds: float  # of all repeats together
    max_rss_mb: float | None  # the most memory at a time, in MB (2^20 bytes)
    mean_load: float | None  # CPU time as a percentage of the seconds; over 100 where several cores worked
    device: str | None  # on which its network ran


def read_jobs(directory: str | os.PathLike) -> list[Job]:
    """The jobs of a run that left a record, sorted by rule and name.

    Those of the folder above, which all lengths share (simulation, downloads), are included; the report's own is not,
    as it has not ended when this is called. Files that hold no record of Snakemake's are passed over.

    Parameters
    ----------
    directory : path-like
        results/<name>/<length>bp
    """
    directory = Path(directory).absolute()
    jobs = []
    for folder in (directory.parent, directory):
        for path in (folder / "benchmarks").rglob("*.tsv"):
            name = path.relative_to(folder / "benchmarks").with_suffix("").as_posix()
            rule, about = _split_name(name)
            cost = _read(path) if rule != REPORT else None
            if cost is not None:
                jobs.append(Job(rule, about, *cost, _device(folder / "logs" / f"{name}.log")))
    return sorted(jobs, key=lambda job: job[:2])


def costs_of_rules(jobs: list[Job]) -> list[dict[str, Any]]:
    """One row for each rule, the longest first.

    Returns
    -------
    list of dict
        rule; jobs (their number); seconds (of all) and longest (of one); max_rss_mb (of one; None where unknown);
        mean_load (weighted by time; None where unknown); devices (names, sorted).
    """
    rows = []
    for rule, own in pd.DataFrame(jobs, columns=Job._fields).groupby("rule"):
        rows.append(
            {
                "rule": rule,
                "jobs": len(own),
                "seconds": round(own["seconds"].sum(), 2),
                "longest": own["seconds"].max(),
                "max_rss_mb": _known(own["max_rss_mb"].astype(float).max()),
                "mean_load": _mean_load(own["mean_load"], own["seconds"]),
                "devices": sorted(set(own["device"].dropna())),
            }
        )
    return sorted(rows, key=lambda row: -row["seconds"])


def _split_name(name: str) -> tuple[str, str]:
    """Rule and what the job is about: fold1/train_model, attribute_bases/fold1/TAL1.deeplift -> fold1, the rest."""
    model = re.match(r"((?:fold\d+/)?(?:seed\d+/)?)(.*)", name)
    assert model is not None  # it matches every name
    rule, _, about = model[2].partition("/")
    return rule, (model[1] + about).rstrip("/")


def _read(path: Path) -> tuple[float, float | None, float | None] | None:
    """Seconds, memory and mean load of one benchmark file; None if it holds no job's record."""
    try:
        table = pd.read_csv(path, sep="\t", usecols=["s", "max_rss", "mean_load"], na_values="-").astype(float)
    except (OSError, ValueError):  # ValueError: pandas' and Unicode errors too
        return None
    table = table[table["s"].notna()]
    if table.empty:
        return None
    load = _mean_load(table["mean_load"], table["s"])
    return round(float(table["s"].sum()), 2), _known(table["max_rss"].max()), load


def _mean_load(loads: pd.Series, seconds: pd.Series) -> float | None:
    """Mean of the loads that are known, each weighted by its seconds."""
    known = seconds.where(loads.notna(), 0.0)
    return round(float((loads.astype(float) * known).sum() / known.sum()), 1) if known.sum() else None


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _device(log: Path) -> str | None:
    """The device on which a network ran, from the log of its stage."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            found = DEVICE.search(file.read(_START_OF_LOG))
    except OSError:
        return None
    return found[1].strip() if found else None
