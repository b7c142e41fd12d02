"""Encoded images: what they are, whether they decode, and their pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from dali_rec.errors import ImageRejectedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview

#: Formats, by Pillow's names, that DALI decodes on the CPU and on the GPU.
LOADABLE_FORMATS = frozenset({"JPEG", "PNG", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM"})
#: File name extensions of those formats, in lower case.
LOADABLE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)

_JPEG_START = b"\xff\xd8\xff"


class ImageInfo(NamedTuple):
    """What an encoded image says of itself: format by Pillow's name, and stored size in pixels."""

    format: str
    width: int
    height: int


def check_image(data: Buffer) -> ImageInfo:
    """Decode the image once and say what it is.

    Raises ImageRejectedError, with the reason, if any part of it is damaged or if the loader has no decoder for it. A
    JPEG is held to libjpeg's warnings too: what Pillow passes over in silence (a stream that breaks off in the middle,
    bytes between the segments) decodes to grey blocks, or stops DALI's parser.
    """
    if len(data) == 0:
        raise ImageRejectedError("the file is empty")
    if is_jpeg(data):
        return _check_jpeg(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            name = image.format or "unknown"
            if name not in LOADABLE_FORMATS:
                raise ImageRejectedError(f"{name} images cannot be decoded by the loader; convert it to JPEG or PNG")
            width, height = image.size
            image.load()
    except UnidentifiedImageError:
        raise ImageRejectedError(f"not an image: it begins with {bytes(data[:16])!r}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageRejectedError):
            raise
        raise ImageRejectedError(f"cannot be decoded: {error}") from None
    return ImageInfo(name, width, height)


def is_jpeg(data: Buffer) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return bytes(data[:3]) == _JPEG_START


def _check_jpeg(data: Buffer) -> ImageInfo:
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        # Every byte of the stream is decoded and checked; the pixels themselves are not wanted, so an eighth of the
        # size will do, which takes 0.6 times as long.
        wanted = "CMYK" if colorspace in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, wanted, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        raise ImageRejectedError(f"damaged JPEG: {error}") from None
    return ImageInfo("JPEG", width, height)


def decode_image(data: Buffer) -> NDArray[np.uint8]:
    """The pixels as uint8 RGB of shape (height, width, 3), by Pillow, with the EXIF orientation applied.

    Raises ImageRejectedError if the image cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageRejectedError(f"cannot be decoded: {error}") from None
