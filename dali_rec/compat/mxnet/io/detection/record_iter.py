"""mx.io.ImageDetRecordIter: batches of images and boxes from .rec files, with the parameters of MXNet 1.9.1."""

from __future__ import annotations

import importlib
import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path
from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter, as_handed_out
from dali_rec.compat.mxnet.io.detection.engine import SHAPE_WIDTH, DetectionEngine
from dali_rec.compat.mxnet.io.detection.labels import read_labels
from dali_rec.compat.mxnet.io.detection.parameters import DetectionParameters
from dali_rec.compat.mxnet.io.mean_image import read_mean_image, write_mean_image
from dali_rec.compat.mxnet.io.passes import Passes, part_of
from dali_rec.compat.mxnet.io.records import open_records
from dali_rec.errors import DatasetError
from dali_rec.loading.device import Device, device_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.engine import Arrays
    from dali_rec.compat.mxnet.io.detection.labels import RaggedLabels
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset

_LOG = logging.getLogger("dali_rec.compat.mxnet")


class ImageDetRecordIter(DataIter):
    """Iterates over images with boxes: ``for batch in iterator``, then ``iterator.reset()`` for the next epoch.

    Every parameter is MXNet's, by name (``DetectionParameters`` lists them); ``framework`` and ``device`` are ours.
    ``batch.data[0]`` has the images, float32 of shape (batch, channels, height, width), RGB. ``batch.label[0]`` is
    float32 of shape (batch, 4 + width): channels, height and width of the image and the length of its label, then the
    label ([A, B, …, (class, xmin, ymin, xmax, ymax, …) × N], corners in parts of the image), padded with
    ``label_pad_value`` to ``label_pad_width`` or the longest label of all records. ``batch.pad`` and ``batch.index``
    are as in ImageRecordIter.

    Raises TypeError for a parameter that there is not, ValueError for a value that cannot be honoured, DatasetError
    and its kin for the files, LoaderError while iterating for a record that cannot be decoded.

        iterator = mx.io.ImageDetRecordIter(
            path_imgrec="train.rec", data_shape=(3, 300, 300), batch_size=32, rand_mirror_prob=0.5
        )
    """

    def __init__(self, **parameters: Any) -> None:
        self._parameters = DetectionParameters.from_keywords(parameters)
        given = self._parameters
        super().__init__(given.batch_size)
        dataset = open_records(given.path_imgrec)
        part = part_of(len(dataset), given.num_parts, given.part_index)
        _check_count(dataset, part, given)
        labels = read_labels(dataset, given.path_imglist, given.label_width)
        width = _label_width(dataset, labels, given)
        self._dataset = dataset
        self._passes = _passes(dataset, part, given)
        self._framework = importlib.import_module(f"dali_rec.loading.{given.framework}")
        self._device = _choose_device(given, self._framework.why_no_gpu)
        mean_image = _mean_image(dataset, labels, given)
        self._engine = DetectionEngine(dataset, labels, width, given, mean_image)
        weakref.finalize(self, self._engine.close)
        self._start(0)
        self.provide_data = [DataDesc(given.data_name, (given.batch_size, *given.data_shape), np.float32)]
        self.provide_label = [DataDesc(given.label_name, (given.batch_size, SHAPE_WIDTH + width), np.float32)]
        if given.verbose:
            _LOG.info("%s: %d of %d records, labels padded to %d", dataset.name, len(part), len(dataset), width)

    def _start(self, epoch: int) -> None:
        self._schedule = self._passes.batches(epoch)
        self._ahead: deque[tuple[BatchRows, Callable[[], Arrays]]] = deque()
        self._epoch = epoch
        self._has_ended = False
        self._is_at_beginning = True

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch, until ``reset``."""
        if self._has_ended:
            raise StopIteration
        while len(self._ahead) < self._parameters.prefetch_buffer:
            rows = next(self._schedule)
            self._ahead.append((rows, self._engine.begin(rows)))
        rows, finish = self._ahead.popleft()
        self._is_at_beginning = False
        self._has_ended = rows.is_last
        images, labels = finish()
        return DataBatch(
            data=[as_handed_out(self._framework.from_host(images, self._device))],
            label=[as_handed_out(self._framework.from_host(labels, self._device))],
            pad=rows.pad,
            index=np.array([self._dataset[row].key for row in rows.rows.tolist()], np.uint64),
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


def _check_count(dataset: Dataset, part: range, parameters: DetectionParameters) -> None:
    if not part:
        raise DatasetError(
            f"{dataset.name}: {len(dataset)} records cannot be shared among {parameters.num_parts} parts; use fewer"
        )
    if parameters.round_batch and len(part) < parameters.batch_size:
        raise DatasetError(
            f"{dataset.name}: {len(part)} records do not fill a batch of {parameters.batch_size}; use a smaller "
            "batch_size, or round_batch=False"
        )


def _label_width(dataset: Dataset, labels: RaggedLabels, parameters: DetectionParameters) -> int:
    if 0 < parameters.label_pad_width < labels.most:
        raise DatasetError(
            f"{dataset.name}: its longest label has {labels.most} numbers, label_pad_width is "
            f"{parameters.label_pad_width}; give at least {labels.most}, or leave it out"
        )
    return max(labels.most, parameters.label_pad_width)


def _passes(dataset: Dataset, part: range, parameters: DetectionParameters) -> Passes:
    blocks = None
    if parameters.shuffle_chunk_size:
        sizes = [np.diff(shard.index.offsets, append=shard.reader.size) for shard in dataset.shards]
        ends = np.cumsum(np.concatenate(sizes)[part.start : part.stop])
        blocks = np.nonzero(np.diff((ends - 1) // (parameters.shuffle_chunk_size << 20)))[0] + 1
    return Passes(
        part,
        parameters.batch_size,
        parameters.shuffle,
        parameters.seed,
        parameters.round_batch,
        blocks,
        parameters.shuffle_chunk_seed,
    )


def _choose_device(parameters: DetectionParameters, why_no_gpu: Callable[[], str | None]) -> Device:
    if parameters.device == "auto" and parameters.ctx == "cpu":
        return Device(None, "ctx='cpu'")
    return device_for(parameters.device, 0, parameters.framework, why_no_gpu)


def _mean_image(dataset: Dataset, labels: RaggedLabels, parameters: DetectionParameters) -> NDArray[np.float32] | None:
    """The mean image, read, or made of all records and written."""
    if not parameters.mean_img:
        return None
    path = as_path(parameters.mean_img)
    if not path.exists():
        _LOG.info("%s is not there: it is made of %d images", path, len(dataset))
        write_mean_image(path, _average(dataset, labels, parameters))
    return read_mean_image(path, tuple(parameters.data_shape))


def _average(dataset: Dataset, labels: RaggedLabels, parameters: DetectionParameters) -> NDArray[np.float32]:
    engine = DetectionEngine(dataset, labels, labels.most, parameters.without_normalisation(), None)
    size = min(len(dataset), 64)
    total = np.zeros(parameters.data_shape, np.float64)
    try:
        for batch in Passes(range(len(dataset)), size, round_batch=False).batches(0):
            total += engine.begin(batch)()[0][: size - batch.pad].sum(axis=0, dtype=np.float64)
            if batch.is_last:
                break
    finally:
        engine.close()
    return (total / len(dataset)).astype(np.float32)
