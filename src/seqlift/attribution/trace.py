"""Two walks through a model: one that remembers the sequences' activations, one that explains the references'.

A torch-function mode sees every operation that a model asks PyTorch for, written as a module, a function, a method or
an operator, in place or not, and needs nothing from the model. The first walk runs the sequences once and keeps the
activations at each non-linear operation. The second runs the references, pairs each activation with the one recorded at
the same place, and gives every operation its DeepLIFT multiplier as gradient (`seqlift.attribution.rules`).

What has no rule is refused by name, with the place in the model. An operation is never taken as linear because nothing
is known about it; nor is a value that reached the output by a way that the walk could not see. To notice such ways,
the first walk lets autograd look on: each activation it follows is a leaf that requires gradients, so a value that has
one of them in its graph without having been followed itself came from a hidden operation. The second walk switches
autograd on for the operations it follows and off around them, so that checkpointed blocks are explained like any
others; where something has cut the graph nevertheless, it is refused.
"""

import contextlib
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils.checkpoint import CheckpointFunction

from seqlift.attribution import kernels, layout, reveal_cancel, rules
from seqlift.errors import SeqliftError

_MARK = "_seqlift_depends_on_input"
_STEP = "_seqlift_step"  # the outcome of a comparison, false or true, as an activation that is 0 or 1
_EINSUM = rules.find("einsum")
_VALUES_ONLY = rules.find("amax amin")


def _mark(value: Any) -> Any:
    """Note that these tensors depend on the model's input; what a view is marked with, its base is too."""
    if isinstance(value, Tensor):
        setattr(value, _MARK, True)
        if value._is_view():
            setattr(value._base, _MARK, True)
    elif isinstance(value, tuple | list):
        for item in value:
            _mark(item)
    return value


def _is_tracked(value: Any) -> bool:
    if not isinstance(value, Tensor):
        return False
    return hasattr(value, _MARK) or (value._is_view() and hasattr(value._base, _MARK))


def _came_from_input(value: Tensor) -> bool:
    """Whether a tensor's autograd graph reaches an activation that is being followed."""
    seen, open_nodes = set(), [value.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(getattr(node, "variable", None), _MARK):
            return True
        open_nodes += [following for following, _ in node.next_functions]
    return False


_without_override: dict[Callable, Callable | None] = {}


def _open_up(function: Callable) -> Callable | None:
    """A PyTorch function written in Python, without its look at modes, so that the operations inside show."""
    if function not in _without_override:
        inner = inspect.unwrap(function)
        opened = None
        if isinstance(inner, types.FunctionType) and inner.__module__.split(".")[0] == "torch":
            never = dict.fromkeys(
                ["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"], lambda *_: False
            )
            opened = types.FunctionType(
                inner.__code__, {**inner.__globals__, **never}, inner.__name__, inner.__defaults__, inner.__closure__
            )
            opened.__kwdefaults__ = inner.__kwdefaults__
        _without_override[function] = opened
    return _without_override[function]


def _functional(name: str) -> Callable:
    """The operation of that name that leaves its input as it is."""
    for home in (torch, nn.functional, torch.Tensor):
        if callable(getattr(home, name, None)):
            return getattr(home, name)
    raise NotImplementedError("done in place")


def _check_evaluation(function: Callable, args: tuple, kwargs: dict) -> None:
    """Dropout and BatchNorm are linear only in evaluation."""
    name = getattr(function, "__name__", "")
    if "dropout" in name:
        probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        if probability and kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True)):
            raise NotImplementedError("it drops at random also in evaluation (give it `training=self.training`)")
    elif name == "batch_norm" and kwargs.get("training", args[5] if len(args) > 5 else False):
        raise NotImplementedError("it normalises with the statistics of the batch, so that rows depend on each other")


class _Walk(TorchFunctionMode):
    """What both walks share: telling operations apart."""

    def __init__(self, model: Callable, rule: str, channels_last: bool):
        super().__init__()
        self._layout = layout.ChannelsLast() if channels_last else None
        model = getattr(model, "module", model)  # inside of what `seqlift.attribution.output` wraps around it
        self._names = {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}
        self._rule = rule

    def _place(self) -> str:
        """Where in the model the operation at hand is asked for, found on the call stack."""
        frame: types.FrameType | None = sys._getframe()
        while frame is not None:
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module) and module in self._names:
                name = self._names[module]
                kind = type(module).__name__
                return f"in `{name}` ({kind})" if name else f"in the model's own forward ({kind})"
            frame = frame.f_back
        return "in the model"

    def _refuse(self, function: Callable, why: str) -> SeqliftError:
        name = resolve_name(function) or getattr(function, "__name__", repr(function))
        return SeqliftError(
            f"cannot explain `{name}` {self._place()}: {why}. Write the model with operations that have a DeepLIFT "
            "rule, or use interior gradients, which need only gradients"
        )

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if function not in rules.VALUELESS and any(
            not _is_tracked(t) and _came_from_input(t) for t in rules.tensors_in((args, kwargs))
        ):
            raise self._refuse(
                function,
                "its input was computed where operations cannot be seen "
                "(a scripted or compiled function, a custom autograd.Function that calls no PyTorch operation)",
            )
        tracked = [tensor for tensor in rules.tensors_in((args, kwargs)) if _is_tracked(tensor)]
        if not tracked:
            with torch.no_grad():
                return function(*args, **kwargs)
        self._check_followed(function, tracked)
        if function in rules.VALUELESS:
            return self._run(function, *args, **kwargs)
        if function in rules.IDENTITY:
            return args[0]
        try:
            return self._explain(function, tracked, args, kwargs)
        except NotImplementedError as reason:
            raise self._refuse(function, str(reason) or "it has no DeepLIFT rule") from None

    def _run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if self._layout is None else self._layout(function, *args, **kwargs)

    def end(self) -> None:
        """Called when the model has run."""
        if self._layout is not None:
            self._layout.check()

    def _explain(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict) -> Any:
        if not args and "input" in kwargs and function not in rules.CHOICES:
            args, kwargs = (kwargs["input"],), {key: value for key, value in kwargs.items() if key != "input"}
        name = getattr(function, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__")
        if "out" in kwargs and kwargs["out"] is not None:
            raise NotImplementedError("results written to `out=` cannot be followed")
        if function in rules.COMPARISONS:
            return self._compare(function, *args, **kwargs)
        if any(hasattr(tensor, _STEP) for tensor in tracked):
            return self._use_comparison(function, args, kwargs)
        if self._is_linear(function, args, kwargs):
            if in_place or name == "__setitem__":
                self._before_change(args[0])
            return self._linear(function, tracked, args, kwargs)
        if in_place or kwargs.pop("inplace", False):
            result = self._explain(_functional(name[:-1]) if in_place else function, tracked, args, kwargs)
            self._before_change(args[0])
            with self._gradients():
                return self._follow(args[0].copy_(result))
        if function in rules.PRODUCTS:
            if len(tracked) > 2 + (function not in _EINSUM):
                raise NotImplementedError(f"it multiplies {len(tracked)} activations at once; multiply two at a time")
            return self._nonlinear(rules.Product(), function, tracked, args, kwargs)
        if function in rules.EXTREMA:
            return self._extremum(function, args, kwargs)
        if function in rules.COMPOSITIONS:
            with self:
                return rules.COMPOSITIONS[function](*args, **kwargs)
        if len(tracked) == 1 and args and args[0] is tracked[0]:
            if function in rules.ELEMENTWISE:
                split = self._rule != "rescale" and function in rules.ACTIVATIONS
                rule = (reveal_cancel.RevealCancel if split else rules.Rescale)(rules.ELEMENTWISE[function])
                return self._nonlinear(rule, function, tracked, args, kwargs)
            if function in rules.MAX_POOLS:
                return self._max_pool(function, args, kwargs)
            if function in rules.TOP_K:
                return self._top_k(*args, **kwargs)
            if function in rules.SOFTMAX or function in rules.LOG_SUM_EXP:
                return self._softmax(function, tracked, args, kwargs)
        opened = _open_up(function)
        if opened is None:
            raise NotImplementedError
        with self:
            return opened(*args, **kwargs)

    def _is_linear(self, function: Callable, args: tuple, kwargs: dict) -> bool:
        if function in rules.PRODUCTS:
            return self._factors(function, args, kwargs) < 2
        if function in rules.DIVISIONS:
            divisor = kwargs.get("other", args[1] if len(args) > 1 else None)
            return not _is_tracked(divisor) and kwargs.get("rounding_mode") is None
        return function in rules.LINEAR

    def _factors(self, function: Callable, args: tuple, kwargs: dict) -> int:
        """How many of the factors of a product depend on the input (the bias of a layer is none)."""
        positional = args if function in _EINSUM else args[:2]
        factors = [*positional, *(value for key, value in kwargs.items() if key != "bias")]
        return sum(_is_tracked(tensor) for tensor in rules.tensors_in(factors))

    def _linear(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict) -> Any:
        if function in rules.LINEAR:
            places = rules.LINEAR[function]
            if any(any(map(_is_tracked, rules.tensors_in(a))) for i, a in enumerate(args) if i not in places) or any(
                any(map(_is_tracked, rules.tensors_in(a))) for k, a in kwargs.items() if k not in rules.LINEAR_KEYWORDS
            ):
                raise NotImplementedError("an index, a mask, a condition or a weight in it depends on the input")
        _check_evaluation(function, args, kwargs)
        with self._gradients():
            result = self._run(function, *args, **kwargs)
        if any(not (t.is_floating_point() or t.is_complex()) for t in rules.tensors_in(result)):
            raise NotImplementedError("it makes whole numbers of an activation")
        if self._rule != "rescale" and not any(result is tensor for tensor in tracked):
            self._split_change(function, tracked, args, kwargs, result)
        return self._follow(result)

    def _extremum(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        given = dict(zip(("input", "dim", "keepdim"), args, strict=False)) | kwargs
        x, other = given.pop("input", None), given.get("other", given.get("dim"))
        x = given.pop("self") if x is None else x
        if isinstance(other, Tensor):
            with self:
                return (rules.maximum if rules.EXTREMA[function] > 0 else rules.minimum)(x, other)
        dims, keepdim = rules.as_dims(given.get("dim", given.get("axis")), x.ndim), given.get("keepdim", False)
        if 0 in dims:
            raise NotImplementedError("it reaches over the first axis, so rows of a batch depend on each other")
        kept = [d for d in range(x.ndim) if d not in dims]
        search = torch.max if rules.EXTREMA[function] > 0 else torch.min
        with self:
            rows = x.permute(*kept, *dims).flatten(len(kept))
        rule = rules.Select(1, rules.EXTREMA[function])
        values = self._nonlinear(rule, lambda t: search(t, -1, keepdim=True), [rows], (rows,), {})
        shape = [1 if d in dims else x.shape[d] for d in range(x.ndim) if keepdim or d not in dims]
        with self:
            values = values.reshape(shape)
        if function in _VALUES_ONLY or "dim" not in given:
            return values
        places = search(rows.detach(), -1).indices.reshape(shape)
        kind = torch.return_types.max if rules.EXTREMA[function] > 0 else torch.return_types.min
        return kind((values, _mark(places)))

    def _max_pool(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        pool, n_axes = rules.MAX_POOLS[function]
        names = ["input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"]
        names = ["input", "output_size", "return_indices"] if "adaptive" in pool.__name__ else names
        given = dict(zip(names, args, strict=False)) | kwargs
        x = given.pop("input")
        with_places = given.pop("return_indices", False) or "indices" in function.__name__
        if pool is nn.functional.max_pool1d_with_indices and kernels.can_take(x):
            pool = kernels.max_pool1d
        values = self._nonlinear(rules.Select(n_axes), lambda t: pool(t, **given), [x], (x,), {})
        return (values, _mark(pool(x.detach(), **given)[1])) if with_places else values

    def _top_k(self, x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        if dim % x.ndim == 0:
            raise NotImplementedError("it reaches over the first axis, so rows of a batch depend on each other")
        with self:
            rows = x.movedim(dim, -1)
        values = self._nonlinear(rules.TopK(k, 1 if largest else -1), torch.topk, [rows], (rows,), {})
        with self:
            values = values.movedim(-1, dim)
        return torch.return_types.topk((values, _mark(x.detach().topk(k, dim, largest).indices)))

    def _compare(self, function: Callable, input: Tensor, other: Any) -> Tensor:
        with self:
            difference = torch.sub(input, other)
        rule = rules.Rescale(rules.rescale_step)
        return self._outcome(self._nonlinear(rule, rules.COMPARISONS[function], [difference], (difference,), {}))

    @staticmethod
    def _outcome(step: Tensor) -> Tensor:
        condition = _mark(step.detach() > 0.5)
        setattr(condition, _STEP, step)
        return condition

    def _use_comparison(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        """What is made of the outcome of a comparison: a choice, another condition, or a number."""

        def numbers(value: Any) -> Any:
            if isinstance(value, tuple | list):
                return type(value)(map(numbers, value))
            return getattr(value, _STEP, value)

        if function in rules.CHOICES:
            return self._choose(function, args, kwargs)
        given = [*args, *kwargs.values()]
        if function in rules.NEGATIONS:
            with self:
                opposite = 1 - numbers(given[0])
            return self._outcome(opposite)
        if function in rules.CONJUNCTIONS | rules.DISJUNCTIONS:
            with self:
                a, b = (numbers(value) * 1.0 for value in given)
                both = a * b if function in rules.CONJUNCTIONS else a + b - a * b
            return self._outcome(both)
        if function not in rules.LINEAR.keys() | rules.PRODUCTS | rules.TO_NUMBERS:
            raise NotImplementedError("of a comparison of activations")
        with torch.no_grad():
            plain = function(*args, **kwargs)
        with self:
            result = function(*numbers(args), **{key: numbers(value) for key, value in kwargs.items()})
        if isinstance(plain, Tensor) and isinstance(result, Tensor):
            return self._outcome(result) if plain.dtype == torch.bool else result
        raise NotImplementedError("of a comparison of activations")

    def _choose(self, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        names = (
            ("condition", "input", "other")
            if isinstance(getattr(args[0], _STEP, None), Tensor)
            else (
                ("input", "condition", "other") if function in rules.find("where") else ("other", "condition", "input")
            )
        )
        given = dict(zip(names, args, strict=False)) | {
            {"self": "input", "mask": "condition", "value": "input"}.get(key, key): value
            for key, value in kwargs.items()
        }
        step = getattr(given["condition"], _STEP, None)
        changed = args[0] if function.__name__ in ("masked_fill_", "__setitem__") else None
        if step is None or len(given) < 3 or (changed is not None and step.shape != changed.shape):
            raise NotImplementedError("of a comparison of activations")
        kind = next(value for value in (given["input"], given["other"], step) if isinstance(value, Tensor))
        values = [torch.as_tensor(given[name], dtype=kind.dtype, device=step.device) for name in ("input", "other")]
        with self:
            a, b = (getattr(value, _STEP, value) for value in values)
            inputs = list(torch.broadcast_tensors(step, a, b))
        result = self._follow(self._apply(rules.Choice(), lambda s, a, b: torch.where(s > 0.5, a, b), inputs))
        if changed is None:
            return result
        self._before_change(changed)
        with self._gradients():
            return self._follow(changed.copy_(result))

    def _softmax(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict) -> Any:
        given = dict(zip(("input", "dim", "keepdim"), args, strict=False)) | kwargs
        dim = given.get("dim")
        if given.get("dtype") is not None or not isinstance(dim, int):
            raise NotImplementedError("it is understood for one `dim` and without `dtype`")
        keepdim = bool(given.get("keepdim", False))
        rule = rules.LogSumExp(dim, keepdim) if function in rules.LOG_SUM_EXP else rules.Softmax(dim)
        return self._nonlinear(rule, function, tracked, args, kwargs)

    def _nonlinear(self, rule: rules.Rule, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict) -> Any:
        def of_tracked(*values: Tensor) -> Any:
            """The operation as a function of its tracked inputs alone."""
            replaced = iter(values)

            def put(value: Any) -> Any:
                if _is_tracked(value):
                    return next(replaced)
                return type(value)(map(put, value)) if type(value) in (tuple, list) else value

            return function(*map(put, args), **{key: put(value) for key, value in kwargs.items()})

        return self._follow(self._apply(rule, of_tracked, tracked))

    def _gradients(self) -> contextlib.AbstractContextManager:
        raise NotImplementedError

    def _follow(self, value: Any) -> Any:
        return _mark(value)

    def _check_followed(self, function: Callable, tracked: list[Tensor]) -> None:
        """Refuse activations whose multipliers would be lost on the way back."""

    def _before_change(self, tensor: Tensor) -> None:
        """Called before an operation changes a tensor in place."""

    def _split_change(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict, result: Any) -> None:
        """Prepare RevealCancel, which explains rises and falls apart."""

    def _apply(self, rule: rules.Rule, function: Callable, tracked: list[Tensor]) -> Any:
        raise NotImplementedError


class _Record(_Walk):
    """The walk of the sequences."""

    def __init__(self, model: Callable, rule: str, channels_last: bool):
        super().__init__(model, rule, channels_last)
        self.records: list[list] = []

    def _gradients(self) -> contextlib.AbstractContextManager:
        return torch.no_grad()

    def _follow(self, value: Any) -> Any:
        for tensor in rules.tensors_in(_mark(value)):
            if tensor.is_floating_point():
                tensor.requires_grad_()
        return value

    def _apply(self, rule: rules.Rule, function: Callable, tracked: list[Tensor]) -> Any:
        output, saved = rule.record(function, [tensor.detach() for tensor in tracked])
        self.records.append([rule, list(saved)])
        return output

    def _split_change(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict, result: Any) -> None:
        if reveal_cancel.wants_inputs(self._rule, function, len(tracked), result):
            self.records.append([reveal_cancel.Inputs(), [tensor.detach() for tensor in tracked]])

    def _before_change(self, tensor: Tensor) -> None:
        changed = tensor.untyped_storage().data_ptr()
        for _, saved in self.records:
            for i, kept in enumerate(saved):
                if kept.untyped_storage().data_ptr() == changed:
                    saved[i] = kept.clone()


class _Replay(_Walk):
    """The walk of the references; takes the records in the order in which they were made."""

    def __init__(self, model: Callable, rule: str, channels_last: bool, records: list[list], pairing: rules.Pairing):
        super().__init__(model, rule, channels_last)
        self._records, self._next, self._pairing = records, 0, pairing

    def _gradients(self) -> contextlib.AbstractContextManager:
        return torch.enable_grad()

    def _check_followed(self, function: Callable, tracked: list[Tensor]) -> None:
        if any(tensor.is_floating_point() and not tensor.requires_grad for tensor in tracked):
            raise self._refuse(
                function, "its input comes out of a custom autograd.Function, which has a backward pass of its own"
            )

    def _take(self, rule: object) -> tuple[Tensor, ...]:
        """What the first walk kept at this place."""
        if self._next == len(self._records) or self._records[self._next][0] != rule:
            raise NotImplementedError("the model takes another way for references than for sequences")
        saved = tuple(self._records[self._next][1])
        self._next += 1
        return saved

    def _apply(self, rule: rules.Rule, function: Callable, tracked: list[Tensor]) -> Any:
        saved = self._take(rule)
        with torch.enable_grad():
            return rule.replay(function, tracked, saved, self._pairing)

    def _split_change(self, function: Callable, tracked: list[Tensor], args: tuple, kwargs: dict, result: Any) -> None:
        totals = None
        if reveal_cancel.wants_inputs(self._rule, function, len(tracked), result):
            saved = self._take(reveal_cancel.Inputs())
            totals = [reveal_cancel.total_parts(x, r, self._pairing) for x, r in zip(saved, tracked, strict=True)]
        reveal_cancel.note_parts(self._rule, self._run, function, args, kwargs, tracked, result, totals)


def _output(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise SeqliftError(
            f"the model returns a {type(value).__name__}; attribution needs one tensor of shape (N, T): "
            "wrap the model in a function that picks it"
        )
    if not hasattr(value, _MARK):
        raise SeqliftError(
            "the model's output does not depend on its input by operations that can be seen: a scripted or compiled "
            "module or a custom autograd.Function hides them, or they left PyTorch"
        )
    return value


_lock = threading.Lock()
_walks = threading.local()
_n_walking = 0


def _run_checkpoint(run: Callable, preserve: bool, *args: Any) -> Any:
    if getattr(_walks, "here", False):
        return run(*args)
    return super(CheckpointFunction, CheckpointFunction).apply(run, preserve, *args)


@contextlib.contextmanager
def _checkpoints_opened() -> Iterator[None]:
    """Let the walks of this thread see into checkpoints with `use_reentrant=True`, a function with its own backward."""
    global _n_walking
    with _lock:
        _n_walking += 1
        CheckpointFunction.apply = staticmethod(_run_checkpoint)  # type: ignore[method-assign]
    _walks.here = True
    try:
        yield
    finally:
        _walks.here = False
        with _lock:
            _n_walking -= 1
            if not _n_walking:
                del CheckpointFunction.apply


def multipliers(
    model: Callable,
    sequences: Tensor,
    references: Tensor,
    target: Callable[[Tensor], Tensor],
    args: tuple[Tensor, ...] = (),
    rule: str = "rescale",
) -> tuple[Tensor, Tensor, Tensor]:
    """DeepLIFT's multipliers of a model's output with respect to its input.

    Parameters
    ----------
    model : callable, (N, 4, L) [+ args] -> (N, T)
    sequences : torch.Tensor, shape (B, 4, L)
    references : torch.Tensor, shape (B, R, 4, L)
    target : callable, (N, T) -> (N,)
    args : tuple of torch.Tensor, shape (B, ...)
    rule : "rescale", "reveal-cancel" or "genomics"
        For activation functions; `genomics` is RevealCancel on dense layers and Rescale elsewhere.

    Returns
    -------
    multipliers : torch.Tensor, shape (B, R, 4, L)
    prediction : torch.Tensor, shape (B,)
    reference_prediction : torch.Tensor, shape (B, R)

    Raises
    ------
    SeqliftError
        If the model uses an operation without a rule; the message names it and its place.
    """
    with _checkpoints_opened():
        return _multipliers(model, sequences, references, target, args, rule)


def _multipliers(
    model: Callable,
    sequences: Tensor,
    references: Tensor,
    target: Callable[[Tensor], Tensor],
    args: tuple[Tensor, ...],
    rule: str,
) -> tuple[Tensor, Tensor, Tensor]:
    n, n_references = references.shape[:2]
    repeated = tuple(arg.repeat_interleave(n_references, 0) for arg in args)
    channels_last = layout.serves(sequences)
    pairing = rules.Pairing(n, n_references)
    while True:
        try:
            return _walk(model, sequences, references, target, args, repeated, rule, pairing, channels_last)
        except rules.PairingError:
            # Rows moved to where a shape does not tell which sequence they belong to (strands stacked along the batch,
            # batch second): give every reference a sequence row of its own, at the price of more forward rows.
            if pairing.n_references == 1 and pairing.n_sequences > n:
                raise
            pairing = rules.Pairing(n * n_references, 1)
            sequences, args = sequences.repeat_interleave(n_references, 0), repeated
        except layout.LayoutError:
            channels_last = False


def _walk(
    model: Callable,
    sequences: Tensor,
    references: Tensor,
    target: Callable[[Tensor], Tensor],
    args: tuple[Tensor, ...],
    reference_args: tuple[Tensor, ...],
    rule: str,
    pairing: rules.Pairing,
    channels_last: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    n, n_references = references.shape[:2]
    record = _Record(model, rule, channels_last)
    followed = record._follow(sequences.detach().clone())
    with torch.enable_grad(), record:
        prediction = target(_output(model(followed, *args)))
    record.end()
    prediction = prediction.detach()
    leaf = references.flatten(0, 1).detach().requires_grad_()
    replay = _Replay(model, rule, channels_last, record.records, pairing)
    with torch.enable_grad():
        followed = _mark(leaf.clone())
    with torch.no_grad(), replay:
        reference_prediction = target(_output(model(followed, *reference_args)))
    replay.end()
    if replay._next != len(record.records):
        raise SeqliftError("the model takes another way for references than for sequences; it cannot be explained")
    (gradient,) = torch.autograd.grad(reference_prediction, leaf, torch.ones_like(reference_prediction))
    if len(prediction) != n:
        prediction = prediction[::n_references]
    return (
        gradient.reshape(references.shape),
        prediction,
        reference_prediction.detach().view(n, n_references),
    )
