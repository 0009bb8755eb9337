"""What does a stage's start cost? CPU seconds until everything is imported, beside those of the whole job.

    snakemake --configfile configs/demo.yaml --cores all
    git worktree add /tmp/before COMMIT
    python benchmarks/starts.py --before /tmp/before > benchmarks/results/starts.md

The first job of each stage of the demo runs again, on copies of its results, with the code of this checkout and of the
other one. A start is the CPU time of the interpreter and of all imports, whenever they come.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from printing import machine, table, versions

ROOT = Path(__file__).resolve().parents[1]
FIXED = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
CHILD = """
import builtins, json, resource, sys, time
importing, plain, depth = time.process_time(), builtins.__import__, 0

def counted(*arguments, **names):
    global importing, depth
    depth += 1
    began = time.process_time()
    try:
        return plain(*arguments, **names)
    finally:
        depth -= 1
        importing += (time.process_time() - began) * (depth == 0)

builtins.__import__ = counted
from seqlift.cli import main
status = main(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_SELF)
with open(sys.argv[1], "w") as file:
    json.dump([importing, used.ru_utime + used.ru_stime], file)
sys.exit(status)
"""


def planned(checkout: Path, folder: Path) -> tuple[dict[str, list[str]], Counter]:
    """The arguments of each stage's first job, and how many jobs of each stage the demo has."""
    command = ["snakemake", "-s", str(checkout / "workflow" / "Snakefile"), "--configfile", "configs/demo.yaml"]
    done = subprocess.run(
        [*command, "--cores", "2", "-n", "-p", "--forceall"],
        **{"cwd": folder, "env": environment(checkout), "check": True, "capture_output": True, "text": True},
    )
    first: dict[str, list[str]] = {}
    count: Counter = Counter()
    for call in re.findall(r"\bseqlift (\w.*?)(?: 2?>|$)", done.stdout + done.stderr, re.MULTILINE):
        stage, *arguments = shlex.split(call)
        if "--method" in arguments:
            stage += f" {arguments[arguments.index('--method') + 1]}"
        first.setdefault(stage, arguments)
        count[stage] += 1
    return first, count


def environment(checkout: Path) -> dict[str, str]:
    return os.environ | FIXED | {"PYTHONPATH": str(checkout / "src")}


def seconds(checkout: Path, results: Path, stage: str, arguments: list[str]) -> tuple[float, float]:
    """CPU seconds of the start and of the whole job, on a copy of the results that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("results", "data", "configs", ".snakemake/auxiliary"):  # the last: lists of files in commands
            if (results / part).exists():
                shutil.copytree(results / part, Path(folder) / part)
        note = Path(folder) / "seconds.json"
        command = [sys.executable, "-c", CHILD, str(note), stage.split()[0], *arguments]
        subprocess.run(command, cwd=folder, env=environment(checkout), check=True, capture_output=True)
        return tuple(json.loads(note.read_text()))


def measure(checkout: Path, results: Path) -> dict[str, tuple[int, float, float]]:
    """Stage -> number of jobs, CPU seconds of a start and of a whole job."""
    measured = {}
    stages, count = planned(checkout, results)
    for stage, arguments in stages.items():
        print(f"\r{stage:20}", end="", file=sys.stderr, flush=True)
        measured[stage] = (count[stage], *seconds(checkout, results, stage, arguments))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT", help="the other code")
    parser.add_argument("--results", type=Path, default=ROOT, help="where the demo was run (default: this checkout)")
    arguments = parser.parse_args()
    before, now = (measure(checkout.resolve(), arguments.results) for checkout in (arguments.before, ROOT))
    commit = subprocess.run(
        ["git", "-C", str(arguments.before), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    rows = []
    for stage in dict.fromkeys([*before, *now]):
        cells = [
            cell
            for found in (before, now)
            for cell in (
                [str(found[stage][0]), *(f"{s:.1f}" for s in found[stage][1:])] if stage in found else [""] * 3
            )
        ]
        rows.append([f"`{stage}`", *cells])
    total = [
        cell
        for found in (before, now)
        for cell in (
            str(sum(jobs for jobs, *_ in found.values())),
            f"{sum(jobs * start for jobs, start, _ in found.values()):.0f}",
            f"{sum(jobs * whole for jobs, _, whole in found.values()):.0f}",
        )
    ]
    print(
        f"# Starts\n\nPrinted by `benchmarks/starts.py`. {machine(torch.device('cpu'))}. "
        f"{versions('pytorch-lightning', 'modisco-lite', 'matplotlib')}.\n\nThe demo's jobs, CPU seconds: the start of "
        "the first job of each stage (interpreter and imports) and that whole job, all compiled. Before: commit "
        f"{commit}. Sums count all jobs as long as the first.\n"
    )
    header = [f"{when}: {what}" for when in ("before", "now") for what in ("jobs", "start", "job")]
    print(table(["stage", *header], [*rows, ["all", *total]]))


if __name__ == "__main__":
    main()
