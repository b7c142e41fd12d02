"""A column that says to which split a row of a table belongs."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.errors import SourceError
from dali_rec.sources.sample import SPLIT_NAMES, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dali_rec.sources.tables.places import Places

# Those of folders, and what Google's AutoML has in the first column of its tables.
_NAMES = {**SPLIT_NAMES, "validate": "val"}
_MOST = 1000  # a column of names or ids is no column of splits
_ORDER = ("train", "val", "test")


def is_split(value: str) -> bool:
    """Whether a value is the name of a split, or what AutoML has where there is none."""
    return value.strip().lower() in (*_NAMES, "unassigned")


class SplitColumn:
    """The splits of the rows, as they are told.

    name: of the column. may_be_any: whether the values may be any names, as the column was asked for.
    """

    def __init__(self, name: str, *, may_be_any: bool) -> None:
        self.name = name
        self._may_be_any = may_be_any
        self._number_of: dict[str, int] = {}
        self._numbers = array("I")
        self._line_of: list[int] = []

    def add(self, value: object, line: int) -> None:
        """Add the split of the next row."""
        text = "" if value is None else str(value).strip()
        if text not in self._number_of:
            self._number_of[text] = len(self._number_of)
            self._line_of.append(line)
        self._numbers.append(self._number_of[text])

    def parts(self, places: Places) -> tuple[NDArray[np.int64], tuple[Split, ...]] | None:
        """The rows in the order of their splits, int64 of shape (N,), and where each split lies among them.

        None where no value is the name of a split, and the column something else. Raises SourceError, with the line,
        where some are and some are not.
        """
        known = [_NAMES.get(text.lower()) for text in self._number_of]
        texts = list(self._number_of)
        if not any(known) and not self._may_be_any:
            return None
        for text, split, line in zip(texts, known, self._line_of, strict=True):
            if split is None and not (self._may_be_any and text):
                raise SourceError(
                    f"{places.of(line)}: {self.name!r} is {text[:80]!r}, which is no split as train, val and test "
                    "are; correct it, or make one data set of all rows by --split-column ''"
                )
        if len(texts) > _MOST:
            raise SourceError(
                f"{places.name}: the column {self.name!r} has {len(texts):,} different values, and each would be a "
                "data set; name another by --split-column"
            )
        names = [split or text for text, split in zip(texts, known, strict=True)]
        ordered = sorted(set(names), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
        place = {name: number for number, name in enumerate(ordered)}
        numbers = np.array([place[name] for name in names])[np.frombuffer(self._numbers, np.dtype("I"))]
        ends = np.cumsum(np.bincount(numbers, minlength=len(ordered))).tolist()
        splits = tuple(Split(name, start, end) for name, start, end in zip(ordered, [0, *ends], ends, strict=False))
        return np.argsort(numbers, kind="stable"), splits

    def passed_over(self, path: str) -> str:
        """What the user should hear where it names no splits."""
        return (
            f"{path}: the column {self.name!r} names no train, val or test, and all rows become one data set; "
            f"--split-column {self.name!r} makes splits of what it names"
        )


class ColumnsPassedOver:
    """The columns of a table that become nothing, of which one may be that of the splits by what is in it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._like_splits = set(names)
        self._rows = 0

    def add(self, values: Mapping[str, object]) -> None:
        """Look at the next row; the first thousand will do."""
        if self._rows < _MOST and self._like_splits:
            self._rows += 1
            self._like_splits = {name for name in self._like_splits if is_split(str(values.get(name)))}

    def notes(self, path: str) -> list[str]:
        """What the user should hear of a column that looks like one of splits."""
        return [
            f"{path}: the column {name!r} looks like one of splits, and all rows become one data set; --split-column "
            f"{name!r} divides them"
            for name in sorted(self._like_splits if self._rows else ())
        ]
