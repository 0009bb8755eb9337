"""Settings of the whole process: how threads wait, how memory is reused, no colours in logs."""

import ctypes
import os
import sys

# Parameters of mallopt(3), of the C library of Linux
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def prepare_process() -> None:
    """Prepare the process for networks on shared cores; call it before numpy and torch are imported."""
    # Threads that wait in a loop make small networks several times slower where jobs share the cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # A log is a file: no colours and no bars, also where the user's shell or a CI service forces them
    if not sys.stdout.isatty():
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            os.environ.pop(name, None)
    # The C library returns large arrays to the system at once, which then has to clear the same memory again and
    # again. With these limits it keeps them until the process ends.
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        for parameter, value in ((_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**31 - 1)):
            if mallopt is not None:
                mallopt(parameter, value)
