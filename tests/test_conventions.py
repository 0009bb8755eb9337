"""What the rules of the workflow keep to: files that are named, helpers that have names, no Python within a rule."""

import re
from pathlib import Path

import pytest

from test_config import schema_keys

WORKFLOW = Path(__file__).parents[1] / "workflow"
RULES = sorted((WORKFLOW / "rules").glob("*.smk"))
HELPERS = ("common.smk", "resources.smk")


def code(path: Path) -> str:
    """A file of rules without comments."""
    return re.sub(r"(?m)^\s*#.*$", "", path.read_text())


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_name_their_files_and_helpers(path):
    text = code(path)
    for word in (r"^\s+run:", r"\bdirectory\(", r"\btouch\(", r"\bcheckpoint \w+:"):
        assert not re.search(word, text, flags=re.MULTILINE), word


@pytest.mark.parametrize("path", [path for path in RULES if path.name not in HELPERS], ids=lambda path: path.name)
def test_every_rule_says_where_its_log_is_and_what_it_does(path):
    parts = re.split(r"^ *rule (\w+):\n", code(path), flags=re.MULTILINE)[1:]
    assert parts
    for name, rule in zip(parts[::2], parts[1::2], strict=True):
        for directive in ("output", "log", "conda", "threads", "message", "shell"):
            assert re.search(rf"^ +{directive}:", rule, flags=re.MULTILINE), (name, directive)


def test_helpers_stand_apart_from_rules():
    assert [path.name for path in RULES if re.search(r"^def ", code(path), flags=re.MULTILINE)] == [*HELPERS]
    assert 'min_version("' in (WORKFLOW / "Snakefile").read_text()


def test_no_key_of_the_config_is_about_a_machine():
    machine = {"threads", "cores", "mem", "mem_mb", "memory", "runtime", "partition", "account", "output", "results"}
    keys = {key.rsplit(".", 1)[-1] for key, _ in schema_keys()}
    assert not keys & (machine | {"gpu", "gpus", "device", "devices", "output_dir", "results_dir"})


def test_no_rule_writes_an_output_by_redirection():
    """The shell empties the file before the program begins: what is killed then leaves an empty output."""
    for path in RULES:
        for command in re.findall(r"shell:\n(.*?)\n\n", path.read_text() + "\n\n", flags=re.DOTALL):
            assert not re.search(r">\s*\{output(?:\.\w+|\[\d+\])?(?::q)?\}(?!\.part)", command), (path.name, command)
