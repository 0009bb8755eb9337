"""From regions to a score file: the right regions, complete scores, and nothing left behind by a run that failed."""

import numpy as np
import pandas as pd
import pytest
import torch

from seqlift import SeqliftError, deeplift
from seqlift.attribution.deeplift import DeepLift
from seqlift.attribution.regions import attribute_regions, broken_completeness, choose_regions
from seqlift.cli import main
from seqlift.dataset import load_one_hot
from seqlift.genome import Genome
from seqlift.models import build_model
from seqlift.models.checkpoint import load_model, save_checkpoint
from seqlift.scores import open_scores

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
        architecture = {"type": "paper"}
        model = build_model(architecture, length=LENGTH, n_targets=2)
    save_checkpoint(
        tmp_path / "model.ckpt", model, architecture=architecture, targets=["odd", "even"], length=LENGTH, training={}
    )
    return tmp_path, table


def attribute(folder, table, method="deeplift", name="x.h5", **settings):
    settings = {"target": "even", "n_references": 3, "tolerance": 0.01, "device": "cpu"} | settings
    with Genome(folder / "genome.fa") as genome:
        return attribute_regions(folder / "model.ckpt", table, genome, folder / name, method=method, **settings)


def test_the_file_holds_what_deeplift_says_of_the_positive_regions(run):
    folder, table = run
    assert attribute(folder, table, seed=4) == N // 2
    positive = table[table["target:even"] == 1].reset_index(drop=True)
    with Genome(folder / "genome.fa") as genome:
        sequences = load_one_hot(positive, genome, 0)
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


def test_interior_gradients_keep_their_path(run):
    folder, table = run
    attribute(folder, table, method="interior_gradients", steps=12, tolerance=0.2)
    with open_scores(folder / "x.h5") as scores:
        assert scores.interior["prediction"].shape == (N // 2, 12)
        weighted = (scores.interior["slope"][:] * scores.interior["weights"][:]).sum(1)
        np.testing.assert_allclose(weighted, scores.contributions[:].sum((1, 2)), rtol=1e-3, atol=1e-4)
        assert (scores.interior["gradient_size"][:] >= np.abs(scores.interior["slope"][:]) - 1e-6).all()


def test_blocks_change_nothing(run, monkeypatch):
    folder, table = run
    attribute(folder, table, name="whole.h5")
    monkeypatch.setattr("seqlift.attribution.regions._BLOCK_BASES", 3 * LENGTH)
    attribute(folder, table, name="blocks.h5")
    with open_scores(folder / "whole.h5") as whole, open_scores(folder / "blocks.h5") as blocks:
        np.testing.assert_allclose(blocks.hypothetical[:], whole.hypothetical[:], rtol=1e-4, atol=1e-6)


def test_a_sample_keeps_the_order_and_depends_on_the_seed_alone(run):
    _, table = run
    sample = choose_regions(table, "even", 4, seed=1)
    assert len(sample) == 4 and sample["start"].is_monotonic_increasing and (sample["target:even"] == 1).all()
    assert sample.equals(choose_regions(table, "even", 4, seed=1))
    assert not sample.equals(choose_regions(table, "even", 4, seed=2))


def test_broken_completeness_fails_and_leaves_the_older_file(run):
    folder, table = run
    (folder / "x.h5").write_text("good")
    with pytest.raises(SeqliftError, match=r"do not add up.*'chr1_20'.*raise `steps`"):
        attribute(folder, table, method="interior_gradients", steps=1, tolerance=1e-6)
    assert (folder / "x.h5").read_text() == "good"
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".x.h5")]


def test_rounding_of_a_model_that_hardly_changes_is_not_broken_completeness():
    def result(delta, prediction, reference):
        return DeepLift(
            hypothetical=torch.zeros(1, 4, 5),
            contributions=torch.zeros(1, 4, 5),
            delta=torch.tensor([[delta]]),
            prediction=torch.tensor([prediction]),
            reference_prediction=torch.tensor([[reference]]),
            standard_error=torch.zeros(1, 5),
        )

    assert not broken_completeness(result(3.7e-9, 0.05, 0.05), 0.001).any()
    assert broken_completeness(result(1e-4, 0.05, 0.05), 0.001).all()
    assert broken_completeness(result(0.003, 2.0, 1.0), 0.001).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target": "evem"}, "no target 'evem'; it has: odd, even"),
        ({"target": "odd"}, "regions have no target 'odd'; they have: even, none"),
        ({"method": "lime"}, "method 'lime' does not exist; choose from deeplift, interior_gradients"),
        ({"references": "blank"}, "references 'blank' do not exist"),
        ({"n_references": 0}, "n-references"),
        ({"max_regions": 0}, "max-regions"),
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
    assert main([*command, "--target", "none"]) == 1
    error = capsys.readouterr().err
    assert "seqlift attribute: error:" in error and "no target 'none'" in error and "Traceback" not in error
