"""Splits: windows of two splits never share a base; folds are balanced; what cannot be is an error."""

import numpy as np
import pandas as pd
import pytest

from seqlift.errors import SeqliftError
from seqlift.regions.splits import check_apart, interval_example, split_by_folds, split_by_place

SIZES = {"chr1": 1_000, "chr2": 500, "chr10": 300, "HLA:1-2": 100, "chrM": 50}


def place(valid, test, excluded=frozenset()):
    return split_by_place(SIZES, valid, test, set(excluded), source="g.fa")


def test_chromosomes_patterns_and_intervals_name_parts():
    splits = place(["chr2", "HLA:1-2"], ["chr1:901-", "chr1:1-1,00", "chr1?"], {"chrM"})
    assert splits.parts == {
        "chr1": [(0, 100, "test"), (100, 900, "train"), (900, 1_000, "test")],
        "chr2": [(0, 500, "valid")],
        "chr10": [(0, 300, "test")],
        "HLA:1-2": [(0, 100, "valid")],
    }
    assert splits.describe() == {
        "train": ["chr1:101-900"],
        "valid": ["chr2", "HLA:1-2"],
        "test": ["chr1:1-100", "chr1:901-1000", "chr10"],
    }
    # What is described names the same parts
    described = splits.describe()
    assert place(described["valid"], described["test"], {"chrM"}).parts == splits.parts


def test_parts_of_one_split_that_touch_or_overlap_are_one():
    splits = place(["chr2"], ["chr1:1-300", "chr1:200-400", "chr1:401-500", "chr1:450-480"])
    assert splits.parts["chr1"] == [(0, 500, "test"), (500, 1_000, "train")]
    assert "chr1" in splits and "chr7" not in splits


def test_a_window_belongs_to_the_split_that_holds_it_and_its_jitter():
    splits = place(["chr1:301-400"], ["chr1:401-"], {"chrM"})
    rng = np.random.default_rng(1)
    windows = pd.DataFrame({"chrom": rng.choice(["chr1", "chr2", "chrM"], 400), "start": rng.integers(-20, 990, 400)})
    windows["end"] = windows["start"] + rng.integers(1, 40, 400)
    owner = {"chr1": ["train"] * 300 + ["valid"] * 100 + ["test"] * 600, "chr2": ["train"] * 500, "chrM": [""] * 50}
    for margin in (0, 7):
        for row, found in zip(windows.itertuples(), splits.of(windows, margin), strict=True):
            bases = range(row.start - margin, row.end + margin)
            inside = bases[0] >= 0 and bases[-1] < SIZES[row.chrom]
            owners = {owner[row.chrom][base] for base in bases} if inside else set()
            assert found == (owners.pop() if len(owners) == 1 else "")
    positions = pd.DataFrame({"chrom": ["chr1", "chr1", "chr1", "chrM"], "at": [299, 300, 400, 3]})
    assert splits.of_positions(positions["chrom"], positions["at"]).tolist() == ["train", "valid", "test", ""]


@pytest.mark.parametrize(
    ("valid", "test", "excluded", "message"),
    [
        (["1"], ["chr2"], [], r"valid chromosome '1' is not in g\.fa, which has chr1, .*; did you mean 'chr1'\?"),
        (["chr7"], ["chr2"], [], r"valid chromosome 'chr7' is not in g\.fa, .*"),
        (["chr2"], ["chrX*"], [], r"test chromosome 'chrX\*' is not in"),
        (["chr7:1-5"], ["chr2"], [], r"valid chromosome 'chr7:1-5' is not in"),
        (["chr2"], ["chrM"], ["chrM"], "test chromosome 'chrM' is excluded by exclude_chromosomes"),
        (["chr2"], ["chr1:0-10"], [], r"test interval 'chr1:0-10' .* 1 to 1000"),
        (["chr2"], ["chr1:500-1001"], [], "interval 'chr1:500-1001'"),
        (["chr2"], ["chr1:1001-"], [], "interval 'chr1:1001-'"),
        (["chr2"], ["chr1:20-10"], [], "interval 'chr1:20-10'"),
        (["chr2"], ["chr2"], [], r"overlap at chr2:1-500"),
        (["chr1:1-100"], ["chr1:100-200"], [], r"test 'chr1:100-200' and valid 'chr1:1-100' overlap at chr1:100-100"),
        (["chr1:300-310"], ["chr1"], [], r"valid 'chr1:300-310' and test 'chr1' overlap at chr1:300-310"),
        (["chr?"], ["chr2:1-9"], [], r"overlap at chr2:1-9"),
    ],
)
def test_entries_that_name_nothing_or_too_much_are_refused(valid, test, excluded, message):
    with pytest.raises(SeqliftError, match=message):
        place(valid, test, excluded)


def test_folds_are_balanced_by_peaks_and_then_by_size():
    rng = np.random.default_rng(2)
    sizes = {f"chr{number}": int(rng.integers(1_000, 50_000)) for number in range(24)}
    peaks = {chrom: int(size * rng.uniform(0.5, 1.5) / 100) for chrom, size in sizes.items()}
    splits = split_by_folds(sizes, peaks, 5)
    assert splits.names == ["fold0", "fold1", "fold2", "fold3", "fold4"]
    described = splits.describe()
    assert sorted(chrom for chroms in described.values() for chrom in chroms) == sorted(sizes)
    load = [sum(peaks[chrom] for chrom in chroms) for chroms in described.values()]
    assert max(load) < 1.1 * min(load)
    assert split_by_folds(sizes, peaks, 5).parts == splits.parts
    # Without peaks, the bases decide: 90; 50 + 30; 40 + 30 + 30
    empty = {f"s{number}": size for number, size in enumerate([90, 50, 40, 30, 30, 30], start=1)}
    three = split_by_folds({"a": 10, "b": 10, "c": 10} | empty, {"a": 7, "b": 7, "c": 7}, 3)
    bases = [sum(empty.get(chrom, 0) for chrom in chroms) for chroms in three.describe().values()]
    assert sorted(bases) == [80, 90, 100]


def test_folds_need_chromosomes_with_peaks():
    with pytest.raises(SeqliftError, match=r"folds \(=4\) .*\b3\b.* \(chr1, chr2"):
        split_by_folds(SIZES, {"chr1": 5, "chr2": 5, "chr10": 5}, 4)


def test_windows_of_two_splits_that_share_a_base_are_found():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        n = int(rng.integers(2, 9))
        table = pd.DataFrame({"chrom": rng.choice(["c1", "c2"], n), "start": rng.integers(0, 300, n)})
        table = table.assign(end=table["start"] + 20, name=[f"r{i}" for i in range(n)])
        table["split"] = rng.choice(["train", "test"], n)
        margin = int(rng.integers(0, 20))
        shared = any(
            a.chrom == b.chrom
            and a.split != b.split
            and a.start - margin < b.end + margin
            and b.start - margin < a.end + margin
            for a in table.itertuples()
            for b in table.itertuples()
        )
        found += shared
        if shared:
            with pytest.raises(SeqliftError, match=rf"overlap, with {margin} bp for jitter on either side"):
                check_apart(table, margin)
        else:
            check_apart(table, margin)
    assert 30 < found < 170


def test_the_example_for_one_chromosome_is_one_that_works():
    peaks = pd.DataFrame({"chrom": "chr1", "summit": np.random.default_rng(4).integers(0, 1_000, 60)})
    text = interval_example(peaks, 1_000)
    valid, test = (part.split("'")[1] for part in text.split(" and "))
    splits = place([valid], [test])
    counts = pd.Series(splits.of_positions(peaks["chrom"], peaks["summit"])).value_counts()
    assert counts["train"] >= 40
    assert 4 <= counts["valid"] <= 8
    assert 10 <= counts["test"] <= 14
    assert interval_example(peaks[:2], 1_000) == "valid: ['chr1:651-750'] and test: ['chr1:751-1000']"
