"""From URLs to files of the work folder: many pieces at a time, each file from where an earlier run stopped."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dali_rec._disks import fsync, naming
from dali_rec._files import hash_file, naming_writes
from dali_rec.errors import DatasetError
from dali_rec.sources.remote import shown
from dali_rec.sources.remote_file import RemoteFile, read_range, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.pool import AsyncResult, ThreadPool
    from pathlib import Path

CONNECTIONS = 16  # so many pieces are in memory
PIECE = 8 << 20
_SECONDS_AT_A_TIME = 0.5

_Answer = TypeVar("_Answer")


class Part(NamedTuple):
    """A file that is to come to ``path``. sha256: what it must have, if that is known."""

    remote: RemoteFile
    path: Path
    sha256: str | None

    @property
    def left(self) -> range:
        """Where the pieces begin that have not come."""
        return range(self.path.stat().st_size if self.path.exists() else 0, self.remote.size, PIECE)


def download(pool: ThreadPool, parts: Sequence[Part]) -> Iterator[int]:
    """Bring the parts; gives the number of bytes that have come, now and then.

    Raises OSError for a transfer that failed or a full disk, DatasetError for another checksum; that part is gone then.
    """
    done, ranges = 0, _ahead(pool, parts)
    for part in parts:
        checksum = hash_file(part.path) if part.sha256 and part.left.start else hashlib.sha256()
        pieces = (wait_for(next(ranges)) for _ in part.left)
        with naming_writes(part.path), part.path.open("ab") as file:
            for piece in pieces if part.remote.has_ranges else stream(part.remote, part.left.start):
                with naming(part.path):
                    file.write(piece)
                checksum.update(piece)
                done += len(piece)
                yield done
            with naming(part.path):
                file.flush()
                fsync(file)
        if (size := part.path.stat().st_size) != part.remote.size:
            part.path.unlink()
            raise DatasetError(
                f"{part.path}: {size} bytes, and {part.remote.size} have come: another process has written to it, "
                "or its file system has lost some: fetch it again"
            )
        if part.sha256 not in (None, checksum.hexdigest()):
            part.path.unlink()
            raise DatasetError(
                f"{shown(part.remote.url)}: what came has another checksum than the manifest says: fetch it again; if "
                "that does not help, it is damaged there"
            )


def wait_for(answer: AsyncResult[_Answer]) -> _Answer:
    """What comes, or its error; a little at a time, as on Windows Ctrl+C ends no wait."""
    while not answer.ready():
        answer.wait(_SECONDS_AT_A_TIME)
    return answer.get()


def _ahead(pool: ThreadPool, parts: Sequence[Part]) -> Iterator[AsyncResult[bytes]]:
    """The pieces of all parts in their order; so many as there are connections are under way or waiting."""
    futures: deque[AsyncResult[bytes]] = deque()
    for part in parts:
        for start in part.left if part.remote.has_ranges else ():
            if len(futures) == CONNECTIONS:
                yield futures.popleft()
            end = min(start + PIECE, part.remote.size)
            futures.append(pool.apply_async(read_range, (part.remote.url, start, end)))
    yield from futures
