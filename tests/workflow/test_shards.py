"""Attribution shared by several jobs: the same scores to the bit, and a job that died is the only one done again."""

import numpy as np
import pytest

from fixtures.user import SMALL, changed
from seqlift.scores.file import open_scores
from test_scores_gather import contents

SCORES = "results/small/200bp/scores/TAL1.deeplift.h5"

# Explains eleven regions at a time, so that sixteen jobs have something to do
MANY_REFERENCES = {"methods": ["deeplift"], "max_regions": 176, "deeplift": {"n_references": 100}}

# What Python reads as it starts: the second shard dies as by a system without memory, the first time
DIES_ONCE = """
import os, signal, sys
if "2of2" in sys.orig_argv and sys.orig_argv[sys.orig_argv.index("--attempt") + 1] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def explain(checkout, shard_size, **settings):
    """The jobs that were done, and the scores."""
    checkout.write(changed(SMALL, attribution={**MANY_REFERENCES, "shard_size": shard_size, **settings}))
    (checkout.folder / SCORES).unlink(missing_ok=True)
    run = checkout.snakemake("--cores", "2", SCORES)
    assert run.status == 0, run.screen
    assert not list((checkout.folder / SCORES).parent.glob("shards/*.h5"))
    return run, checkout.folder / SCORES


@pytest.mark.slow
def test_one_four_and_sixteen_jobs_write_the_same_scores(finished):
    run, scores = explain(finished, 176)
    assert run.jobs == {"attribute_bases": 1}
    whole = contents(scores)
    with open_scores(scores) as opened:
        assert len(opened.coords) == 176
    for shard_size, jobs in ((44, 4), (11, 16)):
        run, scores = explain(finished, shard_size)
        assert run.jobs == {"attribute_bases": jobs, "gather_scores": 1}
        assert contents(scores) == whole
    logs = sorted((scores.parents[1] / "logs" / "attribute_bases").glob("TAL1.deeplift.*of16.log"))
    assert len(logs) == 16 and all("11 regions of TAL1, shard" in log.read_text() for log in logs)


@pytest.mark.slow
def test_a_shard_that_died_is_tried_again_alone_with_less_memory(finished, tmp_path, monkeypatch):
    with open_scores(finished.folder / SCORES) as opened:
        expected = opened.contributions[:]
    (tmp_path / "sitecustomize.py").write_text(DIES_ONCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    run, scores = explain(finished, 60, max_regions=100, deeplift=SMALL["attribution"]["deeplift"])
    assert run.jobs == {"attribute_bases": 2, "gather_scores": 1}
    assert run.screen.count("Trying to restart job") == 1
    assert run.screen.count("Explaining TAL1 base by base") == 3
    with open_scores(scores) as opened:
        np.testing.assert_allclose(opened.contributions[:], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_after_a_failure_only_the_shard_that_failed_is_left_to_do(finished, tmp_path, monkeypatch):
    checkout = finished
    (tmp_path / "sitecustomize.py").write_text(
        DIES_ONCE.replace(' and sys.orig_argv[sys.orig_argv.index("--attempt") + 1] == "1"', "")
    )
    (checkout.folder / SCORES).unlink()
    checkout.write(changed(SMALL, attribution={**SMALL["attribution"], "shard_size": 60}))
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path), prepend=":")
        run = checkout.snakemake("--cores", "2", "--keep-going", SCORES)
    assert run.status != 0
    assert not (checkout.folder / SCORES).exists()
    assert checkout.snakemake("-n", SCORES).jobs == {"attribute_bases": 1, "gather_scores": 1}
