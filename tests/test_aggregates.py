"""An average around sites is the average of what lies there, along each site's strand, and nothing else."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fixtures.motif import FIRST, frequencies, one_hot, place, planted, write_scores
from seqlift.aggregates.averaging import aggregate
from seqlift.aggregates.writing import LOGO_FLANK, write_aggregate
from seqlift.cli import main
from seqlift.config import resolve_config
from seqlift.errors import SeqliftError
from seqlift.motifs.logos import PALETTES

ROOT = Path(__file__).parents[1]


def bed(path, rows):
    """Rows of (chrom, start, end) or more columns as a BED file."""
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def random_scores(tmp_path, coords, seed=0, name="x.h5", unknown=()):
    """Scores of random sequence with a base N at each (row, position) of `unknown`; codes (N, L), values (N, L)."""
    rng = np.random.default_rng(seed)
    n, length = len(coords), int(coords["end"].iloc[0] - coords["start"].iloc[0])
    codes = rng.integers(0, 4, (n, length))
    for row, position in unknown:
        codes[row, position] = 4
    hypothetical = rng.normal(size=(n, 4, length)).astype(np.float32)
    path = write_scores(tmp_path / name, coords, one_hot(codes), hypothetical)
    values = np.where(codes < 4, np.take_along_axis(hypothetical, np.minimum(codes, 3)[:, None], 1)[:, 0], np.nan)
    return path, codes, values


def by_hand(coords, codes, values, sites, flank):
    """The definition, one site and one position after another: {position: [(base, value), ...]}."""
    found = {position: [] for position in range(-flank, flank + 1)}
    used = 0
    for chrom, start, end, strand in sites:
        centre = (start + end) // 2 if strand != "-" else end - 1 - (end - start) // 2
        holds = [
            (abs(row.start + (row.end - row.start) // 2 - centre), row.start, row.name, row.Index)
            for row in coords.rename(columns={"name": "label"}).assign(name=coords["name"]).itertuples()
            if row.chrom == chrom and row.start <= centre < row.end
        ]
        if not holds:
            continue
        used += 1
        row = min(holds)[3]
        for position in found:
            place = centre + (position if strand != "-" else -position) - coords["start"][row]
            if 0 <= place < codes.shape[1] and codes[row, place] < 4:
                base = codes[row, place] if strand != "-" else 3 - codes[row, place]
                found[position].append((base, float(values[row, place])))
    return found, used


@pytest.mark.parametrize("length", [40, 41])
def test_table_is_the_definition_taken_literally(tmp_path, length):
    """Overlapping regions, both strands, sites at their ends and outside, N: against loops over sites and bases."""
    rng = np.random.default_rng(length)
    start = rng.integers(0, 400, 30)
    coords = pd.DataFrame({"chrom": rng.choice(["chr1", "chr2"], 30), "start": start, "end": start + length})
    coords["name"], coords["strand"] = [f"r{29 - i}" for i in range(30)], "."
    coords.loc[7, ["chrom", "start", "end"]] = coords.loc[3, ["chrom", "start", "end"]]  # two at one place
    path, codes, values = random_scores(tmp_path, coords, unknown=[(0, 5), (0, 6), (9, 20)])
    starts = rng.integers(0, 440, 300)
    ends = starts + rng.integers(1, 12, 300)
    chroms, strands = rng.choice(["chr1", "chr2", "chr3"], 300), rng.choice(["+", "-", "."], 300)
    sites = list(zip(chroms.tolist(), starts.tolist(), ends.tolist(), strands.tolist(), strict=True))
    file = bed(tmp_path / "sites.bed", [(c, s, e, "x", 0, strand) for c, s, e, strand in sites])
    result = aggregate(path, file, flank=9)
    found, used = by_hand(coords, codes, values, sites, 9)
    assert result.summary.used == used and 0 < used < 300 and result.summary.outside == 300 - used
    for row in result.table.itertuples():
        here = found[row.position]
        heights = [value for _, value in here]
        assert row.n == len(here)
        np.testing.assert_allclose(row.mean, np.mean(heights), atol=1e-6)
        np.testing.assert_allclose(row.standard_error, np.std(heights, ddof=1) / len(here) ** 0.5, rtol=1e-4)
        for code, base in enumerate("ACGT"):
            share = sum(value for which, value in here if which == code) / len(here)
            np.testing.assert_allclose(getattr(row, base), share, atol=1e-6)


def test_a_motif_scanned_on_both_strands_comes_out_once(tmp_path):
    """Hits of even and odd width: base lies on base, whichever strand, and the logo reads the motif."""
    for motif in (FIRST, FIRST + "C"):
        sequences, hypothetical, instances = planted(200, motifs=(motif,))
        coords = place(200, 120, gap=30)
        path = write_scores(tmp_path / "m.h5", coords, sequences, hypothetical)
        starts = [coords["start"][row] + start for row, start, _, _ in instances]
        strands = [strand for *_, strand, _ in instances]
        sites = [("chr1", s, s + len(motif), "m", 0, t) for s, t in zip(starts, strands, strict=True)]
        result = aggregate(path, bed(tmp_path / "hits.bed", sites), flank=8)
        assert result.summary.minus == strands.count("-") > 10
        first = -(len(motif) // 2)  # of the motif, from the base at the site
        core = result.table[result.table["position"].between(first, first + len(motif) - 1)]
        assert "".join("ACGT"[i] for i in core[list("ACGT")].to_numpy().argmax(axis=1)) == motif
        shares = frequencies(motif)
        expected = 0.15 * (shares * np.log2(shares / 0.25)).sum(axis=0)  # a base is there as often as it contributes
        np.testing.assert_allclose(core["mean"], expected, atol=5 * core["standard_error"].max())
        outside = result.table.loc[~result.table.index.isin(core.index), "mean"]
        assert outside.abs().max() < 0.05 < core["mean"].min()


def test_summits_of_narrowpeaks_are_the_sites(tmp_path):
    coords = place(1, 50)
    path, _, values = random_scores(tmp_path, coords)
    file = bed(tmp_path / "p.narrowPeak", [("chr1", 3, 40, "p", 0, ".", 1, 1, 1, 30)])
    result = aggregate(path, file, flank=2)
    np.testing.assert_allclose(result.table["mean"], values[0, 31:36], rtol=1e-6)
    assert result.table["standard_error"].isna().all() and (result.table["n"] == 1).all()


def test_the_order_of_rows_and_blocks_does_not_matter(tmp_path, monkeypatch):
    coords = place(50, 60, gap=-20)
    path, codes, _ = random_scores(tmp_path, coords)
    rng = np.random.default_rng(1)
    starts = rng.integers(0, 1900, 400)
    rows = [("chr1", s, s + 1, "s", 0, strand) for s, strand in zip(starts, rng.choice(["+", "-"], 400), strict=True)]
    whole = aggregate(path, bed(tmp_path / "a.bed", rows), flank=15)
    order = rng.permutation(50)
    sequences, hypothetical = one_hot(codes), np.random.default_rng(0)
    hypothetical.integers(0, 4, (50, 60))
    hypothetical = hypothetical.normal(size=(50, 4, 60)).astype(np.float32)
    other = write_scores(
        tmp_path / "y.h5", coords.iloc[order].reset_index(drop=True), sequences[order], hypothetical[order]
    )
    monkeypatch.setattr("seqlift.aggregates.averaging._ROWS", 7)
    monkeypatch.setattr("seqlift.aggregates.averaging._SITES", 3)
    shuffled = aggregate(other, bed(tmp_path / "b.bed", [rows[i] for i in rng.permutation(400)]), flank=15)
    pd.testing.assert_frame_equal(whole.table, shuffled.table, rtol=1e-9)
    np.testing.assert_allclose(whole.heat[:, 15], shuffled.heat[:, 15], rtol=1e-6)


def test_heat_map_sorts_by_the_total_and_averages_neighbours(tmp_path, monkeypatch):
    coords = place(40, 30)
    path, _, values = random_scores(tmp_path, coords)
    file = bed(tmp_path / "s.bed", [("chr1", 30 * i + 15, 30 * i + 16) for i in range(40)])
    rows = aggregate(path, file, flank=5).heat
    windows = values[:, 10:21]
    order = np.argsort(-windows.sum(axis=1))
    np.testing.assert_allclose(rows, windows[order], rtol=1e-6)
    monkeypatch.setattr("seqlift.aggregates.averaging.HEAT_ROWS", 10)
    np.testing.assert_allclose(
        aggregate(path, file, flank=5).heat, windows[order].reshape(10, 4, 11).mean(axis=1), rtol=1e-5, atol=1e-7
    )


def test_beyond_the_region_is_no_score_not_zero(tmp_path):
    coords = place(3, 20, gap=100)
    path, _, values = random_scores(tmp_path, coords, unknown=[(1, 9)])
    file = bed(tmp_path / "s.bed", [("chr1", 2, 3), ("chr1", 130, 131), ("chr1", 60, 61), ("chr9", 1, 2)])
    result = aggregate(path, file, flank=4)
    assert result.table["n"].tolist() == [1, 1, 2, 1, 2, 2, 2, 2, 2]
    assert (result.summary.used, result.summary.outside, result.summary.cut) == (2, 2, 2)
    np.testing.assert_allclose(result.table["mean"][3], values[0, 1], rtol=1e-6)
    assert np.isnan(result.heat).sum() == 3


def test_files_are_whole_and_always_the_same(tmp_path):
    coords = place(5, 60)
    path, *_ = random_scores(tmp_path, coords)
    file = bed(tmp_path / "s.bed", [("chr1", 60 * i + 30, 60 * i + 31, "s", 0, "+-"[i % 2]) for i in range(5)])
    for folder in ("one", "two"):
        files = write_aggregate(aggregate(path, file, flank=25), tmp_path / folder / "factor.deeplift")
    assert [x.name for x in files] == [f"factor.deeplift.{end}" for end in ("tsv", "json", "svg", "png")]
    for one in files:
        assert one.read_bytes() == (tmp_path / "one" / one.name).read_bytes()
    table = pd.read_csv(files[0], sep="\t")
    assert list(table) == ["position", "mean", "standard_error", "n", "A", "C", "G", "T"]
    np.testing.assert_allclose(table[list("ACGT")].sum(axis=1), table["mean"], atol=1e-5)
    summary = json.loads(files[1].read_text())
    assert summary["format"] == "seqlift aggregate 1" and summary["minus"] == 2 and summary["message"] == ""
    letters = len(re.findall(r'<path d="M[^"]{200,}', files[2].read_text()))
    assert letters >= 4  # A C G T of the logo
    assert len(table) > 2 * LOGO_FLANK + 1


def test_no_site_in_a_region_is_said_in_all_files(tmp_path, capsys):
    path, *_ = random_scores(tmp_path, place(2, 30))
    file = bed(tmp_path / "s.bed", [("chr1", 5000, 5001)])
    flags = ["--scores", str(path), "--sites", str(file), "--output-prefix", str(tmp_path / "o" / "p")]
    assert main(["aggregate", *flags]) == 0
    assert "None of the 1 sites lies in a scored region" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "o" / "p.tsv", sep="\t")
    assert (table["n"] == 0).all() and table["mean"].isna().all() and len(table) == 101
    assert (tmp_path / "o" / "p.png").stat().st_size > 1000


def test_a_file_may_have_any_name(tmp_path):
    path, *_ = random_scores(tmp_path, place(2, 30))
    result = aggregate(path, bed(tmp_path / r"a$\b<&$.bed", [("chr1", 5, 6)]), flank=3)
    assert write_aggregate(result, tmp_path / "p")[2].stat().st_size > 1000


def test_the_command_counts_the_sites(tmp_path, capsys):
    path, *_ = random_scores(tmp_path, place(2, 200))
    file = bed(tmp_path / "s.bed", [("chr1", 100, 101), ("chr1", 210, 212), ("chr1", 5000, 5001)])
    flags = ["--scores", str(path), "--sites", str(file), "--output-prefix", str(tmp_path / "p"), "--flank", "20"]
    assert main(["aggregate", *flags]) == 0
    said = f"{tmp_path / 'p.tsv'}: 2 of 3 sites; 1 lie outside the scored regions, 1 reach beyond one or hold N\n"
    assert capsys.readouterr().out == said


def test_colours_are_those_of_the_logos(tmp_path):
    path, *_ = random_scores(tmp_path, place(5, 60))
    result = aggregate(path, bed(tmp_path / "s.bed", [("chr1", 60 * i + 30, 60 * i + 31) for i in range(5)]), flank=9)
    for name, palette in PALETTES.items():
        picture = write_aggregate(result, tmp_path / name, colours=name)[2].read_text()
        used = {colour for one in PALETTES.values() for colour in one.values() if f"fill: {colour}" in picture}
        assert used - {"#255c99"} == set(palette.values()) - {"#255c99"}  # the profile is of this blue, too
    with pytest.raises(SeqliftError, match=r"`colours` .* must be one of classic"):
        write_aggregate(result, tmp_path / "x", colours="pink")


def test_the_config_names_sites_that_are_wrong(tmp_path):
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    config = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text()) | {"data_dir": str(tmp_path)}
    (tmp_path / "mine.bed").write_text("sim1\t5\t6\n")
    right = {"aggregate": {"sites": {"planted": "truth.bed", "mine": "mine.bed"}, "flank": 30}}
    assert resolve_config(config | right, schema)["aggregate"] == right["aggregate"]
    del config["aggregate"]
    assert resolve_config(config, schema)["aggregate"] == {"sites": {}, "flank": 50}
    wrong = {"sites": {"gone": "gone.bed", "a/b": "mine.bed", "number": 5}, "flank": 0}
    with pytest.raises(SeqliftError) as raised:
        resolve_config(config | {"aggregate": wrong}, schema)
    said = str(raised.value)
    assert "4 mistakes" in said
    assert "aggregate.sites.gone (='gone.bed') is missing: there is no file" in said
    assert "aggregate.sites (='a/b') must be named with letters" in said
    assert "aggregate.sites.number (=5) must be text" in said and "aggregate.flank (=0) must be at least 1" in said


@pytest.mark.parametrize(
    ("text", "flank", "said"),
    [
        ("chr1\t5\t6\n", "0", "`flank` (=0)"),
        ("1\t5\t6\nX\t5\t6\n", "5", "none of its chromosomes ('1', 'X', ...) has scores in"),
        ("chr1\t5\t4\n", "5", "s.bed:1: start (5) must be smaller than end (4)"),
        ("", "5", "s.bed: holds no peak"),
    ],
)
def test_wrong_input_is_one_clear_line_and_leaves_nothing(tmp_path, capsys, text, flank, said):
    path, *_ = random_scores(tmp_path, place(2, 30))
    (tmp_path / "s.bed").write_text(text)
    flags = ["--scores", str(path), "--sites", str(tmp_path / "s.bed"), "--flank", flank]
    assert main(["aggregate", *flags, "--output-prefix", str(tmp_path / "out" / "p")]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
