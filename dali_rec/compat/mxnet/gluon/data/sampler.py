"""mx.gluon.data's samplers: the numbers of samples in an order, one by one or in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.missing import missing_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BatchSampler", "FilterSampler", "RandomSampler", "Sampler", "SequentialSampler"]

_LAST_BATCHES = ("keep", "discard", "rollover")


class Sampler:
    """The base. Subclasses have ``__iter__`` and ``__len__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")


class SequentialSampler(Sampler):
    """``length`` numbers from ``start``."""

    def __init__(self, length: int, start: int = 0) -> None:
        self._numbers = range(start, start + length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class RandomSampler(Sampler):
    """``length`` numbers from 0 in an order at random, by ``numpy.random``, as in MXNet."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __iter__(self) -> Iterator[int]:
        numbers = np.arange(self._length)
        np.random.shuffle(numbers)  # noqa: NPY002  # what np.random.seed seeds, as in MXNet
        return iter(numbers.tolist())

    def __len__(self) -> int:
        return self._length


class FilterSampler(Sampler):
    """The numbers of the samples for which ``fn`` is true; it is asked of all of them now."""

    def __init__(self, fn: Callable[[Any], bool], dataset: Any) -> None:
        self._numbers = [number for number in range(len(dataset)) if fn(dataset[number])]

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class BatchSampler(Sampler):
    """Lists of ``batch_size`` of what another sampler gives.

    last_batch: what becomes of a last one that is not full: "keep", as it is; "discard", left out; "rollover", the
    next epoch begins with it.
    """

    def __init__(self, sampler: Sampler, batch_size: int, last_batch: str = "keep") -> None:
        if last_batch not in _LAST_BATCHES:
            raise ValueError(f"last_batch is {last_batch!r}: one of {', '.join(_LAST_BATCHES)}")
        self._sampler, self._batch_size, self._last_batch = sampler, batch_size, last_batch
        self._left: list[Any] = []

    def __iter__(self) -> Iterator[list[Any]]:
        batch, self._left = self._left, []
        for number in self._sampler:
            batch.append(number)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch and self._last_batch == "keep":
            yield batch
        elif self._last_batch == "rollover":
            self._left = batch

    def __len__(self) -> int:
        count = len(self._sampler) + len(self._left)
        return -(-count // self._batch_size) if self._last_batch == "keep" else count // self._batch_size


__getattr__ = missing_from(__name__)
