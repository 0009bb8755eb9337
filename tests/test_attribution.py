"""DeepLIFT and interior gradients: nets solved by hand, other libraries as oracles, and what a call may not change."""

import contextlib
import copy

import captum.attr
import pytest
import tangermeme.deep_lift_shap
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.attribution_models import StraightThrough
from fixtures.attribution_models import one_hot as random_sequences
from seqlift import SeqliftError, deeplift, interior_gradients, mutagenesis
from seqlift.attribution.references import uniform, zeros
from seqlift.core.devices import choose_device

LENGTH = 30


def one_hot(n, length=LENGTH, **options):
    return random_sequences(n, length, **options)


def small_net(dtype=torch.float64, seed=0, activation=nn.ReLU, pool=nn.MaxPool1d):
    """Modules only, each used once, and one pool that does not overlap: what module hooks can explain too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv1d(4, 8, 7, padding=3),
            activation(),
            pool(3),
            nn.Conv1d(8, 8, 5),
            activation(),
            nn.Flatten(),
            nn.Linear(48, 10),
            activation(),
            nn.Linear(10, 3),
        ).to(dtype)


class FirstBases(nn.Module):
    """A function of "is the first base an A" and "is the second base a C"."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x[:, 0, 0], x[:, 1, 1])[:, None]


def contributions_by_hand(function, first, second, reference=(0.0, 0.0)):
    x, r = torch.zeros(1, 4, 2, dtype=torch.float64), torch.zeros(1, 4, 2, dtype=torch.float64)
    x[0, 0, 0], x[0, 1, 1] = first, second
    r[0, 0, 0], r[0, 1, 1] = reference
    result = deeplift(FirstBases(function), x, r)
    return float(result.contributions[0, 0, 0]), float(result.contributions[0, 1, 1])


def test_rescale_on_nets_solved_by_hand():
    # o = max(0, i1 + i2 - 1) on (1, 1) from (0, 0): Δo = 1 of Δ(i1 + i2) = 2, so each input has ½ (1704.02685 §3.4)
    assert contributions_by_hand(lambda a, b: F.relu(a + b - 1), 1, 1) == pytest.approx((0.5, 0.5))
    # o = 1 - max(0, 1 - i1 - i2), the OR: saturated at (1, 1), where a plain gradient is 0 (§2.1)
    assert contributions_by_hand(lambda a, b: 1 - F.relu(1 - a - b), 1, 1) == pytest.approx((0.5, 0.5))
    # o = min(i1, i2) = i1 - max(0, i1 - i2): Rescale gives the smaller input all (§3.5.3 mends this by RevealCancel)
    assert contributions_by_hand(lambda a, b: a - F.relu(a - b), 0.4, 1) == pytest.approx((0.4, 0.0))
    # the threshold of §2.2: y = max(0, x - 10) explained from 0 at x = 10 + ε changes little with ε
    assert contributions_by_hand(lambda a, b: F.relu(a - 10), 11, 1) == pytest.approx((1.0, 0.0))


def test_product_rule_by_hand():
    # h = a · b from (1, 3) to (4, 5): m_a = b⁰ + ½ Δb = 4, so Δa · 4 = 12, and Δb · 2.5 = 5; Δh = 20 - 3 = 17
    x, r = torch.zeros(1, 4, 2, dtype=torch.float64), torch.zeros(1, 4, 2, dtype=torch.float64)
    x[0, 0, 0], x[0, 1, 1], r[0, 0, 0], r[0, 1, 1] = 4, 5, 1, 3
    result = deeplift(FirstBases(lambda a, b: a * b), x, r)
    # h_b = m[b] - Σ_a m[a] ref[a]: at the first position m = 4 and the reference holds one of it
    torch.testing.assert_close(result.hypothetical[0, 0, 0], torch.tensor(4.0 - 4 * 1).double())
    assert float(result.delta) == pytest.approx(0) and float(result.prediction - result.reference_prediction) == 17


def test_a_linear_model_contributes_its_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2)).double()
    x = one_hot(3)
    result = deeplift(model, x, uniform, n_references=2, target=1)
    weights = model[1].weight[1].detach().view(4, LENGTH)
    torch.testing.assert_close(result.hypothetical, (weights - weights.mean(0)).expand(3, -1, -1))
    torch.testing.assert_close(result.contributions, result.hypothetical * x)
    assert result.standard_error.abs().max() < 1e-12  # both references are alike


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")
def test_captum_agrees_where_it_is_right():
    """Average pooling: with max pooling captum 0.9 misses completeness here by more than the change it explains."""
    x, references = one_hot(5), one_hot(10, seed=2).unflatten(0, (5, 2))
    ours = deeplift(small_net(pool=nn.AvgPool1d), x, references, target=2)
    oracle = captum.attr.DeepLift(small_net(pool=nn.AvgPool1d))
    theirs = [oracle.attribute(x.clone().requires_grad_(), references[:, k], target=2) for k in range(2)]
    # captum gives m · (x - reference), which summed over bases is ours at the base that is there
    mean = torch.stack(theirs).mean(0).sum(1).detach()
    torch.testing.assert_close(ours.contributions.sum(1), mean, rtol=1e-6, atol=1e-9)


def test_tangermeme_agrees_where_it_is_right():
    model, x, references = small_net(torch.float32), one_hot(4, dtype=torch.float32), one_hot(12, seed=3).float()
    references = references.unflatten(0, (4, 3))
    theirs = tangermeme.deep_lift_shap.deep_lift_shap(
        small_net(torch.float32), x, references=references, target=1, hypothetical=True, device="cpu", batch_size=6
    )
    ours = deeplift(model, x, references, target=1).hypothetical
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_the_reverse_complement_has_the_reverse_complement_scores(explain):
    class BothStrands(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, x):
            return self.net(x) + self.net(x.flip(1, 2))

    model, x, references = BothStrands(), one_hot(3), one_hot(6, seed=4).unflatten(0, (3, 2))
    forward = explain(model, x, references)
    reverse = explain(model, x.flip(1, 2), references.flip(2, 3))
    torch.testing.assert_close(reverse.hypothetical, forward.hypothetical.flip(1, 2), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(reverse.standard_error, forward.standard_error.flip(1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_a_constant_added_to_the_output_changes_no_score(explain):
    model, x, references = small_net(), one_hot(2), one_hot(3, seed=4)
    shifted = copy.deepcopy(model)
    with torch.no_grad():
        shifted[-1].bias += 7
    before, after = explain(model, x, references), explain(shifted, x, references)
    torch.testing.assert_close(after.hypothetical, before.hypothetical)
    torch.testing.assert_close(after.prediction, before.prediction + 7)


# --- references -------------------------------------------------------------------------------------------------------


def test_forms_of_references_agree():
    model, x, references = small_net(), one_hot(3), one_hot(4, seed=6)
    shared = deeplift(model, x, references)
    each = deeplift(model, x, references.expand(3, -1, -1, -1))
    called = deeplift(model, x, lambda s, n, seed: references[:n].expand(len(s), -1, -1, -1), n_references=4)
    torch.testing.assert_close(shared.hypothetical, each.hypothetical)
    torch.testing.assert_close(shared.hypothetical, called.hypothetical)


def test_default_references_depend_on_seed_and_sequence_alone():
    model, x = small_net(), one_hot(4)
    forward, backward = deeplift(model, x, n_references=5), deeplift(model, x.flip(0), n_references=5, batch_size=7)
    torch.testing.assert_close(forward.hypothetical, backward.hypothetical.flip(0), rtol=1e-9, atol=1e-12)
    assert not torch.equal(
        forward.reference_prediction, deeplift(model, x, n_references=5, seed=1).reference_prediction
    )


def test_sequences_with_n_are_explained():
    x = one_hot(3)
    x[1, :, 4:7] = 0
    result = deeplift(small_net(), x, n_references=4)
    assert result.contributions[1, :, 4:7].abs().max() == 0
    assert result.delta.abs().max() < 1e-12
    torch.testing.assert_close(
        result.contributions.sum((1, 2)), result.prediction - result.reference_prediction.mean(1), rtol=1e-9, atol=1e-12
    )


# --- the model is not modified ---------------------------------------------------------------------------------------


class Fails(nn.Module):
    def forward(self, x):
        raise ValueError("in the middle of it")


class Custom(nn.Module):
    """Interior gradients try the ends of the paths, and then every point."""

    def forward(self, x):
        return StraightThrough.apply(x)


@pytest.mark.parametrize("last", [nn.ReLU(inplace=True), Fails(), Custom()], ids=["works", "fails", "custom"])
@pytest.mark.parametrize("explain", [deeplift, interior_gradients, mutagenesis])
def test_the_model_is_not_modified(explain, last):
    net = nn.Sequential(nn.Conv1d(4, 3, 5), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3), nn.Flatten())
    model = nn.Sequential(net, nn.Linear(3 * (LENGTH - 4), 1), last).double().train()
    net[1].eval()  # a BatchNorm frozen inside a training model
    net[0].weight.requires_grad_(False)
    model[1].weight.grad = torch.ones_like(model[1].weight)

    def state():
        parameters, modules = list(model.parameters()), list(model.modules())
        return (
            [(p.data_ptr(), p.requires_grad, p.grad is None) for p in parameters],
            [(m.training, set(vars(m)), len(m._forward_hooks), len(m._backward_hooks)) for m in modules],
        )

    before, values = state(), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, references = one_hot(2), one_hot(2, seed=2)
    given = (x,) if explain is mutagenesis else (x, references)
    errors = {Fails: ValueError, Custom: SeqliftError if explain is deeplift else None}
    error = errors.get(type(last))
    with torch.no_grad():  # a caller's mode that forbids gradients does not matter, and stays
        with pytest.raises(error) if error else contextlib.nullcontext():
            explain(model, *given)
        assert not torch.is_grad_enabled()
    assert state() == before
    assert all(torch.equal(values[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(x, one_hot(2)) and torch.equal(references, one_hot(2, seed=2))
    assert vars(x) == vars(references) == {} and not x.requires_grad


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_the_function_explained_is_that_of_evaluation(explain):
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * LENGTH, 1)).double()
    with torch.no_grad():
        model(torch.rand(9, 4, LENGTH, dtype=torch.float64))  # running statistics
    x, references = one_hot(2), one_hot(2, seed=2)
    result, evaluated = explain(model.train(), x, references), explain(copy.deepcopy(model).eval(), x, references)
    torch.testing.assert_close(result.hypothetical, evaluated.hypothetical)
    torch.testing.assert_close(result.prediction, model.eval()(x).detach()[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_references_are_averaged_with_a_standard_error(explain):
    model, x, references = small_net(), one_hot(2), one_hot(6, seed=4)
    result = explain(model, x, references, batch_size=4)
    singles = [explain(model, x, r[None]) for r in references]
    each = torch.stack([single.contributions.sum(1) for single in singles])
    torch.testing.assert_close(result.standard_error, each.std(0) / 6**0.5)
    torch.testing.assert_close(result.contributions.sum(1), each.mean(0))
    torch.testing.assert_close(result.delta, torch.cat([single.delta for single in singles], 1))
    assert singles[0].standard_error.isnan().all()


def test_further_inputs_go_with_their_sequence():
    class WithControl(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, x, control):
            return self.net(x) * control.mean(1, keepdim=True)

    model, x, references = WithControl(), one_hot(5), one_hot(15, seed=2).unflatten(0, (5, 3))
    control = torch.rand(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for explain in (deeplift, interior_gradients):
        plain = explain(model.net, x, references)
        controlled = explain(model, x, references, args=(control,), batch_size=6)
        expected = plain.hypothetical * control.mean(1)[:, None, None]
        torch.testing.assert_close(controlled.hypothetical, expected, rtol=1e-9, atol=1e-12)


def test_a_plain_function_can_be_explained():
    x = one_hot(2)
    result = deeplift(lambda s: s[:, 2].sum(-1, keepdim=True) ** 2, x, zeros, n_references=1)
    torch.testing.assert_close(result.contributions.sum((1, 2)), x[:, 2].sum(-1) ** 2)


# --- wrong calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sequences": torch.zeros(2, LENGTH, 4)}, r"shape \(N, 4, L\), not Tensor \(2, 30, 4\)"),
        ({"sequences": torch.zeros(2, 4, LENGTH, dtype=torch.int8)}, "floating type"),
        ({"references": one_hot(2, LENGTH + 1)}, r"`references` of shape \(2, 4, 31\)"),
        ({"references": lambda s, n, seed: s}, r"`references` returned shape \(2, 4, 30\); it must be \(2, 20"),
        ({"n_references": 0, "references": None}, r"`n_references` \(=0\)"),
        ({"target": 3}, r"`target` \(=3\) must be less than the 3 outputs"),
        ({"rule": "linear"}, "rescale"),
        ({"args": (torch.zeros(3),)}, r"`args\[0\]`"),
        (
            {"sequences": torch.full((2, 4, LENGTH), 0.3).double(), "references": None},
            "one-hot .* sequence 0",
        ),
        ({"device": "abacus"}, "unknown"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    call = {"sequences": one_hot(2), "references": one_hot(3), "n_references": 20} | arguments
    with pytest.raises(SeqliftError, match=words):
        deeplift(small_net(), call.pop("sequences"), call.pop("references"), **call)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(SeqliftError, match="no CUDA GPU"):
        deeplift(small_net(), one_hot(1), device="cuda")
    assert choose_device("auto").type == "cpu"
