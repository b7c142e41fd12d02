"""mx.gluon.data.DataLoader: batches of a data set, in this process, in threads or in processes."""

from __future__ import annotations

import multiprocessing
import random
import signal
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.gluon.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray import NDArray, array, stack
from dali_rec.compat.mxnet.ndarray.random import seed
from dali_rec.errors import LoaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

__all__ = ["DataLoader", "default_batchify_fn", "default_mp_batchify_fn"]

# What a process works on: the data set and what makes batches of its samples.
_work: dict[str, Any] = {}


def default_batchify_fn(data: Any) -> Any:
    """Samples as a batch: arrays one upon another, of tuples a list of these, numbers as an array of their type."""
    if isinstance(data[0], NDArray):
        return stack(*data)
    if isinstance(data[0], tuple):
        return [default_batchify_fn(one) for one in zip(*data, strict=True)]
    values = np.asarray(data)
    return array(values, dtype=values.dtype)


default_mp_batchify_fn = default_batchify_fn


class DataLoader:
    """Batches of ``batch_size`` samples, each what ``batchify_fn`` makes of a list of samples.

    shuffle: in an order at random. sampler, batch_sampler: which samples, in which order. last_batch: "keep",
    "discard" or "rollover", as BatchSampler has it. num_workers: processes that make batches ahead, or threads with
    ``thread_pool``; prefetch: how many batches ahead, by default two for each. timeout: how many seconds to wait for a
    batch. pin_memory, pin_device_id and auto_reload have no effect.

    Processes are forked where that is possible, with the data set as it is at the first batch. For each batch they seed
    ``random``, ``numpy.random`` and mx.random anew, so that no two batches have the same random numbers.

    Raises ValueError for parameters that exclude each other; while iterating LoaderError for a batch that does not come
    in time or at all, and what the data set raises.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Sampler | None = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,  # noqa: ARG002  # MXNet's
        pin_device_id: int = 0,  # noqa: ARG002  # MXNet's
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,  # noqa: ARG002  # MXNet's
    ) -> None:
        if batch_sampler is None:
            batch_sampler = _batches(len(dataset), batch_size, shuffle, sampler, last_batch or "keep")
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise ValueError(
                "batch_sampler takes the place of batch_size, shuffle, sampler and last_batch: give either"
            )
        self._dataset, self._batch_sampler = dataset, batch_sampler
        self._batchify_fn = batchify_fn or default_batchify_fn
        self._num_workers = max(0, num_workers)
        self._prefetch = max(1, 2 * self._num_workers if prefetch is None else prefetch)
        self._thread_pool, self._timeout = thread_pool, timeout
        self._pool: Executor | None = None

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if not self._num_workers:
            for numbers in self._batch_sampler:
                yield _made(self._dataset, self._batchify_fn, numbers)
            return
        pending: deque[Future[Any]] = deque()
        try:
            for numbers in self._batch_sampler:
                pending.append(self._begin(numbers))
                if len(pending) > self._prefetch:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:
            for one in pending:
                one.cancel()

    def _result(self, batch: Future[Any]) -> Any:
        wait((batch,), self._timeout)
        if not batch.done():
            raise LoaderError(f"no batch in {self._timeout} seconds: the data set hangs, or give a longer timeout")
        try:
            return batch.result()
        except BrokenExecutor:
            raise LoaderError("a process of the loader ended: if memory was short, take fewer num_workers") from None

    def _begin(self, numbers: list[Any]) -> Future[Any]:
        if self._pool is None:
            self._pool = self._threads() if self._thread_pool else self._processes()
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        if self._thread_pool:
            return self._pool.submit(_made, self._dataset, self._batchify_fn, numbers)
        return self._pool.submit(_made_in_process, numbers, random.getrandbits(32))

    def _threads(self) -> Executor:
        return ThreadPoolExecutor(self._num_workers, thread_name_prefix="dali-rec-loader")

    def _processes(self) -> Executor:
        # Transforms are often functions without a name, which only a fork hands over.
        can_fork = "fork" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if can_fork else None)
        return ProcessPoolExecutor(
            self._num_workers, context, initializer=_set_up, initargs=(self._dataset, self._batchify_fn)
        )


def _batches(count: int, batch_size: int | None, shuffle: bool, sampler: Sampler | None, last_batch: str) -> Any:
    if batch_size is None:
        raise ValueError("DataLoader needs batch_size or batch_sampler")
    if sampler is not None and shuffle:
        raise ValueError("sampler says the order: leave shuffle out")
    if sampler is None:
        sampler = RandomSampler(count) if shuffle else SequentialSampler(count)
    return BatchSampler(sampler, batch_size, last_batch)


def _made(dataset: Any, batchify_fn: Callable[[list[Any]], Any], numbers: list[Any]) -> Any:
    return batchify_fn([dataset[number] for number in numbers])


def _set_up(dataset: Any, batchify_fn: Callable[[list[Any]], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops them
    cv2.setNumThreads(0)  # those of the parent are not in a forked process
    _work.update(dataset=dataset, batchify_fn=batchify_fn)


def _made_in_process(numbers: list[Any], number: int) -> Any:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  # what transforms for MXNet draw from
    seed(number)
    return _made(_work["dataset"], _work["batchify_fn"], numbers)


__getattr__ = missing_from(__name__)
