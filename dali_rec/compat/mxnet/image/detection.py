"""mx.image's augmenters of images with boxes: each takes an image and its objects and gives both.

Objects are float32 of shape (objects, 5 or more): class, xmin, ymin, xmax, ymax in parts of the image, and what else
there is. Random numbers come from Python's ``random`` in MXNet's order.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.image import geometry
from dali_rec.compat.mxnet.image.augmenters import Augmenter, CreateAugmenter, Described, ForceResizeAug, ResizeAug

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Objects = NDArray[np.float32]
    Range = float | tuple[float, float]

_LEAST_BORDER = 2


class DetAugmenter(Described):
    """The base of all steps: called with an image and its objects, it gives both."""

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class DetBorrowAug(DetAugmenter):
    """A step that changes the image alone."""

    def __init__(self, augmenter: Callable[[Any], Any]) -> None:
        self.augmenter = augmenter

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One of several steps at random, or none with the probability ``skip_prob``."""

    def __init__(self, aug_list: DetAugmenter | Sequence[DetAugmenter], skip_prob: float = 0) -> None:
        self.aug_list = [aug_list] if isinstance(aug_list, DetAugmenter) else list(aug_list)
        self.skip_prob = skip_prob if self.aug_list else 1

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        if random.random() < self.skip_prob:  # noqa: S311
            return src, label
        random.shuffle(self.aug_list)
        return self.aug_list[0](src, label)


class DetHorizontalFlipAug(DetAugmenter):
    """Mirrors the image and its boxes with the probability ``p``."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        if random.random() >= self.p:  # noqa: S311
            return src, label
        mirrored = label.copy()
        mirrored[:, 1], mirrored[:, 3] = 1 - label[:, 3], 1 - label[:, 1]
        return nd.flip(src, axis=1), mirrored


class DetRandomCropAug(DetAugmenter):
    """Cuts a part of the image at random; the image stays as it is where ``max_attempts`` find none that is allowed.

    min_object_covered: of each object that is in the part at all, more than this share must be. aspect_ratio_range:
    width to height. area_range: share of the image. min_eject_coverage: objects of which no more than this share is
    in the part are dropped. Raises ValueError for ranges that are empty.
    """

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: Range = (0.75, 1.33),
        area_range: Range = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ) -> None:
        self.min_object_covered, self.min_eject_coverage = min_object_covered, min_eject_coverage
        self.aspect_ratio_range = _range("aspect_ratio_range", aspect_ratio_range)
        self.area_range = _range("area_range", area_range)
        self.max_attempts = max_attempts

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        height, width = src.shape[:2]
        for _ in range(self.max_attempts):
            place = self._propose(height, width)
            if place is None or not self._is_allowed(label, place, height, width):
                continue
            kept = self._cut(label, place, height, width)
            if len(kept):
                left, top, w, h = place
                return geometry.fixed_crop(src, left, top, w, h), kept
        return src, label

    def _propose(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """(left, top, width, height) of a part at random, or None if it does not come out."""
        least, most = (share * height * width for share in self.area_range)
        ratio = random.uniform(*self.aspect_ratio_range)  # noqa: S311
        h, highest = round(math.sqrt(least / ratio)), round(math.sqrt(most / ratio))
        if round(highest * ratio) > width:
            highest = int((width + 0.4999999) / ratio)
        highest = min(highest, height)
        h = random.randint(h, highest) if h < highest else highest  # noqa: S311
        w = round(h * ratio)
        if w * h < least:
            h += 1
            w = round(h * ratio)
        if w * h > most:
            h -= 1
            w = round(h * ratio)
        if not (least <= w * h <= most and 0 <= w <= width and 0 <= h <= height):
            return None
        top, left = random.randint(0, height - h), random.randint(0, width - w)  # noqa: S311
        return left, top, w, h

    def _is_allowed(self, label: Objects, place: tuple[int, int, int, int], height: int, width: int) -> bool:
        left, top, w, h = place
        if w * h < 2:
            return False
        boxes = label[:, 1:5]
        boxes = boxes[_areas(boxes) * width * height > 2]
        edges = np.array([left / width, top / height, (left + w) / width, (top + h) / height])
        within = np.concatenate([np.maximum(boxes[:, :2], edges[:2]), np.minimum(boxes[:, 2:], edges[2:])], axis=1)
        covered = _areas(within) / _areas(boxes)
        covered = covered[covered > 0]
        return bool(len(covered)) and bool(covered.min() > self.min_object_covered)

    def _cut(self, label: Objects, place: tuple[int, int, int, int], height: int, width: int) -> Objects:
        """The objects in the part, in shares of it; those of which too little is in it are left out."""
        left, top, w, h = place[0] / width, place[1] / height, place[2] / width, place[3] / height
        cut = label.copy()
        cut[:, (1, 3)] = (label[:, (1, 3)] - np.float32(left)) / np.float32(w)
        cut[:, (2, 4)] = (label[:, (2, 4)] - np.float32(top)) / np.float32(h)
        cut[:, 1:5] = np.clip(cut[:, 1:5], 0, 1)
        is_box = (cut[:, 3] > cut[:, 1]) & (cut[:, 4] > cut[:, 2])
        with np.errstate(divide="ignore", invalid="ignore"):  # an object without an area is left out anyway
            share = _areas(cut[:, 1:5]) * w * h / _areas(label[:, 1:5])
        kept: Objects = cut[is_box & (share > self.min_eject_coverage)]
        return kept


class DetRandomPadAug(DetAugmenter):
    """Puts the image somewhere on a larger one, which is ``pad_val`` elsewhere.

    aspect_ratio_range: width to height of the larger one. area_range: how many times as large it is. Raises ValueError
    for ranges that are empty.
    """

    def __init__(
        self,
        aspect_ratio_range: Range = (0.75, 1.33),
        area_range: Range = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: float | tuple[float, ...] = (128, 128, 128),
    ) -> None:
        self.aspect_ratio_range = _range("aspect_ratio_range", aspect_ratio_range)
        self.area_range = _range("area_range", area_range)
        self.max_attempts = max_attempts
        self.pad_val = tuple(pad_val) if isinstance(pad_val, (tuple, list)) else (pad_val,) * 3

    def __call__(self, src: Any, label: Objects) -> tuple[Any, Objects]:
        height, width = src.shape[:2]
        for _ in range(self.max_attempts):
            w, h = self._propose(height, width)
            if h - height < _LEAST_BORDER or w - width < _LEAST_BORDER:
                continue
            top, left = random.randint(0, h - height), random.randint(0, w - width)  # noqa: S311
            borders = (top, h - height - top, left, w - width - left)
            padded = cv2.copyMakeBorder(np.asarray(src), *borders, cv2.BORDER_CONSTANT, value=self.pad_val)
            moved = label.copy()
            moved[:, (1, 3)] = (label[:, (1, 3)] * width + left) / w
            moved[:, (2, 4)] = (label[:, (2, 4)] * height + top) / h
            return nd.viewed(padded), moved
        return src, label

    def _propose(self, height: int, width: int) -> tuple[int, int]:
        least, most = (share * height * width for share in self.area_range)
        ratio = random.uniform(*self.aspect_ratio_range)  # noqa: S311
        h, highest = round(math.sqrt(least / ratio)), round(math.sqrt(most / ratio))
        if round(h * ratio) < width:
            h = int((width + 0.499999) / ratio)
        h = min(max(h, height), highest)
        if h < highest:
            h = random.randint(h, highest)  # noqa: S311
        return round(h * ratio), h


def CreateMultiRandCropAugmenter(  # noqa: N802  # MXNet's
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """Several croppers, one of which is taken at random: parameters that are lists have a value for each.

    Raises ValueError for lists of different lengths.
    """
    given = [min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts]
    lists = [one if isinstance(one, list) else [one] for one in given]
    count = max(map(len, lists))
    if any(len(one) not in (1, count) for one in lists):
        raise ValueError(f"the lists have {[len(one) for one in lists]} values: one or {count} each")
    rows = zip(*(one * count if len(one) == 1 else one for one in lists), strict=True)
    return DetRandomSelectAug([DetRandomCropAug(*row) for row in rows], skip_prob)


def CreateDetAugmenter(  # noqa: N802  # MXNet's
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 3.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    pad_val: Any = (127, 127, 127),
) -> list[DetAugmenter]:
    """The steps to images of ``data_shape`` (channels, height, width), float32, in MXNet's order.

    rand_crop, rand_pad: with which probability the image is cropped, and put on a larger one. The others are those of
    DetRandomCropAug, DetRandomPadAug and CreateAugmenter.
    """
    steps: list[DetAugmenter] = [DetBorrowAug(ResizeAug(resize, inter_method))] if resize > 0 else []
    if rand_crop > 0:
        crops = (min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts)
        steps.append(CreateMultiRandCropAugmenter(*crops, skip_prob=1 - rand_crop))
    if rand_mirror:
        steps.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        steps.append(DetRandomSelectAug(pad, 1 - rand_pad))
    steps.append(DetBorrowAug(ForceResizeAug((data_shape[2], data_shape[1]), inter_method)))
    colours: list[Augmenter] = CreateAugmenter(
        data_shape,
        mean=mean,
        std=std,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        hue=hue,
        pca_noise=pca_noise,
        rand_gray=rand_gray,
    )
    # Without the crop that CreateAugmenter begins with.
    return steps + [DetBorrowAug(step) for step in colours[1:]]


def _areas(boxes: Any) -> Any:
    sides = np.maximum(0, boxes[:, 2:4] - boxes[:, :2])
    return sides[:, 0] * sides[:, 1]


def _range(name: str, value: Range) -> tuple[float, float]:
    low, high = value if isinstance(value, (tuple, list)) else (value, value)
    if not 0 <= low <= high or high == 0 or (name == "aspect_ratio_range" and low == 0):
        raise ValueError(f"{name} is {value}: above 0, in order")
    return low, high
