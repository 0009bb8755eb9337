"""The networks and their file."""

import json

import pytest
import torch

from seqlift import deeplift
from seqlift.errors import SeqliftError
from seqlift.models import MODEL_TYPES, build_model, resolve_architecture
from seqlift.models.checkpoint import fingerprint, load_model, save_checkpoint

LENGTH = 60
SMALL = {
    "basset": {"type": "basset", "filters": [8, 8], "kernels": [7, 3], "pools": [4, 1], "dense": [16]},
    "dilated": {"type": "dilated", "filters": 4, "kernel": 7, "layers": 2},
    "paper": {"type": "paper", "filters": 8, "kernel": 5, "dense": 16},
}


def sequences(n, length=LENGTH, seed=0):
    codes = torch.randint(5, (n, length), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(codes, 5)[:, :, :4].transpose(1, 2).float()


def small(kind, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(SMALL[kind], length=LENGTH, n_targets=2)


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_logits_of_each_sequence_stand_alone(kind):
    model = small(kind).train()
    for seed in range(30):
        model(sequences(50, seed=seed))  # untrained normalisation would let nothing through
    model.eval()
    batch = sequences(300)
    with torch.inference_mode():
        together = model(batch)
        alone = torch.cat([model(batch[i : i + 1]) for i in range(20)])
    assert together.shape == (300, 2)
    assert torch.allclose(together[:20], alone, atol=1e-5)
    assert together.std(dim=0).min() > 0


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_weight_takes_part(kind):
    model = small(kind).train()
    model(sequences(64)).square().sum().backward()
    assert all(weights.grad.abs().max() > 0 for weights in model.parameters())


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_defaults_fit_the_usual_lengths(kind):
    for length in (200, 1000):
        assert build_model({"type": kind}, length=length, n_targets=3)(sequences(2, length)).shape == (2, 3)


def test_paper_network_has_the_paper_s_size():
    # Conv 50 x 11 on 4 bases, conv 50 x 11 on 50 filters, dense 50, 3 outputs, each with its bias
    expected = (50 * 4 * 11 + 50) + (50 * 50 * 11 + 50) + (50 * 50 + 50) + (3 * 50 + 3)
    model = build_model({"type": "paper"}, length=200, n_targets=3)
    assert sum(weights.numel() for weights in model.parameters()) == expected


@pytest.mark.parametrize(("layers", "reach"), [(1, 3 + 2), (3, 3 + 2 + 4 + 8)])
def test_dilated_layers_double_their_reach(layers, reach):
    model = build_model({"type": "dilated", "filters": 6, "kernel": 7, "layers": layers}, length=LENGTH, n_targets=1)
    positions = {}
    model.eval().pool.register_forward_pre_hook(lambda _, given: positions.update(last=given[0]))
    with torch.inference_mode():
        changed = sequences(1)
        model(changed)
        before = positions["last"]
        changed[0, :, 30] = torch.tensor([1.0, 2.0, -1.0, 3.0])
        model(changed)
    moved = (positions["last"] != before).any(dim=1)[0].nonzero()[:, 0]
    assert moved.min() >= 30 - reach and moved.max() <= 30 + reach
    assert moved.max() - moved.min() > reach  # and it does reach out


def test_resolved_architecture_is_whole_and_plain():
    resolved = resolve_architecture({"type": "basset", "filters": (8, 8)})
    assert resolved["type"] == "basset" and resolved["filters"] == [8, 8]
    assert set(resolved) == {"type", *MODEL_TYPES["basset"]}
    assert json.loads(json.dumps(resolved)) == resolved == resolve_architecture(resolved)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"type": "transformer"}, "'transformer' does not exist; choose one of basset, dilated, paper"),
        ({}, "None does not exist"),
        (
            {"type": "paper", "layers": 3, "width": 2},
            r"no hyperparameter 'layers' \(2 unknown in all\); it has filters",
        ),
        ({"type": "paper", "filters": 2.5}, r"model.filters \(=2.5\) must be a positive integer"),
        ({"type": "paper", "filters": True}, "model.filters .* must be a positive integer"),
        ({"type": "basset", "filters": 64}, r"model.filters \(=64\) must be a list of positive integers"),
        ({"type": "basset", "pools": [0, 2]}, "model.pools .* must be a list of positive integers"),
        ({"type": "basset", "dropout": 1.0}, r"model.dropout \(=1.0\) must be a number from 0"),
        ({"type": "basset", "filters": [8, 8]}, "must have the same length"),
        (
            {"type": "basset", "filters": [8, 8], "kernels": [5, 3], "pools": [16, 4]},
            "leave nothing of a length of 60 bp",
        ),
        ({"type": "paper", "kernel": 31}, "too short for model.kernel"),
        ({"type": "dilated", "layers": 6}, "beyond the length of 60 bp"),
    ],
)
def test_wrong_architectures_are_refused(architecture, message):
    with pytest.raises(SeqliftError, match=message):
        build_model(architecture, length=LENGTH, n_targets=2)


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_model_file_is_enough_to_use_the_model(kind, tmp_path):
    model = small(kind)
    model(sequences(32, seed=5))  # running means of the normalisation are part of the model
    path = tmp_path / "a folder" / "model.ckpt"
    save_checkpoint(
        path, model, architecture=SMALL[kind], targets=["one", "two"], length=LENGTH, training={"seed": 1, "best": 0.5}
    )
    state = torch.get_rng_state()
    loaded = load_model(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert (loaded.targets, loaded.length, loaded.training) == (["one", "two"], LENGTH, {"seed": 1, "best": 0.5})
    assert loaded.architecture == resolve_architecture(SMALL[kind])
    assert not loaded.model.training
    with torch.inference_mode():
        assert torch.equal(loaded.model(sequences(7)), model.eval()(sequences(7)))
    assert loaded.fingerprint == fingerprint(model.state_dict())
    content = torch.load(path, weights_only=True)  # no code runs
    assert content["format"] == "seqlift model 1"


def test_fingerprint_changes_with_any_weight():
    model = small("basset")
    before = fingerprint(model.state_dict())
    assert before == fingerprint(small("basset").state_dict()) != fingerprint(small("basset", seed=2).state_dict())
    with torch.no_grad():
        list(model.parameters())[-1][0] += 1e-6
    assert fingerprint(model.state_dict()) != before


def saved(tmp_path):
    path = tmp_path / "model.ckpt"
    model = small("paper")
    save_checkpoint(path, model, architecture=SMALL["paper"], targets=["a", "b"], length=LENGTH, training={})
    return path


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
    """Would need code to be run to be read."""


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
        (lambda folder: altered(folder, format="seqlift model 99"), "format 'seqlift model 99', expected"),
        (lambda folder: altered(folder, targets=None, length=None), "lacks targets, length"),
        (lambda folder: altered(folder, targets=["a"]), "weights do not fit the architecture"),
    ],
)
def test_what_is_no_model_file_is_said_so(make, message, tmp_path):
    with pytest.raises(SeqliftError, match=message):
        load_model(make(tmp_path))


def test_an_ensemble_is_the_mean_of_its_members_over_both_strands():
    torch.manual_seed(0)
    model = build_model({"type": "basset", "replicates": 3}, length=60, n_targets=2).eval()
    x = torch.nn.functional.one_hot(torch.randint(0, 4, (5, 60)), 4).mT.float()
    with torch.no_grad():
        expected = sum(member(strand) for member in model.members for strand in (x, x.flip(1, 2))) / 6
        torch.testing.assert_close(model(x), expected)
        torch.testing.assert_close(model(x.flip(1, 2)), model(x))
        torch.testing.assert_close(model.each(x)[1], model.members[1](x))
    first, second = (member.state_dict()["layers.0.weight"] for member in model.members[:2])
    assert not torch.equal(first, second)


def test_an_ensemble_is_explained_exactly_and_alike_on_both_strands():
    torch.manual_seed(0)
    model = build_model({"type": "basset", "replicates": 2}, length=60, n_targets=2).double()
    x = torch.nn.functional.one_hot(torch.randint(0, 4, (3, 60)), 4).mT.double()
    references = torch.nn.functional.one_hot(torch.randint(0, 4, (3, 4, 60)), 4).mT.double()
    forward, reverse = deeplift(model, x, references), deeplift(model, x.flip(1, 2), references.flip(2, 3))
    assert forward.delta.abs().max() < 1e-12
    torch.testing.assert_close(reverse.hypothetical, forward.hypothetical.flip(1, 2), rtol=1e-9, atol=1e-12)
