"""Peak files: the formats people have, and one clear message for each thing that can be wrong with them."""

import gzip
import math

import numpy as np
import pandas as pd
import pytest

from seqlift.data.intervals import complement, merge_intervals, overlapping, read_intervals, read_peaks
from seqlift.errors import SeqliftError


def write(path, text, packed=False):
    data = text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def test_bed3_uses_the_middle_and_has_no_score(tmp_path):
    peaks = read_peaks(write(tmp_path / "a.bed", "chr1\t10\t20\nchr2\t5\t8\n"))
    assert peaks["summit"].tolist() == [15, 6]
    assert peaks["score"].isna().all()
    assert peaks["strand"].tolist() == [".", "."]
    assert peaks["name"].tolist() == ["", ""]
    assert peaks["line"].tolist() == [1, 2]
    assert list(peaks.columns) == ["chrom", "start", "end", "name", "score", "strand", "summit", "line"]


def test_a_peak_of_one_base_has_its_summit_on_it(tmp_path):
    peaks = read_peaks(write(tmp_path / "a.bed", "chr14\t412603\t412604\tp\t1000\t.\n"))
    assert peaks["summit"].tolist() == [412603]


def test_narrow_peak_uses_column_ten_and_the_middle_where_it_is_minus_one(tmp_path):
    text = "chr1\t100\t200\tp1\t7\t+\t3.5\t-1\t-1\t0\nchr1\t100\t200\t.\t8.5\t-\t3.5\t-1\t-1\t-1\n"
    peaks = read_peaks(write(tmp_path / "a.narrowPeak", text))
    assert peaks["summit"].tolist() == [100, 150]
    assert peaks["score"].tolist() == [7.0, 8.5]
    assert peaks["name"].tolist() == ["p1", ""]
    assert peaks["strand"].tolist() == ["+", "-"]


def test_broad_peak_and_bed12_use_the_middle(tmp_path):
    broad = "chr1\t100\t201\tp1\t7\t.\t3.5\t-1\t-1\n"
    bed12 = "chr1\t100\t201\tp1\t7\t.\t100\t201\t0\t2\t10,10\t0,91\n"
    assert read_peaks(write(tmp_path / "a.broadPeak", broad))["summit"].tolist() == [150]
    assert read_peaks(write(tmp_path / "a.bed", bed12))["summit"].tolist() == [150]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_lines_line_ends_and_gzip_do_not_matter(tmp_path, packed, end):
    lines = [
        'track type=narrowPeak name="x y"',
        "browser position chr1",
        "# note",
        "",
        "chr1\t1\t3\tn\t5\t+",
        "chr1 7 9",
    ]
    peaks = read_peaks(write(tmp_path / "peaks", end.join(lines) + end, packed))
    assert peaks["start"].tolist() == [1, 7]
    assert peaks["strand"].tolist() == ["+", "."]
    assert peaks["line"].tolist() == [5, 6]


def test_a_last_line_without_an_end_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "a.bed"
    path.write_bytes(b"\xef\xbb\xbfchr1\t1\t3\nchr1\t7\t9")
    assert read_peaks(path)["chrom"].tolist() == ["chr1", "chr1"]


def test_chromosomes_are_renamed_and_others_left_alone(tmp_path):
    peaks = read_peaks(write(tmp_path / "a.bed", "chr1\t1\t3\nchrX\t1\t3\n"), rename={"chr1": "chrI"})
    assert peaks["chrom"].tolist() == ["chrI", "chrX"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", r"a\.bed:2: 2 columns, at least 3"),
        ("chr1\tfive\t9", r"a\.bed:2: start \(column 2\) is 'five', must be a whole number"),
        ("chr1\t5\t9.5", r"a\.bed:2: end \(column 3\) is '9\.5', must be a whole number"),
        ("chr1\t-5\t9", r"a\.bed:2: start \(-5\) must not be negative"),
        ("chr1\t9\t9", r"a\.bed:2: start \(9\) must be smaller than end \(9\)"),
        ("chr1\t10\t9", r"a\.bed:2: start \(10\) must be smaller than end \(9\)"),
        ("chr1\t5\t9\tn\thigh", r"a\.bed:2: score \(column 5\) is 'high', must be a number"),
        ("chr1\t5\t9\tn\tinf", r"a\.bed:2: score \(column 5\) is 'inf', must be finite"),
        ("chr1\t5\t9\tn\t1\tx", r"a\.bed:2: strand \(column 6\) is 'x'"),
        ("chr1\t5\t9\tn\t1\t.\t1\t1\t1\tx", r"a\.bed:2: summit \(column 10\) is 'x', must be a whole number"),
        ("chr1\t5\t9\tn\t1\t.\t1\t1\t1\t5", r"a\.bed:2: summit \(column 10\) is 5, .* \(0 to 3\), or -1"),
    ],
)
def test_a_bad_line_is_named_with_its_rule(tmp_path, line, message):
    path = write(tmp_path / "a.bed", f"chr1\t1\t2\n{line}\n")
    with pytest.raises(SeqliftError, match=message):
        read_peaks(path)


def test_dots_stand_for_no_name_and_no_score(tmp_path):
    peaks = read_peaks(write(tmp_path / "a.bed", "chr1\t1\t3\t.\t.\t.\n"))
    assert math.isnan(peaks["score"].iloc[0])


def test_files_that_are_missing_empty_binary_or_damaged_are_refused(tmp_path):
    with pytest.raises(SeqliftError, match="no such file"):
        read_peaks(tmp_path / "absent.bed")
    with pytest.raises(SeqliftError, match="holds no peak"):
        read_peaks(write(tmp_path / "empty.bed", ""))
    with pytest.raises(SeqliftError, match="holds no peak"):
        read_peaks(write(tmp_path / "comments.bed", "# nothing\ntrack name=x\n"))
    with pytest.raises(SeqliftError, match="cannot be read: Is a directory"):
        read_peaks(tmp_path)
    (tmp_path / "binary.bed").write_bytes(b"chr1\x00\x01\x02")
    with pytest.raises(SeqliftError, match=r"binary\.bed: line 1 holds binary data"):
        read_peaks(tmp_path / "binary.bed")
    (tmp_path / "latin.bed").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SeqliftError, match="not a text file"):
        read_peaks(tmp_path / "latin.bed")
    whole = gzip.compress(b"".join(b"chr1\t%d\t%d\n" % (i, i * i + 1) for i in range(5000)))
    (tmp_path / "cut.bed.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SeqliftError, match="damaged gzip file"):
        read_peaks(tmp_path / "cut.bed.gz")


def test_intervals_are_read_whatever_their_other_columns_hold(tmp_path):
    text = "track name=black\nchr1\t5\t9\tHigh Signal Region\tx\ty\n#\nchr2 0 4\n"
    found = read_intervals(write(tmp_path / "black.bed.gz", text, packed=True))
    assert found.to_numpy().tolist() == [["chr1", 5, 9, 2], ["chr2", 0, 4, 4]]
    for content, message in (
        ("", "holds no interval"),
        ("chr1\t5\n", r"black\.bed:1: 2 columns, at least 3 are needed"),
        ("chr1\t1\t2\nchr1\t5\tx\n", r"black\.bed:2: end \(column 3\) is 'x', must be a whole number"),
        ("chr1\t-5\t2\n", r"black\.bed:1: start \(-5\) must not be negative"),
        ("chr1\t5\t5\n", r"black\.bed:1: start \(5\) must be smaller than end \(5\)"),
    ):
        with pytest.raises(SeqliftError, match=message):
            read_intervals(write(tmp_path / "black.bed", content))
    with pytest.raises(SeqliftError, match="no such file"):
        read_intervals(tmp_path / "absent.bed")


def test_what_intervals_cover_overlap_and_leave_is_as_counted_base_by_base():
    rng = np.random.default_rng(1)
    sizes = {"c1": 200, "c2": 150, "c3": 40}
    for _ in range(30):
        chrom = rng.choice(["c1", "c2"], 12)
        start = rng.integers(0, 140, 12)
        intervals = pd.DataFrame({"chrom": chrom, "start": start, "end": start + rng.integers(1, 10, 12)})
        covered = {name: np.zeros(size, bool) for name, size in sizes.items()}
        for row in intervals.itertuples():
            covered[row.chrom][row.start : row.end] = True
        merged = merge_intervals(intervals)
        for name, stretches in merged.items():
            bases = np.zeros(sizes[name], bool)
            for first, last in stretches:
                bases[first:last] = True
            assert (bases == covered[name]).all()
            assert (stretches[1:, 0] > stretches[:-1, 1]).all()
        left = complement(merged, sizes)
        for name, size in sizes.items():
            bases = np.ones(size, bool)
            for row in left[left["chrom"] == name].itertuples():
                bases[row.start : row.end] = False
            assert (bases == covered[name]).all()
        windows = pd.DataFrame({"chrom": rng.choice(list(sizes), 40), "start": rng.integers(0, 30, 40)})
        windows["end"] = windows["start"] + rng.integers(1, 10, 40)
        expected = [covered[row.chrom][row.start : row.end].any() for row in windows.itertuples()]
        assert overlapping(windows, merged).tolist() == expected


NARROW = "chr1\t{}\t{}\tp\t9\t.\t5.0\t4.0\t3.0\t{}"


@pytest.mark.parametrize(
    "added", ["", "\tx", "\t1.2\t1.1", "\t1\t1", "\t1.2\t1.1\t200\t420\t5.0\t30\t200\t420\t4.0\t31"]
)
def test_added_columns_keep_the_summit(tmp_path, added):
    """11 to 20 columns: IDR writes 12 for one replicate file and 20 for two."""
    line = NARROW.format(200, 420, 30) + added
    assert read_peaks(write(tmp_path / "a.bed", line))["summit"].tolist() == [230]


def test_many_columns_without_a_summit_are_refused(tmp_path):
    line = "chr1\t200\t420\tp\t9\t.\ta\tb\tc\td\te\tf\tg"
    with pytest.raises(SeqliftError, match=r"a\.bed:1: summit \(column 10\) is 'd'"):
        read_peaks(write(tmp_path / "a.bed", line))


def test_gapped_peaks_have_their_middle_as_summit(tmp_path):
    line = "chr1\t100\t200\tp\t9\t.\t100\t200\t0\t2\t10,20,\t0,80,\t5.0\t4.0\t3.0"
    assert read_peaks(write(tmp_path / "a.gappedPeak", line))["summit"].tolist() == [150]


def test_a_summit_one_past_the_end_is_the_last_base(tmp_path, caplog):
    lines = [NARROW.format(100 * i, 100 * i + 50, 50 if i in (7, 80) else 20) for i in range(200)]
    peaks = read_peaks(write(tmp_path / "a.narrowPeak", "\n".join(lines)))
    assert peaks["summit"][7] == 749 and peaks["summit"][8] == 820
    assert "a.narrowPeak:8: the summit (column 10) lies one base past" in caplog.text and "2 of 200" in caplog.text
    lines[9] = NARROW.format(900, 950, 50)
    with pytest.raises(SeqliftError, match=r"a\.narrowPeak:8: .* 3 of 200 lines; is it counted from 1"):
        read_peaks(write(tmp_path / "a.narrowPeak", "\n".join(lines)))
