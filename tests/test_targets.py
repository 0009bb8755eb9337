"""The table of targets: what it may hold, that it is written as it is read, and each way to break it."""

import pytest

from seqlift.data.targets import Target, check_names, check_target, read_targets, targets_text
from seqlift.errors import SeqliftError


def table(tmp_path, text):
    path = tmp_path / "targets.tsv"
    path.write_text(text)
    return path


def test_columns_may_come_in_any_order_and_paths_are_joined_to_the_folder(tmp_path):
    text = (
        "# my experiments\n"
        "peaks\tsignal\tname\tunlabelled\tsignal_minus\n"
        "a.bed\trep1.bw, rep2.bw\tA\t.\t\n"
        "\n"
        "sub/../b b.bed\tb+.bw\tB.2\tmasks/low.bed\tb-.bw\n"
        "/abs/c.bed\t.\tC\t\t.\n"
    )
    assert read_targets(table(tmp_path, text), data_dir="data/x") == [
        Target("A", "data/x/a.bed", signal=("data/x/rep1.bw", "data/x/rep2.bw")),
        Target("B.2", "data/x/b b.bed", ("data/x/b+.bw",), ("data/x/b-.bw",), unlabelled="data/x/masks/low.bed"),
        Target("C", "/abs/c.bed"),
    ]


def test_white_space_and_windows_line_ends_do(tmp_path):
    path = table(tmp_path, "name peaks\r\nA  a.bed\r\n")
    assert read_targets(path) == [Target("A", "a.bed")]


def test_what_is_written_is_read_as_the_same(tmp_path):
    targets = [
        Target("A", "x/a.bed"),
        Target("B", "b.bed", ("p1.bw", "p2.bw"), ("m1.bw", "m2.bw"), ("c.bw",), ("d.bw",), "low map.bed"),
    ]
    assert read_targets(table(tmp_path, targets_text(targets))) == targets
    with pytest.raises(SeqliftError, match=r"'A': signal 'a,b\.bw'"):
        targets_text([Target("A", "a.bed", ("a,b.bw",))])
    comma = [Target("A", "a,1.bed")]
    assert read_targets(table(tmp_path, targets_text(comma))) == comma


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"targets\.tsv: empty; it must start with a header line"),
        ("name\tpeaks\n", r"targets\.tsv: names no target below its header"),
        ("A\ta.bed\n", r"targets\.tsv:1: column 'A' is unknown"),
        ("name\tpeak\n", r"targets\.tsv:1: column 'peak' is unknown"),
        ("name\tsignal\nA\ta.bw\n", r"targets\.tsv:1: column 'peaks' is missing"),
        ("name\tpeaks\tpeaks\n", r"targets\.tsv:1: column 'peaks' is named twice"),
        ("name\tpeaks\nA\n", r"targets\.tsv:2: 1 columns, must be 2"),
        ("name\tpeaks\nA\ta\n#\nB\tb\tc\n", r"targets\.tsv:4: 3 columns, must be 2"),
        ("name\tpeaks\nA/B\ta.bed\n", r"targets\.tsv:2: target 'A/B'"),
        ("name\tpeaks\n-A\ta.bed\n", r"targets\.tsv:2: target '-A': .* start with a letter or digit"),
        ("name\tpeaks\n\ta.bed\n", r"targets\.tsv:2: target ''"),
        ("name\tpeaks\nNegative\ta\n", r":2: target 'Negative': is the name of the regions without a peak"),
        ("name\tpeaks\nA\ta\nA\tb\n", r"targets\.tsv:3: target 'A': is named twice"),
        ("name\tpeaks\nA\ta\na\tb\n", r"targets\.tsv:3: target 'a': differs from 'A' only in upper and lower"),
        ("name\tpeaks\nA\t.\n", r"targets\.tsv:2: target 'A' has no peaks"),
        ("name\tpeaks\tsignal\nA\ta\tx,,y\n", r":2: signal is 'x,,y'"),
        ("name\tpeaks\tsignal\nA\ta\tx,.\n", r":2: signal is 'x,\.'"),
        ("name\tpeaks\tsignal_minus\nA\ta\tm\n", r":2: target 'A' has signal_minus but no signal"),
        ("name\tpeaks\tcontrol\nA\ta\tc\n", r":2: target 'A' has control but no signal"),
        ("name\tpeaks\tsignal\nA\ta\tx,x\n", r":2: target 'A' names a file twice in signal"),
        ("name\tpeaks\tsignal\tsignal_minus\nA\ta\tx\tx\n", r":2: target 'A' has x as signal and as signal_minus"),
        ("name\tpeaks\tsignal\tcontrol\tcontrol_minus\nA\ta\tx\tc\td\n", r":2: target 'A' has control_minus but no"),
    ],
)
def test_a_broken_table_is_refused_with_its_line_and_rule(tmp_path, text, message):
    with pytest.raises(SeqliftError, match=message):
        read_targets(table(tmp_path, text))


def test_a_missing_or_binary_table_is_told(tmp_path):
    with pytest.raises(SeqliftError, match=r"absent\.tsv: no such file"):
        read_targets(tmp_path / "absent.tsv")
    (tmp_path / "x.tsv").write_bytes(b"\x89PNG\x00\x00")
    with pytest.raises(SeqliftError, match=r"x\.tsv: not a text file|holds binary data"):
        read_targets(tmp_path / "x.tsv")


def test_names_are_checked_wherever_they_come_from():
    check_names(name for name in ("H3K4me3.rep-1+2", "7SK"))
    for names, message in (
        ([], "no target is named"),
        (["A", "a"], "target 'a': differs from 'A' only in upper and lower case"),
        (["A", "A"], "target 'A': is named twice"),
        (["x y"], "target 'x y'"),
        (["negative"], "the name of the regions without a peak"),
    ):
        with pytest.raises(SeqliftError, match=message):
            check_names(iter(names))


def test_both_strands_of_a_control_need_both_strands_of_the_signal():
    check_target(Target("A", "a", ("x",), ("y",), ("c",), ("d",)))
    check_target(Target("A", "a", ("x",), ("y",), ("c",)))
    with pytest.raises(SeqliftError, match="has control_minus but no signal_minus"):
        check_target(Target("A", "a", ("x",), (), ("c",), ("d",)))
