"""Images that stand in a table: as nested lists of 0…255, or as files in base64."""

from __future__ import annotations

import base64
import binascii
import bisect
import io
import json
import math
import re
from array import array
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from PIL import Image

from dali_rec.errors import ImageRejectedError
from dali_rec.sources.tables.pixel_columns import PixelColumns
from dali_rec.sources.tables.rows import parse_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACE = re.compile(r"#(\d+)\+(\d+)\Z")
_CHANNELS = 3
# As FER2013 has it: a number for each pixel of a square.
_SQUARE = re.compile(r"\d{1,3}(?: \d{1,3}){3,}")
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,", re.IGNORECASE)
# How JPEG, PNG, GIF, WebP and TIFF files begin in base64. A path may, too, but then has a dot for its extension.
_BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|SUkqA|TU0AK)(?:[A-Za-z0-9+/=\s]{200}|[A-Za-z0-9+/=\s]{50,}\Z)")


class HeldImages(Protocol):
    """Images that are no files of their own."""

    @property
    def stays_here(self) -> bool:
        """Whether they are in this process alone, so that no other can read them."""

    def holds(self, location: str) -> bool:
        """Whether the image at ``location`` is one of these."""

    def file_of(self, location: str) -> str:
        """The file that the image is in; empty where it is in none."""

    def listed(self, location: str) -> str:
        """What a .lst says of where the image came from."""

    def read(self, location: str) -> bytes:
        """The encoded image at ``location``. Raises ImageRejectedError, with its place, for one that cannot be had."""

    def absolute(self) -> HeldImages:
        """The same, found from any working folder."""


@dataclass(frozen=True, slots=True)
class PixelTable:
    """Where images in a table are looked up: the table, and their column by name (JSON) or number (CSV), or columns.

    delimiter: what stands between the fields of a CSV.
    """

    path: str
    column: str | int | PixelColumns
    delimiter: str = ","
    stays_here: ClassVar[bool] = False

    def location(self, start: int, length: int) -> str:
        """What a sample has for its location: the table's name and the place of its row in bytes."""
        return f"{Path(self.path).name}#{start}+{length}"

    def holds(self, location: str) -> bool:
        """Whether ``location`` is one of this table's."""
        return location.startswith(Path(self.path).name + "#") and _PLACE.search(location) is not None

    def file_of(self, _location: str) -> str:
        """See HeldImages: the table."""
        return self.path

    def listed(self, location: str) -> str:
        """See HeldImages."""
        return location

    def absolute(self) -> PixelTable:
        """See HeldImages."""
        return replace(self, path=str(Path(self.path).absolute()))

    def read(self, location: str) -> bytes:
        """The image at ``location``, pixels as PNG. Raises ImageRejectedError, with the row's place, for a bad one."""
        place = _PLACE.search(location)
        assert place is not None
        start, length = int(place[1]), int(place[2])
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123
                file.seek(start)
                row = file.read(length)
            if isinstance(self.column, PixelColumns):
                return encode_png(Image.fromarray(self.column.pixels(row, self.delimiter)))
            values: Any = parse_row(Path(self.path), row, self.delimiter)
            image = values[self.column]
            if isinstance(image, str) and is_base64(image):
                return from_base64(image)
            pixels = to_pixels(image)
        except OSError as error:
            raise ImageRejectedError(f"image at byte {start} of {self.path}: {error}") from None
        except (ValueError, LookupError) as error:
            raise ImageRejectedError(f"image {self._place(start)} of {self.path}: {error}") from None
        return encode_png(Image.fromarray(pixels))

    def _place(self, start: int) -> str:
        """Where a row is, for a message: of a row of many columns its line, which is easier to find."""
        if not isinstance(self.column, PixelColumns):
            return f"at byte {start}"
        return f"on line {bisect.bisect_right(_line_starts(self.path), start)}"


@lru_cache(maxsize=1)
def _line_starts(path: str) -> array[int]:
    """Where the lines of a file begin, kept for the next row that is bad."""
    starts = array("Q")
    at = 0
    with open(path, "rb") as file:  # noqa: PTH123
        for line in file:
            starts.append(at)
            at += len(line)
    return starts


def is_base64(text: str) -> bool:
    """Whether a text is the file of an image in base64: a data: URL, or by its beginning."""
    return _DATA_URL.match(text) is not None or _BASE64.match(text) is not None


def is_pixels(text: str) -> bool:
    """Whether a text is the pixels of an image: nested lists, or numbers with blanks between them."""
    # By the end as well: a name may begin with a bracket.
    return (text.startswith("[") and text.rstrip().endswith("]")) or _SQUARE.fullmatch(text) is not None


def from_base64(text: str) -> bytes:
    """The file that a text holds in base64, by itself or as a data: URL. Raises ValueError for what is none."""
    prefix = _DATA_URL.match(text)
    digits = "".join(text[prefix.end() if prefix is not None else 0 :].split())
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64 ({error})") from None


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG, compressed lightly."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def to_pixels(value: Any) -> NDArray[np.uint8]:
    """Nested lists, or their text, as uint8 of shape (height, width) or (height, width, 3).

    Numbers with blanks between them are the rows of a square, one behind the other.

    Raises ValueError for other shapes, ragged rows, and values that are not whole numbers within 0 and 255.
    """
    try:
        nested = _parsed(value) if isinstance(value, str) else value
    except RecursionError:
        raise ValueError("lists within lists, too deep to be read; expected height × width (× 3)") from None
    try:
        array = np.array(nested)
    except ValueError:
        raise ValueError("the rows of pixels are not all of one length") from None
    if array.dtype.kind not in "iu":
        raise ValueError("pixels must be whole numbers")
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] != _CHANNELS):
        raise ValueError(f"pixels of shape {array.shape}; expected height × width or height × width × 3")
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"pixel values from {array.min()} to {array.max()}; expected 0 to 255")
    return array.astype(np.uint8)


def _parsed(text: str) -> Any:
    if not _SQUARE.fullmatch(text):
        return json.loads(text)
    numbers = [*map(int, text.split())]
    side = math.isqrt(len(numbers))
    if side * side != len(numbers):
        raise ValueError(f"{len(numbers):,} pixels are no square; write height × width as nested lists")
    return [numbers[start : start + side] for start in range(0, len(numbers), side)]
