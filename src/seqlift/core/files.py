"""Files appear whole or not at all: written under a temporary name beside the final one, renamed when complete."""

import contextlib
import gzip
import io
import os
import re
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

_MACHINE = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_ABANDONED = 3600  # seconds without a change after which a temporary file of another machine's process is given up


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success rename it to `path`, on any error delete it.

    The temporary name keeps the suffixes of `path` (writers choose their format by them). Parent folders are made.
    A good older file at `path` stays as it was until the rename. What an earlier process left beside it when it was
    killed is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(path)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=temporary_prefix(path), suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_prefix(path: Path) -> str:
    """What the temporary name for `path` begins with. It says who writes there, so that a later process can tell."""
    return f".{path.name}.{_MACHINE}-{os.getpid()}."


def remove_left_over(path: Path) -> None:
    """Remove temporary files and folders for `path` whose process was killed.

    A process of this machine is asked after by its number. Of one of another machine nothing can be known; what it has
    left alone for an hour is taken for abandoned.
    """
    ours = re.compile(rf"\.{re.escape(path.name)}\.([0-9a-f]{{8}})-(\d{{1,9}})\.\w+")
    for entry in list(os.scandir(path.parent)):
        found = ours.match(entry.name)
        if found is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if found[1] != _MACHINE:
                abandoned = time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED
            else:
                abandoned = not _is_running(int(found[2]))
            if abandoned and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif abandoned:
                os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


@contextlib.contextmanager
def gzip_text(path: str | os.PathLike) -> Iterator[io.TextIOBase]:
    """A gzip file to write text to (UTF-8, LF), without date and name: equal text gives equal bytes."""
    with (
        open(path, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        yield text
