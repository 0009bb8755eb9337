"""RevealCancel and the genomics rule: against an independent slow implementation, by hand, and on all models."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.attribution_models import N, R, one_hot
from fixtures.slow_deeplift import slow_deeplift
from seqlift import SeqliftError, deeplift
from seqlift.attribution.rules import RULES
from seqlift.attribution.trace import multipliers

L = 12
NEW_RULES = [rule for rule in RULES if rule != "rescale"]


def normalisation(channels):
    layer = nn.BatchNorm1d(channels)
    for tensor in (layer.running_mean, layer.weight.data, layer.bias.data):
        tensor.normal_()  # scales of both signs
    layer.running_var.uniform_(0.5, 2)
    return layer


def nets():
    return {
        "dense": [nn.Flatten(), nn.Linear(4 * L, 7), nn.ReLU(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2)],
        "convolutional": [
            *(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Conv1d(5, 4, 3), nn.Sigmoid(), nn.Flatten()),
            *(nn.Linear(4 * (L - 4), 6), nn.ReLU(), nn.Linear(6, 2)),
        ],
        "normalised": [
            *(nn.Conv1d(4, 5, 3), normalisation(5), nn.ReLU(), nn.AvgPool1d(2), nn.Conv1d(5, 4, 3), nn.ReLU()),
            *(nn.Flatten(), nn.Dropout(), nn.Linear(12, 6), normalisation(6), nn.ReLU(), nn.Linear(6, 2)),
        ],
    }


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", nets())
def test_multipliers_are_those_of_the_slow_implementation(name, rule):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nets()[name]
    model = nn.Sequential(*layers).double().eval()
    x, references = one_hot(2, L), one_hot(6, L, seed=3).unflatten(0, (2, 3))
    fast, _, _ = multipliers(model, x, references, lambda output: output[:, 1], rule=rule)
    slow = [[slow_deeplift(layers, x[i], references[i, k], 1, rule) for k in range(3)] for i in range(2)]
    np.testing.assert_allclose(fast.numpy(), np.array(slow), rtol=1e-9, atol=1e-14)


def test_the_slow_cases_tell_the_rules_apart():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nets()["convolutional"]
    nn.Sequential(*layers).double().eval()
    x, r = one_hot(2, L)
    rescale, reveal, genomics = (slow_deeplift(layers, x, r, 1, rule) for rule in RULES)
    for a, b in ((rescale, reveal), (rescale, genomics), (reveal, genomics)):
        assert np.abs(a - b).max() > 0.05 * np.abs(a).max()


def test_genomics_is_rescale_without_dense_layers_and_reveal_cancel_with_nothing_else():
    def both(middle, rule):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = middle().double()
        return deeplift(model, one_hot(N, L), one_hot(R, L, seed=5), rule=rule).hypothetical

    def convolutional():
        return nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * (L - 4), 1))

    def dense():
        return nn.Sequential(nn.Flatten(), nn.Linear(4 * L, 8), nn.ReLU(), nn.Linear(8, 1))

    torch.testing.assert_close(both(convolutional, "genomics"), both(convolutional, "rescale"))
    torch.testing.assert_close(both(dense, "genomics"), both(dense, "reveal-cancel"))
    for net in (convolutional, dense):
        assert (both(net, "reveal-cancel") - both(net, "rescale")).abs().max() > 1e-3


def test_parts_are_carried_through_what_only_moves_and_scales():
    """The same function written in other ways has the same multipliers."""

    class Net(nn.Module):
        def __init__(self, way):
            super().__init__()
            self.conv = nn.Conv1d(4, 6, 3, padding=1)
            self.way = way

        def forward(self, x):
            return F.relu(self.way(self.conv(x))).flatten(1)[:, ::5].mean(1, keepdim=True)

    ways = [
        lambda h: -2 * h + 0.5,
        lambda h: 0.5 - h * 2,
        lambda h: -(2 * h - 0.5),
        lambda h: torch.rsub(h / 0.5, 0.5),
        lambda h: h.mT.mul(-2).add(0.5).mT,
        lambda h: torch.cat([a * -2 + 0.5 for a in h.split([2, 3, 1], 1)], 1),
        lambda h: torch.stack([a * -2 + 0.5 for a in h.unbind(2)], 2),
        lambda h: 0.5 + torch.neg(h) - h,
        lambda h: F.batch_norm(h, torch.zeros(6), torch.ones(6), torch.full((6,), -2.0), torch.full((6,), 0.5), eps=0),
    ]
    found = []
    for way in ways:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            model = Net(way)
        found.append(deeplift(model, one_hot(2, dtype=torch.float32), one_hot(R, seed=5).float(), rule="reveal-cancel"))
    for other in found[1:]:
        torch.testing.assert_close(other.hypothetical, found[0].hypothetical, rtol=1e-4, atol=1e-5)
    assert (
        found[0].hypothetical - deeplift(model, one_hot(2).float(), one_hot(R, seed=5).float()).hypothetical
    ).abs().max() > 1e-3


def test_an_input_changed_in_place_is_refused():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)

        def forward(self, x):
            h = F.gelu(self.first(x))
            z = self.second(h)
            h += 1
            return (F.relu(z) + h).flatten(1)

    with pytest.raises(SeqliftError, match="changed in place"):
        deeplift(Net().double(), one_hot(2), one_hot(R, seed=5), rule="reveal-cancel")


def test_a_weight_made_of_several_is_not_split_by_their_signs():
    """W1 W2 has a sign for each pair; the parts of the layer are not known, so it is explained with Rescale."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3)))

        def forward(self, x):
            return F.relu(torch.einsum("ncl,ck,k->nkl", x, self.a, self.b)).flatten(1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Net().double()
    rescale, reveal = (deeplift(model, one_hot(2), one_hot(R, seed=5), rule=rule) for rule in RULES[:2])
    torch.testing.assert_close(reveal.hypothetical, rescale.hypothetical)
