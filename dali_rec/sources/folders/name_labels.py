"""Labels from the names of files, by a pattern: 0002_c1s1_000451_03.jpg, Abyssinian_1.jpg, 26_0_1_2017.jpg."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.tables.label_column import finite_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.walk import Folder


@dataclass(frozen=True, slots=True)
class NameLabels:
    """The labels of each image, the names behind each column of them, and what the user should hear."""

    rows: list[tuple[float, ...]]
    names: tuple[tuple[str, ...] | None, ...]
    note: str


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern of labels. Raises ValueError where it is none, or has no groups."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the label pattern {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise ValueError(
            f"the label pattern {pattern!r} has no group, of which each is a label; put it in parentheses, as in "
            r"([^/]+)_\d+\.jpg"
        )
    return compiled


def label_by_names(
    folder: Folder, paths: Sequence[str], pattern: re.Pattern[str], classes: Sequence[str] | None
) -> NameLabels:
    """The labels of images by their paths, in which the pattern is looked for: its named groups, or all if none is.

    A column that is all numbers keeps them; otherwise each name gets the number of its place among the sorted names, or
    in ``classes``. Raises SourceError, with the path, where the pattern is not found, a group of it is empty, or a name
    is not in ``classes``.
    """
    groups = sorted(pattern.groupindex.values()) or list(range(1, pattern.groups + 1))
    if classes is not None and len(groups) > 1:
        raise SourceError(f"{folder}: the label pattern has {len(groups)} groups, and --classes names those of one")
    columns: list[list[str]] = [[] for _ in groups]
    odd, seen = [], dict[str, str]()  # of a million paths, a few labels
    for path in paths:
        match = pattern.search(path)
        found = [] if match is None else [match[group] or "" for group in groups]
        if not all(found) or match is None:
            odd.append(path)
        for column, text in zip(columns, found, strict=False):
            column.append(seen.setdefault(text, text))
    if odd:
        raise SourceError(
            f"{folder}: {len(odd):,} of {len(paths):,} paths do not match the label pattern {pattern.pattern}, with "
            f"something in each group: {odd[0]} for one; correct the pattern, or move these files away"
        )
    numbered = [_numbers(folder, paths, column, classes) for column in columns]
    rows = list(zip(*(values for values, _ in numbered), strict=True))
    labels = ", ".join(column[0] for column in columns)
    note = f"{folder}: labels are in the names of files: {paths[0]} has {labels}"
    return NameLabels(rows, tuple(names for _, names in numbered), note)


def _numbers(
    folder: Folder, paths: Sequence[str], column: list[str], classes: Sequence[str] | None
) -> tuple[list[float], tuple[str, ...] | None]:
    there = set(column)
    numbers = {text: finite_number(text) for text in there}
    if classes is None and None not in numbers.values():
        return [numbers[text] or 0.0 for text in column], None
    names = tuple(sorted(there)) if classes is None else tuple(classes)
    place = {name: float(number) for number, name in enumerate(names)}
    odd = next((row for row, text in enumerate(column) if text not in place), None)
    if odd is not None:
        raise SourceError(f"{folder}: the label {column[odd]!r} of {paths[odd]} is not in --classes")
    return [place[text] for text in column], names
