"""Folds and seeds as wildcards: a model of each by a job of its own, and what is made of all of them together."""

import json

import pytest

from fixtures.user import SMALL, changed
from seqlift.models.checkpoint import load_model
from seqlift.scores.file import open_scores

RUN = "results/small/200bp"
FOLDS = {"folds": 3, "background": 50}
# Tiny networks and few regions: what is tried here is which job gets which models
TINY = changed(
    SMALL,
    simulate={"sequences": 200},
    regions=FOLDS,
    training={"epochs": 1, "restarts": 0, "seed": [2, 1]},
    attribution={
        **{"methods": ["deeplift"], "max_regions": 10, "each_fold": True, "model_std": True},
        "mutagenesis": {"max_regions": 0},
    },
)
for key in ("valid", "test"):
    del TINY["regions"][key]


def planned(checkout, config, *flags):
    checkout.write(config)
    run = checkout.snakemake("-n", "--printshellcmds", *flags)
    assert run.status == 0, run.screen
    return run


def test_folds_times_seeds_are_jobs(checkout):
    run = planned(checkout, TINY)
    assert (run.jobs["train_model"], run.jobs["evaluate_model"], run.jobs["attribute_bases"]) == (6, 1, 4)
    for fold in range(3):
        for seed in (1, 2):
            model = f"{RUN}/model/fold{fold}/seed{seed}"
            trained = [line for line in run.screen.splitlines() if "seqlift train" in line and f"{model} " in line]
            assert len(trained) == 1 and f'"seed": {seed},' in trained[0] and f"--fold {fold} " in trained[0]
    explained = [line for line in run.screen.splitlines() if "seqlift attribute" in line]
    assert sorted(line.count("model.ckpt") for line in explained) == [2, 2, 2, 6]


def test_one_seed_is_where_it_was_whether_in_a_list_or_not(checkout):
    alone = planned(checkout, changed(TINY, training={"seed": 2}))
    listed = planned(checkout, changed(TINY, training={"seed": [2]}))
    assert alone.jobs == listed.jobs and alone.jobs["train_model"] == 3
    assert f"{RUN}/model/fold0 " in listed.screen and "/seed2" not in listed.screen
    without = planned(checkout, changed(SMALL, training={"seed": [1, 2]}))
    assert without.jobs["train_model"] == 2 and f"{RUN}/model/seed1 " in without.screen


@pytest.mark.slow
def test_three_folds_and_two_seeds(checkout):
    config = changed(TINY, attribution={"each_fold": False})
    checkout.write(config)
    goals = ("--cores", "2", "--until", "attribute_bases", "evaluate_model")
    run = checkout.snakemake(*goals)
    assert run.status == 0, run.screen
    folder = checkout.folder / RUN
    models = [folder / f"model/fold{fold}/seed{seed}/model.ckpt" for fold in range(3) for seed in (1, 2)]
    trained = [load_model(path) for path in models]
    assert [(each.training["fold"], each.training["seed"]) for each in trained] == [
        (fold, seed) for fold in range(3) for seed in (1, 2)
    ]
    assert len({each.fingerprint for each in trained}) == 6
    metrics = json.loads((folder / "model/metrics.json").read_text())
    assert [each["fingerprint"] for each in metrics["models"]] == [each.fingerprint for each in trained]
    with open_scores(folder / "scores/TAL1.deeplift.h5") as scores:
        assert scores.attributes["models"] == 6 and scores.model_spread.shape[1] == 200

    # Another seed trains the models of that seed, and no other
    more = planned(checkout, changed(config, training={"seed": [3, 2, 1]}), *goals[2:])
    assert more.jobs == {"train_model": 3, "evaluate_model": 1, "attribute_bases": 1}
