"""mx.nd.image: images of shape (height, width, channels) or (images, height, width, channels), RGB.

Steps that change colours keep the type of the image: of uint8, values are cut off at 0 and 255 and not rounded. What is
at random is drawn from the generator of mx.random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.base import ArgumentError
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray, viewed
from dali_rec.compat.mxnet.ndarray.random import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "adjust_lighting",
    "crop",
    "flip_left_right",
    "flip_top_bottom",
    "normalize",
    "random_brightness",
    "random_color_jitter",
    "random_contrast",
    "random_flip_left_right",
    "random_flip_top_bottom",
    "random_hue",
    "random_lighting",
    "random_saturation",
    "resize",
    "to_tensor",
]

_AXES = (3, 4)  # of an image, and of several
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_LIGHTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32)
_LIGHTS = _LIGHTS * np.array([55.46, 4.794, 1.148], np.float32)


def to_tensor(data: Any) -> NDArray:
    """Float32 of 0…1, the channels before the height. Raises ArgumentError for another shape."""
    if np.ndim(data) not in _AXES:
        raise ArgumentError(f"an image has the shape (height, width, channels), not {np.shape(data)}")
    pixels = np.moveaxis(np.asarray(data, np.float32), -1, -3) / np.float32(255)
    return viewed(np.ascontiguousarray(pixels))


def normalize(data: Any, mean: Any = 0.0, std: Any = 1.0) -> NDArray:
    """Less ``mean`` and divided by ``std``, numbers of all or of each channel, of what ``to_tensor`` gives.

    Raises ArgumentError for another shape, and for as many numbers as there are no channels.
    """
    if np.ndim(data) not in _AXES or not {np.size(mean), np.size(std)} <= {1, np.shape(data)[-3]}:
        raise ArgumentError(f"the shape is {np.shape(data)}, with {np.size(mean)} means and {np.size(std)} deviations")
    of_channel = [np.reshape(np.asarray(one, np.float32), (-1, 1, 1)) for one in (mean, std)]
    return viewed((np.asarray(data, np.float32) - of_channel[0]) / of_channel[1])


def resize(data: Any, size: int | Sequence[int] = 0, keep_ratio: bool = False, interp: int | None = 1) -> NDArray:
    """Resized to (width, height), or a square; with one number and ``keep_ratio`` the shorter side becomes that.

    interp: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos. Raises ArgumentError for another size.
    """
    height, width = np.shape(data)[-3:-1]
    both = [size] if isinstance(size, (int, np.integer)) else list(size)
    if len(both) not in (1, 2) or min(both) < 1:
        raise ArgumentError(f"size is {size}: expected one number or two, from 1")
    new = both * 2 if len(both) == 1 else both
    if keep_ratio and len(both) == 1:
        short = both[0]
        new = [short, height * short // width] if width < height else [width * short // height, short]

    def resized(image: Any) -> Any:
        made: Any = cv2.resize(image, (int(new[0]), int(new[1])), interpolation=1 if interp is None else interp)
        return made.reshape(*made.shape[:2], -1)  # OpenCV drops the channel of a grey image

    return _each(data, resized)


def crop(data: Any, x: int, y: int, width: int, height: int) -> NDArray:
    """The part from (x, y). Raises ArgumentError if it is not within the image."""
    high, wide = np.shape(data)[-3:-1]
    if not (0 <= x < x + width <= wide and 0 <= y < y + height <= high):
        raise ArgumentError(f"{width} by {height} pixels from ({x}, {y}) are not within an image of {wide} by {high}")
    return viewed(np.array(np.asarray(data)[..., y : y + height, x : x + width, :]))


def flip_left_right(data: Any) -> NDArray:
    """Mirrored."""
    return viewed(np.ascontiguousarray(np.asarray(data)[..., ::-1, :]))


def flip_top_bottom(data: Any) -> NDArray:
    """Upside down."""
    return viewed(np.ascontiguousarray(np.asarray(data)[..., ::-1, :, :]))


def random_flip_left_right(data: Any, p: float = 0.5) -> NDArray:
    """Mirrored with the probability ``p``."""
    return flip_left_right(data) if generator().random() < p else viewed(data)


def random_flip_top_bottom(data: Any, p: float = 0.5) -> NDArray:
    """Upside down with the probability ``p``."""
    return flip_top_bottom(data) if generator().random() < p else viewed(data)


def random_brightness(data: Any, min_factor: float, max_factor: float) -> NDArray:
    """All values times a factor."""
    return _as_type_of(data, np.asarray(data, np.float32) * _drawn(min_factor, max_factor))


def random_contrast(data: Any, min_factor: float, max_factor: float) -> NDArray:
    """All values moved towards the mean grey of the image by a factor below 1, from it by one above."""
    factor, pixels = _drawn(min_factor, max_factor), np.asarray(data, np.float32)
    return _as_type_of(data, pixels * factor + (1 - factor) * np.mean(_grey_of(pixels)))


def random_saturation(data: Any, min_factor: float, max_factor: float) -> NDArray:
    """Each pixel moved towards its grey by a factor below 1, from it by one above."""
    factor, pixels = _drawn(min_factor, max_factor), np.asarray(data, np.float32)
    return _as_type_of(data, pixels * factor + (1 - factor) * _grey_of(pixels)[..., np.newaxis])


def random_hue(data: Any, min_factor: float, max_factor: float) -> NDArray:
    """The hue turned by a factor of a whole turn: 1, like 0, leaves it as it is. A grey image has none."""
    if _is_grey(data):
        return viewed(data)
    turn = 360 * _drawn(min_factor, max_factor)

    def turned(image: Any) -> Any:
        parts: Any = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2HLS)
        parts[..., 0] = (parts[..., 0] + turn) % 360
        return cv2.cvtColor(parts, cv2.COLOR_HLS2RGB) * np.float32(255)

    return _as_type_of(data, _each(data, turned))


def random_color_jitter(
    data: Any, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0
) -> NDArray:
    """Brightness, contrast, saturation and hue, each by a factor of 1 - x to 1 + x, in an order at random."""
    steps = list(
        zip(
            (random_brightness, random_contrast, random_saturation, random_hue),
            (brightness, contrast, saturation, hue),
            strict=True,
        )
    )
    for number in generator().permutation(len(steps)).tolist():
        step, amount = steps[number]
        if amount:
            data = step(data, max(0, 1 - amount), 1 + amount)
    return viewed(data)


def adjust_lighting(data: Any, alpha: Sequence[float]) -> NDArray:
    """With ``alpha`` of the three main directions of colour of ImageNet added (Krizhevsky 2012); grey stays grey."""
    if _is_grey(data):
        return viewed(data)
    return _as_type_of(data, np.asarray(data, np.float32) + _LIGHTS @ np.asarray(alpha, np.float32))


def random_lighting(data: Any, alpha_std: float = 0.05) -> NDArray:
    """With three numbers around 0, of the deviation ``alpha_std``, for the directions of colour."""
    return adjust_lighting(data, generator().normal(0, alpha_std, 3).tolist())


def _is_grey(data: Any) -> bool:
    return bool(np.shape(data)[-1] == 1)


def _grey_of(pixels: Any) -> Any:
    return pixels[..., 0] if _is_grey(pixels) else pixels @ _GREY


def _drawn(least: float, most: float) -> np.float32:
    return np.float32(generator().uniform(least, most))


def _each(data: Any, function: Callable[[Any], Any]) -> NDArray:
    pixels = np.asarray(data)
    return viewed(function(pixels) if pixels.ndim == 3 else np.stack([function(image) for image in pixels]))


def _as_type_of(data: Any, values: Any) -> NDArray:
    if data.dtype == np.uint8:
        values = np.clip(values, 0, 255)
    return viewed(np.asarray(values).astype(data.dtype))


__getattr__ = missing_from(__name__)
