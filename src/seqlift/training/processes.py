"""Processes that train together, one for each device, started and monitored by the process that the user started.

Any of them may fail: out of memory, on a full disk, by a bad input. The others would wait for it forever, so the parent
process ends them all and reports the error once. If the parent is killed, its processes notice and end too.
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

_SECONDS_FOR_OTHER_REASONS = 2.0  # the process that fails first is not always the first to report


def in_processes(function: Callable, world: int, *arguments: Any) -> Any:
    """Call `function(*arguments, rank=r, world=world)` in `world` processes connected by torch.distributed.

    Parameters
    ----------
    function : callable
        Function of a module, which a new process can import.
    world : int
        Number of processes.
    *arguments
        Arguments sent to each process.

    Returns
    -------
    object
        Return value of the process of rank 0.

    Raises
    ------
    SeqliftError
        If a process raised it, or was killed.
    RuntimeError
        If a process raised another error; with its traceback.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share the locks of torch's threads
    mine, alive = context.Pipe()  # `alive` reads the end of the file when this process has ended
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
            sending.close()  # now only the process has it open
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
    """Wait for all processes, or for the first failure."""
    reports: dict[int, tuple[str, Any]] = {}
    while len(reports) < len(results):
        waiting = {result: rank for rank, result in enumerate(results) if rank not in reports}
        failed = any(kind != "done" for kind, _ in reports.values())
        ready = wait(list(waiting), timeout=_SECONDS_FOR_OTHER_REASONS if failed else None)
        for result in cast(list[Connection], ready):
            try:
                reports[waiting[result]] = result.recv()
            except EOFError:  # ended without a report
                reports[waiting[result]] = ("gone", None)
        if failed and not ready:
            break
    by_kind = {kind: (rank, value) for rank, (kind, value) in sorted(reports.items(), reverse=True)}
    if "error" in by_kind:
        raise SeqliftError(by_kind["error"][1])
    if "gone" in by_kind:
        rank = by_kind["gone"][0]
        processes[rank].join()
        code = processes[rank].exitcode
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
        raise SeqliftError(
            f"process {rank + 1} of {len(processes)} was {how} (too little memory?); the saved state is kept: start "
            "again to resume after the last whole epoch"
        )
    if "crash" in by_kind:
        rank, text = by_kind["crash"]
        raise RuntimeError(f"process {rank + 1} of {len(processes)} failed:\n{text}")
    return reports[0][1]


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
    """Main function of each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent process decides
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
    }
    # All processes are on this machine; gloo would look up its name, which not every network knows
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
    threading.Event().wait()  # the parent ends all processes together: one that ends alone breaks their connections


def _end_with(alive: Connection) -> None:
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
