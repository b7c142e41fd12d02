"""Images decoded, and the steps of a plan carried out, by OpenCV, which MXNet uses too.

MXNet 1.9.1 contains OpenCV 3.4.2. Where newer versions compute differently, its way is kept here, so that the pixels
are the same to the last bit; only cubic interpolation comes out 1 level apart (2 in an affine transformation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.steps import Border, Crop, Jitter, Noise, Scale, Shift, Step, Warp
from dali_rec.errors import ImageRejectedError
from dali_rec.images import is_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.orientation import Buffer

    Pixels = NDArray[np.uint8]

_DECODE_FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}
_LEVELS = np.arange(256, dtype=np.float32)
_LARGEST_PLACE = 32767  # cv2.remap takes places of 16 bits
_END_OF_IMAGE = b"\xff\xd9"


def decode(image: memoryview, channels: int) -> Pixels:
    """The pixels as OpenCV has them: uint8 of shape (height, width) or (height, width, channels), BGR.

    The EXIF orientation is applied, but not to images of four channels. A JPEG that breaks off is grey from there on.
    Raises ImageRejectedError if the image cannot be decoded, or is to have four channels and has not.
    """
    try:
        pixels = _imdecode(image, channels) if len(image) else None
        if pixels is None and is_jpeg(image):
            # OpenCV 5 refuses a JPEG of which the end is missing, if only its last two bytes; 3.4 shows what there is.
            pixels = _imdecode(bytes(image) + _END_OF_IMAGE, channels)
    except cv2.error as error:
        raise ImageRejectedError(f"it cannot be decoded: {error}") from None
    if pixels is None:
        raise ImageRejectedError(f"it cannot be decoded: its {len(image)} bytes begin with {bytes(image[:8])!r}")
    if channels == 4 and (pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8):
        found = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise ImageRejectedError(
            f"data_shape has 4 channels of 8 bits, the image has {found} of {8 * pixels.itemsize} bits"
        )
    decoded: Pixels = pixels
    return decoded


def _imdecode(image: Buffer, channels: int) -> NDArray[Any] | None:
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(image, np.uint8), _DECODE_FLAGS[channels])
    return pixels


def carry_out(steps: tuple[Step, ...], pixels: Pixels, fill: int = 0) -> Pixels:
    """The image after all steps. ``fill``: the level of borders, and of what a warp brings in from outside."""
    result: Any = pixels
    for step in steps:
        match step:
            case Crop(top, left, height, width):
                result = result[top : top + height, left : left + width]
            case Scale(height, width, method):
                result = cv2.resize(result, (width, height), interpolation=method)
            case Warp():
                result = _warp(result, step, fill)
            case Border(width):
                result = cv2.copyMakeBorder(result, *(width,) * 4, cv2.BORDER_CONSTANT, value=(fill,) * 3)
            case Jitter():
                result = _jitter(result, step)
            case Shift():
                result = _shift(result, step)
            case Noise(levels):
                result = _add(result, levels)
    made: Pixels = result
    return made


def _warp(pixels: Pixels, step: Warp, fill: int) -> Any:
    # Where each pixel comes from, in steps of 1/32 pixel, as warpAffine of OpenCV 3.4 had it. That of 5.0 computes with
    # floats, and its pixels are up to 6 levels away.
    column, row = np.arange(step.width), np.arange(step.height)[:, np.newaxis]
    inverse = cv2.invertAffineTransform(step.matrix.astype(np.float64))
    at = [_fixed(along * column) + _fixed(across * row + start) for along, across, start in inverse]
    if step.method == cv2.INTER_NEAREST:
        places, fractions = [one + 512 >> 10 for one in at], None
    else:
        parts = [one + 16 >> 5 for one in at]
        places, fractions = [one >> 5 for one in parts], ((parts[1] & 31) * 32 + (parts[0] & 31)).astype(np.uint16)
    whole = np.clip(np.stack(places, axis=2), -_LARGEST_PLACE, _LARGEST_PLACE).astype(np.int16)
    method = cv2.INTER_LINEAR if step.method == cv2.INTER_AREA else step.method
    return cv2.remap(pixels, whole, fractions, method, borderMode=cv2.BORDER_CONSTANT, borderValue=(fill, fill, fill))


def _fixed(position: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(position * 1024).astype(np.int64)


def _jitter(pixels: Pixels, step: Jitter) -> Any:
    for kind in step.order:
        pixels = (_brighten, _contrast, _saturate)[kind](pixels, step.factors[kind])
    return pixels


def _shift(pixels: Pixels, step: Shift) -> Any:
    # A hue that leaves the circle stops at its end, as in MXNet, and does not go round.
    added = np.array([step.hue, step.lightness, step.saturation])
    shifted = np.clip(_LEVELS[:, np.newaxis] + added, 0, (180, 255, 255)).astype(np.uint8)
    return cv2.cvtColor(cv2.LUT(_hls(pixels), shifted[np.newaxis]), cv2.COLOR_HLS2BGR)


def _add(pixels: Pixels, added: tuple[float, float, float]) -> Any:
    levels = np.trunc(_LEVELS[:, np.newaxis] + np.array(added, np.float32))
    return cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8)[np.newaxis])


def _hls(pixels: Pixels) -> Any:
    # Hue is computed as in OpenCV 3.4. Half way between two levels the last bit of the float decides, which differs
    # between versions, and one level of hue can be 6 levels of a channel.
    converted = cv2.cvtColor(pixels, cv2.COLOR_BGR2HLS)
    blue, green, red = (plane * np.float32(1 / 255) for plane in cv2.split(pixels))
    most = np.maximum(np.maximum(blue, green), red)
    span = most - np.minimum(np.minimum(blue, green), red)
    is_red, is_green = most == red, most == green
    difference = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    start = np.where(is_red, np.float32(0), np.where(is_green, np.float32(120), np.float32(240)))
    hue = difference * (np.float32(60) / np.maximum(span, np.finfo(np.float32).eps)) + start
    hue[hue < 0] += 360
    converted[:, :, 0] = np.rint(hue * np.float32(0.5))
    return converted


def _grey(pixels: Pixels) -> Pixels:
    # MXNet takes its BGR for RGB here, which exchanges the weights of red and blue. They are in units of 1/16384, as in
    # OpenCV 3.4; later versions compute with one bit more.
    first, second, third = (plane.astype(np.int32) for plane in cv2.split(pixels))
    grey: NDArray[np.int32] = (4899 * first + 9617 * second + 1868 * third + 8192) >> 14
    return grey.astype(np.uint8)


def _brighten(pixels: Pixels, factor: float) -> Any:
    return _linear(pixels, factor, 0.0)


def _contrast(pixels: Pixels, factor: float) -> Any:
    mean = np.float32(cv2.mean(_grey(pixels))[0])
    return _linear(pixels, factor, float((np.float32(1) - np.float32(factor)) * mean))


def _saturate(pixels: Pixels, factor: float) -> Any:
    grey = cv2.cvtColor(_grey(pixels), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(pixels, factor, grey, float(np.float32(1) - np.float32(factor)), 0.0)


def _linear(pixels: Pixels, factor: float, offset: float) -> Any:
    levels = np.rint(_LEVELS * np.float32(factor) + np.float32(offset))
    return cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8))
