"""Batches of images and boxes made by threads with OpenCV: decode, augment, write into the batch."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.detection.augment import augment
from dali_rec.compat.mxnet.io.detection.objects import Objects
from dali_rec.compat.mxnet.io.draws import Draws
from dali_rec.compat.mxnet.io.pixels import decode
from dali_rec.errors import ImageRejectedError, LoaderError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.labels import RaggedLabels
    from dali_rec.compat.mxnet.io.detection.parameters import DetectionParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset

    Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]

SHAPE_WIDTH = 4  # channels, height, width and length of the label stand before each label
_FIRST_THREAD_SEED = 233  # of MXNet's first thread
_PLANES = {1: (0,), 3: (2, 1, 0), 4: (2, 1, 0, 3)}
_LEVELS = np.arange(256, dtype=np.float32)


class DetectionEngine:
    """Makes batches in ``preprocess_threads`` threads; several batches at a time, in the order in which they begin.

    The random numbers of an image follow from ``seed``, the record and the pass. One thread and no shuffling has
    MXNet's: one sequence for all images, one after another.
    """

    def __init__(
        self,
        dataset: Dataset,
        labels: RaggedLabels,
        label_width: int,
        parameters: DetectionParameters,
        mean_image: NDArray[np.float32] | None,
    ) -> None:
        self._dataset = dataset
        self._labels = labels
        self._label_width = label_width
        self._parameters = parameters
        self._mean_image = mean_image
        self._sequence = Draws(_FIRST_THREAD_SEED) if parameters.draws_in_sequence else None
        self._pool = ThreadPoolExecutor(parameters.preprocess_threads, thread_name_prefix="dali-rec-detection")
        stds, scale = np.array(parameters.stds, np.float32), np.float32(parameters.scale)
        means = np.array(parameters.means, np.float32)
        self._tables = [(_LEVELS - mean) / std * scale for mean, std in zip(means, stds, strict=True)]

    def begin(self, batch: BatchRows) -> Callable[[], Arrays]:
        """Begin to make a batch; what is returned waits for it.

        It gives images, float32 of shape (batch, channels, height, width), and labels, float32 of shape
        (batch, 4 + label width). It raises LoaderError for an image that cannot be used, naming its id, file and
        offset.
        """
        parameters = self._parameters
        images = np.empty((len(batch.rows), *parameters.data_shape), np.float32)
        labels = np.empty((len(batch.rows), SHAPE_WIDTH + self._label_width), np.float32)
        # Records that only repeat the last one are copied from it.
        own = len(batch.rows) if parameters.round_batch else len(batch.rows) - batch.pad
        share = -(-own // (2 * parameters.preprocess_threads)) if self._sequence is None else own
        tasks = [
            self._pool.submit(self._make, batch, range(at, min(at + share, own)), images, labels)
            for at in range(0, own, share)
        ]

        def finish() -> Arrays:
            _wait_for(tasks)
            images[own:], labels[own:] = images[own - 1], labels[own - 1]
            return images, labels

        return finish

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, batch: BatchRows, places: range, images: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        for place in places:
            row = int(batch.rows[place])
            draws = self._sequence or Draws([self._parameters.seed & 0xFFFFFFFF, int(batch.passes[place]), row])
            try:
                self._make_one(row, draws, images[place], labels[place])
            except (ImageRejectedError, RecordError, ValueError, cv2.error) as error:
                shard, offset = self._dataset.locate(row)
                raise LoaderError(
                    f"{shard.path}: the record with id {int(self._dataset.keys[row])} at offset {offset}: {error}; "
                    f"'dali-rec verify {shard.path}' lists records that cannot be decoded"
                ) from None

    def _make_one(self, row: int, draws: Draws, image: NDArray[np.float32], label: NDArray[np.float32]) -> None:
        pixels = decode(self._dataset[row].image, self._parameters.channels)
        objects = Objects.of(self._labels[row], f"row {row}")
        pixels, objects = augment(pixels, objects, self._parameters, draws)
        height, width = pixels.shape[:2]
        self._write(pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis], image)
        values = objects.to_label()
        label[:] = self._parameters.label_pad_value
        label[:SHAPE_WIDTH] = (self._parameters.channels, height, width, len(values))
        label[SHAPE_WIDTH : SHAPE_WIDTH + len(values)] = values

    def _write(self, pixels: NDArray[np.uint8], image: NDArray[np.float32]) -> None:
        """Into a batch: channels first, RGB, normalised; where the image does not reach, as if it were black."""
        height, width = pixels.shape[:2]
        if self._mean_image is not None:
            image[:] = 0
            for number, plane in enumerate(_PLANES[self._parameters.channels]):
                image[number, :height, :width] = pixels[:, :, plane]
            image -= self._mean_image
            image /= np.array(self._parameters.stds, np.float32)[:, np.newaxis, np.newaxis]
            image *= np.float32(self._parameters.scale)
            return
        for number, plane in enumerate(_PLANES[self._parameters.channels]):
            table = self._tables[number]
            if (height, width) != image.shape[1:]:
                image[number] = table[0]
            image[number, :height, :width] = cv2.LUT(np.ascontiguousarray(pixels[:, :, plane]), table)


def _wait_for(tasks: list[Future[None]]) -> None:
    for task in tasks:
        task.result()
