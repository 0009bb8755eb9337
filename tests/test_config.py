"""The check of the config: all mistakes at once, every default filled in, schema and template in step."""

import argparse
import copy
import importlib
import re
from pathlib import Path

import pytest
import yaml

from seqlift.aggregates.settings import AggregateSettings
from seqlift.cli import STAGES
from seqlift.config import custom_source, data_path, downloads, generate, model_outputs, resolve_config, target_list
from seqlift.core.settings import add_flags
from seqlift.errors import SeqliftError
from seqlift.models.architecture import defaults, kinds

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())


@pytest.fixture
def config(tmp_path) -> dict:
    """The smallest config that is right, its files in `tmp_path`."""
    for name in ("genome.fa", "a.bed", "b.bed"):
        (tmp_path / name).touch()
    return {
        "name": "run",
        "data_dir": str(tmp_path),
        "genome": {"fasta": "genome.fa"},
        "targets": [{"name": "a", "peaks": "a.bed"}],
        "regions": {"valid": ["chr1"], "test": ["chr2"]},
    }


def put(config: dict, path: str, value) -> dict:
    """Copy of `config` with the key at `path` (dots, list items as numbers) set, or deleted if `value` is `...`."""
    changed = copy.deepcopy(config)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    section = changed
    for part in parents:
        section = section.setdefault(part, {}) if isinstance(section, dict) else section[part]
    if value is ...:
        del section[last]
    elif isinstance(section, list) and last == len(section):
        section.append(value)
    else:
        section[last] = value
    return changed


def mistakes(config) -> dict[str, str]:
    """What is said about each key of a wrong config."""
    with pytest.raises(SeqliftError) as raised:
        resolve_config(config, SCHEMA)
    first, *lines = str(raised.value).splitlines()
    assert first == f"{len(lines)} mistake{'s' * (len(lines) > 1)} in the config:"
    return dict(line.removeprefix("  - ").split(" ", 1) for line in lines)


def schema_keys(node=SCHEMA, path="") -> list[tuple[str, object]]:
    """Every (key path, default) of the schema, list items without a number; `...` where there is no default."""
    if node is True:
        return []
    found = []
    for branch in [node, *(condition["then"] for condition in node.get("allOf", []))]:
        for key, below in branch.get("properties", {}).items():
            if below is not True and "description" in below:
                found.append((f"{path}.{key}".lstrip("."), below.get("default", ...)))
                found += schema_keys(below, f"{path}.{key}")
    if isinstance(node.get("items"), dict):
        found += schema_keys(node["items"], path)
    if "x-key" in node:  # a section whose keys the user chooses
        found += schema_keys(node["additionalProperties"], f"{path}.{node['x-key']}")
    return found


def test_defaults_are_filled_in_everywhere(config):
    resolved = resolve_config(config, SCHEMA)
    assert resolved["lengths"] == [200]
    assert resolved["attribution"]["deeplift"]["n_references"] == 20
    assert resolved["model"] == {"type": "basset", **defaults("basset")}
    for key, default in schema_keys():
        if default is not ... and not key.startswith(("targets", "simulate", "downloads.", "model")):
            value = resolved
            for part in key.split("."):
                value = value[part]
            given = config["regions"] if key.startswith("regions") else {}
            assert value == default or isinstance(default, dict) or part in given or key == "data_dir", key


def test_a_default_that_is_stated_changes_nothing(config):
    plain = resolve_config(config, SCHEMA)
    stated = put(put(config, "regions.top_fraction", 1), "training", {"epochs": 30.0, "jitter": 0})
    stated = dict(reversed(put(stated, "model", {"dropout": 0.3}).items()))
    assert repr(resolve_config(stated, SCHEMA)) == repr(plain)
    assert repr(resolve_config(plain, SCHEMA)) == repr(plain)


def test_the_config_given_is_left_alone(config):
    before = copy.deepcopy(config)
    resolve_config(config, SCHEMA)["targets"][0]["name"] = "changed"
    assert config == before


def test_order_of_targets_lengths_and_methods_does_not_matter(config):
    config = put(put(config, "targets.1", {"name": "B", "peaks": "b.bed"}), "lengths", [400, 200])
    reordered = put(config, "targets", config["targets"][::-1])
    reordered = put(put(reordered, "lengths", [200, 400]), "attribution.methods", ["interior_gradients", "deeplift"])
    resolved = resolve_config(reordered, SCHEMA)
    assert repr(resolved) == repr(resolve_config(config, SCHEMA))
    assert [target["name"] for target in resolved["targets"]] == ["a", "B"]
    assert resolved["lengths"] == [200, 400]


@pytest.mark.parametrize(
    ("path", "value", "where", "words"),
    [
        ("epochs", 3, "epochs", "is an unknown key; the key is `training.epochs`"),
        ("training.epoch", 3, "training.epoch", "is an unknown key; did you mean `epochs`?"),
        ("training.batch-size", 3, "training.batch-size", "did you mean `batch_size`?"),
        ("targets.0.colour", 3, "targets[0].colour", "the keys here are name, peaks, signal"),
        ("genome.fasta", ..., "genome.fasta", "is missing; add it: FASTA file, plain, gzip or bgzip"),
        ("regions", ..., "regions", "is missing"),
        ("name", "a/b", "name", "(='a/b') must be made of letters, digits and . _ + - only"),
        ("targets.0.name", "../up", "targets[0].name", "(='../up') must be made of letters"),
        ("targets.0.name", "Negative", "targets[0].name", "is the name of the negatives"),
        ("targets", [], "targets", "must not be empty"),
        ("targets.1", {"name": "a", "peaks": "b.bed"}, "targets[1].name", "(='a') is the name of targets[0], too"),
        ("targets.1", {"name": "A", "peaks": "b.bed"}, "targets[1].name", "differs only in upper and lower case"),
        ("targets.1", {"name": "b", "peaks": "./a.bed"}, "targets[1].peaks", "is the file of targets[0], too"),
        ("targets.0.peaks", "none.bed", "targets[0].peaks", "there is no file"),
        ("targets.0.peaks", ".", "targets[0].peaks", "is a folder"),
        ("genome.fasta", "none.fa", "genome.fasta", "(='none.fa') is missing: there is no file"),
        ("genome.download", {}, "genome.download", "`downloads: {FILE: {url"),
        ("targets.0.download", {}, "targets[0].download", "is an unknown key; downloads are listed at the top"),
        ("downloads", {"a{b": {"url": "https://x"}}, "downloads", "(='a{b') must be a path without { or }"),
        ("downloads", {"a": {"rename_chromosomes": {"1": 1}}}, "downloads.a.rename_chromosomes.1", "must be text;"),
        ("lengths", 200, "lengths", "(=200) must be a list; write [200]"),
        ("lengths", [200, 200], "lengths[1]", "(=200)"),
        ("lengths", [-200], "lengths[0]", "(=-200) must be at least 10"),
        ("lengths", [200.5], "lengths[0]", "(=200.5) must be a whole number"),
        ("regions.valid", [4], "regions.valid[0]", "(=4) must be text; put it in quotes"),
        ("regions.valid", ["chr3", "chr2"], "regions.test[0]", "(='chr2') is in regions.valid, too"),
        ("regions.test", ["chr2", "chr2"], "regions.test", "holds (='chr2') twice"),
        ("regions.test", ..., "regions.test", "as in test: [chr8], or folds: 5"),
        ("regions.folds", 5, "regions.folds", "(=5) cannot be combined with valid or test"),
        ("regions", {"folds": 2}, "regions.folds", "(=2) must be at least 3"),
        ("regions.test", ["chr1:5-"], "regions.test[0]", "(='chr1:5-') overlaps regions.valid[0] (='chr1')"),
        ("regions.test", ["chr?"], "regions.test[0]", "overlaps regions.valid[0]"),
        ("regions.test", ["chr2:9-8"], "regions.test[0]", "must be a chromosome, a shell pattern, or a part"),
        ("regions.test", ["chr2:1M-2M"], "regions.test[0]", "as chr20:1-40000000 or chr20:40000001-"),
        ("regions.test", ["chr1:1,000-"], "regions.test[0]", "overlaps regions.valid[0]"),
        ("regions.test", ["chr2:0-10"], "regions.test[0]", "the first base is 1"),
        ("regions.negatives", "bed", "regions.negatives_file", "is missing; negatives (='bed')"),
        ("regions.negatives_file", "b.bed", "regions.negatives_file", "has no effect with negatives (='genome')"),
        ("regions.exclude_regions", "b.bed", "regions.exclude_regions", "must be a list; write [b.bed]"),
        ("regions.exclude_regions", ["b.bed", "no.bed"], "regions.exclude_regions[1]", "there is no file"),
        ("targets", "no.tsv", "targets", "(='no.tsv') is missing: there is no file"),
        ("targets", "a.bed", "targets", "cannot be read: "),
        ("targets", 7, "targets", "(=7) must be a list of targets, or the path of a TSV"),
        ("targets.0.signal", "no.bw", "targets[0].signal", "(='no.bw') is missing"),
        ("targets.0.signal", ["b.bed", "no.bw"], "targets[0].signal[1]", "(='no.bw') is missing"),
        ("targets.0.signal", 3, "targets[0].signal", "(=3) must be a path"),
        ("targets.0.unlabelled", "no.bed", "targets[0].unlabelled", "is missing"),
        ("report.genes", "missing.gff", "report.genes", "(='missing.gff') is missing: there is no file"),
        ("report.genes", ".", "report.genes", "that ends in .bed, .gff, .gff3 or .gtf"),
        ("report.genes", "genes.txt", "report.genes", "(='genes.txt') must be a path without { or } that ends in .bed"),
        ("targets.0.signal_minus", "b.bed", "targets[0]", "has signal_minus but no signal; give both"),
        ("targets.0.control", "b.bed", "targets[0].control", "changes nothing with model.head (='classes')"),
        ("model.head", "count", "model.head", "did you mean counts?"),
        ("model.head", "counts", "targets[0].signal", "is missing; model.head (='counts') needs the signal of every"),
        ("regions.negatives", "unbind", "regions.negatives", "did you mean unbound?"),
        ("model.head", "profile", "model.head", "with model.type basset; for profile use dilated"),
        ("model.type", "my models:Net", "model.type", "or package.module:Class for your own class"),
        ("model.type", "nowhere.at_all:Net", "model.type", "lives nowhere: there is no module nowhere.at_all in"),
        ("model", {"type": "json:Net", "filters": 3}, "model.filters", "is an unknown key"),
        ("model", {"type": "json:Net", "arguments": [3]}, "model.arguments", "must be a section with keys of its own"),
        ("model.replicates", 0, "model.replicates", "(=0) must be at least 1"),
        ("training.precision", "bf16mixed", "training.precision", "did you mean bf16-mixed?"),
        ("training.schedule", "linear", "training.schedule", "must be one of cosine, constant, plateau"),
        ("training.gradient_clip", 0, "training.gradient_clip", "must be a number greater than 0, or null"),
        ("training.count_weight", 3, "training.count_weight", "(=3.0) changes nothing with model.head (='classes')"),
        ("attribution.model_std", True, "attribution.model_std", "needs several models that can differ"),
        ("attribution.each_fold", True, "attribution.each_fold", "needs folds; take regions.folds"),
        ("signal.window", 500, "signal.window", "(=500) must be at most the shortest length (=200)"),
        ("signal.window", 100, "signal.window", "changes nothing, as no target has a signal"),
        ("signal.missing", None, "signal.missing", "must be one of zero, mask"),
        ("regions.top_fraction", 0, "regions.top_fraction", "(=0.0) must be greater than 0"),
        ("regions.ratio", float("nan"), "regions.ratio", "(=nan) must be a number"),
        ("regions.merge_distance", 100, "regions.merge_distance", "must be smaller than half the shortest length"),
        ("model.type", "baset", "model.type", "for your own class; did you mean basset?"),
        ("model.filter", [3], "model.filter", "did you mean `filters`?"),
        ("model.kernel", 5, "model.kernel", "did you mean `kernels`?"),
        ("model", {"type": "dilated", "kernels": [3]}, "model.kernels", "did you mean `kernel`?"),
        ("model.filters", [32, 32], "model.filters", "filters has 2, kernels has 1, pools has 1"),
        ("model.filters", [0], "model.filters[0]", "(=0) must be at least 1"),
        ("training.epochs", "many", "training.epochs", "(='many') must be a whole number"),
        ("training.epochs", "30", "training.epochs", "write it as 30, without quotes"),
        ("training.epochs", None, "training.epochs", "is empty, must be a whole number"),
        ("training.epochs", True, "training.epochs", "(=True) must be a whole number"),
        ("training.learning_rate", "1e-3", "training.learning_rate", "write it as 0.001, without quotes"),
        ("training.reverse_complement", 1, "training.reverse_complement", "must be true or false"),
        ("training", None, "training", "is empty, must be a section with keys of its own"),
        ("attribution.methods", ["deeplft"], "attribution.methods[0]", "did you mean deeplift?"),
        ("attribution.methods", [], "attribution.methods", "must not be empty"),
        ("attribution.deeplift.steps", 9, "attribution.deeplift.steps", "`attribution.interior_gradients.steps`"),
        ("motifs.database", "jaspar:fish", "motifs.database", "must be jaspar: with one of vertebrates"),
        ("motifs.database", "none.meme", "motifs.database", "there is no file none.meme"),
        ("motifs.max_seqlets", 100, "motifs.max_seqlets", "(=100) must be more than tfmodisco.min_metacluster"),
        (
            "motifs.tfmodisco",
            {"min_passing_windows_frac": 0.5},
            "motifs.tfmodisco.max_passing_windows_frac",
            "(=0.2) must be at least min_passing_windows_frac (=0.5)",
        ),
        (
            "motifs.tfmodisco",
            {"final_min_cluster_size": 101},
            "motifs.tfmodisco.min_metacluster_size",
            "(=100) must be at least final_min_cluster_size (=101)",
        ),
        ("logos.colours", "color-blind", "logos.colours", "did you mean colour-blind?"),
        ("simulate.sequences", 10, "simulate.sequences", "(=10) must be at least 40"),
        (7, 7, "7", "is a key that is not text"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(config, path, value, where, words):
    config = put(config, path, value) if isinstance(path, str) else {**config, path: value}
    assert words in mistakes(config)[where]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("deeplift.n_references", 0, "(=0) must be a whole number of at least 1, or auto"),
        ("deeplift.n_references", "20", "(='20') must be a whole number"),
        ("deeplift.max_relative_error", 2, "(=2.0) must be at most 1"),
        ("deeplift.max_references", 1, "(=1) must be at least 2"),
        ("deeplift.rule", "reveal_cancel", "one of rescale, reveal-cancel, genomics; did you mean reveal-cancel?"),
        ("deeplift.references", "klet:7", "(='klet:7') must be dinucleotide, mononucleotide, klet:<1 to 6>, genomic"),
        ("deeplift.references", "background:0.3,0.3,0.3,0.3", "must be four shares, of A, C, G and T, that sum to 1"),
        ("deeplift.references", "background:1,..,0,0", "that sum to 1"),
        ("deeplift.references", "genomic:2", "from 0 to 1"),
        ("deeplift.references", "fasta:none.fa", "(='none.fa') is missing: there is no file none.fa"),
        ("deeplift.center_first_layer", True, "(=True) changes nothing with dinucleotide as references"),
        ("interior_gradients.n_references", "auto", "(='auto') needs references that are drawn at random, but uniform"),
        ("interior_gradients.steps", 1.5, "(=1.5) must be a whole number"),
        ("interior_gradients.max_steps", 8, "at least 16"),
        ("interior_gradients.gradient_correction", True, "(=True) changes nothing with uniform as references"),
        (
            "max_regions",
            10**9,
            "(=1000000000) makes 50000 jobs of attribution.shard_size (=20000); must be at most 1000",
        ),
        ("shard_size", 0, "(=0) must be at least 1"),
        ("mutagenesis.max_regions", -1, "(=-1) must be at least 0"),
        ("mutagenesis.references", "zeros", "`attribution.deeplift.references` or `attribution.interior_gradients"),
    ],
)
def test_each_mistake_in_the_settings_of_the_methods_is_named(config, key, value, words):
    key = f"attribution.{key}"
    assert words in mistakes(put(config, key, value))[key]


def test_references_of_a_file_are_as_many_as_there_are(config, tmp_path):
    (tmp_path / "my.fa").touch()
    config = put(config, "attribution.deeplift", {"references": f"fasta:{tmp_path / 'my.fa'}", "n_references": "auto"})
    assert "fasta:" in mistakes(config)["attribution.deeplift.n_references"]


def test_settings_of_the_methods_that_are_right(config, tmp_path):
    (tmp_path / "my refs.fa").touch()
    chosen = {
        "deeplift": {
            "n_references": "auto",
            "max_relative_error": 0.05,
            "rule": "genomics",
            "references": "genomic:0.05",
        },
        "interior_gradients": {"steps": "auto", "references": "zeros", "gradient_correction": True},
        "mutagenesis": {"max_regions": 0},
    }
    resolved = resolve_config({**config, "attribution": chosen}, SCHEMA)["attribution"]
    assert {method: {key: resolved[method][key] for key in chosen[method]} for method in chosen} == chosen
    for references in ("klet:3", "mononucleotide", "background:0.3,0.2,0.2,0.3", "genomic", "fasta:my refs.fa"):
        right = put(config, "attribution.deeplift.references", references)
        resolve_config(right, SCHEMA, directory=tmp_path)
    # A number is a whole number where the other choice is a word, too
    stated = put(config, "attribution.interior_gradients", {"steps": 50.0, "n_references": 1.0})
    assert repr(resolve_config(stated, SCHEMA)) == repr(resolve_config(config, SCHEMA))


def test_all_mistakes_come_together_in_the_order_of_the_file(config):
    config = put(put(config, "training.epoch", 3), "genome.fasta", "none.fa")
    config = put(put(config, "regions.top_fraction", 2), "lengths", ["x", -1])
    assert list(mistakes(config)) == [
        "genome.fasta",
        "regions.top_fraction",
        "training.epoch",
        "lengths[0]",
        "lengths[1]",
    ]


@pytest.mark.parametrize("config", [None, [], "text", {}, {"name": None, "targets": 3, "regions": [], "genome": "x"}])
def test_what_is_no_config_at_all(config):
    with pytest.raises(SeqliftError, match="config"):
        resolve_config(config, SCHEMA)


def test_files_that_another_workflow_makes_may_be_missing(config, tmp_path):
    (tmp_path / "a.bed").unlink()
    assert "there is no file" in mistakes(config)["targets[0].peaks"]
    assert resolve_config(config, SCHEMA, files_to_come=True)["targets"][0]["peaks"] == "a.bed"
    (tmp_path / "a.bed").mkdir()
    with pytest.raises(SeqliftError, match="is a folder"):
        resolve_config(config, SCHEMA, files_to_come=True)


URL = "https://example.org/x"


def test_any_file_that_the_config_names_can_be_downloaded(config, tmp_path):
    names = ["genome.fa", "a.narrowPeak", "1.bw", "2.bw", "3.bw", "4.bw", "5.bw", "weak.bed"]
    target = {"name": "a", "peaks": names[1], "signal": names[2:4], "signal_minus": names[4]}
    target |= {"control": names[5], "control_minus": [names[6]], "unlabelled": names[7]}
    files = {"exclude_regions": ["black.bed"], "include_regions": ["ok.bed.gz"], "negatives_file": "open/chromatin.bed"}
    names += ["black.bed", "ok.bed.gz", "open/chromatin.bed", "tss.bed", "genes.gff3.gz"]
    full = {
        **{**config, "data_dir": str(tmp_path / "data"), "targets": [target], "model": {"type": "dilated"}},
        "regions": {**config["regions"], **files, "negatives": "bed"},
        **{"aggregate": {"sites": {"TSS": "tss.bed"}}, "report": {"genes": "./genes.gff3.gz"}},
        "motifs": {"database": "data/my.meme"},
        "attribution": {"deeplift": {"references": "fasta:refs.fa"}},
    }
    full["model"]["head"] = "profile"
    here = ["data/my.meme", "refs.fa"]
    missing = mistakes(full)
    assert len(missing) == len(names) + len(here) and all("there is no file" in text for text in missing.values())
    full["downloads"] = {name: {"url": URL} for name in [*names, *here]}
    resolved = resolve_config(full, SCHEMA, directory=tmp_path)
    places = [*(f"{tmp_path}/data/{name}" for name in names), *here]
    assert downloads(resolved) == {place: {"url": URL, "rename_chromosomes": {}} for place in places}
    assert data_path(resolved, "./genes.gff3.gz") in places
    reordered = {**full, "downloads": dict(reversed(full["downloads"].items()))}
    assert repr(resolve_config(reordered, SCHEMA)) == repr(resolved)
    # A folder where the file would lie stays a mistake
    (tmp_path / "data" / "black.bed").mkdir(parents=True)
    assert list(mistakes(full)) == ["regions.exclude_regions[0]"]
    # And so does a file where a folder would be made
    (tmp_path / "data" / "open").touch()
    assert f"cannot be put there: {tmp_path}/data/open is a file" in mistakes(full)["regions.negatives_file"]


def test_a_table_names_files_that_can_be_downloaded(config, tmp_path):
    (tmp_path / "t.tsv").write_text("name\tpeaks\tsignal\na\tnew.bed\tsub/1.bw,sub/2.bw\n")
    config = put(config, "targets", "t.tsv")
    config["downloads"] = {name: {"url": URL} for name in ("new.bed", "sub/1.bw", "sub/2.bw")}
    places = [f"{tmp_path}/{name}" for name in config["downloads"]]
    assert list(downloads(resolve_config(config, SCHEMA))) == places
    itself = put(config, "downloads", {**config["downloads"], "t.tsv": {"url": URL}})
    assert "must be there when the config is read" in mistakes(itself)["downloads.t.tsv"]
    # Nothing is said of its files where the table is the mistake
    (tmp_path / "t.tsv").unlink()
    assert list(mistakes(config)) == ["targets"]


@pytest.mark.parametrize(
    ("name", "source", "where", "words"),
    [
        ("a.bad", {}, "", "is no file that the config names; did you mean a.bed?"),
        ("quite_another", {}, "", "is no file that the config names"),
        ("/tmp/a.bed", {}, "", "must be relative and must not lead out by ..: downloads are put into data_dir"),
        ("../a.bed", {}, "", "must be relative and must not lead out by .."),
        ("sub/../../a.bed", {}, "", "must be relative and must not lead out by .."),
        ("./genome.fa", {}, "", "is the file of downloads.genome.fa, too; keep one of them"),
        ("a.bed", {"md5": "0" * 32, "sha256": "0" * 64}, "", "has sha256 and md5; keep one checksum"),
        ("a.bed", {"md5": "0" * 32, "md5_list": URL}, "", "has md5 and md5_list; keep one checksum"),
        ("a.bed", {"sha256": "0" * 63}, ".sha256", "must be 64 hexadecimal digits"),
        ("a.bed", {"md5": "g" * 32}, ".md5", "must be 32 hexadecimal digits"),
        ("a.bed", {"sha": "0" * 64}, ".sha", "is an unknown key; did you mean `sha256`?"),
        ("a.bed", {"rename_chromosomes": {"1": "chr1"}}, ".rename_chromosomes", "let the file's name end in .narrow"),
        ("a.bed", {"url": ...}, ".url", "is missing; add it: Address of the file"),
        ("a.bed", {"url": "sacCer3.fa"}, ".url", "must be an address that starts with https://"),
        ("a.bed", {"url": "ftp://host/x"}, ".url", "must be an address that starts with https://"),
        ("a.bed", {"url": "https:///x"}, ".url", "must be an address"),
        ("a.bed", {"url": "https://host:port/x"}, ".url", "must be an address"),
        ("a.bed", {"url": "https://host/a b"}, ".url", "with %.. for spaces"),
        ("a.bed", {"url": "https://host/\u00e4"}, ".url", "with %.. for spaces"),
        ("a.bed", {"md5_list": "md5sum.txt"}, ".md5_list", "must be an address"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_download_is_named(config, name, source, where, words):
    source = {key: value for key, value in {"url": URL, **source}.items() if value is not ...}
    wrong = mistakes({**config, "downloads": {"genome.fa": {"url": URL}, name: source}})
    assert len(wrong) == 1
    assert words in wrong[f"downloads.{name}{where}"]


def test_one_name_for_two_files_cannot_be_downloaded(config, tmp_path):
    config = {**config, "aggregate": {"sites": {"x": "x.meme"}}, "motifs": {"database": "x.meme"}}
    config["downloads"] = {"x.meme": {"url": URL}}
    assert mistakes(config) == {
        "downloads.x.meme": f"names two files, {tmp_path}/x.meme and x.meme; give one of them another name"
    }
    resolved = resolve_config({**config, "data_dir": "."}, SCHEMA, files_to_come=True)
    assert list(downloads(resolved)) == ["x.meme"]


@pytest.mark.parametrize(
    "url", ["https://me:secret@host/x", "https://secret@host/x", "ftp://me:secret@host", "//a:secret@b"]
)
def test_a_password_is_refused_and_not_repeated(config, url):
    with pytest.raises(SeqliftError, match="without user name and password, which the results would show") as raised:
        resolve_config({**config, "downloads": {"a.bed": {"url": url}}}, SCHEMA)
    assert "secret" not in str(raised.value) and "//***@" in str(raised.value)


def test_what_simulate_makes_is_not_downloaded(config, tmp_path):
    (tmp_path / "simulation.json").touch()
    simulated = put(put(config, "simulate", {}), "targets.0.peaks", "TAL1.bed")
    simulated = put(simulated, "regions", {"valid": ["sim1"], "test": ["sim2"]})
    sites = {**simulated, "aggregate": {"sites": {"planted": "truth.bed", "mine": "mine.bed"}}}
    sites["downloads"] = {"mine.bed": {"url": URL}}
    resolve_config(sites, SCHEMA)
    for name in ("genome.fa", "TAL1.bed", "truth.bed"):
        wrong = mistakes({**sites, "downloads": {**sites["downloads"], name: {"url": URL}}})
        assert wrong == {f"downloads.{name}": "is made by `simulate`; delete the download, or `simulate`"}


def test_simulated_data(config, tmp_path):
    simulated = put(put(config, "simulate", {}), "targets.0.peaks", "TAL1.bed")
    simulated = put(simulated, "regions", {"valid": ["sim1"], "test": ["sim2"]})
    assert "did not make and would write over" in mistakes(simulated)["data_dir"]
    (tmp_path / "genome.fa").write_text(">sim1\nACGT\n")  # of a simulation that was killed
    resolve_config(simulated, SCHEMA)
    (tmp_path / "genome.fa").write_text("")
    (tmp_path / "simulation.json").touch()
    assert resolve_config(simulated, SCHEMA)["simulate"] == {"sequences": 8000, "seed": 1}
    wrong = mistakes(put(simulated, "targets.0.peaks", "a.bed"))["targets[0].peaks"]
    assert "must be both.bed or GATA1.bed or TAL1.bed" in wrong


def test_targets_of_a_table_are_those_of_a_list(config, tmp_path):
    for name in ("a.bw", "b1.bw", "b2.bw", "weak.bed"):
        (tmp_path / name).touch()
    (tmp_path / "my targets.tsv").write_text(
        "name\tsignal\tpeaks\tunlabelled\nb\tb1.bw,b2.bw\tb.bed\tweak.bed\n# a comment\na\ta.bw\ta.bed\t.\n"
    )
    entries = [
        {"name": "a", "peaks": "a.bed", "signal": "a.bw"},
        {"name": "b", "peaks": "b.bed", "signal": ["b1.bw", "b2.bw"], "unlabelled": "weak.bed"},
    ]
    by_list = resolve_config(put(config, "targets", entries), SCHEMA)
    by_table = resolve_config(put(config, "targets", "my targets.tsv"), SCHEMA)
    assert repr(by_table) == repr(by_list)
    assert repr(resolve_config(by_table, SCHEMA)) == repr(by_list)
    b = target_list(by_table)[1]
    assert b.signal == (f"{tmp_path}/b1.bw", f"{tmp_path}/b2.bw")
    assert (b.peaks, b.unlabelled, b.control) == (f"{tmp_path}/b.bed", f"{tmp_path}/weak.bed", ())


def test_mistakes_of_a_table_name_the_target(config, tmp_path):
    (tmp_path / "t.tsv").write_text("name\tpeaks\tsignal\nb\tb.bed\tno.bw\na\ta.bed\t.\n")
    with pytest.raises(SeqliftError) as raised:
        resolve_config(put(put(config, "targets", "t.tsv"), "training.epoch", 3), SCHEMA)
    first, *lines = str(raised.value).splitlines()
    assert first == "2 mistakes in the config:"
    assert lines[0].startswith("  - t.tsv, target 'b': signal[0] (='no.bw') is missing: there is no file")
    (tmp_path / "t.tsv").write_text("name\tpeaks\nb/c\tb.bed\n")
    assert "t.tsv:2" in mistakes(put(config, "targets", "t.tsv"))["targets"]


def test_strands_and_control_go_together(config, tmp_path):
    for name in ("1.bw", "2.bw", "3.bw"):
        (tmp_path / name).touch()
    config = put(put(config, "model", {"type": "dilated", "head": "profile"}), "lengths", [1000, 500])
    right = put(config, "targets.0.signal", "1.bw")
    assert (
        "must lie in the middle of 1000 bp; take an even" in mistakes(put(right, "signal.window", 499))["signal.window"]
    )
    stranded = {"name": "a", "peaks": "a.bed", "signal": "1.bw", "signal_minus": ["2.bw"]}
    other = {"name": "b", "peaks": "b.bed", "signal": "3.bw"}
    right = put(put(config, "targets", [stranded]), "signal.window", 500)
    assert model_outputs(resolve_config(right, SCHEMA)) == ["a.counts", "a.profile"]
    wrong = mistakes(put(config, "targets", [stranded, other]))
    assert list(wrong) == ["targets[1].signal_minus"]
    assert "is missing, but targets[0] has one" in wrong["targets[1].signal_minus"]
    shared = {"control": "1.bw", "control_minus": "2.bw"}
    both = [{**stranded, "control": "3.bw"}, {**stranded, **shared, "name": "b", "peaks": "b.bed"}]
    assert list(mistakes(put(config, "targets", both))) == ["targets[0].control_minus"]
    shuffled = put(put(config, "targets", [other]), "regions.negatives", "shuffled")
    assert "(='shuffled') have no measured signal" in mistakes(shuffled)["regions.negatives"]
    wrong = mistakes(put(config, "targets", [{**other, "control_minus": "1.bw"}]))
    assert "has control_minus but no " in wrong["targets[0]"]
    assert (
        "must not hold a comma"
        in mistakes(put(config, "targets", [{**other, "signal": "1.bw,2.bw"}]))["targets[0].signal"]
    )


def test_targets_may_share_peaks_where_their_signal_differs(config, tmp_path):
    (tmp_path / "1.bw").touch()
    (tmp_path / "2.bw").touch()
    both = [{"name": name, "peaks": "a.bed", "signal": f"{number}.bw"} for name, number in (("a", 1), ("b", 2))]
    config = put(config, "targets", both)
    assert list(mistakes(config)) == ["targets[1].peaks"]  # for classes they would be one target
    resolve_config(put(config, "model.head", "counts"), SCHEMA)
    assert list(mistakes(put(put(config, "model.head", "counts"), "targets.1.signal", ["1.bw"]))) == [
        "targets[1].peaks"
    ]


def test_parts_of_a_chromosome_in_two_splits(config):
    config = put(config, "regions", {"valid": ["chr1:1-100", "HLA-A*01:01"], "test": ["chr1:101-", "chr2"]})
    assert resolve_config(config, SCHEMA)["regions"]["test"] == ["chr1:101-", "chr2"]
    assert "overlaps" in mistakes(put(config, "regions.test", ["chr1:100-100"]))["regions.test[0]"]


def test_folds_instead_of_splits(config):
    config = put(put(config, "regions", {"folds": 5}), "attribution.model_std", True)
    config = put(config, "attribution.each_fold", True)
    resolved = resolve_config(config, SCHEMA)
    assert resolved["regions"]["folds"] == 5 and "valid" not in resolved["regions"]


def test_a_model_of_the_users_own(config, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "nets.py").write_text("raise SystemExit('no config check runs it')")
    model = {"type": "own.nets:Net", "arguments": {"widths": [3, 5], "name": None}}
    resolved = resolve_config({**config, "model": model}, SCHEMA, directory=tmp_path)
    assert resolved["model"] == {**model, "head": "classes", "both_strands": False, "replicates": 1}
    assert custom_source(resolved, tmp_path) == tmp_path / "own" / "nets.py"
    assert custom_source(resolve_config(config, SCHEMA)) is None


def test_precision_may_be_written_as_a_number(config):
    assert resolve_config(put(config, "training.precision", 32), SCHEMA)["training"]["precision"] == "32"


def test_schema_and_template_are_made_from_the_settings():
    """After a change of a setting: `python -m seqlift.config.generate`."""
    assert (ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text() == generate.schema_text()
    template = (ROOT / "configs" / "template.yaml").read_text()
    assert template == generate.template_text(template)


def test_the_schema_knows_the_models():
    shared = SCHEMA["properties"]["model"]["properties"]
    assert shared["type"]["anyOf"][0]["enum"] == list(kinds())
    parts = {part["then"]["title"]: part["then"]["properties"] for part in SCHEMA["properties"]["model"]["allOf"]}
    assert set(parts) == {*kinds(), "custom"}
    for name in kinds():
        keys = {**parts[name], **shared}
        assert {key: keys[key]["default"] for key in keys if key != "type"} == defaults(name)


def test_the_schema_is_strict_and_described():
    # The model's keys depend on its type: not the section is strict, but each type's own part
    branches = [part["then"] for part in SCHEMA["properties"]["model"]["allOf"]]
    parts = [*branches, {**SCHEMA, "description": ""}]
    while parts:
        part = parts.pop()
        if "properties" in part and "allOf" not in part:
            assert "additionalProperties" in part, part
        for key, below in part.get("properties", {}).items():
            if below is not True and "enum" not in below:
                assert len(below.get("description", "")) >= 12, key
                parts.append(below)
        parts += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), dict)]


def test_the_template_has_every_key_with_its_default():
    text = (ROOT / "configs" / "template.yaml").read_text()
    # "#key" and "#  key" are options that are switched off, "# Words" are comments
    switched_on = re.sub(r"^( *)#(?=\S|  )", r"\1", text, flags=re.MULTILINE)
    found: list[tuple[str, object]] = []

    def walk(node: yaml.Node, path: str) -> None:
        if isinstance(node, yaml.MappingNode):  # composed, not loaded: `model` is there once for each type
            for key, value in node.value:
                here = f"{path}.{key.value}".lstrip(".")
                if path == "downloads":  # whose keys are files, as FILE says in the schema
                    walk(value, "downloads.FILE")
                    continue
                found.append((here, yaml.safe_load(yaml.serialize(value))))
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item, path)

    walk(yaml.compose(switched_on), "")
    expected = schema_keys()
    assert {key for key, _ in found} == {key for key, _ in expected}
    for key, default in expected:
        if default not in (..., {}) and key != "model.type":
            assert default in [value for name, value in found if name == key], key


def test_the_template_is_a_right_config(tmp_path):
    for name in ("genome.fa.gz", "my_factor.narrowPeak"):
        (tmp_path / name).touch()
    config = yaml.safe_load((ROOT / "configs" / "template.yaml").read_text())
    resolved = resolve_config(config, SCHEMA, directory=tmp_path)
    required = {key: config[key] for key in ("name", "genome", "targets")}
    required["regions"] = {key: config["regions"][key] for key in ("valid", "test")}
    assert resolved == resolve_config(required, SCHEMA, directory=tmp_path)


@pytest.mark.parametrize("name", ["demo", "yeast", "yeast_atac"])
def test_our_own_configs(name, tmp_path):
    config = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    files = [
        path for target in config["targets"] for key in ("peaks", "signal") for path in [target.get(key, "peaks.bed")]
    ]
    (tmp_path / config["data_dir"]).mkdir(parents=True)
    for path in files:
        (tmp_path / config["data_dir"] / path).touch()
    assert resolve_config(config, SCHEMA, directory=tmp_path)["name"] == name


def test_the_examples_of_the_page_on_your_own_data(tmp_path):
    """Every config there is right once its files are there, and shows a head, a table and a model of one's own."""
    page = (ROOT / "docs" / "your_data.md").read_text()
    (table,) = re.findall(r"```tsv\n(.*?)```", page, flags=re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "my_models.py").write_text(code)
    heads = []
    for text in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL):
        config = yaml.safe_load(text)
        if "genome" not in config:  # a part, to be put into another config
            data = {"name": "x", "genome": {"fasta": "x.fa"}, "targets": [{"name": "a", "peaks": "a.bed"}]}
            config = {**data, "regions": {"folds": 3}, **config}
        folder = tmp_path / config.get("data_dir", ".")
        folder.mkdir(exist_ok=True)
        (folder / "targets.tsv").write_text(table)
        named = re.findall(r"[\w.-]+\.(?:gz|bw|fa|bed)\b", text + table + " x.fa a.bed")
        for name in named:
            (folder / name).touch()
        heads.append(resolve_config(config, SCHEMA, directory=tmp_path)["model"]["head"])
    assert heads == ["profile", "profile", "classes", "classes"]


@pytest.mark.parametrize("stage", STAGES)
def test_no_flag_overrides_the_settings_of_a_config(stage):
    """Rules give settings by --settings; a flag that declares one of them a second time would win with its default."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"seqlift.cli.{stage}").add_arguments(parser)


def test_a_setting_declared_twice_with_a_default_is_an_error():
    parser = argparse.ArgumentParser()
    parser.add_argument("--flank", default=50)
    with pytest.raises(ValueError, match="--flank"):
        add_flags(parser, AggregateSettings)
