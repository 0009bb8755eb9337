"""The grammar of motifs: pairs that were planted are found, others are not, and repeats are not taken for grammar."""

import dataclasses
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fixtures.compendium import database, pattern, word, write_folder, write_hits
from fixtures.motif import one_hot, place, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.motifs.compendium.build import build_compendium
from seqlift.motifs.grammar.copies import count_different, turn, windows_around
from seqlift.motifs.grammar.find import COLUMNS, find_grammar
from seqlift.motifs.grammar.pairs import (
    LEAST_PAIRS,
    ORIENTATIONS,
    MotifSites,
    count_together,
    different_sequences,
    examine,
    leading_pairs,
    pairs_apart,
    spacing_of_pairs,
)

LENGTH = 200


def sites_of(rows, width=10):
    """From (region, start, forward, size)."""
    rows = sorted(rows)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return MotifSites(width, columns[0], columns[1], columns[2].astype(bool), columns[3].astype(float))


def random_sites(rng, n_regions, share, width=10, spread=None, forward=0.5):
    """At most one site a region, uniformly or around the middle."""
    regions = np.flatnonzero(rng.random(n_regions) < share)
    if spread is None:
        start = rng.integers(0, LENGTH - width, len(regions))
    else:
        start = np.clip(np.round(rng.normal(LENGTH / 2, spread, len(regions))), 0, LENGTH - width).astype(int)
    return MotifSites(width, regions, start, rng.random(len(regions)) < forward, rng.random(len(regions)))


def random_codes(rng, n_regions, length=LENGTH):
    return rng.integers(0, 4, (n_regions, length)).astype(np.uint8)


def arranged(a, b, codes, max_spacing=150):
    found = examine(a, b, codes, max_spacing)[1]
    return found and found[0]


def test_pairs_are_of_one_region_and_apart():
    a = sites_of([(0, 50, 1, 1), (0, 100, 1, 1), (2, 10, 1, 1)])
    b = sites_of([(0, 55, 1, 1), (0, 56, 0, 1), (1, 10, 1, 1), (2, 15, 1, 1)], width=10)
    # Widths of 10 with flanks of 2: cores of 6, apart from a distance of 6 on.
    of_a, of_b = pairs_apart(a, b)
    assert list(zip(of_a.tolist(), of_b.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 1)]
    of_a, of_b = pairs_apart(a, a)
    assert list(zip(of_a.tolist(), of_b.tolist(), strict=True)) == [(0, 1)]


def test_counts_together_against_fisher_and_against_balls_in_boxes():
    a = sites_of([(region, 10, 1, 1) for region in range(12)])
    b = sites_of([(region, 100, 1, 1) for region in range(4, 20)] + [(5, 150, 1, 1)])
    counts = count_together(a, b, pairs_apart(a, b)[0], 40)
    assert (counts.regions_a, counts.regions_b, counts.together, counts.expected) == (12, 16, 8, 12 * 16 / 40)
    table = [[8, 4], [8, 20]]
    assert counts.p == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    # Two sites of one motif: 30 sites thrown into 40 regions.
    rng = np.random.default_rng(0)
    thrown = [(np.bincount(rng.integers(0, 40, 30), minlength=40) > 1).sum() for _ in range(4000)]
    twice = sites_of([(region, start, 1, 1) for region in range(15) for start in (10, 100)])
    counts = count_together(twice, twice, pairs_apart(twice, twice)[0], 40)
    assert counts.together == 15
    assert counts.expected == pytest.approx(np.mean(thrown), rel=0.02)
    assert counts.p == pytest.approx(stats.binom.sf(14, 40, counts.expected / 40)) and counts.p < 0.01


def test_of_each_region_the_strongest_pair_counts():
    a = sites_of([(0, 10, 1, 1), (0, 60, 1, 5), (1, 10, 1, 1)])
    b = sites_of([(0, 100, 0, 2), (0, 150, 1, 3), (1, 40, 0, 1)])
    of_a, of_b = leading_pairs(a, b, *pairs_apart(a, b))
    assert list(zip(a.start[of_a].tolist(), b.start[of_b].tolist(), strict=True)) == [(60, 150), (10, 40)]


@pytest.mark.parametrize(
    ("strands", "orientation", "distance"),
    [((1, 1), 0, 40), ((1, 0), 1, 40), ((0, 1), 2, -40), ((0, 0), 0, -40)],
)
def test_a_pair_is_seen_from_the_first_motif(strands, orientation, distance):
    """a left, b 40 bp to the right (middles); on the - strand, left is ahead."""
    a, b = sites_of([(0, 50, strands[0], 1)]), sites_of([(0, 89, strands[1], 1)], width=12)
    spacing = spacing_of_pairs(a, b, np.array([0]), np.array([0]))
    row, column = np.argwhere(spacing.observed)[0]
    assert (row, spacing.distance[column]) == (orientation, distance)
    twin = dataclasses.replace(b, width=10, start=b.start + 1)
    both = sites_of([(0, 50, strands[0], 1), (0, int(twin.start[0]), strands[1], 1)])
    spacing = spacing_of_pairs(both, both, np.array([0]), np.array([1]))
    row, column = np.argwhere(spacing.observed)[0]
    # Of two sites of one motif neither is the first: on one strand the distance has no sign.
    assert (row, spacing.distance[column]) == (orientation, 40 if orientation == 0 else distance)


def test_the_null_is_that_of_all_combinations_of_regions():
    """Against a loop over all pairs of regions."""
    rng = np.random.default_rng(1)
    a = random_sites(rng, 60, 1, width=9, spread=20, forward=0.8)
    b = random_sites(rng, 60, 1, width=12, forward=0.3)
    of_a, of_b = pairs_apart(a, b)
    spacing = spacing_of_pairs(a, b, of_a, of_b)
    step = {distance: i for i, distance in enumerate(spacing.distance)}
    counts = np.zeros((2, len(step)))
    for i in of_a:
        for j in of_b:
            distance = (b.start[j] + 6) - (a.start[i] + 4.5)
            counts[int(a.forward[i] != b.forward[j]), step[distance if a.forward[i] else -distance]] += 1
    smooth = np.stack([np.convolve(one, np.full(21, 1 / 21), mode="same") for one in counts])
    smooth[:, np.abs(spacing.distance) < (9 + 12) / 2 - 4] = 0
    positive = spacing.distance > 0
    expected = np.stack([smooth[0], np.where(positive, smooth[1], 0), np.where(positive, 0, smooth[1])])
    np.testing.assert_allclose(spacing.null, expected / expected.sum(), atol=1e-12)


@pytest.mark.parametrize("homotypic", [False, True])
def test_without_grammar_p_values_are_not_too_small(homotypic):
    """300 pairs of motifs that prefer the middle of the regions and a strand, but do not know of each other."""
    p = {"together": [], "orientation": [], "spacing": []}
    for seed in range(300):
        rng = np.random.default_rng([seed, homotypic])
        if homotypic:
            n = 240  # thrown anywhere
            thrown = rng.integers(0, 300, n), rng.integers(0, 190, n), rng.random(n) < 0.7, rng.random(n)
            a = b = sites_of(list(zip(*(one.tolist() for one in thrown), strict=True)))
        else:
            a = random_sites(rng, 300, 0.5, spread=25, forward=0.8)
            b = random_sites(rng, 300, 0.6, spread=40, forward=0.7)
        p["together"].append(count_together(a, b, pairs_apart(a, b)[0], 300).p)
        found = arranged(a, b, random_codes(rng, 300))
        if found:
            p["orientation"].append(found.orientation_p)
            p["spacing"].append(found.spacing_p)
    for key, values in p.items():
        assert len(values) > 100, key
        for level in (0.01, 0.05, 0.2):
            # The number expected by chance plus 3 standard deviations.
            most = level * len(values) + 3 * np.sqrt(level * (1 - level) * len(values))
            assert np.sum(np.array(values) <= level) <= most, (key, level)


def planted(rng, n_regions=400, share=0.4, distance=23, orientation=1):
    """Two motifs anywhere, of which the fraction `share` has the given distance and orientation."""
    rows_a, rows_b = [], []
    for region in range(n_regions):
        start, forward = int(rng.integers(60, 130)), bool(rng.integers(2))
        rows_a.append((region, start, forward, 1))
        if rng.random() < share:
            other = start + distance if forward else start - distance
            rows_b.append((region, other, forward if orientation == 0 else not forward, 1))
        else:
            rows_b.append((region, int(rng.integers(0, 190)), bool(rng.integers(2)), 1))
    return sites_of(rows_a), sites_of(rows_b)


@pytest.mark.parametrize(("distance", "orientation"), [(23, 1), (31, 0), (-18, 0), (-27, 2)])
def test_a_planted_arrangement_is_found_exactly(distance, orientation):
    rng = np.random.default_rng(3)
    a, b = planted(rng, distance=distance, orientation=orientation)
    found = arranged(a, b, random_codes(rng, 400))
    assert (found.spacing, found.spacing_orientation) == (distance, ORIENTATIONS[orientation])
    assert found.orientation == ORIENTATIONS[orientation]
    assert found.spacing_p < 1e-20 and found.orientation_p < 1e-5
    assert found.spacing_count > 120 and found.spacing_expected < 15


def test_the_other_strand_of_the_genome_says_the_same():
    rng = np.random.default_rng(4)
    a, b = planted(rng, share=0.2)
    codes = random_codes(rng, 400)

    def other_strand(sites):
        return sites_of(list(zip(sites.region.tolist(), (LENGTH - sites.start - sites.width).tolist(),
                                 (~sites.forward).tolist(), sites.size.tolist(), strict=True)))  # fmt: skip

    there, back = arranged(a, b, codes), arranged(other_strand(a), other_strand(b), turn(codes))
    assert dataclasses.replace(there, orientation_p=0, spacing_p=0, spacing_expected=0) == dataclasses.replace(
        back, orientation_p=0, spacing_p=0, spacing_expected=0
    )
    assert there.spacing_p == pytest.approx(back.spacing_p) and there.orientation_p == pytest.approx(back.orientation_p)


@pytest.mark.parametrize(("orientation", "one_motif"), [(0, False), (1, False), (2, False), (0, True), (1, True)])
def test_copies_of_one_sequence_count_once(orientation, one_motif):
    """A repeat with both motifs in 40 of 200 regions, on either strand and slightly mutated, is no grammar."""
    rng = np.random.default_rng(5)
    codes = random_codes(rng, 200)
    repeat = rng.integers(0, 4, 100).astype(np.uint8)
    distance = -35 if orientation == 2 else 35
    rows_a, rows_b = [], []
    for region in range(200):
        if region < 40:
            begin, forward = int(rng.integers(0, 100)), bool(rng.integers(2))
            copy = np.where(rng.random(100) < 0.1, rng.integers(0, 4, 100), repeat).astype(np.uint8)
            codes[region, begin : begin + 100] = copy if forward else turn(copy[None])[0]
            own, other = 40, 40 + distance  # starts within the repeat
            same = orientation == 0
            if not forward:
                own, other = 90 - own, 90 - other
            rows_a.append((region, begin + own, forward, 1))
            rows_b.append((region, begin + other, forward == same, 1))
        else:
            rows_a.append((region, int(rng.integers(0, 90)), bool(rng.integers(2)), 1))
            rows_b.append((region, int(rng.integers(100, 190)), bool(rng.integers(2)), 1))
    a, b = sites_of(rows_a), sites_of(rows_b)
    if one_motif:
        a = b = sites_of(rows_a + rows_b)
    found = arranged(a, b, codes)
    assert found.spacing_p > 0.05
    of_a, of_b = leading_pairs(a, b, *pairs_apart(a, b))
    assert different_sequences(a, b, of_a, of_b, codes)(orientation, distance) <= 4  # and before there were 40
    unrelated = arranged(a, b, random_codes(rng, 200))
    assert (unrelated.spacing, unrelated.spacing_p < 1e-10) == (distance, True)


def test_windows_leave_out_the_sites_and_what_is_not_there():
    codes = np.arange(60, dtype=np.uint8)[None] % 4
    windows = windows_around(
        codes, np.array([0]), np.array([10]), np.array([40]), ((np.array([10]), 8), (np.array([30]), 10))
    )
    place = np.arange(-10, 60)
    known = (place >= 0) & ((place < 10) | (place >= 18)) & ((place < 30) | (place >= 40))
    np.testing.assert_array_equal(windows[0], np.where(known, place % 4, 4))
    assert count_different(np.concatenate([windows, windows, turn(windows)])) == 2
    assert count_different(np.concatenate([windows, turn(windows)]), either_strand=True) == 1
    nothing = np.full((3, 70), 4, np.uint8)
    assert count_different(nothing) == 3  # nothing is known, so nothing is a copy


def test_too_few_pairs_say_nothing():
    a, b = planted(np.random.default_rng(6), n_regions=LEAST_PAIRS - 1, share=1)
    assert arranged(a, b, random_codes(np.random.default_rng(0), LEAST_PAIRS)) is None


FIRST, SECOND, THIRD = "TTGACCGTTACA", "CCATATGGAACG", "GGGCTAAGTCAC"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A score file, a folder of motifs with hits and their compendium: FIRST and SECOND 30 bp apart, THIRD anywhere."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(7)
    n = 150
    coords = place(n, LENGTH)
    sequences = one_hot(rng.integers(0, 4, (n, LENGTH)))
    hits = []
    for row in coords.itertuples():

        def hit(name, start, forward, row=row):
            begin = row.start + start
            hits.append((name, row.name, begin, begin + 12, "+-"[not forward], 1.0, start + 6 - LENGTH / 2))

        if row.Index < 60:
            start, forward = int(rng.integers(60, 120)), bool(rng.integers(2))
            hit("pos_0", start, forward)
            hit("pos_1", start + 30 if forward else start - 30, forward)
        if rng.random() < 0.4:
            hit("pos_2", int(rng.integers(0, 50)), bool(rng.integers(2)))
    patterns = [pattern(word(text), name=f"pos_{i}", seqlets=90 - i) for i, text in enumerate((FIRST, SECOND, THIRD))]
    write_folder(folder / "motifs", patterns, hits=hits, regions=n)
    write_scores(folder / "scores.h5", coords, sequences, np.zeros((n, 4, LENGTH)))
    build_compendium([folder / "motifs"], folder / "compendium", database=database(("FACTOR", FIRST)))
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it to work on."""
    shutil.copytree(finished, tmp_path / "run")
    places = {"compendium": "compendium", "folder": "motifs", "scores": "scores.h5", "output": "out"}
    return {key: tmp_path / "run" / name for key, name in places.items()}


def grammar(run, **settings):
    return find_grammar(run["compendium"], [run["folder"]], [run["scores"]], run["output"], **settings)


def test_from_hits_to_the_table_and_the_picture(run):
    table = grammar(run).set_index(["motif_a", "motif_b"])
    assert list(pd.read_csv(run["output"] / "grammar.tsv", sep="\t").columns) == COLUMNS
    assert len(table) == 6  # three pairs, and each motif with itself
    pair = table.loc[("m_0", "m_1")]
    assert (pair["regions"], pair["regions_a"], pair["together"], pair["expected"]) == (150, 60, 60, 24)
    assert pair["q"] < 1e-20 and pair["enrichment"] == 2.5
    assert (abs(pair["spacing"]), pair["spacing_orientation"], pair["spacing_count"]) == (30, "> >", 60)
    assert pair["spacing_q"] < 1e-20 and pair["orientation_q"] < 1e-5
    others = table.drop(("m_0", "m_1"))
    assert (others["q"] > 0.05).all() and not (others["spacing_q"] <= 0.05).any()
    assert table["name_a"].loc[("m_0", "m_1")] == "FACTOR"
    assert (run["output"] / "grammar.png").stat().st_size > 10_000
    assert (run["output"] / "grammar.svg").read_text().count("<svg") == 1


def test_the_order_of_folders_and_the_run_change_nothing(run, tmp_path):
    grammar(run)
    before = {path.name: path.read_bytes() for path in run["output"].iterdir()}
    grammar(run)
    assert {path.name: path.read_bytes() for path in run["output"].iterdir()} == before
    assert set(before) == {"grammar.tsv", "grammar.svg", "grammar.png"}


def test_no_hits_give_an_empty_table(run):
    write_hits(run["folder"], [], 150)
    assert len(grammar(run)) == 0
    assert (run["output"] / "grammar.tsv").read_text().split() == COLUMNS
    assert (run["output"] / "grammar.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda run: write_hits(run["folder"], [("pos_0", "elsewhere", 1, 13, "+", 1, 0)], 9),
            ["'elsewhere'", "seqlift hits"],
        ),
        (lambda run: (run["compendium"] / "members.tsv").unlink(), ["members.tsv: no such file", "seqlift compendium"]),
        (lambda run: run["scores"].unlink(), ["scores.h5"]),
    ],
)
def test_wrong_input_is_named_and_nothing_good_is_lost(run, capsys, spoil, words):
    command = ["grammar", "--compendium", str(run["compendium"]), "--motifs", str(run["folder"]), "--scores",
               str(run["scores"]), "--output-dir", str(run["output"])]  # fmt: skip
    assert main(command) == 0
    assert "6 pairs of motifs" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in run["output"].iterdir()}
    spoil(run)
    assert main(command) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and all(part in message for part in words), message
    assert {path.name: path.read_bytes() for path in run["output"].iterdir()} == before


def test_a_folder_without_its_scores_is_named(run):
    other = write_folder(run["folder"].parent / "other", [], output="other", fold=2)
    with pytest.raises(SeqliftError, match=r"no score file of 'other' by deeplift, fold 2 among --scores"):
        find_grammar(run["compendium"], [run["folder"], other], [run["scores"]], run["output"])
    with pytest.raises(SeqliftError, match=r"`max_spacing` \(=0\) must be at least 1 bp"):
        grammar(run, max_spacing=0)


def test_what_would_count_twice_is_refused(run):
    """The same folder or scores under another name; and regions that hits cannot tell apart."""
    copy, scores = run["folder"].parent / "copy", run["scores"].parent / "copy.h5"
    shutil.copytree(run["folder"], copy)
    shutil.copy(run["scores"], scores)
    with pytest.raises(SeqliftError, match=r"'factor' by deeplift"):
        find_grammar(run["compendium"], [run["folder"], copy], [run["scores"]], run["output"])
    with pytest.raises(SeqliftError, match=r"scores.h5 and .*copy.h5 .*'factor' by deeplift"):
        find_grammar(run["compendium"], [run["folder"]], [run["scores"], scores], run["output"])
    with h5py.File(scores, "r+") as file:
        file["coords/name"][1] = file["coords/name"][0]
    with pytest.raises(SeqliftError, match=r"copy.h5: has several regions called 'region_0'"):
        find_grammar(run["compendium"], [run["folder"]], [scores], run["output"])
    assert not run["output"].exists()


def test_a_dollar_sign_in_a_name_is_no_formula(run):
    path = run["compendium"] / "compendium.tsv"
    path.write_text(path.read_text().replace("FACTOR", r"$\frac$"))
    grammar(run)
    assert (run["output"] / "grammar.png").stat().st_size > 10_000
