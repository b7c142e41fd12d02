"""mx.image.imrotate and random_rotate: images turned about their middle, with linear interpolation.

Images are float32 of shape (channels, height, width) or (images, channels, height, width), and keep their shape; what
comes from outside of the image is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.ndarray import NDArray, viewed

if TYPE_CHECKING:
    from numpy.typing import NDArray as NumpyArray

_AXES = (3, 4)


def imrotate(src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False) -> NDArray:
    """The image, or each of several, turned by so many degrees, clockwise: one number, or for several one each.

    zoom_in: as large as it takes for nothing to come from outside. zoom_out: so small that all of it is seen. Raises
    TypeError for another type than float32, ValueError for other shapes and for both zooms.
    """
    if zoom_in and zoom_out:
        raise ValueError("zoom_in and zoom_out exclude each other")
    if src.dtype != np.float32:
        raise TypeError(f"the image is {src.dtype}: imrotate takes float32, as ToTensor makes it")
    if np.ndim(src) not in _AXES:
        raise ValueError(f"the shape is {np.shape(src)}: expected (channels, height, width), or several of these")
    is_one = np.ndim(src) == _AXES[0]
    if is_one and np.size(rotation_degrees) > 1:
        raise TypeError("one image has one angle")
    images = np.asarray(src)[np.newaxis] if is_one else np.asarray(src)
    degrees = np.ravel(rotation_degrees)
    if len(degrees) not in (1, len(images)):
        raise ValueError(f"there are {len(degrees)} angles for {len(images)} images")
    angles = np.broadcast_to(degrees, len(images)).astype(np.float64)
    turned = np.stack(
        [_turned(image, float(angle), zoom_in, zoom_out) for image, angle in zip(images, angles, strict=True)]
    )
    return viewed(turned[0] if is_one else turned)


def random_rotate(
    src: Any, angle_limits: tuple[float, float], zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """As imrotate, by an angle between two, for each of several images one, from ``numpy.random``, as in MXNet."""
    count = None if np.ndim(src) == _AXES[0] else len(src)
    angles = np.random.uniform(*angle_limits, size=count)  # noqa: NPY002  # what np.random.seed seeds, as in MXNet
    return imrotate(src, angles, zoom_in, zoom_out)


def _turned(image: NumpyArray[Any], degrees: float, zoom_in: bool, zoom_out: bool) -> NumpyArray[Any]:
    height, width = image.shape[1:]
    angle = np.deg2rad(degrees)
    scale = _scale(height, width, abs(angle), zoom_out) if zoom_in or zoom_out else 1.0
    down = np.arange(height)[:, np.newaxis] - (height - 1) / 2
    right = np.arange(width) - (width - 1) / 2
    x = scale * (right * np.cos(angle) - down * np.sin(angle)) + (width - 1) / 2
    y = scale * (right * np.sin(angle) + down * np.cos(angle)) + (height - 1) / 2
    return _sampled(image, y, x)


def _scale(height: int, width: int, angle: float, zoom_out: bool) -> float:
    """How far apart in the image the pixels of what is made lie."""
    diagonal, corner = np.hypot(height, width), np.arctan2(height, width)
    wide = max(abs(diagonal * np.cos(corner + angle)), abs(diagonal * np.cos(corner - angle)))
    high = max(abs(diagonal * np.sin(corner + angle)), abs(diagonal * np.sin(corner - angle)))
    return float(max(wide / width, high / height) if zoom_out else min(width / wide, height / high))


def _sampled(image: NumpyArray[Any], y: NumpyArray[Any], x: NumpyArray[Any]) -> NumpyArray[Any]:
    """The image at these places, between the four pixels around each."""
    bordered = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    y, x = (np.clip(place + 1, 0, size - 1) for place, size in ((y, bordered.shape[1]), (x, bordered.shape[2])))
    top = np.minimum(y.astype(np.int64), bordered.shape[1] - 2)
    left = np.minimum(x.astype(np.int64), bordered.shape[2] - 2)
    low, right = y - top, x - left
    made: NumpyArray[Any] = (
        bordered[:, top, left] * ((1 - low) * (1 - right))
        + bordered[:, top, left + 1] * ((1 - low) * right)
        + bordered[:, top + 1, left] * (low * (1 - right))
        + bordered[:, top + 1, left + 1] * (low * right)
    )
    return made.astype(np.float32)
