"""The workflow as a module of another one, in another folder and with a prefix, as docs/how_to/module.md shows it."""

import re
import shlex

import pytest
import yaml

from fixtures.user import ROOT, Checkout, new_checkout

PAGE = (ROOT / "docs" / "how_to" / "module.md").read_text()


@pytest.fixture
def outer(tmp_path) -> Checkout:
    """The workflow of the page, its data elsewhere, this workflow cloned into a folder of it."""
    checkout = Checkout(tmp_path / "another workflow")
    new_checkout(checkout.folder / "seqlift")
    data = tmp_path / "my data"
    data.mkdir()
    (data / "hg38.fa.gz").touch()
    (data / "GATA1.narrowPeak").touch()
    (snakefile,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (config,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (checkout.folder / "Snakefile").write_text(snakefile)
    checkout.write(yaml.safe_load(config.replace("/data/chip", str(data))), "config.yaml")
    return checkout


def test_the_example_runs_all_rules_and_that_of_the_outer_workflow(outer):
    run = outer.snakemake("-n", "--cores", "2", config=None)
    assert run.status == 0, run.screen
    jobs = run.jobs
    assert jobs.pop("count_hits") == 1
    assert jobs["seqlift_train_model"] == jobs["seqlift_write_report"] == 1
    assert all(rule.startswith("seqlift_") for rule in jobs)


def test_every_file_that_a_command_names_has_the_prefix(outer):
    run = outer.snakemake("-n", "-p", "--cores", "2", "--forceall", config=None)
    commands = [line for line in run.screen.splitlines() if "seqlift " in line and "--" in line]
    assert len(commands) > 10, run.screen
    assert not [command for command in commands if re.search(r"(?<!motifs/)results/chip", command)]


def test_peaks_may_be_made_by_a_rule_of_the_outer_workflow(outer):
    peaks = next(outer.folder.parent.rglob("GATA1.narrowPeak"))
    peaks.unlink()
    run = outer.snakemake("-n", "--cores", "2", config=None)
    assert run.status != 0 and "MissingInputException" in run.screen and str(peaks) in run.screen
    rule = f"rule call_peaks:\n    output:\n        {str(peaks)!r},\n    shell:\n        'touch {{output:q}}'\n"
    with (outer.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(f"\n\n{rule}")
    run = outer.snakemake("-n", "--cores", "2", config=None)
    assert run.status == 0, run.screen
    assert run.jobs["call_peaks"] == run.jobs["seqlift_make_regions"] == 1


def test_what_is_missing_is_downloaded_to_where_the_module_looks_for_it(outer):
    (genome,) = outer.folder.parent.rglob("hg38.fa.gz")
    genome.unlink()
    config = yaml.safe_load((outer.folder / "config.yaml").read_text())
    names = {"hg38.fa.gz": f"{genome}", "my.fa": "motifs/my.fa"}
    config["seqlift"]["downloads"] = {name: {"url": "https://example.org/x"} for name in names}
    config["seqlift"]["attribution"] = {"deeplift": {"references": "fasta:my.fa"}}
    outer.write(config, "config.yaml")
    run = outer.snakemake("-n", "-p", "--cores", "2", config=None)
    assert run.status == 0, run.screen
    assert run.jobs["seqlift_download_file"] == run.jobs["seqlift_download_file_elsewhere"] == 1
    for name, place in names.items():
        log = f"motifs/results/chip/logs/download/{name}.log"
        assert f"--output {shlex.quote(place)} 2>&1 | tee -i {log}" in run.screen


def test_mistakes_in_the_modules_config_are_named(outer):
    config = yaml.safe_load((outer.folder / "config.yaml").read_text())
    config["seqlift"]["training"] = {"epoch": 3}
    outer.write(config, "config.yaml")
    run = outer.snakemake("-n", "--cores", "2", config=None)
    assert run.status != 0
    assert "training.epoch is an unknown key; did you mean `epochs`?" in run.screen
