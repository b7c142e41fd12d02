"""To which size an image is resized and by which interpolation, in both of MXNet's augmenters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dali_rec.compat.mxnet.io.draws import Draws

# OpenCV's numbers, and two of MXNet's own.
_NEAREST, _LINEAR, _CUBIC, _AREA, _LANCZOS = range(5)
_AUTO, _RANDOM = 9, 10


def scale_shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width of an image of this (height, width) when its shorter side is scaled to ``side``."""
    height, width = size
    return (side * height // width, side) if height > width else (side, side * width // height)


def choose_interpolation(inter_method: int, old: tuple[int, int], new: tuple[int, int], draws: Draws) -> int:
    """OpenCV's number of the interpolation from one (height, width) to another.

    inter_method: that number, or MXNet's 9, by whether the image is enlarged, or 10, at random.
    """
    if inter_method == _RANDOM:
        return draws.whole(_NEAREST, _LANCZOS)
    if inter_method != _AUTO:
        return inter_method
    if new[0] > old[0] and new[1] > old[1]:
        return _CUBIC
    return _AREA if new[0] < old[0] and new[1] < old[1] else _LINEAR
