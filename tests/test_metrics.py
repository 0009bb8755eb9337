"""Metrics and their intervals, compared with scikit-learn, SciPy and counts by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr, spearmanr
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from seqlift.core.metrics import auroc_auprc, correlation, discrimination, jensen_shannon, median, reliability


def some_scores(n, *, decimals, seed=0):
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.3
    return np.round(random.normal(size=n) + positive, decimals), positive


@pytest.mark.parametrize("decimals", [0, 1, 8])  # many ties, some, none
@pytest.mark.parametrize("weighted", [False, True])
def test_areas_are_those_of_scikit_learn(decimals, weighted):
    scores, positive = some_scores(500, decimals=decimals)
    weights = np.random.default_rng(1).integers(0, 4, 500) if weighted else None
    auroc, auprc = auroc_auprc(scores, positive, weights)
    assert auroc == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights), abs=1e-12)
    assert auprc == pytest.approx(average_precision_score(positive, scores, sample_weight=weights), abs=1e-12)


def test_areas_counted_by_hand():
    # Positives 3 and 1, negatives 2 and 0: of the four pairs, three are in the right order
    auroc, auprc = auroc_auprc(np.array([3, 2, 1, 0]), np.array([True, False, True, False]))
    assert auroc == 3 / 4
    assert auprc == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_equal_scores_count_half():
    positive = np.array([True, False, False, True])
    assert auroc_auprc(np.zeros(4), positive)[0] == 0.5


def test_interval_is_the_percentiles_of_a_naive_bootstrap():
    scores, positive = some_scores(60, decimals=1)
    found = discrimination(scores, positive, resamples=200, level=0.9, seed=5)
    order = np.argsort(-scores, kind="stable")  # the draws number the regions from the highest score down
    scores, positive = scores[order], positive[order]
    random = np.random.default_rng(5)
    aurocs, auprcs = [], []
    for _ in range(200):
        rows = np.concatenate(
            [np.flatnonzero(group)[random.integers(group.sum(), size=group.sum())] for group in (positive, ~positive)]
        )
        aurocs.append(roc_auc_score(positive[rows], scores[rows]))
        auprcs.append(average_precision_score(positive[rows], scores[rows]))
    assert (found.auroc_low, found.auroc_high) == pytest.approx(np.quantile(aurocs, [0.05, 0.95]))
    assert (found.auprc_low, found.auprc_high) == pytest.approx(np.quantile(auprcs, [0.05, 0.95]))
    assert found.positives == positive.sum() and found.negatives == (~positive).sum()


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Two normal distributions one standard deviation apart: AUROC = Phi(1 / sqrt(2)) = 0.7602
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        scores = np.concatenate([random.normal(1, 1, 80), random.normal(0, 1, 80)])
        found = discrimination(scores, np.arange(160) < 80, resamples=200, seed=seed)
        covered += found.auroc_low <= 0.76025 <= found.auroc_high
    assert 88 <= covered <= 99


def test_intervals_depend_on_the_seed_only():
    scores, positive = some_scores(200, decimals=3)
    assert discrimination(scores, positive, seed=1) == discrimination(scores, positive, seed=1)
    assert discrimination(scores, positive, seed=1) != discrimination(scores, positive, seed=2)


@pytest.mark.parametrize("label", [True, False])
def test_one_class_has_no_areas(label):
    found = discrimination(np.arange(5.0), np.full(5, label))
    assert np.isnan([found.auroc, found.auroc_low, found.auprc, found.auprc_high]).all()


def test_a_weight_is_so_many_equal_negatives():
    """A negative of weight 3 counts as three negatives of its score, also in the point estimate of the bootstrap."""
    scores, positive = some_scores(80, decimals=1)
    weights = np.where(positive, 1.0, 3.0)
    found = discrimination(scores, positive, weights=weights, resamples=50)
    rows = np.repeat(np.arange(80), np.where(positive, 1, 3))
    assert found.auroc == pytest.approx(roc_auc_score(positive[rows], scores[rows]))
    assert found.auprc == pytest.approx(average_precision_score(positive[rows], scores[rows]))
    assert found.auprc_low < found.auprc < found.auprc_high
    # AUPRC falls when positives are rarer, AUROC does not
    plain = discrimination(scores, positive, resamples=50)
    assert found.auprc < plain.auprc and found.auroc == pytest.approx(plain.auroc)
    assert (found.auroc_low, found.auroc_high) == pytest.approx((plain.auroc_low, plain.auroc_high))


@pytest.mark.parametrize("decimals", [0, 6])  # ties, none
def test_correlations_and_their_intervals_are_those_of_a_naive_bootstrap(decimals):
    random = np.random.default_rng(3)
    x = np.round(random.normal(size=50), decimals)
    y = np.round(x + random.normal(size=50), decimals)
    found = correlation(x, y, resamples=100, level=0.8, seed=4)
    assert found.pearson == pytest.approx(pearsonr(x, y).statistic)
    assert found.spearman == pytest.approx(spearmanr(x, y).statistic)
    random, pearsons, spearmans = np.random.default_rng(4), [], []
    for _ in range(100):
        rows = random.integers(50, size=50)
        pearsons.append(pearsonr(x[rows], y[rows]).statistic)
        spearmans.append(spearmanr(x[rows], y[rows]).statistic)
    assert (found.pearson_low, found.pearson_high) == pytest.approx(np.quantile(pearsons, [0.1, 0.9]))
    assert (found.spearman_low, found.spearman_high) == pytest.approx(np.quantile(spearmans, [0.1, 0.9]))
    assert found.regions == 50


@pytest.mark.parametrize(("x", "y"), [([1.0] * 5, range(5)), ([0.1 + 0.2] * 9, range(9)), ([], []), ([1], [2])])
def test_what_is_constant_has_no_correlation(x, y):
    found = correlation(np.array(x, float), np.array(y, float))
    assert np.isnan([found.pearson, found.pearson_low, found.spearman, found.spearman_high]).all()


@pytest.mark.parametrize("n", [1, 8, 9])
def test_median_and_its_interval_are_those_of_a_naive_bootstrap(n):
    values = np.random.default_rng(0).normal(size=n)
    found = median(values, resamples=60, level=0.9, seed=2)
    random, ranked = np.random.default_rng(2), np.sort(values)
    drawn = [np.median(ranked[random.integers(n, size=n)]) for _ in range(60)]
    assert found.median == np.median(values) and found.regions == n
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.05, 0.95]))
    assert np.isnan(median(np.empty(0)).median)


def test_reliability_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    probabilities = random.random(400) ** 2  # the high bins hold few, and the last none
    probabilities = probabilities[probabilities < 0.9]
    positive = random.random(len(probabilities)) < probabilities**1.5
    found = reliability(probabilities, positive)
    observed, predicted = calibration_curve(positive, probabilities, n_bins=10)
    assert [p for p in found.predicted if p is not None] == pytest.approx(predicted)
    assert [p for p in found.observed if p is not None] == pytest.approx(observed)
    assert found.predicted[9] is None and found.count[9] == 0 and sum(found.count) == len(probabilities)
    counts = np.array([n for n in found.count if n])
    assert found.calibration_error == pytest.approx(np.average(np.abs(observed - predicted), weights=counts))
    assert found.brier == pytest.approx(brier_score_loss(positive, probabilities))


def test_reliability_at_the_edges_counted_by_hand():
    found = reliability(np.array([0.0, 0.5, 1.0, 1.0]), np.array([False, True, True, False]), bins=2)
    assert found.count == [1, 3] and found.predicted == [0.0, pytest.approx(2.5 / 3)]
    assert found.observed == [0.0, pytest.approx(2 / 3)]
    assert found.calibration_error == pytest.approx(0.5 / 4) and found.brier == pytest.approx(1.25 / 4)


def test_jensen_shannon_is_that_of_scipy():
    random = np.random.default_rng(1)
    first, second = random.poisson(0.7, (20, 2, 30)), random.random((20, 2, 30))
    expected = [jensenshannon(p.ravel(), q.ravel(), base=2) for p, q in zip(first, second, strict=True)]
    np.testing.assert_allclose(jensen_shannon(first, second), expected, atol=1e-12)


def test_jensen_shannon_of_known_profiles():
    profiles = np.array([[1, 1, 0, 0], [3, 3, 0, 0], [0, 0, 5, 1], [0, 0, 0, 0.0]])
    assert jensen_shannon(profiles[:1], profiles[1:2]) == 0  # depth does not matter
    assert jensen_shannon(profiles[:1], profiles[2:3]) == 1  # nothing shared
    assert np.isnan(jensen_shannon(profiles[3:], profiles[:1])) and np.isnan(jensen_shannon(profiles[:1], profiles[3:]))
