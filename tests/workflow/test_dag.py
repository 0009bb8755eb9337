"""Snakemake plans many folds, targets and methods before anybody loses patience."""

import subprocess
import sys

import pytest

from fixtures.user import ROOT, environment

SECONDS = 30


@pytest.mark.extended
def test_five_folds_fifty_targets_and_three_methods_are_planned_in_half_a_minute():
    """Seconds of the processor, which other work on the machine changes little."""
    script = ROOT / "benchmarks" / "dag.py"
    command = [sys.executable, str(script), "--project", "5", "1", "50"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    folds, seeds, targets, jobs, processor = (
        cell.strip() for cell in done.stdout.strip().splitlines()[-1].strip("|").split("|")
    )
    assert (folds, seeds, targets) == ("5", "1", "50")
    # 5 trainings; of 50 targets and 2 methods, for each fold and for their mean: scores, motifs, logos and hits
    assert int(jobs.replace(",", "")) > 5 + 4 * 6 * 50 * 2
    assert float(processor.removesuffix(" s")) < SECONDS, done.stdout
