"""Deletion and insertion curves: against a model that can be solved by hand, and against one base at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.attribution_models import one_hot as random_sequences
from seqlift import deeplift
from seqlift.attribution.explained_output import ExplainedOutput
from seqlift.attribution.references import dinucleotide_shuffles, uniform
from seqlift.faithfulness import curves as module
from seqlift.faithfulness.curves import (
    SHARES,
    Curves,
    ablation_curves,
    areas,
    areas_beyond,
    change,
    half_way,
    normalised,
    order_ranks,
    random_ranks,
    share_of,
)

LENGTH = 200  # each share is a whole number of bases
CPU = torch.device("cpu")


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, LENGTH, generator=torch.Generator().manual_seed(5)))

    def forward(self, x):
        return (self.weight * x).sum((1, 2))[:, None] + 3


class Scanner(nn.Module):
    """Something nonlinear, with a second output and a further input that scales it."""

    def __init__(self):
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 9)
        with torch.no_grad():
            self.scan.weight.copy_(torch.randn(6, 4, 9, generator=torch.Generator().manual_seed(1)))
            self.scan.bias.zero_()

    def forward(self, x, scale=1.0):
        found = torch.relu(self.scan(x) - 6).sum((1, 2))
        return torch.stack([-found, found * scale], 1)


def sequences(n, seed=0, unknown=0):
    x = random_sequences(n, LENGTH, seed, torch.float32)
    x[:, :, LENGTH - unknown :] = 0
    return x


def curves_of(model, x, references, orders, n=3, target=0, **more):
    return ablation_curves(
        ExplainedOutput(model, target), x, references, orders, n_references=n, seed=7, device=CPU, **more
    )


def test_a_linear_model_by_hand():
    """With one uniform reference, each base that is replaced takes its own contribution away, and nothing else."""
    model, x = Linear(), sequences(4)
    with torch.no_grad():
        own = (model.weight * (x - 0.25)).sum(1).double().numpy()  # (N, L): what each base adds to a quarter of each
        fx = model(x)[:, 0].double().numpy()
    found = curves_of(model, x, uniform, {"true": order_ranks(own, x, seed=1)}, n=1)["true"]
    falling = np.cumsum(np.sort(own, 1)[:, ::-1], 1)
    taken = np.c_[np.zeros(4), falling][:, [round(share * LENGTH) for share in SHARES]]  # (N, S)
    np.testing.assert_allclose(found.deletion, fx[:, None] - taken, atol=1e-4)
    np.testing.assert_allclose(found.insertion, fx[:, None] - own.sum(1)[:, None] + taken, atol=1e-4)
    # Of a linear model insertion is deletion upside down, so both areas beyond a straight line are the same
    deleted, inserted = areas(found)
    np.testing.assert_allclose(change(found) - deleted, inserted, atol=1e-3)


def test_the_area_of_a_linear_model_by_hand():
    """One base in a hundred holds everything: gone at the first share above it, where random orders lose it evenly."""
    model, x = Linear(), sequences(1)
    with torch.no_grad():
        model.weight.zero_()
        model.weight[:, 40] = torch.where(x[0, :, 40] > 0, 4.0, 0.0)  # a contribution of 3 against a quarter of each
    scores = np.zeros((1, LENGTH))
    scores[0, 40] = 1
    every = np.stack([np.roll(np.arange(LENGTH), shift) for shift in range(LENGTH)])[None]  # each place once: no chance
    found = curves_of(model, x, uniform, {"true": order_ranks(scores, x, 1), "random": every}, n=1)
    np.testing.assert_allclose(change(found["true"]), 3, atol=1e-6)
    np.testing.assert_allclose(found["random"].deletion[0], 1 + 3 + 3 - 3 * np.array(SHARES), atol=1e-5)
    deletion, insertion = areas_beyond(found["true"], found["random"], seed=1)
    expected = 0.5 - SHARES[1] / 2  # the triangle under the straight line, less that under the first step
    assert deletion.value == pytest.approx(expected, abs=1e-6) and insertion.value == pytest.approx(expected, abs=1e-6)


def test_one_base_at_a_time_gives_the_same_curves():
    """An independent loop over regions, orders, references, shares and bases, with N in the sequences."""
    model, x, scale = Scanner(), sequences(3, unknown=12), torch.tensor([1.0, 0.5, 2.0])
    random = np.random.default_rng(0)
    orders = {"one": order_ranks(random.normal(size=(3, LENGTH)), x, 2), "five": random_ranks(x, 5, 2)}
    output = ExplainedOutput(model, 1)
    object.__setattr__(output, "args", lambda sequences, device: (scale,))
    found = ablation_curves(output, x, dinucleotide_shuffles, orders, n_references=3, seed=7, device=CPU)
    references = dinucleotide_shuffles(x, 3, 7)
    for name, ranks in orders.items():
        pairs = {"one": [(0, 0), (0, 1), (0, 2)], "five": [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (0, 2)]}[name]
        for i in range(3):
            bases = int(x[i].sum())
            for s, share in enumerate(SHARES):
                values = []
                for q, r in pairs:
                    deleted, inserted = x[i].clone(), references[i, r].clone()
                    for place in np.argsort(ranks[i, q])[: round(share * bases)]:
                        deleted[:, place], inserted[:, place] = references[i, r, :, place], x[i, :, place]
                    with torch.no_grad():
                        values.append(model(torch.stack([deleted, inserted]), scale[i])[:, 1].tolist())
                expected = np.mean(values, axis=0)
                got = found[name].deletion[i, s], found[name].insertion[i, s]
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


def test_curves_do_not_depend_on_batches_or_on_the_other_regions(monkeypatch):
    model, x = Scanner(), sequences(4)
    ranks = random_ranks(x, 2, 3)
    whole = curves_of(model, x, dinucleotide_shuffles, {"random": ranks}, target=1)["random"]
    monkeypatch.setattr(module, "default_batch_size", lambda *given: 7)
    told = []
    part = curves_of(model, x[2:3], dinucleotide_shuffles, {"random": random_ranks(x[2:3], 2, 3)}, target=1,
                     advance=told.append)["random"]  # fmt: skip
    np.testing.assert_allclose(part.deletion[0], whole.deletion[2], rtol=1e-5)
    np.testing.assert_allclose(part.insertion[0], whole.insertion[2], rtol=1e-5)
    assert told == [1]


def test_the_true_explanation_is_near_best_and_a_shuffled_one_near_nothing():
    model, x = Scanner(), sequences(24)
    x[:, :, 60:69] = F.one_hot(model.scan.weight[0].argmax(0), 4).T  # what one of the filters looks for
    true = deeplift(model, x, target=1).contributions.sum(1).numpy()
    random = np.random.default_rng(1)
    wrong = {"shuffled": random.permuted(true, axis=1), "noise": random.normal(size=true.shape), "opposite": -true}
    orders = {name: order_ranks(scores, x, 1) for name, scores in {"true": true, **wrong}.items()}
    found = curves_of(model, x, dinucleotide_shuffles, orders | {"random": random_ranks(x, 5, 1)}, n=5, target=1)
    area = {name: areas_beyond(found[name], found["random"], seed=1) for name in orders}
    for kind in (0, 1):
        true_area = area["true"][kind]
        assert true_area.low > 0.2, area
        assert all(abs(area[name][kind].value) < true_area.value / 8 for name in ("shuffled", "noise")), area
        assert area["opposite"][kind].high < 0, area


def test_ranks_fall_with_the_scores_and_leave_n_to_the_end():
    x = sequences(2, unknown=20)
    scores = np.random.default_rng(0).normal(size=(2, LENGTH))
    ranks = order_ranks(scores, x, 1)[:, 0]
    for row in range(2):
        places = np.argsort(ranks[row])
        assert (np.diff(scores[row, places[:-20]]) <= 0).all() and set(places[-20:]) == set(range(LENGTH - 20, LENGTH))


def test_bases_of_equal_score_come_in_random_order():
    x = sequences(40)
    ranks = order_ranks(np.zeros((40, LENGTH)), x, 1)[:, 0]
    at = np.corrcoef(ranks.mean(0), np.arange(LENGTH))[0, 1]
    assert abs(at) < 0.3 and not np.array_equal(ranks[0], np.arange(LENGTH))
    drawn = random_ranks(x, 5, 1)
    assert len({tuple(order) for order in drawn.reshape(-1, LENGTH)}) == 200  # all of them others
    np.testing.assert_array_equal(np.sort(drawn, -1), np.broadcast_to(np.arange(LENGTH), drawn.shape))
    np.testing.assert_array_equal(random_ranks(x[7:8], 3, 1)[0], drawn[7, :3])  # of the sequence and the seed alone
    assert (random_ranks(x[7:8], 3, 2)[0] != drawn[7, :3]).any()


def test_a_share_of_the_whole_over_regions():
    """Regions count by what there is to explain; where nothing is, nothing is said."""
    whole = np.array([1.0, 2, 3, 4])
    assert share_of(0.3 * whole, whole, seed=1) == pytest.approx((0.3, 0.3, 0.3))
    assert share_of(np.array([1.0, 0, 0, 0]), whole, seed=1).value == pytest.approx(0.1)
    assert np.isnan(share_of(whole, np.array([1.0, 2, -3, -4]), seed=1)).all()
    assert np.isnan(share_of(np.ones(4), np.array([1.0, 2, 3, -4]), seed=1)).all()  # its sum may as well be below 0


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 300 samples of 40 regions about 95 % of the intervals hold the ratio of the two expectations."""
    random, held = np.random.default_rng(0), 0
    for seed in range(300):
        whole = random.gamma(4, 1, 40)
        found = share_of(0.4 * whole + random.normal(0, 1, 40), whole, seed)
        held += found.low <= 0.4 <= found.high
    assert 0.89 < held / 300 < 0.985


def test_half_way_is_on_the_way(monkeypatch):
    """A curve that first goes the other way is half way where it has come down to a half, not where it is at 1.5."""
    monkeypatch.setattr(module, "SHARES", (0, 0.2, 0.4, 0.6, 1))
    assert half_way(np.array([1, 0.75, 0.25, 0.1, 0])) == pytest.approx(0.3)
    assert half_way(np.array([1, 1.6, 1, 0.0, 0])) == pytest.approx(0.5)
    assert half_way(np.array([0, -0.6, 0, 1, 1])) == pytest.approx(0.5)


def test_normalised_curves_go_from_one_to_nothing_with_their_error():
    random = np.random.default_rng(0)
    n, length = 60, len(SHARES)
    top, base = random.gamma(4, 1, (n, 1)), random.normal(0, 1, (n, 1))
    way = np.linspace(1, 0, length) + np.r_[0, random.normal(0, 0.2, length - 2), 0]
    deletion = base + top * way + np.pad(random.normal(0, 0.5, (n, length - 2)), ((0, 0), (1, 1)))
    curve = Curves(deletion, deletion[:, ::-1])
    mean, error = normalised(curve.deletion, curve)
    assert (
        mean[0] == pytest.approx(1) and mean[-1] == pytest.approx(0) and error[[0, -1]] == pytest.approx(0, abs=1e-12)
    )
    rows = np.random.default_rng(1).integers(n, size=(2000, n))
    part, whole = deletion - deletion[:, -1:], change(curve)
    drawn = part[rows].sum(1) / whole[rows].sum(1)[:, None]
    np.testing.assert_allclose(error[1:-1], drawn.std(0)[1:-1], rtol=0.15)
    back, _ = normalised(curve.insertion, curve)
    np.testing.assert_allclose(back, mean[::-1])
    assert np.isnan(normalised(-deletion, Curves(-deletion, -deletion))[0]).all()
    single = Curves(deletion[:1], deletion[:1])
    assert np.isnan(normalised(single.deletion, single)[1]).all()
