"""How long does Snakemake plan, before the first job starts? Prints Markdown.

    python benchmarks/dag.py > benchmarks/results/dag.md

`snakemake -n` of made-up projects, for which no file but the genome and the peaks is there: folds that are explained by
themselves, too, times seeds, targets and methods (DeepLIFT and interior gradients of all regions, mutagenesis of some).
It computes on one core; time is that of the processor, which other work on the machine changes little.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from printing import machine, table, versions

ROOT = Path(__file__).resolve().parents[1]
METHODS = 3
PROJECTS = ((0, 1, 1), (5, 1, 10), (5, 1, 50), (5, 3, 50), (5, 1, 100))  # folds, seeds, targets


def write_project(folder: Path, folds: int, seeds: int, targets: int) -> None:
    """A config and the files that it names, which are empty."""
    (folder / "genome.fa").touch()
    for i in range(targets):
        (folder / f"T{i}.bed").touch()
    listed = "\n".join(f"  - {{name: T{i}, peaks: T{i}.bed}}" for i in range(targets))
    held_out = f"{{folds: {folds}}}" if folds else "{valid: [chr1], test: [chr2]}"
    (folder / "config.yaml").write_text(
        f"name: planned\ngenome: {{fasta: genome.fa}}\ntargets:\n{listed}\nregions: {held_out}\n"
        f"training: {{seed: {list(range(1, seeds + 1))}}}\n"
        f"attribution: {{each_fold: {str(bool(folds)).lower()}, mutagenesis: {{max_regions: 20}}}}\n"
    )


def plan(folds: int, seeds: int, targets: int) -> tuple[int, float]:
    """Number of jobs, and seconds of the processor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, folds, seeds, targets)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile")]
        command += ["--configfile", "config.yaml", "--dry-run", "--quiet", "rules", "--cores", "1"]
        with open(folder / "screen", "w+") as screen:
            child = subprocess.Popen(command, cwd=folder, stdout=screen, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(child.pid, 0)  # of this child alone
            child.returncode = os.waitstatus_to_exitcode(status)
            screen.seek(0)
            said = screen.read()
    found = re.search(r"^total +(\d+)$", said, flags=re.MULTILINE)
    if child.returncode or not found:
        raise SystemExit(said)
    return int(found[1]), used.ru_utime + used.ru_stime


def main() -> None:
    """Plan some projects and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--project",
        nargs=3,
        type=int,
        action="append",
        metavar=("FOLDS", "SEEDS", "TARGETS"),
        help="what to plan (default: those of the results)",
    )
    projects = parser.parse_args().project or PROJECTS
    print(f"# Planning\n\n{machine(torch.device('cpu'))}. {versions('snakemake', 'seqlift')}.\n")
    print(f"`snakemake -n` with {METHODS} methods; with folds each of them is explained by itself, too.\n")
    rows = []
    for folds, seeds, targets in projects:
        jobs, processor = plan(folds, seeds, targets)
        rows.append([*map(str, (folds, seeds, targets)), f"{jobs:,}", f"{processor:.1f} s"])
    print(table(["folds", "seeds", "targets", "jobs", "processor"], rows))


if __name__ == "__main__":
    main()
