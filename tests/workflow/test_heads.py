"""Signal instead of classes, a table of targets, folds and a custom model, through the whole workflow."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from fixtures.user import ROOT, SMALL, Checkout, changed
from seqlift.models.checkpoint import load_model
from seqlift.scores.file import open_scores

NAME = "signal"
RUN = f"results/{NAME}/200bp"
ATTRIBUTION = {
    "methods": ["deeplift"],
    "max_regions": 60,
    "deeplift": {"n_references": 4},
    "mutagenesis": {"max_regions": 4},
}


def write_signal(data: Path, name: str, motif: str, shift: int = 0) -> None:
    """Counts on the 20 bp around each planted site of a motif, and a little of them everywhere."""
    sizes = {record[0]: len("".join(record[1:])) for record in (
        text.split("\n") for text in (data / "genome.fa").read_text().split(">")[1:])}  # fmt: skip
    sites = pd.read_csv(data / "truth.bed", sep="\t", header=None, usecols=[0, 1, 2, 3])
    random = np.random.default_rng(1)
    with pyBigWig.open(str(data / name), "w") as bigwig:
        bigwig.addHeader(list(sizes.items()))
        for chrom, size in sizes.items():
            values = random.poisson(0.05, size).astype(float)
            for start, end in sites[(sites[0] == chrom) & sites[3].str.contains(motif)][[1, 2]].to_numpy():
                middle = (start + end) // 2 + shift
                values[middle - 10 : middle + 10] += random.poisson(3, 20)
            bigwig.addEntries(chrom, 0, values=values, span=1, step=1)


def without_simulation(config: dict) -> dict:
    return {key: value for key, value in changed(config, name=NAME).items() if key != "simulate"}


def add_signal(checkout: Checkout) -> None:
    for strand, shift in (("plus", -5), ("minus", 5)):
        for motif in ("TAL1", "GATA1"):
            write_signal(checkout.folder / "my data", f"{motif} {strand}.bw", motif, shift)
        write_signal(checkout.folder / "my data", f"control.{strand}.bw", "no such motif")


HEADER = "name\tpeaks\tsignal\tsignal_minus\tcontrol\tcontrol_minus\n"


def line(name: str) -> str:
    files = (f"{name}.bed", f"{name} plus.bw", f"{name} minus.bw", "control.plus.bw", "control.minus.bw")
    return "\t".join((name, *files)) + "\n"


@pytest.mark.slow
def test_profiles_of_targets_in_a_table(finished):
    """Two strands and a control: counts and profile are explained each by itself; one more line is one more target."""
    add_signal(finished)
    table = finished.folder / "my data" / "my targets.tsv"
    table.write_text(HEADER + line("TAL1"))
    config = changed(
        without_simulation(SMALL),
        targets="my targets.tsv",
        signal={"window": 100},
        training={"epochs": 3, "batch_size": 32, "jitter": 10},
        attribution=ATTRIBUTION,
    )
    config["model"] = {"type": "dilated", "head": "profile", "filters": 8, "layers": 2, "profile_kernel": 25}
    finished.write(config)
    run = finished.snakemake("--cores", "2")
    assert run.status == 0, run.screen
    assert "Traceback" not in run.screen
    once = ["write_config", "write_targets", "make_regions", "train_model", "evaluate_model", "write_report"]
    once += ["write_session", "build_compendium", "draw_compendium", "find_grammar", "judge_explanations"]
    each = ["attribute_bases", "mutate_bases", "write_track", "write_error_track"]
    each += ["find_motifs", "draw_logos", "call_hits"]
    assert run.jobs == {**dict.fromkeys(once, 1), **dict.fromkeys(each, 2), "predict_track": 1}
    folder = finished.folder / RUN
    for output in ("TAL1.counts", "TAL1.profile"):
        with open_scores(folder / "scores" / f"{output}.deeplift.h5") as scores:
            assert np.abs(scores.contributions[:]).sum() > 0
        assert (folder / "tracks" / f"{output}.deeplift.bw").is_file()
        assert (folder / "motifs" / "deeplift" / output / "motifs.json").is_file()
    for strand in ("", ".minus"):
        assert (folder / "tracks" / f"TAL1.predicted{strand}.bw").is_file()
    assert (folder / "model" / "profiles.tsv.gz").is_file()
    regions = pd.read_csv(folder / "regions.tsv.gz", sep="\t")
    assert regions["signal:TAL1"].max() > 50
    model = load_model(folder / "model" / "model.ckpt")
    assert (model.shape.strands, model.shape.window, model.shape.control_channels) == (2, 100, 2)

    again = finished.snakemake("--cores", "2")
    assert "Nothing to be done" in again.screen

    table.write_text(HEADER + line("GATA1") + "# a comment\n" + line("TAL1"))
    run = finished.snakemake("-n")
    assert run.jobs == {**dict.fromkeys(once, 1), **dict.fromkeys(each, 4), "predict_track": 2}

    # A changed bigWig makes the regions again
    table.write_text(HEADER + line("TAL1"))
    write_signal(finished.folder / "my data", "TAL1 plus.bw", "TAL1")
    run = finished.snakemake("-n")
    assert run.jobs["make_regions"] == run.jobs["train_model"] == 1


@pytest.mark.slow
def test_folds_of_a_model_of_ones_own(finished):
    """The example of docs/your_data.md predicts counts, one model for each of three folds; scores are of their mean."""
    add_signal(finished)
    page = (ROOT / "docs" / "your_data.md").read_text()
    code = finished.folder / "my_models.py"
    code.write_text(re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)[1])
    config = changed(
        without_simulation(SMALL),
        targets=[{"name": "TAL1", "peaks": "TAL1.bed", "signal": ["TAL1 plus.bw", "TAL1 minus.bw"]}],
        training={"epochs": 3, "batch_size": 32},
        attribution={**ATTRIBUTION, "model_std": True, "each_fold": True, "mutagenesis": {"max_regions": 0}},
    )
    config["regions"] = {"folds": 3}
    config["model"] = {"type": "my_models:TwoScales", "head": "counts", "arguments": {"filters": 8}}
    finished.write(config)
    run = finished.snakemake("--cores", "2")
    assert run.status == 0, run.screen
    assert "Traceback" not in run.screen
    assert run.jobs["train_model"] == 3 and run.jobs["evaluate_model"] == 1
    # The mean and each fold by itself: scores, motifs and hits, which the compendium brings together
    assert {run.jobs[name] for name in ("attribute_bases", "find_motifs", "draw_logos", "call_hits")} == {4}
    assert run.jobs["build_compendium"] == run.jobs["write_track"] == 1
    folder = finished.folder / RUN
    models = [load_model_in(finished, folder / "model" / f"fold{fold}" / "model.ckpt") for fold in range(3)]
    assert [fold for fold, _ in models] == [0, 1, 2]
    assert len({fingerprint for _, fingerprint in models}) == 3
    assert not (folder / "model" / "model.ckpt").exists()
    predictions = pd.read_csv(folder / "model" / "predictions.tsv.gz", sep="\t")
    assert predictions["model"].nunique() == 3
    with open_scores(folder / "scores" / "TAL1.deeplift.h5") as scores:
        assert scores.model_spread[:].max() > 0
    assert "TAL1" in json.loads((folder / "model" / "metrics.json").read_text())["targets"]
    assert "gainst mutagenesis" not in (folder / "report.html").read_text()  # there is none here

    for fold in range(3):
        with open_scores(folder / "scores" / f"fold{fold}" / "TAL1.deeplift.h5") as scores:
            assert scores.attributes["fold"] == fold and scores.model_spread is None
        motifs = json.loads((folder / "motifs" / f"fold{fold}" / "deeplift" / "TAL1" / "motifs.json").read_text())
        assert motifs["fold"] == fold
    again = finished.snakemake("--cores", "2")
    assert "Nothing to be done" in again.screen

    finished.write(changed(config, attribution={**config["attribution"], "model_std": False}))
    jobs = finished.snakemake("-n").jobs
    assert jobs["attribute_bases"] == 1 and "train_model" not in jobs and "evaluate_model" not in jobs

    finished.write(config)
    code.write_text(code.read_text().replace("nn.ReLU()", "nn.GELU()"))
    jobs = finished.snakemake("-n").jobs
    assert jobs["train_model"] == 3 and "make_regions" not in jobs


def load_model_in(checkout: Checkout, path: Path) -> tuple[int, str]:
    """Fold and fingerprint of a model whose class lives in the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout.folder)
        model = load_model(path)
    return model.training["fold"], model.fingerprint
