"""Pixels as the batch has them: channels first, RGB, mirrored, with mean and deviation as the parameters say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.steps import Plan

# Which planes of OpenCV's pixels the channels of a batch are, RGB.
PLANES = {1: (0,), 3: (2, 1, 0), 4: (2, 1, 0, 3)}
LEVELS = np.arange(256, dtype=np.float32)


class Normaliser:
    """Writes images into a batch. ``mean_image``: float32 of ``data_shape``, in place of the channels' means."""

    def __init__(self, parameters: ImageRecordParameters, mean_image: NDArray[np.float32] | None = None) -> None:
        self._dtype = parameters.output_dtype
        self._planes = PLANES[parameters.channels]
        self._means = np.array(parameters.means, np.float32)
        self._stds = np.array(parameters.stds, np.float32)
        self._mean_image = mean_image
        if self._dtype == np.int8:
            self._means = rounded(self._means)
            self._mean_image = None if mean_image is None else rounded(mean_image)

    def write(self, pixels: NDArray[np.uint8], plan: Plan, out: NDArray[Any]) -> None:
        """Fill ``out``, of shape (channels, height, width), with pixels of shape (height, width[, channels]), BGR."""
        if pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        step = -1 if plan.mirror else 1
        gains, lifts = np.float32(plan.gain) / self._stds, np.float32(plan.lift) / self._stds
        for number, plane in enumerate(self._planes):
            levels: NDArray[Any] = pixels[:, :, plane]
            if self._mean_image is not None:
                # The mean belongs to places in the image before it is mirrored, as in MXNet.
                levels = self._normalise(levels, self._mean_image[number], gains[number], lifts[number])[:, ::step]
            elif self._dtype == np.uint8:
                levels = levels[:, ::step]
            else:
                table = self._normalise(LEVELS, self._means[number], gains[number], lifts[number])
                levels = cv2.LUT(np.ascontiguousarray(levels[:, ::step]), table)
            out[number] = levels

    def _normalise(
        self, levels: NDArray[Any], mean: NDArray[np.float32] | np.float32, gain: np.float32, lift: np.float32
    ) -> NDArray[Any]:
        less: NDArray[np.float32] = levels - mean
        if self._dtype == np.int8:
            return np.clip(less, -128, 127).astype(np.int8)
        return less * gain + lift


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole numbers, a half away from 0, as std::round has it."""
    whole: NDArray[np.float32] = np.trunc(values + np.copysign(np.float32(0.5), values))
    return whole
