"""Batches of images and boxes made by threads with OpenCV: decode, augment, write into the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.detection.augment import augment
from dali_rec.compat.mxnet.io.detection.objects import Objects
from dali_rec.compat.mxnet.io.draws import Draws, draws_of
from dali_rec.compat.mxnet.io.normalise import LEVELS, PLANES
from dali_rec.compat.mxnet.io.pixels import decode
from dali_rec.compat.mxnet.io.threads import RecordThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.labels import RaggedLabels
    from dali_rec.compat.mxnet.io.detection.parameters import DetectionParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset

    Floats = NDArray[np.float32]

SHAPE_WIDTH = 4  # channels, height, width and length of the label stand before each label
_FIRST_THREAD_SEED = 233  # of MXNet's first thread


class DetectionEngine:
    """Makes batches in ``preprocess_threads`` threads; see ``Engine``.

    The random numbers of an image follow from ``seed``, the record and the pass. One thread and no shuffling has
    MXNet's: one sequence for all images, one after another.
    """

    def __init__(
        self,
        dataset: Dataset,
        labels: RaggedLabels,
        label_width: int,
        parameters: DetectionParameters,
        mean_image: Floats | None,
    ) -> None:
        self._dataset = dataset
        self._labels = labels
        self._label_width = label_width
        self._parameters = parameters
        self._mean_image = mean_image
        self._sequence = Draws(_FIRST_THREAD_SEED) if parameters.draws_in_sequence else None
        self._threads = RecordThreads(dataset, parameters.preprocess_threads)
        self._stds, self._scale = np.array(parameters.stds, np.float32), np.float32(parameters.scale)
        means = np.array(parameters.means, np.float32)
        self._tables = [(LEVELS - mean) / std * self._scale for mean, std in zip(means, self._stds, strict=True)]

    def begin(self, batch: BatchRows) -> Callable[[], tuple[Floats, Floats]]:
        """Begin to make images and labels, both float32, the labels of shape (batch, 4 + label width)."""
        images = np.empty((len(batch.rows), *self._parameters.data_shape), np.float32)
        labels = np.empty((len(batch.rows), SHAPE_WIDTH + self._label_width), np.float32)
        wait = self._threads.begin(
            batch, batch.distinct, lambda place: self._make(batch, place, images[place], labels[place])
        )

        def finish() -> tuple[Floats, Floats]:
            wait()
            for array in (images, labels):
                array[batch.distinct :] = array[batch.distinct - 1]
            return images, labels

        return finish

    def forget(self) -> None:
        """Drop what was begun: nothing is to be done for it."""

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def _make(self, batch: BatchRows, place: int, image: Floats, label: Floats) -> None:
        row, parameters = int(batch.rows[place]), self._parameters
        draws = self._sequence or draws_of(batch, place, parameters.seed)
        pixels = decode(self._dataset[row].image, parameters.channels)
        pixels, objects = augment(pixels, Objects.of(self._labels[row]), parameters, draws)
        self._write(pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis], image)
        values = objects.to_label()
        label[:] = parameters.label_pad_value
        label[:SHAPE_WIDTH] = (parameters.channels, *pixels.shape[:2], len(values))
        label[SHAPE_WIDTH : SHAPE_WIDTH + len(values)] = values

    def _write(self, pixels: NDArray[np.uint8], image: Floats) -> None:
        """Into a batch: channels first, RGB, normalised; where the image does not reach, as if it were black."""
        height, width = pixels.shape[:2]
        if self._mean_image is not None:
            image[:] = 0
            for number, plane in enumerate(PLANES[self._parameters.channels]):
                image[number, :height, :width] = pixels[:, :, plane]
            image -= self._mean_image
            image /= self._stds[:, np.newaxis, np.newaxis]
            image *= self._scale
            return
        for number, plane in enumerate(PLANES[self._parameters.channels]):
            table = self._tables[number]
            image[number] = table[0]
            image[number, :height, :width] = cv2.LUT(np.ascontiguousarray(pixels[:, :, plane]), table)
