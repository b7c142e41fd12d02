"""Encoded images in, images of the wanted size out: decoding and augmentation as DALI nodes.

What is random here takes its numbers from the pipeline's seed, so it follows the loader's seed and its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dali_rec.loading.finish import finish, resize, resize_and_finish

if TYPE_CHECKING:
    from dali_rec.loading.decoding import Decoder
    from dali_rec.loading.graph import ImageSpec

Policy = Literal["randaugment", "trivialaugment", "autoaugment"]

#: What "eval" resizes the shorter side to, over the size of its centre crop: 256 for 224.
EVAL_RESIZE_RATIO = 256 / 224

_POLICIES = ("randaugment", "trivialaugment", "autoaugment")


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
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area is {self.area}: two shares of the image, the smaller first, above 0, up to 1")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect is {self.aspect}: two ratios above 0, the smaller first")
        if self.policy is not None and self.policy not in _POLICIES:
            raise ValueError(f"policy is {self.policy!r}: expected None or one of {_POLICIES}")
        if self.rand_layers < 1 or not 0 <= self.rand_magnitude <= 30:
            raise ValueError(
                f"RandAugment with {self.rand_layers} layers, magnitude {self.rand_magnitude}: ≥ 1, 0 to 30"
            )
        if len(self.jitter) != 4 or not all(0 <= number <= 1 for number in self.jitter):
            raise ValueError(f"jitter is {self.jitter}: brightness, contrast, saturation, hue, each 0 to 1")
        for name in ("jitter_chance", "grey", "blur", "erase", "flip"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a chance is from 0 to 1")
        if self.views < 1:
            raise ValueError(f"views is {self.views}: at least 1")

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


def decode_views(dali: Any, encoded: Any, image: ImageSpec, decoder: Decoder) -> list[Any]:
    """Decode, augment and finish: the images of each view, as ``image`` wants them."""
    random = random_augmentation(image.augment)
    if random is not None:
        return [_random_view(dali, encoded, image, random, decoder) for _ in range(random.views)]
    images = decoder.whole(encoded)
    if image.augment == "eval":
        return [resize_and_finish(dali, images, image, covering=EVAL_RESIZE_RATIO)]
    if callable(image.augment):
        # What that gives need not be what our own resizing takes.
        return [finish(dali, resize(dali, image.augment(images), image, resizer="dali"), image)]
    return [resize_and_finish(dali, images, image)]


def _random_view(dali: Any, encoded: Any, image: ImageSpec, random: Augmentation, decoder: Decoder) -> Any:
    images = decoder.random_crop(encoded, random.area, random.aspect)
    if not random.changes_pixels:
        return resize_and_finish(dali, images, image, _flip(dali, random))
    images = resize(dali, images, image)
    if random.policy is not None:
        images = _apply_policy(images, random, image)
    if any(random.jitter) or random.grey:
        images = jitter(dali, images, random)
    if random.blur:
        images = _blur(dali, images, random)
    if random.erase:
        images = _erase(dali, images, random, image)
    return finish(dali, images, image, _flip(dali, random))


def _flip(dali: Any, random: Augmentation) -> Any:
    return dali.fn.random.coin_flip(probability=random.flip) if random.flip else None


def _apply_policy(images: Any, random: Augmentation, image: ImageSpec) -> Any:
    from nvidia.dali.auto_aug import auto_augment, rand_augment, trivial_augment

    if random.policy == "randaugment":
        return rand_augment.rand_augment(images, n=random.rand_layers, m=random.rand_magnitude, shape=image.size)
    if random.policy == "trivialaugment":
        return trivial_augment.trivial_augment_wide(images, shape=image.size)
    return auto_augment.auto_augment_image_net(images, shape=image.size)


def _chance(dali: Any, probability: float) -> Any:
    """1.0 with this probability, else 0.0, for each image."""
    return dali.fn.cast(dali.fn.random.coin_flip(probability=probability), dtype=dali.types.FLOAT)


def jitter(dali: Any, images: Any, random: Augmentation) -> Any:
    """Change brightness, contrast, saturation and hue by chance, and take the colour away."""
    fn = dali.fn
    brightness, contrast, saturation, hue = random.jitter

    def factor(strength: float) -> Any:
        if not strength:
            return 1.0
        value = fn.random.uniform(range=[1 - strength, 1 + strength])
        return 1 + (value - 1) * apply

    apply = _chance(dali, random.jitter_chance)
    colour = factor(saturation)
    if random.grey:
        colour = colour * (1 - _chance(dali, random.grey))
    angle = fn.random.uniform(range=[-360 * hue, 360 * hue]) * apply if hue else 0.0
    return fn.color_twist(
        images, brightness=factor(brightness), contrast=factor(contrast), saturation=colour, hue=angle
    )


def _blur(dali: Any, images: Any, random: Augmentation) -> Any:
    fn = dali.fn
    apply = _chance(dali, random.blur)
    # Of a sigma this small the window has one pixel that matters: the image stays as it is.
    sigma = fn.random.uniform(range=[0.1, 2.0]) * apply + 0.01 * (1 - apply)
    return fn.gaussian_blur(images, sigma=sigma)


def _erase(dali: Any, images: Any, random: Augmentation, image: ImageSpec) -> Any:
    fn = dali.fn
    apply = _chance(dali, random.erase)
    area = fn.random.uniform(range=[0.02, 0.33]) * apply
    # Aspect 0.3 to 3.3, evenly in its logarithm (Zhong et al., Random Erasing Data Augmentation).
    aspect = dali.math.exp(fn.random.uniform(range=[-1.2, 1.2]))
    height, width = dali.math.min(dali.math.sqrt(area * aspect), 1.0), dali.math.min(dali.math.sqrt(area / aspect), 1.0)
    top = fn.random.uniform(range=[0.0, 1.0]) * (1 - height)
    left = fn.random.uniform(range=[0.0, 1.0]) * (1 - width)
    return fn.erase(
        images,
        anchor=fn.stack(top, left),
        shape=fn.stack(height, width),
        normalized=True,
        axis_names="HW",
        fill_value=[255 * value for value in image.mean],
    )
