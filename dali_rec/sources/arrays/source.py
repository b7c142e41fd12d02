"""From arrays of images and labels to a source."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.images import ArrayImages
from dali_rec.sources.arrays.labels import check_labels, label_rows, one_hot
from dali_rec.sources.arrays.names import choose_arrays
from dali_rec.sources.item_labels import number_labels
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.tables.columns import TableOptions, classes_without_labels, without_empty_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dali_rec.sources.arrays.layout import ImageArray
    from dali_rec.sources.item_labels import Labels, Names

_DEFAULTS = TableOptions()


@dataclass(frozen=True, slots=True)
class ArraySet:
    """An array of images with their labels, under the name that messages have for these. See ``Labelled``.

    names: behind each column of labels.
    """

    name: str
    images: ImageArray
    labels: list[Labels]
    names: tuple[Names, ...] = (None,)
    split: str | None = None


class NamedArrays(Protocol):
    """Arrays in a file, or in files, that have names."""

    @property
    def name(self) -> str:
        """What messages call them."""

    @property
    def folder(self) -> Path:
        """What the files are in."""

    @property
    def names(self) -> Sequence[str]:
        """Of all arrays."""

    def where(self, name: str) -> str:
        """What messages call an array: its file and its name."""

    def images(self, name: str) -> ImageArray:
        """An array of images. Raises SourceError where it is none."""

    def stored(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The type and shape of an array, of which nothing else is read."""

    def values(self, name: str) -> NDArray[Any]:
        """The values of an array."""


def read_named(arrays: NamedArrays, options: TableOptions, classes: Sequence[str] | None) -> Source:
    """The images and labels in arrays that are called so: see ``choose_arrays``. Raises SourceError, with the array."""
    options = without_empty_label(options)
    choices, notes = choose_arrays(arrays.name, arrays.names, options)
    sets = []
    for choice in choices:
        images, where = arrays.images(choice.images), arrays.where(choice.images)
        if images.shape.planes:
            notes.append(f"{where}: the second of its dimensions is taken for the channels")
        for name in choice.labels:
            check_labels(arrays.where(name), *arrays.stored(name), images.count, where)
        columns = [(arrays.where(name), arrays.values(name)) for name in choice.labels]
        notes += [note for name, values in columns for note in one_hot(name, values)]
        labels = label_rows(columns, images.count, where)
        name = columns[0][0] if columns else where
        sets.append(ArraySet(name, images, labels, (None,) * len(labels[0]), choice.split))
    return make_source(arrays.name, arrays.folder, sets, options, classes, notes)


def make_source(
    name: str,
    folder: Path,
    sets: Sequence[ArraySet],
    options: TableOptions,
    classes: Sequence[str] | None,
    notes: Iterable[str] = (),
) -> Source:
    """The images of sets one after another; those of one split follow each other.

    name: what messages call all of them. folder: what their files are in. Raises SourceError for labels that are none
    of the classes, and options that arrays do not have.
    """
    if options.id != _DEFAULTS.id or options.columns is not None or options.split:
        raise SourceError(f"{name}: --id-column, --columns and --split-column NAME go with tables, which this is not")
    if classes is not None and not options.labels:
        raise classes_without_labels(name)
    rows, names = number_labels(sets, classes)
    locations = (one.images.location(row) for one in sets for row in range(one.images.count))
    samples = SampleTable.of(
        Sample(number, labels, location) for number, (labels, location) in enumerate(zip(rows, locations, strict=True))
    )
    arrays = [one.images for one in sets]
    return Source(
        samples,
        str(folder),
        names[0] if len(names) == 1 else None,
        label_classes=names if len(names) > 1 and any(names) else None,
        splits=() if options.split == "" else _splits(sets),
        pixels=ArrayImages(str(folder), arrays),
        is_in_order=any(array.is_in_order for array in arrays),
        notes=tuple(notes),
        files=tuple(dict.fromkeys(str(folder / array.file) for array in arrays)),
    )


def _splits(sets: Sequence[ArraySet]) -> tuple[Split, ...]:
    """Where each split begins and ends; none where all are of one."""
    if len({one.split for one in sets}) == 1:
        return ()
    splits, start = [], 0
    for split, some in itertools.groupby(sets, key=lambda one: one.split):
        assert split is not None
        stop = start + sum(one.images.count for one in some)
        splits.append(Split(split, start, stop))
        start = stop
    return tuple(splits)


def without_columns(name: str, options: TableOptions, what: str) -> TableOptions:
    """The options of files that have one array of images, and one of labels, as they are.

    Raises SourceError where others are asked for.
    """
    options = without_empty_label(options)
    if options.location != _DEFAULTS.location or options.labels not in ((), _DEFAULTS.labels):
        raise SourceError(f"{name}: --location-column and --label-column NAME do not go with {what}; leave them out")
    return options
