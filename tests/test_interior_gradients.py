"""Interior gradients: paths solved by hand, captum as oracle, and a loop over the points."""

import contextlib
import functools
import re

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from fixtures.attribution_models import CHANNELS, LENGTH, MODELS, N, R, StraightThrough, agree, build, one_hot, pairs
from seqlift import SeqliftError, interior_gradients
from seqlift.attribution import path
from seqlift.attribution.interior_gradients import FIRST_STEPS, quadrature_nodes
from seqlift.attribution.options import InteriorGradientsOptions
from seqlift.attribution.references import dinucleotide_shuffles, uniform, zeros

# Few steps, so that the tests are fast
pytestmark = pytest.mark.filterwarnings("ignore:the contributions of:UserWarning")

FIELDS = ("hypothetical", "contributions", "delta", "path_prediction", "path_slope", "alpha_half", "alpha_90")


# --- solved by hand ---------------------------------------------------------------------------------------------------


def along_one_base(function, **arguments):
    """f of the first base alone, from 0 to 1: α itself."""
    x = torch.zeros(1, 4, 3, dtype=torch.float64)
    x[0, 2, 0] = 1
    return interior_gradients(lambda s: function(s[:, 2, 0])[:, None], x, zeros, **arguments)


@pytest.mark.parametrize("threshold", [0.2, 0.7])
def test_a_rectifier_that_opens_on_the_way(threshold):
    """f = max(0, α - t): ∫ f' = 1 - t; half of it has come at α = (1 + t) / 2, 90 % at t + 0.9 (1 - t)."""
    result = along_one_base(lambda a: F.relu(a - threshold), steps=400)
    assert float(result.contributions[0, 2, 0]) == pytest.approx(1 - threshold, abs=0.005)
    assert float(result.alpha_half) == pytest.approx((1 + threshold) / 2, abs=1e-4)
    assert float(result.alpha_90) == pytest.approx(0.1 * threshold + 0.9, abs=1e-4)
    torch.testing.assert_close(result.path_slope[0], (result.alphas > threshold).double())
    torch.testing.assert_close(result.path_prediction[0], (result.alphas - threshold).clamp(min=0))


def test_a_saturated_sigmoid():
    """f = σ(20 α - 6): at the sequence its gradient is all but gone, on the way it is not."""
    model = lambda a: torch.sigmoid(20 * a - 6)  # noqa: E731
    result = along_one_base(model, steps=400, options=InteriorGradientsOptions(output="probability"))
    start, end = (float(torch.sigmoid(torch.tensor(v).double())) for v in (-6, 14))
    assert float(result.contributions.sum()) == pytest.approx(end - start, rel=1e-9)
    assert float(result.path_slope[0, -1]) < 1e-3 and float(result.path_slope.max()) == pytest.approx(5, rel=1e-3)
    for name, share in (("alpha_half", 0.5), ("alpha_90", 0.9)):
        value = torch.tensor(start + share * (end - start)).double()
        assert float(getattr(result, name)) == pytest.approx(float((torch.logit(value) + 6) / 20), abs=1e-4)


def test_quadrature_is_as_good_as_it_should_be():
    """f = α³: two Gauss-Legendre points give ∫ 3 α² exactly; K midpoints miss it by 1 / (4 K²)."""
    assert float(along_one_base(lambda a: a**3, steps=2).contributions.sum()) == pytest.approx(1, abs=1e-14)
    midpoint = along_one_base(lambda a: a**3, steps=5, options=InteriorGradientsOptions(quadrature="midpoint"))
    assert float(midpoint.contributions.sum()) == pytest.approx(1 - 1 / 100, abs=1e-14)
    assert float(midpoint.delta) == pytest.approx(1 / 100, abs=1e-14)


def test_where_nothing_changes_there_is_no_alpha():
    result = along_one_base(lambda a: torch.sin(2 * torch.pi * a) + 3, steps=30)  # there and back again
    assert result.alpha_half.isnan().all() and result.alpha_90.isnan().all()
    assert result.delta.abs().max() < 1e-9


def test_the_first_of_several_crossings_counts():
    """f = sin(3π α / 2) goes to 1 at α = 1/3 and ends at -1: of the change of -1, half has come once f < -1/2."""
    result = along_one_base(lambda a: torch.sin(1.5 * torch.pi * a), steps=200)
    assert float(result.alpha_half) == pytest.approx(7 / 9, abs=1e-3)


# --- captum -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quadrature", "method"), [("gauss-legendre", "gausslegendre"), ("midpoint", "riemann_middle")]
)
@pytest.mark.parametrize("name", ["F.relu", "gelu", "BatchNorm", "2-D convolutions", "max pool, overlapping", "LSTM"])
def test_captum_agrees(name, quadrature, method):
    model, (x, references) = build(name).eval(), pairs()
    ours = interior_gradients(
        model, x, references, target=1, steps=11, options=InteriorGradientsOptions(quadrature=quadrature)
    )
    oracle = captum.attr.IntegratedGradients(model)
    theirs = [
        oracle.attribute(x, references[:, k], target=1, n_steps=11, method=method, return_convergence_delta=True)
        for k in range(R)
    ]
    mean = torch.stack([scores for scores, _ in theirs]).mean(0).sum(1)
    # captum keeps its steps in single precision; its delta is Σ contributions - change, ours what is left of the change
    torch.testing.assert_close(ours.contributions.sum(1), mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(ours.delta, -torch.stack([delta for _, delta in theirs], 1), rtol=1e-6, atol=1e-7)


# --- the fast computation ---------------------------------------------------------------------------------------------


def point_by_point(model, x, references, alphas, weights, target=1):
    """Average gradient (N, R, 4, L), f and slope (N, R, K), as the equations say it; or why there is no gradient."""
    n, r = references.shape[:2]
    average, f, slope = torch.zeros_like(references), [], []
    for alpha, weight in zip(alphas, weights, strict=True):
        points = (references + alpha * (x[:, None] - references)).flatten(0, 1).requires_grad_()
        value = model(points.clone())[:, target]
        try:
            (gradient,) = torch.autograd.grad(value.sum(), points)
        except RuntimeError as reason:
            return str(reason)
        gradient = gradient.view(references.shape)
        average += weight * gradient
        f.append(value.detach().view(n, r))
        slope.append((gradient * (x[:, None] - references)).sum((2, 3)))
    return average, torch.stack(f, 2), torch.stack(slope, 2)


@pytest.fixture(params=[False, True], ids=["", "channels last"])
def layout(request, monkeypatch):
    """Both orders in memory, in double precision, where nothing can hide behind rounding."""
    monkeypatch.setattr(path, "is_worthwhile", lambda value: request.param)


@pytest.mark.filterwarnings("ignore:LSTM with projections", "ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_explained_as_point_by_point(name, layout):
    model, (x, references) = build(name).eval(), pairs()
    oracle = point_by_point(model, x, references, *quadrature_nodes(5))
    if isinstance(oracle, str):  # an error, never a wrong score
        known = "modified by an inplace operation" in oracle or "incompatible with .grad()" in oracle
        with pytest.raises(SeqliftError, match=re.escape(oracle[:60]) if known else "has no gradient"):
            interior_gradients(model, x, references, target=1, steps=5)
        return
    average, f, slope = oracle
    hypothetical = (average - (average * references).sum(2, keepdim=True)).mean(1)
    for arguments in ({}, {"batch_size": 17}, {"options": InteriorGradientsOptions(keep_path=True)}):
        result = interior_gradients(model, x, references, target=1, steps=5, **arguments)
        scale = float(hypothetical.abs().max())
        torch.testing.assert_close(result.hypothetical, hypothetical, rtol=1e-9, atol=1e-9 * scale)
        torch.testing.assert_close(result.path_prediction, f.mean(1), rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(result.path_slope, slope.mean(1), rtol=1e-9, atol=1e-9 * float(slope.abs().max()))


class Convolutions(TorchDispatchMode):
    """Counts the rows given to convolutions over the four bases, forward and back."""

    def __init__(self):
        super().__init__()
        self.forward = self.backward = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        if name.startswith("aten.convolution.") and 4 in (args[0].shape[1], args[0].shape[2]):
            self.forward += len(args[0])
        elif name.startswith("aten.convolution_backward") and 4 in (args[1].shape[1], args[1].shape[2]):
            self.backward += len(args[0])
        return function(*args, **(kwargs or {}))


STEPS = 50


def rows_of_the_first_layer(model, x, references, **arguments):
    with Convolutions() as counted:
        interior_gradients(model, x, references, steps=STEPS, batch_size=1000, **arguments)
    return counted.forward, counted.backward


@pytest.mark.parametrize(
    "name",
    [
        "nn.ReLU", "nn.ReLU in place", "Tensor.relu_", "BatchNorm", "LayerNorm over channels", "average pool",
        "max pool, padded", "residual", "concatenation", "arithmetic with numbers", "arithmetic in place", "gate",
        "detached statistics", "TransformerEncoderLayer", "2-D convolutions", "Basset of modules", "linear only",
    ],
)  # fmt: skip
def test_the_first_layer_is_run_at_the_ends_of_the_paths_alone(name):
    forward, backward = rows_of_the_first_layer(build(name), *pairs())
    points = N * R * STEPS
    assert forward < 0.15 * points and N * R <= backward < 0.05 * points


def wrapped(function):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = build("F.relu")

        def forward(self, x, *args):
            return function(self.net, x, *args)

    return Wrapped()


def reversed_view(net, x):
    """Another view of what is then changed in place is still in use."""
    h = net.conv(x)
    first = h[:, 0]
    h.relu_()
    return net.head((h + first[:, None]).flatten(1))


def unseen(net, x):
    h = net.conv(x)
    with torch._C.DisableTorchFunction():
        h = torch.relu(h)
    return net.head(h.flatten(1))


def unseen_and_detached(net, x):
    h = net.conv(x)
    with torch._C.DisableTorchFunction(), torch.no_grad():
        scale = torch.sigmoid(h)
    return net.head((h * scale).flatten(1))


def one_memory(rearrange, write, read=lambda h, other: h.flatten(1) + other.flatten(1)):
    """Two names of one memory: `rearrange` makes the second, `write` changes either, `read` uses what is there then."""

    def forward(net, x):
        h = F.gelu(net.conv(x))
        other = rearrange(h)
        write(h, other)
        return net.head(read(h, other))

    return forward


def strided(net, x):
    h = torch.tanh(net.conv(x))
    return net.head(h.as_strided((len(h), CHANNELS * LENGTH), (h.stride(0), 1)))


def swallows_errors(net, x):
    h = net.conv(x)
    first = h[:, :1]
    with contextlib.suppress(Exception):
        first.relu_()
    return net.head(F.relu(h).flatten(1))


MISLEADING = {
    "the number of rows read beforehand": lambda net, x: (lambda n: net.head(F.relu(net.conv(x)).view(n, -1)))(
        x.shape[0]
    ),
    "another tensor of that length": lambda net, x: net(torch.cat([x[:, :2], x.new_ones(len(x), 2, 1) * x[:, 2:]], 1)),
    "added to such a tensor": lambda net, x: net(x + 0.1 * torch.ones(x.size(0), 4, 1)),
    "batch second": lambda net, x: net(x.transpose(0, 1).contiguous().transpose(0, 1)),
    "rows folded into another axis": lambda net, x: net(x.reshape(-1, LENGTH).reshape(-1, 4, LENGTH)),
    "rows in reverse order": lambda net, x: net(x.flip(0)).flip(0),
    "strands stacked": lambda net, x: sum(net(torch.cat([x, x.flip(1, 2)])).chunk(2)),
    "one row at a time": lambda net, x: torch.cat([net(row[None]) for row in x]),
    "a batch of one": lambda net, x: net(F.conv1d(x.reshape(1, -1, LENGTH), torch.ones(4 * len(x), 1, 1).double(),
                                                  groups=4 * len(x)).reshape(-1, 4, LENGTH)),
    "custom function": lambda net, x: net.head(StraightThrough.apply(net.conv(x)).flatten(1)),
    "checkpointed": lambda net, x: net.head(checkpoint(torch.tanh, net.conv(x), use_reentrant=False).flatten(1)),
    "input changed in place": lambda net, x: net(x.mul_(2).add_(0.1)),
    "written into the input": lambda net, x: (x.__setitem__((slice(None), 0), 0.3), net(x))[1],
    "view changed in place": lambda net, x: (lambda h: (h[:, 0].relu_(), net.head(h.flatten(1)))[1])(net.conv(x)),
    "a view of what is changed": reversed_view,
    "error swallowed": swallows_errors,
    "products of ends": lambda net, x: net.head((net.conv(x) * net.conv(x.flip(2))).flatten(1)),
    "divided by an end": lambda net, x: net.head((1 / (9 + net.conv(x))).flatten(1)),
    "weights of the input": lambda net, x: net(x) + F.linear(x.new_ones(1, 4), x.mean(-1))[0, :, None],
    "its type read": lambda net, x: net(x.double()) * (2 if x.type() == "torch.DoubleTensor" else 3),
    "whole numbers": lambda net, x: net(x) * (1 + x.int().double().mean((1, 2))[:, None]),
    "viewed": lambda net, x: (lambda h: net.head(h.view(h.size(0), -1)))(torch.tanh(net.conv(x))),
    "viewed and written to": one_memory(lambda h: h.view(len(h), -1), lambda h, v: v.mul_(2)),
    "viewed and its base written to": one_memory(lambda h: h.view(len(h), -1), lambda h, v: h.mul_(2)),
    "flattened and written to": one_memory(lambda h: h.flatten(1), lambda h, v: v.relu_()),
    "flattened and written to alone": one_memory(lambda h: h.flatten(1), lambda h, v: v.relu_(), lambda h, v: v),
    "contiguous and written to": one_memory(lambda h: h.contiguous(), lambda h, v: v.exp_()),
    "half of it written to": one_memory(lambda h: h[:, :3], lambda h, v: v.mul_(-1), lambda h, v: h.flatten(1)),
    "strides read": strided,
    "channels and positions swapped": lambda net, x: net.head(F.gelu(net.conv(x).mT).contiguous().mT.flatten(1)),
    "channels concatenated": lambda net, x: (lambda h: net.head(torch.cat([h.relu(), h.tanh()], 1)[:, ::2].flatten(1)))(
        net.conv(x)
    ),
    "hidden": unseen,
    "hidden from autograd": unseen_and_detached,
}  # fmt: skip


@pytest.mark.parametrize("n", [1, N])
@pytest.mark.parametrize("name", MISLEADING)
def test_the_fast_computation_is_not_misled(name, n, layout):
    model = wrapped(MISLEADING[name]).eval()
    x, references = (values[:n] for values in pairs())
    references = references[:, : 1 if n == 1 else R]
    average, f, slope = point_by_point(model, x, references, *quadrature_nodes(6))
    result = interior_gradients(model, x, references, target=1, steps=6)
    hypothetical = (average - (average * references).sum(2, keepdim=True)).mean(1)
    torch.testing.assert_close(result.hypothetical, hypothetical, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(result.path_prediction, f.mean(1), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(result.path_slope, slope.mean(1), rtol=1e-9, atol=1e-10)


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "hide", [torch.jit.script, functools.partial(torch.compile, backend="eager")], ids=["scripted", "compiled"]
)
def test_modules_that_hide_their_operations_need_only_gradients(hide):
    net, (x, references) = build("gelu"), pairs()
    hidden = hide(nn.Sequential(net.conv, nn.GELU()))
    model = nn.Sequential(hidden, nn.Flatten(), net.head)
    agree(interior_gradients(model, x, references, steps=6), interior_gradients(net, x, references, steps=6), FIELDS)


def test_the_fast_computation_goes_on_in_smaller_blocks():
    """Blocks that do not fit into memory are divided, and still computed the fast way."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.longest = build("F.relu"), 0

        def forward(self, x):
            if len(x) > 64:
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.longest = max(self.longest, len(x))
            return self.net(x)

    model, (x, references) = Small(), pairs()
    with Convolutions() as counted:
        result = interior_gradients(model, x, references, steps=20, batch_size=200)
    assert 32 <= model.longest <= 64 and counted.forward < 0.5 * N * R * 20
    agree(result, interior_gradients(model.net, x, references, steps=20), FIELDS)


def test_the_models_own_error_is_the_one_that_is_seen():
    def fails(net, x):
        raise ValueError("only the model knows why")

    with pytest.raises(ValueError, match="only the model knows why"):
        interior_gradients(wrapped(fails), *pairs())


@pytest.mark.parametrize("function", [lambda x: x.detach().sum((1, 2))[:, None], lambda x: torch.ones(len(x), 1)])
def test_an_output_without_a_gradient_is_refused(function):
    with pytest.raises(SeqliftError, match="no gradient with respect to its input"):
        interior_gradients(function, *pairs())


def test_channels_last_is_used_and_leaves_nothing_behind():
    """float32 on a CPU: convolutions are done as those of images, and the weights of a plain function get no hooks."""
    net, (x, references) = build("residual", torch.float32), pairs(torch.float32)
    weight = torch.randn(6, 6, 2, generator=torch.Generator().manual_seed(0)).mT.contiguous().mT.requires_grad_()

    def model(s):
        return net.head((F.pad(F.conv1d(F.gelu(net.conv(s)), weight.contiguous()), (0, 1)) + net.conv(s)).flatten(1))

    class Images(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if str(function).startswith("aten.convolution."):
                self.seen += args[0].ndim == 4 and args[0].is_contiguous(memory_format=torch.channels_last)
            return function(*args, **(kwargs or {}))

    with Images() as images:
        result = interior_gradients(model, x, references, steps=6)
    assert images.seen > 4 or not torch.backends.mkldnn.is_available()
    assert weight._backward_hooks is None and weight.grad is None
    average, f, _ = point_by_point(model, x, references, *(v.float() for v in quadrature_nodes(6)), target=0)
    hypothetical = (average - (average * references).sum(2, keepdim=True)).mean(1)
    torch.testing.assert_close(result.hypothetical, hypothetical, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.path_prediction, f.mean(1), rtol=1e-5, atol=1e-6)


def test_the_callers_tensors_stay_as_they_are():
    x, references = pairs()
    copies = x.clone(), references.clone()
    for keep_path in (False, True):
        interior_gradients(
            wrapped(MISLEADING["input changed in place"]),
            x,
            references,
            steps=4,
            options=InteriorGradientsOptions(keep_path=keep_path),
        )
    assert torch.equal(x, copies[0]) and torch.equal(references, copies[1])


def test_low_precision_stays_near_the_exact_scores():
    exact = interior_gradients(build("gelu"), *pairs(), steps=20)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 0.02), (torch.bfloat16, 0.1)):
        low = interior_gradients(build("gelu", dtype), *pairs(dtype), steps=20)
        scale = exact.contributions.abs().max()
        assert (low.contributions.double() - exact.contributions).abs().max() < tolerance * scale


# --- the path ---------------------------------------------------------------------------------------------------------


def test_the_path_is_the_models_own():
    model, (x, references) = build("F.relu"), pairs()
    result = interior_gradients(
        model, x, references, target=1, steps=7, options=InteriorGradientsOptions(keep_path=True)
    )
    for k, alpha in enumerate(result.alphas):
        points = (references + alpha * (x[:, None] - references)).flatten(0, 1).requires_grad_()
        f = model(points)[:, 1]
        (gradient,) = torch.autograd.grad(f.sum(), points)
        moved = (gradient.view(references.shape) * (x[:, None] - references)).sum(2)
        torch.testing.assert_close(result.path_prediction[:, k], f.detach().view(N, R).mean(1))
        torch.testing.assert_close(result.path_gradient[:, k], moved.mean(1))
        torch.testing.assert_close(result.path_gradient_size[:, k], moved.abs().sum(-1).mean(1))
    torch.testing.assert_close(result.path_slope, result.path_gradient.sum(-1))
    # the weighted mean of the slopes is the change that the contributions add up to
    torch.testing.assert_close((result.path_slope * result.weights).sum(1), result.contributions.sum((1, 2)))
    torch.testing.assert_close(
        result.contributions.sum((1, 2)) + result.delta.mean(1),
        result.prediction - result.reference_prediction.mean(1),
    )


def test_the_gradients_of_the_points_are_kept_only_on_request():
    model, (x, references) = build("F.relu"), pairs()
    short, kept = (
        interior_gradients(model, x, references, steps=7, options=InteriorGradientsOptions(keep_path=keep))
        for keep in (False, True)
    )
    assert short.path_gradient is None and short.path_gradient_size is None
    assert kept.path_gradient.shape == (N, 7, LENGTH) and kept.path_gradient_size.shape == (N, 7)
    agree(short, kept, FIELDS)


@pytest.mark.parametrize("batch_size", [1, 6, 1000])
@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": 8},
        {"steps": "auto", "options": InteriorGradientsOptions(max_steps=64)},
        {"steps": 8, "options": InteriorGradientsOptions(keep_path=True)},
    ],
)
def test_results_do_not_depend_on_the_batch(batch_size, arguments):
    model, x = build("max pool, overlapping"), one_hot(5)
    whole = interior_gradients(model, x, dinucleotide_shuffles, n_references=3, **arguments)
    parts = interior_gradients(model, x, dinucleotide_shuffles, n_references=3, batch_size=batch_size, **arguments)
    agree(whole, parts, (*FIELDS, "steps", "standard_error"))


def test_more_steps_come_nearer_to_completeness():
    model, (x, references) = build("softplus"), pairs()
    few, many = (interior_gradients(model, x, references, steps=k).delta.abs().max() for k in (1, 6))
    assert many < few / 100 and many < 1e-6


# --- steps until paths are resolved -----------------------------------------------------------------------------------


def test_auto_takes_steps_until_the_scores_add_up():
    model, (x, references) = build("max pool, overlapping"), pairs()
    result = interior_gradients(
        model, x, references, steps="auto", options=InteriorGradientsOptions(step_tolerance=0.02, max_steps=4096)
    )
    change = (result.prediction[:, None] - result.reference_prediction).abs()
    assert (result.delta.abs() <= 0.02 * change + 1e-12).all()
    assert len(set(result.steps.flatten().tolist())) > 1, "all paths alike: nothing to adapt to"
    for i, k in ((0, 0), (1, 2), (N - 1, R - 1)):
        taken = int(result.steps[i, k])
        fixed = interior_gradients(model, x[i : i + 1], references[i : i + 1, k : k + 1], steps=taken)
        torch.testing.assert_close(result.delta[i, k], fixed.delta[0, 0], rtol=1e-7, atol=1e-12)
        if taken > FIRST_STEPS:  # half of them were too few
            half = interior_gradients(model, x[i : i + 1], references[i : i + 1, k : k + 1], steps=taken // 2)
            assert float(half.delta.abs()) > 0.02 * float(change[i, k])
    assert len(result.alphas) == result.path_slope.shape[1] == FIRST_STEPS


def test_auto_stops_at_once_where_the_first_steps_do():
    result = interior_gradients(build("softplus"), *pairs(), steps="auto")
    assert (result.steps == FIRST_STEPS).all() and result.steps.shape == (N, R)


def test_steps_that_run_out_show_in_the_delta():
    model, (x, references) = build("max pool, overlapping"), pairs()
    with pytest.warns(UserWarning, match=r"paths miss the change in prediction by more than 1e-06 of it.*`steps`"):
        result = interior_gradients(
            model, x, references, steps="auto", options=InteriorGradientsOptions(step_tolerance=1e-6, max_steps=40)
        )
    fixed = interior_gradients(model, x, references, steps=40)
    assert (result.steps == 40).all()
    torch.testing.assert_close(result.delta, fixed.delta)
    assert (result.delta.abs() > 1e-6 * (result.prediction[:, None] - result.reference_prediction).abs()).all()


def test_auto_ignores_rounding():
    """Equal predictions: nothing to add up to but rounding."""
    x = one_hot(dtype=torch.float32)
    result = interior_gradients(
        build("gelu", torch.float32), x, x[:, None], steps="auto", options=InteriorGradientsOptions(step_tolerance=1e-9)
    )
    assert (result.steps == FIRST_STEPS).all()


def test_references_and_steps_as_needed_together():
    model, x = build("gelu"), one_hot(4)
    result = interior_gradients(
        model,
        x,
        dinucleotide_shuffles,
        n_references="auto",
        steps="auto",
        options=InteriorGradientsOptions(max_relative_error=0.25, max_references=40, step_tolerance=0.001),
    )
    used = result.n_references
    assert result.steps.shape == result.delta.shape == (4, int(used.max()))
    for i in range(4):
        assert (result.steps[i, : used[i]] >= FIRST_STEPS).all() and (result.steps[i, used[i] :] == 0).all()
        fixed = interior_gradients(
            model,
            x[i : i + 1],
            dinucleotide_shuffles,
            n_references=int(used[i]),
            steps="auto",
            options=InteriorGradientsOptions(step_tolerance=0.001),
        )
        torch.testing.assert_close(result.hypothetical[i], fixed.hypothetical[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(result.alpha_half[i], fixed.alpha_half[0], rtol=1e-9, atol=1e-12)


# --- the gradient correction ------------------------------------------------------------------------------------------


def test_the_correction_has_no_effect_where_references_sum_to_what_the_sequence_does():
    model, (x, references) = build("gelu"), pairs()
    for kind in (references, None, uniform):
        plain, corrected = (
            interior_gradients(model, x, kind, steps=5, options=InteriorGradientsOptions(gradient_correction=on))
            for on in (False, True)
        )
        agree(plain, corrected, (*FIELDS, "standard_error"), rtol=0, atol=1e-15)


def test_the_correction_takes_the_mean_over_bases_off_paths_from_zero():
    model, x = build("gelu"), one_hot()
    x[0, :, 3:6] = 0  # N: there zeros are what the sequence holds
    plain, corrected = (
        interior_gradients(model, x, zeros, steps=5, options=InteriorGradientsOptions(gradient_correction=on))
        for on in (False, True)
    )
    off_plane = plain.hypothetical.mean(1, keepdim=True) * (x.sum(1, keepdim=True) > 0)
    assert off_plane.abs().max() > 1e-3
    torch.testing.assert_close(corrected.hypothetical, plain.hypothetical - off_plane)
    torch.testing.assert_close(corrected.contributions, corrected.hypothetical * x)
    torch.testing.assert_close(corrected.delta, plain.delta)  # how well the path is resolved is another matter


# --- wrong calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"options": InteriorGradientsOptions(quadrature="trapezoid")}, r"`quadrature` \(='trapezoid'\)"),
        ({"steps": 0}, r"`steps` \(=0\)"),
        ({"steps": 2.5}, r"`steps` \(=2.5\)"),
        ({"steps": "many"}, r"`steps` \(='many'\)"),
        ({"steps": "auto", "options": InteriorGradientsOptions(step_tolerance=0)}, r"`step_tolerance` \(=0\)"),
        ({"steps": "auto", "options": InteriorGradientsOptions(max_steps=0)}, r"`max_steps` \(=0\)"),
        ({"options": InteriorGradientsOptions(output="odds")}, r"`output` \(='odds'\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(SeqliftError, match=words):
        interior_gradients(build("F.relu"), one_hot(1), **arguments)


def test_a_cut_gradient_is_a_warning():
    """Half of the change goes through `detach`, where no gradient comes back."""

    def cut(x):
        h = torch.tanh(x.sum(2) / 10)
        return (h + h.detach()).sum(1, keepdim=True)

    x, references = pairs()
    with pytest.warns(UserWarning, match="part of the model has no gradient"):
        interior_gradients(cut, x, references)
