"""Downloads from a server that breaks off, refuses, changes its mind and lies."""

import hashlib
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seqlift.errors import SeqliftError
from seqlift.fetch import fetch
from seqlift.intervals import read_peaks

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `faults` says what to do with the first requests for a path, one fault a request.

    A fault is a number (an HTTP status), ("cut", n): end the connection after n bytes of the body, or "close": answer
    nothing. `ranges`: whether Range is honoured; `etag`: version mark, or None.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/data.bin": CONTENT}
        self.faults = {}
        self.requests = []
        self.ranges = True
        self.etag = '"1"'

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        faults = server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else None
        if fault == "close":
            self.close_connection = True
            return
        if isinstance(fault, int) or self.path not in server.files:
            self.send_error(fault or 404)
            return
        body = server.files[self.path]
        start = 0
        wanted = self.headers.get("Range")
        if wanted and server.ranges and self.headers.get("If-Range") in (None, server.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = start + fault[1] if fault else len(body)
        self.wfile.write(body[start:stop])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


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
    with pytest.raises(
        SeqliftError, match=r"/data\.bin: cannot be fetched: .* \(2 tries in a row .*, 100000 bytes so far\)"
    ):
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


def test_pieces_that_do_not_fit_are_thrown_away_when_the_checksum_tells(server, tmp_path):
    server.etag = None
    server.faults["/data.bin"] = [("cut", 100_000), "close"]
    with pytest.raises(SeqliftError):
        get(server, tmp_path / "out.bin", attempts=1, sha256=SHA256)
    changed = CONTENT[::-1]
    server.files["/data.bin"] = changed
    get(server, tmp_path / "out.bin", sha256=hashlib.sha256(changed).hexdigest())
    assert (tmp_path / "out.bin").read_bytes() == changed
    assert [wanted for _, wanted, _ in server.requests[-2:]] == ["bytes=100000-", None]


def test_without_a_version_and_a_checksum_a_download_starts_anew(server, tmp_path):
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
def test_a_wrong_checksum_is_told_and_the_old_file_stays(server, tmp_path, checksum):
    (tmp_path / "out.bin").write_text("old")
    (kind, value), found = next(iter(checksum.items())), {"sha256": SHA256, "md5": MD5}
    with pytest.raises(SeqliftError, match=rf"{server.url}/data\.bin: .*{kind} is {found[kind]}, must be {value}"):
        get(server, tmp_path / "out.bin", **checksum)
    assert (tmp_path / "out.bin").read_text() == "old"
    assert names(tmp_path) == ["out.bin"]


def test_the_line_of_the_file_in_a_list_of_checksums_counts(server, tmp_path):
    server.files["/md5sum.txt"] = f"{'1' * 32}  chrom.sizes\n{MD5}  data.bin\n{'2' * 32}  ./other\n".encode()
    get(server, tmp_path / "out.bin", md5_list=server.url + "/md5sum.txt")
    assert names(tmp_path) == ["out.bin"]
    server.files["/md5sum.txt"] = f"{'1' * 32}  data.bin\n".encode()
    with pytest.raises(SeqliftError, match=f"md5 is {MD5}, must be {'1' * 32}"):
        get(server, tmp_path / "other.bin", md5_list=server.url + "/md5sum.txt")
    server.files["/md5sum.txt"] = f"{'1' * 32}  chrom.sizes\n".encode()
    with pytest.raises(SeqliftError, match=r"md5sum\.txt: has no line '<md5>  data\.bin'; it lists chrom\.sizes"):
        get(server, tmp_path / "other.bin", md5_list=server.url + "/md5sum.txt")
    assert names(tmp_path) == ["out.bin"]


def test_refusals_are_final_and_name_address_and_remedy(server, tmp_path):
    with pytest.raises(SeqliftError, match=r"/absent: the server answers 404 .*, must be 200; check the address"):
        get(server, tmp_path / "out.bin", "/absent")
    assert len(server.requests) == 1
    for url in ("ftp://host/file", "file:///etc/hostname", "data.bin", "http://host/a b"):
        with pytest.raises(SeqliftError, match="not an address that can be fetched"):
            fetch(url, tmp_path / "out.bin")
    for checksum in ({"sha256": "abc"}, {"md5": "g" * 32}):
        with pytest.raises(SeqliftError, match="hexadecimal digits"):
            get(server, tmp_path / "out.bin", **checksum)
    with pytest.raises(SeqliftError, match="chromosomes are renamed in peak files only"):
        get(server, tmp_path / "out.bin", rename={"a": "b"})
    assert names(tmp_path) == []


def test_nobody_at_the_address_is_told_with_the_number_of_tries(tmp_path):
    with pytest.raises(SeqliftError, match=r"cannot be fetched: .*refused.* \(2 tries in a row .*, 0 bytes so far\)"):
        fetch("http://127.0.0.1:9/x", tmp_path / "out.bin", attempts=2, pause=0.001)


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


def test_what_is_no_peak_file_is_told_with_address_and_line(server, tmp_path):
    server.files["/peaks.bed"] = b"<html>\n<body>Sorry, not today</body>\n"
    with pytest.raises(SeqliftError, match=rf"^{server.url}/peaks\.bed:1: 1 columns, at least 3 are needed"):
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
        (["--url", server.url + "/absent"], "answers 404"),
        (["--url", server.url + "/data.bin", "--sha256", "0" * 64], "is not the one expected"),
        (["--url", server.url + "/data.bin", "--rename-chromosomes", "chr1"], "must be OLD=NEW"),
    ):
        done = run(*flags, "--output", "bad.bin")
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == ["out.bin", "p.narrowPeak"]
