"""The pixels of an image in a row of a CSV, a column each, as MNIST has them there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import parse_float
from dali_rec.sources.tables.rows import split_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What stands for the pixels in a row of which they were left out.
PIXELS = "pixels"
_DIGITS = b"0123456789"


@dataclass(frozen=True, slots=True)
class PixelColumns:
    """The columns of a square's pixels, a row of it behind the other: grey, or red, green and blue of each in turn.

    before, after: how many other columns stand before and behind them. side, channels: of the square; 1 or 3.
    """

    before: int
    after: int
    side: int
    channels: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.side * self.side * self.channels

    def split(self, line: bytes, delimiter: str) -> tuple[list[str], bytes]:
        """The fields of the other columns, and what stands between them.

        Raises ValueError for another number of fields. Wide rows are not split into all of their fields,
        which would take most of the time.
        """
        line, mark = line.strip(b"\r\n "), delimiter.encode()
        expected = self.before + self.count + self.after
        if b'"' in line or b"'" in line:
            fields = split_line(line.decode("utf-8", "surrogateescape"), delimiter)
            if len(fields) == expected:
                stop = expected - self.after
                return fields[: self.before] + fields[stop:], delimiter.join(fields[self.before : stop]).encode()
            raise _wrong_count(len(fields), expected)
        if line.count(mark) + 1 != expected:
            raise _wrong_count(line.count(mark) + 1, expected)
        *head, rest = line.split(mark, self.before)
        rest, *tail = rest.rsplit(mark, self.after)
        return [field.decode("utf-8", "surrogateescape").strip() for field in (*head, *tail)], rest

    def pixels(self, line: bytes, delimiter: str) -> NDArray[np.uint8]:
        """The pixels of a row, uint8 of shape (side, side) or (side, side, 3).

        Raises ValueError, with the column (from 1), for what is no whole number within 0 and 255.
        """
        _, text = self.split(line, delimiter)
        values = _whole_numbers(text, delimiter.encode())
        if values is None or values.max() > 255:
            fields = text.decode("utf-8", "replace").split(delimiter)
            values = np.array([self._pixel(number, field) for number, field in enumerate(fields)])
        shape = (self.side, self.side, self.channels)[: 2 if self.channels == 1 else 3]
        return values.astype(np.uint8).reshape(shape)

    def _pixel(self, number: int, field: str) -> int:
        value = pixel_value(field)
        if value is None:
            raise ValueError(
                f"{field.strip()[:40]!r} in column {self.before + number + 1} is no pixel; expected whole numbers of "
                "0 to 255"
            )
        return value


def pixel_value(text: str) -> int | None:
    """The value of a pixel, which may be written as 12.0; None for what is no whole number within 0 and 255."""
    try:
        value = parse_float(text)
    except ValueError:
        return None
    return int(value) if 0 <= value <= 255 and value.is_integer() else None


def square_of(count: int) -> tuple[int, int] | None:
    """The side and the channels of a square, grey or RGB, of so many values; None where there is none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side and side * side * channels == count:
            return side, channels
    return None


def _whole_numbers(text: bytes, mark: bytes) -> NDArray[np.int64] | None:
    """The numbers between delimiters; None where one of them is empty, or anything but digits."""
    if text.translate(None, _DIGITS + mark) or mark * 2 in text or text[:1] in (b"", mark) or text[-1:] == mark:
        return None
    # Ten times as fast as int(). NumPy warns of what it cannot read, of which there is nothing now.
    return np.fromstring(text, np.int64, sep=mark.decode())


def _wrong_count(found: int, expected: int) -> ValueError:
    return ValueError(f"{found:,} fields, expected {expected:,}")
