"""GPUs as a user of `snakemake` has them: a job has its own, waits for it, or says that there is none.

Without a GPU, `nvidia-smi` and torch's answer whether it has CUDA are stood in for (fake_cuda/); all else is real.
"""

import os
import uuid
from pathlib import Path

import pandas as pd
import pytest
import torch

from fixtures.fake_gpus import listing, write_nvidia_smi
from fixtures.user import Checkout, Run
from seqlift.core.gpus import LOCK_FOLDER

RUN = "results/small/200bp"
MODEL = [f"{RUN}/model/model.ckpt", f"{RUN}/model/history.tsv"]
SCORES = [f"{RUN}/scores/TAL1.{method}.h5" for method in ("deeplift", "interior_gradients")]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_where_there_is_none_is_an_error_before_any_work(finished):
    before = finished.files()
    run = finished.snakemake("--cores", "2", "--set-resources", "train_model:gpu=1", "--force", MODEL[0])
    assert run.status == 1 and run.jobs == {"train_model": 1}
    said = [line for line in run.screen.splitlines() if line.startswith("seqlift train: error: ")]
    assert said and "--device gpu=1" in said[0] and "--resources gpu=0" in said[0]
    assert "Traceback" not in run.screen
    assert (finished.folder / RUN / "logs/train_model.log").read_text().splitlines() == said[:1]
    # Snakemake takes away what the rule is to make; nothing else has changed or been begun
    after = finished.files()
    assert before.keys() - after.keys() == set(MODEL)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {f"{RUN}/logs/train_model.log"}
    # The remedy that the message names
    run = finished.snakemake(
        *("--cores", "2", "--set-resources", "train_model:gpu=1", "--resources", "gpu=0", "-n", "-p", MODEL[0])
    )
    assert "--device gpu=0 " in run.screen, run.screen


@pytest.fixture
def explain(finished, tmp_path, monkeypatch):
    """Explains by both methods on a machine that seems to have some GPUs; gives the screen and the jobs."""
    uuids: list[str] = []

    def run(n: int, *flags: str) -> tuple[Run, pd.DataFrame]:
        uuids.extend(f"GPU-{uuid.uuid4()}" for _ in range(n))
        write_nvidia_smi(tmp_path / "bin", listing(uuids))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fake_cuda"), prepend=os.pathsep)
        monkeypatch.setenv("FAKE_CUDA_NOTES", str(tmp_path / "notes.tsv"))
        screen = finished.snakemake("--cores", "2", *flags, "--force", *SCORES)
        notes = pd.read_csv(tmp_path / "notes.tsv", sep="\t", names=["process", "what", "time", "device", "gpu"])
        jobs = notes.pivot(index=["process", "device", "gpu"], columns="what", values="time").reset_index()
        assert set(jobs["gpu"]) <= set(uuids)
        return screen, jobs.sort_values("begins")

    yield run
    for name in uuids:
        (LOCK_FOLDER / name).unlink(missing_ok=True)


def logs(checkout: Checkout) -> str:
    return "".join(path.read_text() for path in (checkout.folder / RUN / "logs/attribute_bases").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "by"),
    [
        ([], "the profile"),
        (["--resources", "gpu=2"], "the claims"),  # as two runs that know nothing of each other
    ],
    ids=["by the profile", "by their claims"],
)
def test_two_jobs_on_one_gpu_take_turns(explain, finished, flags, by):
    run, jobs = explain(1, *flags)
    assert run.status == 0, run.screen
    assert len(jobs) == 2 and set(jobs["device"]) == {"cuda"} and jobs["gpu"].nunique() == 1
    assert jobs["begins"].iloc[1] >= jobs["ends"].iloc[0]
    assert logs(finished).count("waiting for a GPU") == (by == "the claims")


@pytest.mark.slow
def test_on_two_gpus_each_job_has_its_own(explain, finished):
    run, jobs = explain(2, "--resources", "gpu=2")
    assert run.status == 0, run.screen
    assert len(jobs) == 2 and set(jobs["device"]) == {"cuda"} and jobs["gpu"].nunique() == 2
    assert jobs["begins"].iloc[1] < jobs["ends"].iloc[0]
    assert "waiting" not in logs(finished)
