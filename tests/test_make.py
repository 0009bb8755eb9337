"""What `make demo` shows of Snakemake's lines: one for each stage, and everything from an error on."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAN = "Job stats:\njob  count\n---  -----\ntrain_model  1\nwrite_track  2\nall  1\ntotal  4\n\n"
TRAIN = "[Tue Dec  1 04:14:35 2026]\nJob 1: Training model.ckpt\nepoch 1/15\nFinished jobid: 1 (Rule: train_model)\n"
TRACKS = "Job 2: Track of A\nJob 3: Track of B\n{}Finished jobid: 2 (Rule: write_track)\n"


def stages(lines: str) -> list[str]:
    command = ["awk", "-f", ROOT / "workflow" / "stages.awk"]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_stage_has_a_line_when_its_last_job_is_done():
    lines = PLAN + TRAIN + TRACKS.format("")
    assert stages(lines) == ["train_model          Training model.ckpt"]
    lines += "Finished jobid: 3 (Rule: write_track)\nFinished jobid: 0 (Rule: all)\n"
    assert stages(lines)[1:] == ["write_track          Track of A, and 1 more"]


def test_errors_and_what_follows_are_shown_and_warnings_too():
    assert stages("WARNING: no names\nBuilding DAG of jobs...\n" + PLAN) == ["WARNING: no names"]
    error = "Error in rule write_track:\n    log: x.log\nseqlift tracks: error: x\n"
    assert stages(PLAN + TRAIN + error)[1:] == error.splitlines()


def test_without_a_plan_everything_is_shown():
    for lines in ("Building DAG of jobs...\nNothing to be done\n", "1 mistake in the config:\n  - name is missing\n"):
        assert stages(lines) == lines.splitlines()
