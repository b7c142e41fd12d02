"""Which way up an encoded image is: for Pillow by EXIF and XMP, for the loader by EXIF alone."""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.TiffImagePlugin import TiffImageFile

Buffer = bytes | bytearray | memoryview

ORIENTATION_TAG = 0x0112

_JPEG_START = b"\xff\xd8\xff"
_EXIF_START = b"Exif\x00\x00"
_XMP_START = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_ORIENTATION = b"tiff:Orientation"
_XMP_VALUE = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# The tag in either byte order, and with the type that it should have. It stands in the first directory.
_EXIF_TAGS = ((b"\x01\x12\x00", b"\x01\x12\x00\x03"), (b"\x12\x01", b"\x12\x01\x03\x00"))
_FIRST_DIRECTORY = 1024
_APPLICATION_1 = 0xE1
_JPEG_SCAN = 0xDA
# Markers that no length follows, and fill bytes (ITU-T T.81, B.1.1).
_JPEG_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA), 0xFF})
_DAMAGE = (OSError, SyntaxError, ValueError, KeyError, Image.DecompressionBombError)


def orientation_of(data: Buffer) -> int:
    """The orientation of an encoded image as Pillow has it, 1…8; 1 (upright) where it has none or damaged EXIF data."""
    if bytes(data[:3]) == _JPEG_START:
        segments = jpeg_segments(data, _APPLICATION_1)
        if segments is not None and not any(
            segment.startswith(_EXIF_START) or _XMP_ORIENTATION in segment for segment in segments
        ):
            return 1  # without opening the file, which takes as long as to encode it again
    try:
        with Image.open(io.BytesIO(data)) as image:
            return pillow_orientation(image)
    except _DAMAGE:
        return 1


def pillow_orientation(image: Image.Image) -> int:
    """The orientation of an image that Pillow has opened, 1…8. A PNG is decoded for it."""
    return _valid(image.getexif().get(ORIENTATION_TAG, 1))


def turns_jpeg_alike(data: Buffer) -> bool:
    """Whether the loader turns a JPEG as Pillow does. It takes some microseconds, as long as nothing is odd."""
    segments = jpeg_segments(data, _APPLICATION_1)
    if segments is not None:
        exif = [segment for segment in segments if segment.startswith(_EXIF_START)]
        if len(exif) < 2 and not any(map(_may_be_odd, exif)) and not any(map(_is_turned_by_xmp, segments)):
            return True
    try:
        with Image.open(io.BytesIO(data)) as image:
            return turns_alike(image)
    except _DAMAGE:
        return True  # decoding says what is wrong


def turns_alike(image: Image.Image) -> bool:
    """Whether the loader turns an image as Pillow does, which has opened it."""
    return _loader_orientations(image) == {pillow_orientation(image)}


def jpeg_segments(data: Buffer, marker: int) -> list[bytes] | None:
    """What the segments with this marker hold that stand before the pixels; None where segments do not join."""
    found: list[bytes] = []
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        kind = data[position + 1]
        if kind == _JPEG_SCAN:
            return found
        if kind in _JPEG_WITHOUT_LENGTH:
            break
        start, position = position + 4, position + 2 + (data[position + 2] << 8 | data[position + 3])
        if kind == marker:
            found.append(bytes(data[start:position]))
    return None


def _may_be_odd(exif: bytes) -> bool:
    """Whether the tag may be of another type than one number of 16 bits."""
    is_little = exif.startswith(b"II", len(_EXIF_START))
    tag, usual = _EXIF_TAGS[is_little]
    first = exif[:_FIRST_DIRECTORY]
    return tag in first and usual not in first


def _is_turned_by_xmp(segment: bytes) -> bool:
    if not segment.startswith(_XMP_START):
        return False
    start = segment.find(_XMP_ORIENTATION)
    found = _XMP_VALUE.search(segment, start) if start >= 0 else None
    return found is not None and 2 <= int(found[1]) <= 8


def _loader_orientations(image: Image.Image) -> set[int]:
    """The orientations that DALI 2.4 finds; of several EXIF segments in a JPEG it takes one for size, one for pixels.

    Seen by loading files that were made for it. It reads 16 bits whatever the type of the tag, and of WebP neither
    animations nor EXIF data that begin as those of a JPEG do.
    """
    if image.format == "TIFF":
        tiff: TiffImageFile = image  # type: ignore[assignment]
        return {_valid(tiff.tag_v2.get(ORIENTATION_TAG, 1))}
    if image.format in ("JPEG", "MPO"):
        jpeg: JpegImageFile = image  # type: ignore[assignment]
        blocks = [segment for name, segment in jpeg.applist if name == "APP1" and segment.startswith(_EXIF_START)]
    else:
        block = image.info.get("exif", b"")
        is_read = image.format != "WEBP" or not (getattr(image, "is_animated", False) or block.startswith(_EXIF_START))
        blocks = [block] if is_read else []
    return {_in_exif(block.removeprefix(_EXIF_START)) for block in blocks} or {1}


def _in_exif(block: bytes) -> int:
    """The orientation in the first directory of EXIF data, which are those of a TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}4xI", block)
        (entries,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, value = struct.unpack_from(f"{order}H6xH", block, at)
            if tag == ORIENTATION_TAG:
                return _valid(value)
    except struct.error:
        pass
    return 1


def _valid(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
