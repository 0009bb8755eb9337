"""Several processes that train together, one for each device, started and watched by the one that the user started.

Any of them may fail: out of memory, on a full disk, by a bad input. The others would wait for it for ever, so the
watching process ends them all and tells what happened once. And when the watching process is killed, those it started
notice and end too.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from seqlift.errors import SeqliftError

_SECONDS_FOR_OTHER_REASONS = 2.0  # the process that fails first is not always the one whose message comes first


def in_processes(function: Callable, world: int, *arguments: Any) -> Any:
    """Call `function(*arguments, rank=r, world=world)` in `world` processes that can talk through torch.distributed.

    Parameters
    ----------
    function : callable
        Of a module, so that it can be found by its name.
    world : int
        Number of processes.
    *arguments
        Sent to each process.

    Returns
    -------
    object
        What the process of rank 0 returned.

    Raises
    ------
    SeqliftError
        That of a process, or that one was killed.
    RuntimeError
        Anything else that went wrong in a process, with its traceback.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share the locks of torch's threads
    mine, alive = context.Pipe()  # `alive` reads the end of the file when this process has gone
    port = _free_port()
    level = logging.getLogger("seqlift").level
    processes, results = [], []
    try:
        for rank in range(world):
            result, sending = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(function, arguments, rank, world, port, level, sending, alive), daemon=True
            )
            process.start()
            sending.close()  # only the process holds it now
            processes.append(process)
            results.append(result)
        alive.close()
        return _outcome(processes, results)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        mine.close()


def _outcome(processes: list, results: list[Connection]) -> Any:
    """Wait for all processes, or for the first that fails."""
    said: dict[int, tuple[str, Any]] = {}
    while len(said) < len(results):
        waiting = {result: rank for rank, result in enumerate(results) if rank not in said}
        failed = any(kind != "done" for kind, _ in said.values())
        ready = wait(list(waiting), timeout=_SECONDS_FOR_OTHER_REASONS if failed else None)
        for result in cast(list[Connection], ready):
            try:
                said[waiting[result]] = result.recv()
            except EOFError:  # ended without a word
                said[waiting[result]] = ("gone", None)
        if failed and not ready:
            break
    by_kind = {kind: (rank, value) for rank, (kind, value) in sorted(said.items(), reverse=True)}
    if "error" in by_kind:
        raise SeqliftError(by_kind["error"][1])
    if "gone" in by_kind:
        rank = by_kind["gone"][0]
        processes[rank].join()
        code = processes[rank].exitcode
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
        raise SeqliftError(
            f"process {rank + 1} of {len(processes)} was {how} (too little memory?); what was saved is kept: started "
            "again, training goes on after the last whole epoch"
        )
    if "crash" in by_kind:
        rank, text = by_kind["crash"]
        raise RuntimeError(f"process {rank + 1} of {len(processes)} failed:\n{text}")
    return said[0][1]


def _work(
    function: Callable,
    arguments: tuple,
    rank: int,
    world: int,
    port: int,
    level: int,
    result: Connection,
    alive: Connection,
) -> None:
    """What each process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the watching process decides
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
    }
    # All are on this machine; gloo would ask for its name, which not every network knows
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    logging.basicConfig(format="%(message)s")
    logging.getLogger("seqlift").setLevel(level if rank == 0 else logging.CRITICAL)
    try:
        if "OMP_NUM_THREADS" not in os.environ:
            import torch

            torch.set_num_threads(max(1, torch.get_num_threads() // world))
        result.send(("done", function(*arguments, rank=rank, world=world)))
    except SeqliftError as error:
        result.send(("error", str(error)))
    except BaseException:
        result.send(("crash", traceback.format_exc()))
    finally:
        result.close()
    threading.Event().wait()  # the watching process ends all at once: a process that leaves breaks the others' talk


def _end_with(alive: Connection) -> None:
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
