# The checked config, names used by all rules, and helpers.

import dataclasses
import hashlib
import json
import math
import os
import re
import shlex
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from seqlift.config import (
    custom_source,
    data_path,
    downloads,
    model_outputs,
    resolve_config,
    seed_list,
    shard_count,
    target_list,
)
from seqlift.config.checks import SIMULATED_GENOME, SIMULATED_PEAKS
from seqlift.config.text import check_text
from seqlift.errors import SeqliftError
from seqlift.core.gpus import visible_gpus
from seqlift.data.targets import targets_text

# As a module of another workflow, or with files in an object store: a file that the config names may be made later
MODULE = workflow.modifier.parent_modifier is not None
STORAGE = workflow.storage_settings.default_storage_provider is not None

with open(workflow.source_path("../schemas/config.schema.yaml")) as schema:
    try:
        # Of two equal keys Snakemake takes the last. In a module, the files are those of the other workflow.
        for file in [] if MODULE else workflow.configfiles:
            check_text(Path(file))
        config = resolve_config(
            config, yaml.safe_load(schema), files_to_come=MODULE or STORAGE
        )
    except SeqliftError as error:
        raise WorkflowError(
            f"{error}\nEvery key is explained in configs/template.yaml, which `seqlift template` prints."
        ) from None

# `.venv/bin/snakemake` works without the environment being activated. Conda and containers bring their own `seqlift`.
if not MODULE and not workflow.deployment_settings.deployment_method:
    shell.prefix(
        f"set -euo pipefail; PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
    )

# The number of threads decides in which order sums are computed, and so the last digits. A network is trained and
# evaluated by two threads also where Snakemake gives a job one core: they share it, and it is the same network.
AT_LEAST_TWO_THREADS = " ".join(
    f"{library}_THREADS=$(({{threads}} < 2 ? 2 : {{threads}}))"
    for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM")
)

# Where this workflow comes from, for provenance.json: its Snakefile, or the address that Snakemake fetched it from.
WORKFLOW_SOURCE = workflow.current_basedir.join("../Snakefile").get_path_or_uri(
    secret_free=True
)

RUN = f"results/{config['name']}/{{length}}bp"
LENGTHS = config["lengths"]
METHODS = config["attribution"]["methods"]
MUTAGENESIS = config["attribution"]["mutagenesis"]["max_regions"] > 0
TARGETS = [dataclasses.asdict(target) for target in target_list(config)]
HEAD = config["model"]["head"]

# What is explained, each with scores, tracks and motifs of its own: a target, or its counts and its profile
OUTPUTS = model_outputs(config)

# One model, or one for each fold and seed in a folder of its own
FOLDS = [f"fold{fold}/" for fold in range(config["regions"].get("folds", 0))] or [""]
SEEDS = seed_list(config)
SEED_FOLDERS = [f"seed{seed}/" for seed in SEEDS] if len(SEEDS) > 1 else [""]
MODELS = expand(
    f"{RUN}/model/{{fold}}{{seed}}model.ckpt",
    fold=FOLDS,
    seed=SEED_FOLDERS,
    allow_missing=True,
)
HISTORIES = expand(
    f"{RUN}/model/{{fold}}{{seed}}history.tsv",
    fold=FOLDS,
    seed=SEED_FOLDERS,
    allow_missing=True,
)

# What is explained: the mean of all models and, with `each_fold`, that of each fold by itself, over its seeds
PARTS = ["", *(FOLDS if config["attribution"]["each_fold"] else [])]

# Profiles are read from the bigWigs themselves, counts are in the table of regions
SIGNAL_FILES = sorted(
    {
        file
        for target in TARGETS
        for key in ("signal", "signal_minus", "control", "control_minus")
        for file in target[key]
        if HEAD == "profile"
    }
)

GENOME = data_path(config, config["genome"]["fasta"])
SIMULATED = "simulate" in config

# All that a stage says goes into its log. The long ones show it on the screen as well: `2>&1 | tee -i {log}`, where -i
# keeps tee alive at Ctrl-C until the stage has said its last word. The others leave the screen to Snakemake, which shows
# the log of a job that failed (show-failed-logs in the profiles): `> {log} 2>&1`.

# Raised by one when a stage gives other results than before for the same input. A changed Python module reruns nothing
# by itself, and a changed comment should not.
RESULTS_VERSION = {
    "simulate": 1,
    "regions": 2,
    "train": 3,
    "evaluate": 1,
    "attribute": 3,
    "mutagenesis": 2,
    "tracks": 2,
    "motifs": 3,
    "logos": 2,
    "hits": 1,
    "compendium": 1,
    "grammar": 1,
    "aggregate": 1,
    "faithfulness": 2,
    "truth": 3,
    "report": 6,
}

# What all methods explain, and limits that mean something only where another setting is `auto`
SHARED_ATTRIBUTION = {
    key: config["attribution"][key] for key in ("max_regions", "seed")
}
AUTO_LIMITS = {
    "n_references": ["max_relative_error", "max_references"],
    "steps": ["step_tolerance", "max_steps"],
}

# A job of a stage that can use a GPU gets one where there is one; what it gets is what it uses (--device gpu=...)
GPUS = 1 if visible_gpus() else 0


wildcard_constraints:
    length=r"\d+",
    fold=r"(fold\d+/)?",
    seed=r"(seed\d+/)?",
    part=r"(fold\d+/)?",
    target="|".join(map(re.escape, OUTPUTS)),
    method="|".join(METHODS),
    shard=r"\d+of\d+",


def as_json(settings):
    """Settings of a stage as the value of its flag --settings; one text for settings that are equal."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)


class InFile(str):
    """A long text in a command: the path of a file that holds it.

    Snakemake passes each command to bash as one argument, for which Linux allows 131,072 bytes. The file is written when
    the command is put together, so a dry run writes none, and on a cluster the machine that runs the job has it.
    `script:` could pass lists, too, but then each new copy of the workflow would run these rules again.
    """

    def __format__(self, spec):
        content = self.encode()
        path = Path(".snakemake/auxiliary") / hashlib.sha256(content).hexdigest()
        part = path.with_suffix(f".{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
        return str(path)


def listed(name):
    """The input files with this name, as a list in a file: `--flag @{params.name}` gives them to a stage."""
    return lambda wildcards, input: InFile("".join(f"{file}\n" for file in input[name]))


def files_flag(flag, files):
    """A flag with files, and nothing where there are none."""
    return [flag, *([files] if isinstance(files, str) else files)] if files else []


def input_folder(wildcards, input):
    """Where the input files' relative paths begin: here or, for copies of files in an object store, another folder."""
    return input.genome.removesuffix(GENOME) or "."


# The settings that name files
REGION_FILES = ("exclude_regions", "include_regions", "negatives_file")


def region_file_flags(wildcards, input):
    """The user's files, where they lie. Apart from the other settings: Snakemake does not compare parameters that are
    made from the input with those of the last run (these files are input themselves).
    """

    def place(path):
        return os.path.normpath(
            os.path.join(input_folder(wildcards, input), data_path(config, path))
        )

    flags = []
    for key in REGION_FILES:
        value = config["regions"].get(key) or []
        paths = [value] if isinstance(value, str) else value
        flags += files_flag(
            f"--{key.replace('_', '-')}", [place(path) for path in paths]
        )
    return flags


def regions_settings(wildcards):
    """Settings of the regions without those that name files, and how the signal is read where there is any. Negatives
    from a file and that file go together, so the kind is a flag, too."""
    settings = {
        key: value
        for key, value in config["regions"].items()
        if key not in (*REGION_FILES, "negatives")
    }
    if any(target["signal"] for target in TARGETS):
        signal = dict(config["signal"])
        settings |= {"signal_window": signal.pop("window"), **signal}
    settings["jitter"] = config["training"]["jitter"]
    return as_json({**settings, "length": int(wildcards.length)})


def regions_files():
    """All files from which the regions are made, so that a changed one makes them again."""
    files = [
        data_path(config, path)
        for key in ("exclude_regions", "include_regions")
        for path in config["regions"][key]
    ]
    if "negatives_file" in config["regions"]:
        files.append(data_path(config, config["regions"]["negatives_file"]))
    for target in TARGETS:
        for key, value in target.items():
            if key != "name":
                files += [value] if isinstance(value, str) else value
    return sorted({file for file in files if file})


def training_settings(wildcards):
    """Settings of the training, without those that another head has, and of several seeds the one of this model."""
    seed = int(wildcards.seed.removeprefix("seed").rstrip("/") or SEEDS[0])
    settings = {**config["training"], "seed": seed}
    for key, head in {"class_weights": "classes", "count_weight": "profile"}.items():
        if HEAD != head:
            settings.pop(key)
    return as_json(settings)


def explained_models(wildcards):
    """The models of all folds and seeds, whose mean is explained, or those of one fold."""
    return expand(
        f"{RUN}/model/{{fold}}{{seed}}model.ckpt",
        fold=[wildcards.part] if wildcards.part else FOLDS,
        seed=SEED_FOLDERS,
        length=wildcards.length,
    )


def attribution_settings(wildcards):
    """Settings of one method: a change of another method reruns nothing here."""
    settings = dict(config["attribution"][wildcards.method])
    for key, limits in AUTO_LIMITS.items():
        if settings.get(key) != "auto":
            for limit in limits:
                settings.pop(limit, None)
    model_std = config["attribution"]["model_std"] and not wildcards.part
    shared = {**SHARED_ATTRIBUTION, "model_std": model_std}
    return as_json({**shared, wildcards.method: settings})


def motif_folders(wildcards, input):
    """Folders of the motifs whose hits are the input, as a list in a file. From the input, since Snakemake puts the
    prefix of a module before input files, but not before parameters."""
    folders = dict.fromkeys(os.path.dirname(file) for file in input.hits)
    return InFile("".join(f"{folder}\n" for folder in folders))


def reference_files(method):
    """The FASTA file of the user's own references, if any: a changed file explains again."""
    kind, _, path = config["attribution"][method]["references"].partition(":")
    return [path] if kind == "fasta" else []


def gene_file(wildcards):
    """The user's genes, where there are any."""
    genes = config["report"].get("genes")
    return data_path(config, genes) if genes else []


def motif_database(wildcards):
    """The user's own MEME file is an input, so that a changed file names the patterns again."""
    database = config["motifs"]["database"]
    return [] if database.startswith("jaspar:") else database
