"""The profile for Slurm, on a Slurm that runs: what is asked of it, and that a job which it ends is sent again.

Skipped unless SEQLIFT_TEST_SLURM=1 says that `sbatch` may be used. The node needs two CPUs, 16 GB and one GPU (it may
be a fake one: nothing is computed on it).
"""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from fixtures.user import ROOT, SMALL, Checkout, Run, changed, environment, new_checkout, press_ctrl_c

if os.environ.get("SEQLIFT_TEST_SLURM") != "1":
    pytest.skip("a Slurm to send jobs to: set SEQLIFT_TEST_SLURM=1 where one runs", allow_module_level=True)
if " " in sys.executable:  # Snakemake does not quote it
    pytest.skip("jobs on other machines need a Python in a path without spaces", allow_module_level=True)
if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
    pytest.skip("snakemake-executor-plugin-slurm: pip install 'seqlift[slurm]'", allow_module_level=True)

pytestmark = pytest.mark.slow

# There may be no accounting, and on a small run most of the time would go into waiting between two looks at the queue
SOON = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]

# Enough epochs that the training can be ended while it runs
CONFIG = changed(SMALL, training={"epochs": 60, "patience": 60})


@dataclass(frozen=True)
class Request:
    """What one job asked of Slurm, and how it ended."""

    number: int
    rule: str
    state: str
    threads: int
    mem_mb: int
    minutes: int
    gpus: int


def requests(run: Run) -> list[Request]:
    """All jobs of a run, in the order in which they were sent."""
    found = []
    for number in re.findall(r"has been submitted with SLURM jobid (\d+)", run.screen):
        said = subprocess.run(
            ["scontrol", "show", "job", "--oneliner", number], check=True, capture_output=True, text=True
        ).stdout
        fields = dict(re.findall(r"(?:^| )([\w/:.]+)=(\S*)", said))
        days, _, clock = fields["TimeLimit"].rpartition("-")
        hours, minutes, _ = map(int, clock.split(":"))
        gpus = re.search(r"gpu(?::[a-z]\w*)?:(\d+)", fields.get("TresPerJob", ""))
        found.append(
            Request(
                number=int(number),
                rule=re.match(r"rule_(\w+?)(?:_wildcards|$)", fields["Comment"])[1],
                state=fields["JobState"],
                threads=int(fields["CPUs/Task"]),
                mem_mb=int(fields["MinMemoryNode"].removesuffix("M")),
                minutes=int(days or 0) * 24 * 60 + hours * 60 + minutes,
                gpus=int(gpus[1]) if gpus else 0,
            )
        )
    return found


def stated(checkout: Checkout) -> set[tuple[str, int, int, int]]:
    """What the rules state, as Snakemake itself wrote it down inside each job: threads, MB and minutes."""
    rows = set()
    for path in (checkout.folder / "results" / "small" / "200bp" / "benchmarks").rglob("*.tsv"):
        for row in pd.read_csv(path, sep="\t").to_dict("records"):
            resources = ast.literal_eval(row["resources"])
            rows.add((row["rule_name"], row["threads"], resources["mem_mb"], resources["runtime"]))
    return rows


@pytest.fixture(scope="module")
def cancelled(tmp_path_factory) -> tuple[Checkout, Run]:
    """A run up to the scores, whose training was ended by `scancel` after its first epochs."""
    checkout = new_checkout(tmp_path_factory.mktemp("slurm") / "a path with spaces")
    checkout.write(CONFIG)
    flags = ["--profile", "workflow/profiles/slurm", *SOON, "--until", "attribute_bases"]
    # Without GPUs, as the node has none that computes. These flags take the place of the profile's whole list.
    without = [f"{rule}:gpu=0" for rule in ("train_model", "evaluate_model", "attribute_bases")]
    lines: list[str] = []
    cancelled = False
    with checkout.start(*flags, "--set-resources", *without, "--benchmark-extended") as process:
        try:
            for line in process.stdout:
                lines.append(line)
                sent = re.search(r"SLURM jobid (\d+) .*rule_train_model", line)
                if sent and not cancelled:
                    cancel_once_it_trains(sent[1], checkout.folder / "results" / "small" / "200bp" / "model")
                    cancelled = True
            process.wait(timeout=60)
        finally:
            if process.poll() is None:
                press_ctrl_c(process)  # Snakemake takes its jobs back
    return checkout, Run(process.returncode, "".join(lines))


def cancel_once_it_trains(number: str, folder: Path) -> None:
    """`scancel` as soon as an epoch was saved."""
    deadline = time.monotonic() + 240
    while not (folder / ".resume.ckpt").exists():
        assert time.monotonic() < deadline, f"job {number} has saved no epoch in four minutes"
        time.sleep(0.05)
    subprocess.run(["scancel", number], check=True)


def test_a_job_that_was_cancelled_is_sent_again(cancelled):
    """Training goes on where it was, and the run ends well."""
    checkout, run = cancelled
    assert run.status == 0, run.screen
    training = [request for request in requests(run) if request.rule == "train_model"]
    assert [request.state for request in training] == ["CANCELLED", "COMPLETED"]
    assert training[1].mem_mb >= training[0].mem_mb and training[1].minutes >= training[0].minutes
    assert "resuming after epoch" in (checkout.folder / "results/small/200bp/logs/train_model.log").read_text()
    # The user saw why, and how far it had come
    assert "SLURM status is: 'CANCELLED'" in run.screen and "epoch 1/60" in run.screen
    scores = [f"results/small/200bp/scores/TAL1.{method}.h5" for method in ("deeplift", "interior_gradients")]
    assert all((checkout.folder / name).is_file() for name in scores)


def test_slurm_gets_what_the_rules_state(cancelled):
    checkout, run = cancelled
    assert run.status == 0, run.screen
    sent = [request for request in requests(run) if request.state == "COMPLETED"]
    rules = {request.rule for request in sent}
    assert {"make_regions", "train_model", "attribute_bases"} <= rules
    asked = {(request.rule, request.threads, request.mem_mb, request.minutes) for request in sent}
    assert asked == {row for row in stated(checkout) if row[0] in rules}
    assert {request.gpus for request in sent} == {0}


def test_gpus_are_asked_for_and_their_number_here_does_not_count(cancelled):
    """By `seqlift run --profile slurm`, the profile unchanged. One GPU holds up no job in Snakemake, only in Slurm."""
    checkout, run = cancelled
    assert run.status == 0, run.screen
    command = [sys.executable, "-m", "seqlift", "run", "--configfile", "my config.yaml", "--profile", "slurm"]
    flags = ["--resources", "gpu=1", "--retries", "0", "--until", "attribute_bases", "--forcerun", "attribute_bases"]
    done = subprocess.run(
        [*command, "--", *SOON, *flags],
        cwd=checkout.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    run = Run(done.returncode, done.stdout)
    assert f"{ROOT}/workflow/Snakefile" in run.screen
    sent = requests(run)
    assert [request.rule for request in sent] == ["attribute_bases"] * 2, run.screen
    assert [request.gpus for request in sent] == [1, 1]
    # Both were sent before the first had ended
    assert "Finished jobid" not in run.screen[: run.screen.rindex("has been submitted")]
    # Where Slurm's GPU computes nothing, jobs may refuse to run on the CPU instead
    assert run.status == 0 or "GPU" in run.screen, run.screen
