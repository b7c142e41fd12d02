"""Records dealt to buckets of the output, each a region of one temporary file: the first half of ``shuffle``."""

from __future__ import annotations

import errno
from typing import IO, TYPE_CHECKING

import numpy as np

from dali_rec._disks import naming
from dali_rec.arrange.frames import Frames, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self


class Scatter:
    """Takes records in the order of the input, and gives them back bucket by bucket, in that order within each.

    order: the row of each output position. edges: output positions at which buckets begin, and the end. limits: the
    most bytes of each row. room: bytes of memory in which records wait to be written together, and into which a bucket
    is read. It is one piece from first to last, for the allocator keeps many small ones when they are given back.

    There is one file, not one a bucket: there may be more buckets than files that a process may open. A single bucket
    stays in memory.
    """

    def __init__(
        self, path: Path, order: NDArray[np.int64], edges: Sequence[int], limits: NDArray[np.int64], room: int
    ) -> None:
        buckets = len(edges) - 1
        self._bucket_of = np.empty(len(order), np.int32)
        self._bucket_of[order] = np.repeat(np.arange(buckets, dtype=np.int32), np.diff(edges))
        sizes = np.add.reduceat(limits[order], edges[:-1])
        self._starts = (np.cumsum(sizes) - sizes).tolist()
        self._used = [0] * buckets
        self._memory = np.empty(int(sizes[0]) if buckets == 1 else room, np.uint8)
        self._filled = 0
        self._waiting: list[Frames] = []
        self._path = path
        self._file: IO[bytes] | None = None if buckets == 1 else path.open("w+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def add(self, frames: Frames) -> None:
        """Take the next records."""
        size = int(frames.lengths.sum())
        if self._filled + size > len(self._memory):
            self._flush()
        if size > len(self._memory):
            self._write(frames)
            return
        ends = self._filled + np.cumsum(frames.lengths)
        for run in frames.runs():
            self._memory[self._filled : self._filled + len(run)] = run
            self._filled += len(run)
        self._waiting.append(Frames(self._memory, ends - frames.lengths, ends, frames.keys, frames.rows))

    def read(self, bucket: int) -> NDArray[np.uint8]:
        """The records of a bucket, after the last ``add``: valid until the next is read."""
        if self._file is None:
            return self._memory[: self._filled]
        self._flush()
        size = self._used[bucket]
        data = self._memory[:size] if size <= len(self._memory) else np.empty(size, np.uint8)
        self._file.seek(self._starts[bucket])
        done = 0
        with naming(self._path):
            while done < size:
                count = self._file.readinto(data.data[done:])  # type: ignore[attr-defined]  # a raw file has it
                if not count:
                    raise OSError(errno.EIO, "the file system has not all that was written", str(self._path))
                done += count
        return data

    def _flush(self) -> None:
        if self._waiting:
            columns = [(one.starts, one.ends, one.keys, one.rows) for one in self._waiting]
            self._write(Frames(self._memory, *map(np.concatenate, zip(*columns, strict=True))))
        self._waiting, self._filled = [], 0

    def _write(self, frames: Frames) -> None:
        """Write records behind what their buckets have, bucket by bucket."""
        buckets = self._bucket_of[frames.rows]
        by_bucket = np.argsort(buckets, kind="stable")
        found, firsts = np.unique(buckets[by_bucket], return_index=True)
        for bucket, chosen in zip(found.tolist(), np.split(by_bucket, firsts[1:]), strict=True):
            for piece in pieces(frames.take(chosen)):
                self._append(bucket, b"".join(piece.runs()))

    def _append(self, bucket: int, data: bytes) -> None:
        assert self._file is not None
        self._file.seek(self._starts[bucket] + self._used[bucket])
        unwritten = memoryview(data)
        with naming(self._path):
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
        self._used[bucket] += len(data)
