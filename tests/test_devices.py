"""A job that was given GPUs has them for itself, waits for them, or says that they are not there."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
import warnings

import pytest
import torch

import seqlift.cli.train
import seqlift.core.devices
import seqlift.core.gpus
from fixtures.fake_gpus import listing, write_nvidia_smi
from seqlift.cli import main
from seqlift.core.devices import take_device
from seqlift.core.gpus import Gpu, visible_gpus
from seqlift.errors import SeqliftError

PARTS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-5d5ba0d6/2/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77f2c1aa)
"""

# A job: takes N GPUs, starts a program that outlives it, says what it got, and waits to be ended
JOB = """\
import logging, os, subprocess, sys
from seqlift.core.gpus import claim_gpus, visible_gpus
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
claim_gpus(int(sys.argv[2]), visible_gpus())
none = subprocess.DEVNULL
left_over = subprocess.Popen(["sleep", "100"], close_fds=False, stdin=none, stdout=none, stderr=none)
print(os.environ["CUDA_VISIBLE_DEVICES"], left_over.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Call it with what nvidia-smi says; before that, and without it, there is none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if seqlift.core.gpus.shutil.which("nvidia-smi"):
        pytest.skip("this machine has an nvidia-smi beside the system's programs")

    def make(says: str, status: int = 0) -> None:
        write_nvidia_smi(tmp_path / "bin", says, status)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    return make


@pytest.fixture
def two(machine):
    """UUIDs of two GPUs that no other test has."""
    uuids = [f"GPU-{uuid.uuid4()}" for _ in range(2)]
    machine(listing(uuids))
    yield uuids
    for name in uuids:
        (seqlift.core.gpus.LOCK_FOLDER / name).unlink(missing_ok=True)


class Job:
    """A process that claims GPUs, as a stage does."""

    def __init__(self, n: int, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, "attribute", str(n)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.left_over = None
        self.patience = threading.Timer(60, self.process.kill)  # a line that never comes ends the test
        self.patience.start()

    def says(self) -> str:
        line = self.process.stdout.readline().rstrip("\n")
        assert line, "the job ended"
        return line

    def gets(self) -> str:
        """The CUDA_VISIBLE_DEVICES that it ends up with, after all that it says before."""
        while (line := self.says()).startswith(("using ", "waiting ")):
            pass
        visible, self.left_over = line.split()
        return visible

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=60)


@pytest.fixture
def job():
    """Starts jobs, and ends what is left of them."""
    with contextlib.ExitStack() as stack:

        def start(n: int = 1, **environment: str) -> Job:
            started = Job(n, **environment)
            stack.callback(tidy, started)
            return started

        yield start


def tidy(job: Job) -> None:
    job.patience.cancel()
    job.process.kill()
    job.process.communicate(timeout=60)
    if job.left_over:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(job.left_over), signal.SIGKILL)


# --- which GPUs there are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "gpus"),
    [
        (None, [("GPU-aa1", "GPU-aa1"), ("GPU-ab2", "GPU-ab2"), ("GPU-b3", "GPU-b3")]),
        ("", []),
        ("2", [("2", "GPU-b3")]),
        ("2, 0", [("2", "GPU-b3"), ("0", "GPU-aa1")]),
        ("1,7,0", [("1", "GPU-ab2")]),  # what follows a number that is not there does not count
        ("-1", []),
        ("NoDevFiles", []),  # Slurm's word for none
        ("GPU-ab2,0", [("GPU-ab2", "GPU-ab2"), ("0", "GPU-aa1")]),
        ("GPU-b", [("GPU-b", "GPU-b3")]),
        ("GPU-a", [("GPU-a", "GPU-a")]),  # may be two: CUDA decides
    ],
)
def test_what_is_chosen_is_named_by_its_uuid(machine, monkeypatch, chosen, gpus):
    machine(listing(["GPU-aa1", "GPU-ab2", "GPU-b3"]))
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == [Gpu(*gpu) for gpu in gpus]


def test_the_parts_of_a_divided_gpu_count_each(machine, monkeypatch):
    machine(PARTS)
    names = ["MIG-c6d4f1ef", "MIG-GPU-5d5ba0d6/2/0", "GPU-77f2c1aa"]
    assert visible_gpus() == [Gpu(name, name) for name in names]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-5d5ba0d6/2/0,1")
    assert visible_gpus() == [Gpu(names[1], names[1]), Gpu("1", names[2])]


def test_without_nvidia_smi_only_uuids_have_names(machine, monkeypatch):
    assert visible_gpus() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # on a cluster the first GPU of each job
    assert visible_gpus() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa1")
    assert visible_gpus() == [Gpu("GPU-aa1", "GPU-aa1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_an_nvidia_smi_that_fails_is_heard(machine, caplog):
    machine("Failed to initialize NVML: Driver/library version mismatch\n", status=18)
    assert visible_gpus() is None
    assert "version mismatch" in caplog.text


# --- claims -----------------------------------------------------------------------------------------------------------


def test_each_job_gets_its_own_and_a_third_waits_until_one_is_killed(two, job):
    first, second = job(), job()
    got = [first.gets(), second.gets()]
    assert sorted(got) == sorted(two)
    third = job()
    waiting = third.says()
    assert waiting.startswith("waiting for a GPU: ") and "seqlift attribute" in waiting
    for one, gpu in zip((first, second), got, strict=True):
        assert f"{gpu} is used by process {one.process.pid} " in waiting
    first.end(signal.SIGKILL)
    assert third.says() == f"using {got[0]}"  # and did not say a second time that it waits
    assert third.gets() == got[0]


def test_cuda_visible_devices_is_kept(two, job):
    first = job(CUDA_VISIBLE_DEVICES="1")
    assert first.says() == f"using {two[1]}" and first.gets() == "1"
    second = job(CUDA_VISIBLE_DEVICES=two[1])  # the same by another name, although the other GPU is free
    assert second.says().startswith(f"waiting for a GPU: {two[1]} is used by process {first.process.pid} ")
    assert job().gets() == two[0]
    first.end()
    assert second.gets() == two[1]


def test_a_job_that_waits_for_two_keeps_none_from_others(two, job):
    first = job()
    got = first.gets()
    both = job(2)
    assert both.says().startswith("waiting for 2 GPUs: ")
    third = job()
    assert {got, third.gets()} == set(two)
    first.end()
    third.end()
    assert both.gets() == ",".join(two)


@pytest.mark.parametrize("kind", ["link", "open to all"])
def test_a_folder_of_somebody_else_is_refused(two, tmp_path, monkeypatch, kind):
    folder = tmp_path / "locks"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    monkeypatch.setattr(seqlift.core.gpus, "LOCK_FOLDER", folder)
    with pytest.raises(SeqliftError, match=re.escape(str(folder))):
        seqlift.core.gpus.claim_gpus(1, visible_gpus())
    assert not list(elsewhere.iterdir())


# --- what a stage is given -------------------------------------------------------------------------------------------


@pytest.fixture
def cuda(monkeypatch):
    """A torch that is built with CUDA and finds the GPUs of CUDA_VISIBLE_DEVICES once they are claimed."""
    calls = []
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: calls.append("CUDA starts") or True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: os.environ["CUDA_VISIBLE_DEVICES"].count(",") + 1)
    monkeypatch.setattr(seqlift.core.devices, "claim_gpus", lambda n, gpus: calls.append(f"claim {n} of {len(gpus)}"))
    return calls


def test_gpus_are_claimed_before_cuda_starts(two, cuda, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert take_device("gpu=2", most=None) == ("cuda", 2)
    assert cuda == ["claim 2 of 2", "CUDA starts"]


def test_no_gpu_means_the_cpu_also_where_there_is_one(two, cuda, caplog):
    caplog.set_level("INFO", "seqlift")
    assert take_device("gpu=0") == ("cpu", 0)
    assert "gpu=0" in caplog.text and "claim" not in "".join(cuda)
    assert take_device("auto") == ("auto", None)
    assert take_device("cuda") == ("cuda", None)


def test_gpus_without_names_are_used_as_torch_finds_them(machine, cuda, monkeypatch, caplog):
    caplog.set_level("INFO", "seqlift")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert take_device("gpu=1") == ("cuda", 1)
    assert cuda == ["CUDA starts"] and "nvidia-smi" in caplog.text


def old_driver():
    warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1)
    return False


@pytest.mark.parametrize(
    ("lacking", "fact"),
    [
        ("build", torch.__version__),
        ("hidden", "CUDA_VISIBLE_DEVICES"),
        ("driver", "CUDA initialization: The NVIDIA driver on your system is too old"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_an_error(two, cuda, monkeypatch, lacking, fact):
    if lacking == "build":
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    elif lacking == "hidden":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    else:
        monkeypatch.setattr(torch.cuda, "is_available", old_driver)
    with pytest.raises(SeqliftError) as raised:
        take_device("gpu=1")
    assert all(part in str(raised.value) for part in ("--device gpu=1", "--set-resources RULE:gpu=0", fact))


@pytest.mark.parametrize(
    "stage",
    [
        "train --architecture {} --epochs 1 --batch-size 8 --learning-rate 0.1 --weight-decay 0 --patience 1 --jitter 0"
        " --reverse-complement --seed 1 --output-dir out",
        "evaluate --model no.ckpt --summary no.json --output-dir out",
        "attribute --model no.ckpt --target T --method deeplift --max-regions 1 --seed 1 --output out.h5",
        "faithfulness --model no.ckpt --scores no.h5 --output-dir out",
        "tracks predicted --model no.ckpt --summary no.json --target T --output out.bw",
    ],
    ids=lambda stage: stage.split(" --")[0],
)
@pytest.mark.parametrize("device", ["gpu=1", "cuda"])
def test_every_stage_looks_for_its_gpu_before_its_data(stage, device, tmp_path, monkeypatch, capsys):
    """Files that are not there are not missed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    flags = ["--regions", "no.tsv", "--genome", "no.fa", "--device", device]
    assert main([*stage.split(), *flags]) == 1
    said = capsys.readouterr().err
    assert device in said and "no.tsv" not in said and "no.ckpt" not in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def trained(monkeypatch):
    """Arguments that `seqlift train` runs with; there are enough GPUs."""
    seen = []
    monkeypatch.setattr(seqlift.core.devices, "_take_gpus", lambda n: None)
    monkeypatch.setattr(seqlift.cli.train, "run", seen.append)
    return seen


TRAIN = textwrap.dedent("""\
    train --architecture {} --epochs 1 --batch-size 8 --learning-rate 0.1 --weight-decay 0 --patience 1 --jitter 0
    --reverse-complement --seed 1 --output-dir out --regions no.tsv --genome no.fa""").split()
EVALUATE = ["evaluate", "--model", "a", "--regions", "b", "--summary", "c", "--genome", "d", "--output-dir", "e"]


@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (["--device", "gpu=0"], ("cpu", 1)),
        (["--device", "gpu=1"], ("cuda", 1)),
        (["--device", "gpu=4"], ("cuda", 4)),
        (["--device", "cpu", "--devices", "2"], ("cpu", 2)),
        ([], ("auto", 1)),
    ],
)
def test_training_shares_its_steps_among_the_gpus_it_was_given(trained, flags, where):
    assert main([*TRAIN, *flags]) == 0
    assert [(arguments.device, arguments.devices) for arguments in trained] == [where]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([*TRAIN, "--device", "gpu=2", "--devices", "3"], "--devices (=3)"),
        ([*TRAIN, "--device", "gpu=two"], "--device (='gpu=two')"),
        ([*TRAIN, "--device", "tpu"], "--device (='tpu')"),
        ([*EVALUATE, "--device", "gpu=2"], "--device (='gpu=2')"),
    ],
)
def test_what_cannot_be_meant_is_an_error(trained, capsys, command, words):
    assert main(command) == 1
    assert words in capsys.readouterr().err and not trained
