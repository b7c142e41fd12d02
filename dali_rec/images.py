"""Encoded images: what they are, whether they decode, and their pixels."""

from __future__ import annotations

import base64
import io
import os
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from dali_rec._files import open_regular
from dali_rec.errors import ImageRejectedError
from dali_rec.loadable import obstacle_in, obstacle_in_jpeg, read_jpeg2000
from dali_rec.orientation import Buffer, pillow_orientation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: File name extensions of the formats that DALI decodes, in lower case.
LOADABLE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)
#: Pixels that an image may have unless the caller says otherwise: twice what Pillow warns of.
MAX_PIXELS = 178_956_970

#: How much of a file is read at a time for its head; from Python 3.14 on 128 kB are read if nothing is said.
HEAD_BYTES = 8192

_THUMBNAIL = 256
_JPEG_START = b"\xff\xd8\xff"
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
_BITS_TAG = 258
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, KeyError, Image.DecompressionBombError)


class ImageInfo(NamedTuple):
    """What an encoded image says of itself: format and mode by Pillow's names, and stored size in pixels.

    obstacle: why the loader does not decode it to the pixels that Pillow makes of it; empty where it does.
    """

    format: str
    mode: str
    width: int
    height: int
    obstacle: str = ""

    @property
    def is_loadable(self) -> bool:
        """Whether the loader decodes it, to the pixels that Pillow makes of it."""
        return not self.obstacle


def is_jpeg(data: Buffer) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return bytes(data[:3]) == _JPEG_START


def inspect_image(data: Buffer, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """What the header says, nothing decoded.

    Raises ImageRejectedError if it is no image or has more than ``max_pixels`` pixels.
    """
    if len(data) == 0:
        raise ImageRejectedError("the file is empty")
    info = _inspect_jpeg(data) if is_jpeg(data) else _inspect_other(data)
    if info.width * info.height > max_pixels:
        raise ImageRejectedError(
            f"{info.width} × {info.height} pixels are more than the {max_pixels:,} that --max-pixels allows"
        )
    return info


def _inspect_jpeg(data: Buffer) -> ImageInfo:
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ImageRejectedError(f"damaged JPEG: {error}") from None
    mode = {"Gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}.get(colorspace, "RGB")
    return ImageInfo("JPEG", mode, width, height, obstacle_in_jpeg(data, mode))


def _inspect_other(data: Buffer) -> ImageInfo:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return ImageInfo(image.format or "unknown", image.mode, *image.size, obstacle_in(image, data))
    except UnidentifiedImageError:
        raise ImageRejectedError(f"not an image: it begins with {bytes(data[:16])!r}") from None
    except Image.DecompressionBombError:
        limit = f"more than the {MAX_PIXELS:,} pixels that images other than JPEGs may have"
        raise ImageRejectedError(limit) from None
    except _DECODING_ERRORS as error:
        raise ImageRejectedError(f"cannot be decoded: {error}") from None


def check_image(data: Buffer, max_pixels: int = MAX_PIXELS, *, decode: bool = True) -> ImageInfo:
    """Decode the image once, unless ``decode`` is False, and say what it is.

    Raises ImageRejectedError, with the reason, if any part of it is damaged or if the loader does not show it as Pillow
    does. A JPEG is held to libjpeg's warnings too: what Pillow passes over in silence (a stream that breaks off in the
    middle, bytes between the segments) decodes to grey blocks, or stops DALI's parser.
    """
    info = inspect_image(data, max_pixels)
    if not info.is_loadable:
        raise ImageRejectedError(
            f"the loader does not show this {info.format} as it is: {info.obstacle}; convert it to JPEG or PNG"
        )
    if decode:
        check_pixels(data, info)
    return info


def check_pixels(data: Buffer, info: ImageInfo) -> None:
    """Decode an image of which the header is known, as ``check_image`` does."""
    if info.format == "JPEG":
        _check_jpeg(data, info)
        return
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        if info.format == "PNG":
            # Pillow decodes past a wrong checksum of the pixels, at which libpng, and with it DALI, stops.
            with Image.open(io.BytesIO(data)) as image:
                image.verify()
    except _DECODING_ERRORS as error:
        raise ImageRejectedError(f"cannot be decoded: {error}") from None


def _check_jpeg(data: Buffer, info: ImageInfo) -> None:
    try:
        # Every byte of the stream is decoded and checked; the pixels themselves are not wanted, so an eighth of the
        # size will do, which takes 0.6 times as long.
        wanted = "CMYK" if info.mode == "CMYK" else "GRAY"
        simplejpeg.decode_jpeg(data, wanted, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        raise ImageRejectedError(f"damaged JPEG: {error}") from None


class StoredSize(NamedTuple):
    """The size of an image file in pixels as it is stored, and its EXIF orientation, 1…8."""

    width: int
    height: int
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as the image is shown."""
        return (self.width, self.height) if self.orientation < 5 else (self.height, self.width)


def stored_size(path: Path) -> StoredSize | None:
    """The size that an image file gives in its head, read without decoding; None where it cannot be read.

    Pillow warns of large images.
    """
    try:
        descriptor, _ = open_regular(path)
    except (OSError, ValueError):  # ValueError: of a name that no file can have
        return None
    with os.fdopen(descriptor, "rb", HEAD_BYTES) as file:
        return size_in(file)


def size_in(file: IO[bytes] | io.BufferedIOBase) -> StoredSize | None:
    """``stored_size`` of an open file."""
    try:
        with Image.open(file) as image:  # type: ignore[arg-type]  # which is no IO[bytes] by its type alone
            # Only what stands in the head: asked for more, Pillow decodes a whole PNG.
            has_exif = "exif" in image.info or image.format == "TIFF"
            return StoredSize(*image.size, pillow_orientation(image) if has_exif else 1)
    except _DECODING_ERRORS:  # UnidentifiedImageError is an OSError
        return None


def decode_image(data: Buffer) -> NDArray[np.uint8]:
    """The pixels as uint8 RGB of shape (height, width, 3), by Pillow, as the loader shows them.

    The EXIF orientation is applied, alpha is dropped, grey of more than 8 bits is scaled to 8, and of an animation it
    is the first frame. Raises ImageRejectedError if the image cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG2000" and image.mode in ("RGB", "RGBA"):
                header = read_jpeg2000(bytes(data))
                if header is not None and header.bits > 8:
                    return _decode_deep_colour(data, header.bits)
            highest = _highest_value(image)
            return np.asarray(_to_eight_bits(ImageOps.exif_transpose(image), highest).convert("RGB"))
    except _DECODING_ERRORS as error:
        if isinstance(error, ImageRejectedError):
            raise
        raise ImageRejectedError(f"cannot be decoded: {error}") from None


def html_thumbnail(data: Buffer) -> str:
    """The image, scaled down, as an element of HTML that holds it; words where it cannot be decoded."""
    try:
        picture = Image.fromarray(decode_image(data))
    except ImageRejectedError:
        return "<div>(no image that can be decoded)</div>"
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode("ascii")}">'


def _decode_deep_colour(data: Buffer, bits: int) -> NDArray[np.uint8]:
    """JPEG 2000 of more than 8 bits, by OpenCV: Pillow's rounding turns the brightest values into 0."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ImageRejectedError("cannot be decoded: OpenCV does not read this JPEG 2000")
    return _scaled(pixels[:, :, 2::-1], (1 << bits) - 1)


def _highest_value(image: Image.Image) -> int:
    """What white is where Pillow gives grey of more than 8 bits: it scales that of all formats but TIFF to 16 bits."""
    if image.format != "TIFF" or image.mode not in _SIXTEEN_BIT:
        return 65535
    bits: int = max(image.tag_v2.get(_BITS_TAG, (16,)))  # type: ignore[attr-defined]
    return (1 << bits) - 1


def _to_eight_bits(image: Image.Image, highest: int) -> Image.Image:
    """Scale grey of more than 8 bits to 8, which Pillow's own conversion would clip."""
    if image.mode == "F":
        raise ImageRejectedError("floating-point pixels have no one way to 8 bits; convert it to PNG")
    if image.mode not in ("I", *_SIXTEEN_BIT):
        return image
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > highest:
        raise ImageRejectedError(f"pixels outside 0 to {highest} have no one way to 8 bits; convert it to PNG")
    return Image.fromarray(_scaled(pixels, highest))


def _scaled(pixels: NDArray[Any], highest: int) -> NDArray[np.uint8]:
    return ((pixels.astype(np.int64) * 255 + highest // 2) // highest).astype(np.uint8)
