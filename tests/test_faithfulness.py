"""`seqlift faithfulness`: a whole run judged, with an explanation that is known to be true and some that are not."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from fixtures.faithfulness import LENGTH, MOTIF, OFFSET, N, attribute, make_run, save
from seqlift.cli import main
from seqlift.faithfulness.curves import SHARES
from seqlift.scores.file import open_scores

FILES = {"faithfulness.tsv", "curves.tsv", "faithfulness.json", "faithfulness.svg", "faithfulness.png"}
METHODS = ("deeplift", "interior_gradients")


@pytest.fixture
def run(tmp_path, monkeypatch):
    return tmp_path, make_run(tmp_path, monkeypatch)


def judge(folder, scores, *more, models=("model.ckpt",), out="out", truth=False):
    arguments = ["faithfulness", "--model", *(str(folder / model) for model in models), "--device", "cpu"]
    arguments += ["--regions", str(folder / "regions.tsv.gz"), "--genome", str(folder / "genome.fa")]
    arguments += ["--scores", *map(str, scores), "--output-dir", str(folder / out), *more]
    return main(arguments + (["--truth", str(folder / "truth.bed")] if truth else []))


def read(folder, out="out"):
    table, curves = (pd.read_csv(folder / out / name, sep="\t") for name in ("faithfulness.tsv", "curves.tsv"))
    return table.set_index(["output", "method"]), curves, json.loads((folder / out / "faithfulness.json").read_text())


def disguised(path, name, change):
    """A copy of a score file as another method's, its contributions changed: nothing says how they were made."""
    copy = path.with_name(f"{name}.h5")
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        scores = file["projected_shap/seq"]
        scores[:] = change(scores[:])
        for attribute in ("references", "rule", "n_references", "model_fingerprint"):
            del file.attrs[attribute]
        file.attrs["method"] = name
        for dataset in ("n_references", "delta", "reference_prediction", "standard_error"):
            del file[f"diagnostics/{dataset}"]
        file["diagnostics/prediction"][:] = np.nan
    return copy


def moved_about(contributions):
    """Each region's contributions, of any base, at other places."""
    sums = np.random.default_rng(0).permuted(contributions.sum(1), axis=1)
    return np.where(contributions != 0, 0, 0) + (np.arange(4) == 0)[:, None] * sums[:, None]


def test_a_true_explanation_and_wrong_ones(run):
    folder, table = run
    paths = [attribute(folder, table, method) for method in METHODS]
    paths += [disguised(paths[0], "shuffled", moved_about), disguised(paths[0], "opposite", np.negative)]
    assert judge(folder, paths, truth=True) == 0
    assert {path.name for path in (folder / "out").iterdir()} == FILES
    found, _, about = read(folder)
    assert list(found.index) == [("one", name) for name in ("deeplift", "interior_gradients", "opposite", "shuffled")]
    found = found.loc["one"]
    assert (found["regions"] == N // 4).all() and (found["held_out"] == "test").all()  # half of the peaks
    assert list(found["references"]) == ["dinucleotide", "uniform", "dinucleotide", "dinucleotide"]
    for kind in ("deletion", "insertion"):
        area = found[f"shuffles_{kind}_area"]
        # Random orders soon break a motif of which each base is needed, so there is little below them, but much above
        assert area[list(METHODS)].min() > {"deletion": 0.12, "insertion": 0.6}[kind] and area["opposite"] < -0.1
        assert abs(area["shuffled"]) < area["deeplift"] / 3
        assert found.loc["deeplift", f"{kind}_area"] == area["deeplift"]  # its own references are such shuffles
        assert (found[f"{kind}_area_low"] <= found[f"{kind}_area"]).all()
        assert (found[f"{kind}_area"] <= found[f"{kind}_area_high"]).all()
        reached = found.loc["deeplift", f"mutagenesis_{kind}_area"]
        assert abs(reached - area["deeplift"]) < 0.1
    true, wrong = found.loc[list(METHODS)], found.loc["shuffled"]
    assert true["truth_auroc"].min() > 0.99 and abs(wrong["truth_auroc"] - 0.5) < 0.2
    assert true["mutagenesis_pearson"].min() > 0.9 and abs(wrong["mutagenesis_pearson"]) < 0.2
    assert found.loc["opposite", "mutagenesis_pearson"] == pytest.approx(-true.loc["deeplift", "mutagenesis_pearson"])
    assert true["deletion_half"].max() < 0.05 < 0.08 < true["random_deletion_half"].min()
    halves = true["references_pearson"]
    assert halves["deeplift"] > 0.8 and np.isnan(halves["interior_gradients"])
    assert found["models_pearson"].isna().all() and (found["models"] == 1).all()
    assert (found.loc[list(METHODS), "completeness_broken"] == 0).all() and found.loc["deeplift", "tolerance"] == 0.01
    assert "shuffled: of another program" in " ".join(about["outputs"]["one"]["notes"])
    assert set(about["outputs"]["one"]["regions"]) == {f"r{i}" for i in range(0, N, 4)}


def test_the_columns_are_what_they_say(run):
    """Change, curves and recovery once more from the files of the run."""
    folder, table = run
    paths = [attribute(folder, table, method) for method in METHODS]
    judge(folder, paths, truth=True)
    found, curves, _ = read(folder)
    assert set(curves["references"]) == {"dinucleotide", "uniform"}
    assert len(curves) == (1 + 2) * 2 * 3 * len(SHARES)  # DeepLIFT with one kind, the other with two; kinds; orders
    for (*_, kind, _), curve in curves.groupby(["method", "references", "kind", "order"]):
        ends = (1, 0) if kind == "deletion" else (0, 1)
        assert (curve["mean"].iloc[0], curve["mean"].iloc[-1]) == pytest.approx(ends, abs=1e-5)
    for method in METHODS:
        with open_scores(folder / f"one.{method}.h5") as scores:
            rows = np.isin(scores.coords["name"], [f"r{i}" for i in range(0, N, 4)])
            contributions = np.abs(scores.contributions[:].sum(1)[rows])
            if method == "interior_gradients":  # against one reference, the same that bases are replaced by
                change = scores.prediction[:][rows] - scores.reference_prediction[:][rows, 0]
                assert found.loc[("one", method), "change"] == pytest.approx(change.mean(), rel=1e-5)
        inside = np.zeros(contributions.shape, bool)
        inside[:, OFFSET : OFFSET + len(MOTIF)] = True
        beaten = (contributions[inside][:, None] > contributions[~inside]).mean()
        assert found.loc[("one", method), "truth_auroc"] == pytest.approx(beaten, abs=0.01)
        own = curves[(curves["method"] == method) & (curves["references"] == found.loc[("one", method), "references"])]
        lines = own[own["kind"] == "deletion"].set_index("order")["mean"]
        area = np.trapezoid(lines["random"].to_numpy() - lines["method"].to_numpy(), SHARES)
        assert found.loc[("one", method), "deletion_area"] == pytest.approx(area, abs=1e-4)
        half = found.loc[("one", method), "deletion_half"]
        assert np.interp(half, SHARES, lines["method"]) == pytest.approx(0.5, abs=1e-4)
        at_random = np.trapezoid(lines["random"].to_numpy(), SHARES)
        assert found.loc[("one", method), "deletion_random"] == pytest.approx(at_random, abs=1e-4)


def test_the_same_files_in_any_order(run):
    folder, table = run
    paths = [attribute(folder, table, method) for method in METHODS]
    judge(folder, paths)
    judge(folder, paths[::-1], out="again")
    for name in FILES:
        assert (folder / "out" / name).read_bytes() == (folder / "again" / name).read_bytes(), name


def test_fewer_regions_and_no_mutagenesis(run):
    folder, table = run
    paths = [attribute(folder, table, "deeplift")]
    judge(folder, paths, "--max-regions", "3", "--no-mutagenesis")
    found, curves, about = read(folder)
    row = found.loc[("one", "deeplift")]
    about = about["outputs"]["one"]
    assert row["regions"] == 3 == len(about["regions"]) and about["held_out_regions"] == N // 4
    empty = ["mutagenesis_spearman", "mutagenesis_deletion_area", "methods_spearman", "truth_auroc"]
    assert row[empty].isna().all() and set(curves["order"]) == {"method", "random"}
    judge(folder, paths, "--max-regions", "3", "--no-mutagenesis", "--seed", "5", out="other")
    assert read(folder, "other")[2]["outputs"]["one"]["regions"] != about["regions"]


@pytest.mark.parametrize(
    ("splits", "held_out", "regions", "note"),
    [
        (("fold0", "fold1", "fold2"), "folds", N // 2, "each region was held out of one of them"),
        (("train", "valid"), "none", N // 2, "regions that the model learned from"),
    ],
)
def test_what_the_regions_were_held_out_of(tmp_path, monkeypatch, splits, held_out, regions, note):
    table = make_run(tmp_path, monkeypatch, splits)
    judge(tmp_path, [attribute(tmp_path, table, "deeplift")])
    found, _, about = read(tmp_path)
    row = found.loc[("one", "deeplift")]
    assert (row["held_out"], row["regions"]) == (held_out, regions)
    assert note in " ".join(about["outputs"]["one"]["notes"])


def test_the_model_of_one_fold_is_judged_on_that_fold(tmp_path, monkeypatch):
    table = make_run(tmp_path, monkeypatch, ("fold0", "fold1", "fold2", "fold1"))
    save(tmp_path / "model.ckpt", {"type": "planted_network:Planted", "head": "classes"}, fold=1)
    judge(tmp_path, [attribute(tmp_path, table, "deeplift")])
    found, _, about = read(tmp_path)
    assert found.loc[("one", "deeplift"), "held_out"] == "fold"
    assert about["outputs"]["one"]["regions"] == [f"r{i}" for i in range(2, N, 4)]


SMALL = {"type": "paper", "filters": 8, "kernel": 5}


@pytest.mark.parametrize("replicates", [False, True])
def test_models_that_were_trained_apart(run, replicates):
    """Alike they agree fully, others do not; replicates in one file are taken apart."""
    folder, table = run
    if replicates:
        models = [save(folder / "a.ckpt", SMALL | {"replicates": 3, "both_strands": True})]
    else:
        network = {"type": "planted_network:Planted", "head": "classes"}
        models = [save(folder / f"{i}.ckpt", network | {"arguments": {"gc": gc}}) for i, gc in enumerate((0, 0, 0.5))]
    judge(folder, [attribute(folder, table, "deeplift", models=models)], models=[path.name for path in models])
    row = read(folder)[0].loc[("one", "deeplift")]
    assert row["models"] == 3 and -1 < row["models_pearson"] < 0.99
    if not replicates:
        judge(
            folder, [attribute(folder, table, "deeplift", models=models[:2])], models=["0.ckpt", "1.ckpt"], out="alike"
        )
        alike = read(folder, "alike")[0].loc[("one", "deeplift")]
        assert (alike["models"], alike["models_spearman"], alike["models_pearson"]) == pytest.approx((2, 1, 1))


def test_counts_and_profile_of_a_profile_model(run):
    folder, table = run
    small = {"type": "dilated", "head": "profile", "filters": 6, "kernel": 7, "layers": 1, "profile_kernel": 9}
    models = [save(folder / f"{seed}.ckpt", small, seed=seed) for seed in (1, 2)]
    names = ["one.counts", "one.profile"]
    paths = [attribute(folder, table, "deeplift", models=models, target=name) for name in names]
    assert judge(folder, paths[::-1], models=["1.ckpt", "2.ckpt"], truth=True) == 0
    found, _, _ = read(folder)
    assert [output for output, _ in found.index] == names  # in the order of the model
    assert found[["models_pearson", "references_pearson", "mutagenesis_pearson", "truth_auroc"]].notna().all().all()
    for name, path in zip(names, paths, strict=True):
        with open_scores(path) as scores:
            rows = np.isin(scores.coords["name"], [f"r{i}" for i in range(0, N, 4)])
            change = (scores.prediction[:][:, None] - scores.reference_prediction[:])[rows]
        spread = float(change.std())  # of the references, which are drawn again
        assert found.loc[(name, "deeplift"), "change"] == pytest.approx(change.mean(), abs=2 * spread)


def refused(capsys, status):
    assert status == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    return line


def test_scores_of_another_model_are_refused(run, capsys):
    folder, table = run
    path = attribute(folder, table, "deeplift")
    save(folder / "other.ckpt", {"type": "planted_network:Planted", "head": "classes", "arguments": {"gc": 0.5}})
    torch_like = save(folder / "basset.ckpt", SMALL)
    line = refused(capsys, judge(folder, [path], models=[torch_like.name]))
    assert "one.deeplift.h5: explains other models than" in line and "all the models that were explained" in line
    line = refused(capsys, judge(folder, [path], models=["model.ckpt", torch_like.name]))
    assert "explains other models" in line and not (folder / "out").exists()


def test_files_that_do_not_belong_together_are_refused(run, capsys):
    folder, table = run
    path = attribute(folder, table, "deeplift")
    line = refused(capsys, judge(folder, [path, path]))
    assert "one.deeplift.h5: holds deeplift scores of one, as" in line and "give one of them" in line
    first = attribute(folder, table.iloc[: N // 2], "interior_gradients", name="first.h5")
    last = attribute(folder, table.iloc[N // 2 :], "deeplift", name="last.h5")
    line = refused(capsys, judge(folder, [first, last]))
    assert "have no region in common; give score files of one run" in line
    table.assign(start=table["start"] + 1, end=table["end"] + 1).to_csv(
        folder / "regions.tsv.gz", sep="\t", index=False
    )
    line = refused(capsys, judge(folder, [path]))
    assert f"{N // 2} of its regions are no peak regions of the table (first: chr1:10-{10 + LENGTH})" in line
    assert not (folder / "out").exists()


def test_wrong_settings_are_refused(run, capsys):
    folder, table = run
    path = attribute(folder, table, "deeplift")
    assert "--max-regions (=0) must be at least 1" in refused(capsys, judge(folder, [path], "--max-regions", "0"))
    with h5py.File(path, "r+") as file:
        file.attrs["target"] = "two"
    assert "explains 'two', but" in refused(capsys, judge(folder, [path]))
    assert "no such score file" in refused(capsys, judge(folder, [folder / "none.h5"]))
    assert not (folder / "out").exists()


def test_nothing_to_explain_is_said(run):
    """A network whose output does not rise above that of its references: no areas, and a figure nevertheless."""
    folder, table = run
    save(folder / "model.ckpt", {"type": "planted_network:Planted", "head": "classes", "arguments": {"gc": 0}})
    flat = table.assign(
        start=table["start"] + 35, end=table["end"] + 35, summit=table["summit"] + 35
    )  # beside the motif
    flat.to_csv(folder / "regions.tsv.gz", sep="\t", index=False)
    path = attribute(folder, flat, "deeplift")
    assert judge(folder, [path]) == 0
    found, curves, _ = read(folder)
    row = found.loc[("one", "deeplift")]
    assert row["change"] == 0 and np.isnan(row["deletion_area"]) and curves["mean"].isna().all()
    assert "not above" in (folder / "out" / "faithfulness.svg").read_text()
