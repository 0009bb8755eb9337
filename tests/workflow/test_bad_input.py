"""Wrong configs and wrong data: one clear message each, no traceback, nothing half-written."""

import copy
import random

import pyBigWig
import pytest

from fixtures.user import SMALL, changed

GENOME = {"chr1": 3000, "chr2": 3000, "chr3": 3000}


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
                "for your own class; did you mean basset?",
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
    assert checkout.files() == before


def test_a_key_given_twice(checkout):
    """YAML would take the last of them in silence."""
    checkout.write(SMALL)
    with (checkout.folder / "my config.yaml").open("a") as file:
        file.write("name: another\n")
    run = checkout.snakemake("-n")
    assert run.status != 0 and "Traceback" not in run.screen
    assert "the key 'name' is in line 1, too" in run.screen and "my config.yaml, line " in run.screen


def genome_and_peaks(checkout, peaks: str) -> dict:
    data = checkout.folder / "my data"
    data.mkdir()
    bases = random.Random(1)
    genome = {name: "".join(bases.choices("ACGT", k=size)) for name, size in GENOME.items()}
    (data / "genome.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in genome.items()))
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
        ("chr1\t500\t600\n" * 5, ["peaks.bed", "has 5 peaks, at least 10 are needed"]),
        ("".join(f"chr{1 + i % 2}\t{500 + 90 * i}\t{600 + 90 * i}\n" for i in range(24)), ["test", "TAL1"]),
    ],
    ids=["empty", "chromosome names", "start after end", "text for a number", "few", "a split without peaks"],
)
def test_wrong_peaks(checkout, peaks, messages):
    checkout.write(genome_and_peaks(checkout, peaks))
    run = checkout.snakemake("--cores", "2")
    assert run.status != 0
    assert "Traceback" not in run.screen
    said = error_in(run, "make_regions")
    assert said.startswith("seqlift regions: error: ")
    for message in messages:
        assert message in said
    made = [name for name in checkout.files() if name.startswith("results/")]
    first = {"results/small/config.yaml", "results/small/targets.tsv"}
    assert {name for name in made if "/logs/" not in name} <= first


def error_in(run, rule: str) -> str:
    """The last line of the log of the rule that failed, which Snakemake shows between two lines of =."""
    log = run.screen.split(f"{rule}.log:\n")[1].split("=" * 80 + "\n")[1]
    return log.strip().splitlines()[-1]


def with_signal(checkout, sizes: dict[str, int], middles: range, **model) -> dict:
    """A config of a signal of one read at each of the `middles` on each chromosome."""
    peaks = "".join(f"chr{c}\t{500 + 90 * i}\t{600 + 90 * i}\n" for c in (1, 2, 3) for i in range(12))
    config = genome_and_peaks(checkout, peaks)
    with pyBigWig.open(str(checkout.folder / "my data" / "signal.bw"), "w") as bigwig:
        bigwig.addHeader(list(sizes.items()))
        for chrom in sizes:
            bigwig.addEntries(chrom, list(middles), values=[1.0] * len(middles), span=1)
    config["targets"] = [{"name": "TAL1", "peaks": "peaks.bed", "signal": "signal.bw"}]
    config["regions"] |= {"negatives": "genome", "ratio": 0.1, "min_distance": 0, "merge_distance": 0}
    return {**config, "lengths": [100], "model": {"head": "counts", **model}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "middles", "messages"),
    [
        ({**GENOME, "chr2": 3001}, range(500, 2000, 10), ["signal.bw", "another genome", "chr2 3,001 bp, there 3,000"]),
        ({"1": 3000, "2": 3000}, range(500, 2000, 10), ["signal.bw", "names chromosomes in another way", '"1": chr1']),
        (GENOME, range(2500, 2600), ["signal.bw", "has no data in 36 of its 36 peak regions"]),
    ],
    ids=["another genome", "chromosome names", "no data"],
)
def test_wrong_signal(checkout, sizes, middles, messages):
    checkout.write(with_signal(checkout, sizes, middles))
    run = checkout.snakemake("--cores", "2", "--until", "make_regions")
    assert run.status != 0 and "Traceback" not in run.screen
    said = error_in(run, "make_regions")
    for message in messages:
        assert message in said
    assert not (checkout.folder / "results/small/100bp/regions.tsv.gz").exists()


@pytest.mark.slow
def test_a_model_of_ones_own_that_returns_the_wrong_shape(checkout):
    (checkout.folder / "my_models.py").write_text(
        "from torch import nn\n\n\nclass Wrong(nn.Module):\n"
        "    def __init__(self, *, length, n_targets):\n        super().__init__()\n"
        "        self.scan = nn.Conv1d(4, n_targets + 1, 5)\n\n"
        "    def forward(self, sequences):\n        return self.scan(sequences).mean(2)\n"
    )
    checkout.write(with_signal(checkout, GENOME, range(500, 2000, 10), type="my_models:Wrong"))
    run = checkout.snakemake("--cores", "2", "--until", "train_model")
    assert run.status != 0 and "Traceback" not in run.screen
    said = error_in(run, "train_model")
    assert "model.type (='my_models:Wrong')" in said and "returns (3, 2)" in said and "it must return (3, 1)" in said
