# The checked config, names used by all rules, and helpers.

import json
import os
import re
import shutil
import sys

import yaml

from seqlift.config import (
    SIMULATED_GENOME,
    SIMULATED_PEAKS,
    data_path,
    downloads,
    resolve_config,
)
from seqlift.errors import SeqliftError

with open(Path(workflow.basedir) / "schemas" / "config.schema.yaml") as schema:
    try:
        config = resolve_config(config, yaml.safe_load(schema))
    except SeqliftError as error:
        # Not raised: Snakemake would put its own file and line around a message that is about the user's file
        sys.exit(f"{error}\nEvery key is explained in configs/template.yaml.")

# `.venv/bin/snakemake` works without the environment being activated
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()])
)

# Threads that wait busily make small networks several times slower where jobs share the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

RUN = f"results/{config['name']}/{{length}}bp"
LENGTHS = config["lengths"]
METHODS = config["attribution"]["methods"]
MUTAGENESIS = config["attribution"]["mutagenesis"]["max_regions"] > 0
PEAKS = {
    target["name"]: data_path(config, target["peaks"]) for target in config["targets"]
}
TARGETS = list(PEAKS)
GENOME = data_path(config, config["genome"]["fasta"])
SIMULATED = "simulate" in config

# The long stages show their progress on the screen as well as in their log: `2>&1 | tee -i {log}`, where -i keeps tee
# alive at Ctrl-C until the stage has said its last word. The others leave the screen to what they print at their end.

# Raised by one when a stage gives other results than before for the same input. A changed Python module reruns nothing
# by itself, and a changed comment should not.
RESULTS_VERSION = {
    "simulate": 1,
    "regions": 1,
    "train": 1,
    "attribute": 2,
    "mutagenesis": 1,
    "tracks": 1,
    "motifs": 1,
    "truth": 1,
    "report": 2,
}

# What all methods explain, and limits that mean something only where another setting is `auto`
SHARED_ATTRIBUTION = {
    key: config["attribution"][key] for key in ("max_regions", "seed")
}
AUTO_LIMITS = {
    "n_references": ["error_share", "max_references"],
    "steps": ["step_tolerance", "max_steps"],
}

# One job of a machine's GPU at a time; without a GPU, jobs run side by side on the cores
GPUS = int(
    shutil.which("nvidia-smi") is not None
    and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
)


wildcard_constraints:
    length=r"\d+",
    target="|".join(map(re.escape, TARGETS)),
    method="|".join(METHODS),


def as_flags(settings):
    """Settings as flags of `seqlift`: {"top_share": 0.5, "test": ["chr1", "chr2"]} -> --top-share 0.5 --test chr1 chr2"""
    flags = []
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, dict):
            flags += (
                [flag, *(f"{old}={new}" for old, new in value.items())] if value else []
            )
        elif isinstance(value, list):
            flags += [flag, *map(str, value)] if value else []
        else:
            flags += [flag, str(value)]
    return flags


def attribution_flags(wildcards):
    """Settings of the one method that is asked for: another method's change reruns nothing here."""
    settings = dict(config["attribution"][wildcards.method])
    for key, limits in AUTO_LIMITS.items():
        if settings.get(key) != "auto":
            for limit in limits:
                settings.pop(limit, None)
    return as_flags({"method": wildcards.method, **settings, **SHARED_ATTRIBUTION})


def mutagenesis_flags(wildcards):
    """Mutagenesis takes some of the regions that the methods explain, those that the report shows among them."""
    return as_flags(
        {
            "method": "mutagenesis",
            "sample": config["attribution"]["mutagenesis"]["max_regions"],
            "examples": config["report"]["examples"],
            **SHARED_ATTRIBUTION,
        }
    )


def reference_file(wildcards):
    """The user's own references are an input, so that a changed file explains anew."""
    kind, _, path = config["attribution"][wildcards.method]["references"].partition(":")
    return path if kind == "fasta" else []


def download_flags(wildcards):
    """Address, checksum and renaming of a file that is missing."""
    return as_flags(MISSING[wildcards.file])


def motif_database(wildcards):
    """The user's own MEME file is an input, so that a changed file names the patterns anew."""
    database = config["motifs"]["database"]
    return [] if database.startswith("jaspar:") else database
