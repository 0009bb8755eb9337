"""What fits what in a config: windows and networks, windows and motif search, chromosomes and the genome."""

import gzip
import os
import re

import pytest

from seqlift.config import resolve_config
from seqlift.config.fit import _ANY_DEFAULT, SIMULATED_CHROMOSOMES
from seqlift.data.simulate import simulate
from seqlift.errors import SeqliftError
from seqlift.models.architecture import kinds
from seqlift.models.build import build_model
from seqlift.models.shape import Shape
from seqlift.motifs.settings import ModiscoSettings
from test_config import SCHEMA, config, mistakes, put  # noqa: F401  `config` is a fixture


@pytest.mark.parametrize(
    ("kind", "key", "good", "wrong", "words"),
    [
        ("basset", "pools", [20, 10], [20, 11], "(=[20, 11]) needs windows of at least 220 bp"),
        ("paper", "kernel", 100, 101, "(=101) needs windows of at least 201 bp"),
        ("dilated", "layers", 7, 8, "(=8) needs windows of at least 257 bp"),
    ],
)
def test_a_network_that_is_too_long_for_the_windows_is_named_before_it_is_built(
    config,  # noqa: F811
    kind,
    key,
    good,
    wrong,
    words,
):
    blocks = {"filters": [2, 2], "kernels": [3, 3]} if kind == "basset" else {"filters": 2}
    shape = Shape(length=200, n_targets=1)
    for value in (good, wrong):
        model = {"type": kind, **blocks, key: value}
        given = {**config, "lengths": [300, 200], "model": model}
        if value == good:
            resolve_config(given, SCHEMA)
            build_model(model, shape)
        else:
            assert words in mistakes(given)[f"model.{key}"]
            with pytest.raises(SeqliftError):  # the network says the same, but later
                build_model(model, shape)


def test_default_networks_fit_windows_that_are_not_checked():
    """Of other settings and of shorter windows alone the architecture is asked, as that imports PyTorch."""
    for kind in kinds().values():
        assert kind.settings().shortest_window()[0] <= _ANY_DEFAULT


def test_windows_too_short_for_a_motif(config):  # noqa: F811
    least = ModiscoSettings().shortest
    resolve_config(put(config, "motifs.window", least), SCHEMA)
    assert f"must be at least {least} bp" in mistakes(put(config, "motifs.window", least - 1))["motifs.window"]
    short = {**config, "regions": {**config["regions"], "merge_distance": 0}, "lengths": [300, least - 1]}
    assert f"(={least - 1}) must be at least {least} bp" in mistakes(short)["lengths"]
    wide = {"sliding_window_size": 60, "flank_size": 80, "trim_to_window_size": 80, "final_flank_to_add": 30}
    least = ModiscoSettings(**wide).shortest
    resolve_config(put(config, "motifs", {"tfmodisco": wide, "window": least}) | {"lengths": [400]}, SCHEMA)
    assert f"(=200) must be at least {least} bp" in mistakes(put(config, "motifs.tfmodisco", wide))["motifs.window"]


GENOME = "".join(f">{name} a comment\nACGT\n" for name in ("chrI", "chrII", "chrIII", "chrIV", "chrM"))


@pytest.fixture
def with_genome(config, tmp_path):  # noqa: F811
    (tmp_path / "genome.fa").write_text(GENOME)
    (tmp_path / "genome.fa.gz").write_bytes(gzip.compress(GENOME.encode()))
    return put(config, "regions", {"valid": ["chrI"], "test": ["chrI[IV]"], "exclude_chromosomes": ["chrM"]})


@pytest.mark.parametrize("fasta", ["genome.fa", "genome.fa.gz"])
def test_chromosomes_that_the_genome_lacks(with_genome, fasta):
    right = put(with_genome, "genome.fasta", fasta)
    resolve_config(right, SCHEMA)
    wrong = mistakes(put(right, "regions.test", ["chrII:1-2", "chr4", "chr?I", "chr1?", "chrM"]))
    assert wrong == {
        "regions.test[1]": "(='chr4') is not in the genome, which has chrI, chrII, chrIII, chrIV, chrM; did you mean "
        "chrIV?",
        "regions.test[3]": "(='chr1?') is not in the genome, which has chrI, chrII, chrIII, chrIV, chrM; name "
        "chromosomes as the FASTA file does",
        "regions.test[4]": "(='chrM') is left out by regions.exclude_chromosomes; delete either",
    }
    folds = put(right, "regions", {"folds": 5, "exclude_chromosomes": ["chrM"]})
    assert "(=5) must be at most 4" in mistakes(folds)["regions.folds"]
    resolve_config(put(folds, "regions.folds", 4), SCHEMA)
    nothing = put(right, "regions.exclude_chromosomes", ["chr*"])
    assert "leaves no chromosome" in mistakes(nothing)["regions.exclude_chromosomes"]


def test_chromosomes_of_an_index_beside_a_large_genome(with_genome, tmp_path):
    with (tmp_path / "genome.fa").open("ab") as file:
        file.truncate(2**25)  # zeros that take no room
    wrong = put(with_genome, "regions.test", ["chr9"])
    assert resolve_config(wrong, SCHEMA)  # nobody waits for a dry-run that reads a large genome
    index = tmp_path / "genome.fa.fai"
    index.write_text("".join(f"{name}\t4\t5\t4\t5\n" for name in ("chrI", "chrII", "chrIX")))
    assert "which has chrI, chrII, chrIX; did you mean chrIX?" in mistakes(wrong)["regions.test[0]"]
    os.utime(index, (0, 0))  # of an older file
    assert resolve_config(wrong, SCHEMA)


def test_chromosomes_of_simulated_data(config, tmp_path):  # noqa: F811
    simulate(tmp_path / "simulated", n_sequences=40, seed=1)
    names = re.findall(r"^>(\S+)", (tmp_path / "simulated" / "genome.fa").read_text(), flags=re.MULTILINE)
    assert tuple(names) == SIMULATED_CHROMOSOMES
    (tmp_path / "genome.fa").unlink()
    data = {"simulate": {}, "targets": [{"name": "a", "peaks": "TAL1.bed"}]}
    wrong = mistakes({**config, **data, "regions": {"valid": ["sim9"], "test": ["sim11"]}})
    assert list(wrong) == ["regions.test[0]"]


def test_a_damaged_genome_is_the_business_of_the_stage_that_reads_it(config, tmp_path):  # noqa: F811
    (tmp_path / "genome.fa").write_bytes(b"\x1f\x8b\x08 no gzip at all")
    resolve_config(config, SCHEMA)


def test_least_numbers_are_those_of_the_stages(config):  # noqa: F811
    assert "(=1) must be at least 2" in mistakes(put(config, "training.batch_size", 1))["training.batch_size"]


def optional_keys(node: dict, path: str = "") -> dict[str, dict]:
    """Keys of the schema that may be left out and have no default."""
    found = {}
    if "$ref" in node:
        node = {**SCHEMA["$defs"][node["$ref"].split("/")[-1]], **node}
    for key, below in (node.get("properties") or {}).items():
        if below is True:
            continue
        here = f"{path}.{key}".lstrip(".")
        if "default" not in below and key not in node.get("required", []):
            found[here] = below
        found |= optional_keys(below, here)
    return found | (optional_keys(node["items"], path) if isinstance(node.get("items"), dict) else {})


def test_every_key_is_required_has_a_default_or_says_what_it_means_to_leave_it_out():
    found = optional_keys(SCHEMA)
    for branch in SCHEMA["properties"]["model"]["allOf"]:
        found |= optional_keys(branch["then"], "model")
    assert {"regions.valid", "report.genes", "simulate"} <= found.keys()
    unsaid = [key for key, node in found.items() if "Absent: " not in node.get("description", "Absent: ")]
    assert unsaid == []
