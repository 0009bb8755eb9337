"""DeepLIFT is exact on models written the ways people write them, and refuses by name what it cannot explain.

Exact means complete: the contributions add up to the difference of the predictions, for every sequence and reference.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.attribution_models import LENGTH, MODELS, REFUSED, N, Net, R, agree, build, one_hot, pairs
from seqlift import SeqliftError, deeplift
from seqlift.attribution import kernels, trace
from seqlift.attribution.rules import RULES

# PyTorch's own warnings about some models
pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning"),
]


PRECISIONS = [(rule, torch.float64, 1e-9) for rule in RULES] + [("rescale", torch.float32, 1e-4)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("rule", "dtype", "tolerance"), PRECISIONS, ids=[*RULES, "rescale in float32"])
def test_contributions_add_up(name, rule, dtype, tolerance):
    model, (x, references) = build(name, dtype), pairs(dtype)
    result = deeplift(model, x, references, target=1, rule=rule)
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
    if dtype == torch.float64:
        for batch_size in (2 * R, 3):  # whole sequences, parts of their references
            parts = deeplift(model, x, references, target=1, rule=rule, batch_size=batch_size)
            agree(parts, result, rtol=1e-7, atol=1e-9 * float(result.hypothetical.abs().max()))


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
    class Rounds(nn.Module):
        def forward(self, h):
            return h.round()

    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.Sequential(nn.ReLU(), Rounds()), nn.Flatten()).double()
    with pytest.raises(SeqliftError, match=r"`torch.Tensor.round` in `1\.1` \(Rounds\)"):
        deeplift(model, *pairs())


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_scripted_modules_are_refused():
    model = Net(lambda h, module: module(h), module=torch.jit.script(nn.Sequential(nn.ReLU())))
    with pytest.raises(SeqliftError, match=r"`module` \(RecursiveScriptModule\)"):
        deeplift(model.double(), *pairs())


def test_models_that_return_something_else_are_refused():
    with pytest.raises(SeqliftError, match="returns a tuple"):
        deeplift(lambda x: (x, x), *pairs())
    with pytest.raises(SeqliftError, match=r"shape \(3, 4, 24\)"):
        deeplift(lambda x: x * 1, *pairs())
    with pytest.raises(SeqliftError, match="does not depend"):
        deeplift(lambda x: torch.ones(len(x), 1), *pairs())


def test_the_number_of_models_is_what_the_documents_say():
    assert len(MODELS) >= 100 and math.isfinite(len(REFUSED))


class LowPrecisionInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            h = F.gelu(self.conv(x))
            attention = torch.softmax(h.mT @ h, -1)
            h = (attention @ h.mT).amax(1)
            return self.head(h).float()


@pytest.mark.filterwarnings("ignore:the contributions do not add up:UserWarning")  # of bfloat16, that is so
@pytest.mark.parametrize("rule", RULES)
def test_autocast_inside_a_model(rule):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LowPrecisionInside()
    x, references = pairs(torch.float32)
    result = deeplift(model, x, references, target=1, rule=rule)
    with torch.no_grad():
        torch.testing.assert_close(result.prediction, model(x)[:, 1])
    change = (result.prediction[:, None] - result.reference_prediction).abs()
    assert change.mean() > 0.01 and (result.delta.abs() < 0.05 * change.mean()).all()


def test_contributions_that_do_not_add_up_are_a_warning(monkeypatch):
    """Nothing is known to cause this; here the multipliers lose a tenth."""

    def lossy(*args):
        found, *predictions = multipliers(*args)
        return 0.9 * found, *predictions

    multipliers = trace.multipliers
    monkeypatch.setattr("seqlift.attribution.deeplift.multipliers", lossy)
    with pytest.warns(UserWarning, match=f"do not add up for .* of {N * R} pairs"):
        deeplift(build("F.relu"), *pairs(), target=1)


def test_checkpoints_are_as_before_after_a_walk():
    before = torch.utils.checkpoint.CheckpointFunction.apply
    deeplift(build("checkpointed, reentrant"), *pairs(), target=1)
    assert torch.utils.checkpoint.CheckpointFunction.apply == before
    assert "apply" not in vars(torch.utils.checkpoint.CheckpointFunction)


@pytest.mark.parametrize("name", ["F.relu", "max pool, overlapping", "global min"])
def test_compiled_and_written_out_rules_agree(name, monkeypatch):
    """What a GPU computes with PyTorch's operations, and what a CPU computes with compiled ones."""
    for dtype in (torch.float32, torch.float64):
        compiled = deeplift(build(name, dtype), *pairs(dtype), target=1)
        monkeypatch.setattr(kernels, "can_take", lambda *tensors: False)
        written_out = deeplift(build(name, dtype), *pairs(dtype), target=1)
        monkeypatch.undo()
        tolerance = 1e-5 if dtype == torch.float32 else 1e-12
        torch.testing.assert_close(compiled.hypothetical, written_out.hypothetical, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_compiled_rules_by_hand(n_threads, monkeypatch):
    monkeypatch.setattr(kernels, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    # of a sequence with two references: both positive, across the kink both ways, both negative, equal
    x = torch.tensor([[2.0, 3.0, -1.0, -2.0, 1.0, -1.0, 0.0]])
    r = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0], [4.0, -3.0, 3.0, -4.0, 1.0, -1.0, 0.0]])
    output, multiplier = kernels.relu(x, r)
    torch.testing.assert_close(output, r.clamp(min=0))
    torch.testing.assert_close(multiplier, torch.tensor([[1, 3 / 4, 1 / 2, 0, 1, 0, 0], [1, 1 / 2, 3 / 4, 0, 1, 0, 0]]))
    # the maximum of three moves from the second element (5, which was 1) to the first (3, which becomes 4)
    x, r = torch.tensor([[[1.0, 5.0, 2.0]]]), torch.tensor([[[3.0, 1.0, 2.0]], [[1.0, 5.0, 0.0]]])
    best = [t.max(-1, keepdim=True) for t in (x, r)]
    place, share = kernels.select(x, r, *(b.values for b in best), *(b.indices for b in best), 1)
    assert place.flatten().tolist() == [1, 1]
    torch.testing.assert_close(share.flatten(), torch.tensor([(5 - 3) / (5 - 1), 1.0]))
    given = kernels.scatter(torch.tensor([[[2.0]], [[3.0]]]), place, share, 3)
    torch.testing.assert_close(given, torch.tensor([[[0, 1.0, 0]], [[0, 3.0, 0]]]))


@pytest.mark.parametrize("length", [7, 24])
@pytest.mark.parametrize(
    "options", [(2,), (3, 1), (5, 2, 2), (3, 2, 1, 2), (4, 3, 0, 1, True), (3, 3, 1, 1, True), ((3,), (2,), (1,))]
)
def test_compiled_max_pooling_is_pytorchs(options, length):
    names = ["kernel_size", "stride", "padding", "dilation", "ceil_mode"]
    options = dict(zip(names, options, strict=False))
    values = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(0)).round(decimals=1)  # with ties
    for values_of_a_type in (values, values.double(), values[0]):
        ours, theirs = (f(values_of_a_type, **options) for f in (kernels.max_pool1d, F.max_pool1d_with_indices))
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    values[0, 0, 3] = torch.nan
    ours, _ = kernels.max_pool1d(values, **options)
    torch.testing.assert_close(ours, F.max_pool1d(values, **options), rtol=0, atol=0, equal_nan=True)


def test_top_k_by_hand():
    # The two largest of (5, 1, 4) from (2, 3, 0): 5 rises from 3 by the first element (2/3 of that one's change);
    # 4 rises from 2 by the lowest of those two on the reference, the third element (0 to 4), a share of 1/2.
    class Largest(nn.Module):
        def __init__(self, which):
            super().__init__()
            self.which = which

        def forward(self, x):
            return x[:, 0].topk(2, -1).values[:, self.which : self.which + 1]

    x, r = torch.zeros(1, 4, 3).double(), torch.zeros(1, 1, 4, 3).double()
    x[0, 0], r[0, 0, 0] = torch.tensor([5.0, 1.0, 4.0]), torch.tensor([2.0, 3.0, 0.0])
    for which, expected in ((0, [2.0, 0, 0]), (1, [0, 0, 2.0])):
        multipliers = trace.multipliers(Largest(which), x, r, lambda output: output[:, 0])[0][0, 0, 0]
        torch.testing.assert_close(multipliers * (x - r[0])[0, 0], torch.tensor(expected).double())


def test_a_choice_by_a_comparison_is_rescale_where_one_activation_is_all_there_is():
    leaky = deeplift(build("where, leaky"), *pairs(), target=1)
    model = build("where, leaky")
    model.middle = lambda h: F.leaky_relu(h, 0.1)
    named = deeplift(model, *pairs(), target=1)
    torch.testing.assert_close(leaky.hypothetical, named.hypothetical, rtol=1e-9, atol=1e-12)


TYPES = {torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float32: 1e-4, torch.float64: 1e-9}


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["F.relu", "gelu", "tanh", "max pool, overlapping", "top-k mean", "gate", "LayerNorm"])
def test_hardly_different_sequences_are_explained_in_every_precision(name, rule, dtype):
    """One base differs, so most activations do not change at all, and others by little."""
    model, x = build(name, dtype), one_hot(4, dtype=dtype)
    references = x[:, None].clone()
    references[:, 0, :, 5] = references[:, 0, :, 5].roll(1, -1)
    result = deeplift(model, x, references, target=1, rule=rule)
    exact = deeplift(build(name), x.double(), references.double(), target=1, rule=rule)
    assert result.hypothetical.isfinite().all()
    change = (exact.prediction[:, None] - exact.reference_prediction).abs()
    assert change.min() > 1e-4
    size = exact.prediction.abs().max()  # what the low precision rounds
    assert (result.delta.abs() <= TYPES[dtype] * size).all()
    torch.testing.assert_close(
        result.contributions.double(), exact.contributions, rtol=TYPES[dtype], atol=TYPES[dtype] * float(size)
    )


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("pool", [lambda h: F.max_pool1d(h, 4, 2), lambda h: h.amax(-1), lambda h: h.topk(3).values])
def test_ties_of_a_maximum_go_to_one_place(pool, dtype):
    """A poly-A against a poly-C: each filter sees the same everywhere, so all candidates of a maximum are equal."""
    x, r = torch.zeros(1, 4, LENGTH, dtype=dtype), torch.zeros(1, 1, 4, LENGTH, dtype=dtype)
    x[0, 0], r[0, 0, 1] = 1, 1
    weights = torch.tensor([[2.0, 1, 0, 0], [1.0, 3, 0, 0]], dtype=dtype)[..., None]

    def model(sequences):
        return pool(F.conv1d(sequences, weights)).flatten(1).sum(1, keepdim=True)

    result = deeplift(model, x, r)
    n = pool(torch.zeros(1, 1, LENGTH, dtype=dtype)).numel()
    change = n * ((2 - 1) + (1 - 3))  # of both filters, exact in every precision
    assert float(result.prediction - result.reference_prediction) == change
    assert float(result.contributions.sum()) == change and float(result.delta.abs().max()) == 0
    assert int((result.contributions != 0).sum()) == n  # each maximum one place
