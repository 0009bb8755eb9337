"""`seqlift browse` gives out the files of a run to this machine, and nothing else to anybody."""

import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import quote, urlsplit

import pytest

from fixtures.browse import EVIL, LENGTH, build_run
from seqlift.browse.names import Names, Place
from seqlift.browse.page import find_igv
from seqlift.browse.server import open_server
from seqlift.browse.shown import read_shown
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("a run"))


@contextlib.contextmanager
def serving(results):
    server, address = open_server(read_shown(results))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def address(results):
    with serving(results) as address:
        yield address


def ask(address, path="", *, method="GET", host=None, **headers):
    """Status, headers and body of a request below the secret, or of an absolute path."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest(method, path if path.startswith("/") else parts.path + path, skip_host=True)
        connection.putheader("Host", host if host is not None else parts.netloc)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_only_this_machine_can_ask(address):
    parts = urlsplit(address)
    assert parts.hostname == "127.0.0.1" and len(parts.path) > 16
    assert ask(address)[0] == 200
    assert ask(address, host=f"localhost:{parts.port}")[0] == 200
    for host in ("evil.example", f"evil.example:{parts.port}", "127.0.0.1", ""):
        assert ask(address, host=host)[0] == 421, host
    for path in ("/", "/config.json", "/tracks/0.bw", parts.path.rstrip("/")):
        assert ask(address, path)[0] == 404  # without the secret
    with pytest.raises(OSError), socket.create_connection((socket.gethostname(), parts.port), timeout=2):
        if socket.gethostbyname(socket.gethostname()).startswith("127."):
            raise OSError  # this machine has no other address to try


@pytest.mark.parametrize(
    "path",
    [
        *("../regions.json", "tracks/../../regions.json", "tracks/%2e%2e/%2e%2e/regions.json", "%2Fetc%2Fpasswd"),
        *("tracks/0.bw/", "tracks/9.bw", "tracks//etc/passwd", "tracks/T.deeplift.bw", "page.html", "peaks/0/../1"),
    ],
)
def test_no_address_becomes_a_path(address, path):
    status, _, body = ask(address, path)
    assert status == 404 and body == b"there is no such page\n"


def test_nothing_but_reading(address):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(address, method=method)[0] == 501


def test_parts_of_a_track_are_those_of_the_file(address, results):
    data = (results / "tracks" / "T.deeplift.bw").read_bytes()
    size = len(data)

    def part(span):
        status, headers, body = ask(address, "tracks/0.bw", Range=span)
        return status, headers.get("Content-Range"), body

    assert part("bytes=0-63") == (206, f"bytes 0-63/{size}", data[:64])
    assert part(f"bytes=100-{size + 9}") == (206, f"bytes 100-{size - 1}/{size}", data[100:])
    assert part("bytes=-10") == (206, f"bytes {size - 10}-{size - 1}/{size}", data[-10:])
    assert part("bytes=7-") == (206, f"bytes 7-{size - 1}/{size}", data[7:])
    for none in (f"bytes={size}-", "bytes=9-3", "bytes=-0"):
        assert part(none) == (416, f"bytes */{size}", b"")
    for whole in ("bytes=0-1,5-6", "lines=1-2", "bytes=-", "nonsense", f"bytes=0-{'9' * 5000}"):
        assert part(whole) == (200, None, data)
    status, headers, body = ask(address, "tracks/0.bw", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(size), b"")


def test_the_genome_is_read_by_its_index_also_where_the_fasta_is_packed(address, results):
    index = [line.split("\t") for line in ask(address, "genome.fa.fai")[2].decode().splitlines()]
    with Genome(results.parents[2] / "data" / "genome.fa.gz") as genome:
        assert {entry[0]: int(entry[1]) for entry in index} == genome.sizes
        for name, _, offset, bases, width in index:
            assert bases == width == str(genome.sizes[name])
            first = int(offset) + 123
            body = ask(address, "genome.fa", Range=f"bytes={first}-{first + 49}")[2]
            assert body.decode() == genome.fetch(name, 123, 173)


def test_the_page_escapes_names_and_lets_only_its_own_scripts_run(address):
    status, headers, body = ask(address)
    assert status == 200 and b"<img" not in body and b"x, 60 bp" in body
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy and "connect-src 'self'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    for line in body.decode().splitlines():
        assert "<script" not in line or 'src="' in line  # none inline
    config = json.loads(ask(address, "config.json")[2])
    urls = [track["url"] for track in config["tracks"]]
    assert urls == ["tracks/0.bw", "tracks/1.bw", "hits/0.bed", "peaks/0"]  # of one target together, none of its names
    assert [track.get("graphType") for track in config["tracks"]] == ["dynseq", "dynseq", None, None]
    assert config["locus"] == "chr1:431-630" and config["loadDefaultGenomes"] is False
    assert "http" not in json.dumps(config)


def test_names_lead_to_places(address):
    def search(text):
        return json.loads(ask(address, f"search?q={quote(text)}")[2])

    (peak,) = search("PEAK_7")
    assert peak == {"name": "Peak_7", "kind": "T peak", "chromosome": "chr1", "start": 1501, "end": 1500 + LENGTH}
    assert [found["name"] for found in search("peak_2")][:2] == ["Peak_20", "Peak_21"]  # Peak_2 has another name
    assert search("chr1_100")[0]["kind"] == "region"
    assert search(EVIL)[0]["name"] == EVIL
    assert search("") == search(" ") == search("nobody") == []
    assert json.loads(ask(address, "search")[2]) == []


def test_what_is_called_just_so_comes_first():
    places = [Place(name, "chr1", 1, 2, "region") for name in ("a10", "A1", "a2", "a1", "b")]
    assert [place.name for place in Names(places).search("a1")] == ["A1", "a1", "a10"]
    assert len(Names(places * 30).search("a")) == 20


def test_hits_carry_the_name_of_the_known_motif(address):
    lines = ask(address, "hits/0.bed")[2].decode().splitlines()
    assert lines[0] == "chr1\t125\t135\tGATA1·pos_0\t900\t+"
    assert lines[-1] == "chr1\t105\t109\tneg_0\t300\t-"
    assert len(lines) == 31


def test_genes_of_the_config_are_shown_and_found(tmp_path):
    results = build_run(tmp_path)
    (tmp_path / "data" / "genes.bed").write_text("chr2\t10\t90\tYFG1\t0\t-\nchrX\t1\t9\telsewhere\n")
    (results.parent / "config.yaml").write_text(json.dumps({"data_dir": "data", "report": {"genes": "genes.bed"}}))
    with serving(results) as address:
        assert json.loads(ask(address, "config.json")[2])["tracks"][0]["name"] == "genes"
        found = json.loads(ask(address, "search?q=yfg1")[2])
        assert [(each["kind"], each["start"]) for each in found] == [("gene", 11)]
        assert json.loads(ask(address, "search?q=elsewhere")[2]) == []  # not of this genome
        assert b"YFG1" in ask(address, "genes")[2]


def test_what_is_no_run_is_named(tmp_path):
    results = build_run(tmp_path, packed=False)
    with pytest.raises(SeqliftError, match=r"holds no regions.json, so it is no run of seqlift; give .*x/60bp"):
        read_shown(results.parent)
    with pytest.raises(SeqliftError, match="give the folder results/<name>/<length>bp"):
        read_shown(tmp_path / "nowhere")
    track = results / "tracks" / "T.deeplift.bw"
    away = tmp_path / "away.bw"
    track.rename(away)
    track.symlink_to(away)
    with pytest.raises(SeqliftError, match="a link to a place outside of the results"):
        read_shown(results)
    track.unlink()
    away.rename(track)
    summary = json.loads((results / "regions.json").read_text())
    summary["genome"]["sha256"] = "0" * 64
    (results / "regions.json").write_text(json.dumps(summary))
    with pytest.raises(SeqliftError, match="is not the genome of this run any more"):
        read_shown(results)
    (tmp_path / "data" / "genome.fa").unlink()
    with pytest.raises(SeqliftError, match="the genome of this run, is not there"):
        read_shown(results)
    (results / "regions.json").write_text("[]")
    with pytest.raises(SeqliftError, match="not a summary of regions"):
        read_shown(results)


def test_without_igv_the_page_lists_the_tracks_and_says_what_to_install(results, monkeypatch, tmp_path):
    monkeypatch.setattr("seqlift.browse.page.sys.prefix", str(tmp_path))
    monkeypatch.delenv("SEQLIFT_IGV", raising=False)
    assert find_igv() is None
    with serving(results) as address:
        body = ask(address)[2].decode()
        assert "npm install --prefix" in body and "igv@3.8" in body and "<script" not in body
        assert "T DeepLIFT" in body and "tracks/T.deeplift.bw" in body
        assert ask(address, "igv.min.js")[0] == 404
    monkeypatch.setenv("SEQLIFT_IGV", str(tmp_path / "none.js"))
    with pytest.raises(SeqliftError, match=r"SEQLIFT_IGV .* must be the path of igv.min.js"):
        find_igv()


def test_the_command_serves_until_it_is_stopped(results, capsys):
    command = [sys.executable, "-m", "seqlift", "browse", str(results), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        lines = iter(process.stdout.readline, "")
        line = next(line for line in lines if line.startswith("x, 60 bp: "))
        address = line.removeprefix("x, 60 bp: ").strip()
        assert ask(address)[0] == 200
        port = urlsplit(address).port
        assert main(["browse", str(results), "--no-open", "--port", str(port)]) == 1
        assert f"--port (={port}) cannot be used" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert main(["browse", str(results), "--no-open", "--port", "99999"]) == 1
    assert "take another one, or leave it out" in capsys.readouterr().err


def test_packed_peaks_are_given_out_as_they_lie(address, results):
    (path,) = (results.parents[2] / "data").glob("*.bed.gz")
    body = ask(address, "peaks/0")[2]
    assert body == path.read_bytes() and EVIL in gzip.decompress(body).decode()
