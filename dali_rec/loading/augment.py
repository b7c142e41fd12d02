"""Encoded images in, images of the wanted size out: decoding and augmentation as DALI nodes.

What is random here takes its numbers from the pipeline's seed, so it follows the loader's seed and its checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec.loading.augmentation import random_augmentation
from dali_rec.loading.finish import finish, resize, resize_and_finish

if TYPE_CHECKING:
    from dali_rec.loading.augmentation import Augmentation
    from dali_rec.loading.decoding import Decoder
    from dali_rec.loading.specs import ImageSpec

#: What "eval" resizes the shorter side to, over the size of its centre crop: 256 for 224.
EVAL_RESIZE_RATIO = 256 / 224


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


def by_chance(dali: Any, probability: float) -> Any:
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

    apply = by_chance(dali, random.jitter_chance)
    colour = factor(saturation)
    if random.grey:
        colour = colour * (1 - by_chance(dali, random.grey))
    angle = fn.random.uniform(range=[-360 * hue, 360 * hue]) * apply if hue else 0.0
    return fn.color_twist(
        images, brightness=factor(brightness), contrast=factor(contrast), saturation=colour, hue=angle
    )


def _blur(dali: Any, images: Any, random: Augmentation) -> Any:
    fn = dali.fn
    apply = by_chance(dali, random.blur)
    # Of a sigma this small the window has one pixel that matters: the image stays as it is.
    sigma = fn.random.uniform(range=[0.1, 2.0]) * apply + 0.01 * (1 - apply)
    return fn.gaussian_blur(images, sigma=sigma)


def _erase(dali: Any, images: Any, random: Augmentation, image: ImageSpec) -> Any:
    fn = dali.fn
    apply = by_chance(dali, random.erase)
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
