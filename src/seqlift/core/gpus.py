"""Which NVIDIA GPUs a process may use, and which of them is its own.

Snakemake counts GPUs but tells no job which one it may take, and two runs on a machine know nothing of each other. So a
job that was given GPUs claims them: it locks a file for each, named by the GPU's UUID, in a folder of this machine and
user, and sets CUDA_VISIBLE_DEVICES to what it got. GPUs that other jobs hold are waited for. The system takes a lock
back when the process ends, however it ends. Where a cluster gives each job a GPU that it sees as number 0, the UUIDs
differ, and no job waits for another.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from seqlift.errors import SeqliftError

log = logging.getLogger(__name__)

# Not TMPDIR, which Snakemake and clusters set: all jobs of a user on a machine must find the same folder
LOCK_FOLDER = Path("/tmp") / f"seqlift-gpus-{os.getuid()}"

_SECONDS_FOR_NVIDIA_SMI = 60  # a machine that keeps its driver asleep wakes up each GPU first

# Open files, whose locks last as long as this process. Python opens files so that programs which the process starts do
# not inherit them: a process that outlives this one does not keep its GPU.
_LOCKS: list[int] = []


class Gpu(NamedTuple):
    """A GPU, or a part of one (MIG).

    Attributes
    ----------
    entry : str
        As CUDA_VISIBLE_DEVICES names it, by number or UUID.
    uuid : str
        What no other GPU is called.
    """

    entry: str
    uuid: str


def visible_gpus() -> list[Gpu] | None:
    """GPUs that CUDA_VISIBLE_DEVICES leaves to this process, all of the machine where it is not set.

    Of a GPU that is divided (MIG) each part counts. Numbers are those of `nvidia-smi`; where GPUs of a machine differ,
    CUDA counts as it does if CUDA_DEVICE_ORDER=PCI_BUS_ID.

    Returns
    -------
    list of Gpu, or None
        None if it cannot be told, because there is no `nvidia-smi` or it fails.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen == "":
        return []
    machine = _gpus_of_machine()
    uuids = [uuid for parts in machine or [] for uuid in parts]
    if chosen is None:
        return None if machine is None else [Gpu(uuid, uuid) for uuid in uuids]
    gpus = []
    for entry in map(str.strip, chosen.split(",")):
        if entry.isdecimal():
            if machine is None:
                return None
            if int(entry) >= len(machine):
                break  # as CUDA does: what follows one that is not there does not count
            gpus.append(Gpu(entry, machine[int(entry)][0]))
        elif entry.startswith(("GPU-", "MIG-")):
            whole = [uuid for uuid in uuids if uuid.startswith(entry)]  # CUDA takes the beginning of a UUID, too
            gpus.append(Gpu(entry, whole[0] if len(whole) == 1 else entry))
        else:
            break
    return gpus


def claim_gpus(n: int, gpus: list[Gpu]) -> None:
    """Make `n` of the GPUs those of this process until it ends, and set CUDA_VISIBLE_DEVICES to them.

    Must be called before CUDA starts, which reads CUDA_VISIBLE_DEVICES once. Waits while other jobs of this user on
    this machine hold too many of them, and says once for whom.

    Parameters
    ----------
    n : int
        At most `len(gpus)`.
    gpus : list of Gpu
        Those to choose from.

    Raises
    ------
    SeqliftError
        If the folder of the locks is not this user's own.
    """
    folder = _open_folder()
    waiting = False
    while not (claimed := _try_to_claim(n, gpus, folder)):
        if not waiting:
            holders = "; ".join(f"{gpu.uuid} is used by {_holder(gpu, folder)}" for gpu in gpus)
            log.info("waiting for %s: %s", "a GPU" if n == 1 else f"{n} GPUs", holders)
            waiting = True
        # Two jobs that look for several GPUs at the same moment do not meet again and again
        time.sleep(0.5 + os.getpid() % 97 / 97)
    os.close(folder)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.entry for gpu in claimed)
    log.info("using %s", " and ".join(gpu.uuid for gpu in claimed))


def _gpus_of_machine() -> list[list[str]] | None:
    """UUIDs of the GPUs, in the order of their numbers; of a divided one those of its parts."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_SECONDS_FOR_NVIDIA_SMI)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("WARNING: nvidia-smi fails, so no GPU is found: %s", error)
        return None
    if done.returncode:
        said = (done.stdout + done.stderr).strip().partition("\n")[0]
        log.warning("WARNING: nvidia-smi fails, so no GPU is found: %s", said or f"status {done.returncode}")
        return None
    gpus: list[list[str]] = []
    for kind, uuid in re.findall(r"^\s*(GPU|MIG)\b.*\(UUID: ([^)]+)\)", done.stdout, flags=re.MULTILINE):
        if kind == "GPU":
            gpus.append([uuid])
        elif gpus[-1][0].startswith("GPU-"):
            gpus[-1] = [uuid]
        else:
            gpus[-1].append(uuid)
    return gpus


def _open_folder() -> int:
    """The folder of the locks. Anybody may write to /tmp: a link, or a folder of somebody else, is refused."""
    with contextlib.suppress(FileExistsError):
        LOCK_FOLDER.mkdir(mode=0o700)
    try:
        folder = os.open(LOCK_FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        found = os.fstat(folder)
        own = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    except OSError:
        own = False
    if not own:
        raise SeqliftError(
            f"{LOCK_FOLDER}: must be a folder that only you can open, as it says which jobs use which GPU; remove it, "
            "or ask its owner to"
        )
    return folder


def _try_to_claim(n: int, gpus: list[Gpu], folder: int) -> list[Gpu]:
    """The first `n` GPUs that nobody holds, locked; or none at all, so that nobody waits for what we wait with."""
    locks: dict[Gpu, int] = {}
    for gpu in gpus:
        lock = os.open(_file_name(gpu), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        locks[gpu] = lock
        if len(locks) == n:
            break
    if len(locks) < n:
        for lock in locks.values():
            os.close(lock)
        return []
    for lock in locks.values():
        os.ftruncate(lock, 0)
        stage = " ".join(["seqlift", *sys.argv[1:2]])
        os.pwrite(lock, f"process {os.getpid()} ({stage} in {os.getcwd()})".encode(), 0)
    _LOCKS.extend(locks.values())
    return list(locks)


def _holder(gpu: Gpu, folder: int) -> str:
    """What the job that holds a GPU wrote about itself."""
    lock = os.open(_file_name(gpu), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        return os.read(lock, 1000).decode(errors="replace") or "another job"
    finally:
        os.close(lock)


def _file_name(gpu: Gpu) -> str:
    """The UUID; in older ones of parts (MIG-GPU-.../1/0) there are slashes."""
    return re.sub(r"[^\w-]", "_", gpu.uuid)
