# The checked config, names used by all rules, and helpers.

import dataclasses
import json
import math
import os
import re
import sys
from pathlib import Path

import yaml

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

with open(workflow.source_path("../schemas/config.schema.yaml")) as schema:
    try:
        # Of two equal keys Snakemake takes the last. Where this is a module, the files are those of the other workflow.
        if workflow.modifier.parent_modifier is None:
            for file in workflow.configfiles:
                check_text(Path(file))
        # Where this is a module, rules of the other workflow may make files that the config names; and they may lie in
        # an object store. Then Snakemake looks for them.
        config = resolve_config(
            config,
            yaml.safe_load(schema),
            files_to_come=workflow.modifier.parent_modifier is not None
            or workflow.storage_settings.default_storage_provider is not None,
        )
    except SeqliftError as error:
        # Not raised: Snakemake would put its own file and line around a message that is about the user's file
        sys.exit(
            f"{error}\nEvery key is explained in configs/template.yaml, which `seqlift template` prints."
        )

# `.venv/bin/snakemake` works without the environment being activated
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()])
)

# Threads that wait busily make small networks several times slower where jobs share the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

# The number of threads decides in which order sums are taken, and so the last digits. A network is trained and measured
# by two also where Snakemake gives a job one core: they take turns, no slower than one, and it is the same network.
AT_LEAST_TWO_THREADS = " ".join(
    f"{library}_THREADS=$(({{threads}} < 2 ? 2 : {{threads}}))"
    for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM")
)

# glibc gives large arrays back at once and asks for them again a moment later, whose pages the system then clears
# anew, which takes long where networks are small. With both limits they are kept until the job ends.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**32))

# Logs are files: no colours and no bars in them, also where the user's shell or a CI service asks for colours
for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(variable, None)

# Where this workflow comes from, for provenance.json: its Snakefile, or the address that Snakemake fetched it from. Not
# among params, since the same workflow in another folder should rerun nothing.
os.environ.update(
    SEQLIFT_WORKFLOW=workflow.current_basedir.join("../Snakefile").get_path_or_uri(
        secret_free=True
    )
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

# What is explained: the mean of all models and, where it is asked for, that of each fold by itself, over its seeds
PARTS = ["", *(FOLDS if config["attribution"]["each_fold"] else [])]

# Profiles are read from the bigWigs themselves, counts stand in the table of regions
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
    """All files from which the regions are made, so that a changed one makes them anew."""
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


def fold_flags(wildcards):
    """Which fold a model holds out."""
    return (
        ["--fold", wildcards.fold.removeprefix("fold").rstrip("/")]
        if wildcards.fold
        else []
    )


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


def shard_flags(wildcards):
    """Which part of the regions a job explains."""
    return ["--shard", wildcards.shard] if SHARDS > 1 else []


def this_attempt(wildcards, attempt):
    """Which try of a job this is, from 1."""
    return attempt


def reference_file(wildcards):
    """The user's own references are an input, so that a changed file explains anew."""
    kind, _, path = config["attribution"][wildcards.method]["references"].partition(":")
    return path if kind == "fasta" else []


def faithfulness_references(wildcards):
    """The files of the user's own references of all methods, as bases are replaced by theirs."""
    kinds = [config["attribution"][method]["references"] for method in METHODS]
    return sorted(
        {kind.partition(":")[2] for kind in kinds if kind.startswith("fasta:")}
    )


def hit_beds(wildcards):
    """Hits to show in a genome browser; their rules come after those of the tracks."""
    return expand(
        [f"{folder}/hits.bed.gz" for folder in MOTIF_FOLDERS], length=wildcards.length
    )


def motif_folders(wildcards, input):
    """Folders of the motifs whose hits are the input. Where this is a module of another workflow, Snakemake puts its
    prefix before input files, but not before parameters."""
    return list(dict.fromkeys(os.path.dirname(file) for file in input.hits))


def gene_file(wildcards):
    """The user's genes, where there are any."""
    genes = config["report"].get("genes")
    return data_path(config, genes) if genes else []


def minus_flags(wildcards, output):
    """Where the predicted signal of the minus strand goes, where there is one."""
    return ["--output-minus", *output.minus] if output.minus else []


def sites_file(wildcards):
    """The user's file of sites to average around."""
    return SITES[wildcards.sites]


def table_without_suffix(wildcards, output):
    """What the names of a table and of what lies beside it begin with."""
    return output.table.removesuffix(".tsv")


def download_source(wildcards):
    """Address, checksum and renaming of a file that is missing; of its name the config has only one."""
    return as_json(MISSING.get(DATA_FOLDER + wildcards.file) or MISSING[wildcards.file])


def motif_database(wildcards):
    """The user's own MEME file is an input, so that a changed file names the patterns anew."""
    database = config["motifs"]["database"]
    return [] if database.startswith("jaspar:") else database
