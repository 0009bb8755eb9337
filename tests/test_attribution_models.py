"""DeepLIFT is exact on models written the ways people write them, and refuses by name what it cannot explain.

Exact means complete: the contributions add up to the difference of the predictions, for every sequence and reference.
"""

import math

import pytest
import torch
from torch import nn

from attribution_models import MODELS, REFUSED, N, Net, R, build, one_hot, pairs
from seqlift import SeqliftError, deeplift


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=["f64", "f32"])
def test_contributions_add_up(name, dtype, tolerance):
    model, (x, references) = build(name, dtype), pairs(dtype)
    result = deeplift(model, x, references, target=1)
    model.eval()
    with torch.no_grad():
        fx, fr = model(x)[:, 1], model(references.flatten(0, 1))[:, 1].view(N, R)
    change = fx[:, None] - fr
    assert change.abs().max() > 1e-4, "nothing to explain"
    torch.testing.assert_close(result.prediction, fx, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.reference_prediction, fr, rtol=tolerance, atol=tolerance)
    total = result.contributions.sum((1, 2))  # over bases and positions: the mean over references
    torch.testing.assert_close(total, change.mean(1), rtol=tolerance, atol=tolerance * float(change.abs().max()))
    assert (result.delta.abs() <= tolerance * change.abs().clamp(min=float(change.abs().mean()))).all()


@pytest.mark.parametrize("name", MODELS)
def test_results_do_not_depend_on_the_batch(name):
    model, (x, references) = build(name), pairs()
    whole = deeplift(model, x, references, target=1)
    parts = deeplift(model, x, references, target=1, batch_size=2 * R)
    single = deeplift(model, x, references, target=1, batch_size=3)
    for other in (parts, single):
        for field in ("hypothetical", "delta", "standard_error", "reference_prediction"):
            torch.testing.assert_close(getattr(other, field), getattr(whole, field), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["F.relu", "max pool, overlapping", "GroupNorm", "softmax", "gate", "F.normalize"])
def test_equal_sequences_have_no_contributions_and_finite_multipliers(name):
    """Δ = 0 everywhere: the multipliers are slopes, the contributions 0."""
    x = one_hot()
    result = deeplift(build(name), x, x[:, None], target=1)
    assert result.hypothetical.isfinite().all()
    assert result.contributions.abs().max() < 1e-12


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_explained_is_refused_by_name(name):
    make, words = REFUSED[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make()
        if isinstance(model, nn.Module):
            model.double().head = nn.Identity()
    with pytest.raises(SeqliftError, match=words):
        deeplift(model, *pairs())


def test_the_refusal_names_the_place():
    class Sorts(nn.Module):
        def forward(self, h):
            return h.sort(-1).values

    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.Sequential(nn.ReLU(), Sorts()), nn.Flatten()).double()
    with pytest.raises(SeqliftError, match=r"`torch.Tensor.sort` in `1\.1` \(Sorts\)"):
        deeplift(model, *pairs())


def hidden_scripted():
    return Net(lambda h, module: module(h), module=torch.jit.script(nn.Sequential(nn.ReLU())))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_scripted_modules_are_refused():
    with pytest.raises(SeqliftError, match=r"`module` \(RecursiveScriptModule\)"):
        deeplift(hidden_scripted().double(), *pairs())


def test_models_that_return_something_else_are_refused():
    with pytest.raises(SeqliftError, match="returns a tuple"):
        deeplift(lambda x: (x, x), *pairs())
    with pytest.raises(SeqliftError, match=r"shape \(3, 4, 24\)"):
        deeplift(lambda x: x * 1, *pairs())
    with pytest.raises(SeqliftError, match="does not depend"):
        deeplift(lambda x: torch.ones(len(x), 1), *pairs())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 0.05), (torch.bfloat16, 0.2)], ids=["float16", "bfloat16"]
)
@pytest.mark.parametrize("name", ["F.relu", "gelu", "max pool, overlapping", "gate", "BatchNorm"])
def test_low_precision_stays_near_the_exact_scores(name, dtype, tolerance):
    exact = deeplift(build(name), *pairs(), target=1)
    low = deeplift(build(name, dtype), *pairs(dtype), target=1)
    scale = exact.contributions.abs().max()
    assert low.hypothetical.isfinite().all()
    assert (low.contributions.double() - exact.contributions).abs().max() < tolerance * scale


def test_the_number_of_models_is_what_the_documents_say():
    assert len(MODELS) >= 100 and math.isfinite(len(REFUSED))
