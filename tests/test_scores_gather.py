"""Shards of a score file: the same regions and the same numbers, to the bit, as without them."""

import functools

import h5py
import numpy as np
import pytest
import torch

from seqlift import SeqliftError
from seqlift.attribution import attribute as regions
from seqlift.attribution.attribute import shard_rows
from seqlift.cli import main
from seqlift.scores.file import open_scores
from seqlift.scores.gather import gather_scores
from test_attribution_regions import attribute, run, save  # noqa: F401


def contents(path):
    """All datasets and attributes of an HDF5 file, as bytes."""
    with h5py.File(path, "r") as file:
        found = {("", key): np.asarray(value).tobytes() for key, value in file.attrs.items()}

        def note(name, item):
            if isinstance(item, h5py.Dataset):
                values = item.asstr()[:].astype(str) if item.dtype.kind == "O" else item[:]
                found[name, str(item.dtype)] = (values.shape, values.tobytes())

        file.visititems(note)
    return found


def in_shards(folder, table, count, **settings):
    """The score file gathered from `count` shards."""
    shards = [f"shard{i}.h5" for i in range(1, count + 1)]
    numbers = [attribute(folder, table, name=name, shard=(i + 1, count), **settings) for i, name in enumerate(shards)]
    assert gather_scores([folder / name for name in reversed(shards)], folder / "gathered.h5") == sum(numbers)
    return numbers


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("deeplift", {"n_references": 3}),
        ("deeplift", {"n_references": "auto", "max_relative_error": 0.3, "max_references": 40}),
        ("deeplift", {"n_references": 2, "references": "genomic:0.5", "model_std": True}),
        ("interior_gradients", {"n_references": 2, "steps": 6, "tolerance": 2.0}),
        ("interior_gradients", {"steps": "auto", "step_tolerance": 0.02, "tolerance": 2.0}),
    ],
)
def test_any_number_of_shards_gives_the_same_bits(run, monkeypatch, method, settings):  # noqa: F811
    folder, table = run
    monkeypatch.setattr(regions, "_block_rows", lambda *_: 2)
    table["target:even"] = 1
    models = [save(folder / f"{i}.ckpt", {"type": "paper"}, seed=i) for i in range(2)]
    models = models if settings.get("model_std") else models[:1]
    attribute(folder, table, method=method, models=models, **settings)
    whole = contents(folder / "x.h5")
    for count in (1, 4, 16):
        numbers = in_shards(folder, table, count, method=method, models=models, **settings)
        assert sum(numbers) == len(table) and max(numbers) <= max(2, -(-len(table) // count) + 1)
        assert contents(folder / "gathered.h5") == whole


def test_blocks_are_never_cut_and_parts_are_as_equal_as_they_allow():
    random = np.random.default_rng(0)
    for _ in range(500):
        n, count, block = (int(random.integers(1, most)) for most in (300, 40, 60))
        parts = [shard_rows(n, i + 1, count, block) for i in range(count)]
        assert [row for part in parts for row in part] == list(range(n))
        bounds = [part.start for part in parts[1:]]
        assert all(bound % block == 0 or bound == n for bound in bounds)
        assert all(abs(bound - (i + 1) * n / count) <= block / 2 for i, bound in enumerate(bounds) if bound < n)
        assert all(n - (i + 1) * n / count <= block / 2 for i, bound in enumerate(bounds) if bound == n)


def test_jobs_without_regions_are_gathered_too(run):  # noqa: F811
    folder, table = run
    assert sorted(in_shards(folder, table, 3)) == [0, 0, 10]  # of ten regions, which are one block
    attribute(folder, table)
    assert contents(folder / "gathered.h5") == contents(folder / "x.h5")


def test_another_attempt_takes_less_memory_and_gives_the_same_scores(run, monkeypatch):  # noqa: F811
    folder, table = run
    attribute(folder, table)
    sizes = []
    original = regions.deeplift

    @functools.wraps(original)
    def noted(*args, **settings):
        sizes.append(settings.get("batch_size"))
        return original(*args, **settings)

    monkeypatch.setattr(regions, "deeplift", noted)
    for attempt in (1, 2, 3):
        attribute(folder, table, name=f"{attempt}.h5", attempt=attempt)
    assert sizes[0] is None and sizes[1] > 1 and sizes[1] // 4 == sizes[2]
    with open_scores(folder / "x.h5") as first, open_scores(folder / "3.h5") as third:
        np.testing.assert_allclose(first.contributions[:], third.contributions[:], rtol=1e-4, atol=1e-6)
        assert first.attributes == third.attributes


def test_incomplete_shards_are_refused(run, monkeypatch):  # noqa: F811
    folder, table = run
    monkeypatch.setattr(regions, "_CPU_BLOCK_ROWS", 1)
    in_shards(folder, table, 3)
    one, two, three = (folder / f"shard{i}.h5" for i in (1, 2, 3))
    older = (folder / "gathered.h5").read_bytes()

    def refused(words, *paths):
        with pytest.raises(SeqliftError) as error:
            gather_scores(paths, folder / "gathered.h5")
        assert all(word in str(error.value) for word in words)
        assert (folder / "gathered.h5").read_bytes() == older

    refused(["shard 2 of 3 is missing"], one, three)
    refused(["shard 3 of 3 is missing"], one, two)
    refused(["shard 1 of 3 was given twice"], one, one, two, three)
    attribute(folder, table)
    refused([str(folder / "x.h5"), "not a shard"], folder / "x.h5")
    torch.manual_seed(1)
    other = save(folder / "other.ckpt", {"type": "paper"})
    attribute(folder, table, name="other.h5", shard=(2, 3), models=other)
    refused([str(folder / "other.h5"), "model_fingerprint"], one, folder / "other.h5", three)
    attribute(folder, table, name="shifted.h5", shard=(2, 3))
    with h5py.File(folder / "shifted.h5", "r+") as file:
        file.attrs["first_region"] = 4
    refused([str(folder / "shifted.h5"), "begins at region 4", "end at 3"], one, folder / "shifted.h5", three)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shard": (0, 2)}, "0of2"),
        ({"shard": (3, 2)}, "3of2"),
        ({"shard": (1, 2), "method": "mutagenesis"}, "mutagenesis"),
        ({"attempt": 0}, "--attempt (=0)"),
    ],
)
def test_wrong_shards_are_refused(run, settings, words):  # noqa: F811
    folder, table = run
    with pytest.raises(SeqliftError, match=words.replace("(", r"\(").replace(")", r"\)")):
        attribute(folder, table, **settings)


def test_the_commands(run, capsys):  # noqa: F811
    folder, _ = run
    shared = [
        "--model",
        folder / "model.ckpt",
        "--regions",
        folder / "regions.tsv.gz",
        "--genome",
        folder / "genome.fa",
    ]
    shared += ["--target", "even", "--method", "deeplift", "--max-regions", 100, "--seed", 0, "--tolerance", 0.01]
    shared += ["--n-references", 4, "--device", "cpu"]
    for i in (1, 2):
        assert main(["attribute", *map(str, shared), "--shard", f"{i}of2", "--output", str(folder / f"{i}.h5")]) == 0
    assert (
        main(["gather", "--scores", str(folder / "2.h5"), str(folder / "1.h5"), "--output", str(folder / "y.h5")]) == 0
    )
    assert "10 regions of 2 shards gathered" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["attribute", *map(str, shared), "--shard", "2/3", "--output", str(folder / "z.h5")])
    assert "--shard" in capsys.readouterr().err
