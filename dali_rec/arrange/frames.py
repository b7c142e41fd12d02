"""Records as they lie in a .rec file, many at a time: read in large pieces, checked, and never decoded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._disks import naming
from dali_rec.errors import CorruptRecordError, RecordError, TruncatedRecordError
from dali_rec.recordio.framing import HEAD, MAGIC, MAX_RECORD_LENGTH, read_record, without_hint
from dali_rec.recordio.header import HEADER
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.shard import Shard

#: Bytes read at a time; a larger record is read alone.
CHUNK_BYTES = 4 << 20
_NAME = "a record"  # for messages that cannot come: the records were checked when they were read


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Records in their frames, somewhere in ``data``.

    data: uint8 of shape (bytes,), writable. starts, ends: int64 of shape (N,): where each frame lies in ``data``, its
    padding included; all are multiples of 4. keys: int64 of shape (N,), as in an Index. rows: int64 of shape (N,), the
    positions of the records in the data set that they came from.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    keys: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, chosen: NDArray[Any] | slice) -> Frames:
        """Some of the records, in another order if need be; the bytes stay where they are."""
        return Frames(self.data, self.starts[chosen], self.ends[chosen], self.keys[chosen], self.rows[chosen])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes that each takes in a file, int64 of shape (N,)."""
        return self.ends - self.starts

    @property
    def words(self) -> NDArray[np.uint32]:
        """The bytes as little-endian uint32, of which a frame has its first at ``starts >> 2``."""
        return self.data[: len(self.data) & ~3].view("<u4")

    @property
    def is_split(self) -> NDArray[np.bool_]:
        """Which records are in several parts, as they are where the magic stands in them."""
        split: NDArray[np.bool_] = self.words[(self.starts >> 2) + 1] > MAX_RECORD_LENGTH
        return split

    def payload(self, number: int) -> memoryview:
        """The payload of one record; a copy if it is split."""
        return read_record(self.data.data, int(self.starts[number]), _NAME)

    def runs(self) -> list[memoryview]:
        """The bytes of all frames, in order; those that lie one after another come as one."""
        if not len(self):
            return []
        breaks = np.nonzero(self.starts[1:] != self.ends[:-1])[0]
        starts = self.starts[np.concatenate([np.zeros(1, np.int64), breaks + 1])].tolist()
        ends = self.ends[np.append(breaks, len(self) - 1)].tolist()
        view = self.data.data
        return [view[start:end] for start, end in zip(starts, ends, strict=True)]


def read_frames(dataset: Dataset) -> Iterator[Frames]:
    """All records of a data set in the order of its files, in pieces of about ``CHUNK_BYTES``.

    Each file is read from its beginning to its end, once. Rows count over the whole data set.

    Raises CorruptRecordError or TruncatedRecordError, naming file, record, offset and remedy.
    """
    first_row = 0
    for shard in dataset.shards:
        # Not through the reader's map, whose pages count as memory of this process.
        with shard.path.open("rb", buffering=0) as file:
            limits = shard.ends()
            for start, stop in _windows(shard.index.offsets, limits):
                rows = slice(start, stop)
                frames = _read_window(file, shard, shard.index.offsets[rows], limits[rows], shard.index.keys[rows])
                yield replace(frames, rows=frames.rows + (first_row + start))
        first_row += len(shard)


def pieces(frames: Frames) -> Iterator[Frames]:
    """The records in runs of about ``CHUNK_BYTES``."""
    number = np.cumsum(frames.lengths) // CHUNK_BYTES
    bounds = [0, *(np.nonzero(np.diff(number))[0] + 1).tolist(), len(frames)]
    for start, stop in itertools.pairwise(bounds):
        yield frames.take(slice(start, stop))


def record_limits(dataset: Dataset) -> NDArray[np.int64]:
    """The most bytes that each record can take: as far as the next one that the index names. int64 of shape (N,)."""
    return np.concatenate([shard.ends() - shard.index.offsets for shard in dataset.shards])


def _windows(offsets: NDArray[np.int64], limits: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of rows that together are at most ``CHUNK_BYTES`` long, or one row that is longer."""
    start = 0
    while start < len(offsets):
        stop = int(np.searchsorted(limits, offsets[start] + CHUNK_BYTES, side="right"))
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def _read_window(
    file: IO[bytes], shard: Shard, offsets: NDArray[np.int64], limits: NDArray[np.int64], keys: NDArray[np.int64]
) -> Frames:
    base, end = int(offsets[0]), int(limits[-1])
    if end - base > CHUNK_BYTES:  # one long record, or one with others behind it that the index does not name
        end = _end_of_odd(shard, base, end, int(keys[0]))
    data = np.empty(end - base, np.uint8)
    file.seek(base)
    _read_fully(file, data.data, shard)
    ends = _ends_of_whole(data, offsets - base)
    for number in np.nonzero((ends < 0) | (ends > limits - base))[0].tolist():
        ends[number] = _end_of_odd(shard, int(offsets[number]), int(limits[number]), int(keys[number])) - base
    return Frames(data, offsets - base, ends, keys, np.arange(len(keys), dtype=np.int64))


def _read_fully(file: IO[bytes], target: memoryview, shard: Shard) -> None:
    done = 0
    while done < len(target):
        with naming(shard.path):
            count = file.readinto(target[done:])  # type: ignore[attr-defined]  # a raw file has it
        if not count:
            raise TruncatedRecordError(f"{shard.path}: it became shorter while it was read; nothing may write to it")
        done += count


def _ends_of_whole(data: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the sound records that are in one part end; -1 for all others."""
    words = data[: len(data) & ~3].view("<u4")
    smallest = (HEAD.size + HEADER.size) // 4
    sound = (starts & 3 == 0) & ((starts >> 2) + smallest <= len(words))
    if not sound.any():
        return np.full(len(starts), -1, np.int64)
    at = np.where(sound, starts >> 2, starts[sound][0] >> 2)
    lengths = words[at + 1].astype(np.int64)
    ends = starts + HEAD.size + lengths + (-lengths & 3)
    header_lengths = HEADER.size + 4 * words[at + 2].astype(np.int64)
    sound &= (words[at] == MAGIC) & (lengths <= MAX_RECORD_LENGTH) & (ends <= len(data)) & (header_lengths <= lengths)
    return np.where(sound, ends, -1)


def _end_of_odd(shard: Shard, offset: int, limit: int, key: int) -> int:
    """Where a record ends that is split, or very long; raises what is wrong with it if it is damaged."""
    try:
        if offset & 3:
            raise CorruptRecordError("its offset is not a multiple of 4")
        shard.reader.record_at(offset)
        end = shard.reader.end_of(offset)
        if end > limit:
            raise CorruptRecordError(f"it reaches to {end}, beyond the next record of the index, which is at {limit}")
    except RecordError as error:
        raise type(error)(
            f"{shard.path}: the record with id {unsigned(key)}, at offset {offset}, is damaged, or the index belongs "
            f"to another file: {without_hint(error).removeprefix(f'{shard.path}: ')}; 'dali-rec verify --repair "
            f"{shard.path}' leaves such records out"
        ) from None
    return end
