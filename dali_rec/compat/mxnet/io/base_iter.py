"""What ImageRecordIter and ImageDetRecordIter have in common: epochs of batches, which an engine makes ahead."""

from __future__ import annotations

import importlib
import logging
import weakref
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter, as_handed_out
from dali_rec.compat.mxnet.io.passes import Passes, part_of
from dali_rec.errors import DatasetError
from dali_rec.loading.device import Device, device_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.base_parameters import BaseParameters
    from dali_rec.compat.mxnet.io.engine import Engine
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record

LOG = logging.getLogger("dali_rec.compat.mxnet")


class BaseIter(DataIter, ABC):
    """Iterates over the batches of a data set, as its parameters say.

    A subclass makes the engine and hands it to ``_begin_with``; its ``_arrays`` turns what the engine makes of a batch
    into images and labels. ``with_index``: see ``Passes``. ``device_id``: which GPU is taken, unless ``device`` names
    one; below 0, none for device="auto".
    """

    def __init__(
        self, parameters: BaseParameters, dataset: Dataset, *, with_index: bool = False, device_id: int = 0
    ) -> None:
        super().__init__(parameters.batch_size)
        self._dataset = dataset
        self._part = part_of(len(dataset), parameters.num_parts, parameters.part_index)
        _check_count(dataset, self._part, parameters)
        self._passes = _passes(dataset, self._part, parameters, with_index=with_index)
        self._prefetch_buffer = parameters.prefetch_buffer
        self._framework = importlib.import_module(f"dali_rec.loading.{parameters.framework}")
        self._device = _choose_device(parameters, device_id, self._framework.why_no_gpu)
        self._skip_load: DataBatch | None = None
        images = (parameters.batch_size, *parameters.data_shape)
        self.provide_data = [DataDesc(parameters.data_name, images, parameters.output_dtype)]

    def _begin_with(self, engine: Engine, label: DataDesc) -> None:
        self.provide_label = [label]
        self._engine = engine
        weakref.finalize(self, engine.close)
        self._start(0)

    def _start(self, epoch: int) -> None:
        self._engine.forget()
        self._schedule = self._passes.batches(epoch)
        self._ahead: deque[tuple[BatchRows, Callable[[], tuple[Any, ...]]]] = deque()
        self._epoch = epoch
        self._has_ended = False
        self._is_at_beginning = True

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch, until ``reset``."""
        if self._skip_load is not None:
            return self._skip_load
        if self._has_ended:
            raise StopIteration
        while len(self._ahead) <= self._prefetch_buffer:
            rows = next(self._schedule)
            self._ahead.append((rows, self._engine.begin(rows)))
        rows, finish = self._ahead.popleft()
        self._is_at_beginning = False
        self._has_ended = rows.is_last
        made = finish()
        records = [self._dataset[row] for row in rows.rows.tolist()]
        images, labels = self._arrays(made, rows, records)
        return DataBatch(
            data=[self._handed_over(images)],
            label=[self._handed_over(labels)],
            pad=rows.pad,
            index=np.array([record.key for record in records], np.uint64),
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )

    @abstractmethod
    def _arrays(self, made: tuple[Any, ...], batch: BatchRows, records: list[Record]) -> tuple[Any, Any]:
        """Images and labels of a batch, from what the engine made of it."""

    def _handed_over(self, array: Any) -> Any:
        # What DALI made is an array of the framework already.
        if isinstance(array, np.ndarray):
            array = self._framework.from_host(array, self._device)
        return as_handed_out(array)

    def reset(self) -> None:
        """Begin the next epoch: after the records that filled the last batch, or anew in the middle of an epoch."""
        self._current = None
        if self._is_at_beginning:
            return
        if self._has_ended:
            self._epoch += 1
            self._has_ended, self._is_at_beginning = False, True
        else:
            self._start(self._epoch + 1)

    def debug_skip_load(self) -> None:
        """Give the first batch again and again from now on, to see how fast the network is by itself."""
        self.reset()
        self._skip_load = self.next()


def _check_count(dataset: Dataset, part: range, parameters: BaseParameters) -> None:
    if not part:
        raise DatasetError(
            f"{dataset.name}: {len(dataset)} records cannot be shared among {parameters.num_parts} parts; use fewer"
        )
    if parameters.round_batch and len(part) < parameters.batch_size:
        raise DatasetError(
            f"{dataset.name}: {len(part)} records do not fill a batch of {parameters.batch_size}; use a smaller "
            "batch_size, or round_batch=False"
        )


def _passes(dataset: Dataset, part: range, parameters: BaseParameters, *, with_index: bool) -> Passes:
    chunk = parameters.shuffle_chunk_size << 20  # MB
    return Passes(
        part,
        parameters.batch_size,
        parameters.shuffle,
        parameters.seed,
        parameters.round_batch,
        _runs(dataset, part, chunk) if chunk else None,
        parameters.shuffle_chunk_seed,
        with_index,
    )


def _runs(dataset: Dataset, part: range, size: int) -> NDArray[np.int64]:
    """Where runs of records of about ``size`` bytes begin in the part, the first left out."""
    sizes = [np.diff(shard.index.offsets, append=shard.reader.size) for shard in dataset.shards]
    ends = np.cumsum(np.concatenate(sizes)[part.start : part.stop])
    return np.nonzero(np.diff((ends - 1) // size))[0] + 1


def _choose_device(parameters: BaseParameters, device_id: int, why_no_gpu: Callable[[], str | None]) -> Device:
    if parameters.device == "auto" and parameters.ctx == "cpu":
        return Device(None, "ctx='cpu'")
    if parameters.device == "auto" and device_id < 0:
        return Device(None, f"device_id={device_id}")
    return device_for(parameters.device, max(0, device_id), parameters.framework, why_no_gpu)
