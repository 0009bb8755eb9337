"""Loops compiled with numba, and their rows shared among threads."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable)


def compiled(function: Function) -> Function:
    """Compile `function` with numba, released from the interpreter's lock, cached on disk where a folder allows it.

    A division by zero gives what NumPy gives, not an error.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to write to: a read-only installation and no home folder
        return numba.njit(**options)(function)


def over_rows(run: Callable[[int, int], None], n_rows: int, threads: int) -> None:
    """`run(first, last)` for stretches that make up rows 0 to `n_rows`, each on a thread of its own.

    The threads live only as long as the call, so that a process forked afterwards (a data loader) inherits none.
    """
    if threads <= 1:
        run(0, n_rows)
        return
    edges = np.linspace(0, n_rows, threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        for part in [pool.submit(run, a, b) for a, b in itertools.pairwise(edges)]:
            part.result()
