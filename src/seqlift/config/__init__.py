"""The configuration of a run: every wrong key found before anything runs, every default filled in.

A config names the data and the settings of each stage; the workflow's schema says which keys there are, what they mean
and their defaults. A mistyped key that is ignored in silence costs a training run, so the check is strict, and it
reports all mistakes together, each with the key's path, the value, the rule and the remedy.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqlift.config.checks import (
    MissingFile,
    cross_checks,
    module_file,
    named_files,
    path_list,
)
from seqlift.config.fit import fit_checks
from seqlift.config.schema import (
    TYPE_WORDS,
    explain,
    fill_in,
    key_problems,
    make_validator,
    plain_copy,
    position,
    show,
    walk_paths,
)
from seqlift.core.settings import Settings
from seqlift.data.targets import SIGNAL_KEYS, Target, read_targets
from seqlift.errors import SeqliftError
from seqlift.motifs.settings import MotifSettings
from seqlift.regions.settings import RegionSection
from seqlift.training.settings import TrainingSettings

SECTIONS: dict[str, type[Settings]] = {"regions": RegionSection, "training": TrainingSettings, "motifs": MotifSettings}
"""Sections with rules between their keys, besides those that involve other sections."""


def resolve_config(
    config: Mapping, schema: Mapping, *, directory: str | os.PathLike = ".", files_to_come: bool = False
) -> dict:
    """Check a config against the schema, fill in the defaults and bring it into one order.

    Parameters
    ----------
    config : mapping
        The config as it was read from YAML.
    schema : mapping
        JSON schema (2020-12) of the config; `default` is filled in also in sections that are left out, and `x-rule`
        says in words what a `pattern` asks for.
    directory : path
        Folder from which relative paths start.
    files_to_come : bool
        Files that the config names need not be there yet, as rules of another workflow may make them.

    Returns
    -------
    dict
        A new config with every key. The targets of a TSV are in it as a list. Targets, lengths and
        methods are sorted, and numbers have one type, so two configs that mean the same are equal.

    Raises
    ------
    SeqliftError
        Names all that is wrong: unknown and missing keys, wrong types and values, targets named twice, splits that
        overlap, settings that contradict each other, files that are not there.
    """
    if not isinstance(config, Mapping):
        raise SeqliftError(f"The config must be {TYPE_WORDS['object']}, not {show(config)}.")
    problems = [*key_problems(config)]
    plain = plain_copy(config)
    listed, table = plain, plain.get("targets")
    if isinstance(table, str):
        targets, wrong = _read_table(plain, Path(directory))
        problems.extend(wrong)
        listed = {**plain, "targets": targets}
    validator = make_validator(schema)
    filled = fill_in(listed, schema, validator)
    broken: set[str] = set()
    for error in sorted(validator.iter_errors(filled), key=lambda error: error.validator != "type"):
        problems.extend(explain(error, schema, plain))
        broken.update(map(str, [*error.absolute_path][:1]))
    for problem in [
        *_section_checks(filled, broken),
        *cross_checks(filled, Path(directory), table),
        *fit_checks(filled, Path(directory), plain, broken),
    ]:
        if not (files_to_come and isinstance(problem[1], MissingFile)):
            problems.append(problem)
    if problems:
        raise SeqliftError(_report(problems, plain, listed, table))
    return _in_one_order(filled)


def _section_checks(filled: dict, broken: set[str]) -> Iterator[tuple[str, str]]:
    """The rules within each section, of those that have kept the schema."""
    for name, settings in SECTIONS.items():
        if name not in broken and isinstance(filled.get(name), dict):
            for key, text in settings.unchecked(filled[name]).problems():
                yield f"{name}.{key}", text


def _read_table(plain: dict, directory: Path) -> tuple[list, list[tuple[str, str]]]:
    """The targets of a TSV as a config lists them, and what is wrong with it."""
    data_dir = plain.get("data_dir", ".")
    path = directory / (data_dir if isinstance(data_dir, str) else ".") / plain["targets"]
    if path.is_dir():
        return [], [("targets", f"{show(plain['targets'])} is a folder ({path}), must be a TSV or a list of targets")]
    if not path.is_file():
        missing = f"there is no file {path}; give a list of targets, or the path of a TSV in data_dir"
        return [], [("targets", f"{show(plain['targets'])} is missing: {missing}")]
    try:
        targets = read_targets(path)  # paths as written; `data_path` resolves them like those of a list
    except SeqliftError as error:
        return [], [("targets", f"{show(plain['targets'])} cannot be read: {error}")]
    return [_as_listed(target) for target in targets], []


def _as_listed(target: Target) -> dict:
    listed: dict[str, Any] = {"name": target.name, "peaks": target.peaks}
    listed |= {key: list(getattr(target, key)) for key in SIGNAL_KEYS}
    return {**listed, "unlabelled": target.unlabelled} if target.unlabelled else listed


def _report(problems: list[tuple[str, str]], plain: dict, listed: dict, table: Any) -> str:
    """All mistakes, in the order of the config; only the first one for each value."""
    places = list(walk_paths(plain))
    problems.sort(key=lambda problem: position(problem[0], places))
    first = dict(reversed(problems))
    first = {path: first[path] for path, _ in problems}
    if isinstance(table, str) and not listed["targets"]:
        # What was read instead of the table is empty: the table itself is the one mistake to say
        first = {path: text for path, text in first.items() if path == "targets" or not path.startswith("targets")}
    count = "1 mistake" if len(first) == 1 else f"{len(first)} mistakes"
    lines = "\n".join(f"  - {_place(path, listed, table)} {text}" for path, text in first.items())
    return f"{count} in the config:\n{lines}"


def _place(path: str, listed: dict, table: Any) -> str:
    """The path of a key; for a target of a TSV that table and the target's name instead of a number."""
    if not (isinstance(table, str) and path.startswith("targets[")):
        return path
    number, _, rest = path.removeprefix("targets[").partition("]")
    return f"{table}, target {listed['targets'][int(number)]['name']!r}{rest.replace('.', ': ', 1)}"


def data_path(config: Mapping, path: str) -> str:
    """Where a file of the genome, a target or the regions lies: relative paths start in the config's `data_dir`."""
    return os.path.normpath(os.path.join(config["data_dir"], path))


def downloads(config: Mapping) -> dict[str, dict]:
    """Files of a resolved config that can be downloaded: where the config looks for them -> their sources."""
    sources = {os.path.normpath(name): source for name, source in config["downloads"].items()}
    return {
        file.place(config["data_dir"]): sources[os.path.normpath(file.path)]
        for file in named_files(config)
        if os.path.normpath(file.path) in sources
    }


def target_list(config: Mapping) -> list[Target]:
    """Targets of a resolved config, with the paths from where the workflow runs."""

    def place(path: str) -> str:
        return data_path(config, path)

    return [
        Target(
            name=target["name"],
            peaks=place(target["peaks"]),
            unlabelled=place(target["unlabelled"]) if "unlabelled" in target else "",
            **{key: tuple(map(place, target[key])) for key in SIGNAL_KEYS},
        )
        for target in config["targets"]
    ]


def shard_count(config: Mapping) -> int:
    """How many jobs share the regions of one score file."""
    most = config["attribution"]["max_regions"]
    return math.ceil(most / config["attribution"].get("shard_size", most))  # older runs had no shards


def model_outputs(config: Mapping) -> list[str]:
    """What is explained: the targets, or for the head `profile` the counts and the profile of each."""
    names = [target["name"] for target in config["targets"]]
    if config["model"]["head"] != "profile":
        return names
    return [f"{name}.{quantity}" for name in names for quantity in ("counts", "profile")]


def seed_list(config: Mapping) -> list[int]:
    """Seeds of the training, of each of which there is a model."""
    seeds = config["training"]["seed"]
    return seeds if isinstance(seeds, list) else [seeds]


def custom_source(config: Mapping, directory: str | os.PathLike = ".") -> Path | None:
    """The file of a custom model class, if the model is one and its file is found."""
    module, separator, _ = config["model"]["type"].partition(":")
    return module_file(module, directory) if separator else None


def _in_one_order(config: dict) -> dict:
    def by_name(target: dict) -> tuple[str, str]:
        return target["name"].casefold(), target["name"]

    def with_lists(target: dict) -> dict:
        return {key: path_list(value) if key in SIGNAL_KEYS else value for key, value in target.items()}

    attribution = {**config["attribution"], "methods": sorted(config["attribution"]["methods"])}
    seeds = sorted(map(int, seed_list(config)))
    training = {**config["training"], "seed": seeds if len(seeds) > 1 else seeds[0]}
    return {
        **config,
        "downloads": dict(sorted(config["downloads"].items())),
        "targets": sorted(map(with_lists, config["targets"]), key=by_name),
        "lengths": sorted(config["lengths"]),
        "training": training,
        "attribution": attribution,
    }
