"""The model file is enough to use the model, and is never wrong or half-written."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from fixtures.attribution_models import one_hot as random_sequences
from fixtures.full_disk import disk_of
from seqlift.errors import SeqliftError
from seqlift.models.architecture import kinds, resolve_architecture
from seqlift.models.build import build_model
from seqlift.models.checkpoint import load_model, save_checkpoint
from seqlift.models.outputs import ProfileOutput
from seqlift.models.several import load_models, members_of
from seqlift.models.shape import Shape
from seqlift.models.trained import fingerprint

SHAPE = Shape(60, 2, strands=2, window=30, control_channels=2)
HEADS = [(kind, "classes") for kind in kinds()] + [("paper", "counts"), ("dilated", "profile")]
PAPER = {"type": "paper", "filters": 8, "kernel": 5, "dense": 16}


def built(architecture, seed=1, shape=SHAPE):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(architecture, shape)


def save(path, model, architecture, targets=("one", "two"), shape=SHAPE, **training):
    save_checkpoint(path, model, architecture=architecture, targets=list(targets), shape=shape, training=training)
    return path


def sequences(n, seed=0):
    return random_sequences(n, 60, seed, torch.float32)


@pytest.mark.parametrize(("kind", "head"), HEADS)
@pytest.mark.parametrize("replicates", [1, 2])
def test_the_file_is_enough_to_use_the_model(kind, head, replicates, tmp_path):
    architecture = {"type": kind, "head": head, "replicates": replicates, "both_strands": replicates > 1}
    model = built(architecture)
    given = (sequences(32, seed=5), *([torch.rand(32, 2, 30)] if head == "profile" else []))
    model(*given)  # running means of the normalisation are part of the model
    path = save(tmp_path / "a folder" / "model.ckpt", model, architecture, seed=1, best=0.5, fold=None)
    state = torch.get_rng_state()
    loaded = load_model(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert (loaded.targets, loaded.length, loaded.head, loaded.shape) == (["one", "two"], 60, head, SHAPE)
    assert loaded.training == {"seed": 1, "best": 0.5, "fold": None}
    assert loaded.architecture == resolve_architecture(architecture)
    assert not loaded.model.training
    with torch.inference_mode():
        found, expected = loaded.model(*given), model.eval()(*given)
    if head == "profile":
        assert isinstance(found, ProfileOutput) and loaded.outputs[:2] == ["one.counts", "one.profile"]
    else:
        found, expected = (found,), (expected,)
        assert loaded.outputs == ["one", "two"]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert loaded.fingerprint == fingerprint(model.state_dict())
    content = torch.load(path, weights_only=True)  # no code runs
    assert content["format"] == "seqlift model 2" and content["shape"] == asdict(SHAPE)


def test_outputs_are_found_by_their_names(tmp_path):
    architecture = {"type": "dilated", "head": "profile"}
    trained = load_model(save(tmp_path / "m.ckpt", built(architecture), architecture))
    assert trained.output("two.profile")[1:] == ("two", 1, "profile")
    with pytest.raises(SeqliftError, match=r"no output 'two'; it has: one.counts, one.profile, two.counts"):
        trained.output("two")


def test_a_model_knows_what_it_has_learned(tmp_path):
    model = built(PAPER)
    path = tmp_path / "m.ckpt"
    one, two = load_model(save(path, model, PAPER)).output("one"), load_model(path).output("two")
    assert load_model(path).learned_about(one)
    assert load_model(save(path, model, PAPER, learned=True)).learned_about(one)
    idle = load_model(save(path, model, PAPER, learned=False))
    assert not idle.learned and not idle.learned_about(one)
    some = load_model(save(path, model, PAPER, learned=True, learned_outputs={"one": False, "two": True}))
    assert not some.learned_about(one) and some.learned_about(two)


def test_fingerprint_changes_with_any_weight():
    model = built(PAPER)
    before = fingerprint(model.state_dict())
    assert before == fingerprint(built(PAPER).state_dict()) != fingerprint(built(PAPER, seed=2).state_dict())
    with torch.no_grad():
        list(model.parameters())[-1][0] += 1e-6
    assert fingerprint(model.state_dict()) != before


def saved(tmp_path):
    return save(tmp_path / "model.ckpt", built(PAPER), PAPER)


def altered(tmp_path, **changes):
    path = saved(tmp_path)
    content = torch.load(path, weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def truncated(tmp_path):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def text_file(tmp_path):
    path = tmp_path / "model.ckpt"
    path.write_text("not a model\n")
    return path


class Other:
    """Reading it would need to run code."""


def pickled(tmp_path):
    torch.save(Other(), tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.ckpt", "none.ckpt: no such file"),
        (lambda folder: folder, "not a model file"),
        (text_file, "not a model file"),
        (truncated, "damaged"),
        (pickled, "not a model file"),
        (lambda folder: altered(folder, format="seqlift model 1"), "format 'seqlift model 1', not .* 2'.*train again"),
        (lambda folder: altered(folder, targets=None, shape=None), "lacks targets, shape; train again"),
        (lambda folder: altered(folder, shape=asdict(Shape(60, 1))), "weights do not fit the architecture"),
        (
            lambda folder: altered(folder, architecture={"type": "nowhere.models:Net"}),
            r"model.ckpt: model.type \(='nowhere.models:Net'\): there is no module 'nowhere'",
        ),
    ],
)
def test_what_is_not_a_model_file_is_an_error(make, message, tmp_path):
    with pytest.raises(SeqliftError, match=message):
        load_model(make(tmp_path))


@pytest.mark.parametrize("room", [0, 1000, 6000])
def test_a_full_disk_is_one_clear_error_and_the_older_file_stays(tmp_path, room):
    path, model = saved(tmp_path), built(PAPER, seed=2)
    assert path.stat().st_size > 6000
    before = path.read_bytes()
    with (
        disk_of(room),
        pytest.raises(SeqliftError, match=r"model.ckpt: the model cannot be written .*make room on the disk"),
    ):
        save(path, model, PAPER)
    assert path.read_bytes() == before and [found.name for found in tmp_path.iterdir()] == ["model.ckpt"]


def test_an_unreadable_file_does_not_replace_an_older_one(tmp_path):
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"weights_only|Unsupported|numpy"):
        save(path, built(PAPER), PAPER, best=np.float64(0.5))
    assert path.read_bytes() == before and [found.name for found in tmp_path.iterdir()] == ["model.ckpt"]


def test_models_of_one_run_are_opened_together(tmp_path):
    paths = [save(tmp_path / f"{seed}.ckpt", built(PAPER, seed), PAPER) for seed in (1, 2)]
    wider = PAPER | {"filters": 12}
    paths.append(save(tmp_path / "wider.ckpt", built(wider), wider))
    assert len({model.fingerprint for model in load_models(paths)}) == 3


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"targets": ("two", "one")}, "targets"),
        ({"architecture": PAPER | {"head": "counts"}}, "head"),
        ({"shape": Shape(62, 2, strands=2, window=30, control_channels=2)}, "shape"),
    ],
)
def test_models_that_differ_are_not_averaged(tmp_path, other, name):
    settings = {"architecture": PAPER} | other
    shape = settings.get("shape", SHAPE)
    second = save(tmp_path / "b.ckpt", built(settings["architecture"], shape=shape), **settings)
    with pytest.raises(SeqliftError, match=rf"b.ckpt: its {name} .* differs from that of .*model.ckpt"):
        load_models([saved(tmp_path), second])


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("replicates", [1, 3])
def test_a_model_is_the_mean_of_its_members(both_strands, replicates):
    model = built(PAPER | {"both_strands": both_strands, "replicates": replicates}).eval()
    members = members_of(model)
    assert len(members) == replicates
    x = sequences(4)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack([member(x) for member in members]).mean(0), model(x))


def test_the_same_model_gives_the_same_bytes_under_any_name(tmp_path):
    paths = [save(tmp_path / name, built(PAPER), PAPER, seed=1) for name in ("model.ckpt", "another.ckpt")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
