"""mx.io.ImageRecordIter: batches of images from .rec files, with the parameters of MXNet 1.9.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._dali import has_builds_here
from dali_rec.compat.mxnet.ignored import raise_or_warn
from dali_rec.compat.mxnet.io.base_iter import LOG, BaseIter
from dali_rec.compat.mxnet.io.batch import DataDesc
from dali_rec.compat.mxnet.io.dali_engine import DaliEngine, obstacles
from dali_rec.compat.mxnet.io.mean_image import mean_image_for
from dali_rec.compat.mxnet.io.normalise import Normaliser
from dali_rec.compat.mxnet.io.opencv_engine import OpenCVEngine
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.compat.mxnet.io.records import listed_labels, open_records
from dali_rec.compat.mxnet.io.values import parse_value
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.engine import Engine
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.loading.device import Device
    from dali_rec.recordio import Record


class ImageRecordIter(BaseIter):
    """Iterates over the images of .rec files: ``for batch in iterator``, then ``iterator.reset()`` for the next epoch.

    ``ImageRecordParameters`` lists the parameters: MXNet's by their names, and three of ours.
    ``batch.data[0]`` has the images, of shape (batch, channels, height, width), RGB; ``batch.label[0]`` the labels,
    float32 of shape (batch,), or (batch, label_width); ``batch.pad`` says how many at the end only fill the batch, and
    ``batch.index`` the ids of the records, uint64.

    Raises TypeError for an unknown parameter, ValueError for a value that cannot be honoured, DatasetError,
    IndexFileError or SourceError for files that cannot be used, and while iterating DatasetError for labels of another
    number than ``label_width``, LoaderError for an image that cannot be decoded. What MXNet ignores is a UserWarning
    where ``import mxnet`` means this package.

        iterator = mx.io.ImageRecordIter(path_imgrec="train.rec", data_shape=(3, 224, 224), batch_size=64, shuffle=True)
    """

    def __init__(self, **parameters: Any) -> None:
        given = ImageRecordParameters.from_keywords(parameters)
        dataset = open_records(given.path_imgrec, given.path_imgidx)
        super().__init__(given, dataset, with_index=bool(given.path_imgidx), device_id=given.device_id)
        width = given.label_width
        self._label_width = width
        self._labels = None
        if given.path_imglist:
            self._labels = np.array(listed_labels(dataset, given.path_imglist, width), np.float32)
        takes_dali = _takes_dali(given, self._device)
        engine = self._dali_engine(given) if takes_dali else self._opencv_engine(given)
        shape = (given.batch_size,) if width == 1 else (given.batch_size, width)
        self._begin_with(engine, DataDesc(given.label_name, shape, np.float32))
        if given.verbose:
            made_by = "DALI" if takes_dali else "OpenCV"
            LOG.info("%s: %d of %d records, %s, %s", dataset.name, len(self._part), len(dataset), self._device, made_by)

    def _dali_engine(self, parameters: ImageRecordParameters) -> Engine:
        return DaliEngine(self._dataset, parameters, self._framework, self._device)

    def _opencv_engine(self, parameters: ImageRecordParameters) -> Engine:
        def plain_engine() -> Engine:
            plain = parameters.without_normalisation()
            return OpenCVEngine(self._dataset, plain, Normaliser(plain))

        mean_image = mean_image_for(parameters, self._dataset, plain_engine)
        return OpenCVEngine(self._dataset, parameters, Normaliser(parameters, mean_image))

    def _arrays(
        self, made: tuple[Any, ...], batch: BatchRows, records: list[Record]
    ) -> tuple[Any, NDArray[np.float32]]:
        (images,) = made
        if self._labels is not None:
            labels = self._labels[batch.rows]
        else:
            labels = np.stack([self._own_labels(record) for record in records])
        return images, labels[:, 0] if self._label_width == 1 else labels

    def _own_labels(self, record: Record) -> NDArray[np.float32]:
        labels, width = record.labels, self._label_width
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
    given = parse_value("dtype", parameters.get("dtype"), "str | None")
    if given not in (None, dtype):
        raise_or_warn(
            ValueError(f"dtype is {given!r}, which this iterator does not give: leave it out, or take ImageRecordIter")
        )
    return {**parameters, "dtype": dtype}


def _takes_dali(parameters: ImageRecordParameters, device: Device) -> bool:
    """Whether DALI makes the images: where it can and there is a GPU, or where it is asked for."""
    if parameters.engine == "opencv":
        return False
    hindered = obstacles(parameters)
    if parameters.engine == "dali":
        if hindered:
            raise ValueError(f"engine='dali' does not go with {'; '.join(hindered)}; engine='auto' takes OpenCV")
        return True
    return device.is_gpu and not hindered and has_builds_here()
