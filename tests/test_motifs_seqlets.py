"""Seqlets are TF-MoDISco's own where it can keep all, chosen by rank from all regions where there are more."""

import numpy as np
import pytest
from modiscolite.extract_seqlets import extract_seqlets

from fixtures.motif import FIRST, SECOND, planted
from seqlift.motifs import seqlets as module
from seqlift.motifs.seqlets import choose_seqlets
from seqlift.motifs.settings import ModiscoSettings

SETTINGS = ModiscoSettings()


@pytest.fixture(scope="module")
def data():
    sequences, hypothetical, _ = planted(300, 100, motifs=(FIRST,))
    hypothetical[::7] *= -1  # some lower the output
    return sequences, hypothetical.astype(np.float32)


def choose(sequences, hypothetical, *, rows=10_000, most=1_000_000, seed=1, settings=SETTINGS):
    starts = range(0, len(sequences), rows)
    blocks = [(sequences[i : i + rows], hypothetical[i : i + rows]) for i in starts]
    return choose_seqlets(blocks, len(sequences), settings=settings, max_seqlets=most, seed=seed)


def places(chosen):
    """{(row of the file, start): sum over the core}"""
    return dict(zip(zip(chosen.rows[chosen.regions], chosen.starts, strict=True), chosen.sums, strict=True))


def test_seqlets_are_those_of_tf_modisco(data):
    sequences, hypothetical = data
    contributions = (sequences * hypothetical).sum(axis=1)
    theirs, threshold = extract_seqlets(
        contributions,
        window_size=20,
        flank=5,
        suppress=15,
        target_fdr=0.05,
        min_passing_windows_frac=0.03,
        max_passing_windows_frac=0.2,
        weak_threshold_for_counting_sign=0.8,
    )
    sums = {(s.example_idx, s.start): contributions[s.example_idx, s.start + 5 : s.end - 5].sum() for s in theirs}
    wanted = {place: size for place, size in sums.items() if abs(size) > threshold}
    ours = choose(sequences, hypothetical)
    found = places(ours)
    assert found.keys() == wanted.keys() and len(found) > 200
    np.testing.assert_allclose([found[place] for place in wanted], list(wanted.values()), rtol=1e-4)
    assert (ours.positive, ours.negative) == (sum(s > 0 for s in found.values()), sum(s < 0 for s in found.values()))
    assert ours.negative > 30


def test_half_are_the_strongest_of_all_regions_and_half_spread_over_the_rest(data):
    sequences, hypothetical = data
    everything = places(choose(sequences, hypothetical))
    few = choose(sequences, hypothetical, most=30)
    for sign in (1, -1):
        ranked = np.array(sorted((size * sign for size in everything.values() if size * sign > 0), reverse=True))
        kept = few.sums[few.sums * sign > 0] * sign
        np.testing.assert_allclose(kept[:15], ranked[:15])
        rest = ranked[15:]
        np.testing.assert_allclose(kept[15:], rest[(np.arange(15) * len(rest)) // 15])
        assert len(rest) > 15
    assert places(few).items() <= everything.items() and len(places(few)) == 60
    assert few.positive + few.negative == len(everything)  # all seqlets found are counted, also those not kept
    # Of the 300 regions only those with a seqlet are kept
    assert set(few.rows) == {row for row, _ in places(few)} and len(few.rows) <= 60
    np.testing.assert_array_equal(few.sequences, sequences[few.rows])
    np.testing.assert_array_equal(few.hypothetical, hypothetical[few.rows])


def test_as_many_seqlets_as_there_are_or_one_less():
    found = np.array([np.arange(9), np.zeros(9), [1.0, 9, 2, 8, 3, 7, 4, 6, 5]])
    ranked = [9.0, 8, 7, 6, 5, 4, 3, 2, 1]
    for most in (9, 10, 100):
        assert module._choose(found, most)[2].tolist() == ranked
    assert module._choose(found, 8)[2].tolist() == [9, 8, 7, 6, 5, 4, 3, 2]
    assert module._choose(found, 5)[2].tolist() == [9, 8, 7, 5, 3]
    assert module._choose(found[:, :0], 5).shape == (3, 0)


def test_a_strong_motif_in_all_regions_leaves_room_for_a_weak_one():
    sequences, hypothetical, _ = planted(300, 200, motifs=(FIRST, SECOND), seed=3)
    hypothetical[:, :, 100:] *= 0.6  # SECOND lies in the right half, FIRST in the left
    everything = choose(sequences, hypothetical.astype(np.float32))
    few = choose(sequences, hypothetical.astype(np.float32), most=100)
    weak = (everything.starts + 15 >= 100) & (everything.sums > 0)
    strongest = np.argsort(-everything.sums)[:100]
    assert weak.sum() > 200 and not weak[strongest].any()
    assert ((few.starts + 15 >= 100) & (few.sums > 0)).sum() > 15


@pytest.mark.parametrize("rows", [1, 17, 299])
def test_blocks_make_no_difference(data, rows):
    whole, cut = choose(*data, most=40), choose(*data, most=40, rows=rows)
    for name in ("rows", "regions", "starts", "sums", "composition", "sequences", "hypothetical"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))


def test_equal_seqlets_are_taken_in_the_order_of_the_file(data):
    sequences, hypothetical = (np.concatenate([values[:100]] * 3) for values in data)
    few = choose(sequences, hypothetical, most=4, rows=50)
    row, start = few.rows[few.regions], few.starts
    assert sorted((row % 100)[:3]) == [row[0]] * 3 and list(row[:3]) == [row[0], row[0] + 100, row[0] + 200]
    assert len(set(start[:3])) == 1


def test_thresholds_from_a_sample_keep_nearly_the_same_seqlets(data, monkeypatch):
    everything = places(choose(*data))
    monkeypatch.setattr(module, "WINDOWS", 100 * 81)  # a third of the regions
    first, same, other = (places(choose(*data, seed=seed, rows=rows)) for seed, rows in ((1, 90), (1, 31), (2, 90)))
    assert first == same
    assert first != other or first != everything
    for one in (first, other):
        assert len(one.keys() & everything.keys()) > 0.8 * max(len(one), len(everything))


def test_seqlets_keep_apart_and_off_the_ends(data):
    chosen = choose(*data)
    assert chosen.starts.min() >= 0 and (chosen.starts + 30).max() <= 100
    for region in np.unique(chosen.regions):
        apart = np.diff(np.sort(chosen.starts[chosen.regions == region]))
        assert (apart >= 15).all()
