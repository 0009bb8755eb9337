"""What the jobs of a run cost, from benchmark files as Snakemake writes them, and from all else that may lie there."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch

from fixtures.report import build_run
from seqlift.core.devices import describe_device
from seqlift.core.progress import seconds_between_lines
from seqlift.data.genome import known_checksum, sha256_of
from seqlift.report import write_report
from seqlift.report.provenance import collect as provenance
from seqlift.report.provenance.collect import collect_provenance, commit_of, input_files, package_versions
from seqlift.report.provenance.costs import Job, costs_of_rules, read_jobs

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
CARD = "NVIDIA H200 (CUDA 12.8, cuDNN 91002)"


def row(seconds=1.0, memory: float | str = 100.0, load: float | str = 50.0) -> str:
    return f"{seconds:.2f}\t0:00:01\t{memory}\t9\t9\t9\t0\t0\t{load}\t1\n"


def write(run: Path, name: str, text: str | bytes, log: str | None = None) -> None:
    path = run / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if log is not None:
        path = run / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log)


@pytest.fixture
def run(tmp_path) -> Path:
    return tmp_path / "results" / "mine" / "200bp"


def test_a_job_and_where_its_network_ran(run):
    log = f"predicting 9 regions\ndevice: {CARD}\nA, deeplift: 9 of 9 regions\n"
    write(run, "attribute_bases/A.deeplift", HEADER + row(42.79, 493.13, 11.89), log)
    write(run, "attribute_bases/fold2/B.deeplift", HEADER + row(), "the device: is not said here\n")
    write(run, "fold0/seed7/train_model", HEADER + row(), "device: cpu, 2 threads\n")
    write(run.parent, "simulate_data", HEADER + row(0.4))
    write(run, "write_report", HEADER + row(7))  # of an earlier time: the one that runs now has not ended
    assert read_jobs(run) == [
        Job("attribute_bases", "A.deeplift", 42.79, 493.13, 11.9, CARD),
        Job("attribute_bases", "fold2/B.deeplift", 1.0, 100.0, 50.0, None),
        Job("simulate_data", "", 0.4, 100.0, 50.0, None),
        Job("train_model", "fold0/seed7", 1.0, 100.0, 50.0, "cpu, 2 threads"),
    ]


def test_a_run_without_benchmark_files(run):
    assert read_jobs(run) == [] and costs_of_rules([]) == []


@pytest.mark.parametrize(
    ("rows", "cost"),
    [
        ([row(0.1, "NA", "NA")], (0.1, None, None)),
        ([row(0.2, "-", "nan")], (0.2, None, None)),
        ([row(10, 100, 50), row(30, 400, 90), row(5, "NA", "NA")], (45.0, 400.0, 80.0)),  # repeats are one job
    ],
)
def test_costs_that_could_not_be_measured_are_none(run, rows, cost):
    write(run, "make_regions", HEADER + "".join(rows))
    assert read_jobs(run) == [Job("make_regions", "", *cost, None)]


@pytest.mark.parametrize(
    "text",
    [b"", HEADER, HEADER + "NA\tNA\n", "a\tb\n1\t2\n", b"\xff\xfe\x00s", HEADER[:9], HEADER + row(load="fast")],
    ids=["empty", "header only", "no seconds", "another table", "binary", "cut short", "words"],
)
def test_files_that_hold_no_record_are_passed_over(run, text):
    write(run, "make_regions", text)
    write(run, "write_session", HEADER + row())
    assert [job.rule for job in read_jobs(run)] == ["write_session"]


def test_rules_with_the_longest_first():
    jobs = [
        Job("find_motifs", "A.deeplift", 10.0, 300.0, 100.0, None),
        Job("find_motifs", "B.deeplift", 30.0, None, 20.0, None),
        Job("find_motifs", "C.deeplift", 5.0, 200.0, None, None),
        Job("attribute_bases", "A.deeplift", 100.0, 90.0, 10.0, "card 2"),
        Job("attribute_bases", "B.deeplift", 100.0, 80.0, 10.0, "card 1"),
        Job("attribute_bases", "C.deeplift", 100.0, 80.0, 10.0, "card 1"),
        Job("make_regions", "", 0.1, None, None, None),
    ]
    keys = ("rule", "jobs", "seconds", "longest", "max_rss_mb", "mean_load", "devices")
    assert [tuple(each[key] for key in keys) for each in costs_of_rules(jobs)] == [
        ("attribute_bases", 3, 300.0, 100.0, 90.0, 10.0, ["card 1", "card 2"]),
        ("find_motifs", 3, 45.0, 30.0, 300.0, 40.0, []),
        ("make_regions", 1, 0.1, 0.1, None, None, []),
    ]


# In the report


def costs_of_page(page: str) -> tuple[str, str]:
    """The element with the costs, and the page without it."""
    found = re.search(r'<div id="costs">.*?\n</div>\n(?=<div class="scroll"[^>]* aria-label="Inputs")', page, re.S)
    assert found
    return found[0], page.replace(found[0], "")


def test_repeated_runs_differ_in_one_element_of_the_page_which_stays_small(tmp_path):
    folder, config = build_run(tmp_path, regions=60)
    first = write_report(folder, config, folder / "report.html").read_text()
    assert "Time and memory are not known" in costs_of_page(first)[0]
    for number in range(1000):
        name = f"attribute_bases/TAL1.deeplift.{number}of1000"
        write(folder, name, HEADER + row(3600 + number, 12345, 250), f"device: {CARD}\n" if number < 2 else None)
    write(folder, "make_regions", HEADER + row(0.4, "NA", "NA"))
    costs, rest = costs_of_page(write_report(folder, config, folder / "report.html").read_text())
    assert rest == costs_of_page(first)[1] and len(costs) < 3000
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", costs)).replace("\u2009", " ")
    assert f"attribute_bases 1 000 1138 h 45 min 1 h 16 min 12.1 GB 250 % {CARD}" in text
    assert "make_regions 1 0.4 s 0.4 s – –" in text and "all 1 001 1138 h 45 min" in text
    written = json.loads((folder / "provenance.json").read_text())
    assert len(written["jobs"]) == 1001
    assert written["jobs"][-1] == {"rule": "make_regions", "seconds": 0.4}  # what is not known is left out
    # The second from metrics.json, as the stage has no log
    assert written["devices"] == {"attribute_bases": [CARD], "evaluate_model": ["cpu"]}


# Inputs


def test_every_file_of_the_user_is_named_with_its_role(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("class Net: ...")
    signal = {"signal": ["a.bw", "b.bw"], "signal_minus": ["c.bw"], "control": ["i.bw"]}
    config: dict = {
        "data_dir": "my data",
        "genome": {"fasta": "genome.fa"},
        "targets": [
            {"name": "A", "peaks": "A.bed", **signal},
            {"name": "B", "peaks": "B.bed", "unlabelled": "low.bed"},
        ],
        "regions": {"negatives_file": "n.bed", "exclude_regions": ["x.bed"], "include_regions": ["y.bed"]},
        "model": {"type": "mine:Net"},
        "attribution": {
            "methods": ["deeplift"],
            "deeplift": {"references": "fasta:refs.fa"},
            "interior_gradients": {"references": "fasta:unused.fa"},
        },
        "motifs": {"database": "own.meme"},
        "aggregate": {"sites": {"tss": "tss.bed"}},
        "report": {"genes": "genes.gtf"},
    }
    found = [*input_files(config)]
    assert found[1:3] == [("signal of A", "my data/a.bw"), ("signal of A", "my data/b.bw")]
    roles = dict(found)
    assert roles.pop("model class").endswith("mine.py")
    assert (roles.pop("references of deeplift"), roles.pop("motif database")) == ("refs.fa", "own.meme")
    assert {role: path.removeprefix("my data/") for role, path in roles.items()} == {
        **{"peaks of A": "A.bed", "peaks of B": "B.bed", "unlabelled of B": "low.bed"},
        **{"signal of A": "b.bw", "signal, minus of A": "c.bw", "control of A": "i.bw"},
        **{"negatives": "n.bed", "exclude regions": "x.bed", "include regions": "y.bed"},
        **{"sites tss": "tss.bed", "genes": "genes.gtf"},
    }
    # JASPAR's motifs come with a package; its release is in metrics.json
    config["motifs"] = {"database": "jaspar:fungi"}
    assert "motif database" not in dict(input_files(config))


def test_a_checksum_is_taken_once_and_again_when_the_file_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read = []
    monkeypatch.setattr("seqlift.data.genome.sha256_of", lambda path: read.append(path) or sha256_of(path))
    monkeypatch.setattr("seqlift.data.genome._SETTLED", -1.0)  # the file has just been written
    path = tmp_path / "signal.bw"
    path.write_bytes(b"signal")
    first = known_checksum(path)
    assert first == known_checksum(path) == sha256_of(path) and len(read) == 1
    path.write_bytes(b"another")
    assert known_checksum(path) == sha256_of(path) != first and len(read) == 2


def test_a_file_of_several_roles_is_read_once(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(provenance, "known_checksum", lambda path: read.append(path) or sha256_of(path))
    control = tmp_path / "input.bw"
    control.write_bytes(b"control")
    targets = [{"name": name, "control": [str(control)]} for name in ("A", "B")]
    regions = {"genome": {"path": "genome.fa", "sha256": "ab"}}
    inputs = collect_provenance({"data_dir": ".", "targets": targets}, regions, {}, {})["inputs"]
    assert inputs[1:] == [
        {"role": f"control of {name}", "path": str(control), "sha256": sha256_of(control)} for name in ("A", "B")
    ]
    assert read == [str(control)]


def test_versions_name_cuda_and_cudnn_of_a_torch_for_gpus(monkeypatch):
    assert provenance._cuda_of_torch() == torch.version.cuda
    monkeypatch.setattr(provenance, "_cuda_of_torch", lambda: None)
    assert not {"cuda", "cudnn"} & set(package_versions())
    monkeypatch.setattr(provenance, "_cuda_of_torch", lambda: "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    assert (package_versions()["cuda"], package_versions()["cudnn"]) == ("12.8", "91002")


def test_a_stage_names_its_device(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert describe_device("cpu") == "cpu, 4 threads" and describe_device("cpu", 2) == "2 x cpu, 4 threads"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    assert describe_device(torch.device("cuda", 1)) == "card 1 (CUDA 12.8, cuDNN 91002)"


def test_the_commit_is_that_of_the_checkout_the_file_belongs_to(tmp_path):
    def git(*arguments: str) -> str:
        user = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *user, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    file = tmp_path / "workflow" / "Snakefile"
    (file.parent / "rules").mkdir(parents=True)
    file.write_text("rule all:\n")
    assert commit_of(file) is None
    git("init", "-q")
    assert commit_of(file) is None  # git does not know it
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert commit_of(file) == commit
    regions = {"genome": {"path": "genome.fa"}}

    def workflow(source: str | None):
        return collect_provenance({}, regions, {}, {}, workflow=source)["workflow"]

    assert workflow(f"{file.parent}/rules/../Snakefile") == {"source": str(file), "commit": commit}
    address = "https://example.org/v1/workflow/Snakefile"
    assert workflow(address) == {"source": address, "commit": None} and workflow(None) is None
    file.write_text("rule another:\n")
    assert commit_of(file) == f"{commit}-dirty"


def test_progress_of_a_day_is_some_hundred_lines_in_the_log():
    """A log is shown as a whole where its job fails."""
    elapsed, lines = 0.0, 0
    while elapsed < 24 * 3600:
        elapsed += seconds_between_lines(elapsed)
        lines += 1
    assert seconds_between_lines(60) == 15 and 200 < lines < 400
