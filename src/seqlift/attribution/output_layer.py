"""Which layer of a model is explained: its logits, or the probabilities of its output layer.

A sigmoid or softmax at the end of a model saturates: where the model is certain, a base that changes the logit changes
the probability by next to nothing. So the input of that layer is explained (arXiv 1605.01713 §"choice of target
layer"); for a softmax, minus the mean over classes, since a change that all classes share changes no probability.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seqlift.attribution.operations import find
from seqlift.errors import SeqliftError

OUTPUTS = ("logit", "probability")

_LOGARITHMS = find("logsigmoid log_sigmoid log_softmax")
_SOFTMAXES = find("softmax log_softmax")
_OUTPUT_LAYERS = find("sigmoid sigmoid_ expit") | _LOGARITHMS | _SOFTMAXES
# What a model may do with probabilities afterwards; the same is then done with their logits.
_REARRANGEMENTS = find(
    "squeeze unsqueeze flatten unflatten reshape view __getitem__ select narrow transpose permute contiguous clone",
    "cat concat concatenate stack hstack to float double",
)


def _version(tensor: Tensor) -> int:
    """Counts changes in place."""
    return 0 if tensor.is_inference() else tensor._version


@dataclass(frozen=True)
class _Probabilities:
    """The origin of a tensor of probabilities; `logits` computes its logits when they are needed."""

    logits: Callable[[], Tensor]
    is_logarithm: bool
    version: int


class _OutputLayer(TorchFunctionMode):
    """Remembers the logits of the probabilities that a model computes, as long as the model keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self._known = WeakTensorKeyDictionary()

    def find(self, tensor: Any) -> _Probabilities | None:
        """The origin of a tensor, if it consists of probabilities and has not been changed in place."""
        found = self._known.get(tensor) if isinstance(tensor, Tensor) else None
        return found if found is not None and found.version == _version(tensor) else None

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if function in _OUTPUT_LAYERS:
            return self._remember(function, args, kwargs)
        result = function(*args, **kwargs)
        if function in _REARRANGEMENTS and isinstance(result, Tensor):
            self._follow(function, args, kwargs, result)
        return result

    def _remember(self, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        given = dict(zip(("input", "dim"), args, strict=False)) | kwargs
        logits: Tensor = given["input"] if "input" in given else given["self"]
        logits = logits.clone() if getattr(function, "__name__", "") == "sigmoid_" else logits
        result = function(*args, **kwargs)
        changes, dim = _version(logits), given.get("dim")
        dim = (0 if logits.ndim in (0, 1, 3) else 1) if dim is None else dim  # as F.softmax takes it

        def recall() -> Tensor:
            if _version(logits) != changes:
                raise SeqliftError(
                    "the model changes its logits in place after its output layer has used them, so they cannot be "
                    'explained; do not change them, or use output="probability"'
                )
            return logits - logits.mean(dim, keepdim=True) if function in _SOFTMAXES else logits

        self._known[result] = _Probabilities(recall, function in _LOGARITHMS, _version(result))
        return result

    def _follow(self, function: Callable, args: tuple, kwargs: dict, result: Tensor) -> None:
        """Remember the origin of a rearranged tensor, if all of it is probabilities."""
        key = None if args else next(iter(kwargs.keys() & {"input", "self", "tensors"}), None)
        given: Any = args[0] if args else kwargs.get(key)
        together = isinstance(given, tuple | list)
        found = [self.find(part) for part in (given if together else [given])]
        parts = [part for part in found if part is not None]
        if len(parts) < len(found) or len({part.is_logarithm for part in parts}) != 1:
            return

        def recall() -> Tensor:
            logits = [part.logits() for part in parts]
            first = logits if together else logits[0]
            return function(first, *args[1:], **kwargs) if args else function(**(kwargs | {key: first}))

        self._known[result] = _Probabilities(recall, parts[0].is_logarithm, _version(result))


class ExplainedModel:
    """A model as a function of the output that is explained.

    Parameters
    ----------
    model : torch.nn.Module or callable, (N, 4, L) [+ args] -> (N, T), or (N,) for a single target
        Also available as the attribute `module`.
    output : "logit" or "probability"
        The logit is the input of the sigmoid or softmax (or of the logarithm of one) that the model ends in, for a
        softmax minus its mean over classes; a model that ends otherwise is explained as it is. The probability is the
        output of that layer; for a model that ends otherwise, the sigmoid of its output.

    Raises
    ------
    SeqliftError
        If `output` is unknown; when called, if the model does not return one tensor (N, T).
    """

    def __init__(self, model: Callable, output: str = "logit"):
        if output not in OUTPUTS:
            raise SeqliftError(f"`output` (={output!r}) must be one of {', '.join(map(repr, OUTPUTS))}")
        self.module = model
        self._output = output

    def __call__(self, sequences: Tensor, *args: Tensor) -> Tensor:
        """The outputs of all targets, (N, T)."""
        layer = _OutputLayer()
        with layer:
            result = self.module(sequences, *args)
        if not isinstance(result, Tensor):
            raise SeqliftError(
                f"the model returns a {type(result).__name__}; attribution needs one tensor of shape (N, T): "
                "wrap the model in a function that picks it"
            )
        found = layer.find(result)
        if self._output == "logit":
            result = result if found is None else found.logits()
        elif found is None:
            result = torch.sigmoid(result)
        elif found.is_logarithm:
            result = torch.exp(result)
        n, shape = len(sequences), tuple(result.shape)
        if len(shape) == 2 and shape[0] == n:
            return result
        if len(shape) < 2 and (n == 1 or shape == (n,)):  # also after a `.squeeze()` that took the axis of a single row
            return result.reshape(n, -1)
        raise SeqliftError(f"the model's output has shape {shape}; it must be (N, T), here ({n}, T)")


def select(output: Tensor, target: int) -> Tensor:
    """One target (N,) of a model's output (N, T); a `SeqliftError` if there is no such target."""
    if not -output.shape[1] <= target < output.shape[1]:
        raise SeqliftError(f"`target` (={target}) must be less than the {output.shape[1]} outputs of the model")
    return output[:, target]
