"""Held-out numbers, recomputed from the predictions with scikit-learn and SciPy, and what goes wrong."""

import errno
import json

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from fixtures import evaluation as fixture
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.data.signal import Signal
from seqlift.data.windows import load_codes
from seqlift.errors import SeqliftError
from seqlift.evaluation.comparison import comparison, profile_comparison
from seqlift.evaluation.evaluate import evaluate_models
from seqlift.models.checkpoint import load_model
from seqlift.models.predicting import predict, predict_profiles

TARGETS = fixture.TARGETS


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Keep the index of the genome out of the cache in the home folder, and bootstraps short."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def evaluate(folder, models, table, summary, genome, **options):
    with Genome(genome) as opened:
        metrics = evaluate_models(models, table, summary, opened, device="cpu", output_dir=folder, **options)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    return metrics, pd.read_csv(folder / "predictions.tsv.gz", sep="\t")


def test_classes_held_against_scikit_learn(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    database = fixture.write_database(tmp_path / "known.meme")
    metrics, rows = evaluate(tmp_path / "out", [model], table, summary, genome, database=str(database))
    assert metrics["format"] == "seqlift metrics 2" and metrics["head"] == "classes"
    assert metrics["outputs"] == [{"name": name, "target": name, "quantity": "class"} for name in TARGETS]
    assert list(rows["name"]) == list(table.loc[table["split"] != "train", "name"])
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    for name in TARGETS:
        label, score = test[f"target:{name}"], test[f"logit:{name}"]
        background = test["kind"] == "background"
        positive = (label == 1) & ~background
        drawn, others = test["kind"] == "genome", (label == 0) & ~background
        found = metrics["targets"][name]
        assert found["positives"] == positive.sum() and found["masked"] == (label.isna() & ~background).sum()
        for group, negative, weight in (
            ("matched", drawn, positive.sum() / drawn.sum()),
            ("background", background, 400 / background.sum()),
            ("all", others, 1.0),
        ):
            numbers, chosen = found["against"][group], positive | negative
            weights = np.where(positive, 1, weight)[chosen]
            assert numbers["auroc"] == pytest.approx(roc_auc_score(positive[chosen], score[chosen]))
            expected = average_precision_score(positive[chosen], score[chosen], sample_weight=weights)
            assert numbers["auprc"] == pytest.approx(expected)
            assert numbers["auprc_low"] <= numbers["auprc"] <= numbers["auprc_high"]
            assert numbers["positives"] == positive.sum() and numbers["negatives"] == negative.sum()
        assert found["against"]["matched"]["positive_share"] == pytest.approx(0.5)
        assert found["against"]["background"]["windows"] == 400
        assert found["against"]["background"]["auprc"] < found["against"]["matched"]["auprc"]
        assert sum(found["reliability"]["count"]) == positive.sum() + others.sum()
        assert found["folds"] is None
        # The motif that was planted is the best one, and k-mers find something too
        motif, kmers = found["baselines"]["motif"], found["baselines"]["kmers"]
        assert motif["chosen"]["name"] == name.upper() and motif["against"]["all"]["auroc"] > 0.8
        chosen = positive | others
        expected = roc_auc_score(positive[chosen], test.loc[chosen, f"kmers:{name}"])
        assert kmers["against"]["all"]["auroc"] == pytest.approx(expected)
        assert kmers["against"]["all"]["auroc_low"] < expected < kmers["against"]["all"]["auroc_high"]
    names = {row.name for row in comparison(metrics)}
    assert names == {"model", "best motif, ONE (M_ONE)", "best motif, TWO (M_TWO)", "6-mers, logistic regression"}


def test_predictions_are_those_of_the_model(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    _, rows = evaluate(tmp_path / "out", [model], table, summary, genome)
    with Genome(genome) as opened:
        codes = load_codes(table[table["split"] != "train"], opened, seed=3)
    expected = predict(load_model(model).model, codes)
    found = rows[[f"logit:{name}" for name in TARGETS]].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # six digits are written
    labels = rows[[f"target:{name}" for name in TARGETS]].to_numpy()
    np.testing.assert_array_equal(labels, table.loc[table["split"] != "train", [f"target:{n}" for n in TARGETS]])


def test_without_background_or_database_it_is_said(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path, background=0)
    model = fixture.write_model(tmp_path / "model.ckpt")
    metrics, rows = evaluate(tmp_path / "out", [model], table, summary, genome)
    for name in TARGETS:
        assert metrics["targets"][name]["against"]["background"] is None
        assert list(metrics["targets"][name]["baselines"]) == ["kmers"]
    assert metrics["database"] is None and not any(column.startswith("motif:") for column in rows)
    assert "AUPRC, genome" not in comparison(metrics)[0].values


def test_a_target_without_test_peaks_has_no_numbers(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    table.loc[table["split"] == "test", "target:two"] = 0.0
    model = fixture.write_model(tmp_path / "model.ckpt")
    metrics, _ = evaluate(tmp_path / "out", [model], table, summary, genome)
    found = metrics["targets"]["two"]
    assert found["positives"] == 0 and found["against"]["all"]["negatives"] > 0
    for group in ("matched", "background", "all"):
        assert found["against"][group]["auroc"] is None and found["against"][group]["auprc_low"] is None
    assert metrics["targets"]["one"]["against"]["all"]["auroc"] > 0.8
    assert [str(row.values["AUROC, all"]) for row in comparison(metrics) if row.target == "two"] == ["-", "-"]


def test_same_input_gives_the_same_files(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    database = str(fixture.write_database(tmp_path / "known.meme"))
    for name in ("a", "b"):
        evaluate(tmp_path / name, [model], table, summary, genome, database=database)
    for file in ("metrics.json", "predictions.tsv.gz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_folds_are_pooled_and_each_region_is_predicted_by_the_model_that_never_saw_it(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path, folds=True)
    shifts = (-6.0, -7.0, -4.0)
    models = [fixture.write_model(tmp_path / f"{i}.ckpt", shift=shift, fold=i) for i, shift in enumerate(shifts)]
    models = [models[2], models[0], models[1]]  # their order must not matter
    metrics, rows = evaluate(tmp_path / "out", models, table, summary, genome)
    assert sorted(rows["name"]) == sorted(table["name"]) and (rows["split"] == "test").all()
    assert dict(zip(rows["chrom"], rows["model"], strict=True)) == dict(
        zip(fixture.CHROMOSOMES, ("fold0", "fold1", "fold2"), strict=True)
    )
    with Genome(genome) as opened:
        codes = load_codes(rows, opened, seed=3)
    plain = predict(load_model(models[1]).model, codes)[:, 0] - shifts[0]
    expected = plain + rows["model"].map({f"fold{i}": shift for i, shift in enumerate(shifts)})
    np.testing.assert_allclose(rows["logit:one"], expected, rtol=1e-4, atol=1e-4)
    found = metrics["targets"]["one"]
    known = rows["target:one"].notna() & (rows["kind"] != "background")
    pooled = roc_auc_score(rows.loc[known, "target:one"], rows.loc[known, "logit:one"])
    assert found["against"]["all"]["auroc"] == pytest.approx(pooled)
    each = [roc_auc_score(part["target:one"], part["logit:one"]) for _, part in rows[known].groupby("model", sort=True)]
    assert [fold["auroc"] for fold in found["folds"]["each"]] == pytest.approx(each)
    assert [fold["fold"] for fold in found["folds"]["each"]] == [0, 1, 2]
    assert found["folds"]["standard_deviation"]["auroc"] == pytest.approx(np.std(each, ddof=1))
    assert found["against"]["background"]["windows"] == 3 * 400
    assert [model["fold"] for model in metrics["models"]] == [0, 1, 2]


def test_counts_held_against_scipy(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path, signal=True)
    model = fixture.write_model(tmp_path / "model.ckpt", head="counts")
    database = str(fixture.write_database(tmp_path / "known.meme"))
    metrics, rows = evaluate(tmp_path / "out", [model], table, summary, genome, database=database)
    test = rows[(rows["split"] == "test") & (rows["kind"] != "background")]
    for name in TARGETS:
        known = test[f"signal:{name}"].notna()
        found = metrics["targets"][name]
        assert found["regions"] == known.sum() and found["unknown"] == (~known).sum() > 0
        for group, chosen in (("all", known), ("peaks", known & (test[f"target:{name}"] == 1))):
            x, y = test.loc[chosen, f"log_count:{name}"], np.log1p(test.loc[chosen, f"signal:{name}"])
            assert found["groups"][group]["pearson"] == pytest.approx(pearsonr(x, y).statistic)
            assert found["groups"][group]["spearman"] == pytest.approx(spearmanr(x, y).statistic)
            assert found["groups"][group]["regions"] == chosen.sum()
        motif = found["baselines"]["motif"]
        assert motif["chosen"]["name"] == name.upper() and motif["groups"]["all"]["pearson"] > 0.6
        assert found["baselines"]["kmers"]["groups"]["all"]["pearson"] > 0.3
    assert "against" not in metrics["targets"]["one"]
    assert comparison(metrics)[2].name == "6-mers, ridge regression"


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    """Regions with a signal of whole numbers near the planted words; target `two` has two replicates."""
    genome, table, summary = fixture.build_regions(tmp_path, signal=True)
    summary["signal"]["files"]["two"]["signal"] = ["two_a.bw", "two_b.bw"]
    place = {name: i for i, name in enumerate(table["name"])}
    shape = (len(table), 2, 1, 40)
    files = {}
    for number, name in enumerate(("one.bw", "two_a.bw", "two_b.bw")):
        rng = np.random.default_rng(number)
        files[name] = rng.poisson(rng.gamma(0.5, 2, shape[0] * 40)).reshape(shape[0], 40).astype(np.float32)
        files[name][::30] = 0  # nothing was measured there

    def load_signal(rows, settings, targets, sizes, *, margin, folder):
        assert margin == 0 and folder.is_dir() and set(sizes) == set(fixture.CHROMOSOMES)
        these = [place[name] for name in rows["name"]]
        paths = [settings["files"][target]["signal"] for target in targets]
        values = np.stack([sum(files[path][these] for path in each) for each in paths], axis=1)[:, :, None]
        known = np.ones(values.shape[:2], bool)
        known[rows["signal:one"].isna().to_numpy(), 0] = False
        control = np.ones((len(rows), 2, 40), np.float32)
        return Signal(values=values, control=control, known=known, window=40, margin=0)

    monkeypatch.setattr("seqlift.data.signal.load_signal", load_signal)
    return genome, table, summary, files, place


@pytest.mark.parametrize("control", [0, 2])
def test_profiles_held_against_scipy(tmp_path, profiles, control):
    genome, table, summary, files, place = profiles
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile", control=control)
    metrics, rows = evaluate(tmp_path / "out", [model], table, summary, genome)
    assert [output["name"] for output in metrics["outputs"]] == [
        "one.counts",
        "one.profile",
        "two.counts",
        "two.profile",
    ]
    with Genome(genome) as opened:
        codes = load_codes(rows, opened, seed=3)
    given = {"control": np.ones((len(rows), 2, 40), np.float32)} if control else {}
    logits = predict_profiles(load_model(model).model, codes, **given).logits
    for i, name in enumerate(TARGETS):
        paths = summary["signal"]["files"][name]["signal"]
        values = sum(files[path] for path in paths)[[place[each] for each in rows["name"]]]
        share = np.exp(logits[:, i, 0]) / np.exp(logits[:, i, 0]).sum(axis=1, keepdims=True)
        known = (rows["signal:one"].notna() if name == "one" else True) & (values.sum(axis=1) > 0)
        expected = [jensenshannon(p, q, base=2) if k else np.nan for p, q, k in zip(values, share, known, strict=True)]
        np.testing.assert_allclose(rows[f"jsd:{name}"], expected, atol=1e-6)
        peaks = table[(table["split"] == "train") & (table[f"target:{name}"] == 1)]
        trained = sum(files[path] for path in paths)[[place[each] for each in peaks["name"]]].astype(float)
        total = trained.sum(axis=1, keepdims=True)
        mean = np.divide(trained, total, out=np.zeros_like(trained), where=total > 0).mean(axis=0)
        expected = [jensenshannon(p, mean, base=2) if k else np.nan for p, k in zip(values, known, strict=True)]
        np.testing.assert_allclose(rows[f"jsd_mean:{name}"], expected, atol=1e-6)
        found = metrics["targets"][name]["profile"]
        test = rows[(rows["split"] == "test") & (rows["kind"] != "background") & rows[f"jsd:{name}"].notna()]
        assert found["regions"] == len(test) and found["without_counts"] > 0
        assert found["groups"]["all"]["model"]["median"] == pytest.approx(test[f"jsd:{name}"].median())
        peaks = test[test[f"target:{name}"] == 1]
        for what, kind in (("shuffled", "jsd_shuffled"), ("replicates", "jsd_replicates"), ("mean", "jsd_mean")):
            assert found["groups"]["peaks"][what]["median"] == pytest.approx(peaks[f"{kind}:{name}"].median())
    assert metrics["targets"]["one"]["profile"]["replicates"] == "halves"
    assert metrics["targets"]["two"]["profile"]["replicates"] == "replicates"
    both = [files[path][[place[each] for each in rows["name"]]] for path in ("two_a.bw", "two_b.bw")]
    there = (both[0].sum(axis=1) > 0) & (both[1].sum(axis=1) > 0)
    expected = [jensenshannon(p, q, base=2) if k else np.nan for p, q, k in zip(*both, there, strict=True)]
    np.testing.assert_allclose(rows["jsd_replicates:two"], expected, atol=1e-6)
    names = [row.name for row in profile_comparison(metrics) if row.target == "two"]
    assert names == ["model", "another replicate", "mean profile of training peaks", "positions shuffled"]
    assert not list((tmp_path / "out").glob(".*"))  # the signal is gone


def test_baselines_of_profiles(tmp_path, profiles, monkeypatch):
    """A shuffle keeps the values of its profile, halves add up to it, and neither depends on the batch."""
    genome, table, summary, _, _ = profiles
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile")
    seen = {}

    def jensen_shannon(first, second):
        seen.setdefault(len(seen) % 4, []).append((first, second))
        from seqlift.core.metrics import jensen_shannon as real

        return real(first, second)

    with monkeypatch.context() as patch:
        patch.setattr("seqlift.evaluation.profiles.jensen_shannon", jensen_shannon)
        _, rows = evaluate(tmp_path / "out", [model], table, summary, genome)
    observed, shuffled = seen[2][0]
    assert (np.sort(observed) == np.sort(shuffled)).all() and (observed != shuffled).any()
    first, second = seen[3][0]
    assert (first + second == observed).all() and (first > 0).any() and (second > 0).any()
    monkeypatch.setattr("seqlift.evaluation.profiles.BATCH", 7)
    _, again = evaluate(tmp_path / "again", [model], table, summary, genome)
    pd.testing.assert_frame_equal(rows, again, atol=1e-6)


def test_halves_need_whole_numbers(tmp_path, profiles):
    genome, table, summary, files, _ = profiles
    files["one.bw"] *= 0.3
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile")
    (tmp_path / "out" / ".signal.killed" / "x").mkdir(parents=True)  # a run that was killed leaves it
    metrics, _ = evaluate(tmp_path / "out", [model], table, summary, genome)
    found = metrics["targets"]["one"]["profile"]
    assert not list((tmp_path / "out").glob(".*"))
    assert found["replicates"] is None and found["groups"]["peaks"]["replicates"] is None
    assert "model" in found["groups"]["peaks"]
    assert len([row for row in profile_comparison(metrics) if row.target == "one"]) == 3


def test_example_profiles_are_test_peaks_from_good_to_bad(tmp_path, profiles):
    genome, table, summary, files, place = profiles
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile")
    _, rows = evaluate(tmp_path / "out", [model], table, summary, genome)
    examples = pd.read_csv(tmp_path / "out" / "profiles.tsv.gz", sep="\t")
    assert set(examples["target"]) == set(TARGETS)
    for name, part in examples.groupby("target"):
        chosen = rows.set_index("name").loc[part["name"].unique()]
        assert len(chosen) == 3 and (chosen["split"] == "test").all() and (chosen[f"target:{name}"] == 1).all()
        assert chosen[f"jsd:{name}"].is_monotonic_increasing
        for region, bases in part.groupby("name"):
            start = int(table["start"][place[region]])
            assert list(bases["position"]) == list(range(start + 20, start + 60))
            observed = sum(files[path][place[region]] for path in summary["signal"]["files"][name]["signal"])
            np.testing.assert_allclose(bases["observed"], observed)
            assert bases["predicted"].sum() == pytest.approx(observed.sum(), rel=1e-4)
            distance = jensenshannon(bases["observed"], bases["predicted"], base=2)
            assert distance == pytest.approx(chosen.loc[region, f"jsd:{name}"])


def test_a_model_that_learned_nothing_is_said(tmp_path, capsys):
    genome, table, summary = fixture.build_regions(tmp_path)
    learned = {"learned": True, "learned_targets": {"one": True, "two": False}, "restarts": 3}
    model = fixture.write_model(tmp_path / "model.ckpt", **learned)
    paths = fixture.write_regions(tmp_path, table, summary)
    arguments = ["evaluate", "--model", model, "--regions", paths[0], "--summary", paths[1], "--genome", genome]
    arguments += ["--database", fixture.write_database(tmp_path / "known.meme"), "--device", "cpu"]
    assert main([*map(str, arguments), "--output-dir", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["learned"] and metrics["restarts"] == 3
    assert metrics["learned_targets"] == metrics["learned_outputs"] == {"one": True, "two": False}
    printed = capsys.readouterr().out
    assert "learned nothing about two" in printed and "learned nothing about one" not in printed
    assert "6-mers, logistic regression" in printed and "best motif, ONE" in printed
    assert f"{metrics['targets']['one']['against']['matched']['auroc']:.3f}" in printed
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_what_folds_and_outputs_have_learned(tmp_path, profiles):
    """Learned is what every fold has learned; an output is judged by itself where training says so."""
    genome, table, summary, _, _ = profiles
    by_output = {"one.counts": False, "one.profile": True, "two.counts": True, "two.profile": True}
    learned = {"learned_targets": {"one": True, "two": True}, "learned_outputs": by_output, "attempt": 3}
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile", **learned)
    metrics, _ = evaluate(tmp_path / "out", [model], table, summary, genome)
    assert metrics["learned_outputs"] == by_output and metrics["learned_targets"] == {"one": True, "two": True}
    assert metrics["models"][0]["attempt"] == 3
    genome, table, summary = fixture.build_regions(tmp_path, folds=True)
    several = [{"one": True, "two": i != 1} for i in range(3)]
    models = [fixture.write_model(tmp_path / f"{i}", fold=i, learned_targets=x) for i, x in enumerate(several)]
    metrics, _ = evaluate(tmp_path / "folds", models, table, summary, genome)
    assert metrics["learned_outputs"] == metrics["learned_targets"] == {"one": True, "two": False}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"targets": ("one",)}, "predicts one, the regions are of one, two"),
        ({"length": 60}, "takes 60 bp, the regions have 80 bp"),
        ({"head": "counts"}, "the regions have no signal"),
        ({"head": "profile"}, "the regions have no signal"),
        ({"fold": 1}, "split into train, valid and test"),
    ],
)
def test_a_model_of_other_regions_is_refused(tmp_path, change, expected):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt", **change)
    with pytest.raises(SeqliftError) as error:
        evaluate(tmp_path / "out", [model], table, summary, genome)
    assert str(model) in str(error.value) and expected in str(error.value)
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_regions_without_test_rows(tmp_path):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    with pytest.raises(SeqliftError, match="none of split 'test'"):
        evaluate(tmp_path / "out", [model], table[table["split"] != "test"], summary, genome)


def test_a_profile_of_another_window_is_refused(tmp_path, profiles):
    genome, table, summary, _, _ = profiles
    summary["signal"]["window"] = 38
    model = fixture.write_model(tmp_path / "model.ckpt", head="profile")
    with pytest.raises(SeqliftError, match="has 40 bp and 1 strands, the signal of the regions 38 bp"):
        evaluate(tmp_path / "out", [model], table, summary, genome)


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        ((0, 1), "no model of fold 2"),
        ((0, 1, 1), r"fold 1 \(seed 3\) is given twice"),
        ((0, 1, None), "its fold is None"),
    ],
)
def test_folds_that_do_not_fit(tmp_path, folds, expected):
    genome, table, summary = fixture.build_regions(tmp_path, folds=True)
    models = [fixture.write_model(tmp_path / f"{i}.ckpt", fold=fold) for i, fold in enumerate(folds)]
    with pytest.raises(SeqliftError, match=expected):
        evaluate(tmp_path / "out", models, table, summary, genome)


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    evaluate(tmp_path / "out", [model], table, summary, genome)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    paths = fixture.write_regions(tmp_path, table, summary)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("seqlift.evaluation.evaluate.json.dumps", full)
    with pytest.raises(OSError, match="No space left"):
        evaluate(tmp_path / "out", [model], table, summary, genome, seed=9)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    arguments = ["evaluate", "--model", model, "--regions", paths[0], "--summary", paths[1], "--genome", genome]
    assert main([*map(str, arguments), "--output-dir", str(tmp_path / "out")]) == 1  # an error, not a traceback


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": "seqlift regions 1"}'])
def test_bad_summary_is_named(tmp_path, content, capsys):
    genome, table, summary = fixture.build_regions(tmp_path)
    model = fixture.write_model(tmp_path / "model.ckpt")
    regions, path = fixture.write_regions(tmp_path, table, summary)
    path.unlink() if content is None else path.write_text(content)
    arguments = ["evaluate", "--model", model, "--regions", regions, "--summary", path, "--genome", genome]
    assert main([*map(str, arguments), "--output-dir", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert str(path) in message and "`seqlift regions`" in message and "Traceback" not in message
