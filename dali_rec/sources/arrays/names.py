"""Which of the arrays in a file are images and labels, and of which split, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.walk import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULTS = TableOptions()
_IMAGES = ("images", "image", "imgs", "img", "x", "data")
_LABELS = ("labels", "label", "y", "target", "targets", "ans")
_WORDS = "|".join(sorted(SPLIT_NAMES, key=len, reverse=True))
_SPLIT_FIRST = re.compile(rf"({_WORDS})[-_/. ]?(.+)")
_SPLIT_LAST = re.compile(rf"(.+?)[-_/. ]?({_WORDS})")
_ORDER = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Choice:
    """The arrays of a split, or of all where it is None: that of the images, and those of the labels."""

    split: str | None
    images: str
    labels: tuple[str, ...]


def part(name: str) -> tuple[str, str | None]:
    """What an array is called without the word for a split, in small letters, and the split: "x", "test" of X_test."""
    plain = name.lower().strip("/ ")
    if (found := _SPLIT_FIRST.fullmatch(plain)) is not None:
        return found[2], SPLIT_NAMES[found[1]]
    if (found := _SPLIT_LAST.fullmatch(plain)) is not None:
        return found[1], SPLIT_NAMES[found[2]]
    return plain, None


def has_images(name: str) -> bool:
    """Whether an array of this name is one of images by custom."""
    return part(name)[0] in _IMAGES


def has_labels(name: str) -> bool:
    """Whether an array of this name is one of labels by custom."""
    return part(name)[0] in _LABELS


def choose_arrays(where: str, names: Sequence[str], options: TableOptions) -> tuple[list[Choice], list[str]]:
    """The arrays of images with their labels, a pair for each split, and what the user should hear.

    By custom images are called images, x or data, and labels labels, y or target, with train, val or test before or
    behind; ``options.location`` and ``options.labels`` are other names, with such words or without. A split without
    labels is left out if another has some.

    Raises SourceError where none are called so, or several.
    """
    images = _find(where, names, _wanted(options.location, _DEFAULTS.location), _IMAGES, "--location-column")
    asked = tuple(_wanted(name, _DEFAULTS.labels[0]) for name in options.labels)
    columns = [_find(where, names, name, _LABELS, "--label-column") for name in asked]
    if None in images and len(images) > 1:
        odd = next(name for split, name in images.items() if split is not None)
        raise SourceError(
            f"{where}: {images[None]!r} is of no split by its name, as {odd!r} is; say by --location-column which of "
            "them is to be packed"
        )
    if len(images) == 1 and all(len(column) == 1 for column in columns):
        labels = tuple(name for column in columns for name in column.values())
        return [Choice(None, next(iter(images.values())), labels)], []
    choices, notes = [], []
    for split in sorted(images, key=lambda one: _ORDER.index(one) if one in _ORDER else 0):
        labels = tuple(column[split] for column in columns if split in column)
        if len(labels) == len(columns):
            choices.append(Choice(split, images[split], labels))
        else:
            notes.append(f"{where}: {images[split]!r} is left out, as no labels of that split are there")
    if not choices:
        labels = tuple(name for column in columns for name in column.values())
        raise SourceError(
            f"{where}: the labels {shown(labels)} are of other splits than the images {shown([*images.values()])}; "
            "name those that belong together by --location-column and --label-column"
        )
    return ([Choice(None, choices[0].images, choices[0].labels)] if len(choices) == 1 else choices), notes


def _wanted(name: str, default: str) -> str | None:
    return None if name == default else name


def _find(
    where: str, names: Sequence[str], wanted: str | None, usual: Sequence[str], option: str
) -> dict[str | None, str]:
    """The array of each split that is called as is wanted, or usual."""
    if wanted is not None and wanted in names:
        return {part(wanted)[1]: wanted}
    found: dict[str | None, str] = {}
    for name in names:
        base, split = part(name)
        if base not in (usual if wanted is None else (wanted.lower(),)):
            continue
        if split in found:
            raise SourceError(f"{where}: {found[split]!r} and {name!r} may both be meant; name one by {option}")
        found[split] = name
    if not found:
        raise _missing(where, names, wanted, option)
    return found


def _missing(where: str, names: Sequence[str], wanted: str | None, option: str) -> SourceError:
    what = "labels" if option == "--label-column" else "images"
    which = f"no array {wanted!r}" if wanted is not None else f"no array that is called as {what} are"
    none = ", or '' for none" if option == "--label-column" else ""
    if not names:
        return SourceError(f"{where}: no arrays in it; get it anew, or give another file")
    return SourceError(f"{where}: {which} in {shown([*map(repr, names)])}; name that of the {what} by {option}{none}")
