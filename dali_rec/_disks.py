"""What file systems differ in, network disks and those in user space above all: syncing, mapping, and their errors."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Some have no such thing as syncing, or not for folders: what they were given is as safe as it can be.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_UNMAPPED = "its file system maps no files into memory, as reading it needs: copy it to another, as by 'dali-rec fetch'"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give OSErrors that have no name that of the file, where nothing else is read or written in the block."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def read_named(path: Path) -> bytes:
    """The bytes of a file. Raises OSError with its name, also where the disk fails, of which Python says none."""
    with naming(path):
        return path.read_bytes()


def fsync(file: IO[bytes]) -> None:
    """Make what was written to an open file outlast a power cut, where the file system can.

    Raises OSError, too, for what some, such as NFS, say only when a file is closed: that there was no room for it.
    """
    sync(file.fileno())
    if os.name == "posix":
        os.close(os.dup(file.fileno()))  # to them one of several closings is as good as the last


def sync(descriptor: int, *, data_alone: bool = False) -> None:
    """``fsync`` of an open file or folder, without what comes when it is closed. data_alone: not its time, say."""
    try:
        if data_alone and sys.platform == "linux":
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def fsync_directory(directory: Path) -> None:
    """Make renames in ``directory`` outlast a power cut, where platform and file system can (not on Windows)."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except PermissionError:  # of a folder in which files may be made, but not listed
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def map_file(file: IO[bytes], path: Path) -> mmap.mmap:
    """An open file, which is not empty, mapped into memory to be read. Raises OSError that names ``path``."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    if sys.platform != "win32":
        # Network disks and those in user space may map files for one process alone, which is as good.
        with contextlib.suppress(OSError):
            return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    raise OSError(errno.ENODEV, _UNMAPPED, str(path))
