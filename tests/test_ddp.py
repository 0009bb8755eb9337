"""Training on several processes, started as a user does: `seqlift train --device cpu --devices 2`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.training import flags, make_data
from seqlift.errors import SeqliftError
from seqlift.models.checkpoint import load_model
from seqlift.training.processes import in_processes
from seqlift.training.record import RESUME_NAME

# Without batch normalisation and dropout a step on the halves of a batch is the step on the batch
EXACT = {"architecture": {"type": "paper", "filters": 12, "kernel": 9, "dense": 8, "dropout": 0.0}, "epochs": 12,
         "batch_size": 24, "learning_rate": 0.002, "restarts": 0}  # fmt: skip
LONG = EXACT | {"epochs": 100_000, "patience": 100_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Regions of which many labels of one target are unknown, so that the processes know different numbers of them."""
    folder = tmp_path_factory.mktemp("data of two")
    table = make_data(folder)
    unknown = np.random.default_rng(0).random(len(table)) < 0.5
    table["target:two"] = table["target:two"].astype("Int64").mask(unknown)
    table.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    return folder


def command(folder, output, devices, **changes):
    return [sys.executable, "-m", "seqlift", *flags(folder, output, **changes), "--devices", str(devices)]


def run(folder, output, devices=2, **changes):
    done = subprocess.run(
        command(folder, output, devices, **changes), capture_output=True, text=True, timeout=200, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def two(folder, tmp_path_factory):
    """Output folder and messages of an undisturbed run of two processes."""
    output = tmp_path_factory.mktemp("two") / "a model"
    done = run(folder, output, **EXACT)
    assert done.returncode == 0, done.stderr
    return output, done


def start(folder, output, settings=LONG):
    """A run of two processes that has finished an epoch, and its two processes."""
    running = subprocess.Popen(
        command(folder, output, 2, **settings), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in running.stderr:
        if line.startswith("epoch 1/"):
            break
    children = map(int, Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split())
    return running, [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pids):
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "processes are left over"
        time.sleep(0.1)


def test_two_processes_give_the_weights_of_one(folder, two, tmp_path):
    done = run(folder, tmp_path / "one", devices=1, **EXACT)
    assert done.returncode == 0, done.stderr
    one, other = (load_model(path / "model.ckpt") for path in (tmp_path / "one", two[0]))
    weights = other.model.state_dict()
    for name, tensor in one.model.state_dict().items():
        assert torch.allclose(tensor, weights[name], atol=2e-4), name
    histories = [pd.read_csv(path / "history.tsv", sep="\t") for path in (tmp_path / "one", two[0])]
    for column in ("epoch", "train_loss", "valid_loss", "learning_rate", "valid_auroc_one", "valid_auroc_two"):
        assert np.allclose(histories[0][column], histories[1][column], rtol=1e-3), column
    # the tolerance above is far below the change of one epoch
    fresh = torch.cat([tensor.flatten() for tensor in one.model.state_dict().values()]).std()
    assert fresh > 0.02


def test_only_the_first_process_writes_and_logs(two):
    output, done = two
    assert sorted(os.listdir(output)) == ["history.tsv", "model.ckpt"]
    assert done.stderr.count("training paper") == 1 and "2 x cpu" in done.stderr
    assert done.stdout.count("validation loss") == 1 and done.stderr.count("epoch 12/12") == 1
    assert "GLOBAL_RANK" not in done.stderr
    assert load_model(output / "model.ckpt").training["devices"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 1.0, "weight_decay": 1e30}, "loss became"),
        ({"batch_size": 25}, r"batch_size (=25) must be a multiple of the 2 devices"),
        ({"jitter": 11}, "do not fit"),
    ],
)
def test_an_error_is_reported_once_and_ends_all_processes(folder, tmp_path, change, message):
    done = run(folder, tmp_path / "model", **EXACT | change)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(said) == 1 and said[0].startswith("seqlift train: error: ") and message in said[0], done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes in /proc")
def test_a_process_that_is_killed_ends_all(folder, tmp_path):
    running, own = start(folder, tmp_path / "model")
    assert len(own) == 2
    os.kill(own[1], signal.SIGKILL)
    said = running.communicate(timeout=200)[1]
    assert running.returncode == 1 and "Traceback" not in said
    assert "was killed by signal 9" in said and said.count("error") == 1
    wait_until_gone(own)
    assert (tmp_path / "model" / RESUME_NAME).exists()


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes in /proc")
def test_a_killed_run_leaves_no_process_and_resumes_to_the_same_weights(folder, two, tmp_path):
    """Killed after the first epoch of twelve, or a later one: the state says which."""
    output = tmp_path / "model"
    running, own = start(folder, output, EXACT)
    running.kill()
    running.communicate()
    wait_until_gone(own)
    assert RESUME_NAME in os.listdir(output) and "model.ckpt" not in os.listdir(output)
    done = run(folder, output, **EXACT)
    assert done.returncode == 0 and "resuming after epoch" in done.stderr
    assert load_model(output / "model.ckpt").fingerprint == load_model(two[0] / "model.ckpt").fingerprint
    assert sorted(os.listdir(output)) == ["history.tsv", "model.ckpt"]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes in /proc")
def test_ctrl_c_ends_all(folder, tmp_path):
    running, own = start(folder, tmp_path / "model")
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    said = running.communicate(timeout=200)[1]
    assert running.returncode == 130 and "Traceback" not in said and "stopped" in said
    wait_until_gone(own)
    assert (tmp_path / "model" / RESUME_NAME).exists()


def _fail(rank, world):
    if rank == 1:
        raise SeqliftError("the second cannot")
    time.sleep(600)


def _crash(rank, world):
    raise ValueError(f"a bug in {rank}")


def test_the_others_do_not_wait_for_one_that_failed():
    before = time.monotonic()
    with pytest.raises(SeqliftError, match="the second cannot"):
        in_processes(_fail, 2)
    assert time.monotonic() - before < 300


def test_a_bug_keeps_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)process 1 of 2 failed:.*in _crash.*a bug in 0"):
        in_processes(_crash, 2)
