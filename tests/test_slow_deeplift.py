"""The slow reference implementation of the DeepLIFT tests, compared with results by hand and by brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from fixtures.attribution_models import one_hot as random_sequences
from fixtures.slow_deeplift import flat, forward, read_layers, slow_deeplift


def linear(weight, bias) -> nn.Linear:
    """A Linear layer, float64, with these numbers."""
    layer = nn.Linear(len(weight[0]), len(weight)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight, dtype=torch.float64))
        layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return layer


# Each over two inputs, reference 0
AND = [linear([[1.0, 1.0]], [-1.0]), nn.ReLU()]  # max(0, i1 + i2 - 1)
OR = [linear([[-1.0, -1.0]], [1.0]), nn.ReLU(), linear([[-1.0]], [1.0])]  # 1 - max(0, 1 - i1 - i2): saturates
MIN = [linear([[1.0, 0.0], [1.0, -1.0]], [0.0, 0.0]), nn.ReLU(), linear([[1.0, -1.0]], [0.0])]  # i1 - max(0, i1 - i2)
THRESHOLD = [linear([[1.0]], [-10.0]), nn.ReLU()]  # max(0, i - 10): the gradient jumps


def contributions(layers, x, rule) -> np.ndarray:
    return slow_deeplift(layers, x, np.zeros(len(x)), 0, rule) * np.asarray(x)


@pytest.mark.parametrize("rule", ["rescale", "reveal-cancel", "genomics"])
def test_and_or_and_threshold(rule):
    """Equal inputs share equally, also where a gradient is zero; a threshold is not jumped over."""
    np.testing.assert_allclose(contributions(AND, [1.0, 1.0], rule), [0.5, 0.5])
    np.testing.assert_allclose(contributions(AND, [1.0, 0.0], rule), [0, 0])
    np.testing.assert_allclose(contributions(OR, [1.0, 1.0], rule), [0.5, 0.5])
    np.testing.assert_allclose(contributions(OR, [1.0, 0.0], rule), [1, 0])
    np.testing.assert_allclose(contributions(THRESHOLD, [11.0], rule), [1])


@pytest.mark.parametrize(("i1", "i2"), [(3.0, 2.0), (2.0, 3.0), (2.0, 2.0)])
def test_min_is_shared_only_by_reveal_cancel(i1, i2):
    least = min(i1, i2)
    for rule in ("reveal-cancel", "genomics"):
        np.testing.assert_allclose(contributions(MIN, [i1, i2], rule), [least / 2, least / 2])
    if i1 != i2:  # Rescale, as gradients and their integral, gives all to the smaller one
        np.testing.assert_allclose(contributions(MIN, [i1, i2], "rescale"), [i1 * (i1 < i2), i2 * (i2 < i1)])


def test_min_by_the_papers_own_numbers():
    """Section 3.5.3: h = i1 - i2 has Δ⁺ = i1 and Δ⁻ = -i2; ReLU(h) then Δ⁺ = i1 - i2/2 and Δ⁻ = -i2/2."""
    i1, i2 = 5.0, 2.0
    multipliers = slow_deeplift([linear([[1.0, -1.0]], [0.0]), nn.ReLU()], [i1, i2], [0.0, 0.0], 0, "reveal-cancel")
    np.testing.assert_allclose(multipliers, [(i1 - i2 / 2) / i1, -(i2 / 2) / i2])


def test_reveal_cancel_on_two_inputs_of_opposite_sign_is_their_shapley_value():
    """The paper's reading of the rule: each part's effect averaged over both orders of adding them."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, r, bias = rng.normal(size=2), rng.normal(size=2), rng.normal()
        weight = np.sign(x - r) * [1, -1] * rng.uniform(0.2, 2, size=2)
        layers = [linear([weight.tolist()], [bias]), nn.Tanh()]

        def value(*chosen, x=x, r=r, weight=weight, bias=bias):
            return math.tanh(weight @ np.where(chosen, x, r) + bias)

        first = (value(1, 0) - value(0, 0) + value(1, 1) - value(0, 1)) / 2
        second = (value(0, 1) - value(0, 0) + value(1, 1) - value(1, 0)) / 2
        scores = slow_deeplift(layers, x, r, 0, "reveal-cancel") * (x - r)
        np.testing.assert_allclose(scores, [first, second], rtol=1e-12)


def test_inputs_without_a_difference_get_half_of_both_parts():
    """y = ReLU(x1 - x2 + 2 x3) with Δ = (3, 1, 0): h⁺ = 3, h⁻ = -1, and x3 sees ½ · 2 (m⁺ + m⁻)."""
    layers = [linear([[1.0, -1.0, 2.0]], [0.0]), nn.ReLU()]
    multipliers = slow_deeplift(layers, [3.0, 1.0, 0.0], [0.0, 0.0, 0.0], 0, "reveal-cancel")
    plus, minus = (3 - 1 / 2) / 3, 1 / 2
    np.testing.assert_allclose(multipliers, [plus, -minus, plus + minus])


def test_a_negative_scale_swaps_the_parts():
    """ReLU(-h) with h⁺ = 5, h⁻ = -2, bias 4: the exchanged parts are +2 and -5."""
    norm = nn.BatchNorm1d(1, eps=0).double().eval()
    with torch.no_grad():
        norm.weight.fill_(-1)
        norm.bias.fill_(4)
    layers = [linear([[1.0, -1.0]], [0.0]), norm, nn.ReLU()]
    # from 4: f(6) - f(4) = 2 and f(1) - f(0) = 1 for the positive part; f(0) - f(4) = -4 and f(1) - f(6) = -5
    multipliers = slow_deeplift(layers, [5.0, 2.0], [0.0, 0.0], 0, "reveal-cancel")
    np.testing.assert_allclose(multipliers * [5, 2], [-4.5, 1.5])


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv1d(4, 3, 3, padding=1),
        nn.BatchNorm1d(3),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Sequential(nn.Conv1d(3, 4, 2, stride=2, dilation=2), nn.Tanh()),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(5, 3),
        nn.Sigmoid(),
        nn.Linear(3, 2),
    ).double()
    with torch.no_grad():
        for weights in net.parameters():  # far enough from linear for the rules to differ
            weights.mul_(3)
        net[1].running_mean.normal_()
        net[1].running_var.uniform_(0.5, 2)
        net[1].weight.normal_()
    return net.eval()


def pair(seed: int, length: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(random_sequences(2, length, seed))


@pytest.mark.parametrize("rule", ["rescale", "reveal-cancel", "genomics"])
@pytest.mark.parametrize("seed", range(5))
def test_contributions_add_up(seed, rule):
    net, (x, r) = network(seed), pair(seed)
    for target in (0, 1):
        total = (slow_deeplift(net, x, r, target, rule) * (x - r).numpy()).sum()
        with torch.no_grad():
            change = (net(x[None]) - net(r[None]))[0, target].item()
        assert abs(total - change) <= 1e-12 * max(1, abs(change))


@pytest.mark.parametrize("seed", range(5))
def test_rescale_is_one_product_of_quotients(seed):
    """With Rescale both parts always have the same multiplier, so the split must leave no trace."""
    net, (x, r) = network(seed), pair(seed)
    steps = read_layers(net, tuple(x.shape))
    at_x, at_r, matrices = x.numpy().ravel(), r.numpy().ravel(), []
    for step in steps:
        before, at_x, at_r = at_x - at_r, forward(step, at_x), forward(step, at_r)
        if hasattr(step, "weight"):
            matrices.append(step.weight if step.weight.ndim == 2 else np.diag(step.weight))
        else:
            safe = np.where(before == 0, 1, before)
            matrices.append(np.diag(np.where(before == 0, 0, (at_x - at_r) / safe)))
    product = matrices[-1][0]
    for matrix in reversed(matrices[:-1]):
        product = product @ matrix
    changed = (x != r).numpy()
    multipliers = slow_deeplift(net, x, r, 0, "rescale")
    np.testing.assert_allclose(multipliers[changed], product.reshape(x.shape)[changed], rtol=1e-9, atol=1e-14)


def test_genomics_takes_reveal_cancel_for_dense_layers_only():
    (x, r), net = pair(3), network(3)
    by_rule = {rule: slow_deeplift(net, x, r, 1, rule) for rule in ("rescale", "reveal-cancel", "genomics")}
    for one, other in itertools.combinations(by_rule, 2):
        assert np.abs(by_rule[one] - by_rule[other]).max() > 1e-6
    convolutions = [nn.Conv1d(4, 3, 3).double(), nn.ReLU(), nn.Flatten()]
    np.testing.assert_array_equal(
        slow_deeplift(convolutions, x, r, 7, "genomics"), slow_deeplift(convolutions, x, r, 7, "rescale")
    )


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
        nn.Conv1d(4, 3, 4, padding="same", bias=False),
        nn.Conv1d(4, 3, 3, padding="valid"),
        nn.AvgPool1d(3, stride=2, padding=1),
        nn.AvgPool1d(3, padding=1, count_include_pad=False),
        nn.AdaptiveAvgPool1d(5),
        nn.AdaptiveAvgPool1d(1),
        nn.BatchNorm1d(4, affine=False),
        nn.Sigmoid(),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_layers_compute_what_torch_computes(layer):
    x = torch.randn(4, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (step,) = read_layers(flat([layer.double().eval()]), (4, 12))
    with torch.no_grad():
        expected = layer(x[None])[0].numpy()
    assert step.shape == expected.shape
    np.testing.assert_allclose(forward(step, x.numpy().ravel()).reshape(step.shape), expected, rtol=1e-9, atol=1e-12)
