"""The text of a config file: what YAML's own reading passes over, or says without naming a line."""

import json
from pathlib import Path

import yaml

from seqlift.errors import SeqliftError


def check_text(path: Path) -> None:
    """Check that a config file is YAML (or JSON) in which no mapping has a key twice.

    YAML's readers let the last of two equal keys win in silence.

    Raises
    ------
    SeqliftError
        With file, line, and what is wrong there.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise SeqliftError(f"{path}: cannot be read: {error}") from None
    try:
        json.loads(text)
        return  # its tabs are no YAML
    except ValueError:
        pass
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = ", ".join(filter(None, (error.context, error.problem)))
        raise SeqliftError(
            f"{path}{line}: not YAML: {what}; look there and in the line before for a bracket, quote or colon that is"
            " missing, or another indentation"
        ) from None
    except yaml.YAMLError as error:
        raise SeqliftError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if node is not None:
        _check_keys(path, node)


def _check_keys(path: Path, node: yaml.Node) -> None:
    lines: dict[str, int] = {}
    for child in node.value if isinstance(node, yaml.CollectionNode) else []:
        if not isinstance(node, yaml.MappingNode):
            _check_keys(path, child)
            continue
        key, value = child
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            line = key.start_mark.line + 1
            if key.value in lines:
                raise SeqliftError(
                    f"{path}, line {line}: the key {key.value!r} is in line {lines[key.value]}, too, and only the"
                    " last would count; delete one of them"
                )
            lines[key.value] = line
        _check_keys(path, value)
