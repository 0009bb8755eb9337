"""Pairs of sequences and references: how many references, in which blocks, for which output and which models."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fixtures.attribution_models import FIELDS, LENGTH, agree, one_hot
from seqlift import SeqliftError, deeplift, interior_gradients
from seqlift.attribution.batch_size import default_batch_size
from seqlift.attribution.batches import centred
from seqlift.attribution.options import DeepLiftOptions, InteriorGradientsOptions
from seqlift.attribution.output_layer import ExplainedModel
from seqlift.attribution.references import dinucleotide_shuffles, uniform, zeros
from seqlift.attribution.totals import Block, Totals, summarise

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def small_net(*last, dtype=torch.float64, padding=0, outputs=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = nn.Linear(6 * (LENGTH - 4 + 2 * padding), outputs)
        return nn.Sequential(nn.Conv1d(4, 6, 5, padding=padding), nn.ReLU(), nn.Flatten(), dense, *last).to(dtype)


# --- references until the error is small enough -----------------------------------------------------------------------


class FirstA(nn.Module):
    """3 × how much A there is at the first position."""

    def forward(self, x):
        return 3 * x[:, 0, :1]


SPREADS = {0: 0.29, 1: 0.4, 2: 0.6, 3: 3.0}  # by the base at the second position


def alternating(sequences, n_references, seed):
    """The sequence itself, but with 1 ± s times its first base: the contributions are 3 (1 - (1 ± s)) = ∓ 3 s ..."""
    spread = torch.tensor([SPREADS[int(base)] for base in sequences[:, :, 1].argmax(1)], dtype=sequences.dtype)
    sign = 1 - 2 * (torch.arange(n_references) % 2)
    references = sequences[:, None].repeat(1, n_references, 1, 1)
    references[:, :, 0, 0] = spread[:, None] * sign  # ... around 0, so they are 3 (1 ∓ s), 3 on average
    return references


def four_spreads():
    x = torch.zeros(4, 4, 3, dtype=torch.float64)
    x[:, 0, 0] = x[:, 2, 2] = 1
    x[range(4), range(4), 1] = 1
    return x


def test_auto_stops_where_the_error_is_small_enough():
    """The standard error of n contributions 3 (1 ∓ s) is 3 s / √(n - 1): at most 0.3 from n = 1 + (s / 0.1)² on.

    That is n = 10 for s = 0.29 (9.4), 20 for 0.4 (17), 40 for 0.6 (37) and more than can be had for 3 (901).
    """
    result = deeplift(
        FirstA(), four_spreads(), alternating, n_references="auto", options=DeepLiftOptions(max_references=55)
    )
    assert result.n_references.tolist() == [10, 20, 40, 55]
    assert result.delta.shape == result.reference_prediction.shape == (4, 55)
    for row, used in enumerate(result.n_references):
        for values in (result.delta[row], result.reference_prediction[row]):
            assert values[:used].isfinite().all() and values[used:].isnan().all()
    expected = torch.tensor([3 * s / (n - 1) ** 0.5 for s, n in zip(SPREADS.values(), (10, 20, 40), strict=False)])
    torch.testing.assert_close(result.standard_error[:3, 0], expected.double())
    torch.testing.assert_close(result.contributions[:3].sum((1, 2)), torch.full((3,), 3.0).double())


def test_a_smaller_share_takes_more_references():
    """s = 0.29 and a share of 0.05 need n = 1 + 5.8² = 34.6 references; nobody needs all of the 200."""
    result = deeplift(
        FirstA(), four_spreads()[:1], alternating, n_references="auto", options=DeepLiftOptions(max_relative_error=0.05)
    )
    assert result.n_references.tolist() == [40] and result.delta.shape == (1, 40)


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_auto_gives_what_the_same_number_of_fixed_references_gives(explain):
    model, x = small_net(nn.Softplus()), one_hot(12)
    auto = explain(
        model,
        x,
        dinucleotide_shuffles,
        n_references="auto",
        options=InteriorGradientsOptions(max_relative_error=0.15, max_references=60),
    )
    assert len(set(auto.n_references.tolist())) > 2, "the sequences should differ in what they need"
    for row, used in enumerate(auto.n_references.tolist()):
        fixed = explain(model, x[row : row + 1], dinucleotide_shuffles, n_references=used)
        assert fixed.n_references.tolist() == [used]
        for field in FIELDS:
            got, wanted = getattr(auto, field)[row], getattr(fixed, field)[0]
            got = got[:used] if field in ("delta", "reference_prediction") else got
            torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)


def test_a_callable_that_can_start_later_makes_only_the_new_references():
    calls = []

    def from_the_first(sequences, n_references, seed):
        calls.append((0, n_references))
        return dinucleotide_shuffles(sequences, n_references, seed)

    def from_any(sequences, n_references, seed, start=0):
        calls.append((start, n_references))
        return dinucleotide_shuffles(sequences, n_references, seed, start=start)

    model, x = small_net(), one_hot(2)
    call = {"n_references": "auto", "options": DeepLiftOptions(max_relative_error=1e-6, max_references=25)}
    first = deeplift(model, x, from_the_first, **call)
    assert calls == [(0, 10), (0, 20), (0, 25)]
    calls.clear()
    agree(deeplift(model, x, from_any, **call), first)
    assert calls == [(0, 10), (10, 10), (20, 5)]


def test_memory_does_not_grow_with_the_number_of_references():
    most = 0

    def many(sequences, n_references, seed, start=0):
        nonlocal most
        most = max(most, len(sequences) * n_references)
        return dinucleotide_shuffles(sequences, n_references, seed, start=start)

    result = deeplift(small_net(), one_hot(2), many, n_references=50, batch_size=8)
    assert most <= 8  # of 100
    agree(result, deeplift(small_net(), one_hot(2), n_references=50))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"references": one_hot(3), "n_references": "auto"}, "a callable or None"),
        ({"n_references": "all"}, r"`n_references` \(='all'\)"),
        ({"n_references": 2.5}, r"`n_references` \(=2.5\)"),
        ({"n_references": "auto", "options": DeepLiftOptions(max_relative_error=0.0)}, "`max_relative_error`"),
        ({"n_references": "auto", "options": DeepLiftOptions(max_references=1)}, "`max_references`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"sequences": torch.zeros(0, 4, LENGTH)}, "no sequence"),
        ({"options": DeepLiftOptions(output="odds")}, "`output`"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(SeqliftError, match=words):
        deeplift(small_net(), **({"sequences": one_hot(2)} | call))


# --- running figures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [(7,), (1,) * 7, (3, 1, 2, 1)])
def test_figures_of_pieces_are_those_of_the_whole(pieces):
    generator = torch.Generator().manual_seed(0)
    x, references, m = (torch.randn(3, *shape, 4, 5, generator=generator).double() for shape in ((), (7,), (7,)))
    path, fx, fr = (
        torch.randn(3, 7, 2, generator=generator).double(),
        torch.randn(3).double(),
        torch.randn(3, 7).double(),
    )
    totals, start = Totals(x, 7, torch.device("cpu")), 0
    for size in pieces:
        some = slice(start, start + size)
        block = Block(m[:, some], fx, fr[:, some], {"path_slope": path[:, some]}, torch.full((3, size), start))
        totals.add(torch.arange(3), some, summarise(x, references[:, some], block))
        start += size
    result = totals.result()
    contributions = (m * (x[:, None] - references)).sum(2)  # (3, 7, 5)
    hypothetical = (m - (m * references).sum(2, keepdim=True)).mean(1)
    torch.testing.assert_close(result["hypothetical"], hypothetical)
    torch.testing.assert_close(result["contributions"], hypothetical * x)
    torch.testing.assert_close(result["standard_error"], contributions.std(1) / 7**0.5)
    torch.testing.assert_close(result["delta"], fx[:, None] - fr - contributions.sum(-1))
    torch.testing.assert_close(result["path_slope"], path.mean(1))
    assert result["n_references"].tolist() == [7, 7, 7]
    assert result["steps"][0].tolist() == [sum(pieces[:i]) for i, size in enumerate(pieces) for _ in range(size)]


def test_a_large_offset_takes_no_digits_from_the_standard_error():
    """Sums of squares would lose all of them: the spread is 1e-3 of contributions of 1e5 in float32."""
    noise = torch.randn(1, 40, 1, generator=torch.Generator().manual_seed(0))
    m = torch.zeros(1, 40, 4, 1)
    m[:, :, 0] = 1e5 + noise * 1e2
    x = torch.tensor([[[1.0], [0], [0], [0]]])
    totals = Totals(x, 40, torch.device("cpu"))
    for k in range(0, 40, 4):
        block = Block(m[:, k : k + 4], torch.zeros(1), torch.zeros(1, 4))
        totals.add(torch.arange(1), slice(k, k + 4), summarise(x, torch.zeros(1, 4, 4, 1), block))
    expected = m[0, :, 0, 0].double().std() / 40**0.5
    assert float(totals.result()["standard_error"]) == pytest.approx(float(expected), rel=1e-6)


# --- blocks -----------------------------------------------------------------------------------------------------------

WAYS = {
    "plain": {"n_references": 5},
    "auto": {"n_references": "auto", "options": DeepLiftOptions(max_relative_error=0.3, max_references=25)},
    "centred": {"references": zeros, "n_references": 3, "options": DeepLiftOptions(center_first_layer=True)},
    "probability": {"n_references": 5, "options": DeepLiftOptions(output="probability")},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch_size", [1, 3, 7, 26])
def test_results_do_not_depend_on_the_batch(way, batch_size):
    model, x = small_net(nn.Sigmoid()), one_hot(6)
    x[2, :, 3:6] = 0  # N
    whole, parts = deeplift(model, x, **WAYS[way]), deeplift(model, x, batch_size=batch_size, **WAYS[way])
    agree(parts, whole, (*FIELDS, "n_references"))
    one = deeplift(model, x[2:3], **WAYS[way])
    torch.testing.assert_close(one.hypothetical[0], whole.hypothetical[2], rtol=1e-9, atol=1e-12)


class Memory(nn.Module):
    """A net whose device holds `rows` rows, and remembers how many it got."""

    def __init__(self, net, rows, error):
        super().__init__()
        self.net, self.rows, self.error = net, rows, error
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.rows:
            raise self.error
        return self.net(x)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes."),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("rows", [20, 5, 2])
@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_out_of_memory_takes_smaller_blocks(explain, rows, error):
    net, x, references = small_net(), one_hot(7), one_hot(4, seed=2)
    model = Memory(net, rows, error)
    result = explain(model, x, references, batch_size=64)
    agree(result, explain(net, x, references))
    too_large = Counter(n for n in model.seen if n > rows)
    assert too_large and max(too_large.values()) <= 2, "what did not fit is not tried again and again"


def test_the_allocators_own_error_is_understood():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    net, x, references = small_net(), one_hot(2), one_hot(4, seed=2)
    agree(deeplift(Memory(net, 3, raised.value), x, references, batch_size=8), deeplift(net, x, references))


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_a_single_row_that_does_not_fit_is_an_error_that_says_so(explain):
    model = Memory(small_net().train(), 0, OUT_OF_MEMORY[0])
    with pytest.raises(SeqliftError, match="out of memory with a single sequence"):
        explain(model, one_hot(2), one_hot(4, seed=2))
    assert all(module.training for module in model.net.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_other_errors_of_the_model_are_its_own():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        deeplift(Memory(small_net(), 3, RuntimeError("mat1 and mat2 shapes cannot be multiplied")), one_hot(2))


def test_the_batch_size_fits_the_largest_activation():
    """Rows × the bytes of one row are the same for any width; weights, however large, are no activations."""

    def rows(channels, length, dtype=torch.float32):
        net = nn.Sequential(nn.Conv1d(4, channels, 3, padding=1), nn.ReLU(), nn.Flatten()).to(dtype)
        return default_batch_size(net, one_hot(2, length, dtype=dtype))

    narrow = rows(16, 400)
    assert rows(64, 400) == pytest.approx(narrow / 4, rel=0.02)
    assert rows(16, 800) == pytest.approx(narrow / 2, rel=0.02)
    assert rows(16, 400, torch.float64) == pytest.approx(narrow / 2, rel=0.02)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(1600, 2000), nn.Linear(2000, 1))
    assert default_batch_size(dense, one_hot(1, 400, dtype=torch.float32)) > narrow


# --- models whose rows are not their own ------------------------------------------------------------------------------


class Mixes(nn.Module):
    def __init__(self, mix, dtype=torch.float64):
        super().__init__()
        self.net, self.mix = small_net(dtype=dtype), mix

    def forward(self, x):
        return self.net(self.mix(x))


MIXING = {
    "centred": lambda x: x - x.mean(0),
    "flipped": lambda x: x.flip(0),
    "the row before": lambda x: x + x.roll(1, 0),
    "summed up": lambda x: x.cumsum(0),
    "summed up from the end": lambda x: x.flip(0).cumsum(0).flip(0),
    "noise": lambda x: x + 9 * torch.rand(x.shape).to(x.dtype),
}


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mix", MIXING)
@pytest.mark.parametrize("n", [1, 5])
def test_models_that_mix_rows_are_refused(mix, dtype, n, explain):
    model = Mixes(MIXING[mix], dtype).train()
    with pytest.raises(SeqliftError, match="depends on the others in its batch, or is random"):
        explain(model, one_hot(n, dtype=dtype), n_references=3)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_models_that_do_not_mix_are_not_refused(dtype):
    """Nor where the output is the small difference of large numbers, which rounding fills with noise."""
    net = small_net(dtype=dtype)

    def model(x):
        return (net(x) * 100 + 3000) - net(x.flip(1, 2)) * 100 - 3000

    for n in (1, 4):
        assert deeplift(model, one_hot(n, dtype=dtype), n_references=3).hypothetical.isfinite().all()
    x = one_hot(1, dtype=dtype)
    assert not deeplift(model, x, x).contributions.any()  # a sequence that is its own reference


def test_what_has_no_rule_is_named_before_rows_that_mix():
    model = Mixes(lambda x: (x - x.mean(0)).cummax(-1).values)
    with pytest.raises(SeqliftError, match="cummax"):
        deeplift(model, one_hot(3), n_references=2)


# --- centring the first layer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_centred_zeros_are_the_uniform_reference(explain):
    model, x = small_net(padding=2), one_hot(4)
    x[1, :, 5:9] = 0  # N
    by_centring = explain(model, x, zeros, n_references=2, options=InteriorGradientsOptions(center_first_layer=True))
    agree(by_centring, explain(model, x, uniform, n_references=2), rtol=0, atol=0)
    assert by_centring.contributions[1, :, 5:9].abs().max() == 0


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_centring_is_centring_the_weights(explain):
    """Without padding: W' = W - mean over bases, b' = b + Σ mean, the same function of one-hot sequences."""
    model, centred_model, x = small_net(), small_net(), one_hot(3)
    references = torch.rand(3, 5, 4, LENGTH, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        mean = model[0].weight.mean(1, keepdim=True)
        centred_model[0].weight -= mean
        centred_model[0].bias += mean.sum((1, 2))
        torch.testing.assert_close(centred_model(x), model(x))
    calls = explain(model, x, references, options=InteriorGradientsOptions(center_first_layer=True))
    agree(calls, explain(centred_model, x, references))
    uncentred = explain(model, x, references)
    assert (calls.contributions - uncentred.contributions).abs().max() > 0.01 * uncentred.contributions.abs().max()


def test_references_that_sum_to_one_are_complete():
    x = one_hot(3)
    references = dinucleotide_shuffles(x, 4, 0)
    assert torch.equal(centred(x, references), references)


# --- the output that is explained -------------------------------------------------------------------------------------


ENDINGS = {
    "nn.Sigmoid": (nn.Sigmoid(), False),
    "torch.sigmoid": (lambda z: torch.sigmoid(z), False),
    "Tensor.sigmoid": (lambda z: z.sigmoid(), False),
    "in place": (lambda z: z.sigmoid_(), False),
    "F.logsigmoid": (lambda z: F.logsigmoid(z), False),
    "nn.Softmax": (nn.Softmax(1), True),
    "Tensor.softmax": (lambda z: z.softmax(-1), True),
    "log_softmax": (lambda z: F.log_softmax(z, dim=1), True),
    "views": (lambda z: torch.sigmoid(z[:, None]).squeeze(1).reshape(-1, 3).flatten(1)[:, :], False),
    "softmax of views": (lambda z: z.view(-1, 1, 3).softmax(-1).squeeze(1), True),
    "heads": (lambda z: torch.cat([torch.sigmoid(z[:, :1]), torch.sigmoid(z[:, 1:])], 1), False),
    "by keyword": (
        lambda z: torch.cat(tensors=[torch.sigmoid(z)[:, :2], torch.flatten(input=z[:, 2:].sigmoid())[:, None]], dim=1),
        False,
    ),
    "stacked": (lambda z: torch.stack([torch.sigmoid(z[:, k]) for k in range(3)], 1), False),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_logits_and_probabilities(ending):
    last, is_softmax = ENDINGS[ending]
    net, x, references = small_net(outputs=3), one_hot(3), one_hot(2, seed=5)

    def model(s):
        return last(net(s))

    def logits(s):
        z = net(s)
        return z - z.mean(1, keepdim=True) if is_softmax else z

    def probabilities(s):
        p = last(net(s))
        return p.exp() if ending in ("F.logsigmoid", "log_softmax") else p

    for target in (0, 2):
        agree(deeplift(model, x, references, target=target), deeplift(logits, x, references, target=target))
        with torch.no_grad():
            calls = ExplainedModel(model, "probability")(x)
            torch.testing.assert_close(calls, probabilities(x))
            assert ((calls > 0) & (calls < 1)).all()
        result = deeplift(model, x, references, target=target, options=DeepLiftOptions(output="probability"))
        torch.testing.assert_close(result.prediction, probabilities(x).detach()[:, target])
        assert result.delta.abs().max() < 1e-12


@pytest.mark.filterwarnings("ignore:Implicit dimension choice for softmax")
def test_softmax_without_a_dim():
    net, x = small_net(), one_hot(3)
    with torch.no_grad():
        torch.testing.assert_close(ExplainedModel(nn.Sequential(net, nn.Softmax()))(x), net(x) - net(x).mean(1, True))


def test_one_unit_solved_by_hand():
    """f = sigmoid(4 a - 2) of the first A: its logit has 4, its probability sigmoid(2) - sigmoid(-2) = 0.7616."""
    x = torch.zeros(1, 4, 2, dtype=torch.float64)
    x[0, 0, 0] = 1

    def model(s):
        return torch.sigmoid(4 * s[:, 0, 0] - 2)  # (N,)

    call = {"sequences": x, "references": torch.zeros_like(x)}
    assert float(deeplift(model, **call).contributions[0, 0, 0]) == pytest.approx(4)
    probability = deeplift(model, **call, options=DeepLiftOptions(output="probability"))
    assert float(probability.contributions[0, 0, 0]) == pytest.approx(0.7615941559557649)
    logit = deeplift(lambda s: 4 * s[:, 0, 0] - 2, **call, options=DeepLiftOptions(output="probability"))
    assert float(logit.contributions[0, 0, 0]) == pytest.approx(0.7615941559557649)


@pytest.mark.parametrize(
    "last",
    [
        lambda z: torch.sigmoid(z) * 2,
        lambda z: torch.sigmoid(z).mul_(2),
        lambda z: torch.cat([torch.sigmoid(z), z], 1),
        lambda z: torch.sigmoid(z) + torch.sigmoid(-z) * z,
    ],
)
def test_a_model_that_ends_otherwise_is_explained_as_it_is(last):
    net, x = small_net(), one_hot(3)
    with torch.no_grad():
        torch.testing.assert_close(ExplainedModel(lambda s: last(net(s)))(x), last(net(x)))
        torch.testing.assert_close(ExplainedModel(lambda s: last(net(s)), "probability")(x), last(net(x)).sigmoid())


def test_sigmoids_inside_a_model_are_not_its_output():
    net, x = small_net(nn.Sigmoid(), nn.Linear(2, 1).double()), one_hot(3)
    with torch.no_grad():
        torch.testing.assert_close(ExplainedModel(net)(x), net(x))


def test_logits_changed_afterwards_are_not_explained():
    def model(s):
        z = s.sum(1)
        p = torch.sigmoid(z)
        z.zero_()
        return p

    with pytest.raises(SeqliftError, match="logits in place"):
        ExplainedModel(model)(one_hot(2))


def test_shapes_of_outputs():
    x = one_hot(3)
    assert ExplainedModel(lambda s: s.sum((1, 2)))(x).shape == (3, 1)
    assert ExplainedModel(lambda s: s.sum((1, 2), keepdim=True).squeeze())(x[:1]).shape == (1, 1)
    assert ExplainedModel(lambda s: s[:, :, 0].squeeze())(x[:1]).shape == (1, 4)
    for wrong in (lambda s: s, lambda s: s.sum(), lambda s: s[:2, :, 0], lambda s: s.flatten()):
        with pytest.raises(SeqliftError, match=r"must be \(N, T\), here \(3, T\)"):
            ExplainedModel(wrong)(x)


# --- the model is restored --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_inference_mode_does_not_matter(explain):
    net, references = small_net(), one_hot(2, seed=3)
    expected = explain(net, one_hot(3), references)
    with torch.inference_mode():
        agree(explain(net, one_hot(3), references), expected)
        assert torch.is_inference_mode_enabled()
    assert not any(parameter.is_inference() for parameter in net.parameters())


class Counts(nn.Module):
    """Changes its buffers even in evaluation, and in training mode for good measure."""

    def __init__(self):
        super().__init__()
        self.net = small_net()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(4, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(4, dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        return self.net(F.batch_norm(x, self.mean, self.variance, training=True))


def test_buffers_are_restored_also_after_a_refusal():
    model = Counts()
    calls = model.calls
    with pytest.raises(SeqliftError, match="statistics of the batch"):
        deeplift(model, one_hot(3), n_references=2)
    with pytest.raises(SeqliftError, match="depends on the others"):
        interior_gradients(model, one_hot(3), n_references=2)
    assert model.calls is calls and float(calls) == 0
    assert not model.mean.any() and (model.variance == 1).all()
