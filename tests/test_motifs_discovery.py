"""Planted motifs come back as patterns, named, oriented and placed right; where there is nothing, the files say why."""

import gzip
import json
from dataclasses import asdict

import h5py
import numpy as np
import pandas as pd
import pytest

from fixtures.motif import FIRST, SECOND, frequencies, one_hot, place, planted, reverse_complement, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.motifs.database import Database, read_meme
from seqlift.motifs.discovery import discover
from seqlift.motifs.folder import read_motifs
from seqlift.motifs.output import PATTERN_COLUMNS, consensus
from seqlift.motifs.settings import ModiscoSettings


def known_motifs():
    """The planted motifs (the second as its reverse complement) among 60 others."""
    rng = np.random.default_rng(8)
    others = [rng.dirichlet([0.1] * 4, rng.integers(7, 13)).T for _ in range(60)]
    return Database(
        "known",
        "",
        ("K1", "K2", *(f"X{i}" for i in range(60))),
        ("first", "second", *(f"other {i}" for i in range(60))),
        (frequencies(FIRST), reverse_complement(frequencies(SECOND)), *others),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run on 300 regions with both motifs."""
    folder = tmp_path_factory.mktemp("motifs")
    sequences, hypothetical, instances = planted(300, 120)
    coords = place(300, 120, gap=50)
    scores = write_scores(folder / "scores.h5", coords, sequences, hypothetical)
    summary = discover(scores, folder / "out", database=known_motifs())
    return folder, scores, coords, instances, summary


def read_table(folder):
    return pd.read_csv(folder / "patterns.tsv", sep="\t", keep_default_na=False)


def test_the_planted_motifs_are_found_and_named(run):
    folder, *_, summary = run
    table = read_table(folder / "out")
    assert list(table.columns) == PATTERN_COLUMNS
    assert set(table["name"]) == {"first", "second"} and set(table["match_id"]) == {"K1", "K2"}
    assert (table["p"] < 1e-4).all() and (table["q"] < 1e-4).all() and (table["p"] <= table["q"]).all()
    assert list(table["seqlets"]) == sorted(table["seqlets"], reverse=True)
    assert list(table["pattern"]) == [f"pos_{i}" for i in range(len(table))]
    assert (table["width"] == table["trim_end"] - table["trim_start"]).all()
    assert (table["mean_contribution"] > 0).all() and (table["information"] > 10).all()
    assert summary.message == "" and summary.named == summary.patterns == len(table)


def test_patterns_read_the_way_their_known_motif_does(run):
    folder, *_ = run
    for row in read_table(folder / "out").itertuples():
        wanted = FIRST if row.name == "first" else consensus(reverse_complement(frequencies(SECOND)))
        # The made-up motif may miss a base at its weak ends; in the other direction not half of it would fit.
        assert wanted[1:-2] in row.consensus


def test_the_strand_says_how_the_shown_pattern_lies_in_tf_modiscos_own_file(run):
    folder, *_ = run
    with h5py.File(folder / "out/modisco.h5") as file:
        for i, row in enumerate(read_table(folder / "out").itertuples()):
            theirs = file[f"pos_patterns/pattern_{i}/sequence"][:].T[:, row.trim_start : row.trim_end]
            shown = theirs if row.strand == "+" else reverse_complement(theirs)
            assert consensus(shown) == row.consensus
            assert file[f"pos_patterns/pattern_{i}/seqlets/n_seqlets"][0] == row.seqlets


def test_the_meme_file_holds_the_shown_patterns(run):
    folder, *_ = run
    table = read_table(folder / "out").set_index("pattern")
    motifs = read_meme(folder / "out/patterns.meme")
    assert list(motifs) == list(table.index)
    for pattern, (name, matrix) in motifs.items():
        assert name == table.loc[pattern, "name"]
        assert matrix.shape[1] == table.loc[pattern, "width"] and consensus(matrix) == table.loc[pattern, "consensus"]
    text = (folder / "out/patterns.meme").read_text()
    assert [int(part.split()[0]) for part in text.split("nsites= ")[1:]] == list(table["seqlets"])
    shares = text.split("Background letter frequencies\n")[1].split("\n")[0].split()[1::2]
    assert sum(map(float, shares)) == pytest.approx(1, abs=1e-4) and shares[0] == shares[3]


def test_seqlets_lie_on_planted_sites_and_read_as_the_logo_does(run):
    folder, _, coords, instances, _ = run
    table = read_table(folder / "out").set_index("pattern")
    with gzip.open(folder / "out/seqlets.bed.gz", "rt") as handle:
        seqlets = pd.read_csv(handle, sep="\t")
    assert list(seqlets.columns[:6]) == ["#chrom", "start", "end", "pattern", "score", "strand"]
    assert len(seqlets) == table["seqlets"].sum() and seqlets["start"].is_monotonic_increasing
    assert seqlets["score"].between(0, 1000).all() and seqlets["score"].max() == 1000
    truth = {(row, index): (start, strand) for row, start, strand, index in instances}
    starts = coords.set_index("name")["start"]
    right = 0
    for one in seqlets.itertuples():
        index = 0 if table.loc[one.pattern, "name"] == "first" else 1
        width = len((FIRST, SECOND)[index])
        start, strand = truth[int(one.region.split("_")[1]), index]
        strand = strand if index == 0 else {"+": "-", "-": "+"}[strand]  # known as its reverse complement
        begin = starts[one.region] + start
        covered = min(one.end, begin + width) - max(one.start, begin)
        right += covered >= width - 2 and one.strand == strand
    assert right >= 0.95 * len(seqlets)


def test_a_seqlets_contribution_is_the_sum_over_its_bases(run):
    folder, scores, coords, *_ = run
    with gzip.open(folder / "out/seqlets.bed.gz", "rt") as handle:
        seqlets = pd.read_csv(handle, sep="\t").head(20)
    rows = {name: row for row, name in enumerate(coords["name"])}
    with h5py.File(scores) as file:
        contributions = file["projected_shap/seq"][:].sum(axis=1)
    for one in seqlets.itertuples():
        row = rows[one.region]
        begin = one.start - coords["start"][row]
        assert contributions[row, begin : begin + one.end - one.start].sum() == pytest.approx(
            one.contribution, rel=1e-4
        )


def test_the_summary_says_what_was_searched_and_how(run):
    folder, *_ = run
    table = read_table(folder / "out")
    summary = json.loads((folder / "out/motifs.json").read_text())
    assert summary["format"] == "seqlift motifs 2" and summary["target"] == "factor" and summary["fold"] is None
    assert summary["seqlets"]["positive"] == table["seqlets"].sum() and summary["seqlets"]["negative"] == 0
    assert summary["settings"]["window"] == 120 and summary["settings"]["seed"] == 1  # regions are not longer
    assert summary["settings"]["tfmodisco"] == asdict(ModiscoSettings())
    assert summary["database"] == {"name": "known", "release": "", "motifs": 62}
    shares = summary["background"]
    assert list(shares) == list("ACGT") and sum(shares.values()) == pytest.approx(1) and shares["A"] == shares["T"]


def test_a_second_run_with_other_blocks_gives_the_same_files(run, tmp_path, monkeypatch):
    folder, scores, *_ = run
    monkeypatch.setattr("seqlift.motifs.discovery._ROWS", 7)
    for name in ("hits.json", "hits.bed.gz", "my_notes.txt"):
        (tmp_path / "again").mkdir(exist_ok=True)
        (tmp_path / "again" / name).write_text("older")
    discover(scores, tmp_path / "again", database=known_motifs())
    (tmp_path / "again/my_notes.txt").unlink()  # other files stay; hits of older patterns are deleted
    first, second = (
        {path.name: path.read_bytes() for path in place.iterdir()} for place in (folder / "out", tmp_path / "again")
    )
    assert first.keys() == second.keys()
    for name, content in first.items():
        if name != "modisco.h5":  # HDF5 stores the time
            assert content == second[name], name


def test_rows_of_tf_modiscos_file_are_rows_of_the_score_file(run):
    folder, scores, *_ = run
    with h5py.File(folder / "out/modisco.h5") as found, h5py.File(scores) as file:
        for pattern in found["pos_patterns"].values():
            seqlets = pattern["seqlets"]
            for k in range(0, len(seqlets["start"]), 10):
                row, start, end = (int(seqlets[key][k]) for key in ("example_idx", "start", "end"))
                sequence = file["raw/seq"][row, :, start:end]
                sequence = reverse_complement(sequence) if seqlets["is_revcomp"][k] else sequence
                np.testing.assert_array_equal(seqlets["sequence"][k].T, sequence)


def test_negative_patterns_and_the_middle_of_longer_regions(tmp_path):
    sequences, hypothetical, instances = planted(300, 120, motifs=(FIRST,), seed=3)
    rng = np.random.default_rng(0)
    wide = one_hot(rng.integers(0, 4, (300, 200)))
    wide[:, :, 40:160] = sequences
    scores = rng.normal(0, 0.02, (300, 4, 200))
    scores[:, :, 40:160] = -hypothetical
    path = write_scores(tmp_path / "s.h5", place(300, 200), wide, scores)
    with h5py.File(path, "r+") as file:
        file.attrs["fold"] = 2
    summary = discover(path, tmp_path / "out", database=known_motifs(), window=120)
    assert json.loads((tmp_path / "out/motifs.json").read_text())["fold"] == 2
    # Patterns that lower the output are in a MEME file of their own.
    assert list(read_meme(tmp_path / "out/patterns_negative.meme")) == list(read_table(tmp_path / "out")["pattern"])
    assert "MOTIF" not in (tmp_path / "out/patterns.meme").read_text()
    table = read_table(tmp_path / "out")
    assert table["pattern"][0] == "neg_0" and table["name"][0] == "first" and table["mean_contribution"][0] < 0
    assert summary.seqlets["negative"] == table["seqlets"].sum() and summary.settings["window"] == 120
    truth = {(row, 40 + start) for row, start, *_ in instances}
    with gzip.open(tmp_path / "out/seqlets.bed.gz", "rt") as handle:
        seqlets = pd.read_csv(handle, sep="\t")
    near = [
        any((one.start // 200, one.start % 200 + shift) in truth for shift in range(-1, 5))
        for one in seqlets.itertuples()
    ]
    assert np.mean(near) > 0.95


def nothing(tmp_path, sequences, hypothetical):
    path = write_scores(tmp_path / "s.h5", place(len(sequences), sequences.shape[2]), sequences, hypothetical)
    summary = discover(path, tmp_path / "out", database=known_motifs())
    assert summary.patterns == 0 and len(read_table(tmp_path / "out")) == 0
    assert list(read_table(tmp_path / "out").columns) == PATTERN_COLUMNS
    text = (tmp_path / "out/patterns.meme").read_text()
    assert text.startswith("MEME version 4") and "MOTIF" not in text
    assert (tmp_path / "out/patterns_negative.meme").read_text() == text
    with gzip.open(tmp_path / "out/seqlets.bed.gz", "rt") as handle:
        assert handle.read().startswith("#chrom\tstart\tend")
    with h5py.File(tmp_path / "out/modisco.h5") as file:
        assert not file.keys()
    assert json.loads((tmp_path / "out/motifs.json").read_text())["message"] == summary.message
    return summary.message


def test_where_nothing_is_found_the_message_says_why(tmp_path):
    rng = np.random.default_rng(0)
    sequences = one_hot(rng.integers(0, 4, (40, 100)))
    assert "all scores are zero" in nothing(tmp_path, sequences, np.zeros((40, 4, 100)))
    message = nothing(tmp_path, sequences, rng.normal(size=(40, 4, 100)))
    assert "too few regions" in message and f"more than {ModiscoSettings().min_metacluster_size} of a sign" in message
    assert "0 positive and 0 negative" in nothing(tmp_path, sequences, np.full((40, 4, 100), 0.5))
    assert "0 positive and 0 negative" in nothing(tmp_path, sequences, np.abs(rng.normal(size=(40, 4, 100))))
    assert "all scores are zero" in nothing(tmp_path, one_hot(np.full((5, 100), 4)), np.zeros((5, 4, 100)))


def test_seqlets_that_are_all_different_make_no_pattern_and_a_message(tmp_path):
    rng = np.random.default_rng(0)
    sequences = one_hot(rng.integers(0, 4, (600, 100)))
    assert "too different" in nothing(tmp_path, sequences, rng.normal(size=(600, 4, 100)))


def test_what_cannot_be_searched_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    sequences, hypothetical = one_hot(rng.integers(0, 4, (3, 40))), rng.normal(size=(3, 4, 40))
    path = write_scores(tmp_path / "s.h5", place(3, 40), sequences, hypothetical)

    def refuse(message, **settings):
        with pytest.raises(SeqliftError, match=message):
            discover(path, tmp_path / "out", **{"database": known_motifs(), **settings})
        assert not (tmp_path / "out").exists()

    refuse(r"needs 50 bp, but each region has only 40 bp.*`lengths`")
    refuse(r"`window` \(=30\) must be at least 50 bp", window=30)
    refuse(r"`max_seqlets` \(=100\) must be more than .*min_metacluster_size", max_seqlets=100)
    refuse(r"`threshold` \(=0\) must be", threshold=0)
    refuse(r"'jaspar:fish' does not exist", database="jaspar:fish")

    sequences, hypothetical = one_hot(rng.integers(0, 4, (3, 60))), rng.normal(size=(3, 4, 60))
    path = write_scores(tmp_path / "long.h5", place(3, 60), sequences, hypothetical)
    with h5py.File(path, "r+") as file:
        file["shap/seq"][2, 0, 30] = np.nan
    refuse(r"long.h5: the hypothetical contributions of row 2 are not finite")
    path = write_scores(tmp_path / "actual.h5", place(3, 60), sequences, sequences * hypothetical)
    refuse(r"actual.h5: `shap/seq` is zero at all bases that are not in the sequence: these are contributions, not hyp")
    path = write_scores(tmp_path / "unknown.h5", place(3, 60), sequences, hypothetical)
    with h5py.File(path, "r+") as file:
        file.attrs["hypothetical"] = "unknown"
    refuse(r"unknown.h5: its hypothetical contributions are unknown")


def test_settings_of_tf_modisco_are_checked_by_name_and_used(run, tmp_path, capsys):
    _, scores, *_ = run
    command = ["motifs", "--scores", str(scores), "--database", "jaspar:fungi", "--output-dir", str(tmp_path / "out")]

    def refuse(message, *pairs):
        assert main([*command, "--tfmodisco", *pairs]) == 1
        assert message in capsys.readouterr().err and not (tmp_path / "out").exists()

    refuse("`core` is an unknown setting; there are sliding_window_size", "core=3")
    refuse("`n_leiden_runs` (='many') must be", "n_leiden_runs=many")
    refuse("`flank_size` (=0) must be", "flank_size=0")
    refuse("`target_seqlet_fdr` (=1.0) must be", "target_seqlet_fdr=1")
    refuse("`min_metacluster_size` (=5) must be", "min_metacluster_size=5")
    refuse("min_passing_windows_frac (=0.5)", "min_passing_windows_frac=0.5")
    refuse("`window` (=200) must be at least 220", "trim_to_window_size=200", "initial_flank_to_add=0")
    refuse("needs 130 bp, but each region has only 120 bp", "sliding_window_size=100")
    assert main([*command, "--tfmodisco", "trim_to_window_size=16", "initial_flank_to_add=1"]) == 0
    patterns = read_motifs(tmp_path / "out").patterns
    assert patterns and all(pattern.frequencies.shape == (4, 18) for pattern in patterns)


def test_the_command_prints_what_it_found_and_what_is_wrong(run, tmp_path, capsys):
    _, scores, *_ = run
    known = known_motifs()
    lines = ["MEME version 4", ""]
    for identifier, name, matrix in zip(known.ids, known.names, known.matrices, strict=True):
        lines += [f"MOTIF {identifier} {name}", f"letter-probability matrix: alength= 4 w= {matrix.shape[1]}"]
        lines += [" ".join(f"{share:.5f}" for share in column) for column in matrix.T]
    (tmp_path / "known.meme").write_text("\n".join(lines) + "\n")
    command = ["motifs", "--scores", str(scores), "--output-dir", str(tmp_path / "out"), "--database"]
    assert main([*command, str(tmp_path / "known.meme"), "--max-seqlets", "1500", "--window", "120"]) == 0
    printed = capsys.readouterr().out
    assert "2 patterns in 300 regions" in printed and "first" in printed and "second" in printed
    assert set(read_table(tmp_path / "out")["name"]) == {"first", "second"}
    assert main([*command, str(tmp_path / "none.meme")]) == 1
    assert "none.meme: no such file" in capsys.readouterr().err

    empty = write_scores(tmp_path / "zero.h5", place(3, 60), one_hot(np.zeros((3, 60), int)), np.zeros((3, 4, 60)))
    command = ["motifs", "--scores", str(empty), "--output-dir", str(tmp_path / "zero"), "--database"]
    assert main([*command, str(tmp_path / "known.meme")]) == 0
    assert "all scores are zero" in capsys.readouterr().out


def test_consensus_letters_follow_cavener():
    columns = [
        [0.6, 0.2, 0.1, 0.1],
        [0.5, 0.3, 0.1, 0.1],
        [0.52, 0.28, 0.1, 0.1],
        [0.3, 0.3, 0.2, 0.2],
        [0, 0, 0.4, 0.6],
    ]
    assert consensus(np.array(columns).T) == "AMMNK"
