"""The config's schema put to use: defaults filled in, and what is wrong said in words that name the remedy."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from seqlift.core.settings import BOUNDS
from seqlift.errors import without_password

TYPE_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section with keys of its own",
}


def is_finite_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def make_validator(schema: Mapping) -> Validator:
    # .nan and .inf are numbers to YAML, but no setting can mean them
    types = Draft202012Validator.TYPE_CHECKER.redefine("number", lambda _checker, value: is_finite_number(value))
    return extend(Draft202012Validator, type_checker=types)(schema)


def plain_copy(value: Any) -> Any:
    """Copy of nested mappings and lists with text keys, as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain_copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_copy(item) for item in value]
    return value


def key_problems(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield _join(path, key), f"is a key that is not text; put it in quotes: '{key}'"
            yield from key_problems(item, _join(path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from key_problems(item, f"{path}[{index}]")


def _branches(node: Mapping, value: Any, validator: Validator) -> Iterator[Mapping]:
    """The node itself, then the `then` of each of its conditions that `value` meets."""
    yield node
    for condition in node.get("allOf", []):
        if validator.evolve(schema=condition["if"]).is_valid(value):
            yield condition["then"]


def fill_in(value: Any, node: Mapping, validator: Validator) -> Any:
    """Copy of `value` with the schema's defaults, its keys in the schema's order, its numbers of the schema's type."""
    if isinstance(value, dict):
        filled = dict(value)
        order = []
        for branch in _branches(node, filled, validator):
            for key, below in branch.get("properties", {}).items():
                if below is True:  # another branch describes this key
                    below = {}
                if key not in filled and "default" in below:
                    filled[key] = plain_copy(below["default"])
                if key in filled and below:
                    filled[key] = fill_in(filled[key], below, validator)
                if key in filled and key not in order:
                    order.append(key)
        named = node.get("additionalProperties") or {}  # in a section whose keys are names
        filled = {key: item if key in order else fill_in(item, named, validator) for key, item in filled.items()}
        return {key: filled[key] for key in [*order, *(key for key in filled if key not in order)]}
    if isinstance(value, list):
        return [fill_in(item, node.get("items", {}), validator) for item in value]
    if is_finite_number(value):
        if str(value) in node.get("enum", []):
            return str(value)  # YAML takes 32 for a number
        types = [branch.get("type") for branch in (node, *node.get("anyOf", []))]
        if "number" in types:
            return float(value)
        if "integer" in types and float(value).is_integer():
            return int(value)
    return value


def explain(error: ValidationError, schema: Mapping, plain: dict) -> Iterator[tuple[str, str]]:
    """What a user needs to know of one schema error: (path, text), for each key concerned."""
    path, value, rule = _path(error.absolute_path), error.instance, error.validator_value
    kind, node = error.validator, error.schema
    if kind == "additionalProperties":
        known = list(node.get("properties", {}))
        for key in value:
            if key not in known:
                advice = node.get("x-moved", {}).get(key) or _suggest_key(key, known, schema)
                yield _join(path, key), f"is an unknown key; {advice}"
    elif kind == "required":
        for key in rule:
            if key not in value:
                below = node["properties"][key]
                yield _join(path, key), f"is missing; add it: {_first_sentence(below)}"
    elif kind == "type":
        yield path, _explain_type(value, rule, node.get("x-rule") if rule == "array" else None)
    elif kind == "enum":
        choices = node.get("x-rule") or f"one of {', '.join(map(str, rule))}"
        yield path, f"{show(value)} must be {choices}{_did_you_mean(value, rule)}"
    elif kind == "anyOf" and value is None:
        yield path, f"is empty, must be {node['x-rule']}; give it a value or delete the key"
    elif kind in ("pattern", "anyOf"):
        words = [word for branch in node.get("anyOf", []) for word in branch.get("enum", [])]
        yield path, f"{show(value)} must be {node.get('x-rule', rule)}{_did_you_mean(value, words)}"
    elif kind in ("minItems", "minLength"):
        yield path, f"must not be empty; {_first_sentence(node)}".removesuffix("; ")
    elif kind == "uniqueItems":
        twice = next(item for index, item in enumerate(value) if item in value[:index])
        yield path, f"holds {show(twice)} twice; delete one"
    else:
        yield path, f"{show(value)} must be {BOUNDS.get(kind, kind)} {rule}"


def _explain_type(value: Any, expected: str, rule: str | None) -> str:
    wanted = rule or TYPE_WORDS[expected]
    if value is None:
        return f"is empty, must be {wanted}; give it a value or delete the key"
    remedy = ""
    if expected in ("integer", "number") and isinstance(value, str) and is_number_text(value):
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
    return f"{show(value)} must be {wanted}{remedy}"


def is_number_text(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


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
        for branch in [node, *(condition["then"] for condition in node.get("allOf", []))]:
            for key, below in branch.get("properties", {}).items():
                yield _join(path, key)
                yield from walk({} if below is True else below, _join(path, key))
        if "x-key" in node:
            yield from walk(node["additionalProperties"], _join(path, node["x-key"]))
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


def show(value: Any) -> str:
    text = without_password(repr(value))
    return f"(={text if len(text) <= 60 else text[:57] + '...'})"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _path(parts: Iterable[str | int]) -> str:
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    return path


def walk_paths(value: Any, path: str = "") -> Iterator[str]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk_paths(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk_paths(item, f"{path}[{index}]")


def position(path: str, places: list[str]) -> int:
    """Position of `path` in the file; a missing key has that of its section, a missing section comes last."""
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.index(path) if path else len(places)
