"""Hits: the fit against other solvers, the places against planted ones, and what must not change or be mixed up."""

import gzip
import json

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Lasso

from fixtures.hits import write_folder
from fixtures.motif import FIRST, SECOND, frequencies, one_hot, place, planted, reverse_complement, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.motifs.hits import call as stage
from seqlift.motifs.hits.call import COLUMNS, PLACES, call_hits, read_hits
from seqlift.motifs.hits.fit import OVERLAP, _fit, fit_hits, not_overlapping

N, LENGTH = 60, 120


def oriented(patterns):
    """Both strands of each pattern at unit length, padded: weights (2M, 4, W) and widths (2M,)."""
    widths = np.repeat([pattern.shape[1] for pattern in patterns], 2)
    weights = np.zeros((len(widths), 4, max(widths)))
    for i, pattern in enumerate(patterns):
        unit = pattern / np.sqrt((pattern**2).sum())
        weights[2 * i, :, : widths[2 * i]] = unit
        weights[2 * i + 1, :, : widths[2 * i]] = reverse_complement(unit)
    return weights, widths


def random_case(seed, n=6, length=40, alike=0.0):
    """Contributions with stretches of patterns, their bases with some N, and three patterns of different widths."""
    rng = np.random.default_rng(seed)
    patterns = [rng.normal(size=(4, width)) * (rng.random((4, width)) < 0.5) for width in (5, 8, 11)]
    if alike:
        patterns[1] = np.pad(patterns[0], ((0, 0), (1, 2))) + alike * patterns[1]
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    contributions = 0.3 * rng.normal(size=(n, length))
    for row in range(n):
        for pattern in patterns:
            start, size = rng.integers(0, length - pattern.shape[1] + 1), rng.uniform(1, 3)
            for i in range(pattern.shape[1]):
                codes[row, start + i] = np.abs(pattern[:, i]).argmax()
                contributions[row, start + i] += size * pattern[codes[row, start + i], i]
    codes[:, 20] = 4
    contributions[:, 20] = 0
    return contributions, codes, patterns


@pytest.mark.parametrize("alike", [0.0, 0.3])
def test_the_fit_is_the_optimum_that_scikit_learn_finds(alike):
    contributions, codes, patterns = random_case(1, alike=alike)
    weights, widths = oriented(patterns)
    penalty = 0.6
    found = _fit(contributions, codes, weights, widths, penalty)
    n_used = 0
    for row, (values, bases) in enumerate(zip(contributions, codes, strict=True)):
        size = np.sqrt((values**2).mean())
        columns, places, cosines = [], [], []
        for m, width in enumerate(widths):
            for p in range(len(values) - width + 1):
                laid = np.zeros(len(values))
                for i in range(width):
                    if bases[p + i] < 4:
                        laid[p + i] = weights[m, bases[p + i], i]
                under = values[p : p + width] / size
                columns.append(laid / np.sqrt((under**2).sum() + 1))
                places.append((m, p))
                cosines.append(laid[p : p + width] @ under / np.sqrt((under**2).sum()))
        model = Lasso(alpha=penalty / len(values), positive=True, fit_intercept=False, tol=1e-12, max_iter=1_000_000)
        model.fit(np.array(columns).T, values / size)
        lengths = {
            place: strength * size
            for place, strength, cosine, column in zip(places, model.coef_, cosines, columns, strict=True)
            if strength > 1e-7 and cosine >= penalty
        }
        ours = {(int(m), int(p)): strength for at, m, p, strength, _ in found if at == row}
        assert set(ours) == set(lengths)
        for m, p in ours:
            under = values[p : p + widths[m]] / size
            expected = lengths[m, p] / np.sqrt((under**2).sum() + 1)
            assert ours[m, p] == pytest.approx(expected, rel=1e-3, abs=1e-4)
        n_used += len(ours)
    assert n_used > 10


def test_finemo_run_to_a_small_gap_calls_the_same_places():
    """finemo lays its patterns no nearer to an end than the widest one fits, and adds nothing else to the model."""
    torch = pytest.importorskip("torch")
    hitcaller = pytest.importorskip("finemo.hitcaller")
    contributions, codes, patterns = random_case(2, n=5)
    weights, widths = oriented(patterns)
    most = widths.max()
    padded = np.pad(contributions, ((0, 0), (0, most)))
    # Its unit is the mean over the padded length
    scale = np.sqrt(padded.shape[1] / contributions.shape[1])
    mask = (np.arange(most) < widths[:, None]).astype(np.float32)
    table, _ = hitcaller.fit_contribs(
        weights.astype(np.float32),
        padded.astype(np.float32),
        np.pad(one_hot(codes), ((0, 0), (0, 0), (0, most))),
        mask,
        False,
        np.full(len(widths), 0.6, np.float32),
        step_size_max=0.5,
        step_size_min=1e-4,
        convergence_tol=1e-6,
        max_steps=100_000,
        batch_size=8,
        eps=scale**2,
        device=torch.device("cpu"),
    )
    table = pd.DataFrame(table.to_dict(as_series=False))
    # eps is in units of the mean square, here made the same; λ in those of its root
    rows, motif, start = (table[name].to_numpy(int) for name in ("peak_id", "motif_id", "hit_start"))
    inside = (start + widths[motif] <= contributions.shape[1]) & (table["hit_coefficient"] > 1e-2)
    theirs = set(zip(rows[inside], motif[inside], start[inside], strict=True))
    found = _fit(contributions, codes, weights, widths, 0.6)
    ours = {(int(row), int(m), int(p)) for row, m, p, strength, _ in found if strength > 1e-2}
    assert len(ours) > 8
    assert ours == theirs


def test_of_overlapping_hits_the_stronger_one_is_kept():
    rng = np.random.default_rng(0)
    rows = np.sort(rng.integers(0, 10, 200))
    starts, widths = rng.integers(0, 100, 200), rng.integers(5, 20, 200)
    kept = []
    for k in range(200):
        ranges = [set(range(starts[o], starts[o] + widths[o])) for o in kept if rows[o] == rows[k]]
        here = set(range(starts[k], starts[k] + widths[k]))
        if all(len(here & other) <= OVERLAP * min(len(here), len(other)) for other in ranges):
            kept.append(k)
    assert 20 < len(kept) < 180
    assert np.flatnonzero(not_overlapping(rows, starts, widths, OVERLAP)).tolist() == kept


def test_copies_and_palindromes_give_one_hit_a_site():
    palindrome = frequencies("ACGATCGT") - 0.25
    contributions, codes = np.zeros((1, 40)), np.zeros((1, 40), np.uint8)
    codes[0, 10:18] = ["ACGT".index(base) for base in "ACGATCGT"]
    contributions[0, 10:18] = 1
    found = fit_hits(contributions, codes, [palindrome, palindrome.copy()], 0.7)
    assert (found.rows.tolist(), found.starts.tolist()) == ([0], [10])
    assert (found.patterns.tolist(), found.reverse.tolist()) == ([0], [False])


def test_negative_patterns_are_hit_where_contributions_are_negative():
    pattern = -frequencies(FIRST)
    codes, contributions = np.full((2, 40), 1, np.uint8), np.zeros((2, 40))
    codes[:, 7:16] = ["ACGT".index(base) for base in FIRST]
    contributions[0, 7:16], contributions[1, 7:16] = -1, 1
    found = fit_hits(contributions, codes, [pattern], 0.7)
    assert (found.rows.tolist(), found.starts.tolist(), found.reverse.tolist()) == ([0], [7], [False])


def test_a_region_of_zeros_and_one_of_n_have_no_hits():
    _, _, patterns = random_case(0)
    codes = np.zeros((2, 40), np.uint8)
    codes[1] = 4
    assert len(fit_hits(np.zeros((2, 40)), codes, patterns, 0.7).rows) == 0


def test_hits_reach_to_the_very_ends_of_a_region():
    pattern = frequencies(FIRST) - 0.25
    codes = np.full((1, 60), 1, np.uint8)
    contributions = np.zeros((1, 60))
    width = pattern.shape[1]
    for start, matrix in ((0, pattern), (60 - width, reverse_complement(pattern))):
        codes[0, start : start + width] = matrix.argmax(axis=0)
        contributions[0, start : start + width] = 1
    wide = np.random.default_rng(0).normal(size=(4, 50))  # beside which others must not lose their places
    found = fit_hits(contributions, codes, [pattern, wide], 0.7)
    assert found.starts.tolist() == [0, 60 - width]
    assert found.reverse.tolist() == [False, True]
    assert found.patterns.tolist() == [0, 0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A score file with planted motifs, its folder of motifs, and where each instance is.

    The second pattern is shown the other way round than its seqlets are kept.
    """
    folder = tmp_path_factory.mktemp("hits")
    sequences, hypothetical, instances = planted(N, LENGTH)
    coords = place(N, LENGTH, gap=13)
    path = write_scores(folder / "factor.deeplift.h5", coords, sequences, hypothetical)
    motifs = write_folder(folder / "motifs", path, patterns_of(instances))
    return path, motifs, instances, coords


def patterns_of(instances):
    """The two planted motifs as patterns 4 bp wider on either side, each from half of its instances."""
    return [
        {
            "name": f"pos_{index}",
            "seqlets": [(row, start - 4, strand == "-") for row, start, strand, i in instances if i == index][::2],
            "width": len(consensus) + 8,
            "start": 4,
            "end": 4 + len(consensus),
            "flipped": index == 1,
            "known": "Known" if index == 1 else "",
        }
        for index, consensus in enumerate((FIRST, SECOND))
    ]


def test_planted_motifs_are_hit_where_they_are(made, tmp_path):
    path, motifs, instances, coords = made
    summary = call_hits(path, motifs, tmp_path)
    table = read_hits(tmp_path / "hits.bed.gz")
    assert list(table.columns) == [column.lstrip("#") for column in COLUMNS]
    with h5py.File(path) as file:
        sequences = file["raw/seq"][:]
    expected, clear = set(), set()
    for row, start, strand, index in instances:
        consensus = frequencies((FIRST, SECOND)[index])
        bases = sequences[row, :, start : start + consensus.shape[1]]
        matches = ((bases if strand == "+" else reverse_complement(bases)) * consensus > 0.5).sum()
        if index == 1:
            strand = "-+"["-+".index(strand) ^ 1]  # as the logo shows it
        at = coords["start"][row] + start
        expected.add((at, at + consensus.shape[1], f"pos_{index}", strand))
        if matches >= consensus.shape[1] - 1:  # what misses more bases is less like the pattern than a hit must be
            clear.add((at, at + consensus.shape[1], f"pos_{index}", strand))
    found = set(table[["start", "end", "pattern", "strand"]].itertuples(index=False, name=None))
    assert len(clear) > 0.7 * len(expected)
    assert clear <= found
    assert len(found & expected) / len(found) > 0.9
    assert table.set_index("pattern")["name"].to_dict() == {"pos_0": "", "pos_1": "Known"}
    order = list(zip(table["chrom"], table["start"], table["end"], table["pattern"], strict=True))
    assert order == sorted(order)

    assert json.loads((tmp_path / "hits.json").read_text())["explained"] == summary.explained
    assert summary.hits == len(table) and summary.regions == N
    assert summary.regions_with_hits == table["region"].nunique()
    for one in summary.patterns:
        here = table[table["pattern"] == one["pattern"]]
        assert (one["hits"], one["regions"]) == (len(here), here["region"].nunique())
        assert one["seqlets"] == N // 2 and one["seqlet_recall"] >= 0.8
    assert summary.seqlets == N
    # A seqlet is found again where a hit of its pattern, or of any, shares half of its bases
    again = {"seqlet_recall": 0, "seqlet_recall_any": 0}
    for row, start, _, index in [one for i in (0, 1) for one in [each for each in instances if each[3] == i][::2]]:
        at, end = coords["start"][row] + start, coords["start"][row] + start + len((FIRST, SECOND)[index])
        common = np.minimum(end, table["end"]) - np.maximum(at, table["start"])
        close = table[common >= np.minimum(end - at, table["end"] - table["start"]) / 2]
        again["seqlet_recall_any"] += len(close) > 0
        again["seqlet_recall"] += (close["pattern"] == f"pos_{index}").any()
    for key, number in again.items():
        assert getattr(summary, key) == number / N


def test_numbers_of_a_hit_are_those_of_its_bases(made, tmp_path):
    path, motifs, _, coords = made
    summary = call_hits(path, motifs, tmp_path)
    table = read_hits(tmp_path / "hits.bed.gz")
    with h5py.File(path) as file:
        values = file["projected_shap/seq"][:].sum(axis=1).astype(float)
    under = np.zeros(values.shape, bool)
    rows = [coords["name"].tolist().index(name) for name in table["region"]]
    starts = table["start"].to_numpy() - coords["start"].to_numpy()[rows]
    ends = table["end"].to_numpy() - coords["start"].to_numpy()[rows]
    for row, start, end in zip(rows, starts, ends, strict=True):
        under[row, start:end] = True
    for i, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        hit, total = table.iloc[i], np.abs(values[row]).sum()
        assert hit["contribution"] == pytest.approx(values[row, start:end].sum(), rel=1e-4)
        assert hit["share"] == pytest.approx(np.abs(values[row, start:end]).sum() / total, abs=1e-4)
        assert hit["coverage"] == pytest.approx(np.abs(values[row])[under[row]].sum() / total, abs=1e-4)
        assert hit["distance"] == (start + end) / 2 - LENGTH / 2
    assert summary.explained == pytest.approx(np.abs(values)[under].sum() / np.abs(values).sum())
    size = table["contribution"].abs()
    assert table["score"].tolist() == pytest.approx((1000 * size / size.max()).tolist(), abs=1)
    assert table["similarity"].between(0.7, 1.0001).all()


def test_blocks_and_order_of_the_file_change_nothing(made, tmp_path, monkeypatch):
    path, motifs, instances, coords = made
    call_hits(path, motifs, tmp_path / "whole")
    monkeypatch.setattr(stage, "_ROWS", 7)
    call_hits(path, motifs, tmp_path / "blocks")
    assert (tmp_path / "blocks" / "hits.bed.gz").read_bytes() == (tmp_path / "whole" / "hits.bed.gz").read_bytes()

    order = np.random.default_rng(3).permutation(N)
    with h5py.File(path) as file:
        sequences, hypothetical = file["raw/seq"][:][order], file["shap/seq"][:][order]
    reordered = write_scores(tmp_path / "reordered.h5", coords.iloc[order], sequences, hypothetical)
    now = {int(row): i for i, row in enumerate(order)}
    moved = [(now[row], start, strand, index) for row, start, strand, index in instances]
    patterns = patterns_of(moved)
    call_hits(reordered, write_folder(tmp_path / "motifs", reordered, patterns), tmp_path / "reordered")
    assert (tmp_path / "reordered" / "hits.bed.gz").read_bytes() == (tmp_path / "whole" / "hits.bed.gz").read_bytes()


def test_a_site_in_two_regions_is_one_hit_of_the_nearer_one(tmp_path):
    """Windows that overlap show the same bases with the same scores."""
    sequences, hypothetical, instances = planted(1, 160, motifs=(FIRST,))
    parts = [0, 30, 60]
    coords = place(3, 100)
    coords["start"], coords["end"] = parts, [start + 100 for start in parts]
    pieces = [np.stack([array[0, :, start : start + 100] for start in parts]) for array in (sequences, hypothetical)]
    path = write_scores(tmp_path / "s.h5", coords, *pieces)
    _, at, strand, _ = instances[0]
    inside = [i for i, start in enumerate(parts) if start + 4 <= at and at + len(FIRST) + 4 <= start + 100]
    assert len(inside) > 1
    pattern = {
        "name": "pos_0",
        "seqlets": [(i, at - parts[i] - 4, strand == "-") for i in inside],
        "width": len(FIRST) + 8,
        "start": 4,
        "end": 4 + len(FIRST),
    }
    call_hits(path, write_folder(tmp_path / "motifs", path, [pattern]), tmp_path)
    table = read_hits(tmp_path / "hits.bed.gz")
    here = table[table["start"] == at]
    middle = at + len(FIRST) / 2
    nearest = min(range(3), key=lambda i: abs(middle - parts[i] - 50))
    assert here["region"].tolist() == [f"region_{nearest}"]
    assert here["distance"].tolist() == [middle - parts[nearest] - 50]
    assert not table.duplicated(["chrom", "start", "end", "pattern", "strand"]).any()


def test_no_patterns_give_empty_files_and_say_why(made, tmp_path, capsys):
    path, _, _, _ = made
    motifs = write_folder(tmp_path / "none", path, [], message="120 seqlets were found; raise max_seqlets.")
    assert main(["hits", "--scores", str(path), "--motifs", str(motifs), "--output-dir", str(motifs)]) == 0
    printed = capsys.readouterr()
    assert "0 hits" in printed.out and "120 seqlets were found" in printed.out and not printed.err
    assert gzip.decompress((motifs / "hits.bed.gz").read_bytes()).decode() == "\t".join(COLUMNS) + "\n"
    assert read_hits(motifs / "hits.bed.gz").empty
    summary = json.loads((motifs / "hits.json").read_text())
    assert (summary["hits"], summary["patterns"], summary["seqlet_recall"]) == (0, [], None)


def test_command_prints_the_hits(made, tmp_path, capsys):
    path, motifs, _, _ = made
    flags = ["hits", "--scores", str(path), "--motifs", str(motifs), "--output-dir", str(tmp_path)]
    assert main([*flags, "--min-similarity", "0.8"]) == 0
    printed = capsys.readouterr()
    assert "factor deeplift: " in printed.out and "pos_1 Known: " in printed.out and not printed.err
    strict = read_hits(tmp_path / "hits.bed.gz")
    assert strict["similarity"].min() >= 0.8
    before = (tmp_path / "hits.json").read_bytes()
    assert main([*flags, "--min-similarity", "1"]) == 1
    assert "`min_similarity` (=1.0)" in capsys.readouterr().err
    assert (tmp_path / "hits.json").read_bytes() == before
    assert main([*flags, "--min-similarity", "0.9999"]) == 0
    assert "0.9999" in capsys.readouterr().out


def test_patterns_of_other_scores_are_refused(made, tmp_path):
    path, motifs, _, coords = made
    with h5py.File(path) as file:
        sequences, hypothetical = file["raw/seq"][:], file["shap/seq"][:]

    def refused(words, scores=path, folder=motifs):
        with pytest.raises(SeqliftError, match=words):
            call_hits(scores, folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("no such score file", scores=tmp_path / "missing.h5")
    refused("motifs.json: no such file", folder=tmp_path)
    other = write_scores(tmp_path / "other.h5", coords, sequences, hypothetical, target="other")
    refused("scores of target 'other', but the patterns of .* are of 'factor'", scores=other)
    gradients = write_scores(tmp_path / "m.h5", coords, sequences, hypothetical, method="interior_gradients")
    refused("scores of method 'interior_gradients'", scores=gradients)
    fewer = write_scores(tmp_path / "fewer.h5", coords[:-1], sequences[:-1], hypothetical[:-1])
    refused("59 regions, but the patterns of .* were found in 60", scores=fewer)
    short = write_scores(tmp_path / "short.h5", place(N, 20), sequences[:, :, :20], hypothetical[:, :, :20])
    refused("seqlets of pos_0 .each 17 bp. lie outside the 60 regions of 20 bp", scores=short)
    # The same regions in another order: only the contributions differ
    rows = np.roll(np.arange(N), 1)
    rolled = write_scores(tmp_path / "rolled.h5", coords, sequences[rows], hypothetical[rows])
    refused("mean contributions of the seqlets of pos_0 .* differ from its CWM", scores=rolled)
    broken = write_scores(tmp_path / "nan.h5", coords, sequences, hypothetical)
    with h5py.File(broken, "a") as file:
        file["projected_shap/seq"][17, 0, 5] = np.nan
    refused(r"region 'region_17' \(row 17\) are not finite", scores=broken)


def test_what_is_no_table_of_hits_is_refused(tmp_path):
    with pytest.raises(SeqliftError, match=r"hits\.bed\.gz: no such file; `seqlift hits` makes it"):
        read_hits(tmp_path / "hits.bed.gz")
    (tmp_path / "other.bed.gz").write_bytes(gzip.compress(b"#chrom\tstart\nchr1\t5\n"))
    with pytest.raises(SeqliftError, match=r"other\.bed\.gz:1: the columns are #chrom start, not"):
        read_hits(tmp_path / "other.bed.gz")
    (tmp_path / "cut.bed.gz").write_bytes(gzip.compress(b"#chrom\tstart\nchr1\t5\n" * 99)[:-9])
    with pytest.raises(SeqliftError, match=r"cut\.bed\.gz: cannot be read"):
        read_hits(tmp_path / "cut.bed.gz")
    line = "\t".join(["chr1", "1", "9", "pos_0", "0", "+", "", "1", "1", "{}", "0.1", "0.1", "NA", "-2"])
    text = "\n".join(["\t".join(COLUMNS), *(line.format(i) for i in range(5000))]) + "\n"
    packed = bytearray(gzip.compress(text.encode()))
    packed[2000:2004] = b"\0\xff\0\xff"  # damaged within: what is inflated makes no sense
    (tmp_path / "spoilt.bed.gz").write_bytes(packed)
    with pytest.raises(SeqliftError, match=r"spoilt\.bed\.gz: cannot be read as hits"):
        read_hits(tmp_path / "spoilt.bed.gz")
    (tmp_path / "nan.bed.gz").write_bytes(gzip.compress(text.replace("\t7\t", "\tnan\t").encode()))
    for places_only in (False, True):
        with pytest.raises(SeqliftError, match=r"nan\.bed\.gz: line 9 has no strand, or a number .*\(1 such lines\)"):
            read_hits(tmp_path / "nan.bed.gz", places_only=places_only)


def test_places_are_the_same_hits_in_less_memory(made, tmp_path):
    path, motifs, _, _ = made
    call_hits(path, motifs, tmp_path)
    whole, places = (read_hits(tmp_path / "hits.bed.gz", places_only=only) for only in (False, True))
    assert list(places.columns) == PLACES
    for column in ("pattern", "strand", "region"):
        assert places[column].dtype == "category"
        assert places[column].tolist() == whole[column].tolist()
    pd.testing.assert_frame_equal(places.select_dtypes("number"), whole[["start", "end", "contribution", "distance"]])
