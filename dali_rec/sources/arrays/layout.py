"""Where the images of an array lie in its file, and which arrays are images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from dali_rec.errors import SourceError
from dali_rec.images import MAX_PIXELS
from dali_rec.sources.pixels import encode_png

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Between a file and the array in it, and before the row of an image.
INSIDE, ROW = "//", "#"
#: So many bytes of what is unpacked are kept, and can be had in any order.
MOST_KEPT = 64 << 20
_EXPECTED = "expected N × height × width, or × 1 or × 3 behind"


class ImageShape(NamedTuple):
    """Images of one size: pixels of one channel or three, of each pixel together, or a plane for each (``planes``)."""

    height: int
    width: int
    channels: int = 1
    planes: bool = False

    @property
    def size(self) -> int:
        """The bytes of an image."""
        return self.height * self.width * self.channels

    def encode(self, data: bytes) -> bytes:
        """The image of these pixels as PNG."""
        pixels = np.frombuffer(data, np.uint8)
        if self.channels == 1:
            return encode_png(Image.fromarray(pixels.reshape(self.height, self.width)))
        if self.planes:
            planes = pixels.reshape(self.channels, self.height, self.width)
            return encode_png(Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))))
        return encode_png(Image.fromarray(pixels.reshape(self.height, self.width, self.channels)))


class Packed(NamedTuple):
    """Bytes of a file that are compressed as a whole: from ``start`` on ``size`` of them.

    window: as zlib has it, which says what stands around them. checksum: the CRC-32 of what they are unpacked, unless
    it stands with them, as in a .gz.
    """

    start: int
    size: int
    window: int
    checksum: int | None = None


class Chunks(NamedTuple):
    """A data set of HDF5 that h5py has to read: so many ``rows`` at a time, as they are stored."""

    rows: int


@dataclass(frozen=True, slots=True)
class ImageArray:
    """Images of one shape, one behind the other.

    file: its path in the folder that all are relative to. member: the array in the file, "" where the file is one.
    start, step: the byte where the first image begins, and how many there are from one to the next, in the file or in
    what ``packed`` holds.
    """

    file: str
    member: str
    count: int
    shape: ImageShape
    start: int = 0
    step: int = 0
    packed: Packed | Chunks | None = None

    @property
    def place(self) -> str:
        """What says in locations and messages which array it is."""
        return f"{self.file}{INSIDE}{self.member}" if self.member else self.file

    def location(self, row: int) -> str:
        """What a sample has for the location of the image in a row."""
        return f"{self.place}{ROW}{row}"

    @property
    def is_in_order(self) -> bool:
        """Whether its images are read fast in their order alone."""
        if isinstance(self.packed, Chunks) and self.packed.rows == 1:
            return False
        return self.packed is not None and self.count * self.step > MOST_KEPT


def image_shape(where: str, dtype: np.dtype[np.generic], shape: Sequence[int]) -> ImageShape:
    """The images that an array of this type and shape is: (N, height, width), or (N, height, width, 1 or 3).

    Of (N, 3, height, width) the second is taken for the channels where the last cannot be.

    Raises SourceError, with ``where``, for other arrays, and says what to do.
    """
    if dtype != np.uint8:
        raise SourceError(f"{where}: its images are of the type {dtype.name}; {_remedy_of_type(dtype)}")
    shown = " × ".join(map(str, shape)) or "a single number"
    if 0 in shape:
        raise SourceError(f"{where}: an array of {shown}, which holds no images")
    found = _shape(where, shape, shown)
    if found.height * found.width > MAX_PIXELS:
        raise SourceError(
            f"{where}: its images are {found.height} × {found.width}; at most {MAX_PIXELS:,} pixels are packed"
        )
    return found


def _shape(where: str, shape: Sequence[int], shown: str) -> ImageShape:
    if len(shape) == 3:
        return ImageShape(shape[1], shape[2])
    if len(shape) == 4:
        is_last, is_second = shape[3] in (1, 3), shape[1] in (1, 3)
        if is_last and is_second:
            raise SourceError(
                f"{where}: an array of {shown}, of which the second or the last may be the channels; reshape it to N × "
                "height × width × channels, and save it anew"
            )
        if is_last:
            return ImageShape(shape[1], shape[2], shape[3])
        if is_second:
            return ImageShape(shape[2], shape[3], shape[1], planes=True)
    raise SourceError(f"{where}: an array of {shown}; {_EXPECTED}{_remedy_of_shape(shape)}")


def _remedy_of_type(dtype: np.dtype[np.generic]) -> str:
    if dtype.hasobject:
        return "objects are pickled, and never read; save numbers of 0 to 255 by numpy.stack(…).astype('uint8')"
    if dtype.kind == "f":
        return "save them as 0 to 255: of 0…1 (255 * images).round().astype('uint8')"
    if dtype.kind == "b":
        return "save them as 0 to 255: 255 * images.astype('uint8')"
    return "save them as 0 to 255, by .astype('uint8') if they are that already"


def _remedy_of_shape(shape: Sequence[int]) -> str:
    if len(shape) == 2:
        side = math.isqrt(shape[1])
        square = f"{side}, {side}" if side * side == shape[1] else "height, width"
        return f"; if each row is an image, save it as images.reshape(-1, {square})"
    return ", grey or RGB" if len(shape) == 4 else ""
