"""Signal read from bigWig files, compared with a slow reading of single values; and files that are refused."""

import os
import pickle
import re

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqlift.data import signal as signal_module
from seqlift.data.genome import Genome
from seqlift.data.signal import check_bigwigs, load_signal, signal_totals, strands_of
from seqlift.data.targets import Target
from seqlift.errors import SeqliftError
from seqlift.training.dataset import TrainingRegions

SIZES = {"chr1": 30_000, "chr2": 500, "chr3": 90}
LENGTH, WINDOW = 60, 21


def write_bigwig(path, values, sizes=SIZES):
    """A bigWig of chromosome -> array with NaN where there is no value."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(sizes.items()))
        for chrom, array in values.items():
            at = np.flatnonzero(~np.isnan(array))
            if not len(at):  # pyBigWig wants some
                continue
            file.addEntries([chrom] * len(at), at.tolist(), ends=(at + 1).tolist(), values=array[at].tolist())
    return str(path)


def random_values(seed, sizes=SIZES, *, holes=0.5, sign=1):
    random = np.random.default_rng(seed)
    values = {chrom: sign * random.integers(1, 9, size).astype(float) for chrom, size in sizes.items()}
    for array in values.values():
        array[random.random(len(array)) < holes] = np.nan
    return values


def regions(n=120, seed=0):
    """Regions in no order, some more than once, up to the ends of the chromosomes."""
    random = np.random.default_rng(seed)
    chrom = random.choice(list(SIZES), n)
    start = np.array([random.choice([0, size - LENGTH, random.integers(0, size - LENGTH)])
                      for size in map(SIZES.get, chrom)])  # fmt: skip
    kind = np.where(np.arange(n) % 10 == 3, "shuffled", "genome")
    return pd.DataFrame({"chrom": chrom, "start": start, "end": start + LENGTH, "kind": kind}, index=np.arange(n) + 7)


def window_of(values, row, *, window=WINDOW, margin=0):
    """The values (NaN where none) of a row's window and its margins, base by base."""
    start = row.start + (LENGTH - window) // 2 - margin
    array = values.get(row.chrom, np.full(SIZES[row.chrom], np.nan))
    return np.array([array[at] if 0 <= at < len(array) else np.nan for at in range(start, start + window + 2 * margin)])


@pytest.mark.parametrize("missing", ["zero", "mask"])
@pytest.mark.parametrize("window", [1, WINDOW, LENGTH])
def test_totals_are_those_of_the_slow_reading(tmp_path, missing, window, monkeypatch):
    monkeypatch.setattr(signal_module, "_GAP", 100)
    monkeypatch.setattr(signal_module, "_STRETCH", 3000)
    files = [random_values(seed, holes=0.005) for seed in range(3)]
    del files[0]["chr3"]  # a writer leaves out what has no data
    paths = [write_bigwig(tmp_path / f"{i}.bw", values) for i, values in enumerate(files)]
    table = regions()
    target = Target("t", "p", signal=tuple(paths[:2]), signal_minus=tuple(paths[2:]))
    totals = signal_totals(table, target, SIZES, window=window, missing=missing)
    expected = []
    for row in table.itertuples():
        windows = np.array([window_of(values, row, window=window) for values in files])
        unknown = row.kind == "shuffled" or (missing == "mask" and np.isnan(windows).any())
        expected.append(np.nan if unknown else np.nansum(windows))
    assert np.array_equal(totals, expected, equal_nan=True)
    assert 0 < np.isnan(totals).sum() < len(totals)


@pytest.mark.parametrize("block", [1, 10**9])
def test_how_much_is_read_at_once_changes_nothing(tmp_path, block, monkeypatch):
    path = write_bigwig(tmp_path / "a.bw", random_values(0))
    target = Target("t", "p", signal=(path,))
    expected = signal_totals(regions(), target, SIZES, window=WINDOW)
    for name in ("_GAP", "_STRETCH", "_BLOCK"):
        monkeypatch.setattr(signal_module, name, block)
    assert np.array_equal(signal_totals(regions(), target, SIZES, window=WINDOW), expected, equal_nan=True)


def summary(files, *, missing="zero", negative="refuse", strands=1, control_strands=0):
    return {"window": WINDOW, "missing": missing, "negative": negative, "strands": strands,
            "control_strands": control_strands, "files": files}  # fmt: skip


@pytest.mark.parametrize("missing", ["zero", "mask"])
def test_the_signal_at_every_base_is_that_of_the_slow_reading(tmp_path, missing):
    margin, table, targets = 5, regions(), ["none", "both", "other"]
    values = {name: random_values(seed, holes=0.01) for seed, name in enumerate(["p", "q", "m", "P", "M", "c", "d"])}
    path = {name: write_bigwig(tmp_path / f"{name}.bw", content) for name, content in values.items()}
    roles = {
        "both": {"signal": "pq", "signal_minus": "m", "control": "c", "control_minus": "d"},
        "other": {"signal": "P", "signal_minus": "M"},
    }
    files = {name: {role: [path[file] for file in names] for role, names in of.items()} for name, of in roles.items()}
    settings = summary(files, missing=missing, strands=2, control_strands=2)
    signal = load_signal(table, settings, targets, SIZES, margin=margin, folder=tmp_path / "cache")
    assert signal.values.shape == (len(table), 3, 2, WINDOW + 2 * margin) and signal.control.shape[1] == 6
    assert isinstance(signal.values, np.memmap) and isinstance(signal.control, np.memmap)
    masked = 0
    for i, row in enumerate(table.itertuples()):

        def at(names, row=row):
            return [window_of(values[name], row, margin=margin) for name in names]

        for t, target in enumerate(targets):
            of = roles.get(target, {})
            strands = [at(of.get(role, "")) for role in ("signal", "signal_minus")]
            lacking = missing == "mask" and np.isnan(np.array([*strands[0], *strands[1]])).any()
            known = bool(of) and row.kind != "shuffled" and not lacking
            masked += lacking
            assert signal.known[i, t] == known
            for s in range(2):
                expected = np.nansum(strands[s], axis=0) if known else np.zeros(WINDOW + 2 * margin)
                assert np.array_equal(signal.values[i, t, s], expected)
                control = at(of.get(("control", "control_minus")[s], "")) if row.kind != "shuffled" else []
                expected = np.nansum(control, axis=0) if control else 0 * signal.control[i, 0]
                assert np.array_equal(signal.control[i, 2 * t + s], expected)
    assert (missing == "mask") == (masked > 5)


def test_the_files_are_made_once_and_again_when_something_changes(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", random_values(0))
    cache = tmp_path / "cache"

    def load(table=None, *, margin=2, **settings):
        table = regions() if table is None else table
        return load_signal(table, summary({"t": {"signal": [path]}}, **settings), ["t"], SIZES, margin=margin,
                           folder=cache)  # fmt: skip

    first = load()
    files = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert np.array_equal(load().values, first.values)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == files
    for different in (lambda: load(margin=3), lambda: load(missing="mask"), lambda: load(regions(seed=1))):
        before = len(list(cache.iterdir()))
        different()
        assert len(list(cache.iterdir())) == before + 2
    write_bigwig(path, random_values(5))
    assert not np.array_equal(load().values, first.values)


def test_a_pickled_copy_maps_the_same_files(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", random_values(0))
    settings = summary({"t": {"signal": [path], "control": [path]}}, control_strands=1)
    signal = load_signal(regions(2000), settings, ["t"], SIZES, margin=2, folder=tmp_path / "cache")
    pickled = pickle.dumps(signal)
    assert len(pickled) < signal.values.nbytes / 10
    copy = pickle.loads(pickled)
    assert np.array_equal(copy.values, signal.values) and np.array_equal(copy.control, signal.control)
    assert isinstance(copy.control, np.memmap) and copy.window == WINDOW


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = write_bigwig(tmp_path / "a.bw", random_values(0))
    with pytest.raises(SeqliftError, match=r"signal of the regions, 0\.0 GB, cannot be written .* No space left"):
        load_signal(regions(), summary({"t": {"signal": [path]}}), ["t"], SIZES, margin=2, folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_file_without_positive_values_is_the_minus_strand(tmp_path, caplog):
    values = random_values(0)
    plus = write_bigwig(tmp_path / "plus.bw", values)
    minus = write_bigwig(tmp_path / "minus.bw", {chrom: -array for chrom, array in values.items()})
    expected = signal_totals(regions(), Target("t", "p", signal=(plus,)), SIZES, window=WINDOW)
    with caplog.at_level("INFO"):
        found = signal_totals(regions(), Target("t", "p", signal=(minus,)), SIZES, window=WINDOW)
    assert np.array_equal(found, expected, equal_nan=True)
    assert "minus.bw: all values are below 0" in caplog.text
    settings = summary({"t": {"signal": [plus], "signal_minus": [minus]}}, strands=2)
    signal = load_signal(regions(), settings, ["t"], SIZES, margin=0, folder=tmp_path / "cache")
    assert np.array_equal(signal.values[:, :, 0], signal.values[:, :, 1]) and signal.values.max() > 0


def test_values_below_0_are_refused_clipped_or_made_absolute(tmp_path):
    values = random_values(0)
    row = next(regions().itertuples())
    at = row.start + LENGTH // 2
    values[row.chrom][at] = -4
    path = write_bigwig(tmp_path / "a.bw", values)
    target = Target("t", "p", signal=(path,))
    with pytest.raises(SeqliftError, match=rf"a\.bw: {row.chrom}:{at + 1} holds -4, .* signal\.negative to clip"):
        signal_totals(regions(), target, SIZES, window=WINDOW)
    for negative, meant in (("clip", 0), ("absolute", 4)):
        values[row.chrom][at] = meant
        other = Target("t", "p", signal=(write_bigwig(tmp_path / "b.bw", values),))
        expected = signal_totals(regions(), other, SIZES, window=WINDOW)
        found = signal_totals(regions(), target, SIZES, window=WINDOW, negative=negative)
        assert np.array_equal(found, expected, equal_nan=True)
    # A base between the windows does not matter
    values[row.chrom][:] = 1
    values["chr1"][15_000] = -4
    far = regions()[regions()["start"] < 10_000]
    target = Target("t", "p", signal=(write_bigwig(tmp_path / "c.bw", values),))
    assert np.nansum(signal_totals(far, target, SIZES, window=WINDOW)) > 0


def test_values_that_are_not_finite_are_refused(tmp_path):
    values = random_values(0)
    row = next(regions().itertuples())
    for value, negative in ((np.inf, "refuse"), (-np.inf, "clip"), (-np.inf, "absolute")):
        values[row.chrom][row.start + LENGTH // 2] = value
        target = Target("t", "p", signal=(write_bigwig(tmp_path / "a.bw", values),))
        with pytest.raises(SeqliftError, match=r"a\.bw: chr\d:\d+ holds -?inf; a signal must be finite"):
            signal_totals(regions(), target, SIZES, window=WINDOW, negative=negative)


@pytest.mark.parametrize(("missing", "advice"), [("zero", r"one assembly$"), ("mask", "signal.missing to zero")])
def test_no_data_in_half_of_the_peaks_is_refused(tmp_path, missing, advice):
    table = regions().replace({"kind": {"genome": "peak"}})
    table["target:t"] = (table["kind"] == "peak").astype(float)
    values = {chrom: np.full(size, np.nan) for chrom, size in SIZES.items()}
    values["chr1"][:] = 1
    path = write_bigwig(tmp_path / "a.bw", values)
    target = Target("t", "p", signal=(path,))
    peaks = table[table["kind"] == "peak"]
    nothing, n = int((peaks["chrom"] != "chr1").sum()), len(peaks)
    assert 2 * nothing >= n
    with pytest.raises(SeqliftError, match=rf"has no data in {nothing} of its {n} peak regions; .*{advice}"):
        signal_totals(table, target, SIZES, window=WINDOW, missing=missing)
    table.loc[table["chrom"] != "chr1", "target:t"] = 0  # peaks of other targets do not count
    assert np.nansum(signal_totals(table, target, SIZES, window=WINDOW, missing=missing)) > 0


@pytest.mark.parametrize("window", [0, LENGTH + 1])
def test_a_window_that_does_not_fit_is_refused(tmp_path, window):
    path = write_bigwig(tmp_path / "a.bw", random_values(0))
    with pytest.raises(SeqliftError, match=rf"signal\.window \(={window}\) must be from 1 to .* 60 bp"):
        signal_totals(regions(), Target("t", "p", signal=(path,)), SIZES, window=window)


def test_targets_must_have_strands_alike():
    one, both = Target("a", "p", signal=("a",)), Target("b", "p", signal=("b",), signal_minus=("c",))
    controlled = Target("d", "p", signal=("a",), control=("x",))
    assert strands_of([Target("n", "p")]) == (0, 0)
    assert strands_of([one, Target("n", "p"), controlled]) == (1, 1)
    assert strands_of([both]) == (2, 0)
    with pytest.raises(SeqliftError, match="targets differ in strands: b with signal_minus, a without"):
        strands_of([one, both])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"chr1": 30_001, "chr2": 500},
            r"of another genome .* differ in length: chr1 30,001 bp, there 30,000; use the",
        ),
        (
            {"1": 30_000, "2": 500},
            r"in another way .*: 1, 2 for chr1, chr2\. .*rename_chromosomes: \{.1.: chr1, .2.: chr2\}",
        ),
        ({"chrI": 30_000, "chrII": 500}, r"rename_chromosomes: \{chrI: chr1, chrII: chr2\}"),
        ({"1": 30_000, "2": 501}, r"of another genome .* differ in length: 2 501 bp, there 500; use the"),
        ({"scaffold_9": 30_000}, r"of another genome .* none of its chromosomes \(scaffold_9\) is one of chr1, chr2"),
    ],
)
def test_a_bigwig_of_another_genome_is_refused(tmp_path, sizes, message):
    path = write_bigwig(tmp_path / "a.bw", random_values(0, sizes), sizes)
    with pytest.raises(SeqliftError, match=r"a\.bw: .*" + message):
        check_bigwigs([path], SIZES)
    with pytest.raises(SeqliftError, match=message):
        signal_totals(regions(), Target("t", "p", signal=(path,)), SIZES, window=WINDOW)


@pytest.mark.parametrize("sizes", [{"chr1": 30_000}, SIZES | {"chrUn_1": 10}])
def test_a_bigwig_may_lack_chromosomes_and_have_others(tmp_path, sizes):
    check_bigwigs([write_bigwig(tmp_path / "a.bw", random_values(0, sizes, holes=0), sizes)], SIZES)


def test_what_is_no_bigwig_is_refused(tmp_path):
    def refused(content, message):
        path = tmp_path / "a.bw"
        path.write_bytes(content)
        with pytest.raises(SeqliftError, match=re.escape(str(path)) + ": " + message):
            check_bigwigs([path], SIZES)

    refused(b"chr1\t0\t10\t3\n" * 20, "not a bigWig file")
    refused(b"", r"not a bigWig file \(it is empty\)")
    refused((0x8789F2EB).to_bytes(4, "little") + bytes(100), "is a bigBed file")
    refused((0x888FFC26).to_bytes(4, "little"), r"a damaged bigWig \(only 4 bytes\)")
    with pytest.raises(SeqliftError, match=r"b\.bw: no such bigWig file; check the name"):
        check_bigwigs([tmp_path / "b.bw"], SIZES)
    with pytest.raises(SeqliftError, match="cannot be read: Is a directory"):
        check_bigwigs([tmp_path], SIZES)
    with pyBigWig.open(str(tmp_path / "empty.bw"), "w") as file:
        file.addHeader([("chr1", 30_000)])
    with pytest.raises(SeqliftError, match=r"empty\.bw: a bigWig without any data|damaged"):
        check_bigwigs([tmp_path / "empty.bw"], SIZES)


def test_a_file_cut_short_anywhere_is_refused_or_complete(tmp_path):
    content = (tmp_path / "a.bw", write_bigwig(tmp_path / "a.bw", random_values(0)))[0].read_bytes()
    table = regions()
    expected = signal_totals(table, Target("t", "p", signal=(str(tmp_path / "a.bw"),)), SIZES, window=WINDOW)
    path = tmp_path / "cut.bw"
    refused = 0
    for kept in range(1, len(content), len(content) // 60):
        path.write_bytes(content[:kept])
        try:
            found = signal_totals(table, Target("t", "p", signal=(str(path),)), SIZES, window=WINDOW)
        except SeqliftError as error:
            assert re.search(r"cut\.bw: (a damaged bigWig|not a bigWig)", str(error))
            refused += 1
        else:  # what is gone was a summary for browsers
            assert np.array_equal(found, expected, equal_nan=True)
    assert refused > 20


@pytest.fixture(scope="module")
def atac(yeast):
    """Real cut sites, and windows around real accessible regions."""
    path = str(yeast / "atac_cut_sites.bw")
    with pyBigWig.open(path) as bigwig:
        sizes = bigwig.chroms()
        lines = (yeast / "atac_accessible.narrowPeak").read_text().splitlines()[1:]
        peaks = [line.split("\t")[:3] for line in lines]
        middles = [(chrom, (int(start) + int(end)) // 2) for chrom, start, end in peaks]
        table = pd.DataFrame([(chrom, at - 500, at + 500) for chrom, at in middles], columns=["chrom", "start", "end"])
        table = table[(table["start"] > 50) & (table["end"] < table["chrom"].map(sizes) - 50)].assign(kind="peak")
        table["name"] = table["chrom"] + ":" + table["start"].astype(str)
        yield path, sizes, table.sample(frac=1, random_state=0)


def test_totals_of_real_cut_sites_are_those_of_pybigwig(atac):
    path, sizes, table = atac
    totals = signal_totals(table, Target("ATAC", "p", signal=(path,)), sizes, window=400)
    with pyBigWig.open(path) as bigwig:
        own = [bigwig.stats(row.chrom, row.start + 300, row.start + 700, type="sum", exact=True)[0] or 0
               for row in table.itertuples()]  # fmt: skip
    assert len(totals) > 1000 and np.array_equal(totals, own)
    assert np.median(totals) > 20


def test_real_cut_sites_are_reversed_with_their_region(atac, yeast, tmp_path):
    path, sizes, table = atac
    table = table.head(200)
    files = {"ATAC": {"signal": [path], "signal_minus": [path]}}
    settings = summary(files, strands=2) | {"window": 400}
    signal = load_signal(table, settings, ["ATAC"], sizes, margin=30, folder=tmp_path / "signal")
    with pyBigWig.open(path) as bigwig, Genome(yeast / "sacCer3.fa.gz", cache_dir=tmp_path / "cache") as genome:
        for i, row in enumerate(table.itertuples()):
            slow = bigwig.values(row.chrom, row.start + 270, row.start + 730)
            assert np.array_equal(signal.values[i, 0, 0], np.nan_to_num(slow))
        data = TrainingRegions(
            table, genome, np.ones((200, 1)), jitter=30, reverse_complement=True, seed=1, signal=signal
        )
        batch = data[0, np.arange(200)]
        reversed_regions = 0
        for i, row in enumerate(table.itertuples()):
            # The sequence tells where and on which strand the region was read
            wide = genome.fetch(row.chrom, row.start - 30, row.end + 30)
            bases = "".join("ACGTN"[code] for code in batch.codes[i])
            backwards = bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
            (shift,) = {wide.find(bases), wide.find(backwards)} - {-1}
            slow = np.nan_to_num(bigwig.values(row.chrom, row.start + 270 + shift, row.start + 670 + shift))
            assert np.array_equal(batch.signal[i, 0, 0].numpy(), slow[::-1] if bases not in wide else slow)
            reversed_regions += bases not in wide
        assert 60 < reversed_regions < 140
