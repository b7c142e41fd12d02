"""One image on its way into a record: read, checked, resized where asked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from dali_rec.errors import ImageRejectedError
from dali_rec.images import ImageInfo, check_image, decode_image, is_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.packing.options import ImageOptions

_EXIF_ORIENTATION = 0x0112


class PreparedImage(NamedTuple):
    """The bytes to store and the size of the image in them, in pixels."""

    data: bytes
    width: int
    height: int


def prepare_image(location: str, root: str, options: ImageOptions) -> PreparedImage:
    """Read the image at ``location`` (relative to ``root``, or absolute) and make it what ``options`` ask for.

    Every image is decoded once in full. Raises ImageRejectedError with the reason where that fails.
    """
    if any(character in location for character in "\t\r\n"):
        raise ImageRejectedError("its name holds a tab or a line break, which a .lst cannot; rename it")
    data = _read(Path(root, location))
    if options.resize is None:
        info = check_image(data)
        return PreparedImage(data, info.width, info.height)
    return _resize(data, options.resize, options.quality)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageRejectedError(f"no such file: {path}") from None
    except OSError as error:
        raise ImageRejectedError(f"cannot be read: {error.strerror or error}: {path}") from None
    except ValueError as error:  # a null character in the path
        raise ImageRejectedError(f"cannot be read: {error}") from None


def _resize(data: bytes, shorter: int, quality: int) -> PreparedImage:
    info = _info(data)
    if min(info.width, info.height) <= shorter:
        info = check_image(data)
        return PreparedImage(data, info.width, info.height)
    orientation = _orientation(data)
    width, height = (info.width, info.height) if orientation < 5 else (info.height, info.width)
    # From the size in the header: the codec may have scaled the pixels already, and rounded.
    width, height = shrunk_size(width, height, shorter)
    pixels = _scaled(_decode(data, info, orientation, shorter), width, height)
    encoded = simplejpeg.encode_jpeg(
        pixels, quality=quality, colorspace="GRAY" if pixels.shape[2] == 1 else "RGB", colorsubsampling="420"
    )
    return PreparedImage(encoded, width, height)


def _info(data: bytes) -> ImageInfo:
    if not data or not is_jpeg(data):
        return check_image(data)
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ImageRejectedError(f"damaged JPEG: {error}") from None
    return ImageInfo("JPEG", width, height)


def _decode(data: bytes, info: ImageInfo, orientation: int, shorter: int) -> NDArray[np.uint8]:
    """Pixels of shape (height, width, 1 or 3), the EXIF orientation applied, at least ``shorter`` on a side."""
    if info.format != "JPEG":
        return decode_image(data)
    try:
        _, _, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace in ("CMYK", "YCCK"):
            check_image(data)
            return decode_image(data)
        # The codec scales by eighths while it decodes, which costs less than nothing; the rest is up to the resizer.
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "GRAY" if colorspace == "Gray" else "RGB", min_height=shorter, min_width=shorter
        )
    except ValueError as error:
        if isinstance(error, ImageRejectedError):
            raise
        raise ImageRejectedError(f"damaged JPEG: {error}") from None
    return _upright(pixels, orientation)


def _orientation(data: bytes) -> int:
    """The EXIF orientation of an encoded image, 1 (upright) where it has none or a damaged one."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
    except (SyntaxError, ValueError, OSError, KeyError):
        return 1
    orientation = exif.get(_EXIF_ORIENTATION, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: 2…8 are the mirrorings and quarter turns (EXIF 2.3, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def shrunk_size(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Width and height with the shorter side at ``shorter``, by whole-number division as im2rec has it."""
    if width <= height:
        return shorter, height * shorter // width
    return width * shorter // height, shorter


def _scaled(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] != (height, width):
        # Area averaging: each new pixel is the mean of those it covers, so that nothing is aliased.
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]
