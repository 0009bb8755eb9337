"""Real motifs keep their names, random patterns get none, and a motif file that is none is refused with its line."""

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from seqlift.errors import SeqliftError
from seqlift.motifs import naming
from seqlift.motifs.database import Database, load_database, read_meme
from seqlift.motifs.naming import _compare, name_patterns

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "naming.py"


@pytest.fixture(scope="module")
def fungi():
    return load_database("jaspar:fungi")


@pytest.fixture(scope="module")
def vertebrates():
    return load_database("jaspar:vertebrates")


def sampled(matrix, rng, n=150, flank=2):
    """The PFM of n sites drawn from a matrix, with random flanks: what a cluster of seqlets would give."""
    wide = np.full((4, matrix.shape[1] + 2 * flank), 0.25)
    wide[:, flank:-flank] = matrix
    return np.stack([rng.multinomial(n, column / column.sum()) / n for column in wide.T], axis=1)


def random_patterns(kind, database, n, rng):
    """Patterns of 8 to 30 bp that are no motif."""
    if kind == "shuffled":
        known = [matrix for matrix in database.matrices if 8 <= matrix.shape[1] <= 30]
        chosen = [known[i] for i in rng.choice(len(known), n, replace=False)]
        return [matrix[:, rng.permutation(matrix.shape[1])] for matrix in chosen]
    return [rng.dirichlet([kind] * 4, rng.integers(8, 31)).T for _ in range(n)]


@pytest.mark.parametrize("kind", [0.3, 1.0, "shuffled"])
def test_random_patterns_go_unnamed_and_their_p_values_are_uniform(kind, fungi):
    patterns = random_patterns(kind, fungi, 25, np.random.default_rng(5))
    # One at a time, so that no correction for many patterns helps.
    matches = [name_patterns([pattern], fungi, shuffles=60)[0] for pattern in patterns]
    assert np.mean([match.named for match in matches]) <= 0.05
    assert stats.kstest([match.p for match in matches], "uniform").pvalue > 0.001


@pytest.mark.parametrize("kind", [0.3, "shuffled"])
def test_wide_patterns_go_unnamed_too(kind, fungi):
    rng = np.random.default_rng(9)
    if kind == "shuffled":
        pool = np.hstack(fungi.matrices)
        patterns = [pool[:, rng.permutation(pool.shape[1])[: rng.integers(31, 51)]] for _ in range(4)]
    else:
        patterns = [rng.dirichlet([kind] * 4, rng.integers(31, 51)).T for _ in range(4)]
    p = [name_patterns([pattern], fungi, shuffles=40)[0].p for pattern in patterns]
    assert min(p) > 0.001
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_hopeless_patterns_stop_early_and_promising_ones_do_not(fungi, monkeypatch):
    compared = []
    real = naming.tomtom
    monkeypatch.setattr(
        naming, "tomtom", lambda patterns, *rest: compared.append(len(patterns)) or real(patterns, *rest)
    )
    rng = np.random.default_rng(2)
    hopeless = 0
    for pattern in [*random_patterns(0.3, fungi, 5, rng), fungi.matrices[fungi.ids.index("MA0265.2")]]:
        compared.clear()
        (match,) = name_patterns([pattern], fungi, shuffles=150)
        hopeless += match.p > naming.HOPELESS
        assert compared[:2] == [1, naming.FIRST_SHUFFLES]
        assert compared[2:] == ([] if match.p > naming.HOPELESS else [50]) or abs(match.p - naming.HOPELESS) < 0.1
    assert hopeless >= 2 and match.named and compared == [1, 100, 50]


def test_tomtom_alone_would_name_random_patterns(fungi):
    patterns = random_patterns(1.0, fungi, 50, np.random.default_rng(5))
    expected = np.array([_compare([pattern], fungi)[0].min() * len(fungi.ids) for pattern in patterns])
    assert np.mean(expected < 0.05) > 0.1  # what the null is there for


@pytest.mark.parametrize("motif_id, name", [("MA0363.2", "REB1"), ("MA0265.2", "ABF1"), ("MA0343.1", "NDT80")])
def test_motifs_of_yeast_keep_their_names(fungi, motif_id, name):
    pattern = sampled(fungi.matrices[fungi.ids.index(motif_id)], np.random.default_rng(1))
    (match,) = name_patterns([pattern], fungi)
    assert match.named and match.match_name == name and match.p < 1e-4 and match.p_tomtom < match.p


@pytest.mark.parametrize("motif_id, name", [("MA0035.3", "GATA1"), ("MA0091.1", "TAL1::TCF3"), ("MA0139.2", "CTCF")])
def test_motifs_of_vertebrates_keep_their_names(vertebrates, motif_id, name):
    pattern = sampled(vertebrates.matrices[vertebrates.ids.index(motif_id)], np.random.default_rng(1))
    (match,) = name_patterns([pattern], vertebrates)
    assert match.named and match.match_name == name and match.p < 1e-4


def test_the_reverse_complement_gets_the_same_name_and_the_other_strand(fungi):
    matrix = fungi.matrices[fungi.ids.index("MA0265.2")]
    (forward,) = name_patterns([matrix], fungi)
    (backward,) = name_patterns([matrix[::-1, ::-1]], fungi)
    assert forward.match_id == backward.match_id == "MA0265.2"
    assert (forward.reverse, backward.reverse) == (False, True)


def test_q_corrects_for_the_number_of_patterns_and_decides_the_name(fungi):
    rng = np.random.default_rng(3)
    patterns = [fungi.matrices[fungi.ids.index("MA0265.2")], *random_patterns(0.3, fungi, 4, rng)]
    matches = name_patterns(patterns, fungi, shuffles=100)
    p = np.array([match.p for match in matches])
    np.testing.assert_allclose([match.q for match in matches], stats.false_discovery_control(p))
    assert [match.named for match in matches] == [match.q <= 0.01 for match in matches]
    assert all(match.named for match in name_patterns(patterns, fungi, threshold=1.0, shuffles=100))


def test_a_match_depends_on_the_pattern_and_the_seed_alone(fungi):
    patterns = random_patterns(0.3, fungi, 3, np.random.default_rng(4))
    together = name_patterns(patterns, fungi, shuffles=50)
    alone = [name_patterns([pattern], fungi, shuffles=50)[0] for pattern in reversed(patterns)][::-1]
    assert [match.p for match in together] == [match.p for match in alone]
    other = name_patterns(patterns, fungi, shuffles=50, seed=2)
    assert [match.p for match in other] != [match.p for match in together]
    assert [match.match_id for match in other] == [match.match_id for match in together]


def test_a_pattern_that_shuffling_does_not_change_goes_unnamed(fungi):
    assert not name_patterns([np.array([[0.97, 0.01, 0.01, 0.01]] * 6).T], fungi, shuffles=50)[0].named
    assert not name_patterns([np.full((4, 10), 0.25)], fungi, shuffles=50)[0].named
    assert name_patterns([], fungi) == []


def test_a_database_of_two_motifs_names_its_own_and_no_other(fungi):
    ids = ["MA0265.2", "MA0363.2"]
    known = [fungi.matrices[fungi.ids.index(identifier)] for identifier in ids]
    two = Database("two", "", tuple(ids), ("ABF1", "REB1"), tuple(known))
    rng = np.random.default_rng(6)
    for matrix, name in zip(known, two.names, strict=True):
        (match,) = name_patterns([sampled(matrix, rng)], two, shuffles=100)
        assert match.named and match.match_name == name
    patterns = random_patterns(0.3, fungi, 25, rng)
    assert np.mean([name_patterns([pattern], two, shuffles=60)[0].named for pattern in patterns]) <= 0.05


def test_jaspar_holds_all_versions_under_the_newest_name(vertebrates):
    import pyjaspar

    versions = {i: vertebrates.names[k] for k, i in enumerate(vertebrates.ids) if i.startswith("MA0035.")}
    assert versions == {f"MA0035.{version}": "GATA1" for version in range(1, 6)}
    for identifier in ("MA0035.3", "MA0091.1", "MA0139.2"):  # compared with pyjaspar's own reader
        counts = pyjaspar.jaspardb().fetch_motif_by_id(identifier).counts
        counts = np.array([counts[base] for base in "ACGT"], float)
        ours = vertebrates.matrices[vertebrates.ids.index(identifier)]
        np.testing.assert_allclose(ours, counts / counts.sum(axis=0))
    assert vertebrates.release.startswith("JASPAR2")


def test_a_group_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(SeqliftError, match=r"'jaspar:mammals' does not exist; the groups are .*vertebrates"):
        load_database("jaspar:mammals")


GOOD = """MEME version 4

ALPHABET= ACGT

strands: + -

MOTIF M1 first one
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.7 0.1 0.1 0.1
 0.1\t0.1 0.1 0.7
URL http://example.org

MOTIF M2
letter-probability matrix:
1 0 0 0
0 0.5 0.5 0
0 0 0 1
"""


def test_a_meme_file_is_read_with_ids_names_and_matrices(tmp_path):
    path = tmp_path / "known.meme"
    path.write_text(GOOD)
    known = load_database(path)
    assert (known.name, known.ids, known.names) == ("known.meme", ("M1", "M2"), ("first one", "M2"))
    np.testing.assert_allclose(known.matrices[0], [[0.7, 0.1], [0.1, 0.1], [0.1, 0.1], [0.1, 0.7]])
    assert known.matrices[1].shape == (4, 3)


def test_a_real_meme_file_is_read_as_jaspar_has_it(fungi, yeast):
    motifs = read_meme(yeast / "JASPAR2026_CORE_fungi.meme")
    assert len(motifs) == 193
    for identifier, (_name, matrix) in motifs.items():
        np.testing.assert_allclose(matrix, fungi.matrices[fungi.ids.index(identifier)], atol=2e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (("MEME version 4", "MEME"), "known.meme:1: not a MEME motif file"),
        (("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY"), "known.meme:3: alphabet 'ACDEF"),
        (("0.7 0.1 0.1 0.1", "0.7 0.1 0.1 x"), "known.meme:9: '0.7 0.1 0.1 x' is not a row of four"),
        (("0.7 0.1 0.1 0.1", "0.7 0.1 0.2"), "known.meme:9: '0.7 0.1 0.2' is not a row of four"),
        (("0.7 0.1 0.1 0.1", "0.7 0.5 0.1 0.1"), r"known.meme:9: .* sum to 1.4"),
        (("0.7 0.1 0.1 0.1", "1.3 -0.3 0 0"), r"known.meme:9: .* each is at least 0"),
        (("0.7 0.1 0.1 0.1", "nan 0 0 0"), "known.meme:9"),
        (
            ("w= 2", "w= 3"),
            "known.meme:11: 'URL http://example.org' is not a row of four frequencies; line 8 announces 3",
        ),
        (("alength= 4", "alength= 20"), "known.meme:8: alength= 20"),
        (("MOTIF M2", "MOTIF M1"), "known.meme:13: motif 'M1'"),
        (("MOTIF M1 first one", ""), "known.meme:8: a matrix without a MOTIF line"),
        (("MOTIF M1 first one", "MOTIF"), "known.meme:7: a MOTIF line needs an identifier"),
        (("1 0 0 0\n0 0.5 0.5 0\n0 0 0 1\n", ""), "known.meme:14: the matrix has 0 rows"),
    ],
)
def test_what_is_wrong_with_a_meme_file_is_told_with_its_line(tmp_path, change, message):
    path = tmp_path / "known.meme"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(SeqliftError, match=message):
        read_meme(path)


def test_other_files_that_are_no_motif_database_are_refused(tmp_path):
    with pytest.raises(SeqliftError, match=r"none.meme: no such file"):
        load_database(tmp_path / "none.meme")
    (tmp_path / "bytes.meme").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SeqliftError, match=r"bytes.meme: cannot be read"):
        load_database(tmp_path / "bytes.meme")
    (tmp_path / "empty.meme").write_text("MEME version 4\n")
    with pytest.raises(SeqliftError, match=r"empty.meme: .*MOTIF"):
        load_database(tmp_path / "empty.meme")
    (tmp_path / "cut.meme").write_text("MEME version 4\nMOTIF a b\n")
    with pytest.raises(SeqliftError, match=r"cut.meme:2: motif 'a' has no 'letter-probability matrix'"):
        load_database(tmp_path / "cut.meme")


FAKE_TOMTOM = """import sys
queries = [line.split()[1] for line in open(sys.argv[-2]) if line.startswith("MOTIF")]
columns = "Query_ID Target_ID Optimal_offset p-value E-value q-value Overlap Query_consensus"
columns += " Target_consensus Orientation"
print("\\t".join(columns.split()))
for query in queries:
    for target, e in (("3", 7.0), ("5", 0.04 if int(query) % 4 == 0 else 0.06)):
        print("\\t".join([query, target, "0", "0.001", str(e), "0.1", "8", "A", "A", "+"]))
print("\\n# Tomtom (Motif Comparison Tool): Version 5.5.7")
"""


@pytest.mark.extended
def test_the_benchmark_prints_its_tables(fungi, tmp_path):
    """On 30 motifs; a script that matches one query in four and prints MEME's format replaces tomtom."""
    lines = ["MEME version 4", ""]
    for i in range(0, 300, 10):
        matrix = fungi.matrices[i]
        lines += [f"MOTIF {fungi.ids[i]} {fungi.names[i]}", f"letter-probability matrix: w= {matrix.shape[1]}"]
        lines += [" ".join(f"{share:.5f}" for share in column) for column in matrix.T]
    (tmp_path / "known.meme").write_text("\n".join(lines) + "\n")
    tomtom = tmp_path / "tomtom"
    (tmp_path / "fake.py").write_text(FAKE_TOMTOM)
    command = shlex.join([sys.executable, str(tmp_path / "fake.py")])  # a path with a space serves no `#!`
    tomtom.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    tomtom.chmod(tomtom.stat().st_mode | stat.S_IEXEC)
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--database", tmp_path / "known.meme"],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tables = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    rows = {row[0]: row for row in tables}
    assert rows["random"][1] == rows["columns shuffled"][1] == "8"
    assert rows["random"][-1] == rows["columns shuffled"][-1] == "25.0 %"  # of 8 queries, 0 and 4
    assert all(float(rows[kind][2].split()[0]) <= 25 for kind in ("random", "columns shuffled"))
    assert [row[:3] for row in tables if row[1] == "all"] == [
        ["0 %", "all", "3"],
        ["10 %", "all", "3"],
        ["20 %", "all", "3"],
    ]
