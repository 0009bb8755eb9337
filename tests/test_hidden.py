"""No value leaves the walk and comes back unseen: each way is explained exactly or refused by name and place.

The table lists the ways that are known. The enumeration below it calls whatever PyTorch offers for a tensor, so that
a new version cannot open a way that nobody has looked at.
"""

import copy
import functools
import io
import math
import pickle
import threading
import types
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seqlift import SeqliftError, deeplift, interior_gradients, mutagenesis

pytestmark = pytest.mark.filterwarnings("ignore")

N, R, LENGTH, CHANNELS = 3, 2, 16, 4


class Subclass(torch.Tensor):
    pass


class Silent(torch.Tensor):
    """A subclass whose operations are seen by nobody."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return 2 * h

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        ctx.save_for_backward(h)
        return h.detach().numpy() ** 2 if False else h * h

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


class Module(nn.Module):
    def forward(self, h):
        return torch.tanh(h)


def in_thread(h):
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.tanh(h)))
    thread.start()
    thread.join()
    return found[0]


def pickled(h):
    return pickle.loads(pickle.dumps(h))


def saved(h):
    file = io.BytesIO()
    torch.save(h, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def inside_no_function(h):
    with torch._C.DisableTorchFunction():
        return torch.tanh(h)


def inside_no_function_subclass(h):
    with torch._C.DisableTorchFunctionSubclass():
        return torch.tanh(h)


def set_source(h):
    other = torch.empty(0, dtype=h.dtype)
    return other.set_(h)


def set_storage(h):
    other = torch.empty(0, dtype=h.dtype)
    return other.set_(h.untyped_storage(), 0, h.shape, h.stride())


def set_data(h):
    other = torch.zeros_like(h)
    other.data = h
    return other


def swapped(h):
    a, b = torch.zeros_like(h), h.clone()
    torch.utils.swap_tensors(a, b)
    return a


def written_out(h):
    other = torch.zeros_like(h)
    torch.mul(h, 2, out=other)
    return other


def copied(h):
    other = torch.zeros_like(h)
    other.copy_(h)
    return other


def copied_into_view(h):
    other = torch.zeros_like(h)
    other[:, 1:].copy_(h[:, 1:])
    return other


def old_view_of_what_changes(h):
    other = torch.zeros_like(h)
    view = other[:, :2]
    other.copy_(h)
    return torch.cat([view, view], 1)


def in_buffer(h):
    buffer = types.SimpleNamespace(values=torch.zeros(N * R * 2, CHANNELS, LENGTH, dtype=h.dtype))
    buffer.values[: len(h)] = h
    return buffer.values[: len(h)]


def foreach(h):
    return torch._foreach_mul([h], 2)[0]


def grad_of_a_sum(h):
    return torch.func.grad(lambda z: (z**2).sum())(h)


def autograd_inside(h):
    with torch.enable_grad():
        z = h.detach().clone().requires_grad_()
        return torch.autograd.grad((z**2).sum(), z)[0]


def backward_inside(h):
    with torch.enable_grad():
        z = h.detach().clone().requires_grad_()
        (z**2).sum().backward()
        return z.grad


def by_python_numbers(h):
    return torch.tensor([[[float(v) for v in row] for row in channel] for channel in h], dtype=h.dtype)


def made_constant(h):
    constant = torch.ones(LENGTH, dtype=h.dtype)
    constant *= h[:, 0].mean().item()
    return h + constant


def through_indices(h):
    return torch.eye(CHANNELS, dtype=h.dtype)[h.argmax(1)].mT


WAYS = {
    # explained
    "vmap of linear work": lambda h: torch.vmap(lambda z: 3 * z)(h),
    "vmap over positions": lambda h: torch.vmap(lambda z: torch.tanh(z) * 2, in_dims=2, out_dims=2)(h),
    "vmap of two": lambda h: torch.vmap(lambda a, b: a * b)(h, h.flip(-1)),
    "vmap of a matrix product": lambda h: torch.vmap(torch.vmap(torch.dot))(h, h)[..., None].expand(h.shape),
    "vmap with a closure": lambda h: torch.vmap(lambda z: z * h.sum(1), in_dims=1, out_dims=1)(h),
    "vmap with a constant": lambda h: torch.vmap(lambda w: h * w)(torch.arange(3.0, dtype=h.dtype)).sum(0),
    "vmap over channels, of a dict": lambda h: torch.vmap(lambda d: {"a": d["z"].exp()}, 1, 1)({"z": h})["a"],
    "vmap in chunks": lambda h: torch.vmap(torch.relu, chunk_size=2)(h - 0.5),
    "vmap over rows, softmax": lambda h: torch.vmap(lambda z: torch.softmax(z, -1))(h),
    "vmap of a module": lambda h: torch.vmap(nn.Softplus())(h),
    "functional call": lambda h: torch.func.functional_call(Module(), {}, (h,)),
    "vmap of functional call": lambda h: torch.vmap(lambda z: torch.func.functional_call(Module(), {}, (z,)))(h),
    "detach": lambda h: torch.tanh(h.detach()),
    "data": lambda h: torch.tanh(h.data),
    "deepcopy": lambda h: torch.tanh(copy.deepcopy(h)),
    "deepcopy of a detached": lambda h: copy.deepcopy(h.detach()),
    "clone": lambda h: h.clone(),
    "copy_": copied,
    "copy_ into a view": copied_into_view,
    "a buffer": in_buffer,
    "zeros_like": lambda h: torch.zeros_like(h) + h,
    "new_full": lambda h: h.new_full(h.shape, 2.0) * h,
    "checkpoint": lambda h: torch.utils.checkpoint.checkpoint(torch.tanh, h, use_reentrant=False),
    "reentrant checkpoint": lambda h: torch.utils.checkpoint.checkpoint(torch.tanh, h, use_reentrant=True),
    "no_grad": lambda h: torch.no_grad()(torch.tanh)(h),
    # explained or refused
    "as_tensor": lambda h: torch.tanh(torch.as_tensor(h)),
    "copy": lambda h: torch.tanh(copy.copy(h)),
    "torch.func.grad": grad_of_a_sum,
    "torch.func.grad with closure": lambda h: torch.func.grad(lambda z: (z * h).sum())(torch.ones_like(h)),
    "torch.func.jvp": lambda h: torch.func.jvp(torch.tanh, (h,), (torch.ones_like(h),))[1],
    "torch.func.jvp, value": lambda h: torch.func.jvp(torch.tanh, (h,), (torch.ones_like(h),))[0],
    "torch.func.vjp": lambda h: torch.func.vjp(torch.tanh, h)[1](torch.ones_like(h))[0],
    "torch.func.jacrev": lambda h: torch.func.jacrev(lambda z: (z**2).sum())(h),
    "torch.func.jacfwd": lambda h: torch.func.jacfwd(lambda z: (z**2).sum())(h),
    "torch.func.hessian": lambda h: torch.func.hessian(lambda z: (z**3).sum())(h).sum((0, 1, 2)),
    "torch.func.linearize": lambda h: torch.func.linearize(torch.tanh, h)[0],
    "torch.func.functionalize": lambda h: torch.func.functionalize(torch.tanh)(h),
    "functionalize of a product": lambda h: torch.func.functionalize(lambda z: 3 * z)(h),
    "vmap inside functionalize": lambda h: torch.func.functionalize(torch.vmap(torch.tanh))(h),
    "old vmap": lambda h: torch._vmap_internals.vmap(torch.tanh)(h),
    "vmap of grad": lambda h: torch.vmap(torch.func.grad(lambda z: (z**2).sum()))(h),
    "autograd.grad": autograd_inside,
    "backward": backward_inside,
    "as_subclass": lambda h: torch.tanh(h.as_subclass(Subclass)),
    "as_subclass and back": lambda h: h.as_subclass(Subclass).as_subclass(torch.Tensor) * 2,
    "a subclass that hides": lambda h: (h.as_subclass(Silent) * h.as_subclass(Silent)).as_subclass(torch.Tensor),
    "_make_subclass": lambda h: torch.Tensor._make_subclass(Subclass, h) * 2,
    "new_tensor": lambda h: h.new_tensor(h),
    "torch.tensor": lambda h: torch.tensor(h),
    "torch.tensor of rows": lambda h: torch.tensor(h.tolist(), dtype=h.dtype),
    "torch.asarray": lambda h: torch.asarray(h) * 2,
    "torch.Tensor": lambda h: torch.Tensor(h),
    "full_like of an item": lambda h: torch.full_like(h, h.mean().item()) + h,
    "full of a tensor": lambda h: torch.full(h.shape, h.sum(), dtype=h.dtype) + h,
    "new_full of a tensor": lambda h: h.new_full(h.shape, h.sum()) + h,
    "to_dlpack": lambda h: torch.from_dlpack(torch.utils.dlpack.to_dlpack(h)),
    "from_dlpack": lambda h: torch.from_dlpack(h),
    "from_dlpack of a detached": lambda h: torch.from_dlpack(h.detach()),
    "dlpack by NumPy": lambda h: torch.from_numpy(np.from_dlpack(h.detach())),
    "numpy": lambda h: torch.from_numpy(h.numpy()),
    "detach numpy": lambda h: torch.from_numpy(h.detach().numpy() ** 2),
    "numpy, force": lambda h: torch.from_numpy(h.numpy(force=True)),
    "np.asarray": lambda h: torch.as_tensor(np.asarray(h.detach())),
    "a function of NumPy": lambda h: torch.as_tensor(np.tanh(h.detach())),
    "tolist": lambda h: torch.tensor(h.tolist(), dtype=h.dtype),
    "item": by_python_numbers,
    "item into a constant": made_constant,
    "float": lambda h: h * float(h.sum()),
    "int": lambda h: h * int(10 * h.sum()),
    "bool": lambda h: h * (2 if h.sum() > 1 else 3),
    "format": lambda h: h * float(f"{h.mean():.6f}"),
    "repr": lambda h: h * float(repr(h.mean()).split("(")[1].split(")")[0].split(",")[0]),
    "storage": lambda h: torch.tensor(h.untyped_storage().tolist()[:3]).sum() * h,
    "typed storage": lambda h: torch.tensor(list(h.storage())[: h.numel()], dtype=h.dtype).view(h.shape),
    "pickle": pickled,
    "pickle of a detached": lambda h: pickled(h.detach()),
    "torch.save": saved,
    "set_": set_source,
    "set_ of a storage": set_storage,
    "assignment to data": set_data,
    "swap_tensors": swapped,
    "out=": written_out,
    "old view of what changes": old_view_of_what_changes,
    "Parameter": lambda h: nn.Parameter(h) * 2,
    "Parameter of a detached": lambda h: nn.Parameter(h.detach()).data * 2,
    "Buffer": lambda h: torch.nn.Buffer(h) * 2,
    "nested": lambda h: torch.nested.nested_tensor(list(h)).to_padded_tensor(0.0),
    "nested, as": lambda h: torch.nested.as_nested_tensor(list(h)).to_padded_tensor(0.0),
    "nested, jagged": lambda h: torch.nested.to_padded_tensor(
        torch.nested.nested_tensor(list(h.detach()), layout=torch.jagged), 0.0
    ),
    "sparse": lambda h: h.to_sparse().to_dense(),
    "sparse product": lambda h: torch.sparse.mm(h[0].to_sparse(), h[0].T) + h.sum(),
    "complex": lambda h: torch.complex(h, h).abs(),
    "view_as_complex": lambda h: torch.view_as_complex(torch.stack([h, h], -1)).abs(),
    "view of the bits": lambda h: (h.view(torch.int64 if h.dtype == torch.float64 else torch.int32) * 1).view(h.dtype),
    "quantised": lambda h: torch.quantize_per_tensor(h.float(), 0.01, 0, torch.qint8).dequantize().to(h.dtype),
    "fake quantised": lambda h: torch.fake_quantize_per_tensor_affine(h.float(), 0.01, 0, -128, 127).to(h.dtype),
    "autograd.Function": lambda h: Doubled.apply(h),
    "autograd.Function, non-linear": lambda h: Squared.apply(h),
    "scripted": lambda h: SCRIPTED(h),
    "traced": lambda h: torch.jit.trace(torch.tanh, h.detach())(h),
    "fork": lambda h: torch.jit.wait(torch.jit.fork(torch.tanh, h)),
    "aten": lambda h: torch.ops.aten.tanh(h),
    "aten, default": lambda h: torch.ops.aten.tanh.default(h),
    "aten, linear": lambda h: torch.ops.aten.mul.Tensor(h, torch.tensor(2.0, dtype=h.dtype)),
    "_C._VariableFunctions": lambda h: torch._C._VariableFunctions.tanh(h),
    "_refs": lambda h: torch._refs.tanh(h),
    "_prims": lambda h: torch._prims.tanh(h),
    "foreach": foreach,
    "DisableTorchFunction": inside_no_function,
    "DisableTorchFunctionSubclass": inside_no_function_subclass,
    "a thread": in_thread,
    "make_fx": lambda h: torch.fx.experimental.proxy_tensor.make_fx(torch.tanh)(h)(h),
    "fx": lambda h: torch.fx.symbolic_trace(Module())(h),
    "inference mode": lambda h: torch.inference_mode()(torch.tanh)(h),
    "cond": lambda h: torch.cond(h.sum() > 0, torch.tanh, torch.relu, (h,)),
    "one-hot of argmax": through_indices,
    "batch statistics": lambda h: h * (h > h.mean()),
    "round": lambda h: h.round(),
    "straight-through": lambda h: h + (h.round() - h).detach(),
    "share_memory_": lambda h: h.share_memory_() * 2,
    "resize_": lambda h: h.clone().resize_(h.shape) * 2,
    "apply_": lambda h: h.detach().clone().apply_(math.tanh),
    "map_": lambda h: h.detach().clone().map_(h.detach(), lambda a, b: a * b),
    "itertools": lambda h: sum(row for row in h)[None] + h,
    "max over rows": lambda h: functools.reduce(torch.maximum, list(h))[None] + h,
}
EXPLAINED = set(list(WAYS)[: list(WAYS).index("no_grad") + 1])


class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.dense = nn.Conv1d(4, CHANNELS, 3, padding=1), nn.Linear(CHANNELS * LENGTH, 1)
        self.way = way

    def forward(self, x):
        h = torch.relu(self.conv(x) + 0.3)
        return self.dense((h + self.way(h)).flatten(1))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SCRIPTED = torch.jit.script(torch.nn.Tanh())


def pairs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 4, (N, 1 + R, LENGTH), generator=generator)
    one_hot = F.one_hot(codes, 4).mT.to(dtype)
    return one_hot[:, 0], one_hot[:, 1:]


def outcome(way, dtype):
    """What becomes of a model with this way: "exact", "refused", or what is wrong."""
    model, (x, references) = Net(way).to(dtype), pairs(dtype)
    try:
        with torch.no_grad():
            fx = model(x.clone())[:, 0]
            fr = torch.stack([model(r.clone())[:, 0] for r in references.unbind(1)], 1)
    except Exception:
        fx = None
    try:
        result = deeplift(model, x, references)
    except SeqliftError as error:
        return f"refused: {error}"
    except Exception as error:
        if fx is None:
            return "refused: the model does not run by itself either"
        return f"raw {type(error).__name__}: {error}"
    tolerance = 1e-7 if dtype == torch.float64 else 1e-3
    change = result.prediction[:, None] - result.reference_prediction
    if not bool((result.delta.abs() <= tolerance * change.abs().mean()).all()):
        return f"wrong: misses {float((result.delta.abs() / change.abs()).max()):.2g} of the change"
    if fx is not None and not (
        torch.allclose(result.prediction, fx, rtol=1e-4) and torch.allclose(result.reference_prediction, fr, rtol=1e-4)
    ):
        return "wrong: the predictions differ from the model's own"
    return "exact"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", WAYS)
def test_each_way_is_explained_or_refused(name, dtype):
    found = outcome(WAYS[name], dtype)
    assert found == "exact" or (found.startswith("refused: ") and name not in EXPLAINED), found
    assert "Traceback" not in found


UNBOUNDED = {
    "sqrt": lambda h: h.sqrt().sum(1),
    "std": lambda h: h.std(1),
    "var, sqrt": lambda h: h.var(1).sqrt(),
    "norm": lambda h: h.norm(dim=1),
    "linalg.norm": lambda h: torch.linalg.vector_norm(h, dim=1),
    "pow 0.3": lambda h: (h**0.3).sum(1),
    "pow 1.5": lambda h: (h**1.5).sum(1),
    "pow 0.5": lambda h: h.pow(0.5).sum(1),
    "normalize": lambda h: F.normalize(h, dim=1).sum(1),
    "cosine_similarity": lambda h: F.cosine_similarity(h, torch.ones_like(h), dim=1),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_unit_that_stays_zero_contributes_nothing(name):
    """Its slope is infinite there; the others' contributions are those of the model without it."""

    class Silenced(nn.Module):
        def __init__(self, with_it):
            super().__init__()
            self.with_it = with_it

        def forward(self, x):
            h = torch.relu(x[:, 1] - 5)  # never above 0
            counts = x[:, 0] @ torch.linspace(1, 2, LENGTH, dtype=x.dtype)
            return (counts + UNBOUNDED[name](h) if self.with_it else counts)[:, None]

    found, expected = (deeplift(Silenced(with_it), *pairs()) for with_it in (True, False))
    torch.testing.assert_close(found.contributions, expected.contributions)
    torch.testing.assert_close(found.hypothetical, expected.hypothetical)


@pytest.mark.parametrize("method", [deeplift, interior_gradients, mutagenesis])
def test_outputs_that_are_not_finite_are_named(method):
    x, references = pairs()

    def overflows(sequences):  # for the second sequence alone
        return torch.exp(50 * (sequences * x[1]).sum((1, 2)))[:, None]

    with pytest.raises(SeqliftError, match="the model's output for sequence 1 is infinite"):
        method(overflows, x, *(() if method is mutagenesis else (references,)))


@pytest.mark.parametrize("method", [deeplift, interior_gradients, mutagenesis])
def test_weights_and_inputs_that_are_nan_are_named(method):
    model, (x, references) = Net(torch.tanh).double(), pairs()
    with torch.no_grad():
        model.dense.bias.fill_(math.nan)
    with pytest.raises(SeqliftError, match="the model's output for sequence 0 is NaN"):
        method(model, x, *(() if method is mutagenesis else (references,)))
    x[2, 1, 3] = math.nan
    with pytest.raises(SeqliftError, match="`sequences`: sequence 2 is NaN"):
        method(Net(torch.tanh).double(), x, *(() if method is mutagenesis else (references,)))


if __name__ == "__main__":
    import sys

    warnings.simplefilter("ignore")
    for name, way in WAYS.items():
        if len(sys.argv) < 2 or sys.argv[1] in name:
            both = [outcome(way, dtype) for dtype in (torch.float32, torch.float64)]
            print(
                f"{name:32}",
                *(x[:170].replace("\n", " ") for x in (both if both[0] != both[1] else both[:1])),
                sep=" | ",
                flush=True,
            )
