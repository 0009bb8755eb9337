"""The baselines against brute force, scikit-learn and data whose answer is planted."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from fixtures.motif import FIRST, SECOND, frequencies
from seqlift.evaluation.baselines import (
    FLAT_SHARE,
    PENALTIES,
    base_composition,
    choose_motif,
    fit_kmers,
    kmer_counts,
    kmer_scores,
    motif_sample,
    motif_scores,
    sample_rows,
)
from seqlift.motifs.database import Database

BACKGROUND = np.array([0.3, 0.2, 0.2, 0.3])


def planted(n=400, length=80, seed=0):
    """Random sequences, and how many instances of FIRST, on either strand, each holds."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    word = np.array(["ACGT".index(base) for base in FIRST])
    instances = rng.integers(0, 3, n)
    for row in range(n):
        for at in rng.choice(length // 10, instances[row], replace=False) * 10:
            codes[row, at : at + len(word)] = word if rng.random() < 0.5 else 3 - word[::-1]
    return codes, instances


def database():
    rng = np.random.default_rng(5)
    matrices = [rng.dirichlet(np.ones(4), width).T for width in (4, 9, 9, 200)]
    matrices += [frequencies(SECOND), frequencies(FIRST)]
    ids = tuple(f"M{i}" for i in range(len(matrices)))
    return Database("test", "", ids, tuple(name.lower() for name in ids), tuple(matrices))


def test_motif_scores_are_those_of_a_plain_loop():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 5, (6, 25)).astype(np.uint8)  # 4 is N
    matrices = [rng.dirichlet(np.ones(4), width).T for width in (3, 7, 7, 25)]
    found = motif_scores(codes, matrices, BACKGROUND)
    for row, (m, matrix) in itertools.product(range(6), enumerate(matrices)):
        width = matrix.shape[1]
        best = -np.inf
        for sequence in (codes[row], [3 - base if base < 4 else 4 for base in codes[row][::-1]]):
            for at in range(25 - width + 1):
                score = 0.0
                for column, base in enumerate(sequence[at : at + width]):
                    if base < 4:
                        mixed = (1 - FLAT_SHARE) * matrix[base, column] + FLAT_SHARE * BACKGROUND[base]
                        score += np.log2(mixed / BACKGROUND[base])
                best = max(best, score)
        assert found[row, m] == pytest.approx(best, abs=1e-4)


def test_scores_do_not_depend_on_how_many_are_scored_at_once(monkeypatch):
    codes, _ = planted(50)
    whole = motif_scores(codes, database().matrices, BACKGROUND)
    monkeypatch.setattr("seqlift.evaluation.baselines._NUMBERS_AT_ONCE", 1)
    np.testing.assert_allclose(motif_scores(codes, database().matrices, BACKGROUND), whole, atol=1e-5)
    assert np.isneginf(whole[:, 3]).all()  # longer than the sequences


def test_strand_does_not_matter():
    codes, _ = planted(20)
    other = np.ascontiguousarray(3 - codes[:, ::-1])
    matrices, background = database().matrices, base_composition(codes)
    np.testing.assert_allclose(background, background[::-1])
    np.testing.assert_allclose(background, base_composition(other))
    scores = [motif_scores(each, matrices, background) for each in (codes, other)]
    np.testing.assert_allclose(*scores, atol=1e-5)
    np.testing.assert_array_equal(kmer_counts(codes), kmer_counts(other))


def test_kmer_counts_are_those_of_a_plain_loop():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 5, (5, 60), dtype=np.uint8)
    codes[0] = 4
    words = ["".join(letters) for letters in itertools.product("ACGT", repeat=4)]
    swap = str.maketrans("ACGT", "TGCA")
    canonical = sorted({min(word, word[::-1].translate(swap)) for word in words})
    found = kmer_counts(codes, 4)
    assert found.shape == (5, len(canonical)) == (5, 136)
    for row in range(5):
        text = "".join("ACGTN"[base] for base in codes[row])
        expected = Counter(text[i : i + 4] for i in range(57) if "N" not in text[i : i + 4])
        for column, word in enumerate(canonical):
            pair = {word, word[::-1].translate(swap)}
            assert found[row, column] == sum(expected[each] for each in pair)
    assert kmer_counts(codes).shape == (5, 2080) and not kmer_counts(codes[:, :3]).any()


@pytest.mark.parametrize("labels", [True, False])
def test_the_planted_motif_is_chosen(labels):
    codes, instances = planted()
    values = np.where(instances > 0, 1.0, 0.0) if labels else np.log1p(instances + 0.0)
    values[:50] = np.nan
    scores = motif_scores(codes, database().matrices, base_composition(codes))
    chosen = choose_motif(scores, values, database(), labels=labels)
    assert (chosen.index, chosen.identifier, chosen.name) == (5, "M5", "m5")
    known, best = values[50:], scores[50:, 5]
    expected = roc_auc_score(known, best) if labels else pearsonr(best, known).statistic
    assert chosen.criterion == pytest.approx(expected) and chosen.criterion > 0.8


@pytest.mark.parametrize("values", [np.ones(4), np.full(4, np.nan)])
def test_nothing_to_learn_from(values):
    features = np.arange(8.0).reshape(4, 2)
    assert choose_motif(features, values, database(), labels=True) is None
    assert fit_kmers((features, values), (features, values), labels=True) is None


@pytest.mark.parametrize("labels", [True, False])
def test_kmers_learn_what_is_planted(labels):
    codes, instances = planted(900)
    values = np.where(instances > 0, 1.0, 0.0) if labels else np.log1p(instances + 0.0)
    counts = kmer_counts(codes)
    parts = [(counts[rows], values[rows]) for rows in (slice(500), slice(500, 700), slice(700, None))]
    model = fit_kmers(*parts[:2], labels=labels)
    predicted = kmer_scores(model, parts[2][0])
    if labels:
        assert roc_auc_score(parts[2][1], predicted) > 0.9
    else:
        assert pearsonr(predicted, parts[2][1]).statistic > 0.7
    # Of all penalties none does better on the validation regions
    losses = {}
    for penalty in PENALTIES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("seqlift.evaluation.baselines.PENALTIES", (penalty,))
            found = kmer_scores(fit_kmers(*parts[:2], labels=labels), parts[1][0])
        truth = parts[1][1]
        loss = np.logaddexp(0, -found * (2 * truth - 1)) if labels else (found - truth) ** 2
        losses[penalty] = loss.mean()
    assert model.penalty == min(losses, key=losses.get) and len({round(x, 9) for x in losses.values()}) > 1


def test_masked_labels_are_left_out():
    codes, instances = planted(300)
    values, counts = (instances > 0).astype(float), kmer_counts(codes)
    masked = np.where(np.arange(300) % 3 == 0, np.nan, values)
    known = np.isfinite(masked)
    first = fit_kmers((counts, masked), (counts, masked), labels=True)
    second = fit_kmers((counts[known], values[known]), (counts[known], values[known]), labels=True)
    assert first.regions == known.sum() and first.penalty == second.penalty
    np.testing.assert_allclose(kmer_scores(first, counts), kmer_scores(second, counts), rtol=1e-5)


@pytest.mark.parametrize(("length", "n"), [(200, 2000), (500, 2000), (2000, 500), (100_000, 200)])
def test_fewer_long_regions_are_scanned_for_motifs(length, n):
    assert motif_sample(length) == n


def test_a_sample_has_every_target_and_the_negatives():
    values = np.zeros((5000, 3))
    values[:2000, 0] = 1
    values[2000:2050, 1] = 1
    values[:, 2] = np.nan  # unknown everywhere
    rows = sample_rows(values, n=1000, seed=1)
    assert (np.diff(rows) > 0).all() and len(rows) <= 1000
    found = values[rows]
    assert (found[:, 0] == 1).sum() == 166 and (found[:, 1] == 1).sum() == 50
    assert (found[:, :2] == 0).all(axis=1).sum() == 500
    assert (rows == sample_rows(values, n=1000, seed=1)).all() and (
        rows[:9] != sample_rows(values, n=1000, seed=2)[:9]
    ).any()
    np.testing.assert_array_equal(sample_rows(values, n=5000, seed=1), np.arange(5000))
