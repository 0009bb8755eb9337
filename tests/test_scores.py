"""The score file: what goes in comes out, and nothing half-written is ever seen."""

import h5py
import numpy as np
import pandas as pd
import pytest

from fixtures.full_disk import disk_of
from seqlift.errors import SeqliftError
from seqlift.scores.file import create_scores, open_scores

ATTRIBUTES = {"method": "interior_gradients", "target": "GATA1", "seed": 3}


STEPS = 4


def rows(n=5, length=12, n_references=2, seed=0, path=True):
    """Random scores of n regions, as `ScoreWriter.append` takes them."""
    random = np.random.default_rng(seed)
    sequences = np.eye(4, dtype=np.int8)[random.integers(0, 4, (n, length))].transpose(0, 2, 1)
    hypothetical = random.normal(size=(n, 4, length)).astype(np.float32)
    block = {
        "sequences": sequences,
        "hypothetical": hypothetical,
        "contributions": hypothetical * sequences,
        "prediction": random.normal(size=n).astype(np.float32),
        "n_references": np.full(n, n_references, np.int32),
        "delta": random.normal(size=(n, n_references)).astype(np.float32),
        "reference_prediction": random.normal(size=(n, n_references)).astype(np.float32),
        "standard_error": random.random((n, length)).astype(np.float32),
    }
    if path:
        names = ("prediction", "slope", "gradient_size")
        block["path"] = {name: random.normal(size=(n, STEPS)).astype(np.float32) for name in names}
        block["path"] |= {name: random.random(n).astype(np.float32) for name in ("alpha_half", "alpha_90")}
        block["path"] |= dict.fromkeys(("alphas", "weights"), np.linspace(0, 1, STEPS))
        block["path"]["steps"] = random.integers(16, 100, (n, n_references)).astype(np.int32)
    return block


def coords(n=5, length=12):
    start = np.arange(n) * 100
    return pd.DataFrame(
        {"chrom": "chrI", "start": start, "end": start + length, "name": [f"a b{i}é" for i in range(n)], "strand": "."}
    )


def part(block, chosen):
    """Some rows of a block; the nodes of the path belong to all."""
    return {
        key: part(value, chosen) if key == "path" else value if key in ("alphas", "weights") else value[chosen]
        for key, value in block.items()
    }


def create(path, regions=None):
    return create_scores(path, coords() if regions is None else regions, length=12, attributes=ATTRIBUTES)


def test_blocks_come_back_as_written(tmp_path):
    block, path = rows(), tmp_path / "a folder" / "x.h5"
    with create(path) as writer:
        assert not path.exists()
        writer.append(**part(block, slice(0, 2)))
        writer.append(**part(block, slice(2, 5)))
    with open_scores(path) as scores:
        pd.testing.assert_frame_equal(scores.coords, coords(), check_dtype=False)
        assert scores.attributes["target"] == "GATA1" and scores.attributes["seed"] == 3
        for key, value in block.items():
            if key != "path":
                np.testing.assert_array_equal(getattr(scores, key)[:], value)
        assert set(scores.interior) == set(block["path"])
        for key, value in block["path"].items():
            np.testing.assert_array_equal(scores.interior[key][:], value)


@pytest.mark.parametrize("widths", [(2, 7, 3), (7, 2, 3), (3, 2, 40)])
def test_rows_of_more_and_of_fewer_references_share_a_file(tmp_path, widths):
    blocks = [rows(n=2, n_references=width, seed=width) for width in widths]
    with create(tmp_path / "x.h5", coords(6)) as writer:
        for block in blocks:
            writer.append(**block)
    with open_scores(tmp_path / "x.h5") as scores:
        assert scores.delta.shape == (6, max(widths))
        assert list(scores.n_references[:]) == [width for width in widths for _ in range(2)]
        for i, (width, block) in enumerate(zip(widths, blocks, strict=True)):
            here = slice(2 * i, 2 * i + 2)
            for name in ("delta", "reference_prediction"):
                np.testing.assert_array_equal(getattr(scores, name)[here, :width], block[name])
                assert np.isnan(getattr(scores, name)[here, width:]).all()
            np.testing.assert_array_equal(scores.interior["steps"][here, :width], block["path"]["steps"])
            assert (scores.interior["steps"][here, width:] == 0).all()


def test_a_method_without_references_has_none_in_its_file(tmp_path):
    block = {key: rows()[key] for key in ("sequences", "hypothetical", "contributions", "prediction")}
    with create(tmp_path / "x.h5") as writer:
        writer.append(**block)
    with open_scores(tmp_path / "x.h5") as scores:
        np.testing.assert_array_equal(scores.prediction[:], block["prediction"])
        assert scores.delta is scores.reference_prediction is scores.standard_error is scores.n_references is None
        assert scores.interior is None


def test_the_spread_over_models_is_kept_where_there_is_one(tmp_path):
    spread = np.random.default_rng(1).random((5, 12)).astype(np.float32)
    with create(tmp_path / "x.h5") as writer:
        writer.append(**rows(), model_spread=spread)
    with open_scores(tmp_path / "x.h5") as scores:
        np.testing.assert_array_equal(scores.model_spread[:], spread)
    with create(tmp_path / "x.h5") as writer:
        writer.append(**rows())
    with open_scores(tmp_path / "x.h5") as scores:
        assert scores.model_spread is None


@pytest.mark.parametrize("field", ["delta", "path"])
def test_all_rows_have_the_same_fields(tmp_path, field):
    some = {key: value for key, value in rows().items() if key != field}
    for blocks in ((rows(), some), (some, rows())):
        with pytest.raises(ValueError, match="in some rows only"), create(tmp_path / "x.h5", coords(10)) as writer:
            for block in blocks:
                writer.append(**block)


def test_the_file_of_other_programs(tmp_path):
    """TF-MoDISco reads these groups by name, gzip only."""
    block = rows(path=False)
    with create(tmp_path / "x.h5") as writer:
        writer.append(**block)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["raw/seq"].dtype == np.int8 and file["shap/seq"].compression == "gzip"
        np.testing.assert_array_equal(file["projected_shap/seq"][:], block["contributions"])
        assert "path" not in file


@pytest.mark.parametrize("room", [0, 100, 3000, 20_000, 100_000])
def test_a_full_disk_is_one_clear_error_and_hdf5_says_nothing(tmp_path, capfd, room):
    """pytest would turn an exception that nobody can catch, of an object that cannot be closed, into an error."""
    path, block = tmp_path / "x.h5", rows(500)
    path.write_text("good")
    with (
        disk_of(room),
        pytest.raises(SeqliftError, match=r"x.h5: the scores cannot be written \(File too large\); make room"),
        create(path, coords(500)) as writer,
    ):
        for first in range(0, 500, 100):
            writer.append(**part(block, slice(first, first + 100)))
    assert path.read_text() == "good" and [p.name for p in tmp_path.iterdir()] == ["x.h5"]
    assert capfd.readouterr().err == ""


def test_an_older_file_survives_a_failed_run(tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("good")
    with (
        pytest.raises(ValueError, match="2 rows were written for 5"),
        create(path) as writer,
    ):
        writer.append(**part(rows(path=False), slice(0, 2)))
    assert path.read_text() == "good" and [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_scores_that_are_not_finite_are_refused_by_region(tmp_path):
    block = rows(path=False)
    block["hypothetical"][3, 2, 1] = np.nan
    with (
        pytest.raises(SeqliftError, match="'a b3é'"),
        create(tmp_path / "x.h5") as writer,
    ):
        writer.append(**block)
    assert not list(tmp_path.iterdir())


def test_no_regions_is_a_file_too(tmp_path):
    with create(tmp_path / "x.h5", coords(0)):
        pass
    with open_scores(tmp_path / "x.h5") as scores:
        assert scores.hypothetical.shape == (0, 4, 12) and len(scores.coords) == 0


def test_a_file_of_an_older_format_is_refused_with_the_remedy(tmp_path):
    with create(tmp_path / "x.h5") as writer:
        writer.append(**rows(path=False))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file.attrs["format"] = "seqlift scores 1"
    with pytest.raises(SeqliftError, match="'seqlift scores 1', not 'seqlift scores 2'; make it again with"):
        open_scores(tmp_path / "x.h5").__enter__()


@pytest.mark.parametrize("content", [None, "text", "hdf5"])
def test_what_is_no_score_file_is_named(tmp_path, content):
    path = tmp_path / "x.h5"
    if content == "text":
        path.write_text("no")
    elif content == "hdf5":
        h5py.File(path, "w").close()
    with pytest.raises(SeqliftError, match=r"x\.h5"), open_scores(path):
        pass
