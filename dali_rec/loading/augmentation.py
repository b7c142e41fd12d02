"""What is done to training images by chance, as plain values; the DALI nodes are in augment.py and box_augment.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from dali_rec._numbers import whole_number

Policy = Literal["randaugment", "trivialaugment", "autoaugment"]


def _check_range(options: object, name: str, of_what: str, most: float = math.inf) -> None:
    ends = getattr(options, name)
    if np.shape(ends) != (2,) or not 0 < ends[0] <= ends[1] <= most:
        limit = "" if most == math.inf else f", up to {most}"
        raise ValueError(f"{name} is {ends}: two {of_what}, the smaller first, above 0{limit}")


def _check_jitter(jitter: tuple[float, ...]) -> None:
    if np.shape(jitter) != (4,) or not all(0 <= number <= 1 for number in jitter):
        raise ValueError(f"jitter is {jitter}: brightness, contrast, saturation, hue, each 0 to 1")


def _check_counts(options: object, *names: str) -> None:
    for name in names:
        if whole_number(name, getattr(options, name)) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}: at least 1")


def _check_chances(options: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(options, name) <= 1:
            raise ValueError(f"{name} is {getattr(options, name)}: a chance is from 0 to 1")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random augmentation of training images, in the order of the fields.

    area, aspect: Inception's random resized crop: share of the image's area, width over height.
    policy: RandAugment, TrivialAugment (wide) or AutoAugment (ImageNet's) on the crop, all from nvidia.dali.auto_aug.
    rand_layers, rand_magnitude: how many operations RandAugment applies, and how strongly, 0 to 30.
    jitter: brightness, contrast, saturation each by a factor of 1 ± the number, hue by ± the share of the circle;
        (0, 0, 0, 0) leaves colours alone. jitter_chance, grey, blur: how likely jitter, conversion to grey, and
        Gaussian blur (sigma 0.1 to 2 pixels) are.
    erase: how likely a rectangle of 2 % to 33 % of the area is filled with the mean colour (random erasing).
    flip: how likely the image is mirrored.
    views: how many versions of each image are made; more than one gives a tuple of images a batch.

    Raises ValueError for chances outside 0…1 and ranges that are none.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    policy: Policy | None = None
    rand_layers: int = 2
    rand_magnitude: int = 9
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_chance: float = 1.0
    grey: float = 0.0
    blur: float = 0.0
    erase: float = 0.0
    flip: float = 0.5
    views: int = 1

    def __post_init__(self) -> None:
        _check_range(self, "area", "shares of the image", most=1)
        _check_range(self, "aspect", "ratios")
        if self.policy is not None and self.policy not in get_args(Policy):
            raise ValueError(f"policy is {self.policy!r}: expected None or one of {get_args(Policy)}")
        _check_counts(self, "rand_layers", "views")
        if not 0 <= self.rand_magnitude <= 30:
            raise ValueError(f"rand_magnitude is {self.rand_magnitude}: from 0 to 30")
        _check_jitter(self.jitter)
        _check_chances(self, "jitter_chance", "grey", "blur", "erase", "flip")

    @property
    def changes_pixels(self) -> bool:
        """Whether more is done to a crop than to bring it to size and to mirror it."""
        return self.policy is not None or any((*self.jitter, self.grey, self.blur, self.erase))


AugmentName = Literal["train", "eval", "ssl", "randaugment", "trivialaugment", "autoaugment"]
Augment = AugmentName | Augmentation | Callable[[Any], Any] | None

#: The augmentations that have a name; "ssl" is SimCLR's, two views.
NAMED: dict[str, Augmentation] = {
    "train": Augmentation(),
    "ssl": Augmentation(area=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), jitter_chance=0.8, grey=0.2, blur=0.5, views=2),
    "randaugment": Augmentation(policy="randaugment"),
    "trivialaugment": Augmentation(policy="trivialaugment"),
    "autoaugment": Augmentation(policy="autoaugment"),
}


def random_augmentation(augment: object) -> Augmentation | None:
    """The random augmentation that is meant, or None for "eval", None and functions."""
    if isinstance(augment, Augmentation):
        return augment
    return NAMED.get(augment) if isinstance(augment, str) else None


@dataclass(frozen=True, slots=True)
class BoxAugmentation:
    """Augmentation of images with boxes, in the order of the fields.

    zoom_out: the image is put on a canvas of the mean colour, up to so many times as wide and high; 1 is never.
    zoom_chance: how likely it is.
    overlaps: what a crop must have in common with an object (intersection over union), one of these drawn for each
        image, or no crop; () never crops. scale: width and height of the crop, in parts of the image's. aspect: width
        to height of the crop, over that of the image.
    jitter: brightness, contrast, saturation each by a factor of 1 ± the number, hue by ± the share of the circle.
    jitter_chance, grey: how likely jitter and conversion to grey are.
    fit: "stretch" resizes to the size of the batch, the aspect not kept; "pad" keeps it, with the mean colour to the
        right or below.
    flip: how likely the image is mirrored.

    Raises ValueError for chances outside 0…1 and ranges that are none.
    """

    zoom_out: float = 1.0
    zoom_chance: float = 0.5
    overlaps: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    scale: tuple[float, float] = (0.3, 1.0)
    aspect: tuple[float, float] = (0.5, 2.0)
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_chance: float = 1.0
    grey: float = 0.0
    fit: Literal["stretch", "pad"] = "stretch"
    flip: float = 0.5

    def __post_init__(self) -> None:
        if self.zoom_out < 1:
            raise ValueError(f"zoom_out is {self.zoom_out}: how many times as large, from 1 up")
        if np.ndim(self.overlaps) != 1 or not all(0 <= overlap <= 1 for overlap in self.overlaps):
            raise ValueError(f"overlaps are {self.overlaps}: each from 0 to 1")
        _check_range(self, "scale", "parts of a side", most=1)
        _check_range(self, "aspect", "ratios")
        _check_jitter(self.jitter)
        if self.fit not in ("stretch", "pad"):
            raise ValueError(f"fit is {self.fit!r}: 'stretch' or 'pad'")
        _check_chances(self, "zoom_chance", "jitter_chance", "grey", "flip")


#: The whole image at the size of the batch.
WHOLE = BoxAugmentation(overlaps=(), flip=0.0)


def box_augmentation(augment: object) -> Any:
    """What ``augment`` means for images with boxes; itself where it means nothing."""
    if augment == "train":
        return BoxAugmentation()
    return WHOLE if augment is None or augment == "eval" else augment
