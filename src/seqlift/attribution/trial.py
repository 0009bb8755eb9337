"""What is learnt of a model by running a row or two: how many rows to take at a time, and that rows do not mix."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seqlift.attribution.operations import tensors_in
from seqlift.errors import SeqliftError

# Bytes of the largest activation of a batch. On a CPU, larger ones fall out of the caches and come from the system
# page by page; a GPU has to be filled. Chosen by measuring networks of several widths and lengths.
_CPU_BYTES, _GPU_BYTES = 10 * 2**20, 2**28
_MOST_ROWS = 8192


class _LargestActivation(TorchDispatchMode):
    """Remembers the size, in bytes, of the largest tensor that an operation makes; views take no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch asks this of each such class; for one that says yes, it imports its whole compiler, 1.7 s."""
        return False

    def __torch_dispatch__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in((args, kwargs))}
        for tensor in tensors_in(result):
            if tensor.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return result


def default_batch_size(predict: Callable[..., Tensor], sequences: Tensor, args: tuple[Tensor, ...] = ()) -> int:
    """Rows to give to a model at a time, by the largest activation of one row.

    It depends on the model and the device alone, never on how long something took: the results of a call are then the
    same to the last digit whenever it is made.

    Parameters
    ----------
    predict : callable, (B, 4, L), *args -> (B,)
    sequences : torch.Tensor, shape (N, 4, L), on the model's device
        The first is tried.
    args : tuple of torch.Tensor, shape (N, ...)

    Returns
    -------
    int
    """
    largest = _LargestActivation()
    try:
        with torch.no_grad(), largest:
            predict(sequences[:1].clone(), *(arg[:1].clone() for arg in args))
    except Exception:  # whatever it is, the call itself will meet it, and can say better what is wrong
        largest.bytes = 0
    budget = _GPU_BYTES if sequences.device.type == "cuda" else _CPU_BYTES
    widest = max(largest.bytes, sequences[:1].numel() * sequences.element_size())
    return max(1, min(_MOST_ROWS, math.ceil(budget / widest)))


def check_independence(predict: Callable[..., Tensor], sequences: Tensor, args: tuple[Tensor, ...] = ()) -> None:
    """Refuse a model whose output for one sequence depends on the others in its batch, or is random.

    Two sequences are run together, and each beside a copy of itself. A model that takes rows one by one does the same
    sums for a row in both, so its two outputs are the same to the last digits, whatever the floating type.

    Parameters
    ----------
    predict : callable, (B, 4, L), *args -> (B,)
    sequences : torch.Tensor, shape (2, 4, L)
        Two that differ; of two that are alike nothing can be learnt, and nothing is refused.
    args : tuple of torch.Tensor, shape (2, ...)

    Raises
    ------
    SeqliftError
    """

    def run(*rows: int) -> Tensor:
        chosen = torch.tensor(rows, device=sequences.device)
        return predict(sequences[chosen], *(arg[chosen] for arg in args))

    with torch.no_grad():
        together, alone = run(0, 1), torch.stack([run(0, 0)[0], run(1, 1)[1]])
    both = torch.stack([together, alone]).to("cpu", torch.float64)
    eps = torch.finfo(together.dtype).eps
    rounding = min(eps**0.5, 1e-3) * (both[1, 0] - both[1, 1]).abs() + eps * both.abs().max()
    wrong = (both[0] - both[1]).abs() > rounding
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise SeqliftError(
            f"the model's output for a sequence depends on the others in its batch, or is random: one sequence gives "
            f"{float(alone[row]):.6g} beside a copy of itself and {float(together[row]):.6g} beside another. Look for "
            "operations along the first axis (`mean(0)`, `flip(0)`, an LSTM without `batch_first=True`) and for random "
            "numbers drawn in evaluation"
        )
