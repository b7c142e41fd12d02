"""The threads that work on the records of batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import cv2

from dali_rec.errors import ImageRejectedError, LoaderError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset

    T = TypeVar("T")


class RecordThreads:
    """So many threads, ``count``. They take up batches in the order in which these are begun, several at a time."""

    def __init__(self, dataset: Dataset, count: int) -> None:
        self._dataset = dataset
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="dali-rec-image")

    def begin(self, batch: BatchRows, places: int, work: Callable[[int], T]) -> Callable[[], list[T]]:
        """Begin to call ``work`` for the first ``places`` of a batch; what is returned waits for what it gives.

        It raises LoaderError for a record that ``work`` cannot use, naming its id, file and offset.
        """

        def work_through(share: range) -> list[T]:
            return [self._work_on(int(batch.rows[place]), work, place) for place in share]

        size = -(-places // (2 * self._count))
        shares = [range(start, min(start + size, places)) for start in range(0, places, size)]
        begun: list[Future[list[T]]] = [self._pool.submit(work_through, share) for share in shares]
        return lambda: [result for share in begun for result in share.result()]

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work_on(self, row: int, work: Callable[[int], T], place: int) -> T:
        try:
            return work(place)
        except (ImageRejectedError, RecordError, ValueError, cv2.error) as error:
            shard, offset = self._dataset.locate(row)
            raise LoaderError(
                f"{shard.path}: the record with id {int(self._dataset.keys[row])} at offset {offset}: {error}; "
                f"'dali-rec verify {shard.path}' lists records that cannot be decoded"
            ) from None
