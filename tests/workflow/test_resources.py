"""Every rule says what it needs by the size of its input: threads, memory, minutes and, where it can use one, a GPU."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fixtures.user import ROOT, SMALL, changed, environment, new_checkout
from seqlift.cli import main

RULES = {
    name: text
    for file in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    for name, text in re.findall(
        r"^ *rule (\w+):\n(.*?)(?=^\S|^ *rule |\Z)", file.read_text(), flags=re.MULTILINE | re.DOTALL
    )
}
# What they do does not grow with their input: a line of text, data that are made, a file from far away
CONSTANT = {"write_targets", "write_config", "simulate_data", "download_file"}
LAPTOP = {"memory": 8000, "cores": 2}

PLAIN = {
    **changed(SMALL, attribution={"max_regions": 10_000, "mutagenesis": {"max_regions": 500}}),
    **{"data_dir": "data", "model": {"type": "dilated"}, "tracks": {"difference": True}},
    "aggregate": {"sites": {"planted": "truth.bed"}},
}
FILES = {"genome": {"fasta": "genome.fa.gz"}, "targets": [{"name": "T", "peaks": "T.bed", "signal": "T.bw"}]}
PROFILE = {
    **{key: value for key, value in PLAIN.items() if key not in ("simulate", "aggregate")},
    **FILES,
    "downloads": {"genome.fa.gz": {"url": "https://example.org/genome.fa.gz"}},
    "model": {"type": "dilated", "head": "profile"},
    "attribution": {**PLAIN["attribution"], "shard_size": 5000},
}
# As benchmarks/output.py has it: 40 score files of 1,500 MB
MEASURED = {**PLAIN, "targets": [{"name": f"T{i}", "peaks": f"T{i}.bed"} for i in range(20)]}
MEASURED = {key: value for key, value in MEASURED.items() if key not in ("simulate", "aggregate")}


def tasks():
    """Plans by name: a config, and MB of its files by the end of their names."""
    small, large = {"": 1.0}, {"": 2000.0}
    found = {"nothing there": (PLAIN, {}), "small": (PLAIN, small), "large": (PLAIN, large)}
    found |= {"profile, nothing there": (PROFILE, {}), "measured": (MEASURED, {".h5": 1500.0, "": 1.0})}
    return found | {"seeds": (changed(PLAIN, training={"seed": [1, 2, 3]}), small)}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Plan -> rule -> [what one of its jobs asks for]."""
    checkout = new_checkout(tmp_path_factory.mktemp("asked") / "a path with spaces")
    folder, listed = checkout.folder, []
    (folder / "data").mkdir()
    for file in ("T.bed", "T.bw", *(f"T{i}.bed" for i in range(20))):
        (folder / "data" / file).touch()
    for name, (config, sizes) in tasks().items():
        config = {**config, "name": re.sub(r"\W+", "_", name)}
        if "simulate" not in config and "downloads" not in config:
            (folder / "data" / config["genome"]["fasta"]).touch()
            config["data_dir"] = "data"
        elif "simulate" in config:
            config["data_dir"] = f"data of {config['name']}"
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
        listed.append({"config": f"{name}.yaml", "sizes": sizes})
    (folder / "tasks.json").write_text(json.dumps(listed))
    script = Path(__file__).parents[1] / "fixtures" / "asked.py"
    command = [sys.executable, str(script), "workflow/Snakefile", "tasks.json", "answers.json"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for name, jobs in zip(tasks(), json.loads((folder / "answers.json").read_text()), strict=True):
        for job in jobs:
            found.setdefault(name, {}).setdefault(job["rule"], []).append(job)
    return found


def most(jobs, name, attempt=0):
    return max(job["asked"][attempt][name] for job in jobs)


def test_every_rule_states_what_it_needs():
    assert len(RULES) > 20
    for name, text in RULES.items():
        assert "shell:" in text, name
        stated = {word for word in ("threads:", "mem_mb=", "runtime=") if re.search(rf"^ +{word}", text, re.MULTILINE)}
        assert stated == {"threads:", "mem_mb=", "runtime="}, name


def test_those_that_can_use_a_gpu_ask_for_it_and_no_others(capsys):
    users = set()
    for name, text in RULES.items():
        command = re.search(r'" ?seqlift ([a-z]+(?: (?:write|predicted|session))?)', text)
        if command:
            with pytest.raises(SystemExit):
                main([*command[1].split(), "--help"])
            if "--device" in capsys.readouterr().out:
                users.add(name)
    assert {"train_model", "attribute_bases"} <= users
    assert {name for name, text in RULES.items() if re.search(r"^ +gpu=", text, re.MULTILINE)} == users


def test_a_plan_with_nothing_there(asked):
    """Files that do not exist have no size; then Snakemake says so, and asks again before the job starts."""
    assert set(asked["nothing there"]) | set(asked["profile, nothing there"]) == set(RULES)
    for plan in ("nothing there", "profile, nothing there"):
        for name, jobs in asked[plan].items():
            for job in jobs:
                given = job["asked"][0]
                assert isinstance(given["mem_mb"], int) == (name in CONSTANT), name
                assert given["mem_mb"] == "<TBD>" or name in CONSTANT, name


def test_every_job_gets_numbers_once_its_input_is_there(asked):
    for plan in ("small", "large", "measured"):
        for name, jobs in asked[plan].items():
            for job in jobs:
                assert job["threads"] in (1, 2)
                for attempt in job["asked"]:
                    assert attempt["mem_mb"] >= 100 and attempt["runtime"] >= 1, name


def test_a_larger_input_asks_for_more_and_a_second_attempt_too(asked):
    assert set(asked["small"]) == set(asked["large"]) > {"write_difference_track", "aggregate_sites"}
    for name in set(asked["small"]) - CONSTANT:
        small, large = asked["small"][name], asked["large"][name]
        assert most(large, "mem_mb") > most(small, "mem_mb"), name
        assert most(large, "runtime") >= most(small, "runtime"), name
        for resource in ("mem_mb", "runtime"):
            again = most(small, resource, attempt=1)
            assert again == pytest.approx(2 * most(small, resource), abs=2), (name, resource)


def test_more_models_take_more_minutes(asked):
    for name in ("attribute_bases", "evaluate_model", "mutate_bases", "judge_explanations"):
        assert most(asked["seeds"][name], "runtime") > most(asked["small"][name], "runtime"), name


def test_two_jobs_of_small_data_fit_on_a_laptop(asked):
    for name, jobs in asked["small"].items():
        at_once = LAPTOP["cores"] // jobs[0]["threads"]
        assert at_once * most(jobs, "mem_mb") <= LAPTOP["memory"], name


@pytest.mark.parametrize(
    ("measured", "rule"),
    [
        ("track", "write_track"),
        ("track of standard errors", "write_error_track"),
        ("motifs", "find_motifs"),
        ("logos", "draw_logos"),
        ("hits", "call_hits"),
        ("compendium", "build_compendium"),
        ("grammar", "find_grammar"),
        ("report", "write_report"),
    ],
)
def test_jobs_ask_for_twice_what_was_measured(asked, measured, rule):
    """benchmarks/results/output.md: 40 files of 1,500 MB of scores."""
    rows = (ROOT / "benchmarks" / "results" / "output.md").read_text().splitlines()
    cells = next(row.split("|") for row in rows if row.startswith(f"| {measured} |"))
    seconds, megabytes = (float(re.sub(r"[^0-9.]", "", cell)) for cell in cells[2:4])
    assert most(asked["measured"][rule], "mem_mb") >= 1.9 * megabytes
    assert 60 * most(asked["measured"][rule], "runtime") >= 2 * seconds
