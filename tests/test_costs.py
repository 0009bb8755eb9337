"""What the jobs of a run cost, from benchmark files as Snakemake writes them, and from all else that may lie there."""

import copy
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
from seqlift.report.provenance.collect import collect_provenance, commit_of, package_versions
from seqlift.report.provenance.costs import (
    Job,
    as_json,
    costs_of_rules,
    is_asked_for,
    names_of_jobs,
    read_jobs,
    split_name,
)
from seqlift.report.provenance.inputs import input_files

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
CONFIG: dict = {
    "name": "mine",
    "data_dir": "my data",
    "genome": {"fasta": "genome.fa"},
    "downloads": {"genome.fa": {"url": "https://example.org/genome.fa"}},
    "targets": [{"name": "A", "peaks": "A.bed"}, {"name": "B", "peaks": "B.bed", "unlabelled": "low.bed"}],
    "regions": {"folds": 3},
    "model": {"type": "basset", "head": "classes"},
    "training": {"seed": 1},
    "attribution": {
        "methods": ["deeplift", "interior_gradients"],
        "max_regions": 1000,
        "each_fold": True,
        "deeplift": {"references": "dinucleotide", "n_references": 20},
        "interior_gradients": {"references": "uniform", "n_references": 1},
        "mutagenesis": {"max_regions": 10},
    },
    "tracks": {"difference": True},
    "aggregate": {"sites": {"tss": "tss.bed"}},
    "faithfulness": {"max_regions": 50},
    "simulate": {"sequences": 400},
}


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
    log = "predicting 9 regions\ndevice: NVIDIA H200 (CUDA 12.8, cuDNN 91002)\nA, deeplift: 9 of 9 regions\n"
    write(run, "attribute_bases/A.deeplift", HEADER + row(42.79, 493.13, 11.89), log)
    write(run, "attribute_bases/fold2/B.deeplift", HEADER + row(), "the device: is not said here\n")
    write(run, "fold0/train_model", HEADER + row(), "device: cpu, 2 threads\n")
    write(run.parent, "simulate_data", HEADER + row(0.4))
    write(run, "write_report", HEADER + row(7))  # of an earlier time: the one that runs now has not ended
    jobs = read_jobs(run, CONFIG)
    card = "NVIDIA H200 (CUDA 12.8, cuDNN 91002)"
    assert jobs == [
        Job("attribute_bases", "A.deeplift", 42.79, 493.13, 11.9, card),
        Job("attribute_bases", "fold2/B.deeplift", 1.0, 100.0, 50.0, None),
        Job("simulate_data", "", 0.4, 100.0, 50.0, None),
        Job("train_model", "fold0", 1.0, 100.0, 50.0, "cpu, 2 threads"),
    ]
    written = list(as_json(jobs))
    assert written[2] == {"rule": "simulate_data", "seconds": 0.4, "max_rss_mb": 100.0, "mean_load": 50.0}


def test_a_run_without_benchmark_files(run):
    assert read_jobs(run, CONFIG) == []
    assert costs_of_rules([]) == []


def test_values_that_could_not_be_measured(run):
    write(run, "make_regions", HEADER + row(0.1, "NA", "NA"))
    write(run, "write_session", HEADER + row(0.2, "-", "nan"))
    assert [(job.seconds, job.max_rss_mb, job.mean_load) for job in read_jobs(run, CONFIG)] == [
        (0.1, None, None),
        (0.2, None, None),
    ]


def test_repeats_are_one_job(run):
    rows = [row(10, 100, 50), row(30, 400, 90), row(5, "NA", "NA")]
    write(run, "make_regions", HEADER + "".join(rows))
    assert read_jobs(run, CONFIG) == [Job("make_regions", "", 45.0, 400.0, 80.0, None)]


@pytest.mark.parametrize(
    "text",
    [b"", HEADER, HEADER + "NA\tNA\n", "a\tb\n1\t2\n", b"\xff\xfe\x00s", HEADER[:9]],
    ids=["empty", "header only", "no seconds", "another table", "binary", "cut short"],
)
def test_files_that_hold_no_record_are_passed_over(run, text):
    write(run, "make_regions", text)
    write(run, "write_session", HEADER + row())
    assert [job.rule for job in read_jobs(run, CONFIG)] == ["write_session"]


def changed(**sections) -> dict:
    config = copy.deepcopy(CONFIG)
    for section, values in sections.items():
        config[section] = {**config[section], **values} if isinstance(values, dict) else values
    return config


WITHOUT_SIMULATION = {key: value for key, value in CONFIG.items() if key != "simulate"}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("find_motifs/A.deeplift", changed(attribution={"methods": ["interior_gradients"]})),
        ("call_hits/B.deeplift", changed(targets=CONFIG["targets"][:1])),
        ("predict_track/C", changed(model={"head": "profile"})),
        ("attribute_bases/A.deeplift", changed(model={"head": "profile"})),  # then A.counts and A.profile are explained
        ("fold2/train_model", changed(regions={"folds": 2})),
        ("fold0/train_model", changed(regions={"folds": 0})),
        ("train_model", CONFIG),
        ("fold1/seed2/train_model", CONFIG),
        ("fold1/seed3/train_model", changed(training={"seed": [1, 2]})),
        ("fold1/train_model", changed(training={"seed": [1, 2]})),
        ("draw_logos/fold1/A.deeplift", changed(attribution={"each_fold": False})),
        ("mutate_bases/A", changed(attribution={"mutagenesis": {"max_regions": 0}})),
        ("judge_explanations", changed(faithfulness={"max_regions": 0})),
        ("write_difference_track/A", changed(tracks={"difference": False})),
        ("write_error_track/A.interior_gradients", CONFIG),
        ("write_error_track/A.deeplift", changed(attribution={"deeplift": {"n_references": 1}})),
        ("aggregate_sites/tss.A.deeplift", changed(aggregate={"sites": {"ctcf": "ctcf.bed"}})),
        ("compare_with_truth", WITHOUT_SIMULATION),
        ("simulate_data", WITHOUT_SIMULATION),
        ("download/peaks.bed", CONFIG),
        ("predict_track/A", CONFIG),
        ("attribute_bases/A.deeplift.3of4", CONFIG),
        ("attribute_bases/A.deeplift.3of4", changed(attribution={"shard_size": 100})),
        ("attribute_bases/A.deeplift", changed(attribution={"shard_size": 100})),
        ("gather_scores/A.deeplift", CONFIG),
    ],
)
def test_jobs_of_an_earlier_config_are_not_counted(run, name, config):
    write(run, name, HEADER + row())
    write(run, "make_regions", HEADER + row())
    assert [job.rule for job in read_jobs(run, config)] == ["make_regions"]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("train_model", changed(regions={"folds": 0})),
        ("fold2/train_model", changed(attribution={"each_fold": False})),
        ("fold2/train_model", changed(training={"seed": [7]})),
        ("fold2/seed7/train_model", changed(training={"seed": [7, 8]})),
        ("seed7/train_model", changed(training={"seed": [7, 8]}, regions={"folds": 0})),
        ("draw_logos/fold1/A.deeplift", CONFIG),
        ("mutate_bases/B", CONFIG),
        ("write_difference_track/A", CONFIG),
        ("write_error_track/A.deeplift", CONFIG),
        ("aggregate_sites/tss.A.deeplift", CONFIG),
        ("find_motifs/A.counts.deeplift", changed(model={"head": "profile"})),
        ("predict_track/A", changed(model={"head": "profile"})),
        ("compare_with_truth", CONFIG),
        ("download/genome.fa", CONFIG),
        ("attribute_bases/fold1/A.deeplift.3of10", changed(attribution={"shard_size": 100})),
        ("gather_scores/A.deeplift", changed(attribution={"shard_size": 100})),
    ],
)
def test_jobs_of_the_config_are_counted(name, config):
    assert is_asked_for(*split_name(name), config, names_of_jobs(config))


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
    found = re.search(
        r'<div id="costs">.*?\n</div>\n(?=<div class="scroll" role="region" aria-label="Inputs")', page, re.S
    )
    assert found
    return found[0], page.replace(found[0], "")


def test_what_differs_between_repeated_runs_stands_in_one_element_of_the_page(tmp_path):
    folder, config = build_run(tmp_path, regions=60)
    first = write_report(folder, config, folder / "report.html").read_text()
    assert "Time and memory are not known" in costs_of_page(first)[0]
    for number, (target, method) in enumerate([(t, m) for t in ("GATA1", "TAL1") for m in ("deeplift", "x")]):
        log = "device: NVIDIA H200 (CUDA 12.8, cuDNN 91002)\n"
        write(folder, f"attribute_bases/{target}.{method}", HEADER + row(3600 + number, 12345, 250), log)
    write(folder, "make_regions", HEADER + row(0.4, "NA", "NA"))
    second = write_report(folder, config, folder / "report.html").read_text()
    costs, rest = costs_of_page(second)
    assert rest == costs_of_page(first)[1]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", costs)).replace("\u2009", " ")
    # Method x is none of this run
    assert "attribute_bases 2 2 h 0 min 1 h 0 min 12.1 GB 250 % NVIDIA H200 (CUDA 12.8, cuDNN 91002)" in text
    assert "make_regions 1 0.4 s 0.4 s – –" in text and "all 3 2 h 0 min" in text
    assert "it had not ended" in text
    written = json.loads((folder / "provenance.json").read_text())
    assert [(job["rule"], job.get("about")) for job in written["jobs"]] == [
        ("attribute_bases", "GATA1.deeplift"),
        ("attribute_bases", "TAL1.deeplift"),
        ("make_regions", None),
    ]
    assert written["devices"] == {
        "attribute_bases": ["NVIDIA H200 (CUDA 12.8, cuDNN 91002)"],
        "evaluate_model": ["cpu"],  # from metrics.json, as the stage has no log
    }


def test_thousands_of_jobs_keep_the_page_small(tmp_path):
    folder, config = build_run(tmp_path, regions=60)
    text = config.read_text().replace("mutagenesis:", "shard_size: 1\n  mutagenesis:")
    config.write_text(text)
    for number in range(1, 1001):
        write(folder, f"attribute_bases/TAL1.deeplift.{number}of1000", HEADER + row())
    costs, _ = costs_of_page(write_report(folder, config, folder / "report.html").read_text())
    assert '<td class="n">1\u202f000</td>' in costs
    assert len(costs) < 3000
    assert len(json.loads((folder / "provenance.json").read_text())["jobs"]) == 1000


# Inputs


def test_every_file_of_the_user_is_named_with_its_role(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("class Net: ...")
    regions = {
        "peaks": {"A": {"path": "d/A.bed"}, "B": {"path": "d/B.bed"}},
        "signal": {"files": {"A": {"signal": ["a.bw", "b.bw"], "signal_minus": ["c.bw"], "control": ["i.bw"]}}},
        "negatives": {"file": "n.bed"},
        "settings": {"exclude_regions": ["x.bed"], "include_regions": ["y.bed"]},
    }
    config = changed(model={"type": "mine:Net"}, attribution={"deeplift": {"references": "fasta:refs.fa"}})
    config |= {"motifs": {"database": "own.meme"}, "report": {"genes": "genes.gtf"}}
    found = dict(input_files(config, regions))
    assert found.pop("model class").endswith("mine.py")
    assert found == {
        **{"peaks of A": "d/A.bed", "peaks of B": "d/B.bed", "unlabelled of B": "my data/low.bed"},
        **{"signal of A": "b.bw", "signal, minus of A": "c.bw", "control of A": "i.bw"},
        **{"negatives": "n.bed", "exclude regions": "x.bed", "include regions": "y.bed"},
        **{"references of deeplift": "refs.fa", "motif database": "own.meme", "sites tss": "my data/tss.bed"},
        "genes": "my data/genes.gtf",
    }
    assert [path for role, path in input_files(config, regions) if role == "signal of A"] == ["a.bw", "b.bw"]
    # JASPAR's motifs come with a package; its release is in metrics.json
    config["motifs"] = {"database": "jaspar:fungi"}
    assert "motif database" not in dict(input_files(config, regions))


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
    monkeypatch.setattr(
        "seqlift.report.provenance.collect.known_checksum", lambda path: read.append(path) or sha256_of(path)
    )
    control = tmp_path / "input.bw"
    control.write_bytes(b"control")
    regions = {
        "genome": {"path": "genome.fa", "sha256": "ab"},
        "peaks": {},
        "signal": {"files": {name: {"control": [str(control)]} for name in ("A", "B")}},
    }
    inputs = collect_provenance({"targets": []}, regions, {}, {})["inputs"]
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
    regions = {"genome": {"path": "genome.fa"}, "peaks": {}}

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
