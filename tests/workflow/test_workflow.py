"""`snakemake` run as a user runs it: from nothing to a report, again, after a change, and after Ctrl-C."""

import json
import time
import zipfile

import pytest
import yaml

from fixtures.user import SMALL, changed, press_ctrl_c
from seqlift.scores.file import open_scores

RUN = "results/small/200bp"
MOTIF_STAGES = {
    "draw_logos": 2,
    "call_hits": 2,
    "build_compendium": 1,
    "draw_compendium": 1,
    "find_grammar": 1,
}
STAGES = {
    "simulate_data": 1,
    "write_config": 1,
    "write_targets": 1,
    "make_regions": 1,
    "train_model": 1,
    "evaluate_model": 1,
    "attribute_bases": 2,
    "mutate_bases": 1,
    "write_track": 2,
    "write_error_track": 1,
    "write_session": 1,
    "find_motifs": 2,
    **MOTIF_STAGES,
    "judge_explanations": 1,
    "compare_with_truth": 1,
    "write_report": 1,
}

BEFORE_TRAINING = ("simulate_data", "write_targets", "make_regions")


def test_dry_run_of_a_fresh_copy_is_the_demo(checkout):
    before = checkout.files()
    run = checkout.snakemake("-n", config=None)
    assert run.status == 0, run.screen
    each = ("attribute_bases", "write_track", "find_motifs", "draw_logos", "call_hits", "aggregate_sites")
    assert run.jobs == {**STAGES, **dict.fromkeys(each, 6), "mutate_bases": 3, "write_error_track": 3}
    assert checkout.files() == before


def test_a_config_is_not_mixed_with_the_demo(checkout):
    assert checkout.snakemake("-n").jobs == STAGES  # one target, not the demo's three


@pytest.mark.slow
def test_from_nothing_to_the_report(finished_once):
    checkout, run = finished_once
    assert run.status == 0, run.screen
    assert run.jobs == STAGES
    assert "Traceback" not in run.screen
    folder = checkout.folder / RUN
    made = ["regions.tsv.gz", "regions.json", "truth.json", "report.html", "provenance.json"]
    made += [f"model/{name}" for name in ("model.ckpt", "history.tsv", "metrics.json", "predictions.tsv.gz")]
    for method in ("deeplift", "interior_gradients"):
        made += [f"scores/TAL1.{method}.h5", f"tracks/TAL1.{method}.bw", f"tracks/TAL1.{method}.bw.json"]
        files = ["modisco.h5", "patterns.meme", "patterns_negative.meme", "patterns.tsv", "motifs.json"]
        files += ["seqlets.bed.gz", "hits.bed.gz", "hits.json", "logos/logos.json", "logos/overview.svg"]
        made += [f"motifs/{method}/TAL1/{name}" for name in files]
    made += ["scores/TAL1.mutagenesis.h5", "tracks/TAL1.deeplift.standard_error.bw", "tracks/igv_session.xml"]
    made += [f"motifs/compendium/{name}" for name in ("compendium.tsv", "members.tsv", "grammar.tsv", "grammar.svg")]
    made += [f"faithfulness/{name}" for name in ("faithfulness.tsv", "curves.tsv", "faithfulness.svg")]
    assert [name for name in made if not (folder / name).is_file()] == []
    # Nothing is left beside the data that `simulate` promises, and no half-written file anywhere
    data = {path.name for path in (checkout.folder / "my data").iterdir()}
    assert data == {"genome.fa", "both.bed", "GATA1.bed", "TAL1.bed", "truth.bed", "motifs.meme", "simulation.json"}
    assert [name for name in checkout.files() if "/." in name] == []
    # Progress of the long stages was on the screen and is in the log
    log = (folder / "logs" / "train_model.log").read_text()
    assert "epoch 4/4" in log and "epoch 4/4" in run.screen
    # The config is there with its defaults
    resolved = yaml.safe_load((checkout.folder / "results/small/config.yaml").read_text())
    assert resolved["training"]["weight_decay"] == 0.1
    assert json.loads((folder / "model" / "metrics.json").read_text())["targets"]


@pytest.mark.slow
def test_nothing_to_be_done_the_second_time(finished):
    before = finished.files()
    run = finished.snakemake("--cores", "2")
    assert run.status == 0, run.screen
    assert "Nothing to be done" in run.screen
    assert finished.files() == before


@pytest.mark.slow
def test_on_one_core_the_network_is_the_same(finished):
    """All other stages have one thread anyway."""
    names = [f"{RUN}/model/{name}" for name in ("model.ckpt", "metrics.json", "predictions.tsv.gz")]
    before = [(finished.folder / name).read_bytes() for name in names]
    run = finished.snakemake("--cores", "1", "--forcerun", "train_model", "--until", "evaluate_model")
    assert run.status == 0 and run.jobs == {"train_model": 1, "evaluate_model": 1}, run.screen
    assert [(finished.folder / name).read_bytes() for name in names] == before


@pytest.mark.slow
def test_snakemakes_own_report_holds_the_figures(finished):
    run = finished.snakemake("--report", "all figures.zip")
    assert run.status == 0, run.screen
    with zipfile.ZipFile(finished.folder / "all figures.zip") as packed:
        names = [name.rsplit("/", 1)[1] for name in packed.namelist()]
        page = packed.read(next(name for name in packed.namelist() if name.count("/") == 1)).decode()
    once = ("metrics.json", "compendium.tsv", "grammar.svg", "faithfulness.svg", "faithfulness.tsv")
    assert [names.count(name) for name in once] == [1] * len(once)
    assert names.count("overview.svg") == 3 and names.count("patterns.tsv") == names.count("hits.json") == 2
    assert names.count("report.html") == 2  # Snakemake's and ours
    assert all(word in page for word in ("Grammar", "Compendium", "Faithfulness", "TAL1"))


@pytest.mark.slow
def test_a_default_that_is_stated_and_another_order_rerun_nothing(finished):
    stated = changed(SMALL, tracks={"overlap": "nearest-summit"}, lengths=[200.0])
    stated = changed(stated, regions={"top_fraction": 1}, attribution={"methods": ["interior_gradients", "deeplift"]})
    finished.write(dict(reversed(stated.items())))
    run = finished.snakemake("-n")
    assert "Nothing to be done" in run.screen, run.screen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "rerun"),
    [
        ({"report": {"examples": 2}}, {"write_config": 1, "mutate_bases": 1, "write_report": 1}),
        (
            {"motifs": {"threshold": 0.5}},
            {
                **{"write_config": 1, "find_motifs": 2, "compare_with_truth": 1, "write_session": 1, "write_report": 1},
                **MOTIF_STAGES,
            },
        ),
        (
            {"logos": {"colours": "colour-blind"}},
            {"write_config": 1, "draw_logos": 2, "draw_compendium": 1, "write_report": 1},
        ),
        (
            {"tracks": {"overlap": "mean"}},
            {"write_config": 1, "write_track": 2, "write_error_track": 1, "write_session": 1, "write_report": 1},
        ),
        (
            {"attribution": {**SMALL["attribution"], "deeplift": {"n_references": 5}}},
            {
                name: 1
                for name in STAGES
                if name not in (*BEFORE_TRAINING, "train_model", "evaluate_model", "mutate_bases")
            },
        ),
        (  # has no meaning without `auto`
            {"attribution": {**SMALL["attribution"], "deeplift": {"n_references": 4, "max_relative_error": 0.5}}},
            {"write_config": 1, "write_report": 1},
        ),
        (
            {"attribution": {"mutagenesis": {"max_regions": 5}}},
            {"write_config": 1, "mutate_bases": 1, "write_report": 1},
        ),
        ({"attribution": {"mutagenesis": {"max_regions": 0}}}, {"write_config": 1, "write_report": 1}),
        (
            {"training": {"patience": 6}},
            {name: count for name, count in STAGES.items() if name not in BEFORE_TRAINING},
        ),
        (
            {"signal": {"missing": "mask"}},
            {"write_config": 1, "write_report": 1},
        ),
        (
            {"regions": {"seed": 2}},
            {name: count for name, count in STAGES.items() if name not in ("simulate_data", "write_targets")},
        ),
        ({"simulate": {"seed": 2}}, {name: count for name, count in STAGES.items() if name != "write_targets"}),
    ],
    ids=[
        *("report", "motifs", "logos", "tracks", "attribution", "limit of auto", "mutagenesis", "no mutagenesis"),
        *("training", "signal that is not there", "regions", "simulate"),
    ],
)
def test_a_change_reruns_only_what_it_must(finished, changes, rerun):
    finished.write(changed(SMALL, **changes))
    run = finished.snakemake("-n")
    assert run.status == 0, run.screen
    assert run.jobs == rerun


@pytest.mark.slow
def test_other_settings_of_the_methods(finished):
    """Each kind of setting reaches its method."""
    references = finished.folder / "my references.fa"
    references.write_text("".join(f">{base}\n{base * 200}\n" for base in "ACGT"))
    settings = {
        "deeplift": {"n_references": "auto", "max_relative_error": 0.3, "max_references": 30, "rule": "genomics"},
        "interior_gradients": {
            **{"references": "fasta:my references.fa", "n_references": 4, "center_first_layer": True},
            **{"steps": "auto", "step_tolerance": 0.05, "max_steps": 64, "tolerance": 2.0},
        },
        "mutagenesis": {"max_regions": 0},
    }
    finished.write(changed(SMALL, attribution=settings))
    assert "mutate_bases" not in finished.snakemake("-n").jobs
    run = finished.snakemake("--cores", "2", "--until", "attribute_bases")
    assert run.status == 0, run.screen
    assert run.jobs == {"attribute_bases": 2}
    with open_scores(finished.folder / RUN / "scores" / "TAL1.deeplift.h5") as scores:
        assert scores.attributes["rule"] == "genomics" and scores.attributes["n_references"] == "auto"
        assert 10 <= scores.n_references[:].min() <= scores.n_references[:].max() <= 30
    with open_scores(finished.folder / RUN / "scores" / "TAL1.interior_gradients.h5") as scores:
        assert scores.attributes["references"] == "fasta:my references.fa" and scores.attributes["center_first_layer"]
        assert scores.delta.shape[1] == 4 and 16 <= scores.interior["steps"][:].max() <= 64

    # The user's own references are an input
    references.write_text(references.read_text().lower())
    run = finished.snakemake("-n")
    assert run.jobs["attribute_bases"] == 1 and "Nothing" not in run.screen


@pytest.mark.slow
def test_a_result_that_was_deleted_is_made_again(finished):
    (finished.folder / RUN / "tracks" / "TAL1.deeplift.bw").unlink()
    run = finished.snakemake("--cores", "2", "--until", "write_track")
    assert run.status == 0, run.screen
    assert (finished.folder / RUN / "tracks" / "TAL1.deeplift.bw").exists()
    assert "write_track" in run.jobs and "attribute_bases" not in run.jobs


@pytest.mark.extended
@pytest.mark.slow
def test_ctrl_c_while_training_and_again(finished):
    """Snakemake is stopped in the middle of training; started again, training goes on where it was."""
    finished.write(changed(SMALL, training={"epochs": 400, "patience": 400, "batch_size": 32}))
    model = finished.folder / RUN / "model"
    process = finished.start("--cores", "2", "--until", "train_model")
    deadline = time.monotonic() + 120
    while not (model / ".resume.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.1)
    screen = press_ctrl_c(process)
    assert process.returncode != 0
    assert "Traceback" not in screen
    older = {"metrics.json", "predictions.tsv.gz"}  # of the stage after it
    assert {path.name for path in model.iterdir()} <= {".resume.ckpt"} | older

    # Fewer epochs would be another training, so it is stopped again once it has gone on
    process = finished.start("--cores", "2", "--until", "train_model")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "resuming after epoch" in line:
            break
    screen = "".join(lines) + press_ctrl_c(process)
    assert "resuming after epoch" in screen
    assert "IncompleteFilesException" not in screen


@pytest.mark.slow
def test_regions_of_the_real_yeast_data(checkout, yeast):
    """The held-out chromosomes hold peaks of both targets, and the folder with the data is only read."""
    before = {path.name: path.stat().st_mtime_ns for path in yeast.iterdir()}
    run = checkout.snakemake(
        "--cores", "2", "--until", "make_regions", "--config", f"data_dir={yeast}", config="configs/yeast.yaml"
    )
    assert run.status == 0, run.screen
    summary = json.loads((checkout.folder / "results/yeast/300bp/regions.json").read_text())
    for split in ("train", "valid", "test"):
        assert min(summary["kept"][split][name] for name in ("Reb1", "Abf1", "negative")) > 50
    assert {path.name: path.stat().st_mtime_ns for path in yeast.iterdir()} == before
