"""The table of regions: folds, masked labels, and that what is written is read as the same."""

import gzip
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from seqlift.errors import SeqliftError
from seqlift.regions import table as region_table
from seqlift.regions.table import (
    COLUMNS,
    KINDS,
    Regions,
    assign_fold,
    fold_names,
    labels_of,
    read_regions,
    target_names,
    write_regions,
)


def example(n=40, folds=4):
    rng = np.random.default_rng(1)
    start = np.arange(n) * 100
    table = pd.DataFrame({"chrom": "c1", "start": start, "end": start + 50, "name": [f"r{i}" for i in range(n)]})
    table = table.assign(strand=".", summit=start + 25, kind=rng.choice(["peak", "genome", "background"], n))
    table["split"] = [f"fold{i}" for i in rng.integers(0, folds, n)]
    table["set"] = np.where(table["kind"] == "genome", rng.integers(0, 2, n), 0)
    table = table.assign(score=np.where(table["kind"] == "peak", 7.25, np.nan), gc=0.5, source="a.bed:1")
    return table.assign(
        **{"target:A": rng.choice([0.0, 1.0, np.nan], n), "target:B": 1.0, "signal:A": rng.choice([3e9 + 1, np.nan], n)}
    )


def test_a_fold_is_tested_on_itself_and_validated_on_the_next():
    table = example()
    assert fold_names(table) == ["fold0", "fold1", "fold2", "fold3"]
    for fold in range(4):
        chosen = assign_fold(table, fold).set_index("name")
        for row in table.itertuples():
            number = int(row.split.removeprefix("fold"))
            split = "test" if number == fold else "valid" if number == (fold + 1) % 4 else "train"
            wanted = (split == "train" or row.set == 0) and (row.kind != "background" or split == "test")
            assert (row.name in chosen.index) == wanted
            assert not wanted or chosen.loc[row.name, "split"] == split
    assert table["split"].str.startswith("fold").all()  # as it was
    ten = pd.DataFrame({"split": [f"fold{i}" for i in range(11)]})
    assert fold_names(ten)[-2:] == ["fold9", "fold10"]


def test_a_missing_fold_is_refused():
    with pytest.raises(SeqliftError, match=r"fold \(=4\) .* 0 to 3"):
        assign_fold(example(), 4)
    table = example().assign(split="train")
    assert fold_names(table) == []
    with pytest.raises(SeqliftError, match=r"fold \(=0\) .* train, valid and test"):
        assign_fold(table, 0)


@pytest.mark.parametrize("lines_at_once", [100_000, 7])
def test_masked_labels_and_large_signals_are_read_as_written(tmp_path, monkeypatch, lines_at_once):
    monkeypatch.setattr(region_table, "_LINES_AT_ONCE", lines_at_once)
    table = example()
    write_regions(Regions(table, {}), tmp_path / "r.tsv.gz", tmp_path / "r.json")
    again = read_regions(tmp_path / "r.tsv.gz")
    pd.testing.assert_frame_equal(again, table, check_dtype=False, rtol=0)
    assert list(again.columns) == [*COLUMNS, "target:A", "target:B", "signal:A"]
    assert target_names(again) == ["A", "B"]
    labels = labels_of(again)
    assert (labels.dtype, labels.shape) == (np.float32, (40, 2))
    np.testing.assert_array_equal(labels[:, 0], table["target:A"])
    text = gzip.decompress((tmp_path / "r.tsv.gz").read_bytes()).decode().splitlines()
    assert {line.split("\t")[-3] for line in text[1:]} == {"0", "1", ""}


def test_the_line_of_a_mistake_is_right_in_later_stretches_too(tmp_path, monkeypatch):
    monkeypatch.setattr(region_table, "_LINES_AT_ONCE", 7)
    write_regions(Regions(example(), {}), tmp_path / "r.tsv.gz", tmp_path / "r.json")
    lines = gzip.decompress((tmp_path / "r.tsv.gz").read_bytes()).decode().splitlines()
    for column, value, message in (
        ("gc", "inf", "gc is 'inf', must be a number or empty"),
        ("signal:A", "many", "signal:A is 'many', must be a number or empty"),
        ("target:B", "0.5", "target:B is '0.5', must be 0, 1 or empty"),
        ("set", "-1", "set is '-1', must be a whole number"),
        ("split", "fold", "split is 'fold', must be one of train, valid, test, or fold0"),
        ("end", "99999", "end is '99999', must make the region 50 bp long"),
        ("name", "r3", "name is 'r3'"),
        ("kind", "gnome", "kind is 'gnome', must be one of"),
        ("split", "train", "split is 'train', but other lines are of folds"),
    ):
        fields = lines[29].split("\t")
        fields[lines[0].split("\t").index(column)] = value
        (tmp_path / "bad.tsv").write_text("\n".join([*lines[:29], "\t".join(fields), *lines[30:]]) + "\n")
        with pytest.raises(SeqliftError, match=f"bad.tsv:30: {message}"):
            read_regions(tmp_path / "bad.tsv")
    (tmp_path / "bare.tsv").write_text("\n".join("\t".join(line.split("\t")[: len(COLUMNS)]) for line in lines))
    with pytest.raises(SeqliftError, match=r"bare\.tsv:1: names no target"):
        read_regions(tmp_path / "bare.tsv")


def test_a_large_table_needs_little_more_than_its_names(tmp_path):
    n = 60_000
    table = pd.concat([example(n, 3).assign(kind="peak")], ignore_index=True)
    write_regions(Regions(table, {}), tmp_path / "r.tsv.gz", tmp_path / "r.json")
    tracemalloc.start()
    read = read_regions(tmp_path / "r.tsv.gz")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(read) == n
    assert kept / n < 400  # bytes a region; 1,500 if each entry were a string of its own
    assert set(read["kind"]) <= set(KINDS)
