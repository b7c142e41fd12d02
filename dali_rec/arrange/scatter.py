"""Records dealt to buckets of the output, each a region of one temporary file: the first half of ``shuffle``."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.arrange.frames import Frames


class Scatter:
    """Takes records in the order of the input, and gives them back bucket by bucket, in that order within each.

    order: the row of each output position. edges: output positions at which buckets begin, and the end. limits: the
    most bytes of each row. About ``pending_bytes`` wait in memory to be written together; a single bucket stays there.
    One file, not one a bucket: there may be more buckets than files that a process may open.
    """

    def __init__(
        self,
        path: Path,
        order: NDArray[np.int64],
        edges: NDArray[np.int64],
        limits: NDArray[np.int64],
        pending_bytes: int,
    ) -> None:
        buckets = len(edges) - 1
        self._bucket_of = np.empty(len(order), np.int32)
        self._bucket_of[order] = np.repeat(np.arange(buckets, dtype=np.int32), np.diff(edges))
        sizes = np.add.reduceat(limits[order], edges[:-1])
        self._starts = (np.cumsum(sizes) - sizes).tolist()
        self._used = [0] * buckets
        self._pending: list[Frames] = []
        self._bytes = 0
        self._most = pending_bytes
        self._path = path
        self._memory = np.empty(int(sizes[0]), np.uint8) if buckets == 1 else None
        self._file: IO[bytes] | None = None if buckets == 1 else path.open("w+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def add(self, frames: Frames) -> None:
        """Take the next records; their bytes must not change afterwards."""
        if self._memory is not None:
            for run in frames.runs():
                self._memory[self._used[0] : self._used[0] + len(run)] = run
                self._used[0] += len(run)
            return
        self._pending.append(frames)
        self._bytes += len(frames.data)
        if self._bytes >= self._most:
            self._flush()

    def read(self, bucket: int) -> NDArray[np.uint8]:
        """The records of a bucket, after the last ``add``; each bucket once."""
        if self._file is None:
            assert self._memory is not None
            data, self._memory = self._memory[: self._used[0]], None
            return data
        self._flush()
        data = np.empty(self._used[bucket], np.uint8)
        self._file.seek(self._starts[bucket])
        done = 0
        while done < len(data):
            done += self._file.readinto(data.data[done:])  # type: ignore[attr-defined]  # a raw file has it
        return data

    def _flush(self) -> None:
        """Write what waits: for each bucket one piece, behind what it has."""
        pieces: dict[int, list[memoryview]] = {}
        for frames in self._pending:
            buckets = self._bucket_of[frames.rows]
            by_bucket = np.argsort(buckets, kind="stable")
            found, firsts = np.unique(buckets[by_bucket], return_index=True)
            for bucket, chosen in zip(found.tolist(), np.split(by_bucket, firsts[1:]), strict=True):
                pieces.setdefault(bucket, []).extend(frames.take(chosen).runs())
        for bucket, runs in sorted(pieces.items()):
            self._append(bucket, b"".join(runs))
        self._pending, self._bytes = [], 0

    def _append(self, bucket: int, data: bytes) -> None:
        assert self._file is not None
        self._file.seek(self._starts[bucket] + self._used[bucket])
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += self._file.write(view[done:])
        self._used[bucket] += len(view)


def plan_buckets(limits: NDArray[np.int64], bucket_bytes: int) -> NDArray[np.int64]:
    """Edges of runs of the output of at most ``bucket_bytes``, or one record, given the most bytes of each record."""
    ends = np.cumsum(limits)
    edges = [0]
    while edges[-1] < len(limits):
        before = int(ends[edges[-1] - 1]) if edges[-1] else 0
        edges.append(max(int(np.searchsorted(ends, before + bucket_bytes, side="right")), edges[-1] + 1))
    return np.array(edges, dtype=np.int64)
