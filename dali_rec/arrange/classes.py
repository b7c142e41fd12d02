"""The classes of several data sets as those of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dali_rec.arrange.headers import LabelMaps
    from dali_rec.arrange.inputs import ClassNames, Input

LabelChoice = Literal["names", "keep"]


@dataclass(frozen=True, slots=True)
class United:
    """The classes of several data sets as those of one.

    names: by column of labels. maps: how the labels of each data set are renumbered, or None where its names are these
    already. A map may leave all numbers as they are: labels are still looked up in it, and one that has no name is
    refused, since its number may be that of another data set's class. notes: what the user should hear.
    """

    names: ClassNames | None
    maps: tuple[LabelMaps | None, ...]
    notes: tuple[str, ...] = ()


def unite(inputs: Sequence[Input], labels: LabelChoice) -> United:
    """Find the classes of the data sets together.

    labels: "names" gives classes of one name one number: those of the first data set, then the new ones of the
    second, and so on. "keep" leaves all numbers; those of data sets without names are held against the names of the
    others.

    Raises DatasetError if only some have names, or names for other columns, unless labels is "keep".
    """
    if labels not in get_args(LabelChoice):
        raise ValueError(f"labels is {labels!r}: expected one of {', '.join(get_args(LabelChoice))}")
    names = [one.class_names for one in inputs]
    unchanged: tuple[LabelMaps | None, ...] = (None,) * len(inputs)
    if all(one == names[0] for one in names):
        return United(names[0], unchanged)
    if labels == "keep":
        known = {one for one in names if one is not None}
        if len(known) == 1:
            common = known.pop()
            return United(common, tuple(_same(common) if one is None else None for one in names))
        note = (
            "the data sets have different classes, and --labels keep leaves the numbers: the result has no class names"
        )
        return United(None, unchanged, (note,))
    _require_names(inputs)
    columns = [_united_column([one[column] for one in names if one]) for column in range(len(names[0] or ()))]
    maps = tuple(_maps_of(one, columns) for one in names if one)
    changed = [one.name for one, mapping in zip(inputs, maps, strict=True) if _renumbers(mapping)]
    notes = []
    if changed:
        notes.append(
            f"classes are united by name, to {_counts(columns)}; labels are renumbered in {', '.join(changed)}"
        )
    else:
        notes.append(f"classes are united by name, to {_counts(columns)}; no label had to change")
    return United(tuple(columns), maps, tuple(notes))


def _require_names(inputs: Sequence[Input]) -> None:
    with_names = next(one for one in inputs if one.class_names is not None)
    names = with_names.class_names
    for one in inputs:
        other = one.class_names
        if other is None:
            raise DatasetError(
                f"{one.name} has no class names and {with_names.name} has: whether a label means the same in both "
                "cannot be known; if it does, say --labels keep"
            )
        if names is None or [column is None for column in other] != [column is None for column in names]:
            raise DatasetError(
                f"{with_names.name} and {one.name} have names for different columns of labels; --labels keep merges "
                "them with the numbers as they are"
            )


def _united_column(lists: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    names = [one for one in lists if one is not None]
    return tuple(dict.fromkeys(name for one in names for name in one)) if names else None


def _maps_of(names: ClassNames, columns: Sequence[tuple[str, ...] | None]) -> LabelMaps | None:
    maps = tuple(_map(old, new) for old, new in zip(names, columns, strict=True))
    return maps if any(mapping is not None for mapping in maps) else None


def _map(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> NDArray[np.int64] | None:
    if old is None or new is None or new == old:
        return None
    number_of = {name: number for number, name in enumerate(new)}
    return np.array([number_of[name] for name in old], dtype=np.int64)


def _same(names: ClassNames) -> LabelMaps:
    """The maps that leave the numbers of these classes as they are."""
    return tuple(None if column is None else np.arange(len(column), dtype=np.int64) for column in names)


def _renumbers(maps: LabelMaps | None) -> bool:
    return any(one is not None and bool((one != np.arange(len(one))).any()) for one in maps or ())


def _counts(columns: Sequence[tuple[str, ...] | None]) -> str:
    return " and ".join(str(len(names)) for names in columns if names is not None) + " classes"
