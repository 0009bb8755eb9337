"""`seqlift run` hands over to Snakemake, and `seqlift template` gives a config to start from."""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqlift.cli import compendium, main
from seqlift.core.settings import settings_from
from seqlift.motifs.settings import CompendiumSettings

ROOT = Path(__file__).parents[1]
SNAKEFILE = ["--snakefile", str(ROOT / "workflow" / "Snakefile")]


@pytest.fixture
def become(monkeypatch, tmp_path) -> list[list[str]]:
    """What the process would become, in an empty folder."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: calls.append(arguments))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(tmp_path)
    return calls


def seqlift(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "seqlift", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ([], [*SNAKEFILE, "--cores", "all"]),
        (["-n"], [*SNAKEFILE, "--cores", "all", "--dry-run"]),
        (
            ["--configfile", "my.yaml", "more of it.yaml", "--cores", "2", "--", "--quiet", "host", "--", "all"],
            ["--configfile", "my.yaml", "more of it.yaml", *SNAKEFILE, "--cores", "2", "--quiet", "host", "--", "all"],
        ),
        # How many jobs there may be says the profile: cores would be a limit for the whole cluster
        (["--profile", "slurm"], [*SNAKEFILE, "--workflow-profile", str(ROOT / "workflow" / "profiles" / "slurm")]),
        (["--profile", "my profile", "--cores", "4"], [*SNAKEFILE, "--workflow-profile", "my profile", "--cores", "4"]),
    ],
)
def test_snakemake_gets_what_was_asked_for(become, given, flags):
    for name in ("my.yaml", "more of it.yaml"):
        Path(name).touch()
    Path("my profile").mkdir()
    main(["run", *given])
    assert become == [[sys.executable, "-P", "-m", "snakemake", *flags]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--configfile", "there.yaml", "missing.yaml"], ["--configfile missing.yaml", "seqlift template"]),
        (["there.yaml"], ["there.yaml", "--configfile there.yaml"]),
        (["--profile", "mine"], ["--profile mine", "default, slurm", "-- --profile mine"]),
    ],
)
def test_mistakes_are_named_before_snakemake_is_started(become, capsys, given, words):
    Path("there.yaml").touch()
    assert main(["run", *given]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqlift run: error: ") and said.count("\n") == 1
    assert all(word in said for word in words), said
    assert not become


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\ntargets: [a\ngenome: 3\n", ["my.yaml, line 3, column 7: not YAML", "bracket"]),
        ("name: x\n\tgenome: 3\n", ["my.yaml, line 2, column 1: not YAML", r"'\t'"]),
        ("name: x\nmodel:\n  type: basset\nname: y\n", ["my.yaml, line 4: the key 'name' is in line 1, too"]),
        ("targets:\n  - name: a\n    peaks: a\n    name: b\n", ["my.yaml, line 4: the key 'name' is in line 2"]),
        (b"name: \xff\n", ["my.yaml: cannot be read"]),
    ],
    ids=["bracket", "tab", "twice", "twice in a list", "not text"],
)
def test_text_that_is_wrong_is_named_with_its_line(become, capsys, text, words):
    Path("my.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["run", "--configfile", "my.yaml"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqlift run: error: ") and said.count("\n") == 1
    assert all(word in said for word in words), said
    assert not become


def test_json_and_equal_keys_of_different_mappings_are_right(become):
    Path("my.json").write_text('{\n\t"name": "x"}')
    Path("my.yaml").write_text("a: {name: x}\nb: &b {name: x}\nc: {<<: *b, name: y}\ntargets:\n- name: a\n- name: b\n")
    assert main(["run", "--configfile", "my.json", "my.yaml"]) == 0
    assert become


def test_as_many_gpu_jobs_at_a_time_as_there_are_gpus(become, monkeypatch):
    """The user's own number comes later, which Snakemake takes; with a profile it is the profile's."""
    Path("my.yaml").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    main(["run", "--configfile", "my.yaml", "--cores", "2", "--", "--resources", "gpu=1"])
    main(["run", "--profile", "slurm"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    main(["run"])
    first, cluster, single = [flags[4:] for flags in become]
    expected = ["--configfile", "my.yaml", "--resources", "gpu=2", *SNAKEFILE, "--cores", "2", "--resources", "gpu=1"]
    assert first == expected
    assert "--resources" not in cluster + single


def test_a_missing_snakemake_is_named(become, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["run"]) == 1
    assert "pip install snakemake" in capsys.readouterr().err and not become


def test_the_exit_status_is_snakemakes(tmp_path):
    done = seqlift("run", "--", "--no-such-flag", folder=tmp_path)
    assert done.returncode == 2 and "no-such-flag" in done.stderr


def test_dry_run_of_a_config_with_the_workflows_own_profile(tmp_path):
    """Files in the folder that are named as Python modules do no harm, nor do spaces."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    (folder / "snakemake.py").write_text("raise SystemExit('this is no Snakemake')")
    demo = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    (folder / "my config.yaml").write_text(yaml.safe_dump({**demo, "name": "mine"}))
    target = "results/mine/200bp/regions.tsv.gz"
    done = seqlift("run", "--configfile", "my config.yaml", "-n", "--", target, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "profiles/default for setting default command line arguments" in done.stderr
    said = done.stdout + done.stderr
    assert target in said and "train_model" not in said
    assert not (folder / "results").exists()


def test_the_template_is_printed(tmp_path):
    done = seqlift("template", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (ROOT / "configs" / "template.yaml").read_text()


def test_settings_given_as_json_are_used_where_no_flag_is_given():
    parser = argparse.ArgumentParser()
    compendium.add_arguments(parser)
    flags = ["--motifs", "m", "--output-dir", "o", "--settings", '{"threshold": 0.05, "seed": 3}', "--seed", "4"]
    assert settings_from(parser.parse_args(flags), CompendiumSettings) == CompendiumSettings(threshold=0.05, seed=4)
