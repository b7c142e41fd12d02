"""What the records of a .rec file say of themselves, from their headers alone: nothing is decoded."""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec.errors import ImageRejectedError, RecordError
from dali_rec.images import inspect_image
from dali_rec.inspection.jpeg_headers import read_frames
from dali_rec.recordio.framing import HEAD, MAGIC, MAX_RECORD_LENGTH
from dali_rec.recordio.header import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dali_rec.recordio import RecordReader

#: What a record can turn out to be: an image whose header is whole, an image whose header is damaged, bytes that are no
#: image, an image header without an image (as InsightFace's identity records), a record too short for an image header,
#: and no record at all where the index says that one begins.
OUTCOMES = ("image", "damaged", "not an image", "no image", "no header", "no record")
IMAGE, DAMAGED, NOT_AN_IMAGE, NO_IMAGE, NO_HEADER, NO_RECORD = range(len(OUTCOMES))

FORMATS = ("", "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "AVIF", "other")
MODES = ("", "RGB", "L", "P", "RGBA", "LA", "CMYK", "I;16", "1", "other")
_FORMAT_CODES = {name: code for code, name in enumerate(FORMATS)}
_MODE_CODES = {name: code for code, name in enumerate(MODES)}
_JPEG_MODES = np.array([_MODE_CODES[{1: "L", 3: "RGB", 4: "CMYK"}.get(count, "other")] for count in range(256)])
_PNG_MODES = np.array([_MODE_CODES[{0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}.get(n, "other")] for n in range(256)])

_ROWS_AT_ONCE = 65536
_SIGNATURE_BYTES = 12
#: The beginnings of formats that Pillow inspects one by one; those of two letters may well be of something else.
_OTHER_SIGNATURES = (b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_SHORT_SIGNATURES = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")


class RecordHeaders(NamedTuple):
    """The headers of N records, each an array of shape (N,).

    outcome: uint8, one of OUTCOMES. key: uint64, the id. flag: uint32 of the image header. label_at: int64, the byte
    offset of the first label in the file, or -1 where it must be read otherwise. size: int64, bytes of the encoded
    image. format, mode: uint8, into FORMATS and MODES. width, height: int32, pixels as stored. process, sampling:
    uint8, as in JpegFrames, for JPEGs. eight_bit: bool, whether components have eight bits, for JPEGs.
    """

    outcome: NDArray[np.uint8]
    key: NDArray[np.uint64]
    flag: NDArray[np.uint32]
    label_at: NDArray[np.int64]
    size: NDArray[np.int64]
    format: NDArray[np.uint8]
    mode: NDArray[np.uint8]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    process: NDArray[np.uint8]
    sampling: NDArray[np.uint8]
    eight_bit: NDArray[np.bool_]


def scan_headers(reader: RecordReader, offsets: NDArray[np.int64]) -> Iterator[RecordHeaders]:
    """The headers of the records at these offsets of a file, in that order, some ten thousand at a time."""
    for at in range(0, len(offsets), _ROWS_AT_ONCE):
        yield _scan(reader, offsets[at : at + _ROWS_AT_ONCE])


def _scan(reader: RecordReader, offsets: NDArray[np.int64]) -> RecordHeaders:
    count = len(offsets)
    headers = RecordHeaders(
        np.full(count, NO_RECORD, np.uint8),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint32),
        np.full(count, -1, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(count, np.bool_),
    )
    if not reader.size:
        return headers
    words = np.frombuffer(reader.buffer, "<u4", reader.size // 4)
    data = np.frombuffer(reader.buffer, np.uint8)
    (rows,) = np.nonzero((offsets >= 0) & (offsets & 3 == 0) & (offsets + HEAD.size <= reader.size))
    rows = rows[words[offsets[rows] >> 2] == MAGIC]
    second = words[(offsets[rows] >> 2) + 1]
    length = (second & MAX_RECORD_LENGTH).astype(np.int64)
    fits = offsets[rows] + HEAD.size + length <= reader.size
    split = rows[fits & (second >> 29 == 1)]  # the records that hold the magic, a handful in a million
    whole = fits & (second >> 29 == 0)
    _scan_whole(headers, words, data, rows[whole], offsets[rows[whole]], length[whole])
    for row in split.tolist():
        _scan_split(headers, row, reader, int(offsets[row]))
    return headers


def _scan_whole(
    headers: RecordHeaders,
    words: NDArray[np.uint32],
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    offsets: NDArray[np.int64],
    length: NDArray[np.int64],
) -> None:
    headers.outcome[rows] = NO_HEADER
    has_header = length >= HEADER.size
    rows, offsets, length = rows[has_header], offsets[has_header], length[has_header]
    flag = words[(offsets >> 2) + 2]
    before = HEADER.size + 4 * flag.astype(np.int64)
    holds = before <= length  # else the header promises more labels than there is room for
    rows, offsets, length, flag, before = (part[holds] for part in (rows, offsets, length, flag, before))
    headers.outcome[rows] = NO_IMAGE
    headers.flag[rows] = flag
    id_at = (offsets >> 2) + 4
    headers.key[rows] = words[id_at].astype(np.uint64) | words[id_at + 1].astype(np.uint64) << np.uint64(32)
    headers.label_at[rows] = offsets + np.where(flag > 0, HEAD.size + HEADER.size, HEAD.size + 4)
    headers.size[rows] = length - before
    filled = length > before
    starts, ends = (offsets + HEAD.size + before)[filled], (offsets + HEAD.size + length)[filled]
    _scan_images(headers, data, rows[filled], starts, ends)


def _scan_images(
    headers: RecordHeaders,
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    headers.outcome[rows] = NOT_AN_IMAGE
    # Of an image shorter than a signature the bytes behind it are looked at too, but never those behind the file.
    columns = np.minimum(starts[:, None] + np.arange(_SIGNATURE_BYTES), len(data) - 1)
    beginnings = data[columns]
    signatures = beginnings.view(f"S{_SIGNATURE_BYTES}")[:, 0]
    is_jpeg = (beginnings[:, :3] == (0xFF, 0xD8, 0xFF)).all(axis=1)
    is_png = (beginnings[:, :8] == tuple(b"\x89PNG\r\n\x1a\n")).all(axis=1)
    is_webp = np.char.startswith(signatures, b"RIFF") & (beginnings[:, 8:12] == tuple(b"WEBP")).all(axis=1)
    _scan_jpegs(headers, data, rows[is_jpeg], starts[is_jpeg], ends[is_jpeg])
    _scan_pngs(headers, data, rows[is_png], starts[is_png], ends[is_png])
    _scan_webps(headers, data, rows[is_webp], starts[is_webp], ends[is_webp])
    rest = ~(is_jpeg | is_png | is_webp)
    for row, start, end, signature in zip(
        rows[rest].tolist(), starts[rest].tolist(), ends[rest].tolist(), beginnings[rest], strict=True
    ):
        beginning = signature.tobytes()
        if beginning.startswith(_OTHER_SIGNATURES) or beginning[4:8] == b"ftyp":
            _inspect(headers, row, data[start:end].tobytes(), DAMAGED)
        elif beginning.startswith(_SHORT_SIGNATURES):
            _inspect(headers, row, data[start:end].tobytes(), NOT_AN_IMAGE)


def _scan_jpegs(
    headers: RecordHeaders,
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    frames = read_frames(data, starts, ends)
    _put(headers, rows, "JPEG", _JPEG_MODES[frames.components], frames.width, frames.height, frames.found)
    headers.process[rows] = frames.process
    headers.sampling[rows] = frames.sampling
    headers.eight_bit[rows] = frames.precision == 8


def _scan_pngs(
    headers: RecordHeaders,
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Signature, then the chunk IHDR: width and height as big-endian u32, bit depth, colour type."""
    whole = starts + 26 <= ends
    headers.outcome[rows[~whole]] = DAMAGED
    headers.format[rows[~whole]] = _FORMAT_CODES["PNG"]
    rows, starts = rows[whole], starts[whole]
    first = data[starts[:, None] + np.arange(26)]
    sizes = first[:, 16:24].copy().view(">u4").astype(np.int64)
    found = (first[:, 12:16] == tuple(b"IHDR")).all(axis=1) & (sizes > 0).all(axis=1) & (sizes < 1 << 31).all(axis=1)
    modes = _PNG_MODES[first[:, 25]]
    modes = np.where((first[:, 24] == 16) & (first[:, 25] == 0), _MODE_CODES["I;16"], modes)
    modes = np.where((first[:, 24] == 1) & (first[:, 25] == 0), _MODE_CODES["1"], modes)
    _put(headers, rows, "PNG", modes, sizes[:, 0], sizes[:, 1], found)


def _scan_webps(
    headers: RecordHeaders,
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """RIFF, size, WEBP, then the first chunk: VP8 (lossy), VP8L (lossless) or VP8X (extended)."""
    whole = starts + 30 <= ends
    headers.outcome[rows[~whole]] = DAMAGED
    headers.format[rows[~whole]] = _FORMAT_CODES["WEBP"]
    rows, starts = rows[whole], starts[whole]
    first = data[starts[:, None] + np.arange(30)].astype(np.int64)
    kind = first[:, 15]
    lossy = np.stack([(first[:, 26] | first[:, 27] << 8) & 0x3FFF, (first[:, 28] | first[:, 29] << 8) & 0x3FFF])
    bits = first[:, 21] | first[:, 22] << 8 | first[:, 23] << 16 | first[:, 24] << 24
    lossless = np.stack([(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1])
    extended = np.stack(
        [first[:, at] + 1 + (first[:, at + 1] << 8) + (first[:, at + 2] << 16) for at in (24, 27)],
    )
    kinds = [kind == ord(letter) for letter in " LX"]
    width, height = (np.select(kinds, [lossy[axis], lossless[axis], extended[axis]], 0) for axis in (0, 1))
    has_alpha = np.select(kinds, [kind < 0, bits >> 28 & 1 == 1, first[:, 20] & 0x10 > 0], default=False)
    modes = np.where(has_alpha, _MODE_CODES["RGBA"], _MODE_CODES["RGB"])
    found = (first[:, 12:15] == tuple(b"VP8")).all(axis=1) & (width > 0) & (height > 0)
    _put(headers, rows, "WEBP", modes, width, height, found)


def _put(
    headers: RecordHeaders,
    rows: NDArray[np.intp],
    kind: str,
    modes: NDArray[np.integer],
    width: NDArray[np.integer],
    height: NDArray[np.integer],
    found: NDArray[np.bool_],
) -> None:
    headers.format[rows] = _FORMAT_CODES[kind]
    headers.outcome[rows] = np.where(found, IMAGE, DAMAGED)
    headers.mode[rows] = np.where(found, modes, 0)
    headers.width[rows] = np.where(found, width, 0)
    headers.height[rows] = np.where(found, height, 0)


def _inspect(headers: RecordHeaders, row: int, image: bytes, otherwise: int) -> None:
    """One image by Pillow, which opens it without decoding; ``otherwise`` is what it is where Pillow cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images and odd metadata; verify decodes
            info = inspect_image(image, max_pixels=1 << 62)
    except ImageRejectedError:
        headers.outcome[row] = otherwise
        headers.format[row] = _FORMAT_CODES["other"] if otherwise == DAMAGED else 0
        return
    headers.outcome[row] = IMAGE
    headers.format[row] = _FORMAT_CODES.get(info.format, _FORMAT_CODES["other"])
    headers.mode[row] = _MODE_CODES.get(info.mode, _MODE_CODES["other"])
    headers.width[row], headers.height[row] = info.width, info.height


def _scan_split(headers: RecordHeaders, row: int, reader: RecordReader, offset: int) -> None:
    """A record of several parts: put together, and scanned as a file of its own."""
    try:
        payload = bytes(reader.read_at(offset))
    except RecordError:
        return
    head = struct.pack("<II", MAGIC, len(payload))
    data = np.frombuffer(head + payload + bytes(-len(payload) & 3), np.uint8)
    rows = np.array([row])
    _scan_whole(headers, data.view("<u4"), data, rows, np.array([0]), np.array([len(payload)]))
    if headers.outcome[row] in (NO_HEADER, NO_RECORD):
        return
    # The labels lie in the first part, or DALI could not read the record either; where they do not, none are shown.
    first_part = int(np.frombuffer(reader.buffer, "<u4", 1, offset + 4)[0]) & MAX_RECORD_LENGTH
    fits = first_part >= HEADER.size + 4 * int(headers.flag[row])
    headers.label_at[row] = headers.label_at[row] + offset if fits else -1
