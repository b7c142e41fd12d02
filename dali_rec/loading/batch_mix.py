"""MixUp and CutMix: each image of a batch mixed with another of it, and their labels alike.

What is drawn comes from (seed, epoch, batch, rank) alone, so that it is the same after a resume. The arithmetic is
the framework's own, where the images are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dali_rec._numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BatchMixName = Literal["mixup", "cutmix", "both"]


@dataclass(frozen=True, slots=True)
class BatchMix:
    """How the images of a batch are mixed, each with the one before it; the first with the last.

    mixup: alpha of MixUp: images and labels are averaged with the weights w and 1 - w, w from Beta(alpha, alpha). 0:
        none. (Zhang et al., mixup: Beyond Empirical Risk Minimization.)
    cutmix: alpha of CutMix: a rectangle of 1 - w of the area comes from the other image, labels by the area. 0: none.
        (Yun et al., CutMix.)
    cutmix_share: of the batches that are mixed, how many by CutMix where both alphas are above 0.
    chance: how likely a batch is mixed at all.
    smoothing: label smoothing, taken from the right class and spread over all; also where a batch is not mixed.
    classes: how many classes there are; by default as many as the data set names. Labels come as float32 of shape
        (batch, classes).

    Raises ValueError for numbers out of range.
    """

    mixup: float = 0.2
    cutmix: float = 1.0
    cutmix_share: float = 0.5
    chance: float = 1.0
    smoothing: float = 0.0
    classes: int | None = None

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: the alpha of a Beta distribution, or 0 for none")
        if not self.mixup and not self.cutmix:
            raise ValueError("mixup and cutmix are both 0: then nothing is mixed; give one an alpha, or no BatchMix")
        for name in ("cutmix_share", "chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a chance is from 0 to 1")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is {self.smoothing}: from 0 to less than 1")
        if self.classes is not None and whole_number("classes", self.classes) < 1:
            raise ValueError(f"classes is {self.classes}: at least 1")

    @property
    def share_of_cutmix(self) -> float:
        """How likely CutMix is taken rather than MixUp."""
        if not self.mixup or not self.cutmix:
            return float(bool(self.cutmix))
        return self.cutmix_share


NAMED_MIXES: dict[str, BatchMix] = {
    "mixup": BatchMix(cutmix=0.0),
    "cutmix": BatchMix(mixup=0.0),
    "both": BatchMix(),
}


class Mixture(NamedTuple):
    """What a batch is mixed by: ``weight`` of each image's own labels, and for CutMix where the other image shows.

    ``box``: top, bottom, left, right in pixels, the ends excluded; None: the whole image, by weight.
    """

    weight: float
    box: tuple[int, int, int, int] | None = None


def choose_mix(wanted: BatchMix | BatchMixName | None) -> BatchMix | None:
    """The BatchMix that is meant. Raises ValueError for anything else."""
    if wanted is None or isinstance(wanted, BatchMix):
        return wanted
    if wanted not in NAMED_MIXES:
        raise ValueError(f"batch_mix is {wanted!r}: expected 'mixup', 'cutmix', 'both', a BatchMix or None")
    return NAMED_MIXES[wanted]


def draw_mixture(mix: BatchMix, size: tuple[int, int], seeds: tuple[int, ...]) -> Mixture | None:
    """How the batch of these seeds is mixed, or None where it is not. ``size``: (height, width) of the images."""
    random = np.random.default_rng(seeds)
    if random.random() >= mix.chance:
        return None
    if random.random() >= mix.share_of_cutmix:
        return Mixture(float(random.beta(mix.mixup, mix.mixup)))
    weight = float(random.beta(mix.cutmix, mix.cutmix))
    (top, bottom), (left, right) = (_cut(side, weight, random) for side in size)
    # What the borders of the image cut off of the rectangle counts for the image itself.
    shown = (bottom - top) * (right - left) / (size[0] * size[1])
    return Mixture(1 - shown, (top, bottom, left, right))


def _cut(side: int, weight: float, random: np.random.Generator) -> tuple[int, int]:
    centre, half = int(random.integers(side)), int(side * math.sqrt(1 - weight)) // 2
    return max(centre - half, 0), min(centre + half, side)


def mix_whole(xp: Any, images: Any, mixture: Mixture, as_array: Callable[[NDArray[Any]], Any]) -> Any:
    """The images mixed, by the functions of the framework's module ``xp``; ``as_array`` makes an array of its kind."""
    others = xp.roll(images, 1, 0)
    if mixture.box is not None:
        mask = as_array(_box_mask(mixture.box, tuple(images.shape[2:])))
        return xp.where(mask, others, images)
    return images * mixture.weight + others * (1 - mixture.weight)


def mix_rows(images: Any, mixture: Mixture) -> Any:
    """The same in place, image by image: in host memory several times as fast, since no batch is made anew."""
    last = images[-1:] + 0
    for row in range(len(images) - 1, -1, -1):
        other = images[row - 1] if row else last[0]
        if mixture.box is None:
            images[row] *= mixture.weight
            images[row] += other * (1 - mixture.weight)
        else:
            top, bottom, left, right = mixture.box
            images[row, :, top:bottom, left:right] = other[:, top:bottom, left:right]
    return images


def _box_mask(box: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """True within the box: shape (1, 1, height, width)."""
    top, bottom, left, right = box
    mask = np.zeros((1, 1, *size), np.bool_)
    mask[..., top:bottom, left:right] = True
    return mask


def mix_labels(
    labels: NDArray[Any], classes: int | None, smoothing: float, mixture: Mixture | None
) -> NDArray[np.float32]:
    """float32 labels of shape (batch, classes): of class indices, or of rows that are labels in several classes.

    Raises ValueError for a class index that is none of ``classes``.
    """
    if labels.ndim == 1:
        assert classes is not None
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"labels from {labels.min()} to {labels.max()}, and batch_mix has {classes} classes")
        targets: NDArray[np.float32] = np.full((len(labels), classes), smoothing / classes, np.float32)
        targets[np.arange(len(labels)), labels] += 1 - smoothing
    else:
        targets = labels * np.float32(1 - smoothing) + np.float32(smoothing / labels.shape[1])
    if mixture is None:
        return targets
    weight = np.float32(mixture.weight)
    return targets * weight + np.roll(targets, 1, 0) * (1 - weight)
