"""Mutagenesis: a loop over every change as oracle, another library, a model whose effects are known, and bad calls."""

import warnings

import pytest
import tangermeme.saturation_mutagenesis
import torch
from torch import nn

import seqlift.attribution.mutagenesis as module
from fixtures.attribution_models import one_hot as random_sequences
from seqlift import SeqliftError, mutagenesis

LENGTH = 11


def one_hot(n, **options):
    return random_sequences(n, LENGTH, **options)


def small_net(dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv1d(4, 6, 5),
            nn.BatchNorm1d(6),
            nn.GELU(),
            nn.MaxPool1d(3, stride=1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(30, 3),
        ).to(dtype)


@torch.no_grad()
def one_by_one(f, x):
    """Effects (N, 4, L) of a function f of one sequence, change after change."""
    effects = torch.zeros_like(x)
    for row, sequence in enumerate(x):
        for position in range(x.shape[2]):
            for base in range(4):
                changed = sequence.clone()
                changed[:, position] = torch.eye(4)[base]
                effects[row, base, position] = f(changed[None]) - f(sequence[None])
    return effects


def test_every_change_by_itself():
    model, x = small_net(), one_hot(3)
    x[1, :, 4] = 0  # N
    result = mutagenesis(model, x, target=2)
    expected = one_by_one(lambda s: small_net().eval()(s)[0, 2], x)
    torch.testing.assert_close(result.effects, expected, rtol=1e-10, atol=1e-12)
    assert (result.effects[1, :, 4] != 0).all() and (result.effects[x == 1] == 0).all()
    torch.testing.assert_close(result.hypothetical, expected - expected.mean(1, keepdim=True))
    torch.testing.assert_close(result.contributions, result.hypothetical * x)
    torch.testing.assert_close(result.prediction, small_net().eval()(x)[:, 2].detach())


def test_tangermeme_agrees():
    x = one_hot(4, dtype=torch.float32)
    theirs = tangermeme.saturation_mutagenesis.saturation_mutagenesis(
        small_net(torch.float32), x, target=1, hypothetical=True, device="cpu"
    )
    torch.testing.assert_close(
        mutagenesis(small_net(torch.float32), x, target=1).hypothetical, theirs, rtol=1e-4, atol=1e-6
    )


def test_a_linear_model_has_its_weights_as_effects():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2)).double()
    x, w = one_hot(3), model[1].weight[1].detach().view(4, LENGTH)
    result = mutagenesis(model, x, target=1)
    torch.testing.assert_close(result.effects, w - (w * x).sum(1, keepdim=True))
    torch.testing.assert_close(result.hypothetical, (w - w.mean(0)).expand(3, -1, -1))


def test_either_of_two_sites_suffices():
    """The blind spot: f = max(first base is A, second base is A) does not change with either alone."""
    x = torch.zeros(1, 4, 2, dtype=torch.float64)
    x[0, 0] = 1
    result = mutagenesis(lambda s: s[:, 0].amax(1), x)
    assert (result.effects == 0).all() and result.prediction == 1


@pytest.mark.parametrize("batch_size", [1, 7, 33, 34, 1000, None])
def test_batches_change_nothing(batch_size):
    x, signal = one_hot(5, dtype=torch.float64), torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    net = small_net()

    def model(s, control):
        return net.eval()(s) * control

    results = [mutagenesis(model, x, args=(signal,), batch_size=size) for size in (3, batch_size)]
    torch.testing.assert_close(results[1].effects, results[0].effects, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(results[1].prediction, results[0].prediction, rtol=1e-10, atol=1e-12)


def test_one_prediction_for_each_change():
    calls, x = [], one_hot(4)
    x[2, :, 3] = 0

    def model(s):
        calls.append(len(s))
        return s.sum((1, 2))

    mutagenesis(model, x, batch_size=1000)
    needed = 4 + 3 * (4 * LENGTH) + 1  # each sequence, three changes of a base, four of N
    trial = [2, 2, 2]  # whether rows are independent
    assert calls == [*trial, 4, needed - 4]
    calls.clear()
    mutagenesis(model, x, batch_size=10)
    assert max(calls) == 10 and sum(calls) == sum(trial) + needed


def test_what_does_not_fit_in_memory_is_tried_in_smaller_batches():
    x, seen = one_hot(3), []

    def model(s):
        seen.append(len(s))
        if len(s) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return s[:, 0].sum(1)

    result = mutagenesis(model, x, batch_size=64)
    assert max(seen) == 64 and seen[-1] <= 5
    torch.testing.assert_close(result.effects, one_by_one(lambda s: s[:, 0].sum(), x))


def test_sequences_are_not_changed_by_a_model_that_writes_to_its_input():
    model, x = small_net(), one_hot(3).requires_grad_()
    result = mutagenesis(lambda s: model.eval()(s.mul_(2)), x)
    assert torch.equal(x.detach(), one_hot(3)) and x.grad is None and torch.is_grad_enabled()
    torch.testing.assert_close(result.effects, mutagenesis(lambda s: model.eval()(2 * s), one_hot(3)).effects)


def test_scripted_models_work():
    x, plain = one_hot(2), small_net().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit
        scripted = torch.jit.script(plain)
    torch.testing.assert_close(mutagenesis(scripted, x).effects, mutagenesis(plain, x).effects)


def test_a_model_that_mixes_its_rows_is_refused():
    with pytest.raises(SeqliftError, match="depends on the others in its batch"):
        mutagenesis(lambda s: (s - s.mean(0)).square().sum((1, 2)), one_hot(1))


def test_the_output_that_is_explained():
    net, x = small_net(), one_hot(2)

    def model(s):
        return torch.sigmoid(net.eval()(s))

    logit = mutagenesis(model, x).effects
    torch.testing.assert_close(logit, mutagenesis(net, x).effects)
    probability = mutagenesis(model, x, output="probability")
    torch.testing.assert_close(probability.effects, one_by_one(lambda s: model(s)[0, 0], x), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_gives_float32(dtype):
    x = one_hot(2, dtype=dtype)
    result = mutagenesis(lambda s: s[:, 0].sum(1), x)
    assert result.effects.dtype == result.contributions.dtype == torch.float32
    torch.testing.assert_close(result.effects, one_by_one(lambda s: s[:, 0].sum(), x.float()))


def soft(x):
    x[1, :, 2] = torch.tensor([0.5, 0.5, 0, 0])
    return x


def doubled(x):
    x[1, :, 2] = 1
    return x


@pytest.mark.parametrize(
    ("sequences", "settings", "words"),
    [
        (one_hot(2)[0], {}, r"`sequences` must be a tensor of shape \(N, 4, L\)"),
        (one_hot(2).long(), {}, "floating type"),
        (soft(one_hot(2)), {}, r"1 columns of `sequences`.*at sequence 1, position 2: \[0.5, 0.5, 0.0, 0.0\]"),
        (doubled(one_hot(2)), {}, "neither one-hot nor zeros"),
        (-one_hot(2), {}, "22 columns of `sequences`"),
        (one_hot(2), {"target": 3}, r"`target` \(=3\)"),
        (one_hot(2), {"output": "odds"}, "`output`"),
        (one_hot(2), {"batch_size": 0}, "`batch_size`"),
        (one_hot(2), {"args": (torch.ones(3),)}, r"`args\[0\]`"),
        (one_hot(2), {"device": "tpu9"}, "device"),
    ],
)
def test_wrong_arguments_are_named(sequences, settings, words):
    with pytest.raises(SeqliftError, match=words):
        mutagenesis(small_net(), sequences, **settings)


def test_lists_of_changes_do_not_grow_with_the_number_of_sequences(monkeypatch):
    blocks = []
    effects = module._effects
    monkeypatch.setattr(
        module, "_effects", lambda predict, x, *rest: blocks.append(len(x)) or effects(predict, x, *rest)
    )
    mutagenesis(lambda s: s.sum((1, 2)), one_hot(200), batch_size=8)
    assert len(blocks) > 40 and max(blocks) * 3 * LENGTH <= 16 * 8 * 2
