"""Locks on files: of one process, or shared by several. They end with the process, however it ends."""

from __future__ import annotations

import contextlib
import enum
import errno
import hashlib
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dali_rec._open_files import OPEN_FILES_STAY, is_held_open, open_to_remove

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is said of a lock that another process has, and, by a network disk, of a file that another machine has removed.
_HELD, _REMOVED = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES), getattr(errno, "ESTALE", None)
_LOCK_SUFFIX = ".lock"
_SECONDS_BETWEEN_TRIES = 0.01
# On Windows bytes are locked, and nobody else may read or write them: these are far behind the end of every file.
_LOCKED_AT, _MOST_SHARES = 1 << 43, 1 << 10


class Lock(enum.Enum):
    """What came of asking for a lock. ABSENT: the file system has none (NFS and Lustre, mounted so; some others)."""

    OURS = "ours"
    HELD = "held by another process"
    ABSENT = "absent"


def try_lock(file: IO[bytes], *, shared: bool = False) -> Lock:
    """Take a lock on an open file for the life of this process.

    The file must be open for reading and writing: NFS has no lock to share for one that is only written, and no lock
    to have alone for one that is only read.
    """
    try:
        _lock(file.fileno(), shared=shared)
    except OSError as error:
        return Lock.HELD if error.errno in (*_HELD, _REMOVED) else Lock.ABSENT
    return Lock.OURS


class Claim:
    """A lock that was asked for; true unless another process has it. ``close`` lets go of it.

    Where the file system has no locks (``is_absent``) it is true as well, so that nobody is held up, unless another
    process of this machine has it. Others are not kept away; nor are they where each machine has locks of its own, as
    of sshfs, other mounts of FUSE, and NFS without a lock service. So who comes leaves a mark in the file, and from
    then on ``is_lost`` is true of whoever came before.

    is_first: the file was made for it.
    """

    def __init__(self, path: Path, *, is_held: bool = False) -> None:
        self.path, self.is_first, self.is_absent = path, False, False
        self._file: IO[bytes] | None = None
        self._is_held = is_held
        self._here: IO[bytes] | None = None  # what is locked instead, on this machine
        self._mark = b""

    @classmethod
    def ask(cls, path: Path, *, shared: bool = False) -> Claim:
        """Ask for a lock on the file ``path``, which is made if it is not there. Raises OSError where it cannot be."""
        claim = cls(path)
        try:
            claim._file, claim.is_first = path.open("x+b", buffering=0), True
        except FileExistsError:
            claim._file = path.open("a+b", buffering=0)
        lock = try_lock(claim._file, shared=shared)
        if lock is Lock.ABSENT:
            claim._go_without(shared=shared)
        else:
            # The second half: the other process finished, and removed the file, between our opening and our lock.
            claim._is_held = lock is Lock.OURS and is_at(claim._file, path)
        if claim and not shared:
            claim._leave_mark()
        return claim

    def _go_without(self, *, shared: bool) -> None:
        self.is_absent = True
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()
        place = Path(tempfile.gettempdir()) / f"dali-rec-{digest[:16]}{_LOCK_SUFFIX}"
        self._is_held = True
        with contextlib.suppress(OSError):  # such as another user's file
            self._here = place.open("a+b")
            lock = try_lock(self._here, shared=shared)
            self._is_held = lock is Lock.ABSENT or (lock is Lock.OURS and is_at(self._here, place))

    def _leave_mark(self) -> None:
        mark = uuid.uuid4().hex.encode()
        with contextlib.suppress(OSError):  # of a full disk, or one where only new files are written
            self.path.write_bytes(mark)  # and closed: object stores that are mounted take it only then
            if self.path.read_bytes() == mark:  # as it is not where what was written is seen later
                self._mark = mark

    def __bool__(self) -> bool:
        return self._is_held

    @property
    def is_lost(self) -> bool:
        """Whether another process has come, which no lock kept away."""
        try:
            return bool(self._mark) and self.path.read_bytes() != self._mark
        except FileNotFoundError:
            return True
        except OSError:  # nobody can tell
            return False

    def close(self, *, remove: bool = False) -> None:
        """Let go of it. remove: the file too, unless it is another's by now, before that where it can be done."""
        if self._here is not None:
            self._let_go_here(self._here)
        if self._file is None:
            return
        is_lost = self.is_lost
        # On Windows it cannot be removed where another has opened it meanwhile; and of a mount of rclone without a
        # cache it is an error to close a file that is gone.
        with contextlib.suppress(OSError), open_to_remove(self._file):
            if remove and self and not is_lost:
                self.path.unlink()

    def _let_go_here(self, file: IO[bytes]) -> None:
        # Alone, when nobody shares it. On Windows it cannot be locked once more, nor removed where another has it open.
        with contextlib.closing(file), contextlib.suppress(OSError):
            if OPEN_FILES_STAY or try_lock(file) is Lock.OURS:
                with open_to_remove(file):
                    Path(file.name).unlink()


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
def locked(path: Path, seconds: float = 10.0) -> Iterator[Claim]:
    """Let one process at a time read, change and write ``path``: a lock, by a file NAME.lock that is gone afterwards.

    Waits for other processes, but not longer than ``seconds``. Gives the claim, which is false where it took longer or
    there can be no such file.
    """
    beside = path.with_name(path.name + _LOCK_SUFFIX)
    claim = _wait_for_lock(beside, time.monotonic() + seconds)
    try:
        yield claim
    finally:
        # Removed before it is let go of: who waits for this very file sees that it is gone, and makes another.
        claim.close(remove=True)


def _wait_for_lock(path: Path, deadline: float) -> Claim:
    while True:
        try:
            claim = Claim.ask(path)
        except OSError as error:
            if not is_held_open(error):  # as one is that is just being removed
                return Claim(path)
        else:
            if claim:
                return claim
            claim.close()
        if time.monotonic() > deadline:
            return Claim(path)
        time.sleep(_SECONDS_BETWEEN_TRIES)


def is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while it is being removed
        return False
    except OSError as error:
        if error.errno == _REMOVED:
            return False
        raise
