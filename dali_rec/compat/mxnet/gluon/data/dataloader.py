"""mx.gluon.data.DataLoader: batches of a data set, in this process, in threads or in processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import threading
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.gluon.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray import NDArray, array, stack
from dali_rec.compat.mxnet.ndarray.random import seed
from dali_rec.errors import LoaderError

if TYPE_CHECKING:
    import sys
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection as Connection
    else:
        from multiprocessing.connection import Connection

__all__ = ["DataLoader", "default_batchify_fn", "default_mp_batchify_fn"]

_NUMBERS = "biuf"
# What a process works on: the data set and what makes batches of its samples.
_work: dict[str, Any] = {}


def default_batchify_fn(data: Any) -> Any:
    """Samples as a batch: arrays one upon another, of tuples a list of these, numbers as an array of their type.

    Raises TypeError for what is no number.
    """
    if isinstance(data[0], NDArray):
        return stack(*data)
    if isinstance(data[0], tuple):
        return [default_batchify_fn(one) for one in zip(*data, strict=True)]
    values = np.asarray(data)
    if values.dtype.kind not in _NUMBERS:
        raise TypeError(f"samples of {type(data[0]).__name__} make no array: give DataLoader a batchify_fn for them")
    return array(values, dtype=values.dtype)


default_mp_batchify_fn = default_batchify_fn


class DataLoader:
    """Batches of ``batch_size`` samples, each what ``batchify_fn`` makes of a list of samples.

    shuffle: in an order at random. sampler, batch_sampler: which samples, in which order. last_batch: "keep",
    "discard" or "rollover", as BatchSampler has it. num_workers: processes that make batches ahead, or threads with
    ``thread_pool``; prefetch: how many batches ahead, by default two for each. timeout: how many seconds to wait for a
    batch. pin_memory, pin_device_id and auto_reload have no effect.

    Processes are forked where that is possible, with the data set as it is at the first batch, and again at the first
    one after an error. On Windows the data set is pickled for them: its functions need names, and what the script does
    stands under ``if __name__ == "__main__":``. For each batch they seed ``random``, ``numpy.random`` and mx.random
    anew, so that no two batches have the same random numbers. They end with this process, however it ends.

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
        self._end: Callable[[], object]  # what ends the pool

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if not self._num_workers:
            for numbers in self._batch_sampler:
                yield _made(self._dataset, self._batchify_fn, numbers)
            return
        try:
            yield from self._made_ahead()
        except GeneratorExit:  # the loop was left
            raise
        except BaseException as error:
            if self._pool is not None:
                self._end()  # or the program would wait at its end for a data set that hangs
                self._pool = None
            if isinstance(error, BrokenExecutor):
                message = "a process of the loader ended: if memory was short, take fewer num_workers"
                raise LoaderError(message) from error
            raise

    def _made_ahead(self) -> Iterator[Any]:
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
        return batch.result()

    def _begin(self, numbers: list[Any]) -> Future[Any]:
        if self._pool is None:
            self._pool, end = self._threads() if self._thread_pool else self._processes()
            self._end = weakref.finalize(self, end)
        if self._thread_pool:
            return self._pool.submit(_made, self._dataset, self._batchify_fn, numbers)
        return self._pool.submit(_made_in_process, numbers, random.getrandbits(32))

    def _threads(self) -> tuple[Executor, Callable[[], None]]:
        pool = ThreadPoolExecutor(self._num_workers, thread_name_prefix="dali-rec-loader")
        return pool, partial(pool.shutdown, wait=False, cancel_futures=True)

    def _processes(self) -> tuple[Executor, Callable[[], None]]:
        # Transforms are often functions without a name, which only a fork hands over.
        can_fork = "fork" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if can_fork else "spawn")
        if not can_fork:
            _require_picklable(self._dataset, self._batchify_fn)
        ended, held = context.Pipe(duplex=False)
        work = (self._dataset, self._batchify_fn, ended, held)
        return ProcessPoolExecutor(self._num_workers, context, initializer=_set_up, initargs=work), held.close


def _batches(count: int, batch_size: int | None, shuffle: bool, sampler: Sampler | None, last_batch: str) -> Any:
    if batch_size is None:
        raise ValueError("DataLoader needs batch_size or batch_sampler")
    if sampler is not None and shuffle:
        raise ValueError("sampler says the order: leave shuffle out")
    if sampler is None:
        sampler = RandomSampler(count) if shuffle else SequentialSampler(count)
    return BatchSampler(sampler, batch_size, last_batch)


def _require_picklable(*parts: object) -> None:
    """Raises LoaderError for what no process could be begun with; it would be left without a word of why."""
    try:
        pickle.dumps(parts)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LoaderError(
            f"other processes cannot have the data set ({error}): put its functions into a module, or take "
            "thread_pool=True"
        ) from None
    except RuntimeError:  # locks of multiprocessing, which are handed over, but not by this
        pass


def _made(dataset: Any, batchify_fn: Callable[[list[Any]], Any], numbers: list[Any]) -> Any:
    return batchify_fn([dataset[number] for number in numbers])


def _set_up(dataset: Any, batchify_fn: Callable[[list[Any]], Any], ended: Connection, held: Connection) -> None:
    """Begin a process, which ends when its parent, which alone holds the other end of a pipe, closes it or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops them
    cv2.setNumThreads(0)  # those of the parent are not in a forked process
    held.close()
    threading.Thread(target=_end_after, args=(ended,), daemon=True).start()
    _work.update(dataset=dataset, batchify_fn=batchify_fn)


def _end_after(ended: Connection) -> None:
    connection.wait([ended])
    os._exit(1)


def _made_in_process(numbers: list[Any], number: int) -> Any:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  # what transforms for MXNet draw from
    seed(number)
    return _made(_work["dataset"], _work["batchify_fn"], numbers)


__getattr__ = missing_from(__name__)
