"""Losses compared with independent calculations, masks, weights, and when a model has learned something."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu, norm, poisson
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch.distributions import Multinomial

from seqlift.training.dataset import Batch
from seqlift.training.objectives import (
    ClassesObjective,
    CountsObjective,
    ProfileObjective,
    _rank_score,
    compare_with_constant,
    make_objective,
    multinomial_loss,
)

N, T, S, W = 40, 3, 2, 25


@pytest.fixture
def random():
    return np.random.default_rng(3)


def batch_of(labels=None, signal=None, known=None):
    n = len(labels if labels is not None else signal)
    labels = torch.full((n, T), torch.nan) if labels is None else torch.as_tensor(labels, dtype=torch.float32)
    return Batch(codes=torch.zeros(n, 10, dtype=torch.uint8), labels=labels, signal=signal, control=None, known=known)


def signal_batch(random, scale=5.0):
    rates = scale * random.gamma(1.0, 1.0, (1, T, S, W)) * random.gamma(2.0, 0.5, (N, 1, 1, 1))
    signal = torch.from_numpy(random.poisson(rates).astype(np.float32))
    known = torch.from_numpy(random.random((N, T)) < 0.8)
    return batch_of(signal=signal, known=known)


def objective_of(head, batch, **options):
    options = {"class_weights": "none", "count_weight": 1.0} | options
    known = None if batch.known is None else batch.known.numpy()
    signals = [] if batch.signal is None else batch.signal.split(7)
    return make_objective(head, batch.labels.numpy(), signals, known, **options)


def random_labels(random, masked=0.2):
    labels = (random.random((N, T)) < [0.1, 0.5, 0.8]).astype(float)
    labels[:2] = [[0, 0, 0], [1, 1, 1]]
    labels[random.random((N, T)) < masked] = np.nan
    labels[:2] = [[0, 0, 0], [1, 1, 1]]
    return labels


def mean(losses):
    return (losses.total / losses.known.sum()).item()


def test_classes_without_masks_are_the_usual_logistic_loss(random):
    labels = random_labels(random, masked=0)
    logits = torch.from_numpy(random.normal(size=(N, T)) * 3)
    batch = batch_of(labels)
    losses = objective_of("classes", batch).losses(logits, batch)
    expected = np.mean([log_loss(labels[:, i], torch.sigmoid(logits[:, i])) for i in range(T)])
    assert mean(losses) == pytest.approx(expected, rel=1e-6) and bool(losses.known.all())


def test_balanced_classes_are_those_of_scikit_learn(random):
    labels = random_labels(random)
    logits = torch.from_numpy(random.normal(size=(N, T)) * 3)
    batch = batch_of(labels)
    losses = objective_of("classes", batch, class_weights="balanced").losses(logits, batch)
    total = 0.0
    for i in range(T):
        known = ~np.isnan(labels[:, i])
        truth = labels[known, i]
        weights = compute_class_weight("balanced", classes=np.array([0.0, 1.0]), y=truth)[truth.astype(int)]
        total += log_loss(truth, torch.sigmoid(logits[known, i]), sample_weight=weights, normalize=False)
        assert losses.weights[:, i][truth_rows(labels, i, 1)].sum() == pytest.approx(known.sum() / 2, rel=1e-6)
        assert losses.weights[:, i][truth_rows(labels, i, 0)].sum() == pytest.approx(known.sum() / 2, rel=1e-6)
    assert losses.total.item() == pytest.approx(total, rel=1e-6)


def truth_rows(labels, i, value):
    return torch.from_numpy(labels[:, i] == value)


def test_counts_are_squared_errors_of_the_logarithm(random):
    batch = signal_batch(random)
    predicted = torch.from_numpy(random.normal(size=(N, T)))
    losses = objective_of("counts", batch).losses(predicted, batch)
    total = 0.0
    for i in range(N):
        for j in range(T):
            if batch.known[i, j]:
                total += (math.log1p(batch.signal[i, j].sum().item()) - predicted[i, j].item()) ** 2
    assert losses.total.item() == pytest.approx(total, rel=1e-6)
    assert int(losses.known.sum()) == int(batch.known.sum())


def test_multinomial_loss_is_that_of_torch(random):
    batch = signal_batch(random)
    logits = torch.from_numpy(random.normal(size=(N, T, S, W)))
    loss = multinomial_loss(logits, batch.signal)
    for i in range(N):
        for j in range(T):
            counts = batch.signal[i, j].double().flatten()
            expected = Multinomial(int(counts.sum()), logits=logits[i, j].flatten()).log_prob(counts)
            assert loss[i, j].item() == pytest.approx(-expected.item(), rel=1e-9)


def test_profile_is_multinomial_plus_weighted_squared_error(random):
    batch = signal_batch(random)
    logits = torch.from_numpy(random.normal(size=(N, T, S, W)))
    log_counts = torch.from_numpy(random.normal(size=(N, T)))
    losses = objective_of("profile", batch, count_weight=0.3).losses((logits, log_counts), batch)
    for j in range(T):
        known = batch.known[:, j]
        totals = batch.signal[known, j].double().sum((1, 2))
        weight = 0.3 * totals.mean() / 2
        expected = multinomial_loss(logits, batch.signal)[known, j]
        expected = expected + weight * (torch.log1p(totals) - log_counts[known, j]) ** 2
        assert torch.allclose(losses.values[known, j], expected, rtol=1e-6)
        shape = multinomial_loss(logits, batch.signal)[known, j]
        assert torch.allclose(losses.parts[known, j, 1], shape)  # quantities: counts, profile


def test_count_weight_of_one_makes_the_likelihood_of_independent_reads(random):
    """-log Poisson(counts | rates) differs between predictions as the loss does when the total is near its mean."""
    signal = torch.from_numpy(random.poisson(40.0, (1, 1, S, W)).astype(np.float32))
    batch = batch_of(signal=signal, known=torch.ones(1, 1, dtype=torch.bool))
    objective = make_objective("profile", np.zeros((1, 1)), [signal], np.ones((1, 1), bool), class_weights="none",
                               count_weight=1.0)  # fmt: skip

    def both(logits, total):
        rates = (logits.flatten().softmax(0) * total).numpy()
        loss = objective.losses((logits[None, None], torch.tensor([[math.log1p(total)]]).double()), batch).total
        return -poisson.logpmf(signal.flatten().numpy(), rates).sum(), loss.item()

    total = signal.sum().item()
    first = both(torch.zeros(S, W).double(), total * 1.02)
    second = both(torch.from_numpy(random.normal(size=(S, W))) * 0.1, total * 0.97)
    assert second[0] - first[0] == pytest.approx(second[1] - first[1], rel=0.02)


@pytest.mark.parametrize("head", ["classes", "counts", "profile"])
def test_a_masked_entry_changes_nothing(random, head):
    if head == "classes":
        labels = random_labels(random, masked=0)
        batch, known = batch_of(labels), torch.from_numpy(random.random((N, T)) < 0.7)
        masked = batch._replace(labels=torch.where(known, batch.labels, torch.nan))
        others = masked  # there is no value under the mask
    else:
        batch = signal_batch(random)
        known, masked = batch.known, batch
        others = batch._replace(signal=torch.where(known[:, :, None, None], batch.signal, 77.0))
    objective = objective_of(head, masked)
    gradients, totals = [], []
    for case, shift in ((masked, 0.0), (others, 9.0)):
        scalars = torch.linspace(-1, 1, N * T).reshape(N, T) + torch.where(known, 0.0, shift)
        scalars.requires_grad_()
        logits = torch.linspace(-1, 1, N * T * S * W).reshape(N, T, S, W)
        logits = (logits + torch.where(known, 0.0, shift)[:, :, None, None] * torch.arange(W)).requires_grad_()
        losses = objective.losses((logits, scalars) if head == "profile" else scalars, case)
        mean, n_known = objective.mean((logits, scalars) if head == "profile" else scalars, case)
        mean.backward()
        assert torch.equal(losses.known, known) and n_known == known.sum()
        assert mean.item() == pytest.approx(losses.total.item() / known.numel(), rel=1e-5)
        assert (scalars.grad[~known] == 0).all() and (scalars.grad[known] != 0).all()
        if head == "profile":
            assert (logits.grad[~known] == 0).all()
        totals.append(losses.total.item())
        gradients.append(scalars.grad)
    assert totals[0] == totals[1] and torch.equal(*gradients)


def test_half_precision_outputs_are_summed_in_32_bits(random):
    batch = signal_batch(random, scale=400.0)  # totals far above what 16 bits can hold
    objective = objective_of("profile", batch)
    logits, log_counts = torch.zeros(N, T, S, W), torch.full((N, T), 9.0)
    whole = objective.losses((logits, log_counts), batch)
    half = objective.losses((logits.to(torch.float16), log_counts.to(torch.float16)), batch)
    assert half.values.dtype == torch.float32 and torch.equal(half.values, whole.values)


@pytest.mark.parametrize("head", ["classes", "balanced", "counts", "profile"])
def test_no_other_constant_is_better_for_the_training_regions(random, head):
    batch = batch_of(random_labels(random)) if head in ("classes", "balanced") else signal_batch(random)
    weights = {"class_weights": "balanced"} if head == "balanced" else {}
    objective = objective_of("classes" if head == "balanced" else head, batch, **weights)
    base = objective.constant(batch)
    best = objective.losses(base, batch).total.item()
    for _ in range(20):
        if head == "profile":
            moved = (base[0] + torch.from_numpy(random.normal(size=(T, S, W))) * 0.3, base[1] + random.normal() * 0.3)
        else:
            moved = base + torch.from_numpy(random.normal(size=T)) * 0.3
        assert objective.losses(moved, batch).total.item() > best


def test_no_position_of_the_mean_profile_is_impossible(random):
    signal = torch.zeros(4, T, S, W)
    signal[:, :, 0, 3] = 10
    batch = batch_of(signal=signal, known=torch.ones(4, T, dtype=torch.bool))
    objective = objective_of("profile", batch)
    shares = objective.base_logits.exp()
    assert torch.allclose(shares.sum((1, 2)), torch.ones(T).double())
    assert shares.min().item() == pytest.approx(1e-3 / (S * W)) and shares[0, 0, 3] > 0.998


def test_pieces_may_have_any_size(random):
    batch = signal_batch(random)
    known = batch.known.numpy()
    options = {"class_weights": "none", "count_weight": 1.0}
    whole, pieces = (
        make_objective("profile", batch.labels.numpy(), batch.signal.split(size), known, **options) for size in (N, 3)
    )
    for name, values in whole.named_buffers():
        assert torch.allclose(values, pieces.get_buffer(name), rtol=1e-12)
    assert isinstance(whole, ProfileObjective) and isinstance(whole, CountsObjective)


def verdict_of(parts, base, weights, predicted=None, truth=None, **options):
    nothing = torch.zeros_like(weights)
    predicted, truth = (nothing if values is None else values for values in (predicted, truth))
    return compare_with_constant(parts, base, weights, predicted, truth, **options)


def test_learned_means_three_standard_errors_over_regions(random):
    base = torch.full((400, 2, 1), 0.7, dtype=torch.float64)
    noise = torch.from_numpy(random.normal(size=(400, 2, 1)))
    noise = (noise - noise.mean(0)) / noise.std(0, correction=0)
    weights = torch.ones(400, 2, dtype=torch.float64)
    for errors, learned in ((2.9, False), (3.1, True)):
        parts = base - torch.tensor([[errors], [-1.0]]) / 20 - noise  # standard error 1 / sqrt(400)
        verdict = verdict_of(parts, base, weights, targets=["a", "b"])
        assert verdict.learned_targets == verdict.learned_outputs == {"a": learned, "b": False}
        alone = verdict_of(parts[:, :1], base[:, :1], weights[:, :1], targets=["a"])
        assert alone.learned is learned
        assert alone.loss == pytest.approx(0.7 - errors / 20) and alone.base_loss == pytest.approx(0.7)


def test_a_good_ranking_is_learning_where_one_large_error_hides_the_gain(random):
    """46 regions, all ranked well, one of them with a loss of 9; and the same numbers in an order without meaning."""
    labels = torch.from_numpy((np.arange(46) % 2).astype(float))[:, None]
    logits = 4 * (2 * labels - 1) + torch.from_numpy(random.normal(size=(46, 1)))
    logits[0] = 9.0  # a negative
    batch = Batch(torch.zeros(46, 1), labels.float(), None, None, None)
    objective = ClassesObjective(labels.numpy())
    parts, base = (objective.losses(output, batch).parts for output in (logits, objective.constant(batch)))
    parts[0, 0, 0] = 25.0
    weights, gain = torch.ones_like(labels), (base - parts)[:, 0, 0]
    assert 0 < gain.mean() < 3 * gain.std() / math.sqrt(46)
    assert mannwhitneyu(logits[labels == 1], logits[labels == 0], alternative="greater").pvalue < 0.001
    assert verdict_of(parts, base, weights, logits, labels, targets=["a"]).learned
    shuffled = logits[torch.from_numpy(random.permutation(46))]
    assert not verdict_of(parts, base, weights, shuffled, labels, targets=["a"]).learned
    worse = parts + gain.mean() + 0.01  # a good ranking, but worse than the base rate
    assert not verdict_of(worse, base, weights, logits, labels, targets=["a"]).learned


def test_rank_score_is_that_of_mann_and_whitney(random):
    truth = (random.random(60) < 0.4).astype(float)
    predicted = random.normal(size=60) + truth
    ones, zeros = predicted[truth == 1], predicted[truth == 0]
    expected = mannwhitneyu(ones, zeros, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    score = _rank_score(torch.from_numpy(predicted), torch.from_numpy(truth))
    assert norm.sf(score) == pytest.approx(expected, rel=1e-9)
    assert _rank_score(torch.ones(5), torch.arange(5.0)) == 0 and _rank_score(torch.ones(1), torch.ones(1)) == 0


def test_masked_and_weighted_regions_in_the_verdict():
    base = torch.tensor([[1.0, 2.0], [1.0, 50.0], [60.0, 70.0], [1.0, 2.0]]).double()
    values = torch.tensor([[0.5, 1.0], [0.6, 99.0], [99.0, 99.0], [0.4, 0.8]]).double()
    weights = torch.tensor([[1.0, 2.0], [1.0, 0.0], [0.0, 0.0], [1.0, 2.0]]).double()
    verdict = verdict_of(values[:, :, None], base[:, :, None], weights, targets=["a", "b"])
    assert verdict.loss == pytest.approx((0.5 + 0.6 + 0.4 + 2 * (1.0 + 0.8)) / 5)
    assert verdict.base_loss == pytest.approx((3 + 2 * 4) / 5)
    assert verdict.learned and verdict.learned_targets == {"a": True, "b": True}


def test_counts_and_profile_of_a_target_are_tested_separately(random):
    base = torch.full((50, 1, 2), 5.0, dtype=torch.float64)
    gain = torch.tensor([-0.2, 1.0]) + torch.from_numpy(random.normal(size=(50, 1, 2))) * 0.1
    weights = torch.ones(50, 1, dtype=torch.float64)
    verdict = verdict_of(base - gain, base, weights, targets=["a"], quantities=(".counts", ".profile"))
    assert verdict.learned and verdict.learned_targets == {"a": True}
    assert verdict.learned_outputs == {"a.counts": False, "a.profile": True}


def test_nothing_is_learned_from_one_region():
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    assert verdict_of(0 * one, one, one[:, :, 0], targets=["a"]).learned is False
    assert verdict_of(0 * one, one, 0 * one[:, :, 0], targets=["a"]).loss == 0


def test_a_target_of_one_class_has_weights(random):
    objective = ClassesObjective(np.array([[1.0], [1.0], [np.nan]]), class_weights="balanced")
    batch = batch_of(np.array([[1.0]]))
    assert torch.isfinite(objective.losses(torch.zeros(1, 1), batch).total)
