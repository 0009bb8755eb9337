"""The lists of packages agree: pyproject.toml says what is needed, the others how to get it. So do versions."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())

# What conda calls them; snakemake-minimal is Snakemake without its optional web and storage plugins
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}


def needed(requirements: list[str]) -> dict[str, str]:
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(requirement.name): str(requirement.specifier) for requirement in parsed}


def test_conda_environment_has_what_the_project_needs():
    conda = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in ENVIRONMENT["dependencies"] if isinstance(item, dict)]
    assert "-e ." in pip
    found = needed([*conda, *(line for line in pip if not line.startswith("-"))])
    assert found.pop("python") == PROJECT["requires-python"]
    assert "pip" in found and not found.pop("pip")
    expected = {CONDA_NAMES.get(name, name): bound for name, bound in needed(PROJECT["dependencies"]).items()}
    assert found == expected


def test_constraints_pin_everything_once_and_within_bounds():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pins = [Requirement(line) for line in lines]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    assert len(versions) == len(lines)
    optional = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *(text for extra in optional.values() for text in extra)]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_hooks_run_the_pinned_programs():
    """Those of .venv: a hook of a remote repository would have a version of its own, and ask for the network."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    pinned = needed(PROJECT["optional-dependencies"]["test"])
    assert {program.rpartition("/")[0] for program in programs} == {".venv/bin"}
    assert {program.rpartition("/")[2] for program in programs} == {"ruff", "snakefmt"} <= set(pinned)


def test_citation_and_changelog_are_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert citation["license"] == PROJECT["license"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest[1] == PROJECT["version"]
