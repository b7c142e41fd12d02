"""The steps of a plan carried out by OpenCV, which is also what MXNet has inside; and pixels as the batch has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.plan import Border, Crop, Jitter, Noise, Scale, Shift, Step, Warp
from dali_rec.errors import ImageRejectedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
    from dali_rec.compat.mxnet.io.plan import Plan

_DECODE_FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}
_PLANES = {1: (0,), 3: (2, 1, 0), 4: (2, 1, 0, 3)}
_LEVELS = np.arange(256, dtype=np.float32)


def decode(image: memoryview, channels: int) -> NDArray[np.uint8]:
    """The pixels as OpenCV has them: uint8 of shape (height, width) or (height, width, channels), BGR.

    The EXIF orientation is applied, but not to images of four channels. Raises ImageRejectedError if the image cannot
    be decoded, or is to have four channels and has not.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(image, np.uint8), _DECODE_FLAGS[channels]) if len(image) else None
    except cv2.error as error:
        raise ImageRejectedError(f"cannot be decoded: {error}") from None
    if pixels is None:
        raise ImageRejectedError(f"cannot be decoded: its {len(image)} bytes begin with {bytes(image[:8])!r}")
    if channels == 4 and (pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8):
        found = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise ImageRejectedError(f"data_shape has 4 channels of 8 bits, the image {found} of {8 * pixels.itemsize} bits")
    return pixels


def carry_out(steps: tuple[Step, ...], pixels: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    """The image after all steps. ``fill``: what borders are filled with."""
    for step in steps:
        if isinstance(step, Crop):
            pixels = pixels[step.top : step.top + step.height, step.left : step.left + step.width]
        elif isinstance(step, Scale):
            pixels = cv2.resize(pixels, (step.width, step.height), interpolation=step.method)
        elif isinstance(step, Warp):
            pixels = _warp(pixels, step, fill)
        elif isinstance(step, Border):
            widths = (step.width,) * 4
            pixels = cv2.copyMakeBorder(pixels, *widths, cv2.BORDER_CONSTANT, value=(fill, fill, fill))
        else:
            pixels = _colour(pixels, step)
    return pixels


def _warp(pixels: NDArray[np.uint8], step: Warp, fill: int) -> NDArray[np.uint8]:
    # Where each pixel comes from in 1/32 of a pixel, as warpAffine reckoned in MXNet's OpenCV 3.4; newer versions
    # reckon with floats and come out up to 6 levels apart.
    (a, b, c), (d, e, f) = cv2.invertAffineTransform(step.matrix.astype(np.float64))
    column, row = np.arange(step.width), np.arange(step.height)[:, np.newaxis]
    if step.method == cv2.INTER_NEAREST:
        places = [_fixed(first, column) + _fixed(second, row, third) + 512 >> 10 for first, second, third in ((a, b, c), (d, e, f))]
        fractions = None
    else:
        sub = [_fixed(first, column) + _fixed(second, row, third) + 16 >> 5 for first, second, third in ((a, b, c), (d, e, f))]
        places = [one >> 5 for one in sub]
        fractions = ((sub[1] & 31) * 32 + (sub[0] & 31)).astype(np.uint16)
    whole = np.clip(np.stack(places, axis=2), -32768, 32767).astype(np.int16)
    method = cv2.INTER_LINEAR if step.method == cv2.INTER_AREA else step.method
    return cv2.remap(
        pixels, whole, fractions, method, borderMode=cv2.BORDER_CONSTANT, borderValue=(fill, fill, fill)
    )


def _fixed(factor: float, position: NDArray[np.int64], offset: float = 0.0) -> NDArray[np.int64]:
    return np.rint((factor * position + offset) * 1024).astype(np.int64)


def _colour(pixels: NDArray[np.uint8], step: Jitter | Shift | Noise) -> NDArray[np.uint8]:
    if isinstance(step, Jitter):
        for kind in step.order:
            pixels = (_brighten, _contrast, _saturate)[kind](pixels, step.factors[kind])
        return pixels
    if isinstance(step, Shift):
        added, limits = (step.hue, step.lightness, step.saturation), (180, 255, 255)
        table = np.stack([np.clip(_LEVELS + one, 0, most) for one, most in zip(added, limits, strict=True)], axis=1)
        shifted = cv2.LUT(_hls(pixels), table.astype(np.uint8)[np.newaxis])
        return cv2.cvtColor(shifted, cv2.COLOR_HLS2BGR)
    levels = np.trunc(_LEVELS[:, np.newaxis] + np.array(step.levels, np.float32))
    return cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8)[np.newaxis])


def _hls(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    converted = cv2.cvtColor(pixels, cv2.COLOR_BGR2HLS)
    # Hues that lie half way between two levels are rounded by the last bit of the float. Reckoned as in OpenCV 3.4 they
    # go to the same side as in MXNet; a level of hue can be 6 levels of a channel.
    blue, green, red = (plane * np.float32(1 / 255) for plane in cv2.split(pixels))
    most = np.maximum(np.maximum(blue, green), red)
    span = most - np.minimum(np.minimum(blue, green), red)
    is_red, is_green = most == red, most == green
    difference = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    per_level = np.float32(60) / np.maximum(span, np.finfo(np.float32).eps)
    hue = difference * per_level + np.where(is_red, np.float32(0), np.where(is_green, np.float32(120), np.float32(240)))
    hue[hue < 0] += 360
    converted[:, :, 0] = np.rint(hue * np.float32(0.5))
    return converted


def _linear(pixels: NDArray[np.uint8], factor: float, offset: float) -> NDArray[np.uint8]:
    levels = np.rint(_LEVELS * np.float32(factor) + np.float32(offset))
    return cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8))


def _brighten(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return _linear(pixels, factor, 0.0)


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # The weights of red and blue are the other way round, in MXNet too, which takes its BGR for RGB here. They are
    # those of OpenCV 3.4, in 1/16384; later ones have a bit more.
    first, second, third = (plane.astype(np.int32) for plane in cv2.split(pixels))
    return ((4899 * first + 9617 * second + 1868 * third + 8192) >> 14).astype(np.uint8)


def _contrast(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    mean = np.float32(cv2.mean(_grey(pixels))[0])
    return _linear(pixels, factor, float((np.float32(1) - np.float32(factor)) * mean))


def _saturate(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(_grey(pixels), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(pixels, factor, grey, float(np.float32(1) - np.float32(factor)), 0.0)


class Normaliser:
    """Writes an image into a batch: channels first, RGB, mirrored, with mean and deviation as the parameters say.

    ``mean_image``: float32 of shape ``data_shape``, instead of the means of the channels.
    """

    def __init__(self, parameters: ImageRecordParameters, mean_image: NDArray[np.float32] | None = None) -> None:
        self._dtype = parameters.output_dtype
        self._planes = _PLANES[parameters.channels]
        self._means = np.array(parameters.means, np.float32)
        self._stds = np.array(parameters.stds, np.float32)
        self._mean_image = mean_image

    def write(self, pixels: NDArray[np.uint8], plan: Plan, out: NDArray[Any]) -> None:
        """Fill ``out``, of shape (channels, height, width), with the image."""
        if pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        gains = np.float32(plan.gain) / self._stds
        lifts = np.float32(plan.lift) / self._stds
        step = -1 if plan.mirror else 1
        for number, plane in enumerate(self._planes):
            levels = pixels[:, :, plane]
            if self._mean_image is not None:
                levels = self._less_mean_image(levels, number, gains[number], lifts[number])[:, ::step]
            elif self._dtype == np.uint8:
                levels = levels[:, ::step]
            else:
                table = self._table(number, gains[number], lifts[number])
                levels = cv2.LUT(np.ascontiguousarray(levels[:, ::step]), table)
            out[number] = levels

    def _table(self, number: int, gain: np.float32, lift: np.float32) -> NDArray[Any]:
        if self._dtype == np.int8:
            return np.clip(_LEVELS - np.trunc(self._means[number] + np.copysign(0.5, self._means[number])), -128, 127).astype(np.int8)
        return (_LEVELS - self._means[number]) * gain + lift

    def _less_mean_image(
        self, levels: NDArray[np.uint8], number: int, gain: np.float32, lift: np.float32
    ) -> NDArray[np.float32]:
        assert self._mean_image is not None
        mean = self._mean_image[number]
        if self._dtype == np.int8:
            return np.clip(levels - np.trunc(mean + np.copysign(np.float32(0.5), mean)), -128, 127)
        return (levels - mean) * gain + lift
