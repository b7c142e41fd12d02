"""Our own reader: records in any order, read ahead by threads of their own, for fn.external_source.

DALI calls it between batches, on the thread that trains, so all it does there is to hand over what the threads have
ready, in DALI's own lists: to make them of arrays takes DALI thirty times as long.
"""

from __future__ import annotations

import mmap
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.recordio.framing import HEAD, MAGIC
from dali_rec.recordio.header import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.shard import Shard

_THREADS = 4
_BATCHES_AHEAD = 3
_RECORDS_PER_TASK = 16
# Magic number and length of a record in one part, and flag and label of its header.
_HEADS = struct.Struct("<IIIf")
_HEADS_LENGTH = HEAD.size + HEADER.size
# A record whose end the index does not tell (it names few records) is not read further than this in one go.
_LONGEST_READ = 1 << 20


class EncodedBatch(NamedTuple):
    """What the graph takes, in DALI's lists: encoded images, their labels (float32), and rows (int64 of shape (1,))."""

    images: Any
    labels: Any
    rows: Any


class RecordFeed:
    """Batches of records in the order of ``schedule``, an endless iterator of rows; called once a batch by DALI.

    ``held``: how many batches handed out are kept alive, since DALI reads them in place.
    """

    def __init__(self, dataset: Dataset, schedule: Iterator[NDArray[np.integer]], held: int) -> None:
        self._dataset = dataset
        self._schedule = schedule
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dali-rec-read")
        self._ahead: deque[Future[EncodedBatch]] = deque()
        self._held: deque[EncodedBatch] = deque(maxlen=held)

    def __call__(self, _info: Any) -> tuple[Any, Any, Any]:
        """The next batch. Raises RecordError where a record is damaged, naming file and offset."""
        while len(self._ahead) <= _BATCHES_AHEAD:
            rows = np.asarray(next(self._schedule), dtype=np.int64)
            tasks = [rows[at : at + _RECORDS_PER_TASK] for at in range(0, len(rows), _RECORDS_PER_TASK)]
            parts = [self._pool.submit(read_samples, self._dataset, task) for task in tasks]
            # Begun after them, so it never waits for what waits for it.
            self._ahead.append(self._pool.submit(_collate, rows, parts))
        batch = self._ahead.popleft().result()
        self._held.append(batch)
        return batch.images, batch.labels, batch.rows

    def checkpoint(self) -> None:
        """None: its schedule begins anywhere."""

    def end(self) -> None:
        """End the threads; what was handed out stays alive."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Sample(NamedTuple):
    image: NDArray[np.uint8]
    labels: NDArray[np.float32]


def read_samples(dataset: Dataset, rows: NDArray[np.int64]) -> list[_Sample]:
    """The records at ``rows``, as views of the mapped file, in memory by then."""
    return [_read(*span) for span in dataset.spans(rows)]


def _read(shard: Shard, offset: int, stop: int) -> _Sample:
    size = min(stop - offset, _LONGEST_READ)
    buffer = shard.reader.buffer
    mapped = np.frombuffer(buffer, np.uint8, size, offset)
    # Each page is looked at, so that it is here when DALI wants it. Over so many values NumPy lets go of the
    # interpreter's lock, also while it waits for the disk.
    mapped[:: min(max(size >> 10, 1), mmap.PAGESIZE)].max(initial=0)
    # The common case first and by hand: a record in one part, all of it here.
    if size >= _HEADS.size:
        magic, length, flag, label = _HEADS.unpack_from(buffer, offset)
        start, end = _HEADS_LENGTH + 4 * flag, HEAD.size + length
        if magic == MAGIC and length < 1 << 29 and start <= end <= size:
            labels = mapped[_HEADS_LENGTH:start].view("<f4") if flag else np.array([label], np.float32)
            return _Sample(mapped[start:end], labels)
    # Split, longer than was read, or damaged: then this says so with the right offset.
    record = shard.reader.record_at(offset)
    return _Sample(np.frombuffer(record.image, np.uint8), record.labels)


def _collate(rows: NDArray[np.int64], parts: list[Future[list[_Sample]]]) -> EncodedBatch:
    samples = [sample for part in parts for sample in part.result()]
    return EncodedBatch(
        _as_list(sample.image for sample in samples),
        _as_list(sample.labels for sample in samples),
        _as_list(rows[:, np.newaxis]),
    )


def _as_list(arrays: Iterable[NDArray[Any]]) -> Any:
    """The arrays as one list of DALI's, which refers to their memory and keeps it."""
    from nvidia.dali.tensors import TensorCPU, TensorListCPU

    # Not "contiguous", which would copy them.
    return TensorListCPU([TensorCPU(array, "") for array in arrays], "", False)  # noqa: FBT003
