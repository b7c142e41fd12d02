"""Lists into .rec files, as im2rec.py and the C++ im2rec write them."""

from __future__ import annotations

import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dali_rec.errors import ImageRejectedError, SourceError, UnwritableRecordError
from dali_rec.recordio import RecordWriter
from dali_rec.recordio.header import HEADER, pack_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

_IN_FLIGHT_PER_WORKER = 32
_INTERPOLATIONS = {
    0: cv2.INTER_NEAREST,
    1: cv2.INTER_LINEAR,
    2: cv2.INTER_CUBIC,
    3: cv2.INTER_AREA,
    4: cv2.INTER_LANCZOS4,
}
_AUTO, _RANDOM = 9, 10
INTER_METHODS = (*_INTERPOLATIONS, _AUTO, _RANDOM)
_LARGEST_PNG_LEVEL = 9
_USUAL_PNG_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list. ``path`` is whole: the root and what the line says."""

    key: int
    labels: tuple[float, ...]
    path: str


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """What both tools may be asked for, with their defaults.

    ``first_label_in_header``: with several labels, the header's own label is the first (C++) and not 0 (Python).
    """

    pass_through: bool = False
    resize: int = 0
    center_crop: bool = False
    quality: int = 95
    color: int = 1
    encoding: str = ".jpg"
    pack_label: bool = False
    inter_method: int = 1
    workers: int = 1
    first_label_in_header: bool = False

    def __post_init__(self) -> None:
        if self.encoding not in (".jpg", ".png"):
            raise ValueError(f"encoding is {self.encoding!r}: expected .jpg or .png")
        if self.color not in (-1, 0, 1):
            raise ValueError(f"color is {self.color}: expected -1 (as it is), 0 (grey) or 1 (colour)")
        if self.inter_method not in INTER_METHODS:
            raise ValueError(f"inter_method is {self.inter_method}: expected one of {INTER_METHODS}")
        if self.workers < 1:
            raise ValueError(f"the number of threads is {self.workers}: at least 1")


def write_database(
    rows: Iterable[Row], rec: Path, index: Path, options: DatabaseOptions, say: Callable[[str], None]
) -> tuple[int, int]:
    """Pack ``rows`` in their order; returns how many were packed and how many left out, each said through ``say``.

    Nothing stands under the names ``rec`` and ``index`` before all is done.
    """
    packed = bad = 0
    with RecordWriter(rec, index) as writer:
        for row, image in _encode_all(rows, options):
            if isinstance(image, ImageRejectedError):
                say(f"left out: id {row.key}: {row.path}: {image}")
                bad += 1
                continue
            try:
                writer.write(_header(row, options) + image, row.key)
            except UnwritableRecordError as error:
                say(f"left out: {error}")
                bad += 1
            else:
                packed += 1
        if not packed:
            raise SourceError(f"{rec}: not one image could be packed")
    return packed, bad


def _header(row: Row, options: DatabaseOptions) -> bytes:
    if not options.pack_label or len(row.labels) == 1:
        return pack_header(row.labels[0], row.key)
    header = pack_header(row.labels, row.key)
    if options.first_label_in_header:
        flag, _, key, id2 = HEADER.unpack_from(header)
        header = HEADER.pack(flag, row.labels[0], key, id2) + header[HEADER.size :]
    return header


def _encode_all(rows: Iterable[Row], options: DatabaseOptions) -> Iterator[tuple[Row, bytes | ImageRejectedError]]:
    pending: deque[tuple[Row, Future[bytes | ImageRejectedError]]] = deque()
    pool = ThreadPoolExecutor(options.workers, thread_name_prefix="im2rec")
    try:
        for row in rows:
            pending.append((row, pool.submit(_encode, row, options)))
            if len(pending) >= options.workers * _IN_FLIGHT_PER_WORKER:
                first, result = pending.popleft()
                yield first, result.result()
        while pending:
            first, result = pending.popleft()
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _encode(row: Row, options: DatabaseOptions) -> bytes | ImageRejectedError:
    try:
        with open(row.path, "rb") as file:  # noqa: PTH123  # the path may not be a valid one, which Path would hide
            data = file.read()
        return data if options.pass_through else _encode_anew(data, row.key, options)
    except (OSError, ValueError) as error:
        return error if isinstance(error, ImageRejectedError) else ImageRejectedError(f"cannot be read: {error}")


def _encode_anew(data: bytes, key: int, options: DatabaseOptions) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), options.color) if data else None
    if pixels is None:
        raise ImageRejectedError("OpenCV cannot decode it")
    if options.center_crop:
        pixels = _square(pixels)
    if options.resize > 0:
        pixels = _resize(pixels, options.resize, options.inter_method, key)
    if options.encoding == ".jpg":
        parameters = [cv2.IMWRITE_JPEG_QUALITY, options.quality]
    else:
        level = options.quality if options.quality <= _LARGEST_PNG_LEVEL else _USUAL_PNG_LEVEL
        parameters = [cv2.IMWRITE_PNG_COMPRESSION, level]
    _, encoded = cv2.imencode(options.encoding, pixels, parameters)
    return bytes(encoded)


def _square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resize(pixels: NDArray[np.uint8], side: int, inter_method: int, key: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = (side, height * side // width) if height > width else (width * side // height, side)
    if inter_method == _AUTO:
        method = cv2.INTER_CUBIC if size[0] > width else cv2.INTER_AREA
    elif inter_method == _RANDOM:  # by the id, so that packing again gives the same
        method = random.Random(key).choice(list(_INTERPOLATIONS.values()))  # noqa: S311
    else:
        method = _INTERPOLATIONS[inter_method]
    resized: NDArray[np.uint8] = cv2.resize(pixels, size, interpolation=method)
    return resized
