"""The labels of many records at once: how many there are, their range, and how often each class occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.box_layout import BoxLayout, box_layout
from dali_rec.inspection.headers import NO_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dali_rec.inspection.headers import RecordHeaders
    from dali_rec.manifest import Manifest
    from dali_rec.recordio import RecordReader

#: Columns whose range is kept; the rest are held to one range.
COLUMNS_AT_MOST = 32
_CLASSES_AT_MOST = 1 << 22
_VALUES_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class: its label index, its name where it is known, and how many records have it."""

    index: int
    name: str | None
    records: int


@dataclass(frozen=True, slots=True)
class ObjectCount:
    """A class of objects: its index, its name where it is known, and how many objects have it."""

    index: int
    name: str | None
    objects: int


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes for object detection: how many numbers an object has, how many objects there are, in how many images."""

    width: int
    objects: int
    images: int
    classes: tuple[ObjectCount, ...]


@dataclass(frozen=True, slots=True)
class ColumnRange:
    """A column of labels, counted from 0: smallest and largest value, and whether all are whole numbers.

    ``lowest`` and ``highest`` are None where the column holds nothing but NaN, infinities or nothing.
    """

    column: int
    lowest: float | None
    highest: float | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """How many labels records have, at least and at most, and the range of each column up to COLUMNS_AT_MOST.

    ``lowest`` and ``highest`` are over all columns. ``unusable``: labels that are NaN or infinite.
    """

    width: int
    width_at_most: int
    ragged: bool
    lowest: float | None
    highest: float | None
    unusable: int
    columns: tuple[ColumnRange, ...]


class LabelColumns:
    """Gathers the labels of a data set, chunk by chunk."""

    def __init__(self, manifest: Manifest | None) -> None:
        self._names = manifest.classes if manifest else None
        self._may_be_classes = manifest is None or manifest.label_kind == "class"
        self._widths: set[int] = set()
        self._lowest = np.full(COLUMNS_AT_MOST + 1, np.inf)
        self._highest = np.full(COLUMNS_AT_MOST + 1, -np.inf)
        self._whole = np.ones(COLUMNS_AT_MOST + 1, np.bool_)
        self._unusable = 0
        self._counts: NDArray[np.int64] | None = np.zeros(0, np.int64)
        self._may_be_boxes = manifest is None or manifest.label_kind == "boxes"
        self._layout: BoxLayout | None = None
        self._objects: NDArray[np.int64] = np.zeros(0, np.int64)
        self._images_with_objects = 0

    def add(self, reader: RecordReader, headers: RecordHeaders) -> None:
        """Take in the labels of these records of a file."""
        rows = (headers.label_at >= 0) & (headers.outcome != NO_IMAGE)  # a record without an image is no sample
        if not rows.any():
            return
        values = np.frombuffer(reader.buffer, "<f4", reader.size // 4)
        at = headers.label_at[rows] >> 2
        widths = np.maximum(headers.flag[rows].astype(np.int64), 1)
        self._widths.update(np.unique(widths).tolist())
        self._count_classes(values[at])
        if self._may_be_boxes:
            self._may_be_boxes = self._count_objects(values, at, widths)
        for column in range(min(int(widths.max()), COLUMNS_AT_MOST)):
            self._take_range(column, values[at[widths > column] + column])
        self._take_rest(values, at, widths)

    def _take_rest(self, values: NDArray[np.float32], at: NDArray[np.int64], widths: NDArray[np.int64]) -> None:
        """The columns past those whose range is kept, as one."""
        wide = widths > COLUMNS_AT_MOST
        starts, lengths = at[wide] + COLUMNS_AT_MOST, widths[wide] - COLUMNS_AT_MOST
        if not len(starts):
            return
        if int(lengths.sum()) > _VALUES_AT_ONCE:  # a few records with very many labels
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                self._take_range(COLUMNS_AT_MOST, values[start : start + length])
            return
        ends = np.cumsum(lengths)
        every = np.arange(int(ends[-1])) + np.repeat(starts - (ends - lengths), lengths)
        self._take_range(COLUMNS_AT_MOST, values[every])

    def _take_range(self, column: int, labels: NDArray[np.float32]) -> None:
        usable = np.isfinite(labels)
        if not usable.all():
            self._unusable += int((~usable).sum())
            labels = labels[usable]
        if len(labels):
            self._lowest[column] = min(self._lowest[column], float(labels.min()))
            self._highest[column] = max(self._highest[column], float(labels.max()))
            self._whole[column] &= bool((labels == np.floor(labels)).all())

    def _count_classes(self, labels: NDArray[np.float32]) -> None:
        if self._counts is None:
            return
        with np.errstate(invalid="ignore"):
            classes = labels.astype(np.int64)
        if not self._may_be_classes or not (
            (classes == labels).all() and classes.min() >= 0 and classes.max() < _CLASSES_AT_MOST
        ):
            self._counts = None
            return
        self._counts = _added(self._counts, classes)

    def _count_objects(self, values: NDArray[np.float32], at: NDArray[np.int64], widths: NDArray[np.int64]) -> bool:
        """Whether these are boxes, of the layout of those before; if so they are counted."""
        self._layout = self._layout or box_layout(values[at[0] : at[0] + widths[0]])
        if self._layout is None or (widths < self._layout.header).any():
            return False
        header, width = self._layout
        objects, rest = np.divmod(widths - header, width)
        if rest.any() or (values[at] != header).any() or (values[at + 1] != width).any():
            return False
        ends = np.cumsum(objects)
        places = np.arange(int(ends[-1])) - np.repeat(ends - objects, objects)
        labels = values[np.repeat(at + header, objects) + width * places]
        with np.errstate(invalid="ignore"):
            classes = labels.astype(np.int64)
        if (classes != labels).any() or (classes < 0).any() or (classes >= _CLASSES_AT_MOST).any():
            return False
        self._objects = _added(self._objects, classes)
        self._images_with_objects += int(np.count_nonzero(objects))
        return True

    def boxes(self) -> Boxes | None:
        """The boxes, with the classes that have a name or an object, or None where labels are something else."""
        if self._layout is None or not self._may_be_boxes:
            return None
        classes = tuple(ObjectCount(*one) for one in self._named(self._objects))
        return Boxes(self._layout.width, int(self._objects.sum()), self._images_with_objects, classes)

    def classes(self) -> tuple[ClassCount, ...] | None:
        """The classes that have a name or a record, or None where records do not have one class index each."""
        if self._counts is None or self._widths != {1}:
            return None
        return tuple(ClassCount(*one) for one in self._named(self._counts))

    def _named(self, counts: NDArray[np.int64]) -> Iterator[tuple[int, str | None, int]]:
        """Index, name and count of what has a name or is there."""
        names = self._names or ()
        for index, count in enumerate([*counts.tolist(), *([0] * (len(names) - len(counts)))]):
            if count or index < len(names):
                yield index, names[index] if index < len(names) else None, count

    def summary(self) -> Labels:
        """Widths and ranges."""
        widths = self._widths or {0}
        lowest, highest = float(self._lowest.min()), float(self._highest.max())
        return Labels(
            min(widths),
            max(widths),
            len(widths) > 1,
            lowest if lowest <= highest else None,
            highest if lowest <= highest else None,
            self._unusable,
            tuple(self._column(column) for column in range(min(max(widths), COLUMNS_AT_MOST))),
        )

    def _column(self, column: int) -> ColumnRange:
        lowest, highest = float(self._lowest[column]), float(self._highest[column])
        if lowest > highest:
            return ColumnRange(column, None, None, whole=False)
        return ColumnRange(column, lowest, highest, bool(self._whole[column]))


def _added(counts: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts with these classes counted too."""
    found = np.bincount(classes, minlength=len(counts))
    found[: len(counts)] += counts
    return found
