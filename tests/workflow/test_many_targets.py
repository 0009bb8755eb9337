"""Thousands of targets: no command grows with their number, since Linux limits its length to 131,072 bytes."""

import shutil

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import yaml

from fixtures.compendium import pattern, word, write_folder
from fixtures.evaluation import write_database
from fixtures.motif import one_hot, place, write_scores
from fixtures.user import SMALL, changed
from seqlift.data.targets import read_targets

NAMES = [f"cluster_{i}_of_an_atlas" for i in range(2000)]
RUN = "results/many/200bp"
RULES = ["write_targets", "write_config", "build_compendium", "find_grammar", "write_session"]
WRITTEN = ["results/many/targets.tsv", "results/many/config.yaml"]
WRITTEN += [f"{RUN}/{name}" for name in ("motifs/compendium/grammar.tsv", "tracks/igv_session.xml")]

pytestmark = pytest.mark.extended


@pytest.fixture
def project(checkout):
    """2,000 targets, one method, nothing that is optional."""
    config = changed(
        SMALL,
        name="many",
        targets=[{"name": name, "peaks": f"{name}.bed"} for name in NAMES],
        attribution={
            "methods": ["deeplift"],
            "deeplift": {"references": "uniform"},
            "mutagenesis": {"max_regions": 0},
        },
        faithfulness={"max_regions": 0},
        motifs={"database": "known.meme"},
    )
    config["regions"] = {"valid": ["chr2"], "test": ["chr3"]}
    del config["simulate"]
    checkout.write(config)
    data = checkout.folder / "my data"
    data.mkdir()
    (data / "genome.fa").write_text("".join(f">chr{i}\n{'ACGT' * 100}\n" for i in (1, 2, 3)))
    for name in NAMES:
        (data / f"{name}.bed").write_text("chr1\t100\t300\n")
    write_database(checkout.folder / "known.meme")
    return checkout


def write_results(run):
    """Score file, track and motif folder of each target; ten targets have a pattern with a hit."""
    sequences = one_hot(np.arange(200)[None] % 4)
    for i, name in enumerate(NAMES):
        patterns = [pattern(word("TGACTCAT"))] if i < 10 else []
        hits = [("pos_0", "region_0", 20, 28, "+", 1.0, 0)] if patterns else []
        folder = write_folder(run / "motifs/deeplift" / name, patterns, output=name, hits=hits, regions=1)
        for other in ("patterns.meme", "patterns_negative.meme", "seqlets.bed.gz"):
            (folder / other).touch()
        (run / "scores").mkdir(exist_ok=True)
        write_scores(run / f"scores/{name}.deeplift.h5", place(1, 200), sequences, 0.1 * sequences, target=name)
    (run / "tracks").mkdir()
    first, *others = (run / f"tracks/{name}.deeplift.bw" for name in NAMES)
    with pyBigWig.open(str(first), "w") as bigwig:
        bigwig.addHeader([("chr1", 400)])
        bigwig.addEntries("chr1", 0, values=[0.1] * 200, span=1, step=1)
    for track in others:
        shutil.copy(first, track)


def test_two_thousand_targets_are_planned(project):
    run = project.snakemake("-n", "--quiet", "rules")
    assert run.status == 0, run.screen[-3000:]
    assert {run.jobs[rule] for rule in ("attribute_bases", "find_motifs", "write_track")} == {len(NAMES)}


def test_rules_of_all_targets_run_with_two_thousand(project):
    write_results(project.folder / RUN)
    # Snakemake takes what other rules would make for files that are there
    run = project.snakemake("--cores", "1", *WRITTEN, "--allowed-rules", *RULES)
    assert run.status == 0, run.screen[-3000:]
    assert run.jobs == dict.fromkeys(RULES, 1)
    config = yaml.safe_load((project.folder / "results/many/config.yaml").read_text())
    assert [target["name"] for target in config["targets"]] == sorted(NAMES)
    targets = read_targets(project.folder / "results/many/targets.tsv", data_dir=project.folder)
    assert [target.name for target in targets] == sorted(NAMES)
    members = pd.read_csv(project.folder / RUN / "motifs/compendium/members.tsv", sep="\t")
    assert len(members) == 10
    assert (project.folder / RUN / "tracks/igv_session.xml").read_text().count("hits.bed.gz") >= len(NAMES)
