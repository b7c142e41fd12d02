"""Atomic files, complete under their own name or not there at all; and reading what is surely a file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTIAL_SUFFIX = ".partial"

# A pipe would wait for a writer, and a terminal for a key, before anything could be asked about them.
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_CHUNK = 1 << 20
_NOT_REGULAR = "not a regular file"
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def partial_path(path: Path) -> Path:
    """The temporary name beside ``path`` under which it is written."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


def fsync_directory(directory: Path) -> None:
    """Make renames in ``directory`` outlast a power cut, where the platform can (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Give the finished file ``temporary`` its final name, replacing what stood there."""
    temporary.replace(final)
    fsync_directory(final.parent)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes ``path`` when the block ends well and vanishes when it does not.

    The caller sees to it that nobody else writes ``path`` at the same time.
    """
    temporary = partial_path(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    publish(temporary, path)


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; names that are not valid Unicode keep their bytes (surrogateescape)."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def open_regular(path: str | os.PathLike[str]) -> tuple[int, os.stat_result]:
    """Open a file for reading: its descriptor, and its status. Raises OSError for pipes, devices and sockets, too."""
    try:
        descriptor = os.open(path, _READING)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            error.strerror = _NOT_REGULAR
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NOT_REGULAR, os.fspath(path))
    return descriptor, status


def read_regular(path: str | os.PathLike[str]) -> tuple[bytes, os.stat_result]:
    """All of a file, and its status. Raises OSError as ``open_regular`` does."""
    # Not by open(), which asks the system twice as often: each time Python's lock is let go of, and has to be had back.
    descriptor, status = open_regular(path)
    try:
        data = os.read(descriptor, status.st_size)
        if len(data) < status.st_size or not data:
            data += _rest(descriptor)
    finally:
        os.close(descriptor)
    return data, status


def _rest(descriptor: int) -> bytes:
    """What the system has still to give: of a file that says no size, say."""
    pieces = []
    while piece := os.read(descriptor, _CHUNK):
        pieces.append(piece)
    return b"".join(pieces)


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Take a lock on an open file for the life of this process; False if another process has it.

    True as well where the file system has no locks: then nobody can be told apart.
    """
    lock = _locker(shared=shared)
    try:
        lock(file.fileno())
    except OSError as error:
        return error.errno in _WITHOUT_LOCKS
    return True


def _locker(*, shared: bool) -> Callable[[int], None]:
    try:
        import fcntl
    except ImportError:  # Windows, where a file that is open cannot be replaced by another run anyway
        return lambda _descriptor: None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    return lambda descriptor: fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


def as_path(path: str | os.PathLike[str]) -> Path:
    """A Path with ``~`` expanded."""
    return Path(path).expanduser()
