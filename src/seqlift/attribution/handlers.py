"""How DeepLIFT handles each kind of operation: a table from operations to handlers, at the end of this file.

A handler runs the operation that a model calls and has it explained: it prepares the inputs (one axis to search, say),
chooses the rule (`seqlift.attribution.rules`), and gives the model what PyTorch would give it. Both walks of
`seqlift.attribution.trace`, over the sequences and over the references, use the same handlers.
"""

import functools
import inspect
import types
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from seqlift.attribution import compositions, kernels, reveal_cancel, rules
from seqlift.attribution import operations as op
from seqlift.attribution.calls import Call, is_tracked, mark

_STEP = "_seqlift_step"  # the outcome of a comparison, false or true, as an activation that is 0 or 1
_BATCH_AXIS = "it reaches over the first axis, so rows of a batch depend on each other"


class Walk(Protocol):
    """One run through a model, as handlers use it. Operations inside `with walk:` are explained like the model's."""

    rule: str

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> Any: ...

    def run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """The result of an operation, on the layout in memory that the walk has chosen."""

    def gradients(self) -> AbstractContextManager:
        """The mode of autograd in which linear operations run."""

    def follow(self, value: Any) -> Any:
        """Note that these tensors depend on the model's input, and return them."""

    def before_change(self, tensor: Tensor) -> None:
        """Called before an operation changes a tensor in place."""
        return None

    def split_change(self, call: Call, result: Any) -> None:
        """Prepare RevealCancel, which explains rises and falls apart, after a linear operation."""

    def explain(self, rule: rules.Rule, function: Callable, inputs: list[Tensor]) -> Any:
        """Apply a rule to a function of these tracked inputs; returns its output, followed."""


# ---------------------------------------------------------------------------------------------------------------------
# Linear operations, products, changes in place


def _linear(walk: Walk, call: Call) -> Any:
    function, args, kwargs = call.function, call.args, call.kwargs
    writes = call.is_in_place or call.name == "__setitem__"
    if writes:
        walk.before_change(args[0])
    if function in op.LINEAR:
        constant = [arg for i, arg in enumerate(args) if i not in op.LINEAR[function]]
        constant += [arg for key, arg in kwargs.items() if key not in op.LINEAR_KEYWORDS]
        if any(map(is_tracked, op.tensors_in(constant))):
            raise NotImplementedError("an index, a mask, a condition or a weight in it depends on the input")
    _check_evaluation(call)
    with walk.gradients():
        result = walk.run(function, *args, **kwargs)
    if any(not (t.is_floating_point() or t.is_complex()) for t in op.tensors_in(result)):
        raise NotImplementedError("it makes whole numbers of an activation")
    if walk.rule != "rescale" and not any(result is tensor for tensor in call.tracked):
        walk.split_change(call, result)
    if writes:
        walk.follow(args[0])
    return walk.follow(result)


def _check_evaluation(call: Call) -> None:
    """Dropout and BatchNorm are linear only in evaluation."""
    args, kwargs = call.args, call.kwargs
    if "dropout" in call.name:
        probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        if probability and kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True)):
            raise NotImplementedError("it drops at random also in evaluation (give it `training=self.training`)")
    elif call.name == "batch_norm" and kwargs.get("training", args[5] if len(args) > 5 else False):
        raise NotImplementedError("it normalises with the statistics of the batch, so that rows depend on each other")


def _in_place(walk: Walk, call: Call) -> Tensor:
    """Explain the operation that leaves its input as it is, and copy the result over the input."""
    function = call.function
    if call.is_in_place:
        homes = [home for home in (torch, nn.functional, torch.Tensor) if callable(getattr(home, call.name[:-1], None))]
        if not homes:
            raise NotImplementedError("done in place")
        function = getattr(homes[0], call.name[:-1])
    kwargs = {key: value for key, value in call.kwargs.items() if call.is_in_place or key != "inplace"}
    result = handle(walk, Call(function, call.args, kwargs, call.tracked))
    return _write(walk, call.args[0], result)


def _write(walk: Walk, changed: Tensor, result: Tensor) -> Tensor:
    walk.before_change(changed)
    with walk.gradients():
        return walk.follow(changed.copy_(result))


def _product(walk: Walk, call: Call) -> Any:
    if len(call.tracked) > 2 + (call.function not in op.EINSUM):
        raise NotImplementedError(f"it multiplies {len(call.tracked)} activations at once; multiply two at a time")
    return walk.explain(rules.Product(), call.on, call.tracked)


# ---------------------------------------------------------------------------------------------------------------------
# Non-linear operations on one activation


def _elementwise(walk: Walk, call: Call) -> Any:
    if call.tracked[0].is_complex():
        raise NotImplementedError("of complex numbers; write it with their real and imaginary parts")
    split = walk.rule != "rescale" and call.function in op.ACTIVATIONS
    rule = (reveal_cancel.RevealCancel if split else rules.Rescale)(op.ELEMENTWISE[call.function])
    return walk.explain(rule, call.on, call.tracked)


def _power(walk: Walk, call: Call) -> Any:
    exponent = call.kwargs.get("exponent", call.args[-1])
    power = functools.partial(torch.pow, exponent=exponent)
    return walk.explain(rules.Rescale(rules.rescale_power), power, call.tracked)


def _softmax(walk: Walk, call: Call) -> Any:
    given = dict(zip(("input", "dim", "keepdim"), call.args, strict=False)) | call.kwargs
    dim = given.get("dim")
    if given.get("dtype") is not None or not isinstance(dim, int):
        raise NotImplementedError("it is understood for one `dim` and without `dtype`")
    if call.function in op.LOG_SUM_EXP:
        return walk.explain(rules.LogSumExp(dim, bool(given.get("keepdim", False))), call.on, call.tracked)
    return walk.explain(rules.Softmax(dim), call.on, call.tracked)


def _extremum(walk: Walk, call: Call) -> Any:
    """max, min, amax and amin: of two tensors, or over some axes, which are put last and searched as one."""
    given = dict(zip(("input", "dim", "keepdim"), call.args, strict=False)) | call.kwargs
    x, other = given.pop("input", None), given.get("other", given.get("dim"))
    x = given.pop("self") if x is None else x
    largest = op.EXTREMA[call.function] > 0
    if isinstance(other, Tensor):
        with walk:
            return (compositions.maximum if largest else compositions.minimum)(x, other)
    dims = compositions.as_dims(given.get("dim", given.get("axis")), x.ndim)
    if 0 in dims:
        raise NotImplementedError(_BATCH_AXIS)
    kept = [d for d in range(x.ndim) if d not in dims]
    search = torch.max if largest else torch.min
    with walk:
        rows = x.permute(*kept, *dims).flatten(len(kept))
    rule = rules.Select(1, op.EXTREMA[call.function])
    values = walk.explain(rule, lambda t: search(t, -1, keepdim=True), [rows])
    keepdim = given.get("keepdim", False)
    shape = [1 if d in dims else x.shape[d] for d in range(x.ndim) if keepdim or d not in dims]
    with walk:
        values = values.reshape(shape)
    if call.name in ("amax", "amin") or "dim" not in given:
        return values
    places = search(rows.detach(), -1).indices.reshape(shape)
    return (torch.return_types.max if largest else torch.return_types.min)((values, mark(places)))


def _max_pool(walk: Walk, call: Call) -> Any:
    pool, n_axes = op.MAX_POOLS[call.function]
    names = ["input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"]
    names = ["input", "output_size", "return_indices"] if "adaptive" in pool.__name__ else names
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    x = given.pop("input")
    with_places = given.pop("return_indices", False) or "indices" in call.name
    if pool is nn.functional.max_pool1d_with_indices and kernels.can_take(x):
        pool = kernels.max_pool1d
    values = walk.explain(rules.Select(n_axes), lambda t: pool(t, **given), [x])
    return (values, mark(pool(x.detach(), **given)[1])) if with_places else values


def _top_k(walk: Walk, call: Call) -> Any:
    def explained(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        if dim % x.ndim == 0:
            raise NotImplementedError(_BATCH_AXIS)
        with walk:
            rows = x.movedim(dim, -1)
        values = walk.explain(rules.TopK(k, 1 if largest else -1), torch.topk, [rows])
        with walk:
            values = values.movedim(-1, dim)
        return torch.return_types.topk((values, mark(x.detach().topk(k, dim, largest).indices)))

    return explained(*call.args, **call.kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# Comparisons: an outcome is an activation that is 0 or 1


def _compare(walk: Walk, call: Call) -> Tensor:
    def compared(input: Tensor, other: Any) -> Tensor:
        with walk:
            difference = torch.sub(input, other)
        rule = rules.Rescale(rules.rescale_step)
        return _outcome(walk.explain(rule, op.COMPARISONS[call.function], [difference]))

    return compared(*call.args, **call.kwargs)


def _outcome(step: Tensor) -> Tensor:
    condition = mark(step.detach() > 0.5)
    setattr(condition, _STEP, step)
    return condition


def _as_numbers(value: Any) -> Any:
    """Outcomes of comparisons among the arguments as 0 and 1."""
    if isinstance(value, tuple | list):
        return type(value)(map(_as_numbers, value))
    return getattr(value, _STEP, value)


def _negate(walk: Walk, call: Call) -> Tensor:
    (given, *_) = (*call.args, *call.kwargs.values())
    with walk:
        opposite = 1 - _as_numbers(given)
    return _outcome(opposite)


def _combine(walk: Walk, call: Call) -> Tensor:
    """And, or."""
    with walk:
        a, b = (_as_numbers(value) * 1.0 for value in (*call.args, *call.kwargs.values()))
        both = a * b if call.function in op.CONJUNCTIONS else a + b - a * b
    return _outcome(both)


def _calculate(walk: Walk, call: Call) -> Tensor:
    """An outcome that is multiplied, moved or converted."""
    with torch.no_grad():
        plain = call.function(*call.args, **call.kwargs)
    with walk:
        result = call.function(
            *_as_numbers(call.args), **{key: _as_numbers(value) for key, value in call.kwargs.items()}
        )
    if isinstance(plain, Tensor) and isinstance(result, Tensor):
        return _outcome(result) if plain.dtype == torch.bool else result
    raise NotImplementedError(_OF_A_COMPARISON)


_OF_A_COMPARISON = "of a comparison of activations"


def _refuse_comparison(walk: Walk, call: Call) -> Any:
    raise NotImplementedError(_OF_A_COMPARISON)


def _choose(walk: Walk, call: Call) -> Tensor:
    """where, masked_fill and an assignment to a mask: the second input where the condition is false."""
    if hasattr(call.args[0], _STEP):
        names = ("condition", "input", "other")
    elif call.name == "where":  # x.where(condition, other)
        names = ("input", "condition", "other")
    else:
        names = ("other", "condition", "input")
    keywords = {"self": "input", "mask": "condition", "value": "input"}
    given = dict(zip(names, call.args, strict=False))
    given |= {keywords.get(key, key): value for key, value in call.kwargs.items()}
    step = getattr(given["condition"], _STEP, None)
    changed = call.args[0] if call.is_in_place or call.name == "__setitem__" else None
    if step is None or len(given) < 3 or (changed is not None and step.shape != changed.shape):
        raise NotImplementedError(_OF_A_COMPARISON)
    kind = next(value for value in (given["input"], given["other"], step) if isinstance(value, Tensor))
    values = [torch.as_tensor(given[name], dtype=kind.dtype, device=step.device) for name in ("input", "other")]
    with walk:
        a, b = map(_as_numbers, values)
        inputs = list(torch.broadcast_tensors(step, a, b))
    result = walk.explain(rules.Choice(), lambda s, a, b: torch.where(s > 0.5, a, b), inputs)
    return result if changed is None else _write(walk, changed, result)


# ---------------------------------------------------------------------------------------------------------------------
# Operations made of others


def _write_out(walk: Walk, call: Call) -> Any:
    with walk:
        return op.COMPOSITIONS[call.function](*call.args, **call.kwargs)


_without_override: dict[Callable, Callable | None] = {}


def _open_up(walk: Walk, call: Call) -> Any:
    """Run a PyTorch function written in Python without its look at modes, so that the operations inside show."""
    if call.function not in _without_override:
        inner = inspect.unwrap(call.function)
        opened = None
        if isinstance(inner, types.FunctionType) and inner.__module__.split(".")[0] == "torch":
            never = dict.fromkeys(
                ["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"], lambda *_: False
            )
            opened = types.FunctionType(
                inner.__code__, {**inner.__globals__, **never}, inner.__name__, inner.__defaults__, inner.__closure__
            )
            opened.__kwdefaults__ = inner.__kwdefaults__
        _without_override[call.function] = opened
    function = _without_override[call.function]
    if function is None:
        raise NotImplementedError
    with walk:
        return function(*call.args, **call.kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# The table


class _Every:
    def __contains__(self, function: object) -> bool:
        return True


def _always(call: Call) -> bool:
    return True


def _on_a_comparison(call: Call) -> bool:
    return any(hasattr(tensor, _STEP) for tensor in call.tracked)


def _of_one_changing_factor(call: Call) -> bool:
    """Whether only one of the factors of a product depends on the input (the bias of a layer is none)."""
    positional = call.args if call.function in op.EINSUM else call.args[:2]
    factors = [*positional, *(value for key, value in call.kwargs.items() if key != "bias")]
    return sum(map(is_tracked, op.tensors_in(factors))) < 2


def _by_a_constant(call: Call) -> bool:
    divisor = call.kwargs.get("other", call.args[1] if len(call.args) > 1 else None)
    return not is_tracked(divisor) and call.kwargs.get("rounding_mode") is None


def _changes_its_input(call: Call) -> bool:
    return call.is_in_place or bool(call.kwargs.get("inplace", False))


def _on_one_activation(call: Call) -> bool:
    return len(call.tracked) == 1 and bool(call.args) and call.args[0] is call.tracked[0]


def _of_a_broken_exponent(call: Call) -> bool:
    exponent = call.kwargs.get("exponent", call.args[-1])
    return (
        _on_one_activation(call) and isinstance(exponent, float) and not (exponent.is_integer() or abs(exponent) == 0.5)
    )


def _of_many_activations(call: Call) -> bool:
    return len(call.tracked) > 2


def _by_an_activation(call: Call) -> bool:
    return len(call.tracked) > 1


def _clamp(walk: Walk, call: Call) -> Any:
    with walk:
        return compositions.clamp(call.name, *call.args, **call.kwargs)


class _Row(NamedTuple):
    operations: Container[Callable]
    applies: Callable[[Call], bool]
    handler: Callable[[Walk, Call], Any]


# The first row with the operation whose condition holds for the call decides.
_TABLE = (
    _Row(op.COMPARISONS, _always, _compare),
    _Row(op.CHOICES, _on_a_comparison, _choose),
    _Row(op.NEGATIONS, _on_a_comparison, _negate),
    _Row(op.CONJUNCTIONS | op.DISJUNCTIONS, _on_a_comparison, _combine),
    _Row(op.LINEAR.keys() | op.PRODUCTS | op.TO_NUMBERS, _on_a_comparison, _calculate),
    _Row(_Every(), _on_a_comparison, _refuse_comparison),
    _Row(op.LINEAR, _always, _linear),
    _Row(op.DIVISIONS, _by_a_constant, _linear),
    _Row(op.PRODUCTS, _of_one_changing_factor, _linear),
    _Row(_Every(), _changes_its_input, _in_place),
    _Row(op.EINSUM, _of_many_activations, _write_out),
    _Row(op.PRODUCTS, _always, _product),
    _Row(op.CLAMPS, _by_an_activation, _clamp),
    _Row(op.EXTREMA, _always, _extremum),
    _Row(op.POWERS, _of_a_broken_exponent, _power),
    _Row(op.COMPOSITIONS, _always, _write_out),
    _Row(op.ELEMENTWISE, _on_one_activation, _elementwise),
    _Row(op.MAX_POOLS, _on_one_activation, _max_pool),
    _Row(op.TOP_K, _on_one_activation, _top_k),
    _Row(op.SOFTMAX | op.LOG_SUM_EXP, _on_one_activation, _softmax),
    _Row(_Every(), _always, _open_up),
)


def handle(walk: Walk, call: Call) -> Any:
    """Run an operation and have it explained.

    Raises
    ------
    NotImplementedError
        If the operation has no rule, or not for such a call; the message, if any, says why.
    """
    if not call.args and "input" in call.kwargs and call.function not in op.CHOICES:
        rest = {key: value for key, value in call.kwargs.items() if key != "input"}
        call = Call(call.function, (call.kwargs["input"],), rest, call.tracked)
    if call.kwargs.get("out") is not None:
        raise NotImplementedError("results written to `out=` cannot be followed")
    handler = next(row.handler for row in _TABLE if call.function in row.operations and row.applies(call))
    return handler(walk, call)
