"""Batches made by threads with OpenCV, for every setting: decode, carry out the plan, write into the batch."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.draws import Draws
from dali_rec.compat.mxnet.io.pixels import carry_out, decode
from dali_rec.compat.mxnet.io.plan import plan_image
from dali_rec.errors import ImageRejectedError, LoaderError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.normalise import Normaliser
    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset

_SEED_AUG_OFFSET = 111  # what MXNet adds to seed_aug and to the image's number


def draws_of(parameters: ImageRecordParameters, batch: BatchRows, place: int) -> Draws:
    """The random numbers of one image of a batch.

    With ``seed_aug`` they are MXNet's, which depend on the image's number alone. Without it MXNet's depend on which
    thread was faster; here they follow from ``seed``, the record and the pass.
    """
    if parameters.seed_aug is not None:
        return Draws((int(batch.numbers[place]) + parameters.seed_aug + _SEED_AUG_OFFSET) & 0xFFFFFFFF)
    return Draws([parameters.seed & 0xFFFFFFFF, int(batch.passes[place]), int(batch.rows[place])])


def failure(dataset: Dataset, row: int, error: Exception) -> LoaderError:
    """What to raise for a record that cannot be used."""
    shard, offset = dataset.locate(row)
    return LoaderError(
        f"{shard.path}: the record with id {int(dataset.keys[row])} at offset {offset}: {error}; "
        f"'dali-rec verify {shard.path}' lists records that cannot be decoded"
    )


class ThreadEngine:
    """Makes batches in ``preprocess_threads`` threads; several batches at a time, in the order in which they begin."""

    def __init__(self, dataset: Dataset, parameters: ImageRecordParameters, normaliser: Normaliser) -> None:
        self._dataset = dataset
        self._parameters = parameters
        self._normaliser = normaliser
        self._pool = ThreadPoolExecutor(parameters.preprocess_threads, thread_name_prefix="dali-rec-image")

    def begin(self, batch: BatchRows) -> Callable[[], NDArray[Any]]:
        """Begin to make the images of a batch; what is returned waits for them.

        It gives an array of shape (batch, channels, height, width), and raises LoaderError for an image that cannot be
        used, naming its id, file and offset.
        """
        parameters = self._parameters
        images = np.empty((len(batch.rows), *parameters.data_shape), parameters.output_dtype)
        # Records that only repeat the last one are copied from it.
        own = len(batch.rows) if parameters.round_batch else len(batch.rows) - batch.pad
        share = -(-own // (2 * parameters.preprocess_threads))
        tasks = [
            self._pool.submit(self._make, batch, range(at, min(at + share, own)), images) for at in range(0, own, share)
        ]

        def finish() -> NDArray[Any]:
            _wait_for(tasks)
            images[own:] = images[own - 1]
            return images

        return finish

    def forget(self) -> None:
        """Drop what was begun."""

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, batch: BatchRows, places: range, images: NDArray[Any]) -> None:
        for place in places:
            row = int(batch.rows[place])
            try:
                self._make_one(row, draws_of(self._parameters, batch, place), images[place])
            except (ImageRejectedError, RecordError, ValueError, cv2.error) as error:
                raise failure(self._dataset, row, error) from None

    def _make_one(self, row: int, draws: Draws, out: NDArray[Any]) -> None:
        parameters = self._parameters
        pixels = decode(self._dataset[row].image, parameters.channels)
        plan = plan_image(parameters, (pixels.shape[0], pixels.shape[1]), draws)
        self._normaliser.write(carry_out(plan.steps, pixels, parameters.fill_value), plan, out)


def _wait_for(tasks: list[Future[None]]) -> None:
    for task in tasks:
        task.result()
