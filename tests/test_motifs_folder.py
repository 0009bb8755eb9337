"""A folder of motifs is read as it was written, positions count from a region's start, what is broken is named."""

import gzip
import json
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from fixtures.motif import FIRST, SECOND, frequencies, one_hot, place, planted, reverse_complement, write_scores
from seqlift.errors import SeqliftError
from seqlift.motifs.database import Database, read_meme
from seqlift.motifs.discovery import discover
from seqlift.motifs.folder import base_frequencies, read_motifs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Motifs of 300 regions of 180 bp, of which the middle 120 contain both motifs and are searched."""
    folder = tmp_path_factory.mktemp("folder")
    sequences, hypothetical, _ = planted(300, 120)
    rng = np.random.default_rng(0)
    wide, scores = one_hot(rng.integers(0, 4, (300, 180))), rng.normal(0, 0.02, (300, 4, 180))
    wide[:, :, 30:150], scores[:, :, 30:150] = sequences, hypothetical
    path = write_scores(folder / "scores.h5", place(300, 180), wide, scores)
    rng = np.random.default_rng(8)
    others = tuple(rng.dirichlet([0.1] * 4, rng.integers(7, 13)).T for _ in range(60))
    # "NA" and "1e5" are names like others, and the second motif is known as its reverse complement.
    known = Database(
        "known",
        "",
        ("K1", "K2", *(f"X{i}" for i in range(60))),
        ("NA", "1e5", *(f"other {i}" for i in range(60))),
        (frequencies(FIRST), reverse_complement(frequencies(SECOND)), *others),
    )
    discover(path, folder / "out", database=known, window=120)
    return folder / "out", wide, scores


def test_names_are_text_and_the_summary_is_that_of_the_file(run):
    folder, *_ = run
    motifs = read_motifs(folder)
    assert set(motifs.table["name"]) == {"NA", "1e5"}
    assert [pattern.name for pattern in motifs.patterns] == list(motifs.table["pattern"])
    assert motifs.summary == json.loads((folder / "motifs.json").read_text())
    assert motifs.summary["settings"]["offset"] == 30 and motifs.summary["fold"] is None


def test_shown_is_what_the_meme_file_holds(run):
    folder, *_ = run
    motifs, meme = read_motifs(folder), read_meme(folder / "patterns.meme")
    assert any(pattern.flipped for pattern in motifs.patterns) and not all(p.flipped for p in motifs.patterns)
    for pattern in motifs.patterns:
        np.testing.assert_allclose(pattern.shown("pfm"), meme[pattern.name][1], atol=1e-5)
        cwm = pattern.contributions[:, pattern.start : pattern.end]
        np.testing.assert_array_equal(pattern.shown("cwm"), reverse_complement(cwm) if pattern.flipped else cwm)
        assert pattern.shown("hcwm").shape == pattern.shown("pfm").shape


def test_seqlets_lie_where_the_score_file_has_them(run):
    """The mean of the seqlets on their strands is the pattern: rows, starts and strands are those of the score file."""
    folder, sequences, scores = run
    for pattern in read_motifs(folder).patterns:
        width = pattern.frequencies.shape[1]
        places = list(zip(pattern.rows, pattern.starts, pattern.reverse, strict=True))
        for whole, mean in ((sequences, pattern.frequencies), (scores, pattern.hypothetical)):
            cut = [whole[row, :, start : start + width] for row, start, _ in places]
            cut = [reverse_complement(x) if reverse else x for x, (*_, reverse) in zip(cut, places, strict=True)]
            np.testing.assert_allclose(np.mean(cut, axis=0), mean, atol=1e-5)


def test_seqlets_agree_with_the_bed_file(run):
    folder, *_ = run
    with gzip.open(folder / "seqlets.bed.gz", "rt") as handle:
        bed = pd.read_csv(handle, sep="\t")
    for pattern in read_motifs(folder).patterns:
        width = pattern.frequencies.shape[1]
        starts = pattern.starts + np.where(pattern.reverse, width - pattern.end, pattern.start)
        ours = sorted(
            zip(180 * pattern.rows + starts, np.where(pattern.reverse ^ pattern.flipped, "-", "+"), strict=True)
        )
        theirs = bed[bed["pattern"] == pattern.name]
        assert ours == sorted(zip(theirs["start"], theirs["strand"], strict=True))


def test_frequencies_are_those_of_the_bases_that_are_there():
    counts = np.array([[3, 1, 0, 0], [0, 0, 0, 0], [0.2, 0.2, 0.2, 0.2]]).T
    np.testing.assert_allclose(base_frequencies(counts).T, [[0.75, 0.25, 0, 0], [0.25] * 4, [0.25] * 4])


def _forget(path):
    path.unlink()


def _other_format(path):
    path.write_text(path.read_text().replace("seqlift motifs 2", "seqlift motifs 1"))


def _drop_a_row(path):
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def _drop_a_pattern(path):
    with h5py.File(path, "r+") as file:
        del file["pos_patterns/pattern_0"]


def _garbage(path):
    path.write_bytes(b"\xff\x00\x01")


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("motifs.json", _forget, r"motifs.json: no such file, so this is no folder of motifs"),
        ("motifs.json", _other_format, r"motifs.json: its `format` is 'seqlift motifs 1', not 'seqlift motifs 2'"),
        ("motifs.json", _garbage, r"motifs.json: cannot be read"),
        ("patterns.tsv", _forget, r"patterns.tsv: no such file"),
        ("patterns.tsv", _garbage, r"patterns.tsv: cannot be read as a table of patterns"),
        ("patterns.tsv", _drop_a_row, r"modisco.h5: .* 2 .*patterns.tsv 1"),
        ("modisco.h5", _forget, r"modisco.h5: no such file"),
        ("modisco.h5", _garbage, r"modisco.h5: cannot be read as the patterns of patterns.tsv"),
        ("modisco.h5", _drop_a_pattern, r"modisco.h5: cannot be read as the patterns of patterns.tsv \(.*pattern_0"),
    ],
)
def test_what_is_broken_is_named_with_its_stage(run, tmp_path, name, change, message):
    shutil.copytree(run[0], tmp_path / "out")
    change(tmp_path / "out" / name)
    with pytest.raises(SeqliftError, match=message + ".*`seqlift motifs`"):
        read_motifs(tmp_path / "out")
