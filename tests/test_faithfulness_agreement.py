"""Agreement of explanations: correlations, repeated explanations, and known sites."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from fixtures.attribution_models import one_hot as random_sequences
from seqlift import SeqliftError, deeplift, interior_gradients
from seqlift.attribution.explained_output import ExplainedOutput
from seqlift.attribution.references import dinucleotide_shuffles, uniform
from seqlift.faithfulness.agreement import (
    can_be_repeated,
    correlations,
    explain_again,
    explain_by_halves,
    mean_of_pairs,
)
from seqlift.faithfulness.sites import inside_sites, recovery

N, LENGTH, CPU = 3, 50, torch.device("cpu")
DEEPLIFT = {
    "method": "deeplift",
    "references": "dinucleotide",
    "seed": 4,
    "n_references": 6,
    "tolerance": 0.001,
    "max_relative_error": 0.1,
    "max_references": 200,
    "center_first_layer": False,
    "rule": "rescale",
}


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return torch.nn.Sequential(
            torch.nn.Conv1d(4, 5, 7), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(220, 2)
        )


@pytest.fixture(scope="module")
def x():
    return random_sequences(N, LENGTH, dtype=torch.float32)


def test_correlations_are_those_of_scipy_within_each_region():
    random = np.random.default_rng(0)
    first = random.normal(size=(4, LENGTH)).round(1)  # with ties
    second = first + random.normal(size=first.shape)
    known = random.random(first.shape) < 0.8
    second[3] = 1.0  # constant: nothing can be said of this region
    expected = [
        [spearmanr(first[i][known[i]], second[i][known[i]])[0], pearsonr(first[i][known[i]], second[i][known[i]])[0]]
        for i in range(3)
    ]
    assert correlations(first, second, known) == pytest.approx(np.mean(expected, axis=0))
    first[~known], second[:3][~known[:3]] = 1000, -1000
    assert correlations(first, second, known) == pytest.approx(np.mean(expected, axis=0))
    assert np.isnan(correlations(first[3:], second[3:], known[3:])).all()


def test_regions_of_other_strength_do_not_make_an_agreement():
    """Pooled over regions these would correlate well; within each there is nothing in common."""
    random = np.random.default_rng(0)
    strength = np.geomspace(1, 1000, 400)[:, None]
    first, second = (strength * random.normal(1, 1, (400, LENGTH)) for _ in range(2))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.4
    assert np.abs(correlations(first, second, np.ones(first.shape, bool))).max() < 0.03


def test_every_two_of_several_count_alike():
    random = np.random.default_rng(0)
    a, b, c = random.normal(size=(3, 4, LENGTH))
    known = np.ones(a.shape, bool)
    pairs = [correlations(*pair, known) for pair in ((a, b), (a, c), (b, c))]
    assert mean_of_pairs([a, b, c], known) == pytest.approx(np.mean(pairs, axis=0))
    assert np.isnan(mean_of_pairs([a], known)).all() and np.isnan(mean_of_pairs([], known)).all()


def test_explained_again_as_a_score_file_says(network, x):
    output = ExplainedOutput(network, 1)
    found = explain_again(output, output, x, DEEPLIFT, dinucleotide_shuffles, CPU)
    expected = deeplift(network, x, n_references=6, target=1, seed=4)
    np.testing.assert_allclose(found, expected.contributions.sum(1), atol=1e-6)
    settings = {"steps": 9, "max_steps": 100, "step_tolerance": 0.01, "gradient_correction": False}
    attributes = DEEPLIFT | settings | {"method": "interior_gradients", "n_references": 1, "references": "uniform"}
    found = explain_again(output, output, x, attributes, uniform, CPU)
    expected = interior_gradients(network, x, uniform, steps=9, target=1)
    np.testing.assert_allclose(found, expected.contributions.sum(1), atol=1e-6)


def test_the_halves_share_no_reference_and_are_the_whole_together(network, x):
    output = ExplainedOutput(network, 0)
    whole = explain_again(output, output, x, DEEPLIFT, dinucleotide_shuffles, CPU)
    first, second = explain_by_halves(output, x, DEEPLIFT, dinucleotide_shuffles, 6, CPU)
    np.testing.assert_allclose((first + second) / 2, whole, atol=1e-5)
    assert np.abs(first - second).max() > 0.01
    assert explain_by_halves(output, x, DEEPLIFT, dinucleotide_shuffles, 1, CPU) == []
    assert explain_by_halves(output, x, DEEPLIFT | {"references": "uniform"}, uniform, 6, CPU) == []


def test_only_what_says_how_it_was_made_can_be_made_again():
    assert can_be_repeated(DEEPLIFT)
    assert not can_be_repeated(DEEPLIFT | {"method": "shap"})
    assert not can_be_repeated({name: value for name, value in DEEPLIFT.items() if name != "rule"})
    assert not can_be_repeated({"method": "mutagenesis", "sample": 4, "examples": 0, "seed": 1})


def bed(folder, *lines):
    (folder / "truth.bed").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    return folder / "truth.bed"


COORDS = pd.DataFrame({"chrom": ["a", "a", "b"], "start": [100, 300, 100], "end": [110, 310, 110]})


def test_bases_inside_the_sites_of_a_target(tmp_path):
    path = bed(tmp_path, ("a", 95, 103, "x"), ("a", 302, 305, "y"), ("a", 304, 307, "x"), ("b", 108, 120, "x"))
    expected = {"x": {(0, 0), (0, 1), (0, 2), (1, 4), (1, 5), (1, 6), (2, 8), (2, 9)}, "y": {(1, 2), (1, 3), (1, 4)}}
    for name, places in expected.items():
        assert set(zip(*np.nonzero(inside_sites(path, name, COORDS)), strict=True)) == places
    # A target that no site is named after: all of them
    assert set(zip(*np.nonzero(inside_sites(path, "both", COORDS)), strict=True)) == expected["x"] | expected["y"]


def test_sites_of_another_genome_are_refused(tmp_path):
    with pytest.raises(SeqliftError, match=r"truth.bed: 0 of the 30 bases of the 3 regions .*leave --truth out"):
        inside_sites(bed(tmp_path, ("c", 100, 110, "x")), "x", COORDS)


def test_recovery_is_that_of_sklearn_over_all_bases():
    random = np.random.default_rng(0)
    inside = random.random((30, LENGTH)) < 0.1
    scores = np.where(inside, 1.0, 0.5) * random.normal(size=inside.shape)
    auroc, auprc = recovery(scores, inside, seed=1)
    assert auroc.value == pytest.approx(roc_auc_score(inside.ravel(), np.abs(scores).ravel()))
    assert auprc.value == pytest.approx(average_precision_score(inside.ravel(), np.abs(scores).ravel()))
    assert auroc.low < auroc.value < auroc.high < 0.9 and auprc.low < auprc.value < auprc.high
    assert recovery(scores, inside, seed=1) == (auroc, auprc)
    one = np.zeros((30, LENGTH), bool)
    one[0, :5] = True  # most draws of regions hold no site, so there is no interval
    assert np.isnan(recovery(scores, one, seed=1)[0].low) and np.isfinite(recovery(scores, one, seed=1)[0].value)
