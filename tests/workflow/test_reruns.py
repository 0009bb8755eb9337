"""What a change of the config runs: only what is new or different, and what joins it with the rest."""

import shutil

import pytest
import yaml
from test_workflow import MOTIF_STAGES, RUN, STAGES

from fixtures.user import SMALL, changed

pytestmark = pytest.mark.slow

JOINED = {"build_compendium": 1, "draw_compendium": 1, "find_grammar": 1}
TOLD = {"write_config": 1, "write_report": 1}
# What all methods have part in
JOINING = {**JOINED, **TOLD, "judge_explanations": 1, "compare_with_truth": 1, "write_session": 1}


def test_every_default_that_is_stated_reruns_nothing(finished):
    """The config that a run writes down has every key; given as the config of the next run, nothing is to be done."""
    shutil.copy(finished.folder / "results" / "small" / "config.yaml", finished.folder / "all keys.yaml")
    stated = yaml.safe_load((finished.folder / "all keys.yaml").read_text())
    assert len(stated["motifs"]["tfmodisco"]) > 8 and len(stated["training"]) > 12
    run = finished.snakemake("-n", config="all keys.yaml")
    assert "Nothing to be done" in run.screen, run.screen


def test_another_machine_reruns_nothing(finished):
    """Cores, GPUs, memory and time are not settings of a run."""
    more = [f"train_model:{what}" for what in ("gpu=4", "mem_mb=64000", "runtime=10")]
    run = finished.snakemake("-n", "--cores", "7", "--resources", "gpu=4", "--set-resources", *more)
    assert "Nothing to be done" in run.screen, run.screen
    run = finished.snakemake("-n", "--set-threads", "train_model=7", "attribute_bases=3")
    assert "Nothing to be done" in run.screen, run.screen


@pytest.mark.parametrize(
    ("name", "rule"),
    [("model/model.ckpt", "train_model"), ("regions.tsv.gz", "make_regions")],
    ids=["model", "regions"],
)
def test_what_a_run_is_for_is_made_again_where_it_is_missing(finished, name, rule):
    """A job that failed when it was done again has lost what it had made before."""
    (finished.folder / RUN / name).unlink()
    run = finished.snakemake("-n")
    assert run.status == 0 and run.jobs[rule] == 1, run.screen
    assert "write_config" not in run.jobs and "simulate_data" not in run.jobs


@pytest.mark.parametrize(
    ("changes", "rerun"),
    [
        ({"aggregate": {"sites": {"peaks": "TAL1.bed"}}}, {"aggregate_sites": 2, **TOLD}),
        (
            {"hits": {"min_similarity": 0.8}},
            {"call_hits": 2, **JOINED, **TOLD, "compare_with_truth": 1, "write_session": 1},
        ),
        ({"tracks": {"difference": True}}, {"write_difference_track": 1, "write_session": 1, **TOLD}),
        ({"report": {"examples": 1, "genes": "TAL1.bed"}}, {"write_session": 1, **TOLD}),
        ({"faithfulness": {"seed": 2}}, {"judge_explanations": 1, **TOLD}),
        ({"compendium": {"similarity": 0.8}}, {**JOINED, **TOLD}),
        ({"grammar": {"max_spacing": 100}}, {"find_grammar": 1, **TOLD}),
        (  # another run in a folder of its own, from the data that are there
            {"name": "second"},
            {name: count for name, count in STAGES.items() if name != "simulate_data"},
        ),
        (  # likewise for a length; the other one's report shows the whole config
            {"lengths": [200, 300]},
            {
                **{name: count for name, count in STAGES.items() if name not in ("simulate_data", "write_targets")},
                "write_report": 2,
            },
        ),
        (  # one model learns all targets together
            {"targets": [*SMALL["targets"], {"name": "GATA1", "peaks": "GATA1.bed"}]},
            {
                **{name: count for name, count in STAGES.items() if name != "simulate_data"},
                **dict.fromkeys(("attribute_bases", "write_track", "find_motifs", "draw_logos", "call_hits"), 4),
                **dict.fromkeys(("mutate_bases", "write_error_track"), 2),
            },
        ),
    ],
    ids=["sites", "hits", "difference", "genes", "faithfulness", "compendium", "grammar", "name", "length", "target"],
)
def test_what_is_added_or_changed_runs_and_nothing_else(finished, changes, rerun):
    finished.write(changed(SMALL, **changes))
    run = finished.snakemake("-n")
    assert run.status == 0, run.screen
    assert run.jobs == rerun


def test_a_method_taken_out_and_added_runs_its_own_stages_and_what_joins_them(finished):
    one = changed(SMALL, attribution={"methods": ["deeplift"]})
    finished.write(one)
    run = finished.snakemake("-n")
    assert run.jobs == JOINING

    # As if those jobs had run: a run that never had the other method
    assert finished.snakemake("--touch", "--cores", "1").status == 0
    for path in finished.folder.joinpath(RUN).rglob("*interior_gradients*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    run = finished.snakemake("-n")
    assert "Nothing to be done" in run.screen, run.screen

    finished.write(SMALL)
    run = finished.snakemake("-n")
    assert run.status == 0, run.screen
    own = dict.fromkeys(("attribute_bases", "write_track", "find_motifs", "draw_logos", "call_hits"), 1)
    assert run.jobs == {**own, **JOINING}
    assert MOTIF_STAGES.keys() <= run.jobs.keys()


def test_only_scores_of_the_changed_method_are_made_anew(finished):
    finished.write(
        changed(SMALL, attribution={**SMALL["attribution"], "interior_gradients": {"steps": 9, "tolerance": 2.0}})
    )
    run = finished.snakemake("-n", "-p")
    commands = [line for line in run.screen.splitlines() if "seqlift attribute" in line]
    assert len(commands) == 1 and "--method interior_gradients" in commands[0], run.screen
    assert not {"train_model", "evaluate_model", "mutate_bases", "write_error_track"} & run.jobs.keys()
