"""mx.gluon.data.Dataset and its kin."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from dali_rec.compat.mxnet.gluon.data.sampler import FilterSampler, Sampler
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray
from dali_rec.compat.mxnet.recordio import MXIndexedRecordIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Dataset:
    """The base: samples by number. Subclasses have ``__getitem__`` and ``__len__``."""

    def __getitem__(self, idx: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> Dataset:
        """The samples as ``fn(*sample)`` makes them, each time one is taken; all at once with ``lazy`` False."""
        transformed = _Transformed(self, fn)
        return transformed if lazy else SimpleDataset([transformed[number] for number in range(len(transformed))])

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> Dataset:
        """The samples with the first of each, the image, as ``fn`` makes it."""
        return self.transform(_First(fn), lazy)

    def filter(self, fn: Callable[[Any], bool]) -> Dataset:
        """The samples for which ``fn`` is true; it is asked of all of them now."""
        return _Selected(self, list(FilterSampler(fn, self)))

    def shard(self, num_shards: int, index: int) -> Dataset:
        """One of ``num_shards`` parts; the first ones have a sample more if they do not come out even."""
        if not 0 <= index < num_shards:
            raise ValueError(f"index is {index} of {num_shards} shards: they count from 0")
        size, rest = divmod(len(self), num_shards)
        start = size * index + min(index, rest)
        return _Selected(self, range(start, start + size + (index < rest)))

    def take(self, count: int | None) -> Dataset:
        """The first ``count`` samples."""
        return _Selected(self, range(len(self) if count is None else min(count, len(self))))

    def sample(self, sampler: Sampler) -> Dataset:
        """The samples whose numbers a sampler gives now."""
        return _Selected(self, list(sampler))


class SimpleDataset(Dataset):
    """What a list or an array has."""

    def __init__(self, data: Sequence[Any]) -> None:
        self._data = data

    def __getitem__(self, idx: int) -> Any:
        return self._data[idx]

    def __len__(self) -> int:
        return len(self._data)


class ArrayDataset(Dataset):
    """Several data sets, lists or arrays of one length side by side: a sample is a tuple, of one alone the item."""

    def __init__(self, *args: Sequence[Any]) -> None:
        if len({len(one) for one in args}) != 1:
            raise ValueError(f"the lengths are {[len(one) for one in args]}: expected one or more, all the same")
        # A label is a number then, as in MXNet, and not an array of shape (1,).
        self._data = [one.asnumpy() if isinstance(one, NDArray) and one.ndim == 1 else one for one in args]

    def __getitem__(self, idx: int) -> Any:
        sample = tuple(one[idx] for one in self._data)
        return sample if len(sample) > 1 else sample[0]

    def __len__(self) -> int:
        return len(self._data[0])


class RecordFileDataset(Dataset):
    """The records of a .rec file with an .idx of its name beside it: bytes, in the order of the .idx.

    Workers that fork or are handed the pickled data set open the file for themselves; threads take turns.
    """

    def __init__(self, filename: str | os.PathLike[str]) -> None:
        self.filename = os.fspath(filename)
        self.idx_file = os.path.splitext(self.filename)[0] + ".idx"  # noqa: PTH122
        self._record = MXIndexedRecordIO(self.idx_file, self.filename, "r")
        self._lock = threading.Lock()

    def __getitem__(self, idx: int) -> Any:
        with self._lock:
            return self._record.read_idx(self._record.keys[idx])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        return len(self._record.keys)


class _Transformed(Dataset):
    def __init__(self, data: Dataset, fn: Callable[..., Any]) -> None:
        self._data, self._fn = data, fn

    def __getitem__(self, idx: int) -> Any:
        sample = self._data[idx]
        return self._fn(*sample) if isinstance(sample, tuple) else self._fn(sample)

    def __len__(self) -> int:
        return len(self._data)


class _First:
    """A class and not a function within one, so that it can be pickled."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self._fn = fn

    def __call__(self, first: Any, *others: Any) -> Any:
        return (self._fn(first), *others) if others else self._fn(first)


class _Selected(Dataset):
    def __init__(self, data: Dataset, numbers: Sequence[int]) -> None:
        self._data, self._numbers = data, numbers

    def __getitem__(self, idx: int) -> Any:
        return self._data[self._numbers[idx]]

    def __len__(self) -> int:
        return len(self._numbers)
