"""Models of several seeds: of each fold and seed one, whose mean is judged, explained and shown."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fixtures import evaluation as fixture
from fixtures.report import build_run
from fixtures.stages import attribute as attribute_regions
from seqlift.config import resolve_config, seed_list
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.evaluation.evaluate import evaluate_models
from seqlift.report import write_report
from seqlift.report.read.run import load_run
from seqlift.scores.file import open_scores
from seqlift.training.train import attempt_seed

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text())
SEEDS = (2, 7)


def resolved(folder, seed, **attribution):
    (folder / "genome.fa").touch()
    (folder / "peaks.bed").touch()
    config = {
        "name": "x",
        "genome": {"fasta": "genome.fa"},
        "targets": [{"name": "one", "peaks": "peaks.bed"}],
        "regions": {"valid": ["chr1"], "test": ["chr2"]},
        "training": {"seed": seed},
        "attribution": attribution,
    }
    return resolve_config(config, SCHEMA, directory=folder)


# --- config -----------------------------------------------------------------------------------------------------------


def test_a_list_of_one_is_the_number_and_the_order_means_nothing(tmp_path):
    assert resolved(tmp_path, [4]) == resolved(tmp_path, 4) == resolved(tmp_path, 4.0)
    assert resolved(tmp_path, [3, 1.0, 2]) == resolved(tmp_path, [1, 2, 3])
    assert seed_list(resolved(tmp_path, 4)) == [4] and seed_list(resolved(tmp_path, [3, 1.0, 2])) == [1, 2, 3]
    assert json.dumps(resolved(tmp_path, [2.0, 1])["training"]["seed"]) == "[1, 2]"


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        ([1, 2, 1], r"training\.seed \(=\[1, 2, 1\]\) has a seed twice; delete one"),
        ([], r"training\.seed \(=\[\]\) must be a whole number from 0 to 4294967295, or a list of such numbers"),
        ([1, -1], r"training\.seed \(=\[1, -1\]\) must be a whole number"),
        (2**32, r"training\.seed \(=4294967296\) must be a whole number from 0 to 4294967295"),
        ("1", r"training\.seed \(='1'\) must be a whole number"),
        (None, r"training\.seed is empty, must be a whole number"),
    ],
)
def test_seeds_that_cannot_be(tmp_path, seed, said):
    with pytest.raises(SeqliftError, match=said) as error:
        resolved(tmp_path, seed)
    assert "1 mistake in" in str(error.value)


def test_several_seeds_can_differ(tmp_path):
    assert resolved(tmp_path, [1, 2], model_std=True)["attribution"]["model_std"]
    with pytest.raises(SeqliftError, match=r"attribution\.model_std .* several training\.seed"):
        resolved(tmp_path, [1], model_std=True)


def test_a_restart_repeats_no_training_of_another_seed():
    """Neighbouring seeds of a list: none of their restarts is another's training."""
    tried = [attempt_seed(seed, attempt) for seed in range(1, 11) for attempt in range(21)]
    assert len(set(tried)) == len(tried)
    assert [attempt_seed(seed, 0) for seed in range(3)] == [0, 1, 2]
    assert all(0 <= seed < 2**32 for seed in tried)


# --- evaluation -------------------------------------------------------------------------------------------------------


def evaluated(folder, models, table, summary, genome):
    with Genome(genome, cache_dir=folder / "cache") as opened:
        metrics = evaluate_models(models, table, summary, opened, device="cpu", output_dir=folder / "out")
    return metrics, pd.read_csv(folder / "out" / "predictions.tsv.gz", sep="\t", keep_default_na=False)


def models_of_folds(folder, folds=range(3), seeds=SEEDS):
    """Models that differ in what they add to every logit: fold + seed / 10."""
    return {
        (fold, seed): fixture.write_model(folder / f"{fold}.{seed}.ckpt", shift=fold + seed / 10, fold=fold, seed=seed)
        for fold in folds
        for seed in seeds
    }


def test_a_region_is_judged_by_the_mean_over_seeds_of_the_models_that_never_saw_its_fold(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path, folds=True)
    models = models_of_folds(tmp_path)
    metrics, rows = evaluated(tmp_path, list(models.values())[::-1], table, summary, genome)  # in any order
    one = models_of_folds(tmp_path, seeds=(0,))
    _, without = evaluated(tmp_path, list(one.values()), table, summary, genome)
    assert len(rows) == len(table) == rows["name"].nunique()
    assert list(rows["model"]) == list(without["model"]) == list(table["split"])
    for name in fixture.TARGETS:
        added = rows[f"logit:{name}"] - without[f"logit:{name}"]
        np.testing.assert_allclose(added, np.mean(SEEDS) / 10, atol=1e-4)
    assert [(each["fold"], each["seed"]) for each in metrics["models"]] == list(models)
    assert len({each["fingerprint"] for each in metrics["models"]}) == 6
    folds = metrics["targets"]["one"]["folds"]["each"]
    assert [each["fold"] for each in folds] == [0, 1, 2]


def test_seeds_without_folds(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    models = [fixture.write_model(tmp_path / f"{seed}.ckpt", shift=seed, seed=seed) for seed in SEEDS]
    metrics, rows = evaluated(tmp_path, models, table, summary, genome)
    _, first = evaluated(tmp_path, models[:1], table, summary, genome)
    np.testing.assert_allclose(rows["logit:one"] - first["logit:one"], np.mean(SEEDS) - SEEDS[0], atol=1e-4)
    assert [(each["fold"], each["seed"]) for each in metrics["models"]] == [(None, 2), (None, 7)]
    assert metrics["targets"]["one"]["folds"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([(0, 2), (0, 7), (1, 2), (2, 2), (2, 7)], "no model of fold 1 and seed 7 is given"),
        ([(0, 2), (1, 2), (2, 2), (1, 2)], r"a model of fold 1 \(seed 2\) is given twice"),
        ([(0, 2), (0, 7)], "no model of fold 1, fold 2 is given"),
    ],
)
def test_models_that_are_no_grid_are_refused(tmp_path, given, said):
    genome, table, summary = fixture.build_regions(tmp_path, folds=True)
    models = models_of_folds(tmp_path)
    with pytest.raises(SeqliftError, match=said):
        evaluated(tmp_path, [models[key] for key in given], table, summary, genome)


def test_the_same_model_twice_is_refused_without_folds_too(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt", seed=5)
    with pytest.raises(SeqliftError, match="a model of seed 5 is given twice"):
        evaluated(tmp_path, [model, model], table, summary, genome)


# --- explanations -----------------------------------------------------------------------------------------------------


def test_scores_of_a_folds_seeds_are_of_that_fold_and_count_all_models(tmp_path):
    genome, table, _ = fixture.build_regions(tmp_path, folds=True)
    models = models_of_folds(tmp_path)
    settings = {"target": "one", "method": "mutagenesis", "device": "cpu", "sample": 3, "seed": 1}
    with Genome(genome, cache_dir=tmp_path / "cache") as opened:
        attribute_regions([models[1, 2], models[1, 7]], table, opened, tmp_path / "fold.h5", **settings)
        attribute_regions(list(models.values()), table, opened, tmp_path / "all.h5", model_std=True, **settings)
    with open_scores(tmp_path / "fold.h5") as scores:
        assert scores.attributes["fold"] == 1 and scores.attributes["models"] == 2
    with open_scores(tmp_path / "all.h5") as scores:
        assert "fold" not in scores.attributes and scores.attributes["models"] == 6
        assert scores.model_spread.shape == (3, fixture.LENGTH)


# --- report -----------------------------------------------------------------------------------------------------------


def test_the_report_shows_every_model_of_folds_and_seeds(tmp_path):
    run, config = build_run(tmp_path, folds=3, seeds=SEEDS)
    found = load_run(run)
    assert (found.folds, found.seeds) == (3, list(SEEDS))
    expected = [f"fold{fold}/seed{seed}" for fold in range(3) for seed in SEEDS]
    assert [folder.relative_to(run / "model").as_posix() for folder in found.model_folders()] == expected
    assert [len(history) for history in found.histories()] == [15] * 6
    page = write_report(run, config, run / "report.html").read_text()
    assert all(f'href="model/{name}/model.ckpt"' in page for name in expected)
    assert "15 epochs for each of 6 models" in page and "the mean over 2 seeds" in page
    assert "3 times: each time without one of 3 folds" in page and "of each there are 2" in page
    assert "the models of 3 folds and 2 seeds" in page
    table = page[page.index("<caption>Each model</caption>") :]
    rows = table[: table.index("</table>")].split("<tr>")[2:]
    assert len(rows) == 6
    losses = [f"{0.3 + 0.01 * i:.3f}" for i in range(6)]
    for row, name, loss in zip(rows, expected, losses, strict=True):
        fold, seed = name.removeprefix("fold").split("/seed")
        assert f'<th scope="row">{fold}</th><th scope="row">{seed}</th>' in row and loss in row


def test_the_report_of_seeds_alone(tmp_path):
    run, config = build_run(tmp_path, seeds=SEEDS)
    found = load_run(run)
    assert (found.folds, found.seeds) == (0, list(SEEDS))
    assert [folder.name for folder in found.model_folders()] == ["seed2", "seed7"]
    page = write_report(run, config, run / "report.html").read_text()
    assert "the mean of the models of 2 seeds" in page and "There are 2 of it" in page
    assert '<th scope="col">seed</th>' in page and '<th scope="col">fold</th>' not in page
    (run / "model" / "seed7" / "history.tsv").unlink()
    with pytest.raises(SeqliftError, match=r"seed7/history\.tsv: no such file"):
        write_report(run, config, run / "report.html")


def test_a_single_model_is_shown_as_before(tmp_path):
    run, config = build_run(tmp_path)
    assert load_run(run).seeds == [] and load_run(run).model_folders() == [run / "model"]
    page = write_report(run, config, run / "report.html").read_text()
    assert "Each model" not in page and "different seeds" not in page
