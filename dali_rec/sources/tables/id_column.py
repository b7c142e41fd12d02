"""A column of ids in a table."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.recordio.header import MAX_ID
from dali_rec.sources.tables.label_column import finite_number

if TYPE_CHECKING:
    from dali_rec.sources.tables.places import Places

_WITHOUT_IDS = "; --id-column '' does without ids"


class IdColumn:
    """The ids of the rows, each but once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: array[int] = array("Q")
        self._line_of: dict[int, int] = {}

    def add(self, value: object, places: Places, line: int) -> None:
        """Add the id of the next row. Raises SourceError for what is no whole number from 0 up, or stands twice."""
        where, text = places.of(line), str(value)
        number = finite_number(text)
        if number is None or not number.is_integer() or number < 0:
            raise SourceError(
                f"{where}: {self.name!r} is {text[:80]!r}; expected a whole number from 0 up{_WITHOUT_IDS}"
            )
        key = int(text) if text.isdecimal() else int(number)
        if key > MAX_ID:
            raise SourceError(f"{where}: {self.name!r} is {key}; ids go up to 2^64-1")
        if key in self._line_of:
            raise SourceError(
                f"{where}: {self.name!r} {key} stands {places.at(self._line_of[key])} already{_WITHOUT_IDS}"
            )
        self._line_of[key] = line
        self.keys.append(key)
