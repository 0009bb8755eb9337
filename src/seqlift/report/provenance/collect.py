"""Where a result comes from: versions, commits, settings, seeds, checksums of the inputs, devices, time and memory.

A number that nobody can trace back is worth little a year later. `provenance.json` is the one file of results that is
there for the time and the machine, and it has all of both. What else differs when the same run is repeated on the same
machine: the table of times in `report.html` (the element with the id `costs`, and nothing outside it), the column
`seconds` of `history.tsv`, and the folders `logs` and `benchmarks`.

Checksums are taken when the report is written, in one pass through each file that holds a piece of it in memory, and
kept in the cache beside those of genomes for as long as the file's size, dates and inode stay. So a bigWig of
gigabytes is read once for all lengths, runs and reports. An input that changed after its use would have made Snakemake
use it again.
"""

import contextlib
import datetime
import functools
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import re
import runpy
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqlift.config import custom_source
from seqlift.config.checks import named_files
from seqlift.core.files import replacing
from seqlift.data.genome import known_checksum
from seqlift.report.provenance.costs import Job, costs_of_rules

log = logging.getLogger(__name__)

FORMAT = "seqlift provenance 2"
PACKAGES = (
    "seqlift",
    "torch",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "numba",
    "h5py",
    "modisco-lite",
    "memelite",
    "logomaker",
    "matplotlib",
    "pyjaspar",
    "pyfaidx",
    "pyBigWig",
    "jinja2",
    "snakemake",
)


def collect_provenance(
    config: dict,
    regions: dict,
    metrics: dict,
    attributions: dict[str, dict],
    *,
    jobs: Sequence[Job] = (),
    workflow: str | None = None,
) -> dict[str, Any]:
    """Gather what one needs to know to repeat a run.

    Parameters
    ----------
    config : dict
        The resolved configuration.
    regions, metrics : dict
        regions.json and model/metrics.json of the run.
    attributions : dict
        Score file's name -> its attributes.
    jobs : sequence of Job
        What `seqlift.report.provenance.costs.read_jobs` found.
    workflow : str, optional
        Snakefile of the workflow that made the run, or the address that Snakemake had it from.

    Returns
    -------
    dict
        As docs/files.md lists it.
    """
    rules = costs_of_rules(list(jobs))
    devices = {row["rule"]: row["devices"] for row in sorted(rules, key=lambda row: row["rule"]) if row["devices"]}
    if "evaluate_model" not in devices and metrics.get("device"):  # stages run by hand have no logs
        devices["evaluate_model"] = [str(metrics["device"])]
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
        "commit": commit_of(Path(__file__)),
        "workflow": None if workflow is None else _describe_workflow(workflow),
        "platform": platform.platform(),
        "devices": devices,
        "seeds": _seeds(config, metrics),
        "inputs": _inputs(config, regions),
        "motif_database": metrics.get("database"),
        "attributions": {name: _plain(attributes) for name, attributes in attributions.items()},
        "rules": rules,
        "jobs": [{key: value for key, value in job._asdict().items() if value not in (None, "")} for job in jobs],
        "config": config,
    }


def write_provenance(path: str | os.PathLike, provenance: dict) -> None:
    """Write `provenance` as JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(provenance, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def package_versions() -> dict[str, str]:
    """Version of Python and of every package that takes part in a result; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions | _cuda_versions()


def _cuda_versions() -> dict[str, str]:
    """CUDA and cuDNN that torch was built with; nothing for one that knows only the CPU."""
    cuda = _cuda_of_torch()
    if cuda is None:
        return {}
    import torch  # takes a second or two, which only this needs

    return {"cuda": cuda, "cudnn": str(torch.backends.cudnn.version())}


def _cuda_of_torch() -> str | None:
    """The CUDA that torch was built with, as it notes beside its code: reading that does not import all of it."""
    installed = importlib.util.find_spec("torch")
    if installed is None or installed.origin is None:
        return None
    cuda: str | None = runpy.run_path(str(Path(installed.origin).with_name("version.py")))["cuda"]
    return cuda


def commit_of(file: Path) -> str | None:
    """Commit of the checkout that a file is of, with `-dirty` after it if files of it differ; None outside one.

    A package installed into an environment that lies inside some other checkout is not of that checkout: the commit
    counts only if git tracks this very file.
    """
    file = file.resolve()

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(file.parent), *arguments], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):  # no git on this machine
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", file.name) is None:
        return None
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if git("status", "--porcelain", "--untracked-files=no") else commit


def _describe_workflow(source: str) -> dict[str, str | None]:
    """Where the workflow's Snakefile is, and its commit if that is on this machine: an address names it, or a tag."""
    if not Path(source).is_file():
        return {"source": source, "commit": None}
    return {"source": os.path.abspath(source), "commit": commit_of(Path(source))}


def _inputs(config: dict, regions: dict) -> list[dict[str, str | None]]:
    """Role, path and sha256 of every file that the run was made from; a file of several roles is read once."""
    genome, known = regions["genome"], functools.cache(sha256)
    inputs = [{"role": "genome", "path": str(genome["path"]), "sha256": genome.get("sha256")}]
    inputs += [{"role": role, "path": path, "sha256": known(path)} for role, path in input_files(config)]
    log.info("%d input files besides the genome, with their checksums", len({each["path"] for each in inputs[1:]}))
    return inputs


def input_files(config: dict) -> Iterator[tuple[str, str]]:
    """Role and path of every input file besides the genome that a resolved config names and the run uses."""
    for file in named_files(config):
        section, _, rest = re.sub(r"\[\d+\]$", "", file.key).partition(".")
        name = rest.replace("_", " ").removesuffix(" file")
        if section.startswith("targets"):
            target = config["targets"][int(section.removeprefix("targets[").rstrip("]"))]["name"]
            name = f"{rest.replace('_', ', ')} of {target}"
        elif section == "attribution":
            method = rest.partition(".")[0]
            if method not in config[section].get("methods", ()):
                continue
            name = f"references of {method}"
        elif section == "motifs":
            name = "motif database"
        elif section == "aggregate":
            name = rest.replace(".", " ", 1)
        if section != "genome":
            yield name, file.place(config.get("data_dir", "."))
    source = custom_source(config) if config.get("model") else None
    if source is not None:
        yield "model class", str(source)


def sha256(path: str | os.PathLike) -> str | None:
    """Checksum of a file; None if it is not there any more."""
    try:
        return known_checksum(path)
    except OSError:
        return None


def _seeds(config: dict, metrics: dict) -> dict[str, Any]:
    """Every seed of the config by its key, and that of the bootstraps, which is none of its keys."""
    seeds = {key: value for key, value in _flatten(config) if key.split(".")[-1] in ("seed", "seeds")}
    bootstrap = (metrics.get("bootstrap") or {}).get("seed")
    return seeds if bootstrap is None else {**seeds, "bootstrap": bootstrap}


def _flatten(config: dict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys with their sections before them, and values."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(attributes: dict) -> dict:
    """HDF5 attributes as values that JSON has."""
    return {
        key: value.item()
        if hasattr(value, "item") and getattr(value, "ndim", 0) == 0
        else str(value)
        if not isinstance(value, str | int | float | bool | None)
        else value
        for key, value in attributes.items()
    }
