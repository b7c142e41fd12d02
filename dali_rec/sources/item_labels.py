"""Labels of Python objects and of shards of WebDataset: numbers or names, one or several an item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

Labels = tuple[float | str, ...]
Names = tuple[str, ...] | None


class Labelled(Protocol):
    """A data set with labels."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def labels(self) -> list[Labels]:
        """Those of each item."""

    @property
    def names(self) -> tuple[Names, ...]:
        """The names that it has for the numbers in each column of labels."""


def label_row(value: Any, name: str, item: int) -> Labels:
    """The labels of an item: one or several numbers or names."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    row = tuple(one.tolist() if hasattr(one, "tolist") else one for one in plain) if _is_row(plain) else (plain,)
    for one in row:
        if not isinstance(one, (str, int, float)):
            raise SourceError(f"{name}, item {item}: a label is a {type(one).__name__}; expected a number or a name")
        if not isinstance(one, str) and not math.isfinite(one):
            raise SourceError(f"{name}, item {item}: the label {one} is not finite")
    if not row:
        raise SourceError(f"{name}, item {item}: it has no label; expected a number or a name")
    return row


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def number_labels(
    sets: Sequence[Labelled], classes: Sequence[str] | None
) -> tuple[list[tuple[float, ...]], tuple[Names, ...]]:
    """The labels of all items, of which there is one at least, as numbers, and the names behind each column of them."""
    rows = [row for one in sets for row in one.labels]
    width = len(rows[0])
    for number, row in enumerate(rows):
        if len(row) != width:
            where = _where(sets, number)
            raise SourceError(f"{where}: {len(row)} labels, and {width} in the first; as many are expected")
    for one in sets:
        if one.names != sets[0].names:
            raise SourceError(f"{one.name}: it has other classes than {sets[0].name}; pack them one by one")
    if classes is not None and width > 1:
        raise SourceError(f"{sets[0].name}: classes names those of one column of labels, and there are {width}")
    known = sets[0].names if len(sets[0].names) == width else (None,) * width
    columns, names = [], []
    for place in range(width):
        column = _Column([row[place] for row in rows], known[place], None if classes is None else tuple(classes))
        try:
            columns.append(column.numbers())
        except _BadLabelError as error:
            raise SourceError(f"{_where(sets, error.row)}: {error}") from None
        names.append(column.names)
    return list(zip(*columns, strict=True)), tuple(names)


def _where(sets: Sequence[Labelled], row: int) -> str:
    """What messages call a row of all sets: there are millions, so no list is made of them."""
    before = 0
    for one in sets:
        if row < before + len(one.labels):
            return f"{one.name}, item {row - before}"
        before += len(one.labels)
    raise IndexError(row)


class _BadLabelError(Exception):
    """A label that does not go with the others, and its row."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


class _Column:
    """A column of labels: names, numbers of ``known`` names, or numbers. ``wanted``: the names in another order."""

    def __init__(self, values: Sequence[float | str], known: Names, wanted: Names) -> None:
        self._values = values
        self._known = known
        self._are_names = any(isinstance(value, str) for value in values)
        self.names = wanted or known or (tuple(sorted(set(map(str, values)))) if self._are_names else None)

    def numbers(self) -> list[float]:
        """Raises _BadLabelError."""
        if self.names is None:
            return [float(value) for value in self._values]
        place = {name: float(number) for number, name in enumerate(self.names)}
        found = []
        for row, value in enumerate(self._values):
            name = self._name(row, value)
            if name not in place:
                raise _BadLabelError(row, f"the label {name!r} is not among the classes")
            found.append(place[name])
        return found

    def _name(self, row: int, value: float | str) -> str:
        if self._are_names != isinstance(value, str):
            raise _BadLabelError(row, f"the label {value!r} is no name, as others are; give all the same form")
        if isinstance(value, str):
            return value
        names = self._known or self.names or ()
        if value not in range(len(names)):
            raise _BadLabelError(row, f"the label {value} is none of the {len(names)} classes; leave the item out")
        return names[int(value)]
