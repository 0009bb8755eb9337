"""Wrong configs and wrong data: one clear message each, no traceback, nothing half-written."""

import copy

import pytest
from user import SMALL, changed


def with_target(**target) -> dict:
    return changed(SMALL, targets=[*SMALL["targets"], target])


def without(config: dict, key: str) -> dict:
    left = copy.deepcopy(config)
    del left[key]
    return left


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        (changed(SMALL, training={"epoch": 3}), ["training.epoch is an unknown key; did you mean `epochs`?"]),
        (changed(SMALL, training={"epochs": "many"}), ["training.epochs (='many') must be a whole number"]),
        (with_target(name="TAL1", peaks="both.bed"), ["targets[1].name (='TAL1') is the name of targets[0], too"]),
        (
            changed(SMALL, attribution={"methods": ["deeplift", "saliency"]}),
            ["attribution.methods[1] (='saliency') must be one of deeplift, interior_gradients"],
        ),
        (
            without(SMALL, "simulate"),
            ["genome.fasta (='genome.fa') is missing: there is no file my data/genome.fa", "targets[0].peaks"],
        ),
        (
            changed(with_target(name="a/b", peaks="both.bed"), lengths="long", colour="red", model={"type": "bass"}),
            [
                "4 mistakes in the config:",
                "targets[1].name (='a/b')",
                "lengths (='long') must be a list",
                "colour is an unknown key",
                "for a class of your own; did you mean basset?",
            ],
        ),
        ({}, ["name is missing", "genome is missing", "targets is missing", "regions is missing"]),
    ],
    ids=["unknown key", "wrong type", "target twice", "no such method", "missing file", "all at once", "empty"],
)
def test_wrong_config(checkout, config, messages):
    checkout.write(config)
    before = checkout.files()
    run = checkout.snakemake("--cores", "2")
    assert run.status != 0
    assert "Traceback" not in run.screen
    for message in messages:
        assert message in run.screen
    assert ".smk" not in run.screen, "the message is about the user's file, not about ours"
    assert checkout.files() == before


def genome_and_peaks(checkout, peaks: str) -> dict:
    data = checkout.folder / "my data"
    data.mkdir()
    (data / "genome.fa").write_text("".join(f">chr{number}\n{'ACGTTGCAAT' * 300}\n" for number in (1, 2, 3)))
    (data / "peaks.bed").write_text(peaks)
    config = without(SMALL, "simulate")
    return {
        **config,
        "targets": [{"name": "TAL1", "peaks": "peaks.bed"}],
        "regions": {"valid": ["chr2"], "test": ["chr3"], "negatives": "shuffled"},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("peaks", "messages"),
    [
        ("", ["peaks.bed"]),
        ("1\t500\t600\n", ["chr1", "peaks.bed"]),
        ("chr1\t500\t600\nchr1\t600\t500\n", ["peaks.bed", "2", "600", "500"]),
        ("chr1\t500\tfar\n", ["peaks.bed", "far"]),
        ("chr1\t500\t600\nchr2\t500\t600\n", ["test", "TAL1"]),
    ],
    ids=["empty", "chromosome names", "start after end", "text for a number", "a split without peaks"],
)
def test_wrong_peaks(checkout, peaks, messages):
    checkout.write(genome_and_peaks(checkout, peaks))
    run = checkout.snakemake("--cores", "2")
    assert run.status != 0
    assert "Traceback" not in run.screen
    said = run.screen.split("make_regions.log:\n")[1].split("\n", 2)[1]  # Snakemake shows the log of what failed
    assert said.startswith("seqlift regions: error: ")
    for message in messages:
        assert message in said
    made = [name for name in checkout.files() if name.startswith("results/")]
    assert {name for name in made if "/logs/" not in name} == {"results/small/config.yaml"}
