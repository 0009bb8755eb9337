"""Duplicates: equal sequences of either strand get one number, and stay in one split."""

import numpy as np
import pandas as pd
import pytest

from seqlift.data.genome import Genome
from seqlift.regions import duplicates
from seqlift.regions.duplicates import repeated_in_another_split, sequence_digests

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@pytest.mark.parametrize("bases_at_once", [2**23, 60])
def test_sequences_are_alike_as_their_letters_are(tmp_path, monkeypatch, bases_at_once):
    monkeypatch.setattr(duplicates, "_BASES_AT_ONCE", bases_at_once)
    rng = np.random.default_rng(1)
    pieces = ["".join(rng.choice(list("ACGTN"), 20)) for _ in range(30)]
    pieces += [piece.translate(COMPLEMENT)[::-1] for piece in pieces[:10]] + [piece[::-1] for piece in pieces[10:15]]
    pieces += (
        [piece.translate(COMPLEMENT) for piece in pieces[15:20]] + pieces[20:24] + ["ACGT" * 5, "A" * 20, "T" * 20]
    )
    order = rng.permutation(len(pieces))
    half = len(pieces) // 2
    (tmp_path / "g.fa").write_text(
        f">c1\n{''.join(pieces[i] for i in order[:half])}\n>c2\n{''.join(pieces[i] for i in order[half:])}\n"
    )
    places = {i: ("c1", 20 * at) for at, i in enumerate(order[:half])}
    places |= {i: ("c2", 20 * at) for at, i in enumerate(order[half:])}
    table = pd.DataFrame([places[i] for i in range(len(pieces))], columns=["chrom", "start"])
    with Genome(tmp_path / "g.fa", cache_dir=tmp_path) as genome:
        digests = sequence_digests(table.assign(end=table["start"] + 20), genome)
    same = digests[:, None] == digests[None, :]
    expected = [[a == b or a == b.translate(COMPLEMENT)[::-1] for b in pieces] for a in pieces]
    assert same.tolist() == expected
    assert np.sum(expected) == len(pieces) + 2 * (10 + 4 + 1)


def test_a_sequence_stays_in_one_split_and_its_peaks_come_first():
    rng = np.random.default_rng(2)
    splits = ["test", "valid", "train"]
    for _ in range(100):
        digests = rng.integers(0, 6, 20)
        table = pd.DataFrame(
            {"split": rng.choice(splits, 20), "kind": rng.choice(["peak", "genome"], 20, p=[0.3, 0.7])}
        )
        dropped = repeated_in_another_split(digests, table, splits)
        for digest in np.unique(digests):
            rows = table[digests == digest]
            peaks = rows[rows["kind"] == "peak"]
            keeper = min((peaks if len(peaks) else rows)["split"], key=splits.index)
            assert (dropped[digests == digest] == (rows["split"] != keeper)).all()
