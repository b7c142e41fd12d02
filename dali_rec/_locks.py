"""Locks on files: of one process, or shared by several. They end with the process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from typing import IO, TYPE_CHECKING

from dali_rec._open_files import is_held_open, open_to_remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_LOCK_SUFFIX = ".lock"
_SECONDS_BETWEEN_TRIES = 0.01
# On Windows bytes are locked, and nobody else may read or write them: these are far behind the end of every file.
_LOCKED_AT, _MOST_SHARES = 1 << 43, 1 << 10


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Take a lock on an open file for the life of this process; False if another process has it.

    True as well where the file system has no locks: then nobody can be told apart.
    """
    try:
        _lock(file.fileno(), shared=shared)
    except OSError as error:
        return error.errno in _WITHOUT_LOCKS
    return True


if sys.platform == "win32":

    def _lock(descriptor: int, *, shared: bool) -> None:
        """Take one byte to share the file, and all of them to have it alone."""
        import msvcrt

        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            for share in range(_MOST_SHARES if shared else 1):
                os.lseek(descriptor, _LOCKED_AT + share, os.SEEK_SET)
                with contextlib.suppress(PermissionError):  # another has it
                    return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1 if shared else _MOST_SHARES)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)

else:

    def _lock(descriptor: int, *, shared: bool) -> None:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(path: Path, seconds: float = 10.0) -> Iterator[bool]:
    """Let one process at a time read, change and write ``path``: a lock, by a file NAME.lock that is gone afterwards.

    Waits for other processes, but not longer than ``seconds``. Gives whether the lock is held; it is not where it took
    longer or there can be no such file. Always true on a file system without locks.
    """
    beside = path.with_name(path.name + _LOCK_SUFFIX)
    file = _wait_for_lock(beside, time.monotonic() + seconds)
    if file is None:
        yield False
        return
    try:
        yield True
    finally:
        # Before it is let go of: who waits for this very file sees that it is gone, and makes another.
        with open_to_remove(file), contextlib.suppress(OSError):  # on Windows, where another has opened it meanwhile
            beside.unlink()


def _wait_for_lock(path: Path, deadline: float) -> IO[bytes] | None:
    while True:
        try:
            file = path.open("ab")
        except OSError as error:
            if not is_held_open(error):  # as one is that is just being removed
                return None
        else:
            if try_lock(file) and is_at(file, path):
                return file
            file.close()
        if time.monotonic() > deadline:
            return None
        time.sleep(_SECONDS_BETWEEN_TRIES)


def is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while it is being removed
        return False
