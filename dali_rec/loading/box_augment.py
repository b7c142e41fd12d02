"""Images with boxes as DALI nodes: decoded, cropped, zoomed out, brought to size and mirrored, and the boxes with them.

The crop is SSD's (Liu et al., SSD: Single Shot MultiBox Detector, section 2.2, data augmentation): one that has a
certain overlap with an object; objects whose centre is outside are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.loading.augment import by_chance, jitter
from dali_rec.loading.augmentation import WHOLE, Augmentation, BoxAugmentation
from dali_rec.loading.finish import finish, resize, resize_and_finish

if TYPE_CHECKING:
    from dali_rec.box_layout import BoxLayout
    from dali_rec.loading.decoding import Decoder
    from dali_rec.loading.specs import ImageSpec

_ATTEMPTS = 25


class Boxed(NamedTuple):
    """DALI nodes: the finished images, and their boxes as they are in them.

    ``corners``: float32 of shape (N, 4): xmin, ymin, xmax, ymax in parts of the image. ``kept``: int32 of shape (N,),
    which of the record's objects these are; None for all of them.
    """

    images: Any
    corners: Any
    kept: Any | None


def decode_boxed(dali: Any, encoded: Any, labels: Any, layout: BoxLayout, image: ImageSpec, decoder: Decoder) -> Boxed:
    """Decode images, and bring them and the boxes in their labels to size."""
    fn = dali.fn
    random = image.augment if isinstance(image.augment, BoxAugmentation) else WHOLE
    corners, kept = _corners(dali, labels, layout), None
    # The window is what is seen of the image, in parts of it: where it begins and its size, each (x, y).
    begin: Any = None
    size: Any = None
    if random.zoom_out > 1:
        factor = 1 + by_chance(dali, random.zoom_chance) * fn.random.uniform(range=[0.0, random.zoom_out - 1])
        before = fn.random.uniform(range=[0.0, 1.0], shape=[2]) * (factor - 1)
        corners = (corners + fn.cat(before, before)) / factor
        begin, size = -before, fn.stack(factor, factor)
    if random.overlaps:
        crop, extent, corners, kept = _crop(dali, corners, random)
        begin, size = (crop, extent) if begin is None else (crop * size + begin, extent * size)
    if random.zoom_out > 1:
        images = _window(dali, decoder.whole(encoded), begin, size, image)
    elif random.overlaps:
        images = decoder.part(encoded, begin, size)
    else:
        images = decoder.whole(encoded)
    changes_colours = bool(any(random.jitter) or random.grey)
    is_sized = changes_colours or random.fit == "pad"
    if is_sized:
        images, corners = _to_size(dali, images, corners, random, image)
    if changes_colours:
        colours = Augmentation(jitter=random.jitter, jitter_chance=random.jitter_chance, grey=random.grey)
        images = jitter(dali, images, colours)
    mirror = None
    if random.flip:
        mirror = fn.random.coin_flip(probability=random.flip)
        corners = fn.bb_flip(corners, ltrb=True, horizontal=mirror)
    finished = (finish if is_sized else resize_and_finish)(dali, images, image, mirror)
    return Boxed(finished, corners, kept)


def _corners(dali: Any, labels: Any, layout: BoxLayout) -> Any:
    """The corners of all objects, within the image and in order, as DALI's operators want them."""
    fn, types = dali.fn, dali.types
    count = (fn.cast(labels.shape()[0], dtype=types.INT32) - layout.header) // layout.width
    objects = fn.slice(labels, start=layout.header, shape=count * layout.width, axes=[0])
    table = fn.reshape(objects, shape=fn.stack(count, np.int32(layout.width)))
    first, second = (dali.math.clamp(table[:, at : at + 2], 0.0, 1.0) for at in (1, 3))
    both = fn.cat(dali.math.min(first, second), dali.math.max(first, second), axis=1)
    # Where no image of a batch has an object, DALI 2.4 puts (0, 2) and (0, 2) together to (0, 2).
    return fn.reshape(both, shape=fn.stack(count, np.int32(4)))


def _crop(dali: Any, corners: Any, random: BoxAugmentation) -> tuple[Any, Any, Any, Any]:
    """Where the crop begins and its size, each (x, y); the corners in parts of it, and whose they are."""
    return tuple(
        dali.fn.random_bbox_crop(
            corners,
            thresholds=list(random.overlaps),
            threshold_type="iou",
            all_boxes_above_threshold=False,  # SSD wants the overlap with one object, whichever
            scaling=list(random.scale),
            aspect_ratio=list(random.aspect),
            bbox_layout="xyXY",
            allow_no_crop=True,
            num_attempts=_ATTEMPTS,
            output_bbox_indices=True,
        )
    )


def _window(dali: Any, images: Any, begin: Any, size: Any, image: ImageSpec) -> Any:
    """A part of the images that may reach out of them, where it has the mean colour."""
    return dali.fn.slice(
        images,
        begin,
        size,
        axis_names="WH",
        normalized_anchor=True,
        normalized_shape=True,
        out_of_bounds_policy="pad",
        fill_values=_mean_colour(image),
    )


def _to_size(dali: Any, images: Any, corners: Any, random: BoxAugmentation, image: ImageSpec) -> tuple[Any, Any]:
    fn = dali.fn
    if random.fit == "stretch":
        return resize(dali, images, image), corners
    images = resize(dali, images, image, resizer="dali", mode="not_larger")
    shape = fn.cast(images.shape(), dtype=dali.types.FLOAT)
    high, wide = shape[0] / image.size[0], shape[1] / image.size[1]
    padded = fn.crop(
        images,
        crop=list(image.size),
        crop_pos_x=0.0,
        crop_pos_y=0.0,
        out_of_bounds_policy="pad",
        fill_values=_mean_colour(image),
    )
    return padded, corners * fn.stack(wide, high, wide, high)


def _mean_colour(image: ImageSpec) -> list[float]:
    return [round(255 * value) for value in image.mean]
