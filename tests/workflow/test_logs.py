"""Each job has a log that a person can read and a record of what it cost; of a job that fails the screen says why."""

import json
import re

import pytest

from fixtures.user import ROOT
from seqlift.report.provenance.costs import REPORT

RUN = "results/small/200bp"
LONG = {
    *("train_model", "evaluate_model", "attribute_bases", "mutate_bases", "judge_explanations", "find_motifs"),
    *("download_file", "download_file_elsewhere"),
}
SMALL_LOG = 10_000  # characters; what a failed job has said is shown as a whole


def commands() -> dict[str, str]:
    """Rule -> its text."""
    found = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for name, text in re.findall(
            r"^ *rule (\w+):\n(.*?)(?=^\S|^    (?:#.*\n    )?use |^    rule |\Z)", path.read_text(), re.S | re.M
        ):
            found[name] = text
    return found


def test_all_that_a_job_says_goes_into_its_log():
    """The long stages show it on the screen as well."""
    rules = commands()
    assert len(rules) > 20
    for name, text in rules.items():
        way = "2>&1 | tee -i {log:q}" if name in LONG else "> {log:q} 2>&1"
        assert text.rstrip().rstrip("\"'").endswith(way), f"{name} does not end with {way}"
        assert "    log:\n" in text, name


def test_log_and_benchmark_have_one_name():
    """`seqlift report` finds the log of a job by the name of its benchmark file."""
    for name, text in commands().items():
        if name in ("write_config", "write_targets"):  # which only write down what is known when Snakemake starts
            continue
        log = re.search(r"    log:\n\s+f\"(.*)\.log\"", text)
        benchmark = re.search(r"    benchmark:\n\s+f\"(.*)\.tsv\"", text)
        assert log and benchmark, name
        assert log[1].replace("/logs/", "/benchmarks/") == benchmark[1], name


@pytest.mark.slow
def test_logs_and_records_of_the_finished_run(finished_once):
    folder = finished_once[0].folder
    results = folder / "results/small"
    logs = {path.relative_to(results).as_posix(): path.read_text() for path in results.rglob("*.log")}
    assert len(logs) == 25  # one a job
    for name, text in logs.items():
        assert text.strip() and text.endswith("\n") and len(text) < SMALL_LOG, name
        assert not re.search(r"[^\n\t\x20-\x7e\xa0-\uffff]", text), f"{name} has control characters"
        assert "Traceback" not in text and "site-packages" not in text, name
    # What was read, done and written, with counts
    assert "200 peaks of TAL1: my data/TAL1.bed" in logs["200bp/logs/make_regions.log"]
    assert "100 regions of TAL1 explained: results/small" in logs["200bp/logs/attribute_bases/TAL1.deeplift.log"]
    assert f"wrote {RUN}/report.html" in logs["200bp/logs/write_report.log"]
    # Every job but the report's own, which had not ended
    written = json.loads((folder / RUN / "provenance.json").read_text())
    records = {path.relative_to(results).with_suffix("") for path in results.rglob("benchmarks/**/*.tsv")}
    names = {re.sub(r"^(200bp/)?benchmarks/", "", path.as_posix()) for path in records} - {REPORT}
    assert {"/".join(filter(None, [job["rule"], job.get("about")])) for job in written["jobs"]} == names
    assert len(names) == 22 and all(job["seconds"] > 0 for job in written["jobs"])
    assert {rule["rule"]: rule["jobs"] for rule in written["rules"]}["attribute_bases"] == 2
    with_network = {"train_model", "evaluate_model", "attribute_bases", "mutate_bases", "judge_explanations"}
    assert set(written["devices"]) == with_network
    assert written["workflow"]["source"] == str(folder / "workflow" / "Snakefile")


@pytest.mark.slow
def test_the_reason_of_a_failure_is_on_the_screen(finished):
    """A score file that was cut short: two rules that leave the screen to Snakemake and one that shows its progress."""
    scores = finished.folder / RUN / "scores" / "TAL1.deeplift.h5"
    scores.write_bytes(scores.read_bytes()[:-5000])
    run = finished.snakemake("--cores", "2", "--keep-going", "--until", "write_track", "find_motifs")
    assert run.status != 0
    reason = f"{RUN}/scores/TAL1.deeplift.h5: not an HDF5 file"
    assert run.screen.count(f"seqlift tracks: error: {reason}") == 1
    assert run.screen.count(f"seqlift motifs: error: {reason}") == 2  # at once, and in its log
    assert "make it again with `seqlift attribute`" in run.screen
    assert "Traceback" not in run.screen
    # The end of the log follows what Snakemake says of the job
    _, _, after = run.screen.partition("Error in rule write_track:")
    assert f"Logfile {RUN}/logs/write_track/TAL1.deeplift.log:" in after
    assert f"seqlift tracks: error: {reason}" in after
