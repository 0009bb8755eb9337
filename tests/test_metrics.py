"""AUROC, AUPRC and their intervals, held against scikit-learn and against what can be counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from seqlift.metrics import auroc_auprc, discrimination


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
