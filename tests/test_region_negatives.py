"""Negatives of each kind, folds, duplicates, masks and signal of regions; and what a user may get wrong with them."""

import re

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from scipy.stats import wasserstein_distance

from fixtures.stages import make as make_regions
from seqlift.data.genome import Genome
from seqlift.data.targets import Target
from seqlift.errors import SeqliftError
from seqlift.regions.splits import check_apart
from seqlift.regions.table import assign_fold, labels_of, read_regions, write_regions

SIZES = {f"chr{number}": 40_000 for number in range(1, 7)}
SETTINGS = {"length": 100, "valid": ["chr5"], "test": ["chr6"], "min_distance": 50, "jitter": 10, "seed": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six chromosomes with two repeats, 12 peaks of A and 10 of B on each, and open chromatin besides."""
    folder = tmp_path_factory.mktemp("negatives")
    rng = np.random.default_rng(2)
    bases = {chrom: rng.choice(list("ACGT"), size) for chrom, size in SIZES.items()}
    # Train, test: the same peak; train: a peak whose reverse complement is a peak of validation; test twice
    bases["chr6"][20_900:21_100] = bases["chr1"][20_900:21_100]
    complement = dict(zip("ACGT", "TGCA", strict=True))
    bases["chr5"][22_900:23_100] = [complement[base] for base in bases["chr2"][22_900:23_100][::-1]]
    bases["chr6"][24_900:25_100] = bases["chr6"][26_900:27_100]
    (folder / "g.fa").write_text("".join(f">{chrom}\n{''.join(row)}\n" for chrom, row in bases.items()))
    for name, places in (("A", range(3_000, 27_000, 2_000)), ("B", range(3_050, 23_000, 2_000))):
        rows = [f"{chrom}\t{place}\t{place + 1}\t{name}\t{place // 7}\t.\n" for chrom in SIZES for place in places]
        if name == "A":
            rows += ["chr6\t27000\t27001\tA\t7\t.\n", "chr6\t25000\t25001\tA\t8\t.\n"]
        (folder / f"{name}.bed").write_text("".join(rows))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def make(folder, **changes):
    targets = changes.pop("targets", [Target(name, str(folder / f"{name}.bed")) for name in "AB"])
    return make_regions(folder / "g.fa", targets, **(SETTINGS | changes))


def sequences(folder, table):
    with Genome(folder / "g.fa") as genome:
        return [genome.fetch(row.chrom, row.start, row.end) for row in table.itertuples()]


def test_repeats_stay_in_one_split_and_are_counted(folder):
    regions = make(folder)
    table = regions.table
    peaks = table[table["kind"] == "peak"]
    assert regions.summary["dropped"]["duplicate"] == 3  # with the peak of B beside A's
    assert not ((peaks["chrom"] == "chr1") & (peaks["summit"] == 21_000)).any()
    assert ((peaks["chrom"] == "chr6") & (peaks["summit"] == 21_000)).any()
    assert not ((peaks["chrom"] == "chr2") & (peaks["summit"] == 23_000)).any()
    assert ((peaks["chrom"] == "chr5") & (peaks["summit"] == 23_000)).any()
    # The pair within the test split stays
    assert peaks[peaks["chrom"] == "chr6"]["summit"].isin([25_000, 27_000]).sum() == 2
    assert regions.summary["duplicates"] == {"identical": 8, "across_splits_dropped": 3}
    # In folds, one of both stays too
    folds = make(folder, valid=[], test=[], folds=3)
    assert folds.summary["duplicates"]["across_splits_dropped"] <= 3
    found = dict(zip(folds.table["name"], sequences(folder, folds.table), strict=True))
    fold = folds.table.set_index("name")["split"]
    turn = str.maketrans("ACGT", "TGCA")
    owners = {}
    for name, bases in found.items():
        owners.setdefault(min(bases, bases.translate(turn)[::-1]), set()).add(fold[name])
    assert all(len(folds) == 1 for folds in owners.values())


def test_negatives_that_repeat_another_split_are_dropped_from_every_set_alike(tmp_path):
    """A genome of which most of chr1 is on chr3 again: without the rule most negatives would repeat."""
    rng = np.random.default_rng(5)
    bases = {chrom: rng.choice(list("ACGT"), 30_000) for chrom in ("chr1", "chr2", "chr3")}
    bases["chr3"][:25_000] = bases["chr1"][:25_000]
    (tmp_path / "g.fa").write_text("".join(f">{chrom}\n{''.join(row)}\n" for chrom, row in bases.items()))
    rows = [f"{chrom}\t{place}\t{place + 1}\n" for chrom in bases for place in range(25_500, 29_900, 400)]
    (tmp_path / "A.bed").write_text("".join(rows))
    settings = SETTINGS | {"valid": ["chr2"], "test": ["chr3"], "jitter": 0}
    # Stretches of the same phase repeat only where they begin at the same base: a mask makes them
    (tmp_path / "only.bed").write_text("".join(
        f"{chrom}\t{start}\t{start + 100}\n" for chrom in bases for start in range(0, 25_000, 150)
    ) + "".join(f"{chrom}\t25300\t30000\n" for chrom in bases))  # fmt: skip
    regions = make_regions(
        tmp_path / "g.fa",
        [Target("A", str(tmp_path / "A.bed"))],
        **settings,
        include_regions=[tmp_path / "only.bed"],
        negative_sets=3,
        ratio=2,
    )
    table = regions.table
    assert regions.summary["duplicates"]["across_splits_dropped"] > 3
    sizes = table[(table["kind"] == "genome") & (table["split"] == "train")]["set"].value_counts()
    assert sizes.nunique() == 1
    assert 10 < sizes.iloc[0] < 22
    found = pd.Series([bases for bases in sequences(tmp_path, table)], index=table["split"])
    assert not set(found["train"]) & set(found["test"])


def test_sets_of_negatives_are_for_training_alone(folder):
    table = make(folder, negative_sets=3, ratio=0.5).table
    negatives = table[table["kind"] == "genome"]
    assert negatives[negatives["split"] == "train"]["set"].value_counts().nunique() == 1
    assert set(negatives["set"]) == {0, 1, 2}
    assert (table.loc[table["split"] != "train", "set"] == 0).all()
    assert (table.loc[table["kind"] == "peak", "set"] == 0).all()
    assert not negatives.duplicated(["chrom", "start"]).any()
    shuffled = make(folder, negative_sets=3, ratio=0.5, negatives="shuffled").table
    shuffled = shuffled[shuffled["kind"] == "shuffled"]
    assert shuffled["name"].is_unique
    counts = shuffled.groupby(["split", "set"]).size()
    assert counts["train"].nunique() == 1
    assert counts["valid"].index.tolist() == [0]
    named = shuffled["name"].str.extract(r"^(.*)_shuffle(\d+)$")
    for _, numbers in named[1].groupby(named[0]):
        assert sorted(numbers.astype(int)) == list(range(len(numbers)))


def test_set_zero_of_shuffles_does_not_depend_on_the_number_of_sets(folder):
    one = make(folder, negatives="shuffled").table
    many = make(folder, negatives="shuffled", negative_sets=4).table
    pd.testing.assert_frame_equal(one, many[many["set"] == 0].reset_index(drop=True))


def test_folds_hold_everything_once(folder):
    regions = make(folder, valid=[], test=[], folds=3, negative_sets=2, ratio=0.5, background=7)
    table, summary = regions.table, regions.summary
    assert summary["folds"] == 3
    assert list(summary["splits"]) == ["fold0", "fold1", "fold2"]
    assert sorted(chrom for chroms in summary["splits"].values() for chrom in chroms) == sorted(SIZES)
    assert table[table["kind"] == "background"].groupby("split").size().tolist() == [7, 7, 7]
    assert table[table["kind"] == "genome"].groupby(["split", "set"]).size().nunique() <= 2
    for fold in range(3):
        chosen = assign_fold(table, fold)
        check_apart(chosen, 10)
        assert set(chosen["split"]) == {"train", "valid", "test"}
        assert set(chosen[chosen["split"] == "train"]["set"]) == {0, 1}
        assert set(chosen[chosen["split"] != "train"]["set"]) == {0}
    with pytest.raises(SeqliftError, match=r"folds \(=7\) .*\b6\b"):
        make(folder, valid=[], test=[], folds=7)


def test_background_is_a_random_sample_that_is_never_trained_on(folder):
    regions = make(folder, background=50)
    background = regions.table[regions.table["kind"] == "background"]
    assert background["split"].eq("test").all()
    assert len(background) == regions.summary["background"]["test"] == 50
    assert background["name"].str.endswith("_background").all()
    assert not labels_of(background).any()
    few = make(folder, background=10_000).summary
    assert few["background"]["test"] == few["windows"]["test"] < 500
    # Free windows as long as the model's, that do not overlap
    assert 0.7 * 40_000 / 100 < few["windows"]["test"] <= 400
    without = make(folder)
    rest = regions.table[regions.table["kind"] != "background"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without.table)


def write_open(folder, tmp_path):
    """Open chromatin: the peaks of A, and places without one, two of them near, off the end, or near another's."""
    places = [(chrom, 28_000 + 500 * step, step) for chrom in SIZES for step in range(20)]
    places += [("chr1", 3_120, 5), ("chr1", 39_970, 6), ("chr2", 28_020, 99)]
    rows = [f"{chrom}\t{place - 20}\t{place + 30}\tp\t{score}\t+\n" for chrom, place, score in places]
    (tmp_path / "open.bed").write_text((folder / "A.bed").read_text() + "".join(rows))
    return tmp_path / "open.bed"


def test_unbound_negatives_are_open_places_without_a_peak(folder, tmp_path):
    path = write_open(folder, tmp_path)
    regions = make(folder, negatives="unbound", negatives_file=path, ratio=0.5, merge_distance=30)
    rows = regions.table[regions.table["kind"] == "unbound"]
    assert (rows["end"] - rows["start"] == 100).all()
    assert (rows["summit"] == rows["start"] + 50).all()
    lines = path.read_text().splitlines()
    for row in rows.itertuples():
        name, line = row.source.rsplit(":", 1)
        fields = lines[int(line) - 1].split("\t")
        assert (name, row.chrom, row.strand) == ("open.bed", fields[0], fields[5])
        assert row.summit == (int(fields[1]) + int(fields[2])) // 2
        assert row.score == float(fields[4])
        assert row.summit >= 28_000
    dropped = regions.summary["negatives"]["file_dropped"]
    # 74 peaks of A and the place 120 bp beside one; the end of chr1; 28,005 for 28,025, which scores higher
    assert dropped == {"excluded_chromosome": 0, "between_splits": 1, "near_peak": 75, "too_many_n": 0, "merged": 1}
    assert regions.summary["negatives"]["drawn"] == regions.summary["negatives"]["requested"]
    assert regions.summary["negatives"]["file"] == str(path)
    # Matched in GC content, where a file has enough to choose from
    peaks = regions.table[regions.table["kind"] == "peak"]
    anywhere = make(folder, negatives="bed", negatives_file=path, ratio=0.5, merge_distance=30).table
    distance = [wasserstein_distance(peaks["gc"].to_numpy(), table.loc[table["kind"] == kind, "gc"].to_numpy())
                for table, kind in ((regions.table, "unbound"), (anywhere, "bed"))]  # fmt: skip
    assert distance[0] < distance[1]


def test_fewer_negatives_in_a_file_than_requested_are_all_taken_with_a_warning(folder, tmp_path, caplog):
    path = write_open(folder, tmp_path)
    regions = make(folder, negatives="bed", negatives_file=path, ratio=5)
    negatives = regions.summary["negatives"]
    assert negatives["drawn"] == {"train": 81, "valid": 20, "test": 20}  # 28,025 of chr2 is not merged here
    assert "test 20 of" in negatives["warning"]
    assert negatives["warning"] in caplog.text
    sets = make(folder, negatives="bed", negatives_file=path, ratio=5, negative_sets=2).table
    assert sets[(sets["kind"] == "bed") & (sets["split"] == "train")]["set"].value_counts().to_dict() == {0: 40, 1: 40}


def test_a_warning_if_gc_content_does_not_match(folder, tmp_path, caplog):
    """Peaks rich in G and C: more negatives are requested than the genome has windows like them."""
    rng = np.random.default_rng(7)
    rows, peaks = [], []
    for chrom in ("chr1", "chr2", "chr3"):
        bases = rng.choice(list("ACGT"), 30_000, p=[0.3, 0.2, 0.2, 0.3])
        for place in range(1_000, 29_000, 1_500):
            bases[place - 50 : place + 50] = rng.choice(list("ACGT"), 100, p=[0.2, 0.3, 0.3, 0.2])
            peaks.append(f"{chrom}\t{place}\t{place + 1}\n")
        rows.append(f">{chrom}\n{''.join(bases)}\n")
    (tmp_path / "g.fa").write_text("".join(rows))
    (tmp_path / "A.bed").write_text("".join(peaks))
    settings = SETTINGS | {"valid": ["chr2"], "test": ["chr3"]}
    targets = [Target("A", str(tmp_path / "A.bed"))]
    regions = make_regions(tmp_path / "g.fa", targets, **settings, ratio=6)
    negatives = regions.summary["negatives"]
    assert min(negatives["gc_distance"].values()) > 0.02
    assert re.search(r"GC content: .* 0\.02 in train 0\.\d+, valid", negatives["warning"])
    assert negatives["warning"] in caplog.text
    caplog.clear()
    assert make(folder).summary["negatives"]["warning"] == ""
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "neg.bed: no such file"),
        ("", "neg.bed: holds no peak"),
        ("chr1\t5\n", r"neg\.bed:1: 2 columns"),
        ("1\t500\t600\n", r"neg\.bed:1: 1 of 1 peaks lie on chromosomes .* rename_chromosomes: \{.1.: chr1\}"),
        ("chr1\t3000\t3001\n", r"neg\.bed: none of its 1 lines .*: 1 nearer than min_distance"),
        ("chr1\t35000\t35001\n", r"target 'A' has no negatives in split 'valid'; raise ratio"),
    ],
)
def test_a_bad_file_of_negatives_is_refused(folder, tmp_path, content, message):
    if content is not None:
        (tmp_path / "neg.bed").write_text(content)
    with pytest.raises(SeqliftError, match=message):
        make(folder, negatives="bed", negatives_file=tmp_path / "neg.bed")


@pytest.mark.parametrize("key", ["exclude_regions", "include_regions", "unlabelled"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "mask.bed: no such file"),
        ("#\n", "mask.bed: holds no interval"),
        ("chr1\t9\t5\n", r"mask\.bed:1: start \(9\) must be smaller than end \(5\)"),
        ("1\t5\t9\n", r"mask\.bed: none of its chromosomes \(1\) is one of .* rename_chromosomes: \{.1.: chr1\}"),
        ("chrUn\t1\t2\nchr1\t40000\t40010\n", r"mask\.bed:2: interval chr1:40000-40010 lies past the end of chr1"),
    ],
)
def test_a_bad_mask_is_refused(folder, tmp_path, key, content, message):
    if content is not None:
        (tmp_path / "mask.bed").write_text(content)
    path = str(tmp_path / "mask.bed")
    changes = {key: [path]}
    if key == "unlabelled":
        changes = {"targets": [Target("A", str(folder / "A.bed"), unlabelled=path)]}
    with pytest.raises(SeqliftError, match=message):
        make(folder, **changes)


def test_a_window_must_lie_inside_each_of_the_included_files(folder, tmp_path):
    (tmp_path / "one.bed").write_text("".join(f"{chrom}\t0\t15000\n{chrom}\t15000\t40000\n" for chrom in SIZES))
    (tmp_path / "two.bed").write_text("".join(f"{chrom}\t10000\t38000\n" for chrom in SIZES))
    table = make(folder, include_regions=[tmp_path / "one.bed", tmp_path / "two.bed"], background=20).table
    assert table["start"].min() - 10 >= 10_000
    assert table["end"].max() + 10 <= 38_000
    # Intervals that touch are one
    assert (table["kind"].eq("peak") & table["start"].between(14_000, 16_000)).any()


def test_a_region_without_any_label_is_dropped_and_counted(folder, tmp_path):
    (tmp_path / "unknown.bed").write_text("chr1\t2000\t8000\n")
    both = [Target(name, str(folder / f"{name}.bed"), unlabelled=str(tmp_path / "unknown.bed")) for name in "AB"]
    one = [both[0], Target("B", str(folder / "B.bed"))]
    regions = make(folder, targets=both)
    # Peaks of A and B at 3,000, 5,000 and 7,000, each with two summits 50 bp apart, which make two regions
    assert regions.summary["dropped"]["unlabelled"] == 6
    assert not regions.table.loc[regions.table["chrom"] == "chr1", "start"].between(1_900, 8_000).any()
    regions = make(folder, targets=one)
    assert regions.summary["dropped"]["unlabelled"] == 0
    here = regions.table[(regions.table["chrom"] == "chr1") & regions.table["start"].between(1_900, 8_000)]
    assert (here["target:A"].isna() & here["target:B"].notna()).all()
    assert (len(here), regions.summary["masked"]) == (6, {"A": 6, "B": 0})


def test_peaks_on_one_chromosome_need_intervals_and_the_example_works(folder, tmp_path):
    rng = np.random.default_rng(6)
    places = np.sort(rng.choice(np.arange(500, 39_500, 150), 120, replace=False))
    (tmp_path / "one.bed").write_text("".join(f"chr3\t{place}\t{place + 1}\n" for place in places))
    targets = [Target("one", str(tmp_path / "one.bed"))]
    for changes in ({}, {"valid": [], "test": [], "folds": 3}, {"valid": ["chr3"], "test": ["chr4"]}):
        with pytest.raises(SeqliftError, match=r"all 120 peaks lie on chr3") as error:
            make(folder, targets=targets, **changes)
    valid, test = re.search(r"valid: \['(.*)'\] and test: \['(.*)'\]", str(error.value)).groups()
    regions = make(folder, targets=targets, valid=[valid], test=[test], negatives="shuffled")
    kept = {split: counts["one"] for split, counts in regions.summary["kept"].items()}
    assert kept["train"] > 70
    assert kept["valid"] > 7
    assert kept["test"] > 15
    check_apart(regions.table, 10)
    # One target of two
    targets.append(Target("A", str(folder / "A.bed")))
    with pytest.raises(SeqliftError, match=r"target 'one' has no peaks left in split 'valid' .* chr3"):
        make(folder, targets=targets)


def test_a_target_with_few_peaks_is_refused_with_its_file(folder, tmp_path):
    (tmp_path / "five.bed").write_text("".join(f"chr{number}\t500\t600\n" for number in (1, 2, 4, 5, 6)))
    with pytest.raises(SeqliftError, match=r"five\.bed: target 'few' has 5 peaks, at least 10 are needed"):
        make(folder, targets=[Target("few", str(tmp_path / "five.bed"))])
    rows = "".join(f"chr{number}\t{place}\t{place + 1}\n" for number in range(1, 7) for place in (5, 500, 39_999))
    (tmp_path / "ends.bed").write_text(rows)
    message = r"ends\.bed: target 'ends' has only 6 regions with a peak left of 18 peaks: 12 its window"
    with pytest.raises(SeqliftError, match=message):
        make(folder, targets=[Target("ends", str(tmp_path / "ends.bed"))])


@pytest.fixture
def bigwigs(folder, tmp_path):
    """Plus strand: 3 in windows of A's peaks, 1 elsewhere; minus strand: half of that, with a minus sign."""
    paths = {}
    for name, sign in (("plus", 1.0), ("minus", -0.5)):
        paths[name] = str(tmp_path / f"{name}.bw")
        with pyBigWig.open(paths[name], "w") as file:
            file.addHeader(list(SIZES.items()))
            for chrom, size in SIZES.items():
                values = np.ones(size)
                for place in range(3_000, 27_000, 2_000):
                    values[place - 50 : place + 50] = 3
                file.addEntries(chrom, 0, values=(values * sign).tolist(), span=1, step=1)
    return paths


def test_signal_is_summed_over_replicates_and_strands(folder, bigwigs, tmp_path):
    files = {"signal": (bigwigs["plus"], bigwigs["plus"][:-3] + "2.bw"), "signal_minus": (bigwigs["minus"],)}
    (tmp_path / "plus2.bw").write_bytes((tmp_path / "plus.bw").read_bytes())
    targets = [
        Target("A", str(folder / "A.bed"), **files, control=(bigwigs["plus"],)),
        Target("B", str(folder / "B.bed")),
    ]
    regions = make(folder, targets=targets, signal_window=40, negatives="shuffled", background=5)
    table, signal = regions.table, regions.summary["signal"]
    on_a = (table["kind"] == "peak") & (table["target:A"] == 1) & ((table["summit"] - 3_000) % 2_000 == 0)
    on_a &= table["summit"] < 27_000
    assert (table.loc[on_a, "signal:A"] == 40 * 3 * 2.5).all()
    assert table.loc[table["kind"] == "shuffled", "signal:A"].isna().all()
    assert (table.loc[table["kind"] == "background", "signal:A"] == 40 * 2.5).all()
    assert "signal:B" not in table
    assert {key: signal[key] for key in ("window", "strands", "control_strands", "missing", "negative")} == {
        "window": 40, "strands": 2, "control_strands": 1, "missing": "zero", "negative": "refuse",
    }  # fmt: skip
    assert signal["files"]["A"]["signal"] == list(files["signal"])
    assert signal["unknown"] == {"A": int((table["kind"] == "shuffled").sum())}
    write_regions(regions, tmp_path / "r.tsv.gz", tmp_path / "r.json")
    assert read_regions(tmp_path / "r.tsv.gz")["signal:A"].equals(table["signal:A"])
    assert make(folder, targets=targets).summary["signal"]["window"] == 100
    with pytest.raises(SeqliftError, match=r"targets differ in strands: A with signal_minus, B without"):
        make(folder, targets=[targets[0], Target("B", str(folder / "B.bed"), signal=(bigwigs["plus"],))])


def test_yeast_atac_with_signal_by_intervals_and_folds(yeast):
    """Real open chromatin and cut sites: what the examples of the documentation do."""
    targets = [
        Target("ATAC", str(yeast / "atac_accessible.narrowPeak"), signal=(str(yeast / "atac_cut_sites.bw"),)),
        Target("Reb1", str(yeast / "Reb1.narrowPeak")),
    ]
    settings = {"length": 500, "min_distance": 100, "exclude_chromosomes": ["chrM"], "jitter": 30, "ratio": 0.5}
    by_place = {"valid": ["chrVII:1-500000", "chrXVI"], "test": ["chrIV:700,000-", "chrXV"]}
    for splits in (by_place, {"folds": 5}):
        regions = make_regions(yeast / "sacCer3.fa.gz", targets, **settings, **splits, background=100)
        check_apart(regions.table, 30)
        table = regions.table
        totals = table.groupby("kind")["signal:ATAC"].median()
        assert totals["peak"] > 5 * totals["genome"]
        assert totals["peak"] > 5 * totals["background"]
        assert regions.summary["negatives"]["warning"] == ""
    unbound = make_regions(
        yeast / "sacCer3.fa.gz",
        [Target("Reb1", str(yeast / "Reb1.narrowPeak"))],
        **settings,
        **by_place,
        negatives="unbound",
        negatives_file=yeast / "atac_accessible.narrowPeak",
    )
    assert unbound.summary["negatives"]["drawn"] == unbound.summary["negatives"]["requested"]
    assert (unbound.table["kind"] == "unbound").sum() > 400
