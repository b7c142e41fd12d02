"""Lists into .rec files, as im2rec.py and the C++ im2rec write them."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from dali_rec._files import read_regular
from dali_rec._workers import begin_workers, process_count
from dali_rec.errors import ImageRejectedError, SourceError, UnwritableRecordError
from dali_rec.recordio import RecordWriter
from dali_rec.recordio.header import HEADER, pack_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec._workers import Pending

_ROWS_AT_ONCE = 8
# To begin a process takes about as long as to pack some hundreds of images.
_IMAGES_A_PROCESS = 1000
# inter_method: OpenCV's own numbers (nearest, linear, cubic, area, Lanczos), and two of MXNet's.
_OPENCV_METHODS = (0, 1, 2, 3, 4)
_AUTO, _RANDOM = 9, 10
_INTER_METHODS = (*_OPENCV_METHODS, _AUTO, _RANDOM)
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
        if self.inter_method not in _INTER_METHODS:
            raise ValueError(f"inter_method is {self.inter_method}: expected one of {_INTER_METHODS}")
        if self.workers < 1:
            raise ValueError(f"the number of threads is {self.workers}: at least 1")


def write_database(
    rows: Iterable[Row], rec: Path, index: Path, options: DatabaseOptions, say: Callable[[str], None]
) -> tuple[int, int]:
    """Pack ``rows`` in their order; returns how many were packed and how many left out, each said through ``say``.

    Nothing stands under the names ``rec`` and ``index`` before all is done.
    """
    packed = bad = 0
    drops_labels = False
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
                drops_labels |= len(row.labels) > 1 and not options.pack_label
        if not packed:
            raise SourceError(f"{rec}: not one image could be packed")
    if drops_labels:
        say(f"{rec}: of several labels only the first is stored; --pack-label, or pack_label=1, stores all")
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
    """Each row, in its order, with the bytes of its image or why it is left out."""
    rows = iter(rows)
    # Bytes that are stored as they are need no codec, and would only be handed from process to process.
    most = 1 if options.pass_through else process_count(options.workers, options.workers)
    head = list(itertools.islice(rows, most * _IMAGES_A_PROCESS))
    rows = itertools.chain(head, rows)
    encoding = begin_workers(Encoding(options), options.workers, min(most, len(head) // _IMAGES_A_PROCESS))
    with contextlib.closing(encoding) as workers:
        pending: deque[tuple[list[Row], Pending]] = deque()
        while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            pending.append((some, workers.begin(some)))
            if len(pending) * _ROWS_AT_ONCE >= workers.ahead:
                yield from _first_of(pending)
        while pending:
            yield from _first_of(pending)


def _first_of(pending: deque[tuple[list[Row], Pending]]) -> Iterator[tuple[Row, bytes | ImageRejectedError]]:
    rows, result = pending.popleft()
    return zip(rows, result.result(), strict=True)


class Encoding(NamedTuple):
    """Makes the images of records; a request is a list of rows, its answer a list of bytes or reasons. See Work."""

    options: DatabaseOptions
    remedy: str = "if it is memory that was short, take a smaller --num-thread"

    def read(self, rows: list[Row]) -> list[tuple[Row, bytes | ImageRejectedError]]:
        """Read the files."""
        return [(row, _read(row.path)) for row in rows]

    def do(self, found: list[tuple[Row, bytes | ImageRejectedError]]) -> list[bytes | ImageRejectedError]:
        """Decode, resize and encode as the options say."""
        return [_encode(row, data, self.options) for row, data in found]


def _read(path: str) -> bytes | ImageRejectedError:
    try:
        return read_regular(path)[0]
    except OSError as error:
        hint = "" if _is_text(path) else "; the list is no UTF-8 there: save it as UTF-8, unless the file is called so"
        return ImageRejectedError(f"cannot be read: {error.strerror or error}{hint}")
    except ValueError as error:
        return ImageRejectedError(f"cannot be read: {error}")


def _is_text(path: str) -> bool:
    """Whether it is no bytes that stand for no letters, as those of names in a list of Windows' older encodings."""
    return not any("\udc80" <= character <= "\udcff" for character in path)


def _encode(row: Row, data: bytes | ImageRejectedError, options: DatabaseOptions) -> bytes | ImageRejectedError:
    if options.pass_through or isinstance(data, ImageRejectedError):
        return data
    try:
        return _encode_anew(data, row.key, options)
    except ImageRejectedError as error:
        return error
    except cv2.error as error:
        return ImageRejectedError(f"OpenCV cannot make it ready: {error.err}")


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
    done, encoded = cv2.imencode(options.encoding, pixels, parameters)
    if not done:
        height, width = pixels.shape[:2]
        raise ImageRejectedError(f"OpenCV cannot store {width} × {height} pixels as {options.encoding}")
    return bytes(encoded)


def _square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resize(pixels: NDArray[np.uint8], side: int, inter_method: int, key: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = (side, height * side // width) if height > width else (width * side // height, side)
    method = inter_method
    if inter_method == _AUTO:
        method = cv2.INTER_CUBIC if size[0] > width else cv2.INTER_AREA
    elif inter_method == _RANDOM:  # by the id, so that packing again gives the same
        method = random.Random(key).choice(_OPENCV_METHODS)  # noqa: S311
    resized: NDArray[np.uint8] = cv2.resize(pixels, size, interpolation=method)
    return resized
