"""mx.io.PrefetchingIter and ResizeIter: iterators around iterators."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter
from dali_rec.errors import LoaderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future


class PrefetchingIter(DataIter):
    """Makes the next batch of one iterator or of several, each in a thread of its own, while this one is worked on.

    Of several iterators a batch has the images and labels of all, and ``pad`` and ``index`` of the first.
    rename_data, rename_label: for each iterator, other names in ``provide_data`` and ``provide_label``.

    Raises what the iterators raise, and LoaderError where one of them ends before the others.
    """

    def __init__(
        self,
        iters: Any,
        rename_data: Sequence[Mapping[str, str]] | None = None,
        rename_label: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        self.iters = list(iters) if isinstance(iters, (list, tuple)) else [iters]
        self.provide_data = _described([one.provide_data for one in self.iters], rename_data)
        self.provide_label = _described([one.provide_label for one in self.iters], rename_label)
        super().__init__(self.provide_data[0][1][0])
        self._pool = ThreadPoolExecutor(len(self.iters), thread_name_prefix="dali-rec-prefetch")
        weakref.finalize(self, self._pool.shutdown, wait=False)
        self._pending: list[Future[Any]] | None = None
        self._begin()

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch, until ``reset``."""
        if self._pending is None:
            raise StopIteration
        pending, self._pending = self._pending, None
        try:
            batches = [one.result() for one in pending]
        except Exception:
            self._begin()  # after a record that cannot be decoded the next batch can be taken
            raise
        missing = [number for number, batch in enumerate(batches) if batch is None]
        if missing and len(missing) < len(batches):
            raise LoaderError(f"of {len(batches)} iterators number {missing[0]} (from 0) ended before the others")
        if missing:
            raise StopIteration
        self._begin()
        return DataBatch(
            [array for batch in batches for array in batch.data],
            [array for batch in batches for array in batch.label or ()],
            batches[0].pad,
            batches[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )

    def reset(self) -> None:
        """Begin the next epoch of all iterators. As in MXNet a batch that has been made ahead is lost."""
        for one in self._pending or ():
            one.exception()  # waits; what it made, or what went wrong with it, belongs to the epoch that is over
        for iterator in self.iters:
            iterator.reset()
        self._current = None
        self._begin()

    def _begin(self) -> None:
        self._pending = [self._pool.submit(_next_or_none, iterator) for iterator in self.iters]


class ResizeIter(DataIter):
    """Gives ``size`` batches an epoch: fewer than the iterator has, or more, for which it begins again.

    reset_internal: whether ``reset`` resets the iterator, too; otherwise the next epoch goes on where this one ended.
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True) -> None:
        super().__init__(data_iter.batch_size)
        self.data_iter, self.size, self.reset_internal = data_iter, size, reset_internal
        self.provide_data, self.provide_label = data_iter.provide_data, data_iter.provide_label
        self.cur = 0

    def next(self) -> Any:
        """The next batch. Raises StopIteration after ``size`` of them, until ``reset``."""
        if self.cur >= self.size:
            raise StopIteration
        try:
            batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            batch = self.data_iter.next()
        self.cur += 1
        return batch

    def reset(self) -> None:
        """Begin the next epoch."""
        self._current = None
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()


def _next_or_none(iterator: Any) -> Any:
    try:
        return iterator.next()
    except StopIteration:
        return None


def _described(lists: list[Any], renamed: Sequence[Mapping[str, str]] | None) -> list[DataDesc]:
    """The descriptions of all arrays, under their new names."""
    names = renamed or [{}] * len(lists)
    return [
        DataDesc(new.get(one[0], one[0]), tuple(one[1]), getattr(one, "dtype", "float32"))
        for descriptions, new in zip(lists, names, strict=True)
        for one in descriptions
    ]
