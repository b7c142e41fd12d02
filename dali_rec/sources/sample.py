"""A sample is one image to pack; a SampleTable holds many in little memory."""

from __future__ import annotations

import copy
import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from dali_rec.sources.held_images import HeldImages


#: The usual names of splits, of folders and in tables, and what the split is called.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Sample:
    """One image to pack: its id, its labels, and where it is (a path relative to the source's root, or absolute)."""

    key: int
    labels: tuple[float, ...]
    location: str


class SampleTable:
    """Samples in columns: about 30 bytes a sample beside its path, where Sample objects take ten times that."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._labels = array("d")
        self._label_ends = array("Q")
        self._locations = bytearray()
        self._location_ends = array("Q")

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> SampleTable:
        """A table of these samples."""
        table = cls()
        for sample in samples:
            table.append(sample)
        return table

    def append(self, sample: Sample) -> None:
        """Add a sample at the end.

        Raises OverflowError for a key outside 0…2^64-1, DatasetError for a location that no file or URL can have.
        """
        try:
            location = sample.location.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise DatasetError(
                f"the location {sample.location!r} of id {sample.key} holds half of a surrogate pair, which no name "
                "of a file does; correct it in the table"
            ) from None
        self._keys.append(sample.key)
        self._labels.extend(sample.labels)
        self._label_ends.append(len(self._labels))
        self._locations += location
        self._location_ends.append(len(self._locations))

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, row: int) -> Sample:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a table of {len(self)} samples")
        labels = self._labels[self._label_ends[row - 1] if row else 0 : self._label_ends[row]]
        location = self._locations[self._location_ends[row - 1] if row else 0 : self._location_ends[row]]
        return Sample(self._keys[row], tuple(labels), location.decode("utf-8", "surrogateescape"))

    def __iter__(self) -> Iterator[Sample]:
        columns = zip(self._keys, self._label_ends, self._location_ends, strict=True)
        first_label = first_byte = 0
        for key, label_end, location_end in columns:
            labels, location = self._labels[first_label:label_end], self._locations[first_byte:location_end]
            yield Sample(key, tuple(labels), location.decode("utf-8", "surrogateescape"))
            first_label, first_byte = label_end, location_end

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> SampleTable:
        """The samples of these rows, in this order."""
        table = SampleTable()
        labels, locations = np.frombuffer(self._labels, np.float64), np.frombuffer(self._locations, np.uint8)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            chosen = np.asarray(rows[first : first + _ROWS_AT_ONCE], dtype=np.int64)
            table._keys.frombytes(np.frombuffer(self._keys, np.uint64)[chosen].tobytes())
            table._labels.frombytes(_take_ragged(labels, self._label_ends, chosen, table._label_ends))
            table._locations += _take_ragged(locations, self._location_ends, chosen, table._location_ends)
        return table

    def renumbered(self, first: int = 0) -> SampleTable:
        """The same samples with keys ``first``, ``first`` + 1 and so on."""
        table: SampleTable = copy.copy(self)
        table._keys = array("Q", range(first, first + len(self)))
        return table

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The ids, uint64 of shape (N,)."""
        return np.array(self._keys, dtype=np.uint64)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of all ids, labels and locations in their order."""
        checksum = hashlib.sha256()
        columns = (self._keys, self._labels, self._label_ends, self._locations, self._location_ends)
        for column in columns:
            checksum.update(f"{len(column)} ".encode())
            checksum.update(column)
        return checksum.hexdigest()

    def relabelled(self, new_labels: Sequence[int]) -> SampleTable:
        """The same samples with label ``new_labels[i]`` for each label i."""
        old = np.frombuffer(self._labels, np.float64).astype(np.int64)
        table: SampleTable = copy.copy(self)
        table._labels = array("d", np.asarray(new_labels, np.float64)[old].tobytes())
        return table

    def with_objects_relabelled(self, new_labels: Sequence[int]) -> SampleTable:
        """The same samples, whose labels are boxes, with class ``new_labels[i]`` for each object of class i."""
        labels, starts, ends = self.labels_end_to_end
        labels = labels.copy()
        rows = np.repeat(np.arange(len(self)), ends - starts)
        heads = np.minimum(starts[rows], max(len(labels) - 2, 0))
        header, width = labels[heads].astype(np.int64), labels[heads + 1].astype(np.int64)
        behind = np.arange(len(labels)) - starts[rows] - header
        is_class = (behind >= 0) & (behind % width == 0)
        labels[is_class] = np.asarray(new_labels, np.float64)[labels[is_class].astype(np.int64)]
        table: SampleTable = copy.copy(self)
        table._labels = array("d", labels.tobytes())
        return table

    @property
    def label_widths(self) -> frozenset[int]:
        """How many labels the samples have: one number, or several where they differ."""
        ends = np.frombuffer(self._label_ends, dtype=np.uint64) if len(self) else np.zeros(0, np.uint64)
        return frozenset(np.unique(np.diff(ends, prepend=np.uint64(0))).tolist())

    @property
    def labels_end_to_end(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """The labels of all samples, float64, and where those of each begin and end in them, int64 of shape (N,) each.

        The labels are the table's own memory.
        """
        ends = np.frombuffer(self._label_ends, np.uint64).astype(np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), ends])[:-1]
        return np.frombuffer(self._labels, np.float64), starts, ends

    @property
    def first_labels(self) -> NDArray[np.float64]:
        """The first label of each sample, float64 of shape (N,); -1 where a sample has none."""
        labels, starts, ends = self.labels_end_to_end
        labels = np.append(labels, -1.0)
        return np.where(ends > starts, labels[np.minimum(starts, len(labels) - 1)], -1.0)

    @property
    def labels_are_class_indices(self) -> bool:
        """Whether each sample has one label and all are whole numbers from 0 up."""
        if self.label_widths != {1}:
            return False
        labels = np.frombuffer(self._labels, dtype=np.float64)
        return bool(np.all((labels >= 0) & (labels == np.floor(labels))))


def _take_ragged(values: NDArray[Any], ends: array[int], rows: NDArray[np.int64], taken_ends: array[int]) -> bytes:
    """Of rows of different lengths, laid end to end, the values of those wanted; where each ends goes to the last."""
    stops = np.frombuffer(ends, np.uint64).view(np.int64)
    starts = np.where(rows > 0, stops[rows - 1], 0)
    lengths = stops[rows] - starts
    into_taken = np.cumsum(lengths)
    before = taken_ends[-1] if taken_ends else 0
    taken_ends.frombytes((into_taken + before).tobytes())
    # For each value its place in the old order: the start of its row, and how far it is into it.
    into_row = np.arange(int(into_taken[-1])) - np.repeat(into_taken - lengths, lengths)
    taken: NDArray[Any] = values[np.repeat(starts, lengths) + into_row]
    return taken.tobytes()


@dataclass(frozen=True, slots=True)
class Split:
    """Rows ``start`` to ``stop`` of a source's samples, under the name of a split: train, val or test."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Source:
    """What a source found: its samples in their natural order, and how to read them.

    ``root`` is what relative locations are relative to. ``classes`` are the names behind the label indices, if the
    source has names. ``keys_are_given`` says that the source numbers its samples itself, as a list does. ``notes`` are
    things the user should hear. ``splits``: where the source is parted itself. ``label_classes``: the names behind each
    column of labels, where there are several columns. ``pixels``: where images are that are no files of their own.
    ``is_in_order``: whether they are read fast in their order alone. ``has_boxes``: whether the labels are boxes (see
    ``BoxSamples``), and ``classes`` the names of objects. ``files``: the .rec files or archives that images are in,
    which must not be written over. ``path``: what it was opened by, if that is one.
    """

    samples: SampleTable
    root: str
    classes: tuple[str, ...] | None = None
    keys_are_given: bool = False
    shuffled_by_default: bool = False
    notes: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    label_classes: tuple[tuple[str, ...] | None, ...] | None = None
    pixels: HeldImages | None = None
    is_in_order: bool = False
    has_boxes: bool = False
    files: tuple[str, ...] = ()
    path: str = ""

    @property
    def name(self) -> str:
        """What messages call it: the file, where ``root`` is the folder that it is in."""
        return self.path or self.root

    @property
    def label_kind(self) -> Literal["class", "values", "boxes"]:
        """What the labels are: see ``Manifest``."""
        if self.has_boxes:
            return "boxes"
        return "class" if self.classes is not None or self.samples.labels_are_class_indices else "values"
