"""Data by URL: `snakemake` run as a user runs it, against a server that fails now and then."""

import copy
import hashlib
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from fixtures.download_server import wait_until
from fixtures.user import SMALL, changed
from seqlift.report.provenance.collect import sha256

SIZES = {"chr1": 40_000, "chr2": 20_000, "chr3": 20_000}
REGIONS = "results/fetched/200bp/regions.tsv.gz"


def text(lines) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def data(server) -> dict[str, bytes]:
    """What the server has: a genome, the peaks of two targets, a blacklist and known motifs."""
    bases = random.Random(1)
    places = [(chrom, start) for chrom, size in SIZES.items() for start in range(1000, size - 1000, 500)]
    files = {
        "genome.fa": text(f">{name}\n{''.join(bases.choices('ACGT', k=size))}" for name, size in SIZES.items()),
        "TAL1.bed": text(f"{chrom[3:]}\t{start}\t{start + 100}" for chrom, start in places[::2]),
        "GATA1.bed": text(f"{chrom}\t{start}\t{start + 100}" for chrom, start in places[1::2]),
        "blacklist.bed": text(f"{chrom}\t0\t3000" for chrom in SIZES),
        "known.meme": b"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF A\nletter-probability matrix: w= 1\n1 0 0 0\n",
    }
    server.files |= {f"/{name}": content for name, content in files.items()}
    server.files["/md5sum.txt"] = text(f"{hashlib.md5(files[name]).hexdigest()}  {name}" for name in files)
    return files


@pytest.fixture
def config(checkout, server, data) -> dict:
    """Two targets of a table, peaks, blacklist, motifs: nothing but the table is there."""
    config = changed(
        SMALL, name="fetched", regions={"exclude_regions": ["lists/blacklist.bed"], "negatives": "shuffled"}
    )
    del config["simulate"]
    config["targets"] = "targets.tsv"
    config["regions"] |= {"valid": ["chr2"], "test": ["chr3"], "background": 0, "merge_distance": 0}
    config["motifs"] = {"database": "own motifs.meme"}
    config["downloads"] = {
        "genome.fa": {"url": f"{server.url}/genome.fa", "sha256": hashlib.sha256(data["genome.fa"]).hexdigest()},
        "TAL1.narrowPeak": {
            "url": f"{server.url}/TAL1.bed",
            "md5_list": f"{server.url}/md5sum.txt",
            "rename_chromosomes": {name[3:]: name for name in SIZES},
        },
        "GATA1.bed": {"url": f"{server.url}/GATA1.bed"},
        "lists/blacklist.bed": {
            "url": f"{server.url}/blacklist.bed",
            "md5": hashlib.md5(data["blacklist.bed"]).hexdigest(),
        },
        "own motifs.meme": {"url": f"{server.url}/known.meme"},
    }
    folder = checkout.folder / "my data"
    folder.mkdir()
    (folder / "targets.tsv").write_text("name\tpeaks\nTAL1\tTAL1.narrowPeak\nGATA1\tGATA1.bed\n")
    checkout.write(config)
    return config


def hidden(checkout) -> list[str]:
    return [name for name in checkout.files() if "/." in name]


@pytest.mark.slow
def test_all_comes_from_a_server_that_fails_now_and_then(checkout, config, data, server):
    size = len(data["genome.fa"])
    server.faults = {
        "/genome.fa": [503, ("cut", size // 3), "close", ("cut", size // 3)],
        "/TAL1.bed": ["close"],
        "/md5sum.txt": [503],
        "/GATA1.bed": [("cut", 500)],
        "/blacklist.bed": [("short", 10)],
    }
    run = checkout.snakemake("--cores", "2", REGIONS, "own motifs.meme")
    assert run.status == 0, run.screen
    assert run.jobs["download_file"] == 4 and run.jobs["download_file_elsewhere"] == 1
    folder = checkout.folder / "my data"
    for name in ("genome.fa", "GATA1.bed"):
        assert (folder / name).read_bytes() == data[name]
    assert (folder / "lists" / "blacklist.bed").read_bytes() == data["blacklist.bed"]
    assert (checkout.folder / "own motifs.meme").read_bytes() == data["known.meme"]
    peaks = [line.split("\t")[:3] for line in (folder / "TAL1.narrowPeak").read_text().splitlines()]
    assert [chrom[3:] for chrom, _, _ in peaks] == [
        line.split("\t")[0] for line in data["TAL1.bed"].decode().splitlines()
    ]
    assert (checkout.folder / REGIONS).exists() and hidden(checkout) == []

    # Taken up where it broke; started again where that cannot be known to be right
    assert server.asked("/genome.fa") == [None, None, *[f"bytes={size // 3}-"] * 2, f"bytes={size // 3 * 2}-"]
    assert server.asked("/GATA1.bed") == [None, "bytes=500-"]
    assert server.asked("/blacklist.bed") == [None, None]

    # The log says what was wrong and what came
    log = (checkout.folder / "results/fetched/logs/download/genome.fa.log").read_text()
    assert "answers 503" in log and f"{size // 3} bytes so far, trying again in" in log
    assert f"{size} bytes from {server.url}/genome.fa, checksum as expected, sha256 " in log
    assert "not checked, sha256" in (checkout.folder / "results/fetched/logs/download/GATA1.bed.log").read_text()

    # Files that are there belong to the user: neither another address nor force makes Snakemake touch them
    before, asked = checkout.files(), len(server.requests)
    assert "Nothing to be done" in checkout.snakemake("--cores", "2", REGIONS).screen
    config["downloads"]["genome.fa"]["url"] = f"{server.url}/gone.fa"
    checkout.write(config)
    run = checkout.snakemake("-n", REGIONS, "--forceall")
    assert run.status == 0 and set(run.jobs) == {"write_targets", "make_regions"}
    assert checkout.files().items() >= {k: v for k, v in before.items() if k != "my config.yaml"}.items()
    assert len(server.requests) == asked


@pytest.mark.slow
def test_a_wrong_checksum_is_an_error_and_costs_nothing_else(checkout, config, data, server):
    wrong = copy.deepcopy(config)
    wrong["downloads"]["genome.fa"]["sha256"] = "0" * 64
    checkout.write(wrong)
    run = checkout.snakemake("--cores", "1", "--keep-going", REGIONS)
    assert run.status != 0 and "Traceback" not in run.screen
    said = f"{server.url}/genome.fa: the sha256 of the file received ({len(data['genome.fa'])} bytes) is "
    assert f"seqlift fetch: error: {said}" in run.screen
    assert hidden(checkout) == [] and not (checkout.folder / REGIONS).exists()
    there = {path.name: path.stat().st_mtime_ns for path in (checkout.folder / "my data").rglob("*") if path.is_file()}
    assert set(there) == {"targets.tsv", "TAL1.narrowPeak", "GATA1.bed", "blacklist.bed"}

    # With the right one, the genome alone is fetched
    checkout.write(config)
    run = checkout.snakemake("--cores", "1", REGIONS)
    assert run.status == 0 and run.jobs["download_file"] == 1
    assert sha256(checkout.folder / "my data" / "genome.fa") == config["downloads"]["genome.fa"]["sha256"]
    now = {path.name: path.stat().st_mtime_ns for path in (checkout.folder / "my data").rglob("*") if path.is_file()}
    assert now.items() >= there.items()


def stalled_download(checkout, server) -> tuple[subprocess.Popen, Path]:
    """A run in whose download no more comes, and the file it fetches."""
    server.faults = {"/genome.fa": [("stall", 30_000)]}
    genome = checkout.folder / "my data" / "genome.fa"
    part = genome.with_name(".genome.fa.part")
    process = checkout.start("--cores", "1", "my data/genome.fa")
    wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_size == 30_000), 120)
    return process, genome


@pytest.mark.slow
def test_after_a_kill_in_the_middle_a_download_goes_on_where_it_was(checkout, config, data, server):
    """As when the machine goes down: snakemake and all that it started are killed."""
    process, genome = stalled_download(checkout, server)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not genome.exists()
    assert checkout.snakemake("--unlock").status == 0
    run = checkout.snakemake("--cores", "1", "my data/genome.fa")
    assert run.status == 0, run.screen
    assert genome.read_bytes() == data["genome.fa"]
    assert server.asked("/genome.fa") == [None, "bytes=30000-"] and hidden(checkout) == []


@pytest.mark.slow
def test_a_download_that_outlives_a_killed_snakemake_is_waited_for(checkout, config, data, server):
    """SIGKILL to snakemake alone leaves the download running: two never write one file."""
    process, genome = stalled_download(checkout, server)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert checkout.snakemake("--unlock").status == 0
    again = checkout.start("--cores", "1", "my data/genome.fa")
    log = checkout.folder / "results/fetched/logs/download/genome.fa.log"
    waiting = "another process is downloading it"
    wait_until(lambda: again.poll() is not None or (log.exists() and waiting in log.read_text()), 120)
    server.ended.set()
    screen = again.communicate(timeout=120)[0]
    process.communicate(timeout=60)
    assert again.returncode == 0, screen
    assert genome.read_bytes() == data["genome.fa"]
    assert server.asked("/genome.fa") == [None, "bytes=30000-"] and hidden(checkout) == []


def test_mistakes_in_downloads_are_said_with_the_others(checkout, config, server):
    config["downloads"]["blacklist.bed"] = config["downloads"].pop("lists/blacklist.bed")
    config["downloads"]["genome.fa"]["url"] = f"{server.url.replace('//', '//me:secret@')}/genome.fa"
    config["genome"]["download"] = {"url": f"{server.url}/genome.fa"}
    checkout.write(config)
    run = checkout.snakemake("-n")
    assert run.status != 0 and "4 mistakes in the config" in run.screen
    for message in (
        "regions.exclude_regions[0] (='lists/blacklist.bed') is missing: there is no file",
        "downloads.blacklist.bed is no file that the config names; did you mean lists/blacklist.bed?",
        "downloads.genome.fa.url (='http://***@127.0.0.1",
        "genome.download is an unknown key; downloads are listed at the top now",
    ):
        assert message in run.screen
    assert "secret" not in run.screen and server.requests == []


def test_yeast_downloads_nothing_where_the_data_are(checkout, tmp_path):
    names = ("sacCer3.fa.gz", "Reb1.narrowPeak", "Abf1.narrowPeak", "Mcm1.narrowPeak")
    run = checkout.snakemake("-n", config="configs/yeast.yaml")
    assert run.status == 0, run.screen
    assert run.jobs["download_file"] == 4
    data = tmp_path / "yeast data"
    data.mkdir()
    for name in names:
        (data / name).touch()
    run = checkout.snakemake("-n", "--config", f"data_dir={data}", config="configs/yeast.yaml")
    assert run.status == 0, run.screen
    assert "download_file" not in run.jobs
    (data / names[1]).unlink()
    run = checkout.snakemake("-n", "--config", f"data_dir={data}", config="configs/yeast.yaml")
    assert run.jobs["download_file"] == 1
