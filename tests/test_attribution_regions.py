"""From regions to a score file: the right regions, complete scores, and nothing left behind by a run that failed."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.stages import attribute as attribute_regions
from seqlift import SeqliftError, deeplift
from seqlift.attribution.attribute import choose_regions, choose_sample
from seqlift.attribution.deeplift import DeepLift
from seqlift.attribution.mutagenesis import mutagenesis
from seqlift.attribution.options import DeepLiftOptions
from seqlift.attribution.references import genomic_windows
from seqlift.attribution.totals import broken_completeness
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.data.windows import load_one_hot
from seqlift.models.build import build_model
from seqlift.models.checkpoint import load_model, save_checkpoint
from seqlift.models.shape import Shape
from seqlift.scores.file import choose_examples, open_scores

LENGTH, N = 60, 20


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A random genome, regions for two targets, and a model that knows nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    (tmp_path / "genome.fa").write_text(">chr1\n" + "".join(random.choice(list("ACGT"), 3000)) + "\n")
    start = np.arange(N) * 100 + 20
    table = pd.DataFrame(
        {
            "chrom": "chr1",
            "start": start,
            "end": start + LENGTH,
            "name": [f"chr1_{s}" for s in start],
            "strand": ".",
            "summit": start + LENGTH // 2,
            "kind": "peak",
            "split": ["train", "valid", "test", "train"] * (N // 4),
            "set": 0,
            "score": 1.0,
            "gc": 0.5,
            "source": "a.bed:1",
            "target:even": [1, 0] * (N // 2),
            "target:none": 0,
        }
    )
    table.to_csv(tmp_path / "regions.tsv.gz", sep="\t", index=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save(tmp_path / "model.ckpt", {"type": "paper"})
    return tmp_path, table


def save(path, architecture, seed=None, targets=("odd", "even"), **training):
    """A model with random weights, in a file."""
    shape = Shape(LENGTH, 2, strands=2, window=30, control_channels=2)
    if seed is not None:
        torch.manual_seed(seed)
    model = build_model(architecture, shape)
    save_checkpoint(path, model, architecture=architecture, targets=list(targets), shape=shape, training=training)
    return path


def attribute(folder, table, method="deeplift", name="x.h5", models=None, **settings):
    defaults = {} if method == "mutagenesis" else {"n_references": 3, "tolerance": 0.01}
    settings = {"target": "even", "device": "cpu"} | defaults | settings
    with Genome(folder / "genome.fa") as genome:
        models = folder / "model.ckpt" if models is None else models
        return attribute_regions(models, table, genome, folder / name, method=method, **settings)


def positives(folder, table):
    """The positive regions and their sequences."""
    chosen = table[table["target:even"] == 1].reset_index(drop=True)
    with Genome(folder / "genome.fa") as genome:
        return chosen, load_one_hot(chosen, genome, 0)


def test_the_file_holds_what_deeplift_says_of_the_positive_regions(run):
    folder, table = run
    assert attribute(folder, table, seed=4) == N // 2
    positive, sequences = positives(folder, table)
    expected = deeplift(load_model(folder / "model.ckpt").model, sequences, n_references=3, target=1, seed=4)
    with open_scores(folder / "x.h5") as scores:
        assert list(scores.coords["name"]) == list(positive["name"])
        assert list(scores.coords["start"]) == list(positive["start"])
        np.testing.assert_array_equal(scores.sequences[:], sequences.numpy())
        for field in ("hypothetical", "contributions", "delta", "prediction", "reference_prediction", "standard_error"):
            np.testing.assert_allclose(
                getattr(scores, field)[:], getattr(expected, field).numpy(), rtol=1e-5, atol=1e-6
            )
        assert scores.attributes["method"] == "deeplift" and scores.attributes["seed"] == 4
        assert len(scores.attributes["model_fingerprint"]) == 64
        assert scores.attributes["rule"] == "rescale" and scores.attributes["references"] == "dinucleotide"
        assert (scores.n_references[:] == 3).all()


def test_interior_gradients_keep_their_path(run):
    folder, table = run
    attribute(folder, table, method="interior_gradients", steps=12, tolerance=2.0)  # an untrained model hardly changes
    with open_scores(folder / "x.h5") as scores:
        assert scores.interior["prediction"].shape == (N // 2, 12)
        weighted = (scores.interior["slope"][:] * scores.interior["weights"][:]).sum(1)
        np.testing.assert_allclose(weighted, scores.contributions[:].sum((1, 2)), rtol=1e-3, atol=1e-4)
        assert (scores.interior["gradient_size"][:] >= np.abs(scores.interior["slope"][:]) - 1e-6).all()
        assert (scores.interior["steps"][:] == 12).all()
        half, most = scores.interior["alpha_half"][:], scores.interior["alpha_90"][:]
        assert ((half > 0) & (half <= most) & (most <= 1)).all()
        assert scores.attributes["quadrature"] == "gauss-legendre"


def test_steps_that_are_added_until_the_path_is_resolved(run):
    folder, table = run
    attribute(folder, table, method="interior_gradients", steps="auto", step_tolerance=0.02, tolerance=2.0)
    with open_scores(folder / "x.h5") as scores:
        assert scores.attributes["steps"] == "auto" and scores.attributes["step_tolerance"] == 0.02
        steps = scores.interior["steps"][:]
        assert steps.shape == (N // 2, 3) and steps.min() == len(scores.interior["alphas"])
        change = np.abs(scores.prediction[:][:, None] - scores.reference_prediction[:])
        resolved = np.abs(scores.delta[:]) <= 0.02 * change + 1e-6
        assert resolved.all() and steps.max() > steps.min()


def test_references_that_are_added_until_the_scores_are_sure(run, monkeypatch):
    folder, table = run
    monkeypatch.setattr("seqlift.attribution.attribute._BLOCK_NUMBERS", 3 * 64 * LENGTH)  # blocks of other widths
    model, (_, sequences) = load_model(folder / "model.ckpt").model, positives(folder, table)
    first = deeplift(model, sequences, n_references=10, target=1)
    shares = first.standard_error.amax(1) / first.contributions.abs().amax((1, 2))
    share = float(shares.quantile(0.5))  # between two regions, so that rounding decides nothing
    settings = {"n_references": "auto", "max_relative_error": share, "max_references": 40}  # half are sure after ten
    attribute(folder, table, **settings)
    options = DeepLiftOptions(max_relative_error=share, max_references=40)
    expected = deeplift(model, sequences, n_references="auto", target=1, options=options)
    with open_scores(folder / "x.h5") as scores:
        used = scores.n_references[:]
        assert len(set(used)) > 1 and scores.delta.shape == (N // 2, used.max())
        np.testing.assert_array_equal(used, expected.n_references.numpy())
        for field in ("delta", "reference_prediction"):
            found = getattr(scores, field)[:]
            np.testing.assert_array_equal(np.isfinite(found).sum(1), used)
            np.testing.assert_allclose(found, getattr(expected, field).numpy(), rtol=1e-4, atol=1e-5)


def test_mutagenesis_of_a_sample_with_the_examples_in_it(run):
    folder, table = run
    assert attribute(folder, table, method="mutagenesis", sample=5, examples=2, seed=3) == 5
    positive, sequences = positives(folder, table)
    model = load_model(folder / "model.ckpt").model
    expected = mutagenesis(model, sequences, target=1)
    held_out = positive.index[positive["split"] == "test"]
    best = expected.prediction.numpy()[held_out].argsort()[::-1][:2]
    with open_scores(folder / "x.h5") as scores:
        names = list(scores.coords["name"])
        assert set(positive["name"].iloc[held_out[best]]) <= set(names)
        rows = [list(positive["name"]).index(name) for name in names]
        assert rows == sorted(rows)
        for field in ("hypothetical", "contributions", "prediction"):
            np.testing.assert_allclose(getattr(scores, field)[:], getattr(expected, field)[rows], rtol=1e-4, atol=1e-6)
        assert scores.delta is None and scores.attributes["method"] == "mutagenesis"


def test_a_sample_is_of_the_regions_that_the_methods_explain(run):
    folder, table = run
    attribute(folder, table, name="all.h5", max_regions=6, seed=2)
    attribute(folder, table, method="mutagenesis", max_regions=6, sample=4, seed=2)
    with open_scores(folder / "all.h5") as scores, open_scores(folder / "x.h5") as some:
        assert len(some.coords) == 4 and set(some.coords["name"]) < set(scores.coords["name"])


def test_choose_sample():
    table = pd.DataFrame({"chrom": "chr1", "start": np.arange(10) * 100, "split": ["train", "test"] * 5})
    table["end"] = table["start"] + 50
    prediction = np.arange(10.0)
    settings = {"sample": 4, "examples": 2, "seed": 1}
    sample = choose_sample(table, prediction, **settings)
    assert {700, 900} < set(sample["start"]) and len(sample) == 4 and sample["start"].is_monotonic_increasing
    assert sample.equals(choose_sample(table, prediction, **settings))
    assert not sample.equals(choose_sample(table, prediction, **(settings | {"seed": 2})))
    assert list(choose_sample(table, prediction, sample=1, examples=2, seed=1)["start"]) == [900]
    assert choose_sample(table, prediction, sample=99, examples=0, seed=1).equals(table)


def test_genomic_references_keep_away_from_all_peaks(run):
    folder, table = run
    table = table.assign(kind=["peak"] * 8 + ["genome"] * 12)
    settings = {"references": "genomic:1", "n_references": 4}
    attribute(folder, table, **settings)
    _, sequences = positives(folder, table[:8])
    with Genome(folder / "genome.fa") as genome:
        kind = genomic_windows(genome, table[:8], tolerance=1)
        expected = deeplift(load_model(folder / "model.ckpt").model, sequences, kind, n_references=4, target=1)
    with open_scores(folder / "x.h5") as scores:
        np.testing.assert_allclose(scores.reference_prediction[:], expected.reference_prediction, rtol=1e-5, atol=1e-6)
        assert scores.attributes["references"] == "genomic:1"


def test_only_peaks_with_a_label_are_explained(run):
    _, table = run
    labels = table["target:even"].astype(float)
    table = table.assign(kind=["peak"] * 10 + ["background"] * 10, **{"target:even": labels})
    table.loc[0, "target:even"] = np.nan  # unlabelled
    assert list(choose_regions(table, "even", 99, seed=1)["start"]) == [220, 420, 620, 820]
    with pytest.raises(SeqliftError, match="no peak region is positive for target 'even'"):
        choose_regions(table[10:], "even", 99, seed=1)


def test_the_mean_of_folds_is_explained_with_its_spread(run):
    """Each network of each fold by itself, by hand: their mean, and how far they lie apart."""
    folder, table = run
    architectures = [{"type": "paper", "replicates": 2}, {"type": "paper", "both_strands": True}]
    paths = [save(folder / f"fold{i}.ckpt", architecture, seed=i) for i, architecture in enumerate(architectures)]
    attribute(folder, table, models=paths, model_std=True, seed=4)
    _, sequences = positives(folder, table)
    first, second = (load_model(path).model for path in paths)
    networks = [first.members[0], first.members[1], second]
    weights = [0.25, 0.25, 0.5]  # folds count alike, and the replicates in each
    singles = [deeplift(network, sequences, n_references=3, target=1, seed=4) for network in networks]
    with open_scores(folder / "x.h5") as scores:
        expected = sum(w * single.hypothetical for w, single in zip(weights, singles, strict=True))
        np.testing.assert_allclose(scores.hypothetical[:], expected, rtol=1e-3, atol=1e-6)
        contributions = np.stack([single.contributions.sum(1).numpy() for single in singles])
        np.testing.assert_allclose(scores.model_spread[:], contributions.std(0, ddof=1), rtol=1e-3, atol=1e-6)
        assert scores.attributes["models"] == 3
        both = scores.attributes["model_fingerprint"]
    attribute(folder, table, models=paths[::-1], name="reversed.h5")
    attribute(folder, table, models=paths[:1], name="one.h5")
    with open_scores(folder / "reversed.h5") as reversed, open_scores(folder / "one.h5") as one:
        assert reversed.attributes["model_fingerprint"] == both != one.attributes["model_fingerprint"]
        assert one.attributes["model_fingerprint"] == load_model(paths[0]).fingerprint
        assert one.model_spread is None and one.attributes["models"] == 2


@pytest.mark.parametrize("method", ["interior_gradients", "mutagenesis"])
def test_every_method_has_a_spread(run, method):
    folder, table = run
    path = save(folder / "two.ckpt", {"type": "paper", "replicates": 2}, seed=3)
    settings = {"steps": 5, "tolerance": 9.0} if method == "interior_gradients" else {}
    attribute(folder, table, models=path, method=method, model_std=True, **settings)
    with open_scores(folder / "x.h5") as scores:
        assert scores.model_spread.shape == (N // 2, LENGTH) and (scores.model_spread[:] > 0).any()


def test_a_spread_needs_several_models(run):
    folder, table = run
    with pytest.raises(SeqliftError, match=r"--model-std needs at least two models.*model.ckpt is one network"):
        attribute(folder, table, model_std=True)


@pytest.mark.parametrize("method", ["deeplift", "interior_gradients", "mutagenesis"])
@pytest.mark.parametrize("quantity", ["counts", "profile"])
def test_outputs_of_a_profile_model_are_explained(run, quantity, method):
    folder, table = run
    architecture = {"type": "dilated", "head": "profile", "filters": 8, "kernel": 9, "layers": 2, "dense": 8}
    path = save(folder / "profile.ckpt", architecture, seed=1)
    settings = {"steps": 100, "tolerance": 0.05} if method == "interior_gradients" else {}
    attribute(folder, table, models=path, method=method, target=f"even.{quantity}", **settings)
    positive, sequences = positives(folder, table)
    with torch.no_grad():
        found = load_model(path).model(sequences, torch.zeros(len(sequences), 2, 30))
    logits = found.logits[:, 1].flatten(1)
    value = (logits.softmax(1) * (logits - logits.mean(1, keepdim=True))).sum(1)
    with open_scores(folder / "x.h5") as scores:
        assert list(scores.coords["name"]) == list(positive["name"])
        assert scores.attributes["target"] == f"even.{quantity}" and scores.attributes["quantity"] == quantity
        expected = value if quantity == "profile" else found.log_counts[:, 1]
        np.testing.assert_allclose(scores.prediction[:], expected, rtol=1e-4, atol=1e-5)
        if method == "deeplift":
            assert np.abs(scores.delta[:]).max() < 1e-5


def test_the_sample_of_a_profile_has_the_examples_in_it(run):
    folder, table = run
    path = save(folder / "profile.ckpt", {"type": "dilated", "head": "profile", "filters": 8, "layers": 2}, seed=1)
    settings = {"models": path, "target": "even.profile"}
    attribute(folder, table, name="all.h5", **settings)
    attribute(folder, table, method="mutagenesis", sample=2, examples=2, **settings)
    with open_scores(folder / "all.h5") as scores, open_scores(folder / "x.h5") as some:
        rows, _ = choose_examples(scores.coords, scores.prediction[:], positives(folder, table)[0]["split"], 2)
        assert set(some.coords["name"]) == set(scores.coords["name"].iloc[rows])


@pytest.mark.parametrize("training", [{"learned": False}, {"learned": True, "learned_outputs": {"even": False}}])
def test_a_model_that_never_learned_is_explained_with_a_loud_warning(run, caplog, training):
    folder, table = run
    idle = save(folder / "idle.ckpt", {"type": "paper"}, **training)
    attribute(folder, table, models=[folder / "model.ckpt", idle])
    warning = next(record for record in caplog.records if record.levelname == "WARNING").getMessage()
    assert "WARNING" in warning and "idle.ckpt learned nothing about even" in warning
    assert "/model.ckpt" not in warning
    with open_scores(folder / "x.h5") as scores:
        assert not scores.attributes["learned"]
    caplog.clear()
    attribute(folder, table)
    with open_scores(folder / "x.h5") as scores:
        assert scores.attributes["learned"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_file_of_one_fold_says_which(run):
    folder, table = run
    folds = [save(folder / f"fold{i}.ckpt", {"type": "paper"}, fold=i) for i in range(2)]
    attribute(folder, table, models=folds[1])
    with open_scores(folder / "x.h5") as scores:
        assert scores.attributes["fold"] == 1
    attribute(folder, table, models=folds)
    with open_scores(folder / "x.h5") as scores:
        assert "fold" not in scores.attributes


def test_models_of_different_targets_are_not_averaged(run):
    folder, table = run
    other = save(folder / "other.ckpt", {"type": "paper"}, targets=("even", "odd"))
    with pytest.raises(SeqliftError, match=r"other.ckpt: its targets .* differs from that of"):
        attribute(folder, table, models=[folder / "model.ckpt", other])


def test_a_sample_keeps_the_order_and_depends_on_the_seed_alone(run):
    _, table = run
    sample = choose_regions(table, "even", 4, seed=1)
    assert len(sample) == 4 and sample["start"].is_monotonic_increasing and (sample["target:even"] == 1).all()
    assert sample.equals(choose_regions(table, "even", 4, seed=1))
    assert not sample.equals(choose_regions(table, "even", 4, seed=2))


@pytest.mark.filterwarnings("ignore:the contributions of:UserWarning")
def test_broken_completeness_fails_and_leaves_the_older_file(run):
    folder, table = run
    (folder / "x.h5").write_text("good")
    with pytest.raises(SeqliftError, match=r"do not add up.*'chr1_20'.*raise `steps`"):
        attribute(folder, table, method="interior_gradients", steps=1, tolerance=1e-6)
    assert (folder / "x.h5").read_text() == "good"
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".x.h5")]


def deltas(delta, prediction, reference, used=1):
    """A result of one sequence and several references in which nothing but the deltas matters."""
    delta = torch.tensor([delta])
    return DeepLift(
        hypothetical=torch.zeros(1, 4, 5),
        contributions=torch.zeros(1, 4, 5),
        delta=delta,
        prediction=torch.tensor([prediction]),
        reference_prediction=torch.where(torch.arange(delta.shape[1]) < used, torch.tensor(reference), torch.nan),
        standard_error=torch.zeros(1, 5),
        n_references=torch.tensor([used]),
    )


def test_rounding_of_a_model_that_hardly_changes_is_not_broken_completeness():
    assert not broken_completeness(deltas([3.7e-9], 0.05, 0.05), 0.001).any()
    assert broken_completeness(deltas([1e-4], 0.05, 0.05), 0.001).all()
    assert broken_completeness(deltas([0.003], 2.0, 1.0), 0.001).all()


def test_a_reference_that_was_not_used_is_not_broken_but_one_that_overflowed_is():
    nan = float("nan")
    found = broken_completeness(deltas([0.0, nan, 0.5, nan, nan], 2.0, 1.0, used=3), 0.001)
    assert found.tolist() == [[False, True, True, False, False]]
    assert broken_completeness(deltas([float("inf")], 2.0, 1.0), 0.001).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target": "evem"}, "no output 'evem'; it has: odd, even"),
        ({"target": "odd"}, "regions have no target 'odd'; they have: even, none"),
        ({"references": "blank"}, "`references` .*'blank'"),
        ({"n_references": 0}, "n_references"),
        ({"n_references": "auto", "max_relative_error": 0}, "max_relative_error"),
        ({"steps": 3}, "steps"),
        ({"rule": "rescue"}, "`rule`"),
        ({"method": "interior_gradients", "rule": "rescale"}, "rule"),
        ({"method": "mutagenesis", "references": "zeros"}, "references"),
        ({"method": "mutagenesis", "sample": 0}, "--sample"),
        ({"method": "mutagenesis", "steps": 3}, "steps"),
        ({"max_regions": 0}, "`max_regions` .*=0"),
    ],
)
def test_wrong_settings_are_named(run, settings, words):
    folder, table = run
    with pytest.raises(SeqliftError, match=words):
        attribute(folder, table, **settings)


def test_regions_of_another_length_are_refused(run):
    folder, table = run
    with pytest.raises(SeqliftError, match="takes 60 bp, but the regions have 62 bp"):
        attribute(folder, table.assign(end=table["end"] + 2))


def test_the_command(run, capsys):
    folder, _ = run
    flags = "--target even --method deeplift --n-references 2 --tolerance 0.01 --max-regions 5 --seed 1 --device cpu"
    paths = {"model": "model.ckpt", "regions": "regions.tsv.gz", "genome": "genome.fa", "output": "x.h5"}
    command = ["attribute", *flags.split(), *(f"--{key}={folder / name}" for key, name in paths.items())]
    assert main(command) == 0
    assert "5 regions of even explained" in capsys.readouterr().out
    with open_scores(folder / "x.h5") as scores:
        assert len(scores.coords) == 5
    auto = ["--n-references", "auto", "--max-relative-error", "0.3", "--rule", "rescale", "--no-center-first-layer"]
    assert main([*command, *auto]) == 0
    with open_scores(folder / "x.h5") as scores:
        assert scores.attributes["n_references"] == "auto" and scores.attributes["max_relative_error"] == 0.3
        assert not scores.attributes["center_first_layer"] and scores.attributes["max_references"] == 200
    twin = save(folder / "twin.ckpt", {"type": "paper"}, seed=7)
    assert main([*command, "--model", str(folder / "model.ckpt"), str(twin), "--model-std"]) == 0
    with open_scores(folder / "x.h5") as scores:
        assert scores.attributes["models"] == 2 and scores.model_spread.shape == (5, LENGTH)
    assert main([*command, "--n-references", "3", "--steps", "3"]) == 1
    assert "--steps (=3)" in capsys.readouterr().err
    assert main([*command, "--target", "none"]) == 1
    error = capsys.readouterr().err
    assert "seqlift attribute: error:" in error and "no output 'none'" in error and "Traceback" not in error
