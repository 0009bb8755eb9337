"""What happens to the files of some folders, as the Linux kernel tells it (inotify): nothing is missed."""

import ctypes
import os
import select
import struct
from collections.abc import Iterable
from pathlib import Path

KINDS = {0x2: "modified", 0x80: "renamed to", 0x100: "created"}
_IS_FOLDER, _OVERFLOW = 0x40000000, 0x4000
_HEAD = struct.Struct("iIII")  # watch, kind, cookie, bytes of the name


class Watch:
    """Tells of files in some folders (not those below them) that are created, modified or renamed to another name."""

    def __init__(self, root: Path, folders: Iterable[Path]):
        self._root = root
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._file >= 0, os.strerror(ctypes.get_errno())
        self._folders = {}
        for folder in folders:
            number = self._libc.inotify_add_watch(self._file, os.fsencode(folder), sum(KINDS))
            assert number >= 0, (folder, os.strerror(ctypes.get_errno()))
            self._folders[number] = folder

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error) -> None:
        os.close(self._file)

    def events(self, seconds: float = 0) -> list[tuple[str, str]]:
        """What has happened since the last call, in order: (kind, path from the root); waits so long for the first."""
        if not select.select([self._file], [], [], seconds)[0]:
            return []
        found, content, start = [], os.read(self._file, 2**20), 0
        while start < len(content):
            number, kind, _, size = _HEAD.unpack_from(content, start)
            start += _HEAD.size
            name = os.fsdecode(content[start : start + size].rstrip(b"\0"))
            start += size
            assert not kind & _OVERFLOW, "more happened than the kernel remembers"
            if kind in KINDS and not kind & _IS_FOLDER:
                found.append((KINDS[kind], (self._folders[number] / name).relative_to(self._root).as_posix()))
        return found
