"""mx.io.ImageRecordIter: batches of images from .rec files, with the parameters of MXNet 1.9.1."""

from __future__ import annotations

import importlib
import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path
from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter, as_handed_out
from dali_rec.compat.mxnet.io.dali_engine import DaliEngine, obstacles
from dali_rec.compat.mxnet.io.mean_image import read_mean_image, write_mean_image
from dali_rec.compat.mxnet.io.normalise import Normaliser
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.compat.mxnet.io.passes import Passes, part_of
from dali_rec.compat.mxnet.io.records import open_records, read_labels
from dali_rec.compat.mxnet.io.threads import ThreadEngine
from dali_rec.errors import DatasetError
from dali_rec.loading.device import Device, device_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record

_LOG = logging.getLogger("dali_rec.compat.mxnet")


class ImageRecordIter(DataIter):
    """Iterates over the images of .rec files: ``for batch in iterator``, then ``iterator.reset()`` for the next epoch.

    Every parameter is MXNet's, by name (``ImageRecordParameters`` lists them); ``framework`` and ``device`` are ours.
    ``batch.data[0]`` has the images, of shape (batch, channels, height, width), RGB; ``batch.label[0]`` the labels,
    float32 of shape (batch,), or (batch, label_width); ``batch.pad`` says how many at the end only fill the batch, and
    ``batch.index`` the ids of the records, uint64.

    Raises TypeError for a parameter that there is not, ValueError for a value that cannot be honoured, DatasetError
    and its kin for the files, LoaderError while iterating for a record that cannot be decoded.

        iterator = mx.io.ImageRecordIter(path_imgrec="train.rec", data_shape=(3, 224, 224), batch_size=64, shuffle=True)
    """

    def __init__(self, **parameters: Any) -> None:
        self._parameters = ImageRecordParameters.from_keywords(parameters)
        given = self._parameters
        super().__init__(given.batch_size)
        dataset = open_records(given.path_imgrec, given.path_imgidx)
        part = part_of(len(dataset), given.num_parts, given.part_index)
        _check_count(dataset, part, given)
        self._dataset = dataset
        self._labels = read_labels(dataset, given.path_imglist, given.label_width) if given.path_imglist else None
        self._passes = _passes(dataset, part, given)
        self._framework = importlib.import_module(f"dali_rec.loading.{given.framework}")
        self._device = _choose_device(given, self._framework.why_no_gpu)
        self._engine: ThreadEngine | DaliEngine
        if _takes_dali(given, self._device):
            self._engine = DaliEngine(dataset, given, self._framework, self._device)
        else:
            self._engine = ThreadEngine(dataset, given, Normaliser(given, _mean_image(dataset, given)))
        weakref.finalize(self, self._engine.close)
        self._skip_load: DataBatch | None = None
        self._start(0)
        self.provide_data = [DataDesc(given.data_name, (given.batch_size, *given.data_shape), given.output_dtype)]
        labels = (given.batch_size,) if given.label_width == 1 else (given.batch_size, given.label_width)
        self.provide_label = [DataDesc(given.label_name, labels, np.float32)]
        if given.verbose:
            engine = "DALI" if isinstance(self._engine, DaliEngine) else "OpenCV"
            _LOG.info("%s: %d of %d records, %s, %s", dataset.name, len(part), len(dataset), self._device, engine)

    def _start(self, epoch: int) -> None:
        self._engine.forget()
        self._schedule = self._passes.batches(epoch)
        self._ahead: deque[tuple[BatchRows, Callable[[], Any]]] = deque()
        self._epoch = epoch
        self._has_ended = False
        self._is_at_beginning = True

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch, until ``reset``."""
        if self._skip_load is not None:
            return self._skip_load
        if self._has_ended:
            raise StopIteration
        while len(self._ahead) <= self._parameters.prefetch_buffer:
            rows = next(self._schedule)
            self._ahead.append((rows, self._engine.begin(rows)))
        rows, finish = self._ahead.popleft()
        self._is_at_beginning = False
        self._has_ended = rows.is_last
        images = finish()
        if isinstance(images, np.ndarray):
            images = self._framework.from_host(images, self._device)
        records = [self._dataset[row] for row in rows.rows.tolist()]
        return DataBatch(
            data=[as_handed_out(images)],
            label=[as_handed_out(self._framework.from_host(self._labels_of(rows, records), self._device))],
            pad=rows.pad,
            index=np.array([record.key for record in records], np.uint64),
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )

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

    def _labels_of(self, batch: BatchRows, records: list[Record]) -> NDArray[np.float32]:
        if self._labels is not None:
            labels = self._labels[batch.rows]
        else:
            labels = np.stack([self._own_labels(record) for record in records])
        return labels[:, 0] if self._parameters.label_width == 1 else labels

    def _own_labels(self, record: Record) -> NDArray[np.float32]:
        labels, width = record.labels, self._parameters.label_width
        if len(labels) != width:
            raise DatasetError(
                f"{self._dataset.name}: the record with id {record.key} has {len(labels)} labels, "
                f"label_width is {width}; give label_width={len(labels)}, or other labels with path_imglist"
            )
        return labels


class ImageRecordUInt8Iter(ImageRecordIter):
    """ImageRecordIter with images of uint8."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**_with_dtype(parameters, "uint8"))


class ImageRecordInt8Iter(ImageRecordIter):
    """ImageRecordIter with images of int8."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**_with_dtype(parameters, "int8"))


def _with_dtype(parameters: dict[str, Any], dtype: str) -> dict[str, Any]:
    given = parameters.get("dtype")
    if given is not None and np.dtype(given) != dtype:
        raise ValueError(
            f"dtype is {given!r}, which this iterator does not give: leave it out, or take ImageRecordIter"
        )
    return {**parameters, "dtype": dtype}


def _check_count(dataset: Dataset, part: range, parameters: ImageRecordParameters) -> None:
    if not part:
        raise DatasetError(
            f"{dataset.name}: {len(dataset)} records cannot be shared among {parameters.num_parts} parts; use fewer"
        )
    if parameters.round_batch and len(part) < parameters.batch_size:
        raise DatasetError(
            f"{dataset.name}: {len(part)} records do not fill a batch of {parameters.batch_size}; use a smaller "
            "batch_size, or round_batch=False"
        )


def _passes(dataset: Dataset, part: range, parameters: ImageRecordParameters) -> Passes:
    return Passes(
        part,
        parameters.batch_size,
        parameters.shuffle,
        parameters.seed,
        parameters.round_batch,
        _runs(dataset, part, parameters.shuffle_chunk_size << 20) if parameters.shuffle_chunk_size else None,
        parameters.shuffle_chunk_seed,
        with_index=bool(parameters.path_imgidx),
    )


def _runs(dataset: Dataset, part: range, size: int) -> NDArray[np.int64]:
    """Where runs of records of about ``size`` bytes begin in the part, the first left out."""
    sizes = [np.diff(shard.index.offsets, append=shard.reader.size) for shard in dataset.shards]
    ends = np.cumsum(np.concatenate(sizes)[part.start : part.stop])
    return np.nonzero(np.diff((ends - 1) // size))[0] + 1


def _choose_device(parameters: ImageRecordParameters, why_no_gpu: Callable[[], str | None]) -> Device:
    if parameters.device != "auto":
        return device_for(parameters.device, 0, parameters.framework, why_no_gpu)
    if parameters.ctx == "cpu" or parameters.device_id < 0:
        return Device(None, "ctx='cpu'" if parameters.ctx == "cpu" else "device_id=-1")
    return device_for("auto", parameters.device_id, parameters.framework, why_no_gpu)


def _takes_dali(parameters: ImageRecordParameters, device: Device) -> bool:
    """Whether DALI makes the images: where it can and there is a GPU, or where it is asked for."""
    if parameters.engine == "opencv":
        return False
    hindered = obstacles(parameters)
    if parameters.engine == "dali":
        if hindered:
            raise ValueError(f"engine='dali' does not go with {'; '.join(hindered)}; engine='auto' takes OpenCV")
        return True
    return device.is_gpu and not hindered


def _mean_image(dataset: Dataset, parameters: ImageRecordParameters) -> NDArray[np.float32] | None:
    """The mean image, read, or made of all records and written."""
    if not parameters.mean_img:
        return None
    path = as_path(parameters.mean_img)
    if not path.exists():
        _LOG.info("%s is not there: it is made of %d images", path, len(dataset))
        write_mean_image(path, _average(dataset, parameters))
    return read_mean_image(path, parameters.data_shape)


def _average(dataset: Dataset, parameters: ImageRecordParameters) -> NDArray[np.float32]:
    plain = parameters.without_normalisation()
    engine = ThreadEngine(dataset, plain, Normaliser(plain))
    size = min(len(dataset), 64)
    total = np.zeros(parameters.data_shape, np.float64)
    try:
        for batch in Passes(range(len(dataset)), size, round_batch=False).batches(0):
            total += engine.begin(batch)()[: size - batch.pad].sum(axis=0, dtype=np.float64)
            if batch.is_last:
                break
    finally:
        engine.close()
    return (total / len(dataset)).astype(np.float32)
