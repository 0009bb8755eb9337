"""k-let shuffles: uniform, faithful to every count, and the same whatever they are computed together with."""

import itertools
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare
from tangermeme.ersatz import dinucleotide_shuffle as shuffle_of_tangermeme

import seqlift
from seqlift.data.shuffle import dinucleotide_shuffle, klet_shuffle
from seqlift.errors import SeqliftError


def codes(text):
    return np.array(["ACGTN".index(base) for base in text], dtype=np.uint8)


def text(row):
    return "".join("ACGTN"[code] for code in row)


def dinucleotides(sequence):
    return Counter(itertools.pairwise(sequence))


def all_with_same_dinucleotides(sequence):
    """Every sequence with the first base and the dinucleotide counts of `sequence`, by depth-first search."""

    def extend(path, left):
        if not left:
            yield "".join(path)
        for a, b in sorted(left):
            if a == path[-1]:
                yield from extend([*path, b], left - Counter([(a, b)]))

    return sorted(extend([sequence[0]], dinucleotides(sequence)))


def klets(sequence, k):
    return Counter(sequence[i : i + k] for i in range(len(sequence) - k + 1))


def all_with_same_klets(sequence, k):
    """Every sequence with the first k - 1 bases and the k-let counts of `sequence`, base by base."""

    def extend(path, left):
        if len(path) == len(sequence):
            yield path
        for base in "ACGT":
            klet = (path + base)[-k:]
            if left[klet]:
                yield from extend(path + base, left - Counter([klet]))

    return sorted(extend(sequence[: k - 1], klets(sequence, k)))


# Chosen for their graphs: a circuit, a path between two bases, loops on a base, a base used once, two bases only,
# one exit shared by all trees.
@pytest.mark.parametrize(
    "sequence", ["ACAGATACA", "AACCGGTTACGT", "TTTATTCATTA", "GACATCGAGT", "CACCACAACCCA", "GATTTACATG"]
)
def test_uniform_over_all_sequences_with_the_same_counts(sequence):
    possible = all_with_same_dinucleotides(sequence)
    assert 5 < len(possible) < 2000 and sequence in possible
    n = 200 * len(possible)
    seen = Counter(text(row) for row in dinucleotide_shuffle(codes(sequence)[None], n, seed=11)[0])
    assert set(seen) == set(possible)
    assert chisquare([seen[each] for each in possible]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("k", "sequence"),
    [
        (1, "AACCG"),
        (1, "TTTTACG"),
        (2, "ACAGATACA"),
        (3, "ACAGATACATACAGACAG"),  # a path between two vertices
        (3, "TTATTATATTTATTAATA"),  # loops on TT
        (3, "AAATAAATAATTAATTTAAA"),  # a circuit
        (4, "ACACAACACCACAACACACCACAA"),
    ],
)
def test_klet_shuffles_are_uniform_over_all_sequences_with_the_same_counts(k, sequence):
    possible = all_with_same_klets(sequence, k)
    assert 5 < len(possible) < 2000 and sequence in possible
    n = 200 * len(possible)
    seen = Counter(text(row) for row in klet_shuffle(codes(sequence)[None], n, k=k, seed=11)[0])
    assert set(seen) == set(possible)
    assert chisquare([seen[each] for each in possible]).pvalue > 1e-4


def last_exits(sequence):
    """The base that each base leads to the last time that any follows it."""
    return dict(itertools.pairwise(sequence))


@pytest.mark.parametrize("sequence", ["ACAGATACAACG", "AACCGGTTACGT", "TTTATTCATTA"])
def test_as_often_as_with_tangermeme(sequence):
    """tangermeme keeps the last exit of each base as it is; those of ours that do are as frequent as each of theirs."""
    one_hot = torch.eye(4)[torch.from_numpy(codes(sequence)).long()].T[None]
    theirs = shuffle_of_tangermeme(one_hot, n=20_000, random_state=5)[0].argmax(1).numpy()
    theirs = Counter(text(row) for row in theirs)
    ours = Counter(text(row) for row in dinucleotide_shuffle(codes(sequence)[None], 20_000, seed=5)[0])
    with_the_same_exits = {each: n for each, n in ours.items() if last_exits(each) == last_exits(sequence)}
    assert set(with_the_same_exits) == set(theirs) and len(theirs) > 2
    assert len(ours) > len(theirs)
    assert chi2_contingency([[each[key] for key in theirs] for each in (with_the_same_exits, theirs)]).pvalue > 1e-4


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_long_sequences_keep_every_klet_and_both_ends(k):
    rng = np.random.default_rng(k)
    # Few kinds of k-let, so that there is much to choose at any k; and N, which must stay
    sequences = rng.choice(3, size=(6, 1500), p=[0.45, 0.45, 0.1]).astype(np.uint8)
    sequences[1, 700:704] = 4
    sequences[2, [0, 3, 900, 902, 1499]] = 4
    shuffled = klet_shuffle(sequences, 3, k=k, seed=1)
    for sequence, rows in zip(sequences, shuffled, strict=True):
        for row in rows:
            assert ((row == 4) == (sequence == 4)).all() and (row != sequence).any()
            for part, original in zip(text(row).split("N"), text(sequence).split("N"), strict=True):
                assert klets(part, k) == klets(original, k)
                assert part[: k - 1] == original[: k - 1]
                assert k == 1 or part[-(k - 1) :] == original[-(k - 1) :]
    assert len({row.tobytes() for row in shuffled.reshape(-1, 1500)}) == 18


@pytest.mark.parametrize("k", [1, 3, 6])
def test_klet_shuffles_do_not_depend_on_batch_n_or_start(k):
    sequences = np.random.default_rng(1).choice(5, (7, 200), p=[0.4, 0.4, 0.1, 0.09, 0.01]).astype(np.uint8)
    whole = klet_shuffle(sequences, 6, k=k, seed=5)
    np.testing.assert_array_equal(klet_shuffle(sequences[::-1], 6, k=k, seed=5), whole[::-1])
    np.testing.assert_array_equal(klet_shuffle(sequences[3:4], 2, k=k, seed=5, start=3), whole[3:4, 3:5])
    assert (klet_shuffle(sequences, 6, k=k, seed=6) != whole).any()


def test_dinucleotide_shuffles_are_klet_shuffles_of_two():
    sequences = np.random.default_rng(3).integers(0, 4, (3, 80)).astype(np.uint8)
    np.testing.assert_array_equal(
        dinucleotide_shuffle(sequences, 4, seed=8, start=2), klet_shuffle(sequences, 4, k=2, seed=8, start=2)
    )


def test_different_sequences_get_independent_shuffles():
    """Pairs (shuffle k of one sequence, shuffle k of another) fill the table of pairs evenly."""
    one, other = "ACATAGA", "CATCGTC"
    n = 40_000
    table = Counter(
        zip(
            (text(row) for row in dinucleotide_shuffle(codes(one)[None], n, seed=3)[0]),
            (text(row) for row in dinucleotide_shuffle(codes(other)[None], n, seed=3)[0]),
            strict=True,
        )
    )
    pairs = list(itertools.product(all_with_same_dinucleotides(one), all_with_same_dinucleotides(other)))
    assert len(pairs) > 8
    assert chisquare([table[pair] for pair in pairs]).pvalue > 1e-4


def test_long_sequences_keep_every_count_and_both_ends():
    rng = np.random.default_rng(0)
    sequences = rng.choice(4, size=(20, 1000), p=[0.4, 0.1, 0.2, 0.3]).astype(np.uint8)
    shuffled = dinucleotide_shuffle(sequences, 5, seed=1)
    assert shuffled.shape == (20, 5, 1000) and shuffled.dtype == np.uint8
    for sequence, rows in zip(sequences, shuffled, strict=True):
        for row in rows:
            assert dinucleotides(row.tolist()) == dinucleotides(sequence.tolist())
            assert (row[0], row[-1]) == (sequence[0], sequence[-1])
    # A shuffle agrees with its sequence about as often as two sequences of these base frequencies do.
    agreement = (shuffled == sequences[:, None]).mean()
    assert agreement == pytest.approx(0.4**2 + 0.1**2 + 0.2**2 + 0.3**2, abs=0.01)
    assert len({row.tobytes() for row in shuffled.reshape(-1, 1000)}) == 100


def test_does_not_depend_on_batch_order_n_or_start():
    sequences = np.random.default_rng(1).choice(5, (7, 60), p=[0.3, 0.2, 0.2, 0.28, 0.02]).astype(np.uint8)
    whole = dinucleotide_shuffle(sequences, 6, seed=5)
    order = [4, 2, 6, 0, 1, 5, 3]
    np.testing.assert_array_equal(dinucleotide_shuffle(sequences[order], 6, seed=5), whole[order])
    np.testing.assert_array_equal(dinucleotide_shuffle(sequences, 2, seed=5, start=3), whole[:, 3:5])
    np.testing.assert_array_equal(dinucleotide_shuffle(sequences[2:3].astype(int), 6, seed=5), whole[2:3])
    np.testing.assert_array_equal(dinucleotide_shuffle(sequences[::-1], 6, seed=5), whole[::-1])
    assert (dinucleotide_shuffle(sequences, 6, seed=6) != whole).any(axis=2).all()


def test_threads_change_nothing(monkeypatch):
    sequences = np.random.default_rng(2).integers(0, 4, (9, 50)).astype(np.uint8)
    alone = dinucleotide_shuffle(sequences, 40, seed=5)
    monkeypatch.setattr(seqlift.data.shuffle, "_BASES_WORTH_A_THREAD", 1000)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 4)
    np.testing.assert_array_equal(dinucleotide_shuffle(sequences, 40, seed=5), alone)


def test_n_keeps_its_place_and_parts_the_sequence():
    sequence = "NNACAGATACANTTTATTCATTANGN"
    rows = dinucleotide_shuffle(codes(sequence)[None], 300, seed=2)[0]
    left, right = set(), set()
    for row in rows:
        parts = text(row).split("N")
        assert [len(part) for part in parts] == [len(part) for part in sequence.split("N")]
        left.add(parts[2])
        right.add(parts[3])
    assert left == set(all_with_same_dinucleotides("ACAGATACA"))
    assert right <= set(all_with_same_dinucleotides("TTTATTCATTA")) and len(right) > 20


@pytest.mark.parametrize("sequence", ["", "G", "N", "AC", "CC", "NA", "GGGGGGGG", "NNNNN", "ACG", "AAAAAC", "CAAAAA"])
def test_sequences_with_one_arrangement_stay_as_they_are(sequence):
    shuffled = dinucleotide_shuffle(codes(sequence).reshape(1, -1), 3, seed=0)
    assert shuffled.shape == (1, 3, len(sequence))
    assert all(text(row) == sequence for row in shuffled[0])


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("sequence", ["", "T", "ACGTT", "ACGTTA"])
def test_sequences_hardly_longer_than_k(k, sequence):
    for row in klet_shuffle(codes(sequence).reshape(1, -1), 20, k=k, seed=0)[0]:
        assert text(row) in all_with_same_klets(sequence, k) if len(sequence) >= k else text(row) == sequence


def test_empty_batches():
    assert dinucleotide_shuffle(np.zeros((0, 10), np.uint8), 3, seed=0).shape == (0, 3, 10)
    assert dinucleotide_shuffle(np.zeros((2, 10), np.uint8), 0, seed=0).shape == (2, 0, 10)


def test_largest_seed_and_start():
    sequence = np.random.default_rng(4).integers(0, 4, (1, 50))
    shuffled = dinucleotide_shuffle(sequence, 2, seed=2**64 - 1, start=2**63 - 1)
    assert dinucleotides(shuffled[0, 1].tolist()) == dinucleotides(sequence[0].tolist())


def test_a_walk_that_rarely_leaves_ends():
    """Two bases joined by many edges and one exit: Wilson's walk takes some thousand steps, and still ends."""
    sequence = codes("AC" * 2000 + "AG")
    row = dinucleotide_shuffle(sequence[None], 1, seed=0)[0, 0]
    assert text(row) == text(sequence)  # A and C alternate whatever the order: there is one arrangement


@pytest.mark.parametrize(
    ("sequences", "arguments", "words"),
    [
        (np.zeros((2, 4, 10), np.uint8), {}, r"shape \(N, L\)"),
        (np.zeros((2, 10), np.float32), {}, "float32"),
        (np.full((1, 10), 5), {}, "codes 5 to 5"),
        (np.full((1, 10), -1), {}, "codes -1"),
        (np.zeros((1, 10), int), {"seed": -1}, r"`seed` \(=-1\)"),
        (np.zeros((1, 10), int), {"start": -1}, r"`start` \(=-1\)"),
        (np.zeros((1, 10), int), {"n": -1}, r"`n` \(=-1\)"),
    ],
)
def test_wrong_arguments_are_named(sequences, arguments, words):
    with pytest.raises(SeqliftError, match=words):
        dinucleotide_shuffle(sequences, **({"n": 1, "seed": 0} | arguments))


@pytest.mark.parametrize("k", [0, 7, 2.0, "3"])
def test_a_wrong_k_is_named(k):
    with pytest.raises(SeqliftError, match=r"`k` \(=.*\) must be a whole number from 1 to 6"):
        klet_shuffle(np.zeros((1, 10), np.uint8), 1, k=k, seed=0)


def test_works_where_no_cache_can_be_written(tmp_path):
    """A copy of the package in a read-only folder, and a home folder that does not exist."""
    package = Path(seqlift.__file__).parent
    copy = tmp_path / "seqlift"
    for name in ("errors.py", "core/compiled.py", "data/shuffle.py"):
        folder = (copy / name).parent
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text("")
        (folder / "__pycache__").write_text("")  # in the place of numba's folder: even root cannot write there
        shutil.copy(package / name, folder)
    code = (
        "import numpy as np, seqlift.data.shuffle as s\n"
        "assert s._mix.__class__.__name__ == 'CPUDispatcher'\n"
        "print(s.dinucleotide_shuffle(np.array([[0, 1, 0, 2, 0]]), 1, seed=0).shape)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_CACHE", "XDG_"))}
    environment |= {"PYTHONPATH": str(tmp_path), "HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "(1, 1, 5)"), done.stderr


def test_each_base_comes_at_each_place_as_often_as_in_all_arrangements():
    """Longer than the counts of whole sequences can test: the share of each base at each place."""
    sequence = "ACAGATACAATTC"
    possible = all_with_same_dinucleotides(sequence)
    shuffled = dinucleotide_shuffle(codes(sequence)[None], 20_000, seed=9)[0]
    for position in range(1, len(sequence) - 1):
        for base in "ACGT":
            expected = sum(each[position] == base for each in possible) / len(possible)
            spread = math.sqrt(expected * (1 - expected) / 20_000)
            assert abs((shuffled[:, position] == "ACGT".index(base)).mean() - expected) <= 5 * spread
