"""Encoded images: what they are, whether they decode, and their pixels."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from dali_rec.errors import ImageRejectedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview

#: Formats, by Pillow's names, that DALI decodes on the CPU and on the GPU.
LOADABLE_FORMATS = frozenset({"JPEG", "PNG", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM"})
#: File name extensions of those formats, in lower case.
LOADABLE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)
#: Pixels that an image may have unless the caller says otherwise: twice what Pillow warns of.
MAX_PIXELS = 178_956_970

_JPEG_START = b"\xff\xd8\xff"
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
# Seen by decoding each mode with DALI 2.4 and Pillow: of the others DALI makes errors or other pixels.
_LOADABLE_MODES = {
    "TIFF": frozenset({"L", "P", "RGB", "RGBA", "CMYK", "YCbCr", *_SIXTEEN_BIT}),
    "JPEG2000": frozenset({"L", "RGB", "RGBA"}),
}
_ORIENTATION_TAG = 0x0112
# Where Pillow finds an orientation in a JPEG: in EXIF data, or in XMP, and only before the first scan.
_JPEG_ORIENTATION_MARKS = (b"Exif\x00", b"tiff:Orientation")
_JPEG_SCAN = 0xDA
# Markers that no length follows, and fill bytes (ITU-T T.81, B.1.1).
_JPEG_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA), 0xFF})
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, KeyError, Image.DecompressionBombError)


class ImageInfo(NamedTuple):
    """What an encoded image says of itself: format and mode by Pillow's names, and stored size in pixels."""

    format: str
    mode: str
    width: int
    height: int

    @property
    def is_loadable(self) -> bool:
        """Whether the loader decodes it, to the pixels that Pillow makes of it."""
        return self.format in LOADABLE_FORMATS and self.mode in _LOADABLE_MODES.get(self.format, {self.mode})


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
    return ImageInfo("JPEG", mode, width, height)


def _inspect_other(data: Buffer) -> ImageInfo:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return ImageInfo(image.format or "unknown", image.mode, *image.size)
    except UnidentifiedImageError:
        raise ImageRejectedError(f"not an image: it begins with {bytes(data[:16])!r}") from None
    except _DECODING_ERRORS as error:
        raise ImageRejectedError(f"cannot be decoded: {error}") from None


def check_image(data: Buffer, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Decode the image once and say what it is.

    Raises ImageRejectedError, with the reason, if any part of it is damaged or if the loader has no decoder for it. A
    JPEG is held to libjpeg's warnings too: what Pillow passes over in silence (a stream that breaks off in the middle,
    bytes between the segments) decodes to grey blocks, or stops DALI's parser.
    """
    info = inspect_image(data, max_pixels)
    if not info.is_loadable:
        raise ImageRejectedError(
            f"{info.format} images of mode {info.mode} cannot be decoded by the loader; convert it to JPEG or PNG"
        )
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


def orientation_of(data: Buffer) -> int:
    """The EXIF orientation of an encoded image, 1…8; 1 (upright) where it has none or damaged EXIF data."""
    if is_jpeg(data):
        head = _before_first_scan(data)
        if not any(mark in head for mark in _JPEG_ORIENTATION_MARKS):
            return 1  # without opening the file, which takes as long as to encode it again
    try:
        with Image.open(io.BytesIO(data)) as image:
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODING_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _before_first_scan(data: Buffer) -> bytes:
    """The segments of a JPEG that stand before its pixels; all of it where they are not as they should be."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _JPEG_SCAN:
            return bytes(data[:position])
        if marker in _JPEG_WITHOUT_LENGTH:
            break
        position += 2 + (data[position + 2] << 8 | data[position + 3])
    return bytes(data)


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
    """The size that an image file gives in its head, read without decoding; None where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
        try:
            with Image.open(path) as image:
                # Only what stands in the head: asked for more, Pillow decodes a whole PNG.
                has_exif = "exif" in image.info or image.format == "TIFF"
                orientation = image.getexif().get(_ORIENTATION_TAG, 1) if has_exif else 1
                valid = isinstance(orientation, int) and 1 <= orientation <= 8
                return StoredSize(*image.size, orientation if valid else 1)
        except _DECODING_ERRORS:  # UnidentifiedImageError is an OSError
            return None


def decode_image(data: Buffer) -> NDArray[np.uint8]:
    """The pixels as uint8 RGB of shape (height, width, 3), by Pillow, as the loader shows them.

    The EXIF orientation is applied, alpha is dropped, 16-bit grey is scaled to 8 bits, and of an animation it is the
    first frame. Raises ImageRejectedError if the image cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(_to_eight_bits(ImageOps.exif_transpose(image)).convert("RGB"))
    except _DECODING_ERRORS as error:
        if isinstance(error, ImageRejectedError):
            raise
        raise ImageRejectedError(f"cannot be decoded: {error}") from None


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, which Pillow's own conversion would clip."""
    if image.mode == "F":
        raise ImageRejectedError("floating-point pixels have no one way to 8 bits; convert it to PNG")
    if image.mode not in ("I", *_SIXTEEN_BIT):
        return image
    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ImageRejectedError("pixels outside 0 to 65535 have no one way to 8 bits; convert it to PNG")
    return Image.fromarray(((pixels * 255 + 32767) // 65535).astype(np.uint8))
