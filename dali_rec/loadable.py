"""Which encoded images the loader shows as Pillow does, by their headers.

The rules were found by decoding files of each kind with DALI 2.4 and with Pillow, and comparing the pixels. What they
do not know counts as an obstacle.
"""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from dali_rec.orientation import Buffer, jpeg_segments, turns_alike, turns_jpeg_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.TiffImagePlugin import TiffImageFile

_TURNED_OTHERWISE = "it is turned by an orientation that the loader does not read"

_APPLICATION_14 = 0xEE

_PNG_MARKS = (b"XML:com.adobe.xmp", b"Raw profile type exif")

# Numbers of the tags of a TIFF.
_BITS, _PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _SUBSAMPLING, _XMP = 258, 262, 338, 339, 530, 700
_UNSIGNED, _PREMULTIPLIED, _YCBCR = 1, 1, 6
_TIFF_COMPRESSIONS = frozenset(
    {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg", "zstd", "lerc"}
)
_TIFF_BITS: dict[str, frozenset[tuple[int, ...]]] = {
    "L": frozenset({(8,)}),
    "P": frozenset({(1,), (2,), (4,), (8,)}),
    "I;16": frozenset({(12,), (16,)}),
    "I;16B": frozenset({(16,)}),
    "RGB": frozenset((bits,) * count for bits in (8, 16) for count in (3, 4, 5, 6)),
    "RGBA": frozenset((bits,) * count for bits in (8, 16) for count in (4, 5, 6)),
    "CMYK": frozenset({(8,) * 4}),
    "YCbCr": frozenset({(8,) * 3}),
}

_BMP_INFO_HEADER, _BMP_LARGE_HEADER = 40, 56
_BMP_RLE4, _BMP_BITFIELDS = 2, 3
_BMP_MASKS = ((0xFF0000, 0xFF00, 0xFF), (0, 0, 0))

# White space and comments, as they may stand between the numbers of a header (Netpbm's format pages).
_PNM_HEADER = re.compile(rb"P([1-6])" + 2 * rb"(?:\s|#[^\r\n]*[\r\n])+(\d+)" + rb"(?:(?:\s|#[^\r\n]*[\r\n])+(\d+))?")
_PNM_MAXVALS = (255, 65535)
# More digits than an int holds, which the loader's parser reads where other kinds have their largest value.
_LONG_FIRST_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*[01]{11}")

_JPEG2000_CODESTREAM = b"\xff\x4f\xff\x51"
_GREY_SPACE = 17
_NOT_RGB = (12, _GREY_SPACE, 18)  # CMYK, grey, sYCC


def obstacle_in_jpeg(data: Buffer, mode: str) -> str:
    """Why the loader does not show a JPEG as Pillow does; empty where it does."""
    if mode == "CMYK" and not any(
        segment.startswith(b"Adobe") for segment in jpeg_segments(data, _APPLICATION_14) or ()
    ):
        return "it is CMYK without Adobe's marker, of which the loader inverts the colours"
    return "" if turns_jpeg_alike(data) else _TURNED_OTHERWISE


def obstacle_in(image: Image.Image, data: Buffer) -> str:
    """Why the loader does not show an image that Pillow has opened as Pillow does; empty where it does."""
    check = _CHECKS.get(image.format or "")
    if check is None:
        return "the loader has no decoder for the format"
    try:
        return check(image, bytes(data))
    except (struct.error, IndexError):
        return "its header is not as it should be"


def _in_png(image: Image.Image, data: bytes) -> str:
    if image.info.get("default_image"):
        return "its first picture is not of its animation, of which the loader shows the first frame"
    if not any(mark in data for mark in _PNG_MARKS):
        return ""
    with Image.open(io.BytesIO(data)) as copy:
        try:
            return "" if turns_alike(copy) else _TURNED_OTHERWISE  # decodes it, for what stands behind the pixels
        except (OSError, SyntaxError, ValueError):
            return ""  # decoding says what is wrong


def _in_webp(image: Image.Image, data: bytes) -> str:
    if not {"exif", "xmp"} & image.info.keys():
        return ""
    if "exif" in image.info:
        for name, size in _webp_chunks(data):
            if name == b"EXIF":
                break
            if size % 2:
                return "its EXIF data stand behind a chunk of odd length, which ends the loader's search for them"
    return "" if turns_alike(image) else _TURNED_OTHERWISE


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk; chunks begin at even offsets (RFC 9649)."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, size
        at += 8 + size + size % 2


def _in_tiff(image: Image.Image, data: bytes) -> str:  # noqa: ARG001
    tiff: TiffImageFile = image  # type: ignore[assignment]
    tags = tiff.tag_v2
    compression = image.info.get("compression", "raw")
    bits = tuple(tags.get(_BITS, (1,)))
    is_ycc = tags.get(_PHOTOMETRIC) == _YCBCR
    obstacles = {
        f"its compression is {compression}": compression not in _TIFF_COMPRESSIONS,
        f"its samples have {'+'.join(map(str, bits))} bits, as {image.mode}": bits
        not in _TIFF_BITS.get(image.mode, ()),
        "its samples are signed": set(tags.get(_SAMPLE_FORMAT, ())) - {_UNSIGNED},
        "its colours are multiplied by its alpha": _PREMULTIPLIED in tags.get(_EXTRA_SAMPLES, ()),
        "it is YCbCr of one channel": is_ycc and image.mode == "L",
        "its YCbCr does not say that its chroma is whole": image.mode == "YCbCr"
        and tuple(tags.get(_SUBSAMPLING, ())) != (1, 1),
        _TURNED_OTHERWISE: _XMP in tags and not turns_alike(image),
    }
    return next((obstacle for obstacle, holds in obstacles.items() if holds), "")


def _in_bmp(image: Image.Image, data: bytes) -> str:  # noqa: ARG001
    (header,) = struct.unpack_from("<I", data, 14)
    if header < _BMP_INFO_HEADER:
        (bits,), compression = struct.unpack_from("<H", data, 24), 0
    else:
        bits, compression = struct.unpack_from("<HI", data, 28)
    if bits == 16:
        return "it has 16 bits a pixel"
    if compression == _BMP_RLE4:
        return "its compression is RLE4"
    if compression == _BMP_BITFIELDS:
        masks = struct.unpack_from("<3I", data, 54)
        if bits != 32 or (header < _BMP_LARGE_HEADER and masks not in _BMP_MASKS):
            return f"its {bits} bits a pixel are parted by masks"
    return ""


def _in_pnm(image: Image.Image, data: bytes) -> str:  # noqa: ARG001
    header = _PNM_HEADER.match(data)
    if header is None:
        return "its header is not as it should be"
    kind = int(header[1])
    if kind not in (1, 4) and (header[4] is None or int(header[4]) not in _PNM_MAXVALS):
        return "its largest value is neither 255 nor 65535"
    if kind == 1 and _LONG_FIRST_NUMBER.match(data, header.end(3)):
        return "its bits are not parted by white space"
    if kind in (2, 3) and not data[-1:].isspace():
        return "no white space follows its last number"
    return ""


def _in_jpeg2000(image: Image.Image, data: bytes) -> str:
    header = read_jpeg2000(data)
    if header is None:
        return "its header is not as it should be"
    if image.mode not in ("L", "RGB", "RGBA"):
        return f"its mode is {image.mode}"
    bits = header.bits
    if header.is_signed or header.is_subsampled or bits not in (8, 16) or (bits == 16 and image.mode == "L"):
        return "its components are not all of 8 bits, or of 16 in colour, unsigned and of full size"
    if not header.agrees:
        return "its header gives another depth than its components have"
    shows = header.space == _GREY_SPACE if image.mode == "L" else header.space not in _NOT_RGB
    if not shows:
        return "its colour space is not said, or is not grey or RGB"
    return ""


class Jpeg2000Header(NamedTuple):
    """What a JPEG 2000 file says of its components.

    bits: of all components, 0 where they differ. agrees: whether the box before the codestream says the same. space:
    number of the colour space, None where none is given by number.
    """

    bits: int
    is_signed: bool
    is_subsampled: bool
    agrees: bool
    space: int | None


def read_jpeg2000(data: bytes) -> Jpeg2000Header | None:
    """The header of a JPEG 2000 file or bare codestream (ITU-T T.800, A.5.1 and I.5.3); None where there is none."""
    stream, depth, space = 0, None, None
    if not data.startswith(_JPEG2000_CODESTREAM):
        stream = -1
        for name, start, end in _boxes(data, 0, len(data)):
            if name == b"jp2c":
                stream = start
                break
            for inner, at, _ in _boxes(data, start, end) if name == b"jp2h" else ():
                if inner == b"ihdr":
                    depth = data[at + 10]
                elif inner == b"colr" and space is None and data[at] == 1:
                    (space,) = struct.unpack_from(">I", data, at + 3)
    if stream < 0 or not data.startswith(_JPEG2000_CODESTREAM, stream):
        return None
    (count,) = struct.unpack_from(">H", data, stream + 40)
    components = data[stream + 42 : stream + 42 + 3 * count]
    depths = set(components[::3])
    first = components[0]
    return Jpeg2000Header(
        bits=(first & 0x7F) + 1 if len(depths) == 1 else 0,
        is_signed=any(one & 0x80 for one in depths),
        is_subsampled=set(components[1::3]) | set(components[2::3]) != {1},
        agrees=depth is None or depths == {depth},
        space=space,
    )


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name of each box, and where what it holds begins and ends."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if size == 0 else start + size
        if size and size < head:
            return
        yield name, start + head, min(stop, end)
        start = stop


_CHECKS: dict[str, Callable[[Image.Image, bytes], str]] = {
    "PNG": _in_png,
    "WEBP": _in_webp,
    "TIFF": _in_tiff,
    "BMP": _in_bmp,
    "PPM": _in_pnm,
    "JPEG2000": _in_jpeg2000,
}
