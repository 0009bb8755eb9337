"""How many rows go through a model at a time, and fewer when they do not fit into memory."""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seqlift.attribution.operations import tensors_in
from seqlift.errors import SeqliftError

Result = TypeVar("Result")

# Words in the errors of allocators that do not raise an error of their own kind.
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
# Bytes of the largest activation of a batch. On a CPU, larger ones fall out of the caches and come from the system
# page by page; a GPU has to be filled. Chosen by measuring networks of several widths and lengths.
_CPU_BYTES, _GPU_BYTES = 10 * 2**20, 2**28
_MOST_ROWS = 8192


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of a device, or of the machine, is used up."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in _NO_MEMORY)


class BatchSize:
    """Rows that go through a model at a time; halved whenever they do not fit.

    Parameters
    ----------
    rows : int
        To begin with.

    Raises
    ------
    SeqliftError
        If `rows` is not positive.
    """

    def __init__(self, rows: int):
        if rows < 1:
            raise SeqliftError(f"`batch_size` (={rows}) must be at least 1")
        self.rows = rows

    def attempt(self, run: Callable[[], Result], rows: int) -> Result | None:
        """The result of `run`, which puts `rows` rows through a model; None, with `rows` halved, if they did not fit.

        Raises
        ------
        SeqliftError
            If a single row did not fit.
        """
        try:
            return run()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if min(rows, self.rows) == 1:
                raise SeqliftError(
                    f"out of memory with a single sequence in the model ({str(error).splitlines()[0]}); "
                    "use a device with more memory, or shorter sequences"
                ) from error
        self.rows = min(rows, self.rows) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def in_batches(predict: Callable[[Tensor], Tensor], rows: Tensor, size: BatchSize) -> Tensor:
    """The output of `predict`, shape (M,), for rows (M, ...), computed batch by batch."""
    done, found = 0, []
    while done < len(rows):
        batch = rows[done : done + size.rows]
        f = size.attempt(functools.partial(predict, batch), len(batch))
        if f is not None:
            found.append(f)
            done += len(batch)
    return torch.cat(found)


class _LargestActivation(TorchDispatchMode):
    """Measures the largest tensor, in bytes, that an operation makes; views take no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: for a class that says True, PyTorch imports its whole compiler, 1.7 s."""
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

    It depends on the model and the device alone, never on a time measured, so that the results of a call are always
    the same to the last digit.

    Parameters
    ----------
    predict : callable, (B, 4, L), *args -> (B,)
    sequences : torch.Tensor, shape (N, 4, L), on the model's device
        The first is tried.
    args : tuple of torch.Tensor, shape (N, ...)
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
