"""Settings of training: schedules, precision, clipping, weights, logs, restarts, heads with a signal."""

import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr

import seqlift.training.record
from fixtures.stages import train as train_model
from fixtures.training import (
    LENGTH,
    MOTIFS,
    SETTINGS,
    WINDOW,
    flags,
    make_data,
    make_signal_data,
    read_start,
    stopped,
)
from seqlift.data.genome import Genome
from seqlift.data.windows import load_codes
from seqlift.errors import SeqliftError
from seqlift.models.checkpoint import load_model
from seqlift.models.ensemble import Ensemble
from seqlift.models.predicting import predict_profiles
from seqlift.regions.table import assign_fold, read_regions
from seqlift.training.learner import Learner, plateau_factor
from seqlift.training.record import RESUME_NAME
from seqlift.training.train import SIGNAL_NAME, attempt_seed

SHORT = SETTINGS | {"epochs": 3, "restarts": 0}
# Three filters and two dense units of which any may be dead from the start: seed 3 learns nothing, seed 4 does
UNLUCKY = SETTINGS | {
    "architecture": {"type": "paper", "filters": 3, "kernel": 6, "dense": 2, "dropout": 0.0},
    "epochs": 6,
    "seed": 0,
}
SECOND = attempt_seed(0, 1)  # of the attempt after it
PROFILE = SETTINGS | {
    "architecture": {"type": "dilated", "head": "profile", "filters": 24, "kernel": 9, "layers": 2,
                     "profile_kernel": 9, "dropout": 0.0},
    "epochs": 15,
    "seed": 5,
    "restarts": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    table = make_data(folder)
    with Genome(folder / "genome.fa", cache_dir=folder / "cache") as genome:
        yield table, genome


@pytest.fixture(scope="module")
def signal_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signal data")
    table, summary = make_signal_data(folder)
    with Genome(folder / "genome.fa", cache_dir=folder / "cache") as genome:
        yield table, genome, summary


def reads_at(row, genome):
    """Positions in the window where make_signal_data piles up reads of each target, for a region."""
    sequence = genome.fetch(row.chrom, row.start, row.end)
    first = [read_start(sequence, j) - (LENGTH - WINDOW) // 2 for j in range(len(MOTIFS))]
    return [slice(start, start + 6) for start in first]


def history_of(folder):
    return pd.read_csv(folder / "history.tsv", sep="\t")


def weights_of(folder):
    return load_model(folder / "model.ckpt").fingerprint


# --- learning rate, gradients, precision ------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [1, 2, 5])
def test_plateaus_are_those_of_torch(wait):
    losses = np.random.default_rng(wait).random(60).round(2) + np.linspace(0.3, 0, 60)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=wait - 1, threshold=0, eps=0)
    for done in range(1, 61):
        schedule.step(losses[done - 1])
        assert plateau_factor(losses[:done], wait) == optimizer.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["lr"] < 0.1


def test_a_resumed_plateau_schedule_gives_the_same_model(data, tmp_path, monkeypatch):
    monkeypatch.setattr(seqlift.training.loop, "MIN_PATIENCE_STEPS", 1)
    settings = SHORT | {"schedule": "plateau", "patience": 4, "learning_rate": 0.1, "epochs": 9}
    train_model(*data, **settings, output_dir=tmp_path / "whole")
    history = history_of(tmp_path / "whole")
    factors = [plateau_factor(history["valid_loss"][:done], 1) for done in range(len(history))]
    assert np.allclose(history["learning_rate"], 0.1 * np.array(factors)) and 0 < min(factors) < 0.6
    with stopped(factors.index(min(factors))):
        train_model(*data, **settings, output_dir=tmp_path / "stopped")
    train_model(*data, **settings, output_dir=tmp_path / "stopped")
    assert weights_of(tmp_path / "stopped") == weights_of(tmp_path / "whole")


def test_constant_schedule(data, tmp_path):
    train_model(*data, **SHORT | {"schedule": "constant"}, output_dir=tmp_path)
    assert (history_of(tmp_path)["learning_rate"] == SETTINGS["learning_rate"]).all()


def test_each_network_has_its_own_longest_gradient():
    ensemble = Ensemble([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    settings = SHORT | {"gradient_clip": 0.5}
    learner = Learner(ensemble, torch.nn.Identity(), targets=["a"], settings=settings, seed=0)
    first, second = ([torch.full_like(p, size) for p in learner.members[0].parameters()] for size in (9.0, 0.01))
    for member, gradients in zip(learner.members, (first, second), strict=True):
        for parameter, gradient in zip(member.parameters(), gradients, strict=True):
            parameter.grad = gradient.clone()
    learner.configure_gradient_clipping(None)
    norms = [math.sqrt(sum((p.grad**2).sum().item() for p in member.parameters())) for member in learner.members]
    assert norms == pytest.approx([0.5, 0.01 * math.sqrt(8)], rel=1e-4)


def test_gradient_clipping_is_used_in_training(data, tmp_path):
    for name, clip in (("none", None), ("long", 1e6), ("short", 0.05)):
        train_model(*data, **SHORT | {"epochs": 1, "gradient_clip": clip}, output_dir=tmp_path / name)
    assert weights_of(tmp_path / "none") == weights_of(tmp_path / "long") != weights_of(tmp_path / "short")


def test_mixed_precision_trains_in_16_bits_and_validates_in_32(data, tmp_path, monkeypatch):
    seen = {"train": set(), "valid": set()}
    forward = torch.nn.Conv1d.forward

    def spied(self, sequences):
        result = forward(self, sequences)
        seen["train" if self.training else "valid"].add(result.dtype)
        return result

    monkeypatch.setattr(torch.nn.Conv1d, "forward", spied)
    training = train_model(*data, **SHORT | {"precision": "bf16-mixed"}, output_dir=tmp_path)
    assert seen == {"train": {torch.bfloat16}, "valid": {torch.float32}}
    assert training["learned"] or training["best"]["valid_auroc_one"] > 0.6
    model = load_model(tmp_path / "model.ckpt").model
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("precision", ["32", "bf16-mixed", "16-mixed"])
def test_a_gpu_learns_what_the_cpu_learns(data, tmp_path, precision):
    settings = SHORT | {"epochs": 8, "device": "cuda", "precision": precision}
    training = train_model(*data, **settings, output_dir=tmp_path)
    assert training["device"] == "cuda" and training["learned"]
    assert training["valid_loss"] < 0.7 * training["base_rate_loss"]


# --- weights and splits -----------------------------------------------------------------------------------------------


def test_balanced_classes_change_the_loss_and_the_base_rate(data, tmp_path):
    table, genome = data
    rare = (table["target:two"] == 1) & (np.arange(len(table)) % 3 > 0)
    table = table[~rare].reset_index(drop=True)
    plain, balanced = (
        train_model(table, genome, **SHORT | {"class_weights": weights}, output_dir=tmp_path / weights)
        for weights in ("none", "balanced")
    )
    expected = 0.0
    for name in MOTIFS:
        rates = [table[table["split"] == split][f"target:{name}"].mean() for split in ("train", "valid")]
        expected += math.log(2) * (rates[1] / (2 * rates[0]) + (1 - rates[1]) / (2 * (1 - rates[0]))) / 2
    assert balanced["base_rate_loss"] == pytest.approx(expected, rel=1e-5)
    assert plain["base_rate_loss"] < balanced["base_rate_loss"]
    assert weights_of(tmp_path / "none") != weights_of(tmp_path / "balanced")


def test_a_fold_is_that_of_assign_fold(data, tmp_path):
    table, genome = data
    names = {"a": "fold0", "b": "fold1", "c": "fold2"}
    folds = table.assign(split=table["chrom"].map(names))
    with pytest.raises(SeqliftError, match=r"split into 3 folds.*--fold"):
        train_model(folds, genome, **SHORT, output_dir=tmp_path / "none")
    training = train_model(folds, genome, **SHORT | {"epochs": 1}, fold=1, output_dir=tmp_path / "fold")
    assert training["fold"] == 1
    train_model(assign_fold(folds, 1), genome, **SHORT | {"epochs": 1}, output_dir=tmp_path / "by hand")
    assert weights_of(tmp_path / "fold") == weights_of(tmp_path / "by hand")
    with pytest.raises(SeqliftError, match="from 0 to 2"):
        train_model(folds, genome, **SHORT, fold=3, output_dir=tmp_path / "none")


def test_several_sets_of_negatives_have_the_weight_of_one(data, tmp_path):
    """Each epoch sees one of them, so the base rate is that of one."""
    table, genome = data
    negatives = table[(table["kind"] == "genome") & (table["split"] == "train")]
    sets = [negatives.assign(set=k, name=negatives["name"] + f"_{k}") for k in (1, 2)]
    one, three = (
        train_model(regions, genome, **SHORT, output_dir=tmp_path / name)
        for name, regions in (("one", table), ("three", pd.concat([table, *sets], ignore_index=True)))
    )
    assert one["base_rate_loss"] == three["base_rate_loss"]
    assert weights_of(tmp_path / "one") != weights_of(tmp_path / "three")


def test_background_is_not_used_in_training(data, tmp_path):
    table, genome = data
    extra = table[table["split"] == "test"].head(20).assign(kind="background")
    extra["name"] = extra["name"] + "_background"
    train_model(*data, **SHORT | {"epochs": 1}, output_dir=tmp_path / "without")
    train_model(pd.concat([table, extra]), genome, **SHORT | {"epochs": 1}, output_dir=tmp_path / "with")
    assert weights_of(tmp_path / "without") == weights_of(tmp_path / "with")


def test_splits_that_overlap_by_jitter_are_refused(data, tmp_path):
    table, genome = data
    near = table[table["split"] == "train"].tail(1).assign(split="valid", name="near")
    near[["start", "end", "summit"]] += 45  # 5 bp behind the last one
    with pytest.raises(SeqliftError, match=r"overlap, with 3 bp"):
        train_model(pd.concat([table, near], ignore_index=True), genome, **SHORT, output_dir=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "16-mixed"}, "training.precision .*16-mixed.* GPU.*bf16-mixed"),
        ({"precision": "8"}, "`precision` .*'8'.*bf16-mixed"),
        ({"schedule": "linear"}, "`schedule` .*linear.*plateau"),
        ({"class_weights": "some"}, "`class_weights` .*some.*balanced"),
        ({"gradient_clip": 0.0}, "`gradient_clip` .*0.0"),
        ({"count_weight": -1.0}, "`count_weight` .*-1.0"),
        ({"restarts": -1}, "`restarts` .*-1"),
        ({"devices": 0}, r"devices \(=0\)"),
        ({"devices": 3}, r"batch_size \(=16\) must be a multiple of the 3 devices"),
    ],
)
def test_settings_out_of_range_are_refused(data, tmp_path, change, message):
    with pytest.raises(SeqliftError, match=message):
        train_model(*data, **SHORT | change, output_dir=tmp_path / "model")
    assert not (tmp_path / "model").exists()


# --- logs and files ---------------------------------------------------------------------------------------------------


def test_tensorboard_has_each_step_once_after_resuming(data, tmp_path, monkeypatch):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = SHORT | {"tensorboard": True, "epochs": 4}
    original = seqlift.training.record.Events.add

    def killed(self, row):
        original(self, row)
        if row["epoch"] == 2:  # after the state and the event of this epoch were written
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seqlift.training.record.Events, "add", killed)
        train_model(*data, **settings, output_dir=tmp_path)
    train_model(*data, **settings, output_dir=tmp_path)
    assert set(os.listdir(tmp_path)) == {"history.tsv", "model.ckpt", "tensorboard"}
    assert os.listdir(tmp_path / "tensorboard") == ["attempt1"]
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "attempt1")).Reload()
    history = history_of(tmp_path)
    for column in ("train_loss", "valid_loss", "learning_rate", "valid_auroc_one"):
        scalars = events.Scalars(column)
        assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
        assert np.allclose([scalar.value for scalar in scalars], history[column], rtol=1e-4)


def test_missing_tensorboard_is_an_error(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(seqlift.training.record.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SeqliftError, match=r"pip install 'seqlift\[tensorboard\]'"):
        train_model(*data, **SHORT | {"tensorboard": True}, output_dir=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_log_switches_and_restarts_do_not_start_from_the_beginning(data, tmp_path, caplog):
    caplog.set_level(logging.INFO, "seqlift")
    with stopped(1):
        train_model(*data, **SHORT, output_dir=tmp_path)
    train_model(*data, **SHORT | {"restarts": 1, "tensorboard": True}, output_dir=tmp_path)
    assert "resuming after epoch 1 of" in caplog.text and "from the beginning" not in caplog.text


def limited(folder, output, limit, **settings):
    """`seqlift train` that cannot write a file larger than `limit` bytes, which fails as a full disk does."""
    import resource

    return subprocess.run(
        [sys.executable, "-m", "seqlift", *flags(folder, output, **settings)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_a_full_disk_keeps_the_older_state(data, tmp_path):
    """The first state is written, no later one."""
    genome = data[1]
    folder, output = Path(genome.path).parent, tmp_path / "model"
    with stopped(1):
        train_model(read_regions(folder / "regions.tsv.gz"), genome, **SHORT, output_dir=output)
    state = (output / RESUME_NAME).read_bytes()
    Genome(genome.path)  # into the user's cache, so that nothing but states is written below
    done = limited(folder, output, len(state) // 2, **SHORT)
    said = [line for line in done.stderr.splitlines() if "error" in line]
    assert done.returncode == 1 and len(said) == 1 and "Traceback" not in done.stderr, done.stderr
    assert "after epoch 2 cannot be written" in said[0] and "is kept" in said[0]
    assert os.listdir(output) == [RESUME_NAME] and (output / RESUME_NAME).read_bytes() == state


def test_a_model_that_cannot_be_written_leaves_the_older_files(data, tmp_path, monkeypatch):
    old = train_model(*data, **SHORT | {"epochs": 1}, output_dir=tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("model.ckpt", "history.tsv")}

    def full(*_, **__):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    save = torch.save
    with monkeypatch.context() as patch, pytest.raises(SeqliftError, match=r"model\.ckpt: the model cannot be written"):
        patch.setattr(torch, "save", lambda content, file: (full if "training" in content else save)(content, file))
        train_model(*data, **SHORT | {"epochs": 2}, output_dir=tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert set(os.listdir(tmp_path)) == {*before, RESUME_NAME}
    again = train_model(*data, **SHORT | {"epochs": 2}, output_dir=tmp_path)
    assert again["epochs_run"] == 2 != old["epochs_run"] and RESUME_NAME not in os.listdir(tmp_path)


# --- restarts ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restarted(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("restarted")
    return folder, train_model(*data, **UNLUCKY, restarts=2, output_dir=folder)


def test_a_training_that_learned_nothing_restarts_with_another_seed(data, restarted, tmp_path):
    folder, training = restarted
    assert training["learned"] and training["restarts"] == 1
    assert (training["seed"], training["attempt_seed"], training["attempt"]) == (0, SECOND, 2)
    history = history_of(folder)
    assert list(history["attempt"]) == [1] * 6 + [2] * 6 and list(history["epoch"]) == [1, 2, 3, 4, 5, 6] * 2
    assert set(os.listdir(folder)) == {"history.tsv", "model.ckpt"}
    train_model(*data, **UNLUCKY | {"seed": SECOND}, restarts=0, output_dir=tmp_path / "second")
    assert weights_of(tmp_path / "second") == weights_of(folder)
    first = train_model(*data, **UNLUCKY, restarts=0, output_dir=tmp_path / "first")
    assert first["learned"] is False and first["restarts"] == 0
    assert np.allclose(history["valid_loss"][:6], history_of(tmp_path / "first")["valid_loss"])


@pytest.mark.parametrize(("seed", "epoch"), [(0, 2), (SECOND, 0), (SECOND, 3)])
def test_a_stopped_run_with_restarts_resumes_and_gives_the_same_model(data, restarted, tmp_path, caplog, seed, epoch):
    caplog.set_level(logging.INFO, "seqlift")
    with stopped(epoch, seed=seed):
        train_model(*data, **UNLUCKY, restarts=2, output_dir=tmp_path)
    caplog.clear()
    training = train_model(*data, **UNLUCKY, restarts=2, output_dir=tmp_path)
    places = {(0, 2): "epoch 2 of a", (SECOND, 0): "epoch 6 of a", (SECOND, 3): "epoch 3 of attempt 2 of a"}
    assert f"resuming after {places[seed, epoch]}n interrupted training" in caplog.text
    assert ("with seed 0 has learned nothing" in caplog.text) == ((seed, epoch) != (SECOND, 3))
    assert weights_of(tmp_path) == weights_of(restarted[0])
    assert training["restarts"] == 1
    drop = {"columns": "seconds"}
    pd.testing.assert_frame_equal(history_of(tmp_path).drop(**drop), history_of(restarted[0]).drop(**drop))


def test_restarts_end_and_the_best_is_kept(data, tmp_path, caplog):
    settings = UNLUCKY | {"seed": 1, "epochs": 3}
    training = train_model(*data, **settings, restarts=1, output_dir=tmp_path)
    assert training["learned"] is False and training["restarts"] == 1
    history = history_of(tmp_path)
    best = history.loc[history["valid_loss"].idxmin()]
    assert training["attempt"] == best["attempt"] and training["best_epoch"] == best["epoch"]
    assert "seed 1 has learned nothing" in caplog.text and "(restart 1 of 1)" in caplog.text
    assert "none of 2 trainings" in caplog.text and "learned nothing about two" in caplog.text


# --- heads with a signal ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def profile(signal_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    return folder, train_model(*signal_data, **PROFILE, output_dir=folder)


def test_profiles_and_counts_are_learned(signal_data, profile):
    table, genome, _ = signal_data
    folder, training = profile
    trained = load_model(folder / "model.ckpt")
    assert trained.head == "profile" and trained.shape.window == WINDOW and trained.shape.strands == 1
    assert training["learned"] and training["learned_targets"] == {"one": True, "two": True}
    assert training["learned_outputs"] == dict.fromkeys(trained.outputs, True)
    assert set(os.listdir(folder)) == {"history.tsv", "model.ckpt"}
    valid = table[table["split"] == "valid"]
    found = predict_profiles(trained.model, load_codes(valid, genome, seed=0))
    assert found.logits.shape == (len(valid), 2, 1, WINDOW)
    for i, name in enumerate(MOTIFS):
        truth = np.log1p(valid[f"signal:{name}"])
        expected = pearsonr(found.log_counts[:, i], truth).statistic
        assert training["best"][f"valid_pearson_{name}"] == pytest.approx(expected, rel=1e-4) and expected > 0.5
        shape = np.exp(found.logits[:, i, 0]) / np.exp(found.logits[:, i, 0]).sum(1, keepdims=True)
        bound = (valid[f"target:{name}"] == 1).to_numpy()
        places = [reads_at(row, genome) for row in valid[bound].itertuples()]
        shares = [share[place[i]].sum() for share, place in zip(shape[bound], places, strict=True)]
        assert np.mean(shares) > 0.6  # 6 of 20 positions have nearly all the reads


def test_a_stopped_profile_resumes_and_gives_the_same_model(signal_data, profile, tmp_path):
    with stopped(3):
        train_model(*signal_data, **PROFILE, output_dir=tmp_path)
    assert set(os.listdir(tmp_path)) == {RESUME_NAME, SIGNAL_NAME}
    train_model(*signal_data, **PROFILE, output_dir=tmp_path)
    assert weights_of(tmp_path) == weights_of(profile[0])
    assert set(os.listdir(tmp_path)) == {"history.tsv", "model.ckpt"}


def test_counts_are_learned(signal_data, tmp_path):
    architecture = SETTINGS["architecture"] | {"head": "counts"}
    training = train_model(*signal_data, **SHORT | {"architecture": architecture, "epochs": 25}, output_dir=tmp_path)
    table = signal_data[0]
    assert training["learned"] and training["best"]["valid_pearson_one"] > 0.8
    expected = 0.0
    for name in MOTIFS:
        train, valid = (np.log1p(table[table["split"] == split][f"signal:{name}"]) for split in ("train", "valid"))
        expected += ((valid - train.mean()) ** 2).mean() / 2
    assert training["base_rate_loss"] == pytest.approx(expected, rel=1e-5)


def test_two_strands_and_a_control(tmp_path):
    table, summary = make_signal_data(tmp_path, strands=2, control=True)
    with Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache") as genome:
        architecture = PROFILE["architecture"] | {"replicates": 2, "both_strands": True}
        settings = PROFILE | {"architecture": architecture, "epochs": 2, "gradient_clip": 10.0}
        train_model(table, genome, summary, **settings, output_dir=tmp_path / "model")
    shape = load_model(tmp_path / "model" / "model.ckpt").shape
    assert (shape.strands, shape.control_channels) == (2, 2)


def test_a_loss_of_a_profile_that_is_not_finite_is_named(signal_data, tmp_path):
    with pytest.raises(SeqliftError, match=r"loss became \S+ in epoch 1.*learning_rate is 1\b.*gradient_clip"):
        train_model(*signal_data, **PROFILE | {"learning_rate": 1.0, "weight_decay": 1e30}, output_dir=tmp_path)


def test_the_step_of_a_loss_that_is_not_finite_is_named(data, tmp_path, monkeypatch):
    from seqlift.training.objectives import ClassesObjective

    original, steps = ClassesObjective.mean, []

    def broken(self, output, batch):
        steps.append(1)
        mean, known = original(self, output, batch)
        return (mean * math.nan if len(steps) == 22 + 7 else mean), known  # 22 steps are an epoch

    monkeypatch.setattr(ClassesObjective, "mean", broken)
    with pytest.raises(SeqliftError, match="training loss became nan in epoch 2, step 7; try a smaller learning rate"):
        train_model(*data, **SHORT, output_dir=tmp_path)
    assert os.listdir(tmp_path) == [RESUME_NAME]


def test_a_missing_signal_is_an_error(data, signal_data, tmp_path):
    for table, summary in ((data[0], signal_data[2]), (signal_data[0], None)):
        with pytest.raises(SeqliftError, match=r"model.head \(='profile'\) predicts a signal, but"):
            train_model(table, signal_data[1], summary, **PROFILE, output_dir=tmp_path)
    unknown = signal_data[0].copy()
    unknown.loc[unknown["split"] == "valid", "signal:two"] = np.nan
    with pytest.raises(SeqliftError, match=r"split 'valid' has fewer than 2 regions with a known .* 'two'"):
        train_model(unknown, *signal_data[1:], **PROFILE, output_dir=tmp_path)


def test_command_trains_a_profile(tmp_path):
    make_signal_data(tmp_path)
    settings = PROFILE | {"epochs": 1}
    arguments = [*flags(tmp_path, tmp_path / "model", **settings), "--summary", str(tmp_path / "regions.json")]
    running = subprocess.run(
        [sys.executable, "-m", "seqlift", *arguments], capture_output=True, text=True, timeout=200, check=False
    )
    assert running.returncode == 0, running.stderr
    assert load_model(tmp_path / "model" / "model.ckpt").outputs == [
        "one.counts", "one.profile", "two.counts", "two.profile",
    ]  # fmt: skip
