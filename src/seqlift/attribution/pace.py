"""How many rows go through a model at a time, and fewer when the memory does not hold them."""

import functools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from seqlift.errors import SeqliftError

Result = TypeVar("Result")

# How allocators say that there is no memory left, where they do not raise an error of their own kind.
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that a device's memory, or the machine's, is used up."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in _NO_MEMORY)


class Pace:
    """Rows at a time; halved each time that they do not fit.

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
        """The result of `run`, which puts `rows` rows through a model; None if they did not fit, now `rows` is halved.

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


def in_batches(predict: Callable[[Tensor], Tensor], rows: Tensor, pace: Pace) -> Tensor:
    """What `predict` says of all rows (M, ...), as many at a time as the memory holds: (M,)."""
    done, found = 0, []
    while done < len(rows):
        some = rows[done : done + pace.rows]
        f = pace.attempt(functools.partial(predict, some), len(some))
        if f is not None:
            found.append(f)
            done += len(some)
    return torch.cat(found)
