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
others; where something has cut the graph nevertheless, it is refused. Both walks know the memory of the activations
that they follow, so an activation that comes back as another tensor on the same memory is refused too.

`torch.vmap` runs its function on tensors that hide the batch. While a walk runs, it calls the function once for each
entry instead, which is what it means.
"""

import contextlib
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch._functorch import apis
from torch._functorch.vmap import _broadcast_to_and_flatten, _process_batched_inputs
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import CheckpointFunction

from seqlift.attribution import layout, reveal_cancel, rules
from seqlift.attribution.batch_size import is_out_of_memory
from seqlift.attribution.calls import MARK, Call, is_tracked, mark
from seqlift.attribution.handlers import Walk, handle
from seqlift.attribution.operations import FILLED, IDENTITY, VALUELESS, tensors_in
from seqlift.errors import SeqliftError


def _came_from_input(value: Tensor) -> bool:
    """Whether a tensor's autograd graph reaches an activation that is being followed."""
    seen, open_nodes = set(), [value.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(getattr(node, "variable", None), MARK):
            return True
        open_nodes += [following for following, _ in node.next_functions]
    return False


class _Memory:
    """The memory of the activations that a walk follows, as long as it is in use."""

    def __init__(self) -> None:
        self._in_use: dict[int, StorageWeakRef] = {}

    def add(self, tensor: Tensor) -> None:
        if tensor.layout == torch.strided and tensor.numel():
            storage = tensor.untyped_storage()
            self._in_use[storage.data_ptr()] = StorageWeakRef(storage)

    def holds(self, tensor: Tensor) -> bool:
        if tensor.layout != torch.strided or not tensor.numel():
            return False
        known = self._in_use.get(tensor.untyped_storage().data_ptr())
        return known is not None and not known.expired()


class _Walk(TorchFunctionMode, Walk):
    """What both walks share: seeing each operation, and refusing by name what cannot be explained."""

    def __init__(self, model: Callable, rule: str, channels_last: bool):
        super().__init__()
        self._layout = layout.ChannelsLast() if channels_last else None
        model = getattr(model, "module", model)  # inside of what `seqlift.attribution.output_layer` wraps around it
        self._names = {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}
        self.rule = rule
        self._memory = _Memory()

    def _place(self) -> str:
        """Where in the model the current operation is called, found on the call stack."""
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
        tensors = tensors_in((args, kwargs))
        if function is torch._C._set_grad_enabled:
            return self.set_grad_enabled(*args)
        transformed = any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors))
        tracked = [] if transformed else [tensor for tensor in tensors if is_tracked(tensor)]
        if transformed or (tracked and torch._C._functorch.peek_interpreter_stack() is not None):
            raise self._refuse(function, "it runs inside a transform of torch.func, where activations are hidden")
        self._check_seen(function, [tensor for tensor in tensors if not is_tracked(tensor)])
        if not tracked:
            with self.around():
                return function(*args, **kwargs)
        self._check_followed(function, tracked)
        if function in FILLED and any(map(is_tracked, tensors_in((args[1:], kwargs)))):
            raise self._refuse(function, "it copies the values of an activation where they cannot be followed")
        if function in VALUELESS:
            return self.run(function, *args, **kwargs)
        if function in IDENTITY:
            return args[0]
        try:
            return handle(self, Call(function, args, kwargs, tracked))
        except NotImplementedError as reason:
            raise self._refuse(function, str(reason) or "it has no DeepLIFT rule") from None

    def _check_seen(self, function: Callable, constants: list[Tensor]) -> None:
        """Refuse what counts as a constant and is none."""
        for tensor in constants:
            if tensor.is_nested:
                raise self._refuse(function, "nested tensors hide whether they hold activations")
            if function in VALUELESS:
                continue
            if _came_from_input(tensor):
                raise self._refuse(
                    function,
                    "its input was computed where operations cannot be seen "
                    "(a scripted or compiled function, a custom autograd.Function that calls no PyTorch operation)",
                )
            if self._memory.holds(tensor):
                raise self._refuse(
                    function,
                    f"its input, a {type(tensor).__name__}, is an activation made into another tensor where this "
                    "cannot be seen (`as_subclass`, `nn.Parameter`, `set_`, NumPy, DLPack)",
                )

    def set_grad_enabled(self, enabled: bool) -> None:
        """What the model's own `no_grad` and `enable_grad` do."""
        torch._C._set_grad_enabled(enabled)

    def around(self) -> contextlib.AbstractContextManager:
        """The mode of autograd in which operations on constants run."""
        return torch.no_grad()

    def run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if self._layout is None else self._layout(function, *args, **kwargs)

    def end(self) -> None:
        """Called when the model has run."""
        if self._layout is not None:
            self._layout.check()

    def follow(self, value: Any) -> Any:
        for tensor in tensors_in(mark(value)):
            self._memory.add(tensor)
        return value

    def explain_failure(self, error: Exception) -> SeqliftError:
        """Of an error that the model's operations raise only while they are followed."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
        at = f", at `{frames[-1].line}` ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
        return SeqliftError(
            f"cannot explain the model{at}: PyTorch can run this, but not while its operations are followed "
            f"({type(error).__name__}: {(str(error).splitlines() or ['no message'])[0][:200]}). Write the model with "
            "operations that have a DeepLIFT rule, or use interior gradients, which need only gradients"
        )

    def _check_followed(self, function: Callable, tracked: list[Tensor]) -> None:
        """Refuse activations whose multipliers would be lost on the way back."""


class _Record(_Walk):
    """The walk of the sequences."""

    def __init__(self, model: Callable, rule: str, channels_last: bool):
        super().__init__(model, rule, channels_last)
        self.records: list[list] = []

    def gradients(self) -> contextlib.AbstractContextManager:
        return torch.no_grad()

    def set_grad_enabled(self, enabled: bool) -> None:
        """Autograd looks on everywhere, also where the model switches it off."""

    def follow(self, value: Any) -> Any:
        for tensor in tensors_in(super().follow(value)):
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.requires_grad_()
        return value

    def explain(self, rule: rules.Rule, function: Callable, inputs: list[Tensor]) -> Any:
        output, saved = rule.record(function, [tensor.detach() for tensor in inputs])
        self.records.append([rule, list(saved)])
        return self.follow(output)

    def split_change(self, call: Call, result: Any) -> None:
        if reveal_cancel.wants_inputs(self.rule, call.function, len(call.tracked), result):
            self.records.append([reveal_cancel.Inputs(), [tensor.detach() for tensor in call.tracked]])

    def before_change(self, tensor: Tensor) -> None:
        changed = tensor.untyped_storage().data_ptr()
        for _, saved in self.records:
            for i, kept in enumerate(saved):
                if kept.untyped_storage().data_ptr() == changed:
                    saved[i] = kept.clone()


class _Replay(_Walk):
    """The walk of the references; takes the records in the order in which they were made."""

    def __init__(self, model: Callable, rule: str, channels_last: bool, pairing: rules.Pairing):
        super().__init__(model, rule, channels_last)
        self.records: list[list] = []  # of the first walk
        self._next, self._pairing = 0, pairing

    def gradients(self) -> contextlib.AbstractContextManager:
        return torch.enable_grad()

    def around(self) -> contextlib.AbstractContextManager:
        return torch.enable_grad()  # a view made without it could not be changed in place with it

    def end(self) -> None:
        super().end()
        if self._next != len(self.records):
            raise SeqliftError("the model takes another way for references than for sequences; it cannot be explained")

    def _check_followed(self, function: Callable, tracked: list[Tensor]) -> None:
        if any((t.is_floating_point() or t.is_complex()) and t.grad_fn is None for t in tracked):
            raise self._refuse(
                function,
                "its input comes out of a custom autograd.Function, which has a backward pass of its own, or is an "
                "activation made into another tensor where this cannot be seen (`as_subclass`, `torch.Tensor`)",
            )

    def _take(self, rule: object) -> tuple[Tensor, ...]:
        """What the first walk kept at this place."""
        if self._next == len(self.records) or self.records[self._next][0] != rule:
            raise NotImplementedError("the model takes another way for references than for sequences")
        saved = tuple(self.records[self._next][1])
        self._next += 1
        return saved

    def explain(self, rule: rules.Rule, function: Callable, inputs: list[Tensor]) -> Any:
        saved = self._take(rule)
        with torch.enable_grad():
            return self.follow(rule.replay(function, inputs, saved, self._pairing))

    def split_change(self, call: Call, result: Any) -> None:
        totals = None
        if reveal_cancel.wants_inputs(self.rule, call.function, len(call.tracked), result):
            saved = self._take(reveal_cancel.Inputs())
            totals = [reveal_cancel.total_parts(x, r, self._pairing) for x, r in zip(saved, call.tracked, strict=True)]
        reveal_cancel.note_parts(self.rule, self.run, call, result, totals)


def _tensor(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise SeqliftError(
            f"the model returns a {type(value).__name__}; attribution needs one tensor of shape (N, T): "
            "wrap the model in a function that picks it"
        )
    return value


def _output(value: Any) -> Tensor:
    value = _tensor(value)
    if not hasattr(value, MARK):
        raise SeqliftError(
            "the model's output does not depend on its input by operations that can be seen: a scripted or compiled "
            "module or a custom autograd.Function hides them, or they left PyTorch"
        )
    return value


def _is_ours(file: str) -> bool:
    """Whether a source file belongs to seqlift or to PyTorch."""
    return any(f"/{name}/" in file.replace("\\", "/") for name in ("seqlift/attribution", "torch"))


_lock = threading.Lock()
_walks = threading.local()
_n_walking = 0


def _run_checkpoint(run: Callable, preserve: bool, *args: Any) -> Any:
    if getattr(_walks, "here", False):
        return run(*args)
    return super(CheckpointFunction, CheckpointFunction).apply(run, preserve, *args)


_vmap = apis.vmap_impl


def _run_vmap(
    function: Callable, in_dims: Any, out_dims: Any, randomness: str, chunk_size: Any, *args: Any, **kwargs: Any
) -> Any:
    if not getattr(_walks, "here", False):
        return _vmap(function, in_dims, out_dims, randomness, chunk_size, *args, **kwargs)
    size, dims, flat, spec = _process_batched_inputs(in_dims, args, function)
    results = []
    for i in range(size):
        inputs = [value if dim is None else value.select(dim, i) for value, dim in zip(flat, dims, strict=True)]
        results.append(tree_flatten(function(*tree_unflatten(inputs, spec), **kwargs)))
    spec = results[0][1]
    wanted = out_dims[0] if spec.is_leaf() and isinstance(out_dims, tuple) else out_dims
    outputs = zip(*(flat for flat, _ in results), strict=True)
    into = _broadcast_to_and_flatten(wanted, spec) or []
    stacked = [
        values[0] if dim is None else torch.stack(values, dim) for values, dim in zip(outputs, into, strict=True)
    ]
    return tree_unflatten(stacked, spec)


@contextlib.contextmanager
def _opened() -> Iterator[None]:
    """Let the walks of this thread see into `torch.vmap` and into checkpoints with `use_reentrant=True`."""
    global _n_walking
    with _lock:
        _n_walking += 1
        CheckpointFunction.apply = staticmethod(_run_checkpoint)  # type: ignore[method-assign]
        apis.vmap_impl = _run_vmap  # type: ignore[assignment]
    _walks.here = True
    try:
        yield
    finally:
        _walks.here = False
        with _lock:
            _n_walking -= 1
            if not _n_walking:
                del CheckpointFunction.apply
                apis.vmap_impl = _vmap


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
    n, n_references = references.shape[:2]
    repeated = tuple(arg.repeat_interleave(n_references, 0) for arg in args)
    channels_last = layout.is_worthwhile(sequences)
    pairing = rules.Pairing(n, n_references)
    leaf = references.flatten(0, 1)
    with _opened():
        while True:
            walks = _Record(model, rule, channels_last), _Replay(model, rule, channels_last, pairing)
            try:
                gradient, f, f_references = _walk(*walks, model, target, (sequences, *args), (leaf, *repeated))
                break
            except rules.PairingError:
                # Rows moved to where a shape does not tell which sequence they belong to (strands stacked along the
                # batch, batch second): give every reference a sequence row of its own, at the price of more rows.
                if pairing.n_references == 1 and (pairing.n_sequences > n or n_references == 1):
                    raise SeqliftError(
                        "cannot explain the model: an activation has another shape for references than for sequences"
                    ) from None
                pairing = rules.Pairing(n * n_references, 1)
                sequences, args = sequences.repeat_interleave(n_references, 0), repeated
            except layout.LayoutError:
                channels_last = False
            except Exception as error:
                if isinstance(error, SeqliftError) or is_out_of_memory(error):
                    raise
                if not channels_last:
                    _raise_failure(walks[0], error, model, target, [(sequences, *args), (leaf, *repeated)])
                channels_last = False  # perhaps it asks for a layout in a way that cannot be seen
            finally:
                _forget(model)
    prediction = f if len(f) == n else f[::n_references]
    return gradient.reshape(references.shape), prediction, f_references.view(n, n_references)


def _raise_failure(walk: _Walk, error: Exception, model: Callable, target: Callable, passes: list) -> NoReturn:
    """Raise an error of a walk as what it is: the model's own, or one of following its operations."""
    try:
        with torch.no_grad():
            for inputs in passes:
                target(_tensor(model(*(value.detach().clone() for value in inputs))))
    except Exception:
        if not type(error).__module__.startswith("torch._dynamo"):  # which remembers that it failed
            raise error from None
    raise walk.explain_failure(error) from error


def _forget(model: Callable) -> None:
    """Take the traces of a walk off the model's own tensors, in case that it writes activations into them."""
    model = getattr(model, "module", model)
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            vars(tensor).pop(MARK, None)
            if tensor.requires_grad:
                tensor.detach_()


def _walk(
    record: _Record, replay: _Replay, model: Callable, target: Callable, inputs: tuple, reference_inputs: tuple
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient that the rules give for the references (B·R, 4, L), and both predictions."""
    sequences, *args = inputs
    followed = record.follow(sequences.detach().clone())
    with torch.enable_grad(), record:
        prediction = target(_output(model(followed, *args)))
    record.end()
    _forget(model)
    leaf, *args = reference_inputs
    leaf = leaf.detach().requires_grad_()
    replay.records = record.records
    with torch.enable_grad():
        followed = mark(leaf.clone())
    with torch.no_grad(), replay:
        reference_prediction = target(_output(model(followed, *args)))
    replay.end()
    with torch.enable_grad():
        total = reference_prediction.sum()  # a gradient given for each row would make torch import sympy
    (gradient,) = torch.autograd.grad(total, leaf)
    return gradient, prediction.detach(), reference_prediction.detach()
