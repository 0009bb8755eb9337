"""What is explained in Python becomes a score file that all stages read."""

import numpy as np
import pandas as pd
import pytest
import torch

import seqlift
from fixtures.motif import one_hot, place
from seqlift.scores.file import open_scores

LENGTH = 30


def network() -> torch.nn.Module:
    """A small network that knows nothing of this project."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * (LENGTH - 4), 1)
    )


def sequences(n=5) -> torch.Tensor:
    codes = np.random.default_rng(3).integers(0, 4, (n, LENGTH))
    codes[1, 4:6] = 4  # N
    return torch.from_numpy(one_hot(codes)).float()


METHODS = {
    "deeplift": lambda x: seqlift.deeplift(network(), x, n_references=3),
    "interior_gradients": lambda x: seqlift.interior_gradients(
        network(), x, steps=8, options=seqlift.InteriorGradientsOptions(keep_path=True)
    ),
    "mutagenesis": lambda x: seqlift.mutagenesis(network(), x),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_result_is_kept_as_it_is(tmp_path, method, monkeypatch):
    monkeypatch.setattr("seqlift.attribution.save._BLOCK", 2)  # the last block is shorter
    x = sequences()
    result = METHODS[method](x)
    path = seqlift.save_scores(tmp_path / "x.h5", result, x, place(5, LENGTH), target="factor")
    with open_scores(path) as scores:
        assert (scores.attributes["method"], scores.attributes["target"]) == (method, "factor")
        pd.testing.assert_frame_equal(scores.coords.astype(object), place(5, LENGTH).astype(object))
        np.testing.assert_array_equal(scores.sequences[:], x.numpy())
        for name in ("hypothetical", "contributions", "prediction", "delta", "standard_error", "n_references"):
            kept, given = getattr(scores, name), getattr(result, name, None)
            assert (kept is None) == (given is None)
            if given is not None:
                np.testing.assert_array_equal(kept[:], given.numpy())
        if method == "interior_gradients":
            np.testing.assert_array_equal(scores.interior["gradient_size"][:], result.path_gradient_size.numpy())
            np.testing.assert_array_equal(scores.interior["alphas"][:], result.alphas.numpy())
        else:
            assert scores.interior is None


def test_a_path_that_was_not_kept_is_left_out(tmp_path):
    x = sequences()
    result = seqlift.interior_gradients(network(), x, steps=8)
    with open_scores(seqlift.save_scores(tmp_path / "x.h5", result, x, place(5, LENGTH), target="f")) as scores:
        assert scores.interior is None and scores.delta is not None


def test_intervals_are_enough_and_lead_to_a_track(tmp_path):
    x = sequences()
    result = METHODS["deeplift"](x)
    coords = [("chr1", 10 * row, 10 * row + LENGTH) for row in range(5)]
    path = seqlift.save_scores(tmp_path / "x.h5", result, x.numpy(), coords, target="f", method="my.way")
    with open_scores(path) as scores:
        assert scores.coords["name"][2] == "chr1:20-50" and scores.coords["strand"].tolist() == ["."] * 5
        assert scores.attributes["method"] == "my.way"
    summary = seqlift.write_track(path, tmp_path / "x.bw", chromosome_sizes={"chr1": 100})
    assert summary.bases == 70 and summary.method == "my.way"  # N of one window has a base in another


def test_whole_numbers_may_come_as_floats(tmp_path):
    x = sequences()
    coords = place(5, LENGTH).astype({"start": float, "end": float}).drop(columns="name")
    path = seqlift.save_scores(tmp_path / "x.h5", METHODS["mutagenesis"](x), x, coords, target="f")
    with open_scores(path) as scores:
        assert scores.coords["start"].tolist() == place(5, LENGTH)["start"].tolist()
        assert scores.coords["name"][1] == "chr1:30-60"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coords": place(4, LENGTH)}, "`coords` has 4 rows for 5 sequences"),
        ({"coords": place(5, LENGTH - 1)}, "row 0 (chr1:0-29)"),
        ({"coords": place(5, LENGTH).drop(columns="end")}, "`coords` has no column 'end'"),
        ({"coords": place(5, LENGTH).assign(name="x")}, "the name 'x'"),
        ({"coords": place(5, LENGTH).assign(start=-30, end=0)}, "row 0 (chr1:-30-0)"),
        ({"coords": place(5, LENGTH).assign(start=0.5, end=30.5)}, "row 0 (chr1:0.5-30.5)"),
        ({"sequences": sequences(4)}, "`sequences` has shape (4, 4, 30), the scores have (5, 4, 30)"),
        ({"sequences": sequences().roll(1, 0)}, "`sequences`: 5 are not those that were explained, the first is row 0"),
        (
            {"sequences": sequences() * 0.5},
            "one-hot nor zeros (N), the first at sequence 0, position 0: [0.0, ",
        ),
        ({"target": "a b"}, "`target` (='a b') must be made of letters"),
        ({"method": ""}, "`method` (='') must be made of letters"),
        ({"result": {"contributions": 1}}, "`result` is a dict"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, change, said):
    x = sequences()
    given = {"result": METHODS["deeplift"](x), "sequences": x, "coords": place(5, LENGTH), "target": "f"} | change
    if isinstance(given["result"], dict):
        given["method"] = "deeplift"
    with pytest.raises(seqlift.SeqliftError) as raised:
        seqlift.save_scores(tmp_path / "x.h5", **given)
    assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_not_finite_leaves_no_file(tmp_path):
    x = sequences()
    result = seqlift.mutagenesis(lambda batch: batch.sum((1, 2))[:, None], x)
    result.hypothetical[:] = float("inf")
    with pytest.raises(seqlift.SeqliftError, match="not finite"):
        seqlift.save_scores(tmp_path / "x.h5", result, x, place(5, LENGTH), target="f")
    assert list(tmp_path.iterdir()) == []
