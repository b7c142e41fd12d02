"""Images that stand in a table: as nested lists of 0…255, as a column for each pixel, or as files in base64."""

from __future__ import annotations

import bisect
import re
from array import array
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from dali_rec.errors import ImageRejectedError
from dali_rec.sources.pixels import encode_png, from_base64, is_base64, to_pixels
from dali_rec.sources.tables.pixel_columns import PixelColumns
from dali_rec.sources.tables.rows import parse_row

_PLACE = re.compile(r"#(\d+)\+(\d+)\Z")


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
