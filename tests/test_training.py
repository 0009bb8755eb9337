"""Training as a whole, on a small genome with planted motifs: what it writes, what it learns, how it goes on."""

import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from sklearn.metrics import log_loss, roc_auc_score

import seqlift.training.loop
import seqlift.training.train
from fixtures.stages import train as train_model
from fixtures.training import LENGTH, MOTIFS, SETTINGS, flags, make_data, stopped
from seqlift.cli import main
from seqlift.core.files import temporary_prefix
from seqlift.core.progress import TrainingProgress
from seqlift.data.genome import Genome
from seqlift.data.windows import load_codes
from seqlift.errors import SeqliftError
from seqlift.models.checkpoint import load_model
from seqlift.models.predicting import predict
from seqlift.training.learner import rate_factor
from seqlift.training.loop import _quiet_lightning
from seqlift.training.record import RESUME_NAME

OUTPUTS = {"history.tsv", "model.ckpt"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training data")
    table = make_data(folder)
    with Genome(folder / "genome.fa", cache_dir=folder / "cache") as genome:
        yield table, genome


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """Folder, metrics and model of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "model"
    metrics = train_model(*data, **SETTINGS, output_dir=folder)
    return folder, metrics, load_model(folder / "model.ckpt")


def test_planted_motifs_are_learned(undisturbed):
    folder, training, model = undisturbed
    assert set(os.listdir(folder)) == OUTPUTS and not os.path.exists("lightning_logs")
    assert model.training == training and model.targets == ["one", "two"] and model.length == LENGTH
    assert training["learned"] and training["learned_targets"] == {"one": True, "two": True}
    assert training["valid_loss"] < 0.7 * training["base_rate_loss"] and training["restarts"] == 0
    assert training["parameters"] == sum(weights.numel() for weights in model.model.parameters())
    assert training["best"]["valid_auroc_one"] > 0.9 and training["best"]["valid_auroc_two"] > 0.9


def test_best_epoch_is_that_of_the_least_validation_loss(undisturbed):
    folder, training, _ = undisturbed
    history = pd.read_csv(folder / "history.tsv", sep="\t")
    expected = ["epoch", "train_loss", "valid_loss", "learning_rate", "seconds", "attempt"]
    assert list(history) == [*expected, "valid_auroc_one", "valid_auroc_two"]
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6, 7, 8] and training["epochs_run"] == training["epochs"] == 8
    best = history.loc[history["valid_loss"].idxmin()]
    assert best["epoch"] == training["best_epoch"] == training["best"]["epoch"]
    assert best["valid_loss"] == pytest.approx(training["valid_loss"], rel=1e-4)
    assert history["train_loss"].iloc[-1] < 0.7 * history["train_loss"].iloc[0] and (history["seconds"] > 0).all()
    assert history["learning_rate"].max() < SETTINGS["learning_rate"]
    assert history["learning_rate"].iloc[-1] == pytest.approx(0, abs=1e-6)
    assert (history["attempt"] == 1).all()


def test_validation_is_that_of_the_saved_model(data, undisturbed):
    """Loss, base rate's loss and AUROC once more, from the weights in the file and the table alone."""
    table, genome = data
    _, training, trained = undisturbed
    parts = {split: table[table["split"] == split] for split in ("train", "valid")}
    logits = predict(trained.model, load_codes(parts["valid"], genome, seed=0)).astype(float)
    losses, base = [], []
    for i, name in enumerate(MOTIFS):
        truth = parts["valid"][f"target:{name}"]
        losses.append(log_loss(truth, 1 / (1 + np.exp(-logits[:, i]))))
        base.append(log_loss(truth, np.full(len(truth), parts["train"][f"target:{name}"].mean())))
        assert training["best"][f"valid_auroc_{name}"] == pytest.approx(roc_auc_score(truth, logits[:, i]))
    assert training["valid_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert training["base_rate_loss"] == pytest.approx(np.mean(base), rel=1e-9)


def test_same_settings_give_the_same_files(data, undisturbed, tmp_path):
    state = torch.get_rng_state()
    torch.manual_seed(99)  # the caller's randomness is neither used
    caller = torch.get_rng_state()
    train_model(*data, **SETTINGS, output_dir=tmp_path)
    assert torch.equal(torch.get_rng_state(), caller)  # nor moved
    torch.set_rng_state(state)
    assert load_model(tmp_path / "model.ckpt").fingerprint == undisturbed[2].fingerprint


def assert_resumes(data, undisturbed, folder, caplog, *, done):
    caplog.set_level(logging.INFO, "seqlift")
    training = train_model(*data, **SETTINGS, output_dir=folder)
    assert (f"resuming after epoch {done} of" in caplog.text) == (done > 0)
    assert load_model(folder / "model.ckpt").fingerprint == undisturbed[2].fingerprint
    assert {**training, "seconds": 0, "best": 0} == {**undisturbed[1], "seconds": 0, "best": 0}
    history = [pd.read_csv(path / "history.tsv", sep="\t").drop(columns="seconds") for path in (folder, undisturbed[0])]
    pd.testing.assert_frame_equal(*history)
    assert set(os.listdir(folder)) == OUTPUTS


@pytest.mark.parametrize("stops", [[(0, 2)], [(1, 0)], [(3, 3)], [(1, 1), (4, 1)]])
def test_a_run_stopped_by_ctrl_c_resumes_and_gives_the_same_model(data, undisturbed, tmp_path, caplog, stops):
    for epoch, step in stops:
        with stopped(epoch, step):
            train_model(*data, **SETTINGS, output_dir=tmp_path)
        assert set(os.listdir(tmp_path)) == ({RESUME_NAME} if epoch else set())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_resumes(data, undisturbed, tmp_path, caplog, done=stops[-1][0])


def test_a_run_stopped_while_writing_resumes(data, undisturbed, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seqlift.training.train, "save_checkpoint", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        train_model(*data, **SETTINGS, output_dir=tmp_path)
    assert_resumes(data, undisturbed, tmp_path, caplog, done=8)


def test_a_run_that_had_stopped_early_is_not_trained_further(data, tmp_path, monkeypatch):
    settings = SETTINGS | {"patience": 1, "epochs": 40, "learning_rate": 0.05}
    monkeypatch.setattr(seqlift.training.loop, "MIN_PATIENCE_STEPS", 1)
    metrics = train_model(*data, **settings, output_dir=tmp_path / "whole")
    assert metrics["epochs_run"] == metrics["best_epoch"] + 1 < 40
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seqlift.training.train, "_best_model", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        train_model(*data, **settings, output_dir=tmp_path / "stopped")
    again = train_model(*data, **settings, output_dir=tmp_path / "stopped")
    assert again["epochs_run"] == metrics["epochs_run"] and again["valid_loss"] == metrics["valid_loss"]


def test_patience_is_at_least_some_steps(data, tmp_path, monkeypatch):
    # 360 regions in batches of 16 are 22 steps: 88 steps are 4 epochs
    monkeypatch.setattr(seqlift.training.loop, "MIN_PATIENCE_STEPS", 88)
    settings = SETTINGS | {"patience": 1, "epochs": 60, "learning_rate": 0.05}
    metrics = train_model(*data, **settings, output_dir=tmp_path)
    assert metrics["epochs_run"] == metrics["best_epoch"] + 4 < 60


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.01}, {"architecture": {"type": "paper", "filters": 4}}, "labels"]
)
def test_a_stopped_run_with_other_settings_starts_from_the_beginning(data, tmp_path, caplog, change):
    with stopped(1, 0):
        train_model(*data, **SETTINGS, output_dir=tmp_path / "stopped")
    table, genome = data
    settings = SETTINGS | {"epochs": 2}
    if change == "labels":
        table = table.assign(**{"target:one": table["target:two"]})
    else:
        settings = settings | change
    train_model(table, genome, **settings, output_dir=tmp_path / "stopped")
    train_model(table, genome, **settings, output_dir=tmp_path / "fresh")
    assert "starting from the beginning" in caplog.text
    assert ("regions_sha256" if change == "labels" else next(iter(change))) in caplog.text
    models = [load_model(tmp_path / name / "model.ckpt").fingerprint for name in ("stopped", "fresh")]
    assert models[0] == models[1]


def test_a_damaged_state_is_not_used(data, undisturbed, tmp_path, caplog):
    (tmp_path / RESUME_NAME).write_bytes(b"not a checkpoint")
    half = temporary_prefix(tmp_path / RESUME_NAME).replace(f"-{os.getpid()}.", "-999999999.half")
    (tmp_path / half).write_bytes(b"killed while it was saved")
    train_model(*data, **SETTINGS, output_dir=tmp_path)
    assert "cannot be read" in caplog.text
    assert set(os.listdir(tmp_path)) == OUTPUTS
    assert load_model(tmp_path / "model.ckpt").fingerprint == undisturbed[2].fingerprint


def test_a_loss_that_is_not_finite_is_named(data, tmp_path):
    with pytest.raises(SeqliftError, match=r"loss became \S+ in epoch 1.*learning_rate is 1"):
        train_model(*data, **SETTINGS | {"learning_rate": 1.0, "weight_decay": 1e30}, output_dir=tmp_path)
    assert not OUTPUTS & set(os.listdir(tmp_path))


def test_a_model_that_learned_nothing_says_so(tmp_path, caplog):
    table = make_data(tmp_path, planted=False)
    with Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache") as genome:
        settings = SETTINGS | {"learning_rate": 1e-3, "restarts": 0}
        metrics = train_model(table, genome, **settings, output_dir=tmp_path / "model")
    assert metrics["learned"] is False and metrics["learned_targets"] == {"one": False, "two": False}
    assert "none of 1 trainings" in caplog.text
    assert load_model(tmp_path / "model" / "model.ckpt").training["learned"] is False
    assert "WARNING: the model has learned nothing about one" in caplog.text and "about two" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error(data, tmp_path):
    with pytest.raises(SeqliftError, match="torch sees no GPU"):
        train_model(*data, **SETTINGS | {"device": "cuda"}, output_dir=tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, r"`epochs` \(=0\)"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"learning_rate": float("nan")}, "`learning_rate`"),
        ({"jitter": -1}, "`jitter`"),
        ({"device": "tpu"}, "'tpu' does not exist"),
        ({"jitter": 11}, "do not fit"),
    ],
)
def test_settings_out_of_range_are_refused(data, tmp_path, change, message):
    with pytest.raises(SeqliftError, match=message):
        train_model(*data, **SETTINGS | change, output_dir=tmp_path)


@pytest.mark.parametrize(("label", "what"), [(0, "positive"), (1, "negative")])
def test_a_split_without_a_class_is_refused(data, tmp_path, label, what):
    table, genome = data
    table = table.assign(**{"target:two": table["target:two"].where(table["split"] != "valid", label)})
    with pytest.raises(SeqliftError, match=f"split 'valid' has no {what} region of target 'two'"):
        train_model(table, genome, **SETTINGS, output_dir=tmp_path)


def test_slurm_changes_nothing(data, tmp_path, monkeypatch):
    """In a job of several tasks, and where only its programs are installed: a warning would be an error here."""
    srun = tmp_path / "programs" / "srun"
    srun.parent.mkdir()
    srun.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(srun.parent), prepend=os.pathsep)
    assert train_model(*data, **SETTINGS | {"epochs": 1}, output_dir=tmp_path / "outside")["epochs_run"] == 1
    for name, value in {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "x"}.items():
        monkeypatch.setenv(name, value)
    assert train_model(*data, **SETTINGS | {"epochs": 1}, output_dir=tmp_path / "job")["epochs_run"] == 1


def test_learning_rate_rises_and_falls_to_zero():
    factors = [rate_factor(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 15) and factors[14] == factors[15] == 1
    assert factors[100] == pytest.approx(0) and factors[15 + 85 // 2] == pytest.approx(0.5, abs=0.01)
    assert all(0 <= rate_factor(step, steps) <= 1 for steps in (1, 2, 3) for step in range(steps + 1))


def test_lightning_logs_again_afterwards():
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    with _quiet_lightning():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == before


def test_command_trains_as_the_function_does(tmp_path, capsys, undisturbed):
    make_data(tmp_path)
    assert main(flags(tmp_path, tmp_path / "a model")) == 0
    assert load_model(tmp_path / "a model" / "model.ckpt").fingerprint == undisturbed[2].fingerprint
    printed = capsys.readouterr().out
    assert f"validation loss {undisturbed[1]['valid_loss']:.4f} in epoch" in printed
    assert "learned: one yes, two yes" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "basset"}, "must be a JSON object"),
        ({"architecture": "[1]"}, "must be a JSON object"),
        ({"architecture": {"type": "basset", "layers": 3}}, "`layers` is an unknown setting"),
    ],
)
def test_command_refuses_with_one_clear_line(tmp_path, capsys, changes, message):
    make_data(tmp_path)
    assert main(flags(tmp_path, tmp_path / "model", **changes)) == 1
    said = capsys.readouterr().err
    assert message in said and said.startswith("seqlift train: error: ") and said.count("\n") == 1


@pytest.mark.extended
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_command_stopped_by_a_signal_resumes(tmp_path, number, status):
    make_data(tmp_path)
    program = "import sys; from seqlift.cli import main; sys.exit(main())"
    arguments = [sys.executable, "-c", program, *flags(tmp_path, tmp_path / "model", epochs=100_000, patience=100_000)]
    running = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if line.startswith("epoch 1/"):
            break
    running.send_signal(number)
    said = running.communicate(timeout=200)[1]
    assert running.returncode == status, said
    assert "Traceback" not in said
    left = set(os.listdir(tmp_path / "model"))
    assert RESUME_NAME in left and not OUTPUTS & left
    state = torch.load(tmp_path / "model" / RESUME_NAME, weights_only=True)  # plain content
    done = len(state["callbacks"]["Record"]["history"])
    again = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    for line in again.stderr:
        if line.startswith("resuming"):
            break
    again.kill()
    again.communicate()
    assert line.startswith(f"resuming after epoch {done} of")


@pytest.mark.extended
def test_a_killed_command_resumes_and_gives_the_same_weights(tmp_path):
    make_data(tmp_path)

    def start(output):
        arguments = flags(tmp_path, tmp_path / output, epochs=20)
        return subprocess.Popen([sys.executable, "-m", "seqlift", *arguments], stderr=subprocess.PIPE, text=True)

    running = start("killed")
    for line in running.stderr:
        if line.startswith("epoch 1/"):
            break
    running.kill()
    running.communicate()
    assert os.listdir(tmp_path / "killed") == [RESUME_NAME]
    for output in ("killed", "undisturbed"):
        running = start(output)
        said = running.communicate(timeout=200)[1]
        assert running.returncode == 0 and ("resuming after epoch" in said) == (output == "killed"), said
    killed, undisturbed = (load_model(tmp_path / output / "model.ckpt") for output in ("killed", "undisturbed"))
    assert killed.fingerprint == undisturbed.fingerprint
    killed, undisturbed = ((tmp_path / output / "model.ckpt").read_bytes() for output in ("killed", "undisturbed"))
    assert killed == undisturbed


HISTORY = [{"epoch": i + 1, "valid_loss": loss} for i, loss in enumerate((0.7, 0.5, 0.6))]


def test_log_file_gets_a_line_at_intervals(caplog, monkeypatch):
    clock = iter([100.0, 100.0, 110.0, 112.0, 130.0])  # made, started, epochs 1 to 3
    monkeypatch.setattr("seqlift.core.progress.time.monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO, "seqlift")
    with open(os.devnull, "w") as log_file:
        progress = TrainingProgress(epochs=10, regions=5000, console=Console(file=log_file))
        progress.start(0)
        for done in (1, 2, 3):
            progress.step(5000)
            progress.epoch(HISTORY[:done], min(done, 2), ended=False)
        progress.stop()
    assert caplog.messages == [
        "epoch 1/10, validation loss 0.7000 (best 0.7000 in epoch 1), 500 regions/s, at most 0:01:30 left",
        "epoch 3/10, validation loss 0.6000 (best 0.5000 in epoch 2), 500 regions/s, at most 0:01:10 left",
    ]


def test_terminal_gets_a_bar(caplog):
    with open(os.devnull, "w") as screen:
        console = Console(file=screen, force_terminal=True, width=120, record=True)
        progress = TrainingProgress(epochs=4, regions=100, console=console)
        progress.start(1)
        for _ in range(4):
            progress.step(25)
        progress.epoch(HISTORY[:2], 2, ended=False)
        task = progress._bar.tasks[0]
        assert (task.completed, task.total) == (200, 400)
        progress.stop()
    shown = console.export_text()
    assert "epoch 2/4, validation loss 0.5000 (best 0.5000 in epoch 2)" in shown and "left" in shown
    assert not caplog.messages
