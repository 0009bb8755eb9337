"""Regions: rules of windows, shares, merging and labels against naive ones; and bad input as a user would meet it."""

import argparse
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.stages import make as make_regions
from seqlift.cli import regions as regions_command
from seqlift.core.settings import settings_from
from seqlift.data.targets import Target
from seqlift.errors import SeqliftError
from seqlift.regions.peaks import DROPPED
from seqlift.regions.settings import RegionSettings
from seqlift.regions.table import COLUMNS, read_regions, target_names, write_regions

SIZES = {"chr2": 30_000, "chr1": 40_000, "chr3": 30_000, "chrM": 3_000}
SETTINGS = {"length": 100, "valid": ["chr2"], "test": ["chr3"], "min_distance": 100, "seed": 1}


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    rng = np.random.default_rng(2)
    with open(folder / "genome.fa", "w") as file:
        for name, size in SIZES.items():
            bases = rng.choice(list("ACGT"), size)
            bases[5_000:5_060] = "N"
            file.write(f">{name}\n{''.join(bases)}\n")
    return folder / "genome.fa"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def few_peaks(monkeypatch):
    """Examples that one can count through need fewer peaks than a model does."""
    monkeypatch.setattr("seqlift.regions.peaks.MIN_PEAKS", 1)
    monkeypatch.setattr("seqlift.regions.make.MIN_PEAKS", 1)


def bed(path, rows):
    """Write BED6 rows (chrom, summit, score) of one base each."""
    path.write_text("".join(f"{chrom}\t{summit}\t{summit + 1}\tp\t{score}\t.\n" for chrom, summit, score in rows))
    return path


def everywhere(score=5, shift=0):
    """One peak in each split, far from everything else."""
    return [(chrom, 25_000 + shift, score) for chrom in ("chr1", "chr2", "chr3")]


def enough():
    """Four peaks in each split: no fewer are taken from a user."""
    return [row for shift in (0, 400, 800, 1200) for row in everywhere(shift=shift)]


def make(fasta, tmp_path, peaks, **changes):
    """Regions of targets given as {name: rows}."""
    targets = [Target(name, str(bed(tmp_path / f"{name}.bed", rows))) for name, rows in peaks.items()]
    return make_regions(fasta, targets, **(SETTINGS | changes))


def peak_rows(regions):
    return regions.table[regions.table["kind"] == "peak"]


def starts_on(regions, chrom):
    rows = peak_rows(regions)
    return rows.loc[rows["chrom"] == chrom, "start"].tolist()


def test_columns_labels_and_order_of_the_table(fasta, tmp_path):
    regions = make(fasta, tmp_path, {"A": [("chr1", 1_000, 9), *everywhere()], "B": everywhere(shift=20)})
    table = regions.table
    assert list(table.columns) == [*COLUMNS, "target:A", "target:B"]
    assert target_names(table) == ["A", "B"]
    assert (table["end"] - table["start"] == 100).all()
    assert (table["summit"] == table["start"] + 50).all()
    assert table["name"].is_unique
    assert table["chrom"].drop_duplicates().tolist() == ["chr2", "chr1", "chr3", "chrM"][: table["chrom"].nunique()]
    for _, rows in table.groupby("chrom"):
        assert rows["start"].is_monotonic_increasing
    row = table[table["start"] == 950].iloc[0]
    assert (row["kind"], row["split"], row["score"], row["source"]) == ("peak", "train", 9.0, "A.bed:1")
    assert (row["target:A"], row["target:B"]) == (1, 0)
    drawn = table[table["kind"] == "genome"]
    assert (drawn["source"] == "").all()
    assert drawn["score"].isna().all()
    assert not drawn[["target:A", "target:B"]].to_numpy().any()
    assert table.groupby("split")["kind"].value_counts().unstack().eq(0).sum().sum() == 0
    assert (table.loc[table["chrom"] == "chrM", "split"] == "train").all()


def test_every_peak_is_a_region_or_counted(tmp_path):
    """All rules at once, compared with what follows from the rules and the rows alone."""
    rng = np.random.default_rng(3)
    genome = {name: rng.choice(list("ACGT"), size) for name, size in SIZES.items()}
    genome["chr1"][10_000:10_060] = "N"
    genome["chr3"][2_000:3_000] = genome["chr1"][2_000:3_000]  # a repeat in train and test
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{''.join(bases)}\n" for name, bases in genome.items()))
    peaks = {
        name: [
            (chrom, int(summit), int(score))
            for chrom in SIZES
            for summit, score in zip(rng.integers(0, SIZES[chrom], 30), rng.integers(0, 500, 30), strict=True)
        ]
        for name in ("A", "B", "C")
    }
    peaks["A"] += [("chr1", 2_500, 501), ("chr3", 2_500, 501), ("chr1", 20_010, 501), ("chr1", 10_030, 501)]
    peaks["C"] += [("chr1", 30_025, 502), ("chr1", 30, 502)]
    excluded = [("chr1", 15_000, 16_000), ("chr2", 5_000, 6_000), ("chr3", 0, 1_000)]
    unlabelled = {name: ("chr1", 30_000, 30_050) for name in peaks}
    (tmp_path / "black.bed").write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in excluded))
    (tmp_path / "unlabelled.bed").write_text("chr1\t30000\t30050\n")
    targets = [
        Target(name, str(bed(tmp_path / f"{name}.bed", rows)), unlabelled=str(tmp_path / "unlabelled.bed"))
        for name, rows in peaks.items()
    ]
    regions = make_regions(
        tmp_path / "g.fa",
        targets,
        length=100,
        valid=["chr2"],
        test=["chr3", "chr1:20001-40000"],
        top_fraction=0.7,
        merge_distance=40,
        jitter=60,
        max_n_fraction=0.0,
        exclude_chromosomes=["chrM"],
        exclude_regions=[tmp_path / "black.bed"],
        ratio=0.5,
        min_distance=20,
        seed=1,
    )
    summary = regions.summary
    assert all(summary["dropped"][reason] > 0 for reason in DROPPED), summary["dropped"]
    assert len(peak_rows(regions)) + sum(summary["dropped"].values()) == 3 * 120 + 6
    used = sum(counts["used"] for counts in summary["peaks"].values())
    late = sum(summary["dropped"][reason] for reason in ("merged", "unlabelled", "duplicate"))
    assert used == len(peak_rows(regions)) + late

    def is_masked(chrom, summit):
        start, end = summit - 50 - 60, summit + 50 + 60
        return any(chrom == where and start < last and first < end for where, first, last in excluded)

    strong, weaker = {}, {}
    for name, rows in peaks.items():
        counted = [row for row in rows if row[0] != "chrM" and not is_masked(*row[:2])]
        threshold = sorted((score for *_, score in counted), reverse=True)[round(0.7 * len(counted)) - 1]
        strong[name] = [row for row in counted if row[2] >= threshold]
        weaker[name] = [row for row in rows if row not in strong[name]]
    masked = dict.fromkeys(peaks, 0)
    for row in peak_rows(regions).itertuples():
        assert not is_masked(row.chrom, row.summit)
        assert row.split == (
            "train" if row.chrom == "chr1" and row.summit < 20_000 else {"chr2": "valid"}.get(row.chrom, "test")
        )
        assert row.chrom != "chr1" or row.start - 60 >= 20_000 or row.end + 60 <= 20_000
        for name in peaks:

            def inside(rows, row=row):
                return any(chrom == row.chrom and row.start <= summit < row.end for chrom, summit, _ in rows)

            chrom, start, end = unlabelled[name]
            label = regions.table.loc[row.Index, f"target:{name}"]
            if row.chrom == chrom and row.start < end and start < row.end:
                assert np.isnan(label)
            elif inside(strong[name]) or not inside(weaker[name]):
                assert label == inside(strong[name])
            else:
                assert np.isnan(label)
                masked[name] += 1
    assert summary["masked"] == masked
    assert sum(masked.values()) > 3
    for _, rows in peak_rows(regions).groupby("chrom"):
        assert (np.diff(rows["summit"]) > 40).all()
    sequence = {row.name: "".join(genome[row.chrom][row.start : row.end]) for row in regions.table.itertuples()}
    for split in ("train", "valid", "test"):
        here = set(regions.table.loc[regions.table["split"] == split, "name"])
        assert not {sequence[name] for name in here} & {sequence[name] for name in sequence if name not in here}


def test_negatives_lie_away_from_peaks_and_masks(fasta, tmp_path):
    """Random examples against every pair of a negative and a peak or masked interval."""
    rng = np.random.default_rng(8)
    for turn in range(6):
        jitter, distance = int(rng.integers(0, 60)), int(rng.integers(0, 300))
        rows = [
            (chrom, int(summit), 5) for chrom in ("chr1", "chr2", "chr3") for summit in rng.integers(200, 29_000, 12)
        ]
        peaks = tmp_path / f"wide{turn}.narrowPeak"
        peaks.write_text("".join(f"{chrom}\t{s - 90}\t{s + 200}\tp\t5\t.\t1\t-1\t-1\t90\n" for chrom, s, _ in rows))
        places = [(chrom, int(start), int(start + rng.integers(1, 3_000)))
                  for chrom in ("chr1", "chr2", "chr3", "chrM") for start in rng.integers(0, 2_900, 2)]  # fmt: skip
        allowed = [("chr1", 0, 39_000), ("chr2", 0, 12_000), ("chr2", 12_000, 30_000), ("chr3", 100, 29_950)]
        for name, intervals in (("black", places), ("mappable", allowed)):
            (tmp_path / f"{name}.bed").write_text("".join(f"{c}\t{start}\t{end}\n" for c, start, end in intervals))
        regions = make_regions(
            fasta,
            [Target("A", str(peaks), unlabelled=str(tmp_path / "black.bed"))],
            **(SETTINGS | {"min_distance": distance, "jitter": jitter, "seed": turn}),
            exclude_regions=[tmp_path / "black.bed"],
            include_regions=[tmp_path / "mappable.bed"],
            negative_sets=2,
            ratio=0.5,
            background=30,
        )
        drawn = regions.table[regions.table["kind"] != "peak"]
        assert set(drawn["kind"]) == {"genome", "background"}
        for row in drawn.itertuples():
            start, end = row.start - jitter, row.end + jitter
            for chrom, summit, _ in rows:
                assert chrom != row.chrom or start >= summit + 200 + distance or end + distance <= summit - 90
            assert not any(chrom == row.chrom and start < last and first < end for chrom, first, last in places)
            first, last = {"chr1": (0, 39_000), "chr2": (0, 30_000), "chr3": (100, 29_950)}[row.chrom]
            assert first <= start and end <= last
        for row in peak_rows(regions).itertuples():
            start, end = row.start - jitter, row.end + jitter
            assert not any(chrom == row.chrom and start < last and first < end for chrom, first, last in places)
        # Without replacement, over both sets
        genomic = drawn[drawn["kind"] == "genome"].sort_values(["chrom", "start"])
        for _, group in genomic.groupby("chrom"):
            assert (np.diff(group["start"]) >= 100).all()
        assert genomic[genomic["split"] == "train"]["set"].value_counts().nunique() == 1


def test_windows_at_the_ends_and_in_n_are_dropped(fasta, tmp_path):
    size = SIZES["chr1"]
    rows = [("chr1", summit, 5) for summit in (49, 50, size - 50, size - 49, 5_030, 5_105, 4_980)]
    regions = make(fasta, tmp_path, {"A": [*rows, *everywhere()]}, max_n_fraction=0.05)
    # 5,105 has 5 N of 100 in its window, 4,980 has 30.
    assert starts_on(regions, "chr1") == [0, 5_055, 24_950, size - 100]
    assert regions.summary["dropped"] | {"off_chromosome": 2, "too_many_n": 2} == regions.summary["dropped"]
    regions = make(fasta, tmp_path, {"A": [*rows, *everywhere()]}, jitter=1)
    assert regions.summary["dropped"]["off_chromosome"] == 4


def test_windows_of_odd_length_have_the_summit_in_the_middle(fasta, tmp_path):
    regions = make(fasta, tmp_path, {"A": everywhere()}, length=101)
    assert starts_on(regions, "chr1") == [25_000 - 50]
    assert peak_rows(regions)["end"].tolist() == [25_051] * 3


def test_the_best_share_is_kept_and_ties_with_the_last_stay(fasta, tmp_path):
    rows = [("chr1", 1_000 * number, score) for number, score in enumerate([9, 8, 7, 7, 7, 2, 1], start=6)]
    peaks = {"A": [*rows, *everywhere(score=10)]}  # in all: 10 10 10 9 8 7 7 7 2 1
    for share, kept in [(1.0, 7), (0.5, 2), (0.6, 5), (0.8, 5), (0.9, 6), (0.4, 1), (0.3, 0), (0.01, 0)]:
        regions = make(fasta, tmp_path, peaks, top_fraction=share)
        assert len(starts_on(regions, "chr1")) == kept + 1, share
        assert regions.summary["dropped"]["below_top_fraction"] == 7 - kept


def test_peaks_on_excluded_chromosomes_do_not_count_for_the_share(fasta, tmp_path):
    loud = [("chrM", 500 + 60 * number, 99) for number in range(20)]
    peaks = {"A": [*loud, ("chrUn_1", 5, 99), ("chr1", 1_000, 4), *everywhere()]}
    regions = make(fasta, tmp_path, peaks, top_fraction=0.75, exclude_chromosomes=["chrM", "chrUn_*"])
    assert regions.summary["dropped"]["excluded_chromosome"] == 21
    assert regions.summary["dropped"]["below_top_fraction"] == 1
    assert "chrM" not in set(regions.table["chrom"])


def test_summits_nearby_merge_into_the_best_and_do_not_chain(fasta, tmp_path):
    # 1,000 - 1,040 - 1,080: the middle is best, both are within 40 of it.
    near = [("chr1", 1_000, 6), ("chr1", 1_040, 9), ("chr1", 1_080, 7)]
    regions = make(fasta, tmp_path, {"A": [*near, *everywhere()]}, merge_distance=40)
    assert starts_on(regions, "chr1")[:-1] == [990]
    # The first is best: the middle goes to it, the last stays alone.
    chain = [("chr1", 1_000, 9), ("chr1", 1_040, 8), ("chr1", 1_080, 7)]
    regions = make(fasta, tmp_path, {"A": [*chain, *everywhere()]}, merge_distance=40)
    assert starts_on(regions, "chr1")[:-1] == [950, 1_030]
    regions = make(fasta, tmp_path, {"A": [*chain, *everywhere()]}, merge_distance=39)
    assert len(starts_on(regions, "chr1")) == 4
    # A peak listed twice is one region also without a distance.
    regions = make(fasta, tmp_path, {"A": [*everywhere(), *everywhere()]})
    assert len(peak_rows(regions)) == 3
    assert regions.summary["dropped"]["merged"] == 3


def test_ranks_not_scores_decide_between_targets(fasta, tmp_path):
    # 20 is the lowest score of A, 3 the highest of B.
    a = [("chr1", 1_000, 20), *everywhere(score=30)]
    b = [("chr1", 1_010, 3), *everywhere(score=2, shift=300)]
    regions = make(fasta, tmp_path, {"A": a, "B": b}, merge_distance=20)
    assert starts_on(regions, "chr1")[0] == 960
    labels = peak_rows(regions)[["start", "target:A", "target:B"]].to_numpy().tolist()
    assert [960, 1, 1] in labels
    assert [24_950, 1, 0] in labels
    # At equal rank the target named first.
    regions = make(fasta, tmp_path, {"A": everywhere(), "B": everywhere(shift=10)}, merge_distance=10)
    assert starts_on(regions, "chr1") == [24_950]
    regions = make(fasta, tmp_path, {"B": everywhere(shift=10), "A": everywhere()}, merge_distance=10)
    assert starts_on(regions, "chr1") == [24_960]


def test_a_weak_peak_of_another_target_masks_its_label(fasta, tmp_path):
    a = [("chr1", 1_000, 9), ("chr1", 3_000, 9), *everywhere(score=10), ("chr1", 8_000, 1), ("chr1", 9_000, 1)]
    b = [("chr1", 1_030, 1), ("chr1", 3_030, 1), ("chr1", 2_990, 8), *everywhere(score=9, shift=300)]
    regions = make(fasta, tmp_path, {"A": a, "B": b}, top_fraction=0.6)
    rows = peak_rows(regions).set_index(["chrom", "start"])[["target:A", "target:B"]]
    # At 1,000 only a weak peak of B; at 3,000 a weak and a good one, so B is there.
    assert rows.loc[("chr1", 950), "target:A"] == 1
    assert np.isnan(rows.loc[("chr1", 950), "target:B"])
    assert rows.loc[("chr1", 2_950)].tolist() == [1, 1]
    assert regions.summary["masked"] == {"A": 0, "B": 1}


def test_weak_peaks_still_keep_negatives_away(fasta, tmp_path):
    weak = [("chr2", summit, 1) for summit in range(0, 24_000, 150)]
    strong = [*everywhere(score=10), *(("chr1", 30_000 + 200 * number, 10) for number in range(40))]
    regions = make(fasta, tmp_path, {"A": [*weak, *strong]}, top_fraction=0.2)
    drawn = regions.table[(regions.table["kind"] == "genome") & (regions.table["chrom"] == "chr2")]
    assert len(drawn) == 1
    assert drawn["start"].min() >= 24_000


def test_negatives_overlap_no_window_also_without_a_distance(fasta, tmp_path):
    crowd = [("chr1", summit, 5) for summit in range(200, 39_000, 230)]
    regions = make(fasta, tmp_path, {"A": [*crowd, *everywhere(), *everywhere(shift=500)]}, min_distance=0, ratio=0.5)
    table = regions.table[regions.table["chrom"] == "chr1"]
    assert table["kind"].value_counts().min() > 30
    overlaps = table["start"].to_numpy()[1:] < table["end"].to_numpy()[:-1]
    neighbours = table["kind"].to_numpy()
    assert not (overlaps & ((neighbours[1:] == "genome") | (neighbours[:-1] == "genome"))).any()


def test_shuffled_negatives_copy_windows(fasta, tmp_path):
    peaks = {"A": [("chr1", 1_000 + 500 * number, 5) for number in range(7)] + everywhere()}
    regions = make(fasta, tmp_path, peaks, negatives="shuffled", ratio=2.5)
    table = regions.table
    shuffled = table[table["kind"] == "shuffled"]
    assert shuffled["split"].value_counts().to_dict() == {"train": 20, "valid": 2, "test": 2}
    assert not shuffled["target:A"].any()
    named = shuffled["name"].str.extract(r"^(.*)_shuffle(\d)$")
    copied = shuffled.assign(name=named[0]).merge(peak_rows(regions), on=["name", "chrom", "start", "end", "gc"])
    assert len(copied) == len(shuffled)
    for _, numbers in named[1].groupby(named[0]):
        assert sorted(numbers.astype(int)) == list(range(len(numbers)))
    assert set(named[0].value_counts()) == {2, 3}
    assert regions.summary["negatives"]["gc_histogram"]["positives"]
    fewer = make(fasta, tmp_path, {"A": everywhere() + everywhere(shift=500)}, negatives="shuffled", ratio=0.5)
    assert fewer.table.loc[fewer.table["kind"] == "shuffled", "split"].value_counts().to_dict() == {
        "train": 1,
        "valid": 1,
        "test": 1,
    }


def test_the_same_input_gives_the_same_bytes_in_any_order_of_lines(fasta, tmp_path):
    rng = np.random.default_rng(4)
    rows = [(chrom, int(s), int(s) % 17) for chrom in ("chr1", "chr2", "chr3") for s in rng.integers(200, 29_000, 40)]
    other = [(chrom, summit + 15, summit % 13) for chrom, summit, _ in rows]

    def regions_of(rows, **changes):
        return make(fasta, tmp_path, {"A": rows, "B": other}, top_fraction=0.5, merge_distance=30, **changes)

    tables, files = [], []
    for number, order in enumerate([rows, rows[::-1], rows]):
        regions = regions_of(order)
        tables.append(regions.table.drop(columns="source"))
        write_regions(regions, tmp_path / f"{number}.tsv.gz", tmp_path / f"{number}.json")
        files.append([(tmp_path / f"{number}{suffix}").read_bytes() for suffix in (".tsv.gz", ".json")])
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert files[0] == files[2]
    assert files[0][0][3:8] == bytes(5)  # the gzip header holds neither a name nor the time
    with_another_seed = regions_of(rows, seed=2)
    assert peak_rows(with_another_seed)["name"].tolist() == peak_rows(regions)["name"].tolist()
    assert with_another_seed.table["name"].tolist() != regions.table["name"].tolist()


def test_what_is_written_is_read_again(fasta, tmp_path):
    regions = make(fasta, tmp_path, {"A": [("chr1", 1_000, 0.125), *everywhere()]})
    write_regions(regions, tmp_path / "r.tsv.gz", tmp_path / "r.json")
    table = read_regions(tmp_path / "r.tsv.gz")
    pd.testing.assert_frame_equal(table, regions.table, rtol=1e-5, check_dtype=False)
    assert json.loads((tmp_path / "r.json").read_text()) == regions.summary
    summary = regions.summary
    assert summary["format"] == "seqlift regions 2"
    assert summary["genome"]["chromosomes"] == SIZES
    assert list(summary["genome"]["chromosomes"]) == list(SIZES)
    for split in ("train", "valid", "test"):
        rows = table[table["split"] == split]
        assert summary["regions"][split] == len(rows)
        assert summary["kept"][split] == {"A": rows["target:A"].sum(), "negative": (rows["kind"] == "genome").sum()}
    histogram = summary["negatives"]["gc_histogram"]
    assert sum(histogram["positives"]) == sum(histogram["negatives"]) == 4


def test_a_failed_writing_leaves_neither_file(fasta, tmp_path, monkeypatch):
    regions = make(fasta, tmp_path, {"A": everywhere()})
    (tmp_path / "out").mkdir()
    broken = type(regions)(regions.table, {"cannot be written": object()})
    with pytest.raises(TypeError):
        write_regions(broken, tmp_path / "out" / "r.tsv.gz", tmp_path / "out" / "r.json")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [], "not a table of regions"),
        (lambda lines: lines[:1], "holds no region"),
        (lambda lines: [lines[0].replace("summit", "centre"), *lines[1:]], ":1: not a table of regions"),
        (lambda lines: [lines[0].replace("target:A", "A"), *lines[1:]], r":1: column 'A' must be a target"),
        (lambda lines: [*lines[:2], lines[2] + "\t1", *lines[3:]], r":3: 14 columns, must be 13"),
        (lambda lines: [*lines[:2], lines[2].replace("\t", "\tx", 1)], r":3: start is 'x\d+', must be a whole number"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(fasta, tmp_path, change, message):
    regions = make(fasta, tmp_path, {"A": everywhere()})
    regions = type(regions)(regions.table.sort_values("kind"), regions.summary)  # negatives first
    write_regions(regions, tmp_path / "r.tsv.gz", tmp_path / "r.json")
    lines = gzip.decompress((tmp_path / "r.tsv.gz").read_bytes()).decode().splitlines()
    (tmp_path / "bad.tsv").write_text("".join(line + "\n" for line in change(lines)))
    with pytest.raises(SeqliftError, match=message):
        read_regions(tmp_path / "bad.tsv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"merge_distance": 50}, r"`merge_distance` \(=50\) must be at most 49.*length \(=100\)"),
        ({"ratio": float("nan")}, r"`ratio` \(=nan\)"),
        ({"top_fraction": 0}, r"`top_fraction` \(=0\).* greater than 0"),
        ({"top_fraction": 1.1}, r"`top_fraction` \(=1\.1\).* at most 1"),
        ({"negatives": "none"}, "`negatives` .*'none'.* genome, shuffled, unbound, bed"),
        ({"negatives": "bed"}, "`negatives_file` .*'bed'"),
        ({"negatives_file": "x.bed"}, r"`negatives_file` .*x\.bed.*'genome'"),
        ({"signal_window": 101}, r"`signal_window` \(=101\) must be at most length \(=100\)"),
        ({"folds": 3}, r"`folds` \(=3\) .* valid or test"),
        ({"test": []}, "`test` is missing.* folds: 5"),
        ({"folds": 2, "valid": [], "test": []}, r"`folds` \(=2\)"),
        ({"folds": 4, "valid": [], "test": []}, r"folds \(=4\) .*\b3\b"),
        ({"valid": ["2"]}, r"valid chromosome '2' is not in .*, which has chr2, chr1.*; did you mean 'chr2'\?"),
        ({"valid": ["chr3"]}, "'chr3' and .* 'chr3' overlap at chr3:1-30000"),
        ({"valid": ["chr2:1-40000"]}, "interval 'chr2:1-40000' .* 1 to 30000"),
        ({"exclude_chromosomes": ["chr*"]}, "valid chromosome 'chr2' is excluded"),
        ({"valid": ["chrM"]}, r"target 'A' has no peaks left in split 'valid' \(chrM; 0 peaks read"),
        ({"ratio": 1e-6}, "target 'A' has no negatives in split 'train'; raise ratio"),
        ({"min_distance": 25_000}, r"split '\w+' needs 1 negatives from the genome, but .* room for only 0 windows"),
        ({"jitter": 24_990}, r"no peaks left in split .* end of the chromosome"),
    ],
)
def test_bad_settings_are_refused(fasta, tmp_path, changes, message):
    with pytest.raises(SeqliftError, match=message):
        make(fasta, tmp_path, {"A": everywhere()}, **changes)


def test_a_name_that_the_config_allows_is_allowed_here(fasta, tmp_path):
    peaks = bed(tmp_path / "a.bed", everywhere())
    regions = make_regions(fasta, [Target("H3K4me3.rep-1+2", peaks)], **SETTINGS)
    assert "target:H3K4me3.rep-1+2" in regions.table


def test_bad_targets_are_refused(fasta, tmp_path):
    with pytest.raises(SeqliftError, match="no target is named"):
        make(fasta, tmp_path, {})
    with pytest.raises(SeqliftError, match=r"target 'a/b'"):
        make_regions(fasta, [Target("a/b", "x")], **SETTINGS)
    peaks = bed(tmp_path / "a.bed", everywhere())
    with pytest.raises(SeqliftError, match="target 'A': is named twice"):
        make_regions(fasta, [Target("A", peaks), Target("A", peaks)], **SETTINGS)
    with pytest.raises(SeqliftError, match=r"A\.bed: all peaks of target 'A' have the same score \(5, column 5\)"):
        make(fasta, tmp_path, {"A": everywhere()}, top_fraction=0.5)
    (tmp_path / "b.bed").write_text("chr1\t500\t501\np\nchr1\t5\n".replace("p\n", ""))
    with pytest.raises(SeqliftError, match=r"b\.bed:2: 2 columns"):
        make_regions(fasta, [Target("A", tmp_path / "b.bed")], **SETTINGS)
    (tmp_path / "c.bed").write_text("chr1\t500\t501\tn\t3\nchr2\t900\t901\n")
    with pytest.raises(SeqliftError, match=r"c\.bed:2: no score in column 5, as in 1 of 2 peaks of target 'A'"):
        make_regions(fasta, [Target("A", tmp_path / "c.bed")], **SETTINGS, top_fraction=0.5)
    with pytest.raises(SeqliftError, match=r"A\.bed:2: summit 40000 lies past the end of chr1 \(40000 bp"):
        make(fasta, tmp_path, {"A": [("chr1", 500, 5), ("chr1", 40_000, 5)]})
    with pytest.raises(SeqliftError, match=r"target 'B' has no peaks left in split 'test' .* 0 peaks read there"):
        make(fasta, tmp_path, {"A": everywhere(), "B": everywhere(shift=900)[:2]})
    with pytest.raises(SeqliftError, match=r"'test' .* 1 peaks read there: 1 score below"):
        make(fasta, tmp_path, {"A": [*everywhere()[:2], ("chr3", 9_000, 1)]}, top_fraction=0.5)


@pytest.mark.parametrize(
    ("in_peaks", "in_fasta", "hint"),
    [
        ("1", "chr1", r"lacks: 1; .* has chr1\. .* rename_chromosomes: \{.1.: chr1\} .* by sed 's/\^/chr/'"),
        ("chr2", "chrII", r"lacks: chr2; .* rename_chromosomes: \{chr2: chrII\} .* sed -e 's/\^chr2\\t/chrII\\t/'"),
        ("scaffold7", "chr1", r"lacks: scaffold7; .* has chr1\. Use the FASTA file of the assembly"),
    ],
)
def test_names_of_both_sides_and_the_likely_cause_are_named(tmp_path, in_peaks, in_fasta, hint):
    (tmp_path / "g.fa").write_text(f">{in_fasta}\n{'ACGT' * 100}\n")
    peaks = [Target("A", bed(tmp_path / "a.bed", [(in_peaks, 5, 1)]))]
    with pytest.raises(SeqliftError, match=hint):
        make_regions(tmp_path / "g.fa", peaks, **(SETTINGS | {"valid": [in_fasta], "test": [in_fasta]}))


class TestCommandLine:
    """As a user would run it: a clear line, no traceback, nothing written."""

    @pytest.fixture
    def folder(self, fasta, tmp_path):
        (tmp_path / "genome.fa").write_bytes(fasta.read_bytes())
        bed(tmp_path / "good.bed", enough())
        return tmp_path

    def run(self, folder, *flags, genome="genome.fa", target="A=good.bed"):
        command = [Path(sys.executable).with_name("seqlift"), "regions", "--genome", genome, "--target", target]
        command += [
            "--length",
            "100",
            "--merge-distance",
            "0",
            "--background",
            "0",
            "--valid",
            "chr2",
            "--test",
            "chr3",
        ]
        command += ["--output", "out/r.tsv.gz", "--summary", "out/r.json"]
        return subprocess.run([*command, *flags], capture_output=True, text=True, cwd=folder)

    def test_it_writes_and_prints(self, folder):
        (folder / "packed.fa.gz").write_bytes(gzip.compress((folder / "genome.fa").read_bytes()))
        done = self.run(folder, "--min-distance", "50", "--jitter", "5", genome="packed.fa.gz")
        assert (done.returncode, done.stderr) == (0, "")
        assert "out/r.tsv.gz: 24 regions of 100 bp" in done.stdout
        assert "test: 8 regions (4 A, 4 negative)" in done.stdout
        assert len(read_regions(folder / "out" / "r.tsv.gz")) == 24
        assert json.loads((folder / "out" / "r.json").read_text())["targets"] == ["A"]
        assert sorted(path.name for path in (folder / "out").iterdir()) == ["r.json", "r.tsv.gz"]

    def test_a_table_of_targets_and_folds(self, folder):
        (folder / "data").mkdir()
        (folder / "data" / "a.bed").write_text((folder / "good.bed").read_text())
        (folder / "targets.tsv").write_text("name\tpeaks\nA\ta.bed\nB\ta.bed\n")
        command = [Path(sys.executable).with_name("seqlift"), "regions"]
        command += [
            "--genome",
            "genome.fa",
            "--length",
            "100",
            "--merge-distance",
            "0",
            "--targets",
            "targets.tsv",
            "--data-dir",
            "data",
        ]
        command += ["--folds", "3", "--background", "5", "--output", "r.tsv.gz", "--summary", "r.json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert "fold2: 13 regions (4 A, 4 B, 4 negative, 5 background)" in done.stdout
        assert target_names(read_regions(folder / "r.tsv.gz")) == ["A", "B"]

    def test_flags_settings_and_python_have_the_same_defaults(self):
        parser = argparse.ArgumentParser()
        regions_command.add_arguments(parser)
        required = ["--genome", "g", "--target", "A=a", "--output", "o", "--summary", "s", "--folds", "5"]
        parsed = parser.parse_args([*required, "--settings", '{"length": 150, "ratio": 2, "seed": 3}', "--seed", "4"])
        made = settings_from(parsed, RegionSettings)
        assert made == RegionSettings(length=150, ratio=2, seed=4, folds=5)
        assert {flag[2:].replace("-", "_") for flag in parser._option_string_actions} >= set(made.as_dict())

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "bad.bed: no such file"),
            ("chr1\t9\t9\n", "bad.bed:1: start (9) must be smaller than end (9)"),
            ("1\t5\t6\n", "lacks: 1; genome.fa has chr2, chr1, chr3, chrM. They are written in another way"),
            ("chr1\t900\t999\n" * 5, "bad.bed: target 'A' has 5 peaks, at least 10 are needed"),
            ("chr1\t900\t999\nchr3\t9\t99\n" * 5, "no peaks left in split 'valid' (chr2; 0 peaks read there)"),
        ],
    )
    def test_bad_peaks(self, folder, content, message):
        if content is not None:
            (folder / "bad.bed").write_text(content)
        self.check(self.run(folder, target="A=bad.bed"), folder, message)

    def test_bad_genomes_and_targets(self, folder):
        self.check(self.run(folder, genome="absent.fa"), folder, "absent.fa: no such FASTA file")
        self.check(self.run(folder, genome="good.bed"), folder, "good.bed:1: not a FASTA file")
        self.check(self.run(folder, "--target", "A=good.bed"), folder, "target 'A': is named twice")
        self.check(
            self.run(folder, "--output", "good.bed/r.tsv.gz"), folder, "good.bed/r.tsv.gz, out/r.json: cannot be"
        )
        self.check(self.run(folder, target="good.bed"), folder, "--target 'good.bed' must be NAME=PEAKS")

    def check(self, done, folder, message):
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
        assert not (folder / "out").exists() or not list((folder / "out").iterdir())


def test_yeast(yeast, tmp_path):
    targets = [Target(name, yeast / f"{name}.narrowPeak") for name in ("Reb1", "Abf1")]
    settings = {"length": 200, "valid": ["chrXI"], "test": ["chrIV", "chrXV"], "min_distance": 200}
    regions = make_regions(yeast / "sacCer3.fa.gz", targets, **settings, top_fraction=2 / 3, merge_distance=50)
    summary = regions.summary
    assert summary["peaks"]["Reb1"] | {"read": 1078, "used": 719} == summary["peaks"]["Reb1"]
    # 483 are two thirds of 724; the next one has the same score as the last of them.
    assert summary["peaks"]["Abf1"] | {"read": 724, "used": 484} == summary["peaks"]["Abf1"]
    peaks = (regions.table["kind"] == "peak").sum()
    assert peaks + sum(summary["dropped"].values()) == 1078 + 724
    assert len(regions.table) == 2 * peaks
    assert max(summary["negatives"]["gc_distance"].values()) < 0.005  # one base of 200
    atac = [Target("open", yeast / "atac_accessible.narrowPeak")]
    with pytest.raises(SeqliftError, match=r"46 of 1605 peaks lie on .* lacks: chrM; .* exclude_chromosomes"):
        make_regions(yeast / "sacCer3.fa.gz", atac, **settings)
    summary = make_regions(yeast / "sacCer3.fa.gz", atac, **settings, exclude_chromosomes=["chrM"]).summary
    assert summary["dropped"]["excluded_chromosome"] == 46
