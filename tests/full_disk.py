"""A disk without room, for tests."""

import contextlib
import resource


@contextlib.contextmanager
def disk_of(n_bytes):
    """Files of this process can grow no larger: the system refuses to write, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
