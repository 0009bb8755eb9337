"""The score file: what goes in comes out, and nothing half-written is ever seen."""

import h5py
import numpy as np
import pandas as pd
import pytest

from seqlift.errors import SeqliftError
from seqlift.scores import create_scores, open_scores

ATTRIBUTES = {"method": "interior_gradients", "target": "GATA1", "seed": 3}


def rows(n=5, length=12, n_references=2, n_steps=4, seed=0):
    random = np.random.default_rng(seed)
    sequences = np.eye(4, dtype=np.int8)[random.integers(0, 4, (n, length))].transpose(0, 2, 1)
    hypothetical = random.normal(size=(n, 4, length)).astype(np.float32)
    return {
        "sequences": sequences,
        "hypothetical": hypothetical,
        "contributions": hypothetical * sequences,
        "delta": random.normal(size=(n, n_references)).astype(np.float32),
        "prediction": random.normal(size=n).astype(np.float32),
        "reference_prediction": random.normal(size=(n, n_references)).astype(np.float32),
        "standard_error": random.random((n, length)).astype(np.float32),
        "path": {
            key: random.normal(size=(n, n_steps)).astype(np.float32) for key in ("prediction", "slope", "gradient_size")
        },
    }


def coords(n=5, length=12):
    start = np.arange(n) * 100
    return pd.DataFrame(
        {"chrom": "chrI", "start": start, "end": start + length, "name": [f"a b{i}é" for i in range(n)], "strand": "."}
    )


def part(block, chosen):
    return {key: part(value, chosen) if key == "path" else value[chosen] for key, value in block.items()}


def test_blocks_come_back_as_written(tmp_path):
    block, path = rows(), tmp_path / "a folder" / "x.h5"
    alphas = np.linspace(0, 1, 4)
    with create_scores(
        path, coords(), length=12, n_references=2, attributes=ATTRIBUTES, alphas=alphas, weights=alphas
    ) as writer:
        assert not path.exists()
        writer.append(**part(block, slice(0, 2)))
        writer.append(**part(block, slice(2, 5)))
    with open_scores(path) as scores:
        pd.testing.assert_frame_equal(scores.coords, coords(), check_dtype=False)
        assert scores.attributes["target"] == "GATA1" and scores.attributes["seed"] == 3
        for key, value in block.items():
            if key != "path":
                np.testing.assert_array_equal(getattr(scores, key)[:], value)
        for key, value in block["path"].items():
            np.testing.assert_array_equal(scores.interior[key][:], value)
        np.testing.assert_array_equal(scores.interior["alphas"][:], alphas)


def test_the_file_of_other_programs(tmp_path):
    """TF-MoDISco reads these groups by name, gzip only."""
    block = rows()
    with create_scores(tmp_path / "x.h5", coords(), length=12, n_references=2, attributes=ATTRIBUTES) as writer:
        writer.append(**block)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["raw/seq"].dtype == np.int8 and file["shap/seq"].compression == "gzip"
        np.testing.assert_array_equal(file["projected_shap/seq"][:], block["contributions"])
        assert "path" not in file


def test_an_older_file_survives_a_failed_run(tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("good")
    with (
        pytest.raises(ValueError, match="2 rows were written for 5"),
        create_scores(path, coords(), length=12, n_references=2, attributes=ATTRIBUTES) as writer,
    ):
        writer.append(**part(rows(), slice(0, 2)))
    assert path.read_text() == "good" and [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_scores_that_are_not_finite_are_refused_by_region(tmp_path):
    block = rows()
    block["hypothetical"][3, 2, 1] = np.nan
    with (
        pytest.raises(SeqliftError, match="'a b3é'"),
        create_scores(tmp_path / "x.h5", coords(), length=12, n_references=2, attributes=ATTRIBUTES) as writer,
    ):
        writer.append(**block)
    assert not list(tmp_path.iterdir())


def test_no_regions_is_a_file_too(tmp_path):
    with create_scores(tmp_path / "x.h5", coords(0), length=12, n_references=2, attributes=ATTRIBUTES):
        pass
    with open_scores(tmp_path / "x.h5") as scores:
        assert scores.hypothetical.shape == (0, 4, 12) and len(scores.coords) == 0


@pytest.mark.parametrize("content", [None, "text", "hdf5"])
def test_what_is_no_score_file_is_named(tmp_path, content):
    path = tmp_path / "x.h5"
    if content == "text":
        path.write_text("no")
    elif content == "hdf5":
        h5py.File(path, "w").close()
    with pytest.raises(SeqliftError, match=r"x\.h5"), open_scores(path):
        pass
