"""One image and its boxes, augmented as MXNet's det_aug_default does it.

The order, the numbers drawn and their arithmetic in float32 are those of MXNet 1.9.1 (src/io/image_det_aug_default.cc):
resize, hue with saturation and lightness, contrast, mirror, pad, crop, and a resize to ``data_shape``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from dali_rec.compat.mxnet.io.detection.objects import Objects, Rect
from dali_rec.compat.mxnet.io.detection.parameters import COLOUR_EFFECTS
from dali_rec.compat.mxnet.io.pixels import carry_out
from dali_rec.compat.mxnet.io.resizing import choose_interpolation, scale_shorter_side
from dali_rec.compat.mxnet.io.steps import Jitter, Scale, Shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.parameters import CropSampler, DetectionParameters
    from dali_rec.compat.mxnet.io.draws import Draws

# MXNet does nothing where less is drawn: the scale of a pad, and the change of contrast.
_LEAST_PAD = np.float32(1.05)
_LEAST_CONTRAST = 1e-3


def augment(
    pixels: NDArray[np.uint8], objects: Objects, parameters: DetectionParameters, draws: Draws
) -> tuple[NDArray[np.uint8], Objects]:
    """The image at its final size, uint8 of shape (height, width) or (height, width, channels), and its objects."""
    if parameters.resize != -1:
        size = scale_shorter_side((pixels.shape[0], pixels.shape[1]), parameters.resize)
        pixels = _resize(pixels, size, parameters, draws)
    if parameters.changes_colour:
        pixels = _change_colour(pixels, parameters, draws)
    if _happens(parameters.rand_mirror_prob, draws):
        pixels, objects = np.ascontiguousarray(pixels[:, ::-1]), objects.mirrored()
    if _happens(parameters.rand_pad_prob, draws):
        pixels, objects = _pad(pixels, objects, parameters, draws)
    samplers = parameters.crop_samplers
    if samplers and _happens(parameters.rand_crop_prob, draws):
        pixels, objects = _crop(pixels, objects, parameters, samplers, draws)
    return _fit(pixels, parameters, draws), objects


def _happens(probability: float, draws: Draws) -> bool:
    """Whether something of this probability happens; for what never does, no number is drawn."""
    return probability > 0 and bool(draws.unit() < np.float32(probability))


def _resize(
    pixels: NDArray[np.uint8], size: tuple[int, int], parameters: DetectionParameters, draws: Draws
) -> NDArray[np.uint8]:
    method = choose_interpolation(parameters.inter_method, (pixels.shape[0], pixels.shape[1]), size, draws)
    # MXNet fails where a side becomes 0, which a crop can lead to.
    height, width = (max(1, side) for side in size)
    return carry_out((Scale(height, width, method),), pixels)


def _change_colour(pixels: NDArray[np.uint8], parameters: DetectionParameters, draws: Draws) -> NDArray[np.uint8]:
    drawn = [draws.uniform(-1, 1) * np.float32(getattr(parameters, f"max_random_{name}")) for name in COLOUR_EFFECTS]
    chosen = [draws.unit() < np.float32(getattr(parameters, f"random_{name}_prob")) for name in COLOUR_EFFECTS]
    hue, saturation, lightness, contrast = (
        value if use else np.float32(0) for value, use in zip(drawn, chosen, strict=True)
    )
    shift = Shift(hue=int(hue), lightness=int(lightness), saturation=int(saturation))
    if shift != Shift(0, 0, 0):
        pixels = carry_out((shift,), pixels)
    if abs(contrast) > _LEAST_CONTRAST:
        # MXNet multiplies all levels by a factor here, which it calls brightness in ImageRecordIter.
        pixels = carry_out((Jitter((float(contrast + np.float32(1)), 1.0, 1.0), order=(0,)),), pixels)
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
    """The first crop that meets the conditions of its sampler; the whole image where none does."""
    height, width = pixels.shape[:2]
    least_overlap = parameters.emit_overlap_thresh if parameters.crop_emit_mode == "overlap" else None
    for number in draws.order(len(samplers)):
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


def _fit(pixels: NDArray[np.uint8], parameters: DetectionParameters, draws: Draws) -> NDArray[np.uint8]:
    if parameters.resize_mode == "force":
        return _resize(pixels, parameters.size, parameters, draws)
    height, width = parameters.size
    rows, columns = np.float32(pixels.shape[0]), np.float32(pixels.shape[1])
    if parameters.resize_mode == "shrink" and rows <= height and columns <= width:
        return pixels
    ratio = min(np.float32(height) / rows, np.float32(width) / columns)
    return _resize(pixels, (int(ratio * rows), int(ratio * columns)), parameters, draws)
