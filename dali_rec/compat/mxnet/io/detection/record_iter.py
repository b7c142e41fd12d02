"""mx.io.ImageDetRecordIter: batches of images and boxes from .rec files, with the parameters of MXNet 1.9.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.io.base_iter import LOG, BaseIter
from dali_rec.compat.mxnet.io.batch import DataDesc
from dali_rec.compat.mxnet.io.detection.engine import SHAPE_WIDTH, DetectionEngine
from dali_rec.compat.mxnet.io.detection.labels import read_labels
from dali_rec.compat.mxnet.io.detection.parameters import DetectionParameters
from dali_rec.compat.mxnet.io.mean_image import mean_image_for
from dali_rec.compat.mxnet.io.records import open_records
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from dali_rec.compat.mxnet.io.detection.labels import RaggedLabels
    from dali_rec.compat.mxnet.io.engine import Engine
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record


class ImageDetRecordIter(BaseIter):
    """Iterates over images with boxes: ``for batch in iterator``, then ``iterator.reset()`` for the next epoch.

    ``DetectionParameters`` lists the parameters: MXNet's by their names, and two of ours.
    ``batch.data[0]`` has the images, float32 of shape (batch, channels, height, width), RGB. ``batch.label[0]`` is
    float32 of shape (batch, 4 + width): channels, height and width of the image and the length of its label, then the
    label ([A, B, …, (class, xmin, ymin, xmax, ymax, …) × N], corners in parts of the image), padded with
    ``label_pad_value`` to ``label_pad_width`` or the longest label of all records. ``batch.pad`` and ``batch.index``
    are as in ImageRecordIter.

    Raises TypeError for an unknown parameter, ValueError for a value that cannot be honoured, DatasetError,
    IndexFileError or SourceError for files and labels that cannot be used, and while iterating LoaderError for an image
    that cannot be decoded. What MXNet ignores is a UserWarning where ``import mxnet`` means this package.

        iterator = mx.io.ImageDetRecordIter(
            path_imgrec="train.rec", data_shape=(3, 300, 300), batch_size=32, rand_mirror_prob=0.5
        )
    """

    def __init__(self, **parameters: Any) -> None:
        given = DetectionParameters.from_keywords(parameters)
        dataset = open_records(given.path_imgrec, given.path_imgidx)
        super().__init__(given, dataset)
        labels = read_labels(dataset, given.path_imglist, given.label_width)
        width = _label_width(dataset, labels, given)

        def plain_engine() -> Engine:
            return DetectionEngine(dataset, labels, labels.longest, given.without_normalisation(), None)

        mean_image = mean_image_for(given, dataset, plain_engine)
        engine = DetectionEngine(dataset, labels, width, given, mean_image)
        self._begin_with(engine, DataDesc(given.label_name, (given.batch_size, SHAPE_WIDTH + width), np.float32))
        if given.verbose:
            LOG.info("%s: %d of %d records, labels padded to %d", dataset.name, len(self._part), len(dataset), width)

    def _arrays(
        self,
        made: tuple[Any, ...],
        batch: BatchRows,  # noqa: ARG002  # the engine made both
        records: list[Record],  # noqa: ARG002
    ) -> tuple[Any, Any]:
        images, labels = made
        return images, labels


def _label_width(dataset: Dataset, labels: RaggedLabels, parameters: DetectionParameters) -> int:
    if 0 < parameters.label_pad_width < labels.longest:
        raise DatasetError(
            f"{dataset.name}: its longest label has {labels.longest} numbers, label_pad_width is "
            f"{parameters.label_pad_width}; give at least {labels.longest}, or leave it out"
        )
    return max(labels.longest, parameters.label_pad_width)
