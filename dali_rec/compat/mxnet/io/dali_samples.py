"""One image as DALI takes it: the part to decode, what of that becomes the output, and whether it is mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import simplejpeg

from dali_rec.compat.mxnet.io.pixels import carry_out, decode
from dali_rec.compat.mxnet.io.plan import plan_image
from dali_rec.compat.mxnet.io.steps import Crop, Plan, Scale
from dali_rec.images import is_jpeg
from dali_rec.orientation import orientation_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dali_rec.compat.mxnet.io.draws import Draws
    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters

_END_OF_IMAGE = b"\xff\xd9"
_EXIF = b"Exif\0\0"
_EXIF_WITHIN = 65536


class Sample(NamedTuple):
    """One image as DALI takes it.

    ``image``: encoded, uint8. ``start`` and ``shape``: the part to decode, int32 (y, x). ``roi_start`` and ``roi_end``:
    where in that part the output comes from, float32 (y, x). ``mirror``: int32.
    """

    image: NDArray[np.uint8]
    start: NDArray[np.int32]
    shape: NDArray[np.int32]
    roi_start: NDArray[np.float32]
    roi_end: NDArray[np.float32]
    mirror: NDArray[np.int32]


def make_sample(image: memoryview, parameters: ImageRecordParameters, draws: Draws, *, as_stored: bool) -> Sample:
    """What DALI is given for an encoded image.

    as_stored: the image itself, if it is one that DALI shows as OpenCV does and one resize will do. Otherwise OpenCV
    makes it here. Raises ImageRejectedError or ValueError for an image that cannot be used.
    """
    size = _plain_jpeg_size(image) if as_stored else None
    if size is not None:
        plan = plan_image(parameters, size, draws)
        if sum(isinstance(step, Scale) for step in plan.steps) <= 1:
            return _part_to_decode(np.frombuffer(image, np.uint8), size, plan)
        return _finished(decode(image, parameters.channels), plan)
    pixels = decode(image, parameters.channels)
    return _finished(pixels, plan_image(parameters, (pixels.shape[0], pixels.shape[1]), draws))


def placeholder() -> Sample:
    """An image to take the place of one that cannot be used, for which DALI would stop."""
    return _finished(np.zeros((1, 1, 3), np.uint8), Plan((), mirror=False, gain=1.0, lift=0.0))


def _plain_jpeg_size(image: memoryview) -> tuple[int, int] | None:
    """Height and width of a JPEG that every decoder shows alike; None for other images."""
    if not is_jpeg(image) or bytes(image[-2:]) != _END_OF_IMAGE:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(image)
    except ValueError:
        return None
    if space not in ("YCbCr", "Gray"):
        return None
    if _EXIF in bytes(image[:_EXIF_WITHIN]) and orientation_of(image) != 1:
        return None
    return height, width


def _finished(pixels: NDArray[np.uint8], plan: Plan) -> Sample:
    """All steps carried out here; DALI gets the outcome without loss, as a PNG."""
    made = carry_out(plan.steps, pixels)
    encoded = cv2.imencode(".png", made, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].reshape(-1)
    return _sample(encoded, plan, (0, 0), made.shape[:2], (0, 0), made.shape[:2])


def _part_to_decode(image: NDArray[np.uint8], size: tuple[int, int], plan: Plan) -> Sample:
    """The steps as DALI takes them: a crop that is scaled, or a crop of the image, which may be scaled before."""
    first, last = plan.steps[0], plan.steps[-1]
    if isinstance(first, Crop) and first is not last:
        part = (first.height, first.width)
        return _sample(image, plan, (first.top, first.left), part, (0, 0), part)
    assert isinstance(last, Crop)
    scaled = (first.height, first.width) if isinstance(first, Scale) else size
    factors = np.divide(size, scaled)
    begin = np.multiply((last.top, last.left), factors)
    end = np.multiply((last.top + last.height, last.left + last.width), factors)
    # One pixel more on each side, between which and the next it is interpolated.
    start = np.maximum(0, np.floor(begin) - 1)
    stop = np.minimum(size, np.ceil(end) + 1)
    return _sample(image, plan, start, stop - start, begin - start, end - start)


def _sample(
    image: Any, plan: Plan, start: ArrayLike, shape: ArrayLike, roi_start: ArrayLike, roi_end: ArrayLike
) -> Sample:
    return Sample(
        image,
        np.asarray(start).astype(np.int32),
        np.asarray(shape).astype(np.int32),
        np.asarray(roi_start).astype(np.float32),
        np.asarray(roi_end).astype(np.float32),
        np.array(plan.mirror, np.int32),
    )
