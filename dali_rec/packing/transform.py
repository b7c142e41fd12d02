"""One image on its way into a record: checked, and changed where asked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from dali_rec.errors import ImageRejectedError, MissingDependencyError
from dali_rec.images import ImageInfo, check_pixels, decode_image, inspect_image
from dali_rec.orientation import orientation_of
from dali_rec.packing.geometry import Geometry, plan_geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.packing.options import ImageOptions

_AVERAGING = ("bicubic", "area")
_INTERPOLATIONS = {
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_ENCODINGS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
# What a changed image is stored as where its own format is not one of those: like for like, PNG if it is lossless.
_REPLACEMENTS = {"JPEG2000": "JPEG", "AVIF": "JPEG"}


class PreparedImage(NamedTuple):
    """The bytes to store and the size of the image in them, in pixels."""

    data: bytes
    width: int
    height: int


#: An image made ready, or the reason why it was rejected.
Outcome = PreparedImage | ImageRejectedError


def transform_or_reject(data: bytes | ImageRejectedError, options: ImageOptions) -> Outcome:
    """As ``transform_image``, with an error given back: that why an image is rejected, or why it was not even read."""
    if isinstance(data, ImageRejectedError):
        return data
    try:
        return transform_image(data, options)
    except ImageRejectedError as error:
        return error


def transform_image(data: bytes, options: ImageOptions) -> PreparedImage:
    """Make an encoded image what ``options`` ask for; one that they do not change is stored as it is.

    Every image is decoded once in full, unless ``options`` trust it. Raises ImageRejectedError with the reason where
    that fails.

    What the loader does not show as Pillow does (GIF, AVIF, 4-bit TIFF, …) is encoded anew; of an animation it is the
    first frame.
    """
    info = inspect_image(data, options.max_pixels)
    if options.keeps_bytes and info.is_loadable:
        return _keep(data, info, options)
    orientation = orientation_of(data)
    upright = (info.width, info.height) if orientation < 5 else (info.height, info.width)
    geometry = plan_geometry(*upright, options)
    if geometry.width * geometry.height > options.max_pixels:
        raise ImageRejectedError(
            f"{info.width} × {info.height} pixels would become {geometry.width} × {geometry.height}, more than the "
            f"{options.max_pixels:,} that --max-pixels allows"
        )
    is_gray = info.mode in ("1", "L", "LA", "I") or info.mode.startswith("I;16")
    changes_color = options.color != "keep" and is_gray != (options.color == "gray")
    wanted = _ENCODINGS.get(options.encoding, info.format)
    if info.is_loadable and wanted == info.format and not changes_color and not geometry.changes(*upright):
        return _keep(data, info, options)
    pixels = _decode(data, info, orientation, geometry, options)
    pixels = _crop(_scale(pixels, geometry, options), geometry)
    gray = is_gray if options.color == "keep" else options.color == "gray"
    kind = wanted if wanted in _ENCODINGS.values() else _REPLACEMENTS.get(info.format, "PNG")
    try:
        encoded = _encode(_recolor(pixels, gray=gray), kind, options.quality)
    except (ValueError, OSError) as error:  # JPEG ends at 65,500 pixels a side, WebP at 16,383
        size = f"{geometry.crop_width} × {geometry.crop_height}"
        raise ImageRejectedError(f"{size} pixels cannot be stored as {kind}: {error}") from None
    return PreparedImage(encoded, geometry.crop_width, geometry.crop_height)


def _keep(data: bytes, info: ImageInfo, options: ImageOptions) -> PreparedImage:
    if not options.trust:
        check_pixels(data, info)
    return PreparedImage(data, info.width, info.height)


def _decode(
    data: bytes, info: ImageInfo, orientation: int, geometry: Geometry, options: ImageOptions
) -> NDArray[np.uint8]:
    """Upright pixels of shape (height, width, 1 or 3), at least as large as the geometry wants them."""
    if info.format != "JPEG" or info.mode == "CMYK":
        if info.is_loadable:
            check_pixels(data, info)
        return decode_image(data)
    bounds = {}
    if options.interpolation in _AVERAGING:
        # The codec can scale by eighths while it decodes, which makes decoding faster. Down to twice the wanted size
        # the result is as good as from decoding in full; all the way costs 4 dB (tools/compare_codecs).
        width, height = (geometry.width, geometry.height) if orientation < 5 else (geometry.height, geometry.width)
        bounds = {"min_width": 2 * width, "min_height": 2 * height}
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "GRAY" if info.mode == "L" else "RGB", **bounds)
    except ValueError as error:
        raise ImageRejectedError(f"damaged JPEG: {error}") from None
    return _upright(pixels, orientation)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: 2…8 are the mirrorings and quarter turns (EXIF 2.3, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _scale(pixels: NDArray[np.uint8], geometry: Geometry, options: ImageOptions) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if (width, height) == (geometry.width, geometry.height):
        return pixels
    if options.interpolation == "bicubic":
        return _scale_bicubic(pixels, geometry)
    method = _INTERPOLATIONS[options.interpolation]
    if method == cv2.INTER_AREA and (geometry.width > width or geometry.height > height):
        method = cv2.INTER_CUBIC
    return _with_channels(cv2.resize(pixels, (geometry.width, geometry.height), interpolation=method))


def _scale_bicubic(pixels: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    try:
        from dali_rec.resampling import CUBIC, resize_to_pixels  # Numba takes a while to import
    except ImportError as error:
        raise MissingDependencyError(
            f"bicubic scaling needs Numba ({error}); install it with: pip install numba, or take --interpolation area"
        ) from None
    height, width, channels = pixels.shape
    scaled = np.empty((geometry.height, geometry.width, channels), np.uint8)
    grid = 0.0, 0.0, height / geometry.height, width / geometry.width
    # Numba would compile anew for pixels that cannot be written.
    resize_to_pixels(np.require(pixels, requirements=("C", "W")), grid, CUBIC, True, False, scaled)  # noqa: FBT003
    return scaled


def _crop(pixels: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    top, left = (geometry.height - geometry.crop_height) // 2, (geometry.width - geometry.crop_width) // 2
    return pixels[top : top + geometry.crop_height, left : left + geometry.crop_width]


def _recolor(pixels: NDArray[np.uint8], *, gray: bool) -> NDArray[np.uint8]:
    """Three channels, or one of luma (ITU-R 601, as JPEG and Pillow have it)."""
    if gray == (pixels.shape[2] == 1):
        return pixels
    return _with_channels(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY if gray else cv2.COLOR_GRAY2RGB))


def _with_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]


def _encode(pixels: NDArray[np.uint8], kind: str, quality: int) -> bytes:
    pixels = np.ascontiguousarray(pixels)
    is_gray = pixels.shape[2] == 1
    if kind == "JPEG":
        encoded: bytes = simplejpeg.encode_jpeg(
            pixels, quality=quality, colorspace="GRAY" if is_gray else "RGB", colorsubsampling="420"
        )
        return encoded
    file = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if is_gray else pixels)
    if kind == "WEBP":
        image.save(file, "WEBP", quality=quality)
    else:
        image.save(file, "PNG", compress_level=3)  # a tenth larger than 6, in a third of the time
    return file.getvalue()
