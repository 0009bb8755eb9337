"""Where a result comes from: versions, commit, settings, checksums of the inputs, device and time.

A number that nobody can trace back is worth little a year later. `provenance.json` is the one file of a run that holds
the time and the machine; every other file is the same when the same run is repeated.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqlift.files import replacing
from seqlift.genome import sha256_of

FORMAT = "seqlift provenance 1"
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


def collect_provenance(config: dict, regions: dict, metrics: dict, attributions: dict[str, dict]) -> dict:
    """Gather what one needs to know to repeat a run.

    Parameters
    ----------
    config : dict
        The resolved configuration.
    regions, metrics : dict
        regions.json and model/metrics.json of the run.
    attributions : dict
        Score file's name -> its attributes.

    Returns
    -------
    dict
        `format`, `created` (UTC, ISO 8601), `versions`, `commit` (of the checkout seqlift runs from, or None),
        `platform`, `device`, `seeds`, `inputs` (path, sha256, role), `attributions` and `config`.
    """
    genome = regions["genome"]
    inputs = [{"role": "genome", "path": str(genome["path"]), "sha256": genome.get("sha256")}]
    inputs += [{"role": role, "path": path, "sha256": sha256(path)} for role, path in _files(regions)]
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
        "commit": source_commit(),
        "platform": platform.platform(),
        "device": str(metrics.get("device", "unknown")),
        "seeds": {key: value for key, value in _flatten(config) if key.split(".")[-1] == "seed"},
        "inputs": inputs,
        "attributions": {name: _plain(attributes) for name, attributes in attributions.items()},
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
    return versions


def source_commit() -> str | None:
    """Commit of the checkout that this package runs from, with `-dirty` after it if files differ; None outside one.

    A package installed into an environment that lies inside some other checkout is not of that checkout: the commit
    counts only if git tracks this very file.
    """
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here.parent), *arguments], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):  # no git on this machine
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if git("status", "--porcelain", "--untracked-files=no") else commit


def sha256(path: str | os.PathLike) -> str | None:
    """Checksum of a file; None if it is not there any more."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def _files(regions: dict) -> Iterator[tuple[str, str]]:
    """Role and path of every file besides the genome that the regions were made from."""
    for target, peaks in regions["peaks"].items():
        yield f"peaks of {target}", str(peaks["path"])
    for target, files in ((regions.get("signal") or {}).get("files") or {}).items():
        for kind, paths in files.items():
            for path in paths:
                yield f"{kind.replace('_', ', ')} of {target}", str(path)
    negatives = (regions.get("negatives") or {}).get("file")
    if negatives:
        yield "negatives", str(negatives)
    for kind in ("exclude_regions", "include_regions"):
        for path in (regions.get("settings") or {}).get(kind) or ():
            yield kind.replace("_", " "), str(path)


def _flatten(config: dict, prefix: str = "") -> Iterator[tuple[str, Any]]:
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
