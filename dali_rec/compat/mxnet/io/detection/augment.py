"""One image and its boxes, augmented as MXNet's det_aug_default does it.

The order, the numbers drawn and their arithmetic in float32 are those of MXNet 1.9.1 (src/io/image_det_aug_default.cc):
resize, hue and saturation and lightness, contrast, mirror, pad, crop, and the size of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.detection.objects import Objects, Rect
from dali_rec.compat.mxnet.io.pixels import carry_out
from dali_rec.compat.mxnet.io.plan import Shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.parameters import CropSampler, DetectionParameters
    from dali_rec.compat.mxnet.io.draws import Draws

_LINEAR, _CUBIC, _AREA = 1, 2, 3
_AUTO, _RANDOM = 9, 10
_LEAST_PAD = np.float32(1.05)  # smaller ones are not worth the border
_LEVELS = np.arange(256, dtype=np.float32)


def augment(
    pixels: NDArray[np.uint8], objects: Objects, parameters: DetectionParameters, draws: Draws
) -> tuple[NDArray[np.uint8], Objects]:
    """The image at its final size, uint8 of shape (height, width) or (height, width, channels), and its objects."""
    if parameters.resize != -1:
        pixels = _resize_shorter(pixels, parameters, draws)
    if parameters.changes_colour:
        pixels = _change_colour(pixels, parameters, draws)
    if parameters.rand_mirror_prob > 0 and draws.unit() < np.float32(parameters.rand_mirror_prob):
        pixels, objects = np.ascontiguousarray(pixels[:, ::-1]), objects.mirrored()
    if parameters.rand_pad_prob > 0 and draws.unit() < np.float32(parameters.rand_pad_prob):
        pixels, objects = _pad(pixels, objects, parameters, draws)
    samplers = parameters.crop_samplers
    if parameters.rand_crop_prob > 0 and samplers and draws.unit() < np.float32(parameters.rand_crop_prob):
        pixels, objects = _crop(pixels, objects, parameters, samplers, draws)
    return _fit(pixels, parameters, draws), objects


def _resize_shorter(pixels: NDArray[np.uint8], parameters: DetectionParameters, draws: Draws) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = parameters.resize
    if height > width:
        return _resize(pixels, side * height // width, side, parameters, draws)
    return _resize(pixels, side, side * width // height, parameters, draws)


def _resize(
    pixels: NDArray[np.uint8], height: int, width: int, parameters: DetectionParameters, draws: Draws
) -> NDArray[np.uint8]:
    method = parameters.inter_method
    if method == _AUTO:
        old_height, old_width = pixels.shape[:2]
        if width > old_width and height > old_height:
            method = _CUBIC
        elif width < old_width and height < old_height:
            method = _AREA
        else:
            method = _LINEAR
    elif method == _RANDOM:
        method = draws.whole(0, 4)
    # MXNet fails where a side becomes 0, which a crop can lead to.
    resized: NDArray[np.uint8] = cv2.resize(pixels, (max(width, 1), max(height, 1)), interpolation=method)
    return resized


def _change_colour(pixels: NDArray[np.uint8], parameters: DetectionParameters, draws: Draws) -> NDArray[np.uint8]:
    names = ("hue", "saturation", "illumination", "contrast")
    drawn = [draws.uniform(-1, 1) * np.float32(getattr(parameters, f"max_random_{name}")) for name in names]
    chosen = [draws.unit() < np.float32(getattr(parameters, f"random_{name}_prob")) for name in names]
    hue, saturation, lightness = (int(value) if use else 0 for value, use in zip(drawn[:3], chosen[:3], strict=True))
    if hue or saturation or lightness:
        pixels = carry_out((Shift(hue=hue, lightness=lightness, saturation=saturation),), pixels, 0)
    contrast = drawn[3]
    if chosen[3] and abs(contrast) > 1e-3:
        levels = np.rint(_LEVELS * (contrast + np.float32(1)))
        pixels = cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8))
    return pixels


def _pad(
    pixels: NDArray[np.uint8], objects: Objects, parameters: DetectionParameters, draws: Draws
) -> tuple[NDArray[np.uint8], Objects]:
    scale = draws.uniform(1, parameters.max_pad_scale)
    if scale < _LEAST_PAD:
        return pixels, objects
    x, y = (-draws.uniform(0, float(scale - np.float32(1))) for _ in range(2))
    height, width = np.float32(pixels.shape[0]), np.float32(pixels.shape[1])
    left, top = int(-x * width), int(-y * height)
    right, bottom = int((scale + x - np.float32(1)) * width), int((scale + y - np.float32(1)) * height)
    fill = (parameters.fill_value,) * 3
    padded = cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)
    return padded, objects.projected(Rect(x, y, scale, scale))


def _crop(
    pixels: NDArray[np.uint8],
    objects: Objects,
    parameters: DetectionParameters,
    samplers: tuple[CropSampler, ...],
    draws: Draws,
) -> tuple[NDArray[np.uint8], Objects]:
    """The first crop that one of the samplers is content with; the whole image where none is."""
    height, width = pixels.shape[:2]
    least_overlap = parameters.emit_overlap_thresh if parameters.crop_emit_mode == "overlap" else None
    for number in _shuffled(len(samplers), draws):
        sampler = samplers[number]
        for _ in range(sampler.trials):
            box = _draw_crop(sampler, np.float32(width) / np.float32(height), draws)
            left = objects.cropped(box, sampler, least_overlap)
            if left is not None:
                return _cut(pixels, box), left
    return pixels, objects


def _draw_crop(sampler: CropSampler, aspect_ratio: np.float32, draws: Draws) -> Rect:
    one = np.float32(1)
    scale = draws.uniform(*sampler.scales) + np.float32(1e-12)
    low, high = (np.float32(ratio) / aspect_ratio for ratio in sampler.aspect_ratios)
    square = scale * scale
    ratio = np.sqrt(draws.uniform(float(max(low, square)), float(min(high, np.float32(1 / float(square))))))
    width, height = min(one, scale * ratio), min(one, scale / ratio)
    return Rect(draws.uniform(0, float(one - width)), draws.uniform(0, float(one - height)), width, height)


def _cut(pixels: NDArray[np.uint8], box: Rect) -> NDArray[np.uint8]:
    rows, columns = np.float32(pixels.shape[0]), np.float32(pixels.shape[1])
    left, top = int(box.x * columns), int(box.y * rows)
    width, height = max(1, int(box.width * columns)), max(1, int(box.height * rows))
    return pixels[top : top + height, left : left + width]


def _shuffled(count: int, draws: Draws) -> list[int]:
    """0 to ``count`` - 1 as std::shuffle orders them: a number for each place but the first."""
    order = list(range(count))
    for place in range(1, count):
        other = draws.whole(0, place)
        order[place], order[other] = order[other], order[place]
    return order


def _fit(pixels: NDArray[np.uint8], parameters: DetectionParameters, draws: Draws) -> NDArray[np.uint8]:
    _, high, wide = parameters.data_shape
    if parameters.resize_mode == "force":
        return _resize(pixels, high, wide, parameters, draws)
    rows, columns = np.float32(pixels.shape[0]), np.float32(pixels.shape[1])
    if parameters.resize_mode == "shrink" and rows <= high and columns <= wide:
        return pixels
    ratio = min(np.float32(high) / rows, np.float32(wide) / columns)
    return _resize(pixels, int(ratio * rows), int(ratio * columns), parameters, draws)
