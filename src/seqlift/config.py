"""The configuration of a run: every wrong key found before anything runs, every default filled in.

A config names the data and the settings of each stage; the workflow's schema says which keys there are, what they mean
and their defaults. A mistyped key that is ignored in silence costs a training run, so the check is strict, and it
reports all mistakes together, each with the key's path, the value, the rule and the remedy.
"""

import difflib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from seqlift.errors import SeqliftError

SIMULATED_GENOME = "genome.fa"
SIMULATED_PEAKS = ("both.bed", "GATA1.bed", "TAL1.bed")
"""Files that `seqlift simulate` makes, relative to the config's `data_dir`."""

_FEW_REFERENCES = {
    "uniform": "all alike",
    "background": "all alike",
    "zeros": "all alike",
    "fasta": "as many as in the file",
}
"""Kinds of which more references bring nothing new, and why."""

_TYPE_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section with keys of its own",
}


def resolve_config(config: Mapping, schema: Mapping, *, directory: str | os.PathLike = ".") -> dict:
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

    Returns
    -------
    dict
        A new config with every key. Targets, lengths and methods are sorted, and numbers have one type, so two configs
        that mean the same are equal.

    Raises
    ------
    SeqliftError
        Names all that is wrong: unknown and missing keys, wrong types and values, targets named twice, chromosomes in
        two splits, files that are not there.
    """
    if not isinstance(config, Mapping):
        raise SeqliftError(f"The config must be {_TYPE_WORDS['object']}, not {_show(config)}.")
    problems = [*_key_problems(config)]
    plain = _plain(config)
    validator = _validator(schema)
    filled = _fill(plain, schema, validator)
    for error in sorted(validator.iter_errors(filled), key=lambda error: error.validator != "type"):
        problems.extend(_explain(error, schema, plain))
    problems.extend(_cross_checks(filled, Path(directory)))
    if problems:
        # In the order of the user's own file; of several things wrong with one value the first says most
        places = list(_walk_paths(plain))
        problems.sort(key=lambda problem: _position(problem[0], places))
        first = dict(reversed(problems))
        first = {path: first[path] for path, _ in problems}
        count = "1 mistake" if len(first) == 1 else f"{len(first)} mistakes"
        lines = "\n".join(f"  - {path} {text}" for path, text in first.items())
        raise SeqliftError(f"{count} in the config:\n{lines}")
    return _in_one_order(filled)


def data_path(config: Mapping, path: str) -> str:
    """Where a genome or peak file of a resolved config lies: relative paths start in its `data_dir`."""
    return os.path.normpath(os.path.join(config["data_dir"], path))


def downloads(config: Mapping) -> dict[str, dict]:
    """Files of a resolved config that can be downloaded: path relative to `data_dir` -> its `download` section."""
    named = [(config["genome"]["fasta"], config["genome"]), *((t["peaks"], t) for t in config["targets"])]
    return {path: section["download"] for path, section in named if "download" in section}


def _is_finite_number(_checker, value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _validator(schema: Mapping):
    # .nan and .inf are numbers to YAML, but no setting can mean them
    types = Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number)
    return extend(Draft202012Validator, type_checker=types)(schema)


def _plain(value: Any) -> Any:
    """Copy of nested mappings and lists with text keys, as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _key_problems(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield _join(path, key), f"is a key that is not text; put it in quotes: '{key}'"
            yield from _key_problems(item, _join(path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _key_problems(item, f"{path}[{index}]")


def _resolve(node: Mapping, root: Mapping) -> dict:
    """A node of the schema with its `$ref` laid under its own keys."""
    if not isinstance(node, Mapping):
        return {}
    reference = node.get("$ref")
    if reference is None:
        return dict(node)
    target = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return {**_resolve(target, root), **{key: value for key, value in node.items() if key != "$ref"}}


def _branches(node: Mapping, value: Any, validator) -> Iterator[Mapping]:
    """The node itself, then the `then` of each of its conditions that `value` meets."""
    yield node
    for condition in node.get("allOf", []):
        if validator.evolve(schema=condition["if"]).is_valid(value):
            yield _resolve(condition["then"], validator.schema)


def _fill(value: Any, node: Mapping, validator) -> Any:
    """Copy of `value` with the schema's defaults, its keys in the schema's order, its numbers of the schema's type."""
    root = validator.schema
    node = _resolve(node, root)
    if isinstance(value, dict):
        filled = dict(value)
        order = []
        for branch in _branches(node, filled, validator):
            for key, below in branch.get("properties", {}).items():
                below = _resolve(below, root)
                if key not in filled and "default" in below:
                    filled[key] = _plain(below["default"])
                if key in filled and below:  # `true` stands for a key that another branch describes
                    filled[key] = _fill(filled[key], below, validator)
                if key in filled and key not in order:
                    order.append(key)
        return {key: filled[key] for key in [*order, *(key for key in filled if key not in order)]}
    if isinstance(value, list):
        return [_fill(item, node.get("items", {}), validator) for item in value]
    if _is_finite_number(None, value):
        types = [branch.get("type") for branch in (node, *node.get("anyOf", []))]
        if "number" in types:
            return float(value)
        if "integer" in types and float(value).is_integer():
            return int(value)
    return value


def _explain(error: ValidationError, schema: Mapping, plain: dict) -> Iterator[tuple[str, str]]:
    """What a user needs to know of one schema error: (path, text), for each key concerned."""
    path, value, rule = _path(error.absolute_path), error.instance, error.validator_value
    kind, node = error.validator, error.schema
    if kind == "additionalProperties":
        known = list(node.get("properties", {}))
        for key in value:
            if key not in known:
                yield _join(path, key), f"is an unknown key; {_suggest_key(key, known, schema)}"
    elif kind == "required":
        for key in rule:
            if key not in value:
                below = _resolve(node["properties"][key], schema)
                yield _join(path, key), f"is missing; add it: {_first_sentence(below)}"
    elif kind == "type":
        yield path, _explain_type(value, rule)
    elif kind == "enum":
        yield path, f"{_show(value)} must be one of {', '.join(map(str, rule))}{_did_you_mean(value, rule)}"
    elif kind in ("pattern", "anyOf"):
        yield path, f"{_show(value)} must be {node.get('x-rule', rule)}"
    elif kind in ("minItems", "minLength"):
        yield path, f"must not be empty; {_first_sentence(node)}".removesuffix("; ")
    elif kind == "uniqueItems":
        twice = next(item for index, item in enumerate(value) if item in value[:index])
        yield path, f"holds {_show(twice)} twice; delete one"
    else:
        words = {
            "minimum": "at least",
            "exclusiveMinimum": "greater than",
            "maximum": "at most",
            "exclusiveMaximum": "less than",
            "multipleOf": "a multiple of",
        }
        yield path, f"{_show(value)} must be {words.get(kind, kind)} {rule}"


def _explain_type(value: Any, expected: str) -> str:
    wanted = _TYPE_WORDS[expected]
    if value is None:
        return f"is empty, must be {wanted}; give it a value or delete the key"
    remedy = ""
    if expected in ("integer", "number") and isinstance(value, str) and _is_number_text(value):
        # PyYAML takes 1e-3 for text (YAML 1.1 wants 1.0e-3), and Snakemake hands on nested --config values as text
        number = float(value)
        remedy = (
            f"; write it as {int(number) if number.is_integer() else number}, without quotes "
            "(nested values given with --config are text, put them in a second --configfile)"
        )
    elif expected == "string" and isinstance(value, int | float):
        remedy = "; put it in quotes (YAML takes words like 1, 2.5, no and on for numbers and true/false)"
    elif expected == "array" and isinstance(value, str | int | float):
        remedy = f"; write [{value}]"
    return f"{_show(value)} must be {wanted}{remedy}"


def _is_number_text(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _cross_checks(config: dict, directory: Path) -> Iterator[tuple[str, str]]:
    """Rules that hold between keys; parts that already broke the schema are passed over."""
    targets = [(index, target) for index, target in enumerate(_list(config.get("targets"))) if isinstance(target, dict)]
    yield from _check_names(targets)
    yield from _check_chromosomes(_dict(config.get("regions")))
    yield from _check_lengths(config)
    yield from _check_merging(config)
    yield from _check_model(_dict(config.get("model")))
    yield from _check_attribution(_dict(config.get("attribution")), directory)
    yield from _check_files(config, targets, directory)


def _check_names(targets: list[tuple[int, dict]]) -> Iterator[tuple[str, str]]:
    names: dict[str, tuple[int, str]] = {}
    peaks: dict[str, int] = {}
    for index, target in targets:
        name, file = target.get("name"), target.get("peaks")
        if isinstance(name, str):
            first, other = names.setdefault(name.casefold(), (index, name))
            if first != index:
                same = "is the name of" if other == name else f"differs only in upper and lower case from {other!r},"
                yield (
                    f"targets[{index}].name",
                    f"{_show(name)} {same} targets[{first}], too; give each target a name of its own",
                )
            if name.casefold() == "negative":
                yield f"targets[{index}].name", f"{_show(name)} stands for the negatives; choose another name"
        if isinstance(file, str):
            first = peaks.setdefault(os.path.normpath(file), index)
            if first != index:
                yield (
                    f"targets[{index}].peaks",
                    f"{_show(file)} is the file of targets[{first}], too; each target needs peaks of its own",
                )


def _check_chromosomes(regions: dict) -> Iterator[tuple[str, str]]:
    valid = _list(regions.get("valid"))
    for index, chromosome in enumerate(_list(regions.get("test"))):
        if chromosome in valid:
            yield (
                f"regions.test[{index}]",
                f"{_show(chromosome)} is in regions.valid, too; a chromosome can be in one split only",
            )


def _check_lengths(config: dict) -> Iterator[tuple[str, str]]:
    lengths = [length for length in _list(config.get("lengths")) if _is_finite_number(None, length)]
    for index, length in enumerate(lengths):
        if length in lengths[:index]:
            yield f"lengths[{index}]", f"{_show(length)} stands there twice; delete one"


def _check_merging(config: dict) -> Iterator[tuple[str, str]]:
    lengths = [length for length in _list(config.get("lengths")) if _is_finite_number(None, length)]
    distance = _dict(config.get("regions")).get("merge_distance")
    if lengths and _is_finite_number(None, distance) and 2 * distance >= min(lengths) > 0:
        yield (
            "regions.merge_distance",
            f"{_show(distance)} must be smaller than half the shortest length (={min(lengths)}), so that a merged "
            "summit lies inside the window",
        )


def _check_model(model: dict) -> Iterator[tuple[str, str]]:
    if model.get("type") == "basset":
        blocks = {key: model.get(key) for key in ("filters", "kernels", "pools")}
        if all(isinstance(value, list) for value in blocks.values()) and len(set(map(len, blocks.values()))) > 1:
            counts = ", ".join(f"{key} has {len(value)}" for key, value in blocks.items())
            yield "model", f"filters, kernels and pools need one entry for each block; {counts}"


def _check_attribution(attribution: dict, directory: Path) -> Iterator[tuple[str, str]]:
    for method in ("deeplift", "interior_gradients"):
        settings = _dict(attribution.get(method))
        references = settings.get("references")
        if not isinstance(references, str):
            continue
        key = f"attribution.{method}"
        kind, _, rest = references.partition(":")
        if kind == "fasta":
            yield from _check_file(f"{key}.references", rest, directory / rest, "")
        elif kind == "background" and not math.isclose(sum(_numbers(rest)), 1, abs_tol=0.01):
            yield f"{key}.references", f"{_show(references)} must be four shares, of A, C, G and T, that sum to 1"
        elif kind == "genomic" and rest and not all(0 <= number <= 1 for number in _numbers(rest)):
            yield f"{key}.references", f"{_show(references)} must have a tolerance in GC content from 0 to 1"
        if settings.get("n_references") == "auto" and kind in _FEW_REFERENCES:
            yield (
                f"{key}.n_references",
                f"(='auto') needs references that are drawn at random, but {references} are {_FEW_REFERENCES[kind]}; "
                "take shuffles or genomic windows, or a number",
            )
        for name in ("center_first_layer", "gradient_correction"):
            if settings.get(name) is True and kind not in ("zeros", "fasta"):
                yield (
                    f"{key}.{name}",
                    f"(=True) changes nothing with {references} as references, as they have one base, or shares that "
                    "sum to one, where the sequence has; delete it, or take zeros",
                )


def _numbers(text: str) -> list[float]:
    """Numbers between commas; nan where there is none."""
    return [float(part) if _is_number_text(part) else math.nan for part in text.split(",")]


def _check_files(config: dict, targets: list[tuple[int, dict]], directory: Path) -> Iterator[tuple[str, str]]:
    data_dir = config.get("data_dir")
    if not isinstance(data_dir, str):
        return
    simulated = "simulate" in config
    folder = directory / data_dir
    if simulated and (folder / SIMULATED_GENOME).exists() and not (folder / "simulation.json").exists():
        yield (
            "data_dir",
            f"{_show(data_dir)} holds a {SIMULATED_GENOME} that `simulate` did not make and would write over; name "
            "another folder, or delete the file if it is a leftover",
        )
    genome = _dict(config.get("genome"))
    sections = [("genome", "fasta", genome, (SIMULATED_GENOME,))]
    sections += [(f"targets[{index}]", "peaks", target, SIMULATED_PEAKS) for index, target in targets]
    for where, key, section, made in sections:
        path = section.get(key)
        if not isinstance(path, str):
            continue
        if simulated and (path not in made or "download" in section):
            names = " or ".join(made)
            yield f"{where}.{key}", f"{_show(path)} must be {names}, without a download, as `simulate` makes the data"
        elif "download" in section:
            if os.path.isabs(path):
                yield f"{where}.{key}", f"{_show(path)} must be relative, as it is downloaded into data_dir"
        elif not simulated:
            yield from _check_file(f"{where}.{key}", path, folder / path, f"data_dir is {data_dir!r}; ")
    checksums = [key for key in ("sha256", "md5", "md5_list") if key in _dict(genome.get("download"))]
    if len(checksums) > 1:
        yield "genome.download", f"has {' and '.join(checksums)}; keep one checksum"
    database = _dict(config.get("motifs")).get("database")
    if isinstance(database, str) and database.endswith(".meme") and not database.startswith("jaspar:"):
        yield from _check_file("motifs.database", database, directory / database, "")


def _check_file(key: str, path: str, place: Path, hint: str) -> Iterator[tuple[str, str]]:
    if place.is_dir():
        yield key, f"{_show(path)} is a folder ({place}), must be a file"
    elif not place.is_file():
        yield key, f"{_show(path)} is missing: there is no file {place}; {hint}correct the path or put the file there"


def _in_one_order(config: dict) -> dict:
    def by_name(target: dict) -> tuple[str, str]:
        return target["name"].casefold(), target["name"]

    attribution = {**config["attribution"], "methods": sorted(config["attribution"]["methods"])}
    return {
        **config,
        "targets": sorted(config["targets"], key=by_name),
        "lengths": sorted(config["lengths"]),
        "attribution": attribution,
    }


def _suggest_key(key: str, known: list[str], schema: Mapping) -> str:
    elsewhere = [path for path in _schema_paths(schema) if path.rsplit(".", 1)[-1] == key]
    close = _closest(key, known)
    if close:
        return f"did you mean `{close}`?"
    if elsewhere:
        return f"the key is {' or '.join(f'`{path}`' for path in elsewhere)}"
    return f"the keys here are {', '.join(known)}"


def _schema_paths(schema: Mapping) -> list[str]:
    """Full paths of all keys of the schema, list items without a number."""

    def walk(node: Mapping, path: str) -> Iterator[str]:
        node = _resolve(node, schema)
        for branch in [node, *(_resolve(condition["then"], schema) for condition in node.get("allOf", []))]:
            for key, below in branch.get("properties", {}).items():
                yield _join(path, key)
                yield from walk(below, _join(path, key))
        if "items" in node:
            yield from walk(node["items"], f"{path}[]")

    return list(dict.fromkeys(walk(schema, "")))


def _did_you_mean(value: Any, choices: list) -> str:
    close = _closest(str(value), [str(choice) for choice in choices])
    return f"; did you mean {close}?" if close else ""


def _closest(word: str, choices: list[str]) -> str | None:
    def bare(text: str) -> str:
        return text.casefold().replace("-", "_").replace(" ", "_")

    by_bare = {bare(choice): choice for choice in choices}
    close = difflib.get_close_matches(bare(word), by_bare, n=1, cutoff=0.65)
    return by_bare[close[0]] if close else None


def _first_sentence(node: Mapping) -> str:
    return str(node.get("description", "")).split(". ")[0].rstrip(".")


def _show(value: Any) -> str:
    text = repr(value)
    return f"(={text if len(text) <= 60 else text[:57] + '...'})"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _path(parts) -> str:
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    return path


def _walk_paths(value: Any, path: str = "") -> Iterator[str]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk_paths(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk_paths(item, f"{path}[{index}]")


def _position(path: str, places: list[str]) -> int:
    """Where in the file `path` stands; a missing key stands where its section does, a missing section at the end."""
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.index(path) if path else len(places)


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []
