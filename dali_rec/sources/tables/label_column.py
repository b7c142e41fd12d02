"""A column of labels in a table: numbers as they stand, or names that get numbers."""

from __future__ import annotations

import ast
import json
import math
import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import parse_float
from dali_rec.errors import SourceError
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.tables.text_list import shared_folders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.tables.places import Places

_FEW = 20  # rows of which each may well be of another class
_NUMBERS = re.compile(r"-?[\d.]+(?:(?:[,;] ?| )-?[\d.]+)+")
_BOX = r"[^\W\d]\S*(?: -?\d[\d.]*){4}"
_BOXES = re.compile(rf"{_BOX}(?: {_BOX})*")
_BETWEEN_NAMES = re.compile(r"[ ,;|]+")


@dataclass(frozen=True, slots=True)
class NumberedLabels:
    """The labels of all rows as numbers, the names behind them, if there are, and what the user should hear."""

    values: list[float]
    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


class LabelColumn:
    """Labels as they stand, each different one kept once.

    is_named: whether the user named the column, and did not leave it to be found. known: the names of all classes, in
    the order of their numbers, where the table says them.
    """

    def __init__(self, name: str, *, is_named: bool = True, known: tuple[str, ...] | None = None) -> None:
        self.name = name
        self._is_named = is_named
        self._known = known
        self._number_of: dict[str, int] = {}
        self._numbers = array("I")
        self._line_of: list[int] = []

    def add(self, value: object, line: int) -> None:
        """Add the label of the next row."""
        text = str(value)
        if text not in self._number_of:
            self._number_of[text] = len(self._number_of)
            self._line_of.append(line)
        self._numbers.append(self._number_of[text])

    def declare(self, name: str) -> None:
        """Give a class a number of which there is no row."""
        if name not in self._number_of:
            self._number_of[name] = len(self._number_of)
            self._line_of.append(1)

    def shorten_folders(self, classes: Sequence[str] | None) -> list[str]:
        """Leave out the folders above all that are labels, or so many that ``classes`` has them; gives what is left."""
        folders = list(self._number_of)
        shared = folders[0][: shared_folders(folders)]
        ends = [at + 1 for at, character in enumerate(shared) if character == "/"]
        known = set(classes or ())
        lengths = (length for length in (*ends[::-1], 0) if known.issuperset(folder[length:] for folder in folders))
        left_out = next(lengths, len(shared))
        self._number_of = {name[left_out:]: number for name, number in self._number_of.items()}
        return list(self._number_of)

    def resolve(self, places: Places, classes: Sequence[str] | None) -> NumberedLabels:
        """The labels as they stand where all are numbers, and otherwise their places among the names or ``classes``.

        Raises SourceError, with the line, for a label that is not in ``classes``, is no text, or no number as most are.
        """
        names = list(self._number_of)
        self._refuse_half_characters(places, names)
        if classes is None and self._known is None:
            plain = [finite_number(name) for name in names]
            numbers = [value for value in plain if value is not None]
            if len(numbers) == len(names):
                return NumberedLabels([numbers[number] for number in self._numbers], None)
            self._refuse_odd_ones(places, names, [value is not None for value in plain])
            self._refuse_no_classes(places, names)
        table = tuple(classes) if classes is not None else self._known or tuple(sorted(names))
        place = {name: float(number) for number, name in enumerate(table)}
        for name, line in zip(names, self._line_of, strict=True):
            if name not in place:
                raise SourceError(f"{places.of(line)}: the label {name!r} is not in --classes")
        return NumberedLabels([place[names[number]] for number in self._numbers], table, self._doubts(places, names))

    def _doubts(self, places: Places, names: list[str]) -> tuple[str, ...]:
        """Say it where names look like something else than classes."""
        if self._known is not None:
            return ()
        notes = []
        several = [name for name in names if "|" in name or _NUMBERS.fullmatch(name)] or _combinations(names)
        if several:
            what = "numbers" if _NUMBERS.fullmatch(several[0]) else "names"
            notes.append(
                f"{places.name}: {len(several):,} of the labels in {self.name!r} look like several {what}, "
                f"{several[0][:80]!r} for one, and each became a class; for several labels an image make a column of 0 "
                "and 1 for each"
            )
        alike: dict[str, str] = {}
        twins = [(one, alike.setdefault(one.casefold().strip(), one)) for one in names]
        twin = next((pair for pair in twins if pair[0] != pair[1]), None)
        if twin is not None:
            what = f"{twin[1]!r} and {twin[0]!r} in {self.name!r}"
            notes.append(f"{places.name}: {what} differ in capitals, and are two classes")
        if len(names) > max(_FEW, len(self._numbers) // 2):
            notes.append(
                f"{places.name}: the column {self.name!r} has {len(names):,} different names in {len(self._numbers):,} "
                "rows; name another by --label-column if these are no classes"
            )
        return tuple(notes)

    def _refuse_half_characters(self, places: Places, names: list[str]) -> None:
        """Raise SourceError for the first label that is no text: of bytes that are not UTF-8, as Excel may write."""
        for name, line in zip(names, self._line_of, strict=True):
            if any("\ud800" <= character <= "\udfff" for character in name):
                raise SourceError(f"{places.of(line)}: the label {name[:80]!r} is not UTF-8; save the table as UTF-8")

    def _refuse_no_classes(self, places: Places, names: list[str]) -> None:
        """Raise SourceError where all labels are splits that were not asked for, or names with boxes behind them."""
        splits = {SPLIT_NAMES.get(name.lower()) for name in names}
        if not self._is_named and None not in splits and len(splits) > 1:
            raise SourceError(
                f"{places.name}: the labels in {self.name!r} are {', '.join(names[:3])}, which are splits and no "
                f"classes; name the labels by --label-column, and the splits by --split-column {self.name!r}"
            )
        if all(map(_BOXES.fullmatch, names)):
            raise SourceError(
                f"{places.name}: the labels in {self.name!r} have boxes behind them, as {names[0][:80]!r} has; write a "
                "table with the name alone, or COCO annotations for the boxes"
            )

    def _refuse_odd_ones(self, places: Places, names: list[str], is_number: list[bool]) -> None:
        """Raise SourceError for the first label that is no finite number, if more rows have numbers than names."""
        rows = np.bincount(np.frombuffer(self._numbers, np.dtype("I")), minlength=len(names))
        finite = np.array(is_number)
        infinite = np.array([_is_not_finite(name) for name in names])
        named = ~finite & ~infinite
        if rows[named].sum() >= max(rows[finite].sum(), 1):
            return
        odd = int(np.argmin(finite))
        what = "not a finite number" if infinite[odd] else f"no number, as most of the column {self.name!r} are"
        raise SourceError(
            f"{places.of(self._line_of[odd])}: the label {names[odd][:80]!r} is {what}; correct it, or, if the "
            "labels are names of classes, give them all in a file by --classes"
        )


def nested(value: object) -> object:
    """The list or object that a text in a table is, and other values as they are."""
    if not isinstance(value, str) or value[:1] not in ("[", "{") or value[-1] not in ("]", "}"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:  # as pandas writes lists
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _combinations(names: Sequence[str]) -> list[str]:
    """The names that are made of others: of names that are there alone, or where all are made of a few words."""
    words = {name: _BETWEEN_NAMES.split(name) for name in names}
    several = [name for name in names if len(words[name]) > 1]
    alone = {name for name in names if len(words[name]) == 1}
    made = [name for name in several if alone.issuperset(words[name])]
    are_few = 2 * len({word for split in words.values() for word in split}) <= len(names)
    return several if several and are_few else made


def finite_number(text: str) -> float | None:
    """The number that a text is, None where it is none, or not finite."""
    try:
        value = parse_float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_not_finite(text: str) -> bool:
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False
