"""Settings: each is one field of a frozen dataclass, which holds its default, its bounds and its help text.

The JSON schema of the config, the settings in `configs/template.yaml`, the reference page and the flags of the commands
are made from these fields, so they cannot disagree.
"""

import argparse
import dataclasses
import json
import math
import re
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from seqlift.errors import SeqliftError

BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}
"""Keywords of JSON schema for the bounds of a number, and how messages say them."""

SEED = {"minimum": 0, "maximum": 2**32 - 1}
"""Bounds of a seed."""

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", types.NoneType: "null"}
_WORDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}


def setting(
    default: Any = MISSING,
    help: str = "",
    *,
    advice: str = "",
    metavar: str | None = None,
    optional: bool = False,
    schema: Mapping[str, Any] | None = None,
    **bounds: Any,
) -> Any:
    """A field of a settings class; without a default the setting is required.

    Parameters
    ----------
    help : str
        Meaning: the description in the schema and the reference page; the first sentence is the help of its flag.
    advice : str
        How to choose a value: shown in the template after the description.
    metavar : str, optional
        Placeholder of the value in the help of its flag, such as BP.
    optional : bool
        The key may be absent from the config, which means `default` (None).
    schema : mapping, optional
        Keywords of JSON schema that the type of the field does not give (`pattern`, `items`, ...); `x-rule` says in
        words what a value must be.
    **bounds : number
        `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum` or `multipleOf`, both ends as in JSON schema.
    """
    described = {"help": help, "advice": advice, "metavar": metavar, "optional": optional}
    metadata = {**described, "schema": {**bounds, **(schema or {})}}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type, help: str) -> Any:
    """A field that holds the settings of a section of their own."""
    return dataclasses.field(default_factory=cls, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """Base of the settings classes, frozen dataclasses whose fields are made by `setting` and `section`."""

    MOVED: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, and what to say about each."""

    def __post_init__(self) -> None:
        for field in fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
            if not is_section(type(self), field):
                check_value(f"`{field.name}`", value, value_schema(type(self), field))
        for key, text in self.check():
            raise SeqliftError(f"`{key}` {text}")

    def check(self) -> Iterator[tuple[str, str]]:
        """Rules that hold between fields: the key that is wrong, and what is said of it."""
        return iter(())

    @classmethod
    def make(cls, given: Mapping[str, Any]) -> Self:
        """From a mapping as the config has it.

        Raises
        ------
        SeqliftError
            If a key is unknown or missing, or a value does not keep its rule.
        """
        known = {field.name: field for field in fields(cls)}
        for key in given:
            if key not in known:
                moved = cls.MOVED.get(key)
                raise SeqliftError(f"`{key}` is an unknown setting; {moved or 'there are ' + ', '.join(known)}")
        missing = [name for name, field in known.items() if not has_default(field) and name not in given]
        if missing:
            raise SeqliftError(f"`{missing[0]}` is missing: {known[missing[0]].metadata['help']}")
        made = {}
        for key, value in given.items():
            kind = get_type_hints(cls)[key]
            below = is_section(cls, known[key]) and isinstance(value, Mapping)
            made[key] = kind.make(value) if below else tuple(value) if isinstance(value, list) else value
        return cls(**made)

    @classmethod
    def unchecked(cls, given: Mapping[str, Any]) -> Self:
        """From a mapping that has kept the schema; the rules between its fields are not checked."""
        made = object.__new__(cls)
        for field in fields(cls):
            value = given.get(field.name, default_of(field) if has_default(field) else None)
            if is_section(cls, field):
                value = get_type_hints(cls)[field.name].unchecked(value)
            object.__setattr__(made, field.name, tuple(value) if isinstance(value, list) else value)
        return made

    def problems(self) -> Iterator[tuple[str, str]]:
        """What `check` says of these settings and of the sections in them, with the path of each key."""
        yield from self.check()
        for field in fields(type(self)):
            if is_section(type(self), field):
                for key, text in getattr(self, field.name).problems():
                    yield f"{field.name}.{key}", text

    def as_dict(self) -> dict[str, Any]:
        """The settings as the config has them."""

        def plain(value: Any) -> Any:
            return (
                list(value) if isinstance(value, tuple) else value.as_dict() if isinstance(value, Settings) else value
            )

        return {field.name: plain(getattr(self, field.name)) for field in fields(type(self))}


def has_default(field: Field) -> bool:
    """Whether a setting need not be given."""
    return field.default is not MISSING or field.default_factory is not MISSING


def default_of(field: Field) -> Any:
    """Default of a field, as the config has it."""
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    return value.as_dict() if isinstance(value, Settings) else list(value) if isinstance(value, tuple) else value


def is_section(cls: type[Settings], field: Field) -> bool:
    """Whether a field holds settings of their own."""
    kind = get_type_hints(cls)[field.name]
    return isinstance(kind, type) and issubclass(kind, Settings)


S = TypeVar("S", bound=Settings)


# ---- JSON schema -----------------------------------------------------------------------------------------------------


def json_schema(cls: type[Settings]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a settings class, with the description and default of each key."""
    properties = {}
    for field in fields(cls):
        if is_section(cls, field):
            node = json_schema(get_type_hints(cls)[field.name])
            node = {"description": field.metadata["help"], **node}
            if not any(not has_default(each) for each in fields(get_type_hints(cls)[field.name])):
                node["default"] = {}
        else:
            node = {"description": field.metadata["help"], **value_schema(cls, field)}
            if has_default(field) and not field.metadata["optional"]:
                node["default"] = default_of(field)
        properties[field.name] = node
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False}
    required = [field.name for field in fields(cls) if not has_default(field)]
    schema |= {"required": required} if required else {}
    schema |= {"x-moved": dict(cls.MOVED)} if cls.MOVED else {}
    return schema | {"properties": properties}


def value_schema(cls: type[Settings], field: Field) -> dict[str, Any]:
    """The schema of a value, from the type of the field and its bounds."""
    given = dict(field.metadata["schema"])
    kinds = _alternatives(get_type_hints(cls)[field.name])
    if field.metadata["optional"]:
        kinds = [kind for kind in kinds if kind is not types.NoneType]
    nodes = [_node(kind) for kind in kinds]
    if "anyOf" in given or "enum" in given:
        return given
    if len(nodes) == 1:
        return nodes[0] | given
    rule = given.pop("x-rule", None)
    nodes[0] |= given
    rules = [words(nodes[0]), *(str(node.get("const", "null")) for node in nodes[1:])]
    return {"anyOf": nodes, "x-rule": rule or (", ".join(rules[:-1]) + f", or {rules[-1]}")}


def words(node: Mapping[str, Any]) -> str:
    """What a value must be: "a whole number of at least 1"."""
    bounds = [f"{text} {node[key]:,}".replace(",", "") for key, text in BOUNDS.items() if key in node]
    kind = _WORDS.get(node.get("type", ""), "a list")
    if not bounds:
        return kind
    return f"{kind} {'of ' if bounds[0].startswith('at ') else ''}{' and '.join(bounds)}"


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        return [each for part in get_args(kind) for each in _alternatives(part)]
    return [kind]


def _node(kind: Any) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
    if origin is tuple:
        return {"type": "array", "items": _node(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _node(inner[1])}
    return json_schema(kind) if issubclass(kind, Settings) else {"type": _TYPES[kind]}


def check_value(name: str, value: Any, node: Mapping[str, Any]) -> None:
    """Check a value given from Python or by a flag against its schema.

    Raises
    ------
    SeqliftError
        Names the value and the rule.
    """
    if value is None and "anyOf" not in node:  # an optional setting that is absent
        return
    branches = node.get("anyOf", [node])
    lists = [branch for branch in branches if branch.get("type") == "array"]
    if isinstance(value, tuple) and lists:
        for each in value:
            check_value(name, each, lists[0]["items"])
        return
    if not any(_fits(value, branch) for branch in branches):
        choices = node.get("enum")
        rule = f"one of {', '.join(map(str, choices))}" if choices else node.get("x-rule") or words(node)
        raise SeqliftError(f"{name} (={value!r}) must be {rule}")


def _fits(value: Any, node: Mapping[str, Any]) -> bool:
    if "enum" in node or "const" in node:
        return value in node.get("enum", [node.get("const")])
    kind = node.get("type")
    if kind == "null":
        return value is None
    if kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else int | float):
            return False
        tests = {
            "minimum": lambda bound: value >= bound,
            "exclusiveMinimum": lambda bound: value > bound,
            "maximum": lambda bound: value <= bound,
            "exclusiveMaximum": lambda bound: value < bound,
            "multipleOf": lambda bound: value % bound == 0,
        }
        return math.isfinite(value) and all(test(node[key]) for key, test in tests.items() if key in node)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string" and isinstance(value, str):
        return "pattern" not in node or re.search(node["pattern"], value) is not None
    return isinstance(value, {"string": Path, "object": dict}.get(str(kind), tuple))


# ---- flags of the commands -------------------------------------------------------------------------------------------


def add_flags(parser: argparse._ActionsContainer, *classes: type[Settings], leave_out: Sequence[str] = ()) -> None:
    """Add the flag `--settings`, and a flag for each setting; a setting that several classes have gets one flag."""
    if "--settings" not in parser._option_string_actions:
        parser.add_argument(
            "--settings",
            metavar="JSON",
            help="all settings below as one JSON object, or @FILE that holds it; a flag takes precedence",
        )
    for cls in classes:
        for field in fields(cls):
            flag = f"--{field.name.replace('_', '-')}"
            if field.name in leave_out:
                continue
            known = parser._option_string_actions.get(flag)
            if known is None:
                parser.add_argument(flag, dest=field.name, default=None, **_flag(cls, field))
            elif known.default is not None:
                raise ValueError(f"{flag} is declared with a default, which would override --settings")


def _flag(cls: type[Settings], field: Field) -> dict[str, Any]:
    first = field.metadata["help"].split(". ")[0].rstrip(".").replace("%", "%%")
    text = first[:1].lower() + first[1:] if first[1:2].islower() else first
    if is_section(cls, field):
        below = ", ".join(each.name for each in fields(get_type_hints(cls)[field.name]))
        return {"nargs": "+", "metavar": "NAME=VALUE", "help": f"{text} ({below})"}
    default = default_of(field) if has_default(field) else None
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    if shown not in (None, ""):
        text += f" (default: {shown})"
    kinds = [kind for kind in _alternatives(get_type_hints(cls)[field.name]) if kind is not types.NoneType]
    if kinds == [bool]:
        return {"action": argparse.BooleanOptionalAction, "help": text}
    choices = field.metadata["schema"].get("enum") or (
        list(get_args(kinds[0])) if get_origin(kinds[0]) is Literal else []
    )
    if choices and len(kinds) == 1:
        return {"choices": choices, "help": text}
    metavar = field.metadata["metavar"]
    if get_origin(kinds[0]) is tuple:
        return {"nargs": "*", "type": _reader(get_args(kinds[0])[0]), "metavar": metavar or "VALUE", "help": text}
    if get_origin(kinds[0]) is dict:
        return {"nargs": "*", "metavar": metavar or "NAME=VALUE", "help": text}
    words_allowed = [get_args(kind)[0] for kind in kinds[1:] if get_origin(kind) is Literal]
    return {"type": _reader(kinds[0], *words_allowed), "metavar": metavar or "VALUE", "help": text}


def _reader(kind: type, *allowed: str) -> Any:
    def read(text: str) -> Any:
        if text in allowed:
            return text
        return kind(text)

    read.__name__ = {int: "whole number", float: "number"}.get(kind, "text")
    return read


def settings_from(arguments: argparse.Namespace, cls: type[S], *, leave_out: Collection[str] = ()) -> S:
    """The settings of a command: those of `--settings`, then those of single flags, but not those to `leave_out`.

    Raises
    ------
    SeqliftError
        If `--settings` is no JSON object, or a setting does not keep its rule.
    """
    given = dict(read_json(arguments.settings, "--settings")) if getattr(arguments, "settings", None) else {}
    for field in fields(cls):
        value = getattr(arguments, field.name, None)
        if value is not None and field.name not in leave_out:
            given[field.name] = _pairs(cls, field, value)
    return cls.make(given)


def _pairs(cls: type[Settings], field: Field, value: Any) -> Any:
    """A section or mapping from NAME=VALUE words."""
    kind = get_type_hints(cls)[field.name]
    if not (isinstance(value, list) and (is_section(cls, field) or get_origin(kind) is dict)):
        return value
    pairs = {}
    for word in value:
        name, separator, text = word.partition("=")
        if not (name and separator):
            raise SeqliftError(f"--{field.name.replace('_', '-')} {word!r} must be NAME=VALUE")
        if name in pairs:
            raise SeqliftError(f"--{field.name.replace('_', '-')} names {name!r} twice")
        pairs[name] = text
    if not is_section(cls, field):
        return pairs
    for name, text in pairs.items():
        number = get_type_hints(kind).get(name)
        if number in (int, float):
            try:
                pairs[name] = number(text)
            except ValueError:
                rule = _WORDS[_TYPES[number]]
                raise SeqliftError(f"`{name}` (={text!r}) must be {rule}") from None
    return pairs


def read_json(text: str, flag: str) -> dict[str, Any]:
    """A JSON object that a flag was given: the text itself, or @FILE.

    Raises
    ------
    SeqliftError
        If the file cannot be read, or it is no JSON object.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SeqliftError(f"{flag} (={text}): the file cannot be read: {error}") from None
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except ValueError as error:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise SeqliftError(f'{flag} (={shown}) must be a JSON object, as {{"seed": 1}}: {error}') from None
    return content
