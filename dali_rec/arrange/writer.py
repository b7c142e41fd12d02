"""``SetWriter``: frames go in, and .rec, .idx and .lst come out, in shards, with what the manifest says of them."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec._disks import fsync, naming
from dali_rec._shard_names import shard_names
from dali_rec.arrange.headers import all_labels, first_labels, has_image, images, label_counts
from dali_rec.arrange.sharding import Sharding, ShardState
from dali_rec.errors import ImageRejectedError
from dali_rec.faces import count_images
from dali_rec.images import inspect_image
from dali_rec.manifest import ShardEntry
from dali_rec.recordio import Index, RecordReader, read_index, write_index
from dali_rec.recordio.index import unsigned
from dali_rec.sources.lst import format_label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.arrange.frames import Frames

_PENDING = 4  # pieces to be hashed or written
_ANY_SIZE = 1 << 62
_EXACT = float(1 << 53)


@dataclass(slots=True)
class Facts:
    """What was seen of the records that went in.

    without_image: records that end with their labels, which do not count for what follows. widths: the numbers of
    labels. are_classes: each has one label, a whole number from 0 up. max_width, max_height: pixels of the largest
    image that was measured.
    """

    without_image: int = 0
    widths: frozenset[int] = frozenset()
    are_classes: bool = True
    max_width: int = 0
    max_height: int = 0


class SetWriter:
    """Writes ``count`` records to the shards of the data set ``name``, in a folder. ``written``: how many so far."""

    def __init__(self, folder: Path, name: str, count: int, sharding: Sharding) -> None:
        self.facts = Facts()
        self._folder = folder
        self._name = name
        self._sharding = sharding
        self.written = 0
        self._count = count
        self._shards: list[_ShardFile] = []
        self._list_path = folder / f"{name}.lst"
        self._list = self._list_path.open("wb", buffering=1 << 20)
        self._threads = _Threads(ThreadPoolExecutor(1, "dali-rec-hash"), ThreadPoolExecutor(1, "dali-rec-write"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._threads.hasher.shutdown(cancel_futures=True)
        self._threads.writer.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError):  # what it has not written before ``finish`` is not wanted any more
            self._list.close()
        if self._shards:
            self._shards[-1].abandon()

    def write(self, frames: Frames, locations: Sequence[bytes], *, measure: bool) -> None:
        """Append records, with the last column of the list for each.

        measure: look at the headers of the images for the largest width and height.

        The bytes must not change afterwards: they are still being hashed and written.
        """
        self._note(frames, measure=measure)
        self._write_list(frames, locations)
        while len(frames):
            room = self._room(frames)
            if room:
                self._shards[-1].append(frames.take(slice(room)))
                self.written += room
                frames = frames.take(slice(room, None))
            else:
                self._begin_shard()

    def _room(self, frames: Frames) -> int:
        """How many of these records the shard that is being written still takes; 0 before the first."""
        if not self._shards:
            return 0
        shard = self._shards[-1]
        state = ShardState(self._count, self.written, len(self._shards) - 1, shard.records, shard.position)
        return self._sharding.room(state, frames.lengths)

    def _begin_shard(self) -> None:
        if self._shards:
            self._shards[-1].finish()
        self._shards.append(_ShardFile(self._folder, self._name, len(self._shards), self._threads))

    def finish(self) -> tuple[ShardEntry, ...]:
        """Make the files durable, under their names; gives the entries of the manifest."""
        self._shards[-1].finish()
        with naming(self._list_path):
            self._list.flush()
            fsync(self._list)
            self._list.close()
        entries = []
        for name, shard in zip(shard_names(self._name, len(self._shards)), self._shards, strict=True):
            shard.rename(name)
            records = _samples(shard) if self.facts.without_image else shard.records
            entries.append(
                ShardEntry(shard.path.name, shard.index_path.name, records, shard.position, shard.checksum.hexdigest())
            )
        return tuple(entries)

    def _note(self, frames: Frames, *, measure: bool) -> None:
        facts = self.facts
        imaged = np.nonzero(has_image(frames))[0]
        facts.without_image += len(frames) - len(imaged)
        counts = label_counts(frames)[imaged]
        labels = first_labels(frames)[imaged]
        facts.widths |= frozenset(np.unique(counts).tolist())
        facts.are_classes &= bool(np.all((counts == 1) & (labels >= 0) & (labels == np.floor(labels))))
        if measure:
            for image in images(frames.take(imaged)):
                try:
                    info = inspect_image(image, _ANY_SIZE)
                except ImageRejectedError:
                    continue  # a foreign record that is no image stays what it is
                facts.max_width = max(facts.max_width, info.width)
                facts.max_height = max(facts.max_height, info.height)

    def _write_list(self, frames: Frames, locations: Sequence[bytes]) -> None:
        keys = [unsigned(key) for key in frames.keys.tolist()]
        lines = (b"%d\t%s\t%s\n" % line for line in zip(keys, _label_columns(frames), locations, strict=True))
        with naming(self._list_path):
            self._list.write(b"".join(lines))


def _label_columns(frames: Frames) -> list[bytes]:
    """The labels of each record as they stand in a .lst, parted by tabs."""
    counts, labels = label_counts(frames), first_labels(frames)
    if (counts == 1).all() and (np.abs(labels) < _EXACT).all() and (labels == np.floor(labels)).all():
        return [b"%d" % label for label in labels.astype(np.int64).tolist()]
    return [
        "\t".join(map(format_label, all_labels(frames, number).tolist())).encode("ascii")
        for number in range(len(frames))
    ]


def _samples(shard: _ShardFile) -> int:
    """How many records a manifest counts: of a face set the images alone."""
    index = read_index(shard.index_path)
    order = np.argsort(index.offsets)
    with RecordReader(shard.path) as reader:
        return count_images(reader, Index(index.keys[order], index.offsets[order]))


class _Threads(NamedTuple):
    """One thread each, so that pieces stay in order."""

    hasher: ThreadPoolExecutor
    writer: ThreadPoolExecutor


class _ShardFile:
    """One .rec and its .idx, in the work folder; with a number behind, for only at the end it is known of how many."""

    def __init__(self, folder: Path, name: str, number: int, threads: _Threads) -> None:
        self.path = folder / f"{name}.rec.{number}"
        self.index_path = folder / f"{name}.idx.{number}"
        self.position = 0
        self.records = 0
        self.checksum = hashlib.sha256()
        self._keys: list[NDArray[np.int64]] = []
        self._offsets: list[NDArray[np.int64]] = []
        self._file: IO[bytes] = self.path.open("wb", buffering=0)
        self._threads = threads
        self._pending: deque[Future[None]] = deque()

    def append(self, frames: Frames) -> None:
        runs = frames.runs()
        data = runs[0] if len(runs) == 1 else memoryview(b"".join(runs))
        # Each in a thread of its own: both let go of Python's lock, and the next piece is read meanwhile.
        self._pending.append(self._threads.hasher.submit(self.checksum.update, data))
        self._pending.append(self._threads.writer.submit(self._write, data))
        while len(self._pending) > _PENDING:
            self._pending.popleft().result()
        ends = self.position + np.cumsum(frames.lengths)
        self._keys.append(frames.keys)
        self._offsets.append(ends - frames.lengths)
        self.records += len(frames)
        self.position += len(data)

    def _write(self, data: memoryview) -> None:
        with naming(self.path):
            while data:
                data = data[self._file.write(data) :]

    def finish(self) -> None:
        """Make both files durable."""
        while self._pending:
            self._pending.popleft().result()
        with naming(self.path):
            fsync(self._file)
            self._file.close()
        write_index(self.index_path, Index(np.concatenate(self._keys), np.concatenate(self._offsets)))
        self._keys, self._offsets = [], []

    def rename(self, name: str) -> None:
        """Give both files the name that they are to have."""
        self.path = self.path.replace(self.path.with_name(f"{name}.rec"))
        self.index_path = self.index_path.replace(self.index_path.with_name(f"{name}.idx"))

    def abandon(self) -> None:
        """Close the file."""
        self._file.close()
