"""Batches made by threads with OpenCV, for every setting: decode, carry out the plan, write into the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.io.draws import draws_of
from dali_rec.compat.mxnet.io.pixels import carry_out, decode
from dali_rec.compat.mxnet.io.plan import plan_image
from dali_rec.compat.mxnet.io.threads import RecordThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.normalise import Normaliser
    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.passes import BatchRows
    from dali_rec.dataset import Dataset


class OpenCVEngine:
    """Makes batches in ``preprocess_threads`` threads; see ``Engine``."""

    def __init__(self, dataset: Dataset, parameters: ImageRecordParameters, normaliser: Normaliser) -> None:
        self._dataset = dataset
        self._parameters = parameters
        self._normaliser = normaliser
        self._threads = RecordThreads(dataset, parameters.preprocess_threads)

    def begin(self, batch: BatchRows) -> Callable[[], tuple[NDArray[Any]]]:
        """Begin to make the images of a batch."""
        images = np.empty((len(batch.rows), *self._parameters.data_shape), self._parameters.output_dtype)
        wait = self._threads.begin(batch, batch.distinct, lambda place: self._make(batch, place, images[place]))

        def finish() -> tuple[NDArray[Any]]:
            wait()
            images[batch.distinct :] = images[batch.distinct - 1]
            return (images,)

        return finish

    def forget(self) -> None:
        """Drop what was begun: nothing is to be done for it."""

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def _make(self, batch: BatchRows, place: int, out: NDArray[Any]) -> None:
        parameters = self._parameters
        pixels = decode(self._dataset[int(batch.rows[place])].image, parameters.channels)
        draws = draws_of(batch, place, parameters.seed, parameters.seed_aug)
        plan = plan_image(parameters, (pixels.shape[0], pixels.shape[1]), draws)
        self._normaliser.write(carry_out(plan.steps, pixels, parameters.fill_value), plan, out)
