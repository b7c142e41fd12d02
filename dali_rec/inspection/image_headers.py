"""What encoded images say of themselves in their headers, of many at a time: format, mode and size."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec.errors import ImageRejectedError
from dali_rec.images import inspect_image
from dali_rec.inspection.headers import DAMAGED, FORMAT_CODES, IMAGE, MODE_CODES, NOT_AN_IMAGE
from dali_rec.inspection.jpeg_headers import read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.inspection.headers import RecordHeaders

_JPEG_MODES = np.array([MODE_CODES[{1: "L", 3: "RGB", 4: "CMYK"}.get(count, "other")] for count in range(256)])
_PNG_MODES = np.array([MODE_CODES[{0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}.get(n, "other")] for n in range(256)])

_SIGNATURE_BYTES = 12
#: The beginnings of formats that Pillow inspects one by one; those of two letters may well be of something else.
_OTHER_SIGNATURES = (b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_SHORT_SIGNATURES = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")


class Images(NamedTuple):
    """Encoded images, and where their headers go.

    data: uint8, the bytes of a file. rows: of the RecordHeaders to fill in. starts, ends: int64 of shape (N,), where in
    ``data`` each image lies.
    """

    data: NDArray[np.uint8]
    rows: NDArray[np.intp]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Images:
        """Those of them that are chosen."""
        return Images(self.data, self.rows[chosen], self.starts[chosen], self.ends[chosen])


def read_image_headers(headers: RecordHeaders, images: Images) -> None:
    """Fill in what the images say: JPEG, PNG and WebP many at a time, other formats one by one, by Pillow."""
    data, rows, starts, ends = images
    headers.outcome[rows] = NOT_AN_IMAGE
    # Of an image shorter than a signature the bytes behind it are looked at too, but never those behind the file.
    columns = np.minimum(starts[:, None] + np.arange(_SIGNATURE_BYTES), len(data) - 1)
    beginnings = data[columns]
    signatures = beginnings.view(f"S{_SIGNATURE_BYTES}")[:, 0]
    is_jpeg = (beginnings[:, :3] == (0xFF, 0xD8, 0xFF)).all(axis=1)
    is_png = (beginnings[:, :8] == tuple(b"\x89PNG\r\n\x1a\n")).all(axis=1)
    is_webp = np.char.startswith(signatures, b"RIFF") & (beginnings[:, 8:12] == tuple(b"WEBP")).all(axis=1)
    _read_jpegs(headers, images.where(is_jpeg))
    _read_pngs(headers, images.where(is_png))
    _read_webps(headers, images.where(is_webp))
    rest = ~(is_jpeg | is_png | is_webp)
    for row, start, end, signature in zip(
        rows[rest].tolist(), starts[rest].tolist(), ends[rest].tolist(), beginnings[rest], strict=True
    ):
        beginning = signature.tobytes()
        if beginning.startswith(_OTHER_SIGNATURES) or beginning[4:8] == b"ftyp":
            _inspect(headers, row, data[start:end].tobytes(), DAMAGED)
        elif beginning.startswith(_SHORT_SIGNATURES):
            _inspect(headers, row, data[start:end].tobytes(), NOT_AN_IMAGE)


def _read_jpegs(headers: RecordHeaders, images: Images) -> None:
    rows = images.rows
    frames = read_frames(images.data, images.starts, images.ends)
    _put(headers, rows, "JPEG", _JPEG_MODES[frames.components], frames.width, frames.height, frames.found)
    headers.process[rows] = frames.process
    headers.sampling[rows] = frames.sampling
    headers.eight_bit[rows] = frames.precision == 8


def _read_pngs(headers: RecordHeaders, images: Images) -> None:
    """Signature, then the chunk IHDR: width and height as big-endian u32, bit depth, colour type."""
    rows, first = _first_bytes(headers, images, "PNG", 26)
    sizes = first[:, 16:24].copy().view(">u4").astype(np.int64)
    found = (first[:, 12:16] == tuple(b"IHDR")).all(axis=1) & (sizes > 0).all(axis=1) & (sizes < 1 << 31).all(axis=1)
    modes = _PNG_MODES[first[:, 25]]
    modes = np.where((first[:, 24] == 16) & (first[:, 25] == 0), MODE_CODES["I;16"], modes)
    modes = np.where((first[:, 24] == 1) & (first[:, 25] == 0), MODE_CODES["1"], modes)
    _put(headers, rows, "PNG", modes, sizes[:, 0], sizes[:, 1], found)


def _read_webps(headers: RecordHeaders, images: Images) -> None:
    """RIFF, size, WEBP, then the first chunk: VP8 (lossy), VP8L (lossless) or VP8X (extended)."""
    rows, first = _first_bytes(headers, images, "WEBP", 30)
    first = first.astype(np.int64)
    kind = first[:, 15]
    lossy = np.stack([(first[:, 26] | first[:, 27] << 8) & 0x3FFF, (first[:, 28] | first[:, 29] << 8) & 0x3FFF])
    bits = first[:, 21] | first[:, 22] << 8 | first[:, 23] << 16 | first[:, 24] << 24
    lossless = np.stack([(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1])
    extended = np.stack([first[:, at] + 1 + (first[:, at + 1] << 8) + (first[:, at + 2] << 16) for at in (24, 27)])
    kinds = [kind == ord(letter) for letter in " LX"]
    width, height = (np.select(kinds, [lossy[axis], lossless[axis], extended[axis]], 0) for axis in (0, 1))
    has_alpha = np.select(kinds, [kind < 0, bits >> 28 & 1 == 1, first[:, 20] & 0x10 > 0], default=False)
    modes = np.where(has_alpha, MODE_CODES["RGBA"], MODE_CODES["RGB"])
    found = (first[:, 12:15] == tuple(b"VP8")).all(axis=1) & (width > 0) & (height > 0)
    _put(headers, rows, "WEBP", modes, width, height, found)


def _first_bytes(
    headers: RecordHeaders, images: Images, kind: str, count: int
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """The rows and the first bytes, shape (N, count), of the images that have so many; the others are damaged."""
    is_whole = images.starts + count <= images.ends
    cut_off = images.rows[~is_whole]
    headers.outcome[cut_off] = DAMAGED
    headers.format[cut_off] = FORMAT_CODES[kind]
    return images.rows[is_whole], images.data[images.starts[is_whole, None] + np.arange(count)]


def _put(
    headers: RecordHeaders,
    rows: NDArray[np.intp],
    kind: str,
    modes: NDArray[np.integer],
    width: NDArray[np.integer],
    height: NDArray[np.integer],
    found: NDArray[np.bool_],
) -> None:
    headers.format[rows] = FORMAT_CODES[kind]
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
        headers.format[row] = FORMAT_CODES["other"] if otherwise == DAMAGED else 0
        return
    headers.outcome[row] = IMAGE
    headers.format[row] = FORMAT_CODES.get(info.format, FORMAT_CODES["other"])
    headers.mode[row] = MODE_CODES.get(info.mode, MODE_CODES["other"])
    headers.width[row], headers.height[row] = info.width, info.height
