"""The measure of the DeepLIFT paper's experiment, on hits and scores that are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
UNIFORM = np.full(4, 0.25)
# ACCT, all but certain
MOTIF = np.where(np.array([0, 1, 1, 3])[None] == np.arange(4)[:, None], 0.97, 0.01)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def find(text: str):
    from paper_table import Hits

    return Hits.find(np.array([["ACGT".index(base) for base in text]], np.uint8), MOTIF, UNIFORM)


def test_hits_are_the_best_windows_of_either_strand():
    hits = find("GGGGACCTGGGGGGAGGTGGG")  # at 4, and at 14 turned round
    assert sorted(hits.starts[0, :2]) == [4, 14]
    assert hits.starts.shape == (1, 5) and len(set(hits.starts[0])) == 5
    perfect = 4 * np.log((0.97 + 0.001) / 1.004 / 0.25)
    np.testing.assert_allclose(hits.log_odds[0, :2], perfect)
    assert (np.diff(hits.log_odds[0]) <= 0).all()


def test_a_false_negative_is_a_good_hit_without_a_positive_sum():
    from paper_table import Hits

    starts = np.array([[2, 10, 6]])
    hits = Hits(starts, log_odds=np.array([[9.0, 7.0, 6.99]]), width=3)
    contributions = np.zeros((1, 20), np.float32)
    contributions[0, [1, 2, 4, 5]] = [-9, 1, 0.5, -9]  # around the first hit, which is [2, 5)
    contributions[0, [6, 10, 11]] = [-1, 1, -1]  # the second adds up to 0; the third is not good enough to count
    assert hits.false_negatives(contributions) == pytest.approx(50)
    contributions[0, 11] = -0.9
    assert hits.false_negatives(contributions) == 0


def test_gradient_times_the_difference_from_the_mean_reference():
    from paper_table import contributions

    from seqlift.attribution.references import background

    weights = torch.arange(4.0)[:, None] * torch.tensor([1.0, 10.0])

    class Linear(torch.nn.Module):
        def forward(self, x):
            return (x * weights).sum((1, 2))[:, None].expand(-1, 3)

    x = torch.tensor([[[0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])  # GA
    uniform = background([0.25] * 4)
    np.testing.assert_allclose(contributions("gradient × input", Linear(), x, uniform, 1), [[2, 0]])
    of_difference = contributions("gradient × (input - reference)", Linear(), x, uniform, 1)
    np.testing.assert_allclose(of_difference, [[0.5, -15]])
    # A linear model is one that all methods agree on
    for method in ("interior gradients", "rescale", "reveal-cancel", "genomics"):
        np.testing.assert_allclose(contributions(method, Linear(), x, uniform, 1), of_difference, rtol=1e-6)
