"""Downloads from a server that breaks off, refuses, changes its mind and lies."""

import fcntl
import hashlib
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fixtures.download_server import wait_until
from fixtures.full_disk import disk_of
from seqlift.data.fetch import _Download, fetch
from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def served(server):
    server.files["/data.bin"] = CONTENT


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def get(server, output, path="/data.bin", **settings):
    return fetch(server.url + path, output, pause=0.001, timeout=5, **settings)


@pytest.mark.parametrize("checksum", [{}, {"sha256": SHA256}, {"sha256": SHA256.upper()}, {"md5": MD5}])
def test_a_file_comes_whole_and_leaves_nothing_beside_it(server, tmp_path, checksum):
    result = get(server, tmp_path / "new folder" / "out.bin", **checksum)
    assert result.path.read_bytes() == CONTENT
    assert (result.bytes, result.sha256) == (len(CONTENT), SHA256)
    assert names(tmp_path / "new folder") == ["out.bin"]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    server.faults["/data.bin"] = [503, ("cut", 100_000), "close", ("cut", 200_000)]
    get(server, tmp_path / "out.bin", sha256=SHA256, attempts=2)  # in a row without a new byte
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in server.requests] == [
        None,
        None,
        "bytes=100000-",
        "bytes=100000-",
        "bytes=300000-",
    ]
    assert names(tmp_path) == ["out.bin"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.faults["/data.bin"] = [("cut", 100_000), "close", "close"]
    with pytest.raises(SeqliftError, match=r"/data\.bin: .*\b2 .*\b100000 bytes"):
        get(server, tmp_path / "out.bin", attempts=2)
    assert not (tmp_path / "out.bin").exists()
    get(server, tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert server.requests[-1] == ("/data.bin", "bytes=100000-", '"1"')


def test_pieces_of_two_versions_are_not_joined(server, tmp_path):
    server.faults["/data.bin"] = [("cut", 100_000), "close"]
    with pytest.raises(SeqliftError):
        get(server, tmp_path / "out.bin", attempts=1)
    changed = CONTENT[::-1]
    server.files["/data.bin"] = changed
    server.etag = '"2"'
    get(server, tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == changed


def test_pieces_that_do_not_fit_are_thrown_away_by_the_checksum(server, tmp_path):
    server.etag = None
    server.faults["/data.bin"] = [("cut", 100_000), "close"]
    with pytest.raises(SeqliftError):
        get(server, tmp_path / "out.bin", attempts=1, sha256=SHA256)
    changed = CONTENT[::-1]
    server.files["/data.bin"] = changed
    get(server, tmp_path / "out.bin", sha256=hashlib.sha256(changed).hexdigest())
    assert (tmp_path / "out.bin").read_bytes() == changed
    assert [wanted for _, wanted, _ in server.requests[-2:]] == ["bytes=100000-", None]


def test_without_a_version_and_a_checksum_a_download_starts_again(server, tmp_path):
    server.etag = None
    server.faults["/data.bin"] = [("cut", 100_000)]
    get(server, tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in server.requests] == [None, None]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges = False
    server.faults["/data.bin"] = [("cut", 100_000)]
    get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['"1"', None])
def test_an_end_that_is_missing_unnoticed_is_found_by_the_checksum(server, tmp_path, etag):
    server.etag = etag
    server.faults["/data.bin"] = [("short", 100_000)]
    get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert server.asked("/data.bin") == [None, None]
    server.faults["/data.bin"] = [("short", 100_000), ("short", 100_000)]
    with pytest.raises(SeqliftError, match="100000 bytes"):
        get(server, tmp_path / "other.bin", sha256=SHA256)
    assert names(tmp_path) == ["out.bin"]


def test_a_server_that_stalls_is_left_after_a_while(server, tmp_path):
    server.faults["/data.bin"] = [("stall", 100_000)]
    fetch(server.url + "/data.bin", tmp_path / "out.bin", sha256=SHA256, timeout=0.2, pause=0.001)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert server.asked("/data.bin") == [None, "bytes=100000-"]


def test_a_busy_server_is_left_alone_as_long_as_it_requests(server, tmp_path, caplog):
    caplog.set_level("INFO", logger="seqlift")
    server.faults["/data.bin"] = [("busy", 1), ("busy", "soon")]
    started = time.monotonic()
    get(server, tmp_path / "out.bin")
    assert time.monotonic() - started >= 1
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "the server answers 503 Service Unavailable; 0 bytes so far, trying again in 1 s",
        "the server answers 503 Service Unavailable; 0 bytes so far, trying again in 0.002 s",
    ]


@pytest.mark.parametrize(("checksum", "requests"), [({"sha256": SHA256}, 1), ({}, 2)])
def test_two_at_a_time_do_not_write_one_part(server, tmp_path, checksum, requests):
    """As when a killed workflow left a download behind: the second one waits, and takes what the first has brought."""
    server.faults["/data.bin"] = [("stall", 1000)]
    first = threading.Thread(target=get, args=(server, tmp_path / "out.bin"), kwargs={"attempts": 1})
    first.start()
    part = tmp_path / ".out.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size == 1000)
    second = threading.Thread(target=get, args=(server, tmp_path / "out.bin"), kwargs=checksum)
    second.start()
    second.join(0.5)
    assert second.is_alive() and len(server.requests) == 1
    server.ended.set()  # the first is cut off, and goes on where it stopped
    for thread in (first, second):
        thread.join(20)
        assert not thread.is_alive()
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert server.asked("/data.bin") == [None, "bytes=1000-", *[None] * (requests - 1)]
    assert names(tmp_path) == ["out.bin"]


def test_who_has_waited_holds_the_part_that_is_there_now(server, tmp_path):
    part, held = tmp_path / ".out.bin.part", threading.Event()
    settings = {"attempts": 1, "timeout": 5, "pause": 0.001}

    def wait_for_it():
        with _Download(server.url + "/data.bin", part, **settings), open(part, "rb") as file:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.set()

    with _Download(server.url + "/data.bin", part, **settings):
        second = threading.Thread(target=wait_for_it)
        second.start()
        second.join(0.3)
        assert second.is_alive()
        part.rename(tmp_path / "out.bin")  # as a download that is whole
        part.write_bytes(b"a third one's")
    second.join(20)
    assert held.is_set()
    assert part.read_bytes() == b"a third one's"


def test_a_full_disk_loses_nothing(server, tmp_path):
    (tmp_path / "out.bin").write_text("old")
    with disk_of(100_000), pytest.raises(SeqliftError, match=r"out\.bin: .*disk"):
        get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_text() == "old"
    get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert server.asked("/data.bin") == [None, "bytes=100000-"]


def test_a_folder_that_cannot_exist_is_named(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SeqliftError, match=r"file/out\.bin: .*(File exists|Not a directory)"):
        get(server, tmp_path / "file" / "out.bin")


def test_a_right_file_is_not_fetched_again(server, tmp_path):
    (tmp_path / "out.bin").write_bytes(CONTENT)
    assert get(server, tmp_path / "out.bin", sha256=SHA256).bytes == len(CONTENT)
    assert server.requests == []
    get(server, tmp_path / "out.bin")
    assert len(server.requests) == 1


def test_a_part_that_was_whole_already_is_used(server, tmp_path):
    (tmp_path / ".out.bin.part").write_bytes(CONTENT)
    (tmp_path / ".out.bin.part.json").write_text(f'{{"url": "{server.url}/data.bin", "version": "\\"1\\""}}')
    get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_part_of_another_address_is_not_used(server, tmp_path):
    (tmp_path / ".out.bin.part").write_bytes(b"something else")
    (tmp_path / ".out.bin.part.json").write_text('{"url": "http://elsewhere/", "version": "\\"1\\""}')
    get(server, tmp_path / "out.bin", sha256=SHA256)
    assert (tmp_path / "out.bin").read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in server.requests] == [None]


@pytest.mark.parametrize("checksum", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_a_wrong_checksum_is_named_and_the_old_file_stays(server, tmp_path, checksum):
    (tmp_path / "out.bin").write_text("old")
    (kind, value), found = next(iter(checksum.items())), {"sha256": SHA256, "md5": MD5}
    with pytest.raises(SeqliftError, match=rf"{server.url}/data\.bin: .*{kind} .*{found[kind]}.*{value}"):
        get(server, tmp_path / "out.bin", **checksum)
    assert (tmp_path / "out.bin").read_text() == "old"
    assert names(tmp_path) == ["out.bin"]


def test_the_line_of_the_file_in_a_list_of_checksums_counts(server, tmp_path):
    server.files["/md5sum.txt"] = f"{'1' * 32}  chrom.sizes\n{MD5}  data.bin\n{'2' * 32}  ./other\n".encode()
    get(server, tmp_path / "out.bin", md5_list=server.url + "/md5sum.txt")
    assert names(tmp_path) == ["out.bin"]
    server.files["/md5sum.txt"] = f"{'1' * 32}  data.bin\n".encode()
    with pytest.raises(SeqliftError, match=f"md5 .*{MD5}.*{'1' * 32}"):
        get(server, tmp_path / "other.bin", md5_list=server.url + "/md5sum.txt")
    server.files["/md5sum.txt"] = f"{'1' * 32}  chrom.sizes\n".encode()
    with pytest.raises(SeqliftError, match=r"md5sum\.txt: .*data\.bin.*chrom\.sizes"):
        get(server, tmp_path / "other.bin", md5_list=server.url + "/md5sum.txt")
    assert names(tmp_path) == ["out.bin"]


def test_refusals_are_final_and_name_address_and_remedy(server, tmp_path):
    with pytest.raises(SeqliftError, match=r"/absent: .*404.*200"):
        get(server, tmp_path / "out.bin", "/absent")
    assert len(server.requests) == 1
    for url in (
        "ftp://host/file",
        "file:///etc/hostname",
        "data.bin",
        "http://host/a b",
        "http://host:123456/",
        "http://",
    ):
        with pytest.raises(SeqliftError, match=re.escape(url)):
            fetch(url, tmp_path / "out.bin")
    for kind, value in {"sha256": "abc", "md5": "g" * 32}.items():
        with pytest.raises(SeqliftError, match=f"{kind} '{value}'"):
            get(server, tmp_path / "out.bin", **{kind: value})
    with pytest.raises(SeqliftError, match=r"out\.bin: .*narrowPeak"):
        get(server, tmp_path / "out.bin", rename={"a": "b"})
    assert names(tmp_path) == []


def test_nobody_at_the_address_is_named_with_the_number_of_tries(tmp_path):
    with pytest.raises(SeqliftError, match=r"127.0.0.1:9/x: .*refused.*\b2 .*\b0 bytes"):
        fetch("http://127.0.0.1:9/x", tmp_path / "out.bin", attempts=2, pause=0.001)


@pytest.mark.parametrize("url", ["http://host/\u00e4", "http://a..b/x", f"http://{'a' * 64}/x"])
def test_impossible_addresses_are_named(tmp_path, url):
    with pytest.raises(SeqliftError, match=re.escape(url)):
        fetch(url, tmp_path / "out.bin", attempts=1)
    assert names(tmp_path) == []


def test_a_password_is_refused_and_not_repeated(server, tmp_path):
    with pytest.raises(SeqliftError, match=r"http://\*\*\*@127") as raised:
        fetch(server.url.replace("//", "//me:secret@"), tmp_path / "out.bin")
    assert "secret" not in str(raised.value) and server.requests == []


def test_bed_peaks_become_sorted_narrow_peak_with_renamed_chromosomes(server, tmp_path):
    bed = b"chr2\t30\t31\ta\t12.5\t+\nchr10\t9\t12\nchr2\t7\t8\tc\t1000\t.\nchrM\t1\t2\n"
    server.files["/peaks.bed"] = bed
    get(
        server,
        tmp_path / "out.narrowPeak",
        "/peaks.bed",
        sha256=hashlib.sha256(bed).hexdigest(),
        rename={"chr2": "chrII", "chr10": "chrX", "chr1": "chrI"},
    )
    assert (tmp_path / "out.narrowPeak").read_text().splitlines() == [
        "chrII\t7\t8\tc\t1000\t.\t1000\t-1\t-1\t0",
        "chrII\t30\t31\ta\t12.5\t+\t12.5\t-1\t-1\t0",
        "chrM\t1\t2\t.\t0\t.\t0\t-1\t-1\t0",
        "chrX\t9\t12\t.\t0\t.\t0\t-1\t-1\t1",
    ]
    assert read_peaks(tmp_path / "out.narrowPeak")["summit"].tolist() == [7, 30, 1, 10]
    assert names(tmp_path) == ["out.narrowPeak"]


def test_narrow_peak_keeps_its_columns(server, tmp_path):
    server.files["/p.narrowPeak"] = b"track x\nb\t5\t9\tn\t7\t.\t3.25\t4.5\t2\t3\na\t5\t9\tn\t7\t.\t3.25\t4.5\t2\t-1\n"
    get(server, tmp_path / "out.narrowPeak", "/p.narrowPeak", rename={"b": "c"})
    assert (tmp_path / "out.narrowPeak").read_text().splitlines() == [
        "a\t5\t9\tn\t7\t.\t3.25\t4.5\t2\t2",
        "c\t5\t9\tn\t7\t.\t3.25\t4.5\t2\t3",
    ]


def test_what_is_no_peak_file_is_named_with_address_and_line(server, tmp_path):
    server.files["/peaks.bed"] = b"<html>\n<body>Sorry, not today</body>\n"
    with pytest.raises(SeqliftError, match=rf"^{server.url}/peaks\.bed:1: .*\b3 "):
        get(server, tmp_path / "out.narrowPeak", "/peaks.bed")
    assert names(tmp_path) == []


def test_the_command_line(server, tmp_path):
    def run(*flags):
        command = [Path(sys.executable).with_name("seqlift"), "fetch", *flags]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    server.files["/peaks.bed"] = b"chr1\t1\t2\n"
    done = run("--url", server.url + "/data.bin", "--output", "out.bin", "--sha256", SHA256)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"512000 bytes from {server.url}/data.bin, checksum as expected, sha256 {SHA256}" in done.stdout
    done = run("--url", server.url + "/peaks.bed", "--output", "p.narrowPeak", "--rename-chromosomes", "chr1=chrI")
    assert done.returncode == 0
    assert (tmp_path / "p.narrowPeak").read_text().startswith("chrI\t1\t2\t")
    for flags, message in (
        (["--url", server.url + "/absent"], "404"),
        (["--url", server.url + "/data.bin", "--sha256", "0" * 64], SHA256),
        (["--url", server.url + "/data.bin", "--rename-chromosomes", "chr1"], "'chr1'"),
    ):
        done = run(*flags, "--output", "bad.bin")
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == ["out.bin", "p.narrowPeak"]
