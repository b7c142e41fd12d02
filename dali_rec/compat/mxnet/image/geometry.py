"""mx.image's resizing and cropping, by OpenCV, which is also what MXNet has inside.

Images are of shape (height, width, channels); sizes are (width, height). Random numbers come from Python's ``random``
in MXNet's order: after ``random.seed`` both draw the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet.ndarray import NDArray, handed_over, viewed

if TYPE_CHECKING:
    from collections.abc import Sequence

_METHODS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)
_AUTO, _RANDOM = 9, 10
_TRIALS = 10

# Crops give the image and (left, top, width, height) of what was cut.
Crop = tuple[NDArray, tuple[int, int, int, int]]


def imresize(src: Any, w: int, h: int, interp: int = 1, out: Any = None) -> NDArray:
    """The image resized to ``w`` by ``h``.

    interp: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos; 9: cubic where it grows, area where it shrinks, linear
    otherwise; 10: any of the first five at random. out: an array of the right shape that is filled and returned.
    """
    pixels = np.asarray(src)
    method = _METHODS[_interpolation(interp, pixels.shape[:2], (h, w))]
    resized: Any = cv2.resize(pixels, (w, h), interpolation=method)
    return handed_over(resized.reshape(h, w, *pixels.shape[2:]), out)  # OpenCV drops the channel of a grey image


def scale_down(src_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The size of a crop, made smaller in its own proportions where the image is smaller."""
    (full_width, full_height), (width, height) = src_size, size
    if full_height < height:
        width, height = float(width * full_height) / height, full_height  # type: ignore[assignment]
    if full_width < width:
        width, height = full_width, float(height * full_width) / width  # type: ignore[assignment]
    return int(width), int(height)


def resize_short(src: Any, size: int, interp: int = 2) -> NDArray:
    """The image resized so that its shorter side is ``size``."""
    height, width = src.shape[:2]
    if height > width:
        return imresize(src, size, size * height // width, interp)
    return imresize(src, size * width // height, size, interp)


def fixed_crop(
    src: Any, x0: int, y0: int, w: int, h: int, size: tuple[int, int] | None = None, interp: int = 2
) -> NDArray:
    """The part of the image from (x0, y0) that is ``w`` by ``h``, resized to ``size`` if that is given."""
    cut: Any = np.asarray(src)[y0 : y0 + h, x0 : x0 + w]
    if size is None or (w, h) == tuple(size):
        return viewed(cut.copy())
    return imresize(cut, *size, interp=interp)


def center_crop(src: Any, size: tuple[int, int], interp: int = 2) -> Crop:
    """The middle of the image; enlarged where the image is smaller than ``size``."""
    height, width = src.shape[:2]
    w, h = scale_down((width, height), size)
    return _cut(src, ((width - w) // 2, (height - h) // 2, w, h), size, interp)


def random_crop(src: Any, size: tuple[int, int], interp: int = 2) -> Crop:
    """A part of the image at random; enlarged where the image is smaller than ``size``."""
    height, width = src.shape[:2]
    w, h = scale_down((width, height), size)
    left, top = random.randint(0, width - w), random.randint(0, height - h)  # noqa: S311
    return _cut(src, (left, top, w, h), size, interp)


def random_size_crop(
    src: Any,
    size: tuple[int, int],
    area: float | tuple[float, float],
    ratio: tuple[float, float],
    interp: int = 2,
) -> Crop:
    """A part of the image at random, of an area (as part of the whole) and a ratio of width to height at random.

    Where no such part is found in ten trials, the middle.
    """
    height, width = src.shape[:2]
    least, most = area if isinstance(area, (tuple, list)) else (area, 1.0)
    for _ in range(_TRIALS):
        target = random.uniform(least, most) * height * width  # noqa: S311
        shape = np.exp(random.uniform(np.log(ratio[0]), np.log(ratio[1])))  # noqa: S311
        w, h = round(float(np.sqrt(target * shape))), round(float(np.sqrt(target / shape)))
        if w <= width and h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)  # noqa: S311
            return _cut(src, (left, top, w, h), size, interp)
    return center_crop(src, size, interp)


def copyMakeBorder(  # noqa: N802  # MXNet's
    src: Any,
    top: int,
    bot: int,
    left: int,
    right: int,
    type: int = 0,  # noqa: A002  # MXNet's
    value: float = 0.0,
    values: Sequence[float] = (),
    out: Any = None,
) -> NDArray:
    """The image with a border of ``values``, one for each channel, or of ``value``; ``type`` as OpenCV counts kinds.

    out: an array of the right shape that is filled and returned.
    """
    colour = list(values) or [value] * 4
    bordered: Any = cv2.copyMakeBorder(np.asarray(src), top, bot, left, right, type, value=colour)
    return handed_over(bordered.reshape(*bordered.shape[:2], *src.shape[2:]), out)


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """The image less ``mean`` and divided by ``std``, in place: it must be of floats."""
    if mean is not None:
        src -= mean
    if std is not None:
        src /= std
    return src


def _cut(src: Any, place: tuple[int, int, int, int], size: tuple[int, int], interp: int) -> Crop:
    return fixed_crop(src, *place, size=size, interp=interp), place


def _interpolation(interp: int, old: Sequence[int], new: Sequence[int]) -> int:
    if interp == _AUTO:
        if new[0] > old[0] and new[1] > old[1]:
            return 2
        return 3 if new[0] < old[0] and new[1] < old[1] else 1
    if interp == _RANDOM:
        return random.randint(0, len(_METHODS) - 1)  # noqa: S311
    if interp not in range(len(_METHODS)):
        raise ValueError(f"interp is {interp}: 0 to 4, 9 or 10")
    return interp
