"""A packed data set on disk: its shards, its manifest, and its records one after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from dali_rec._numbers import counted, distinct, each
from dali_rec.errors import DatasetError
from dali_rec.faces import Identities, read_property
from dali_rec.recordio import Record
from dali_rec.recordio.header import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.manifest import Manifest
    from dali_rec.shard import Shard


class Dataset(Sequence[Record]):
    """A packed data set: ``len``, ``dataset[i]`` in the order of the files, iteration, ``classes``, ``manifest``.

    ``manifest`` is None for .rec files from elsewhere. ``classes`` are the names of the label indices, where known.
    """

    def __init__(self, shards: Sequence[Shard], manifest: Manifest | None = None) -> None:
        self.shards = tuple(shards)
        self.manifest = manifest
        self._ends = np.cumsum([len(shard) for shard in self.shards])

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The name behind each label index, or None where nobody wrote them down."""
        return self.manifest.classes if self.manifest is not None else None

    @property
    def name(self) -> str:
        """How to call the data set in messages: its first .rec file."""
        return str(self.shards[0].path) if self.shards else "an empty data set"

    @property
    def has_class_labels(self) -> bool | None:
        """Whether each record has one class index; None where only the records can tell."""
        if self.is_face_set:
            return True
        return None if self.manifest is None else self.manifest.label_kind == "class"

    @property
    def is_face_set(self) -> bool:
        """Whether it is InsightFace's: the class is the first label, also where images have a second one (aligned)."""
        return bool(self.shards) and all(shard.faces is not None for shard in self.shards)

    @cached_property
    def identities(self) -> Identities | None:
        """The identity table of a face set in one file: which image ids are whose. None for other data sets.

        The class of an image is its label; this says which ids InsightFace's tools take together. A view has the table
        of the whole. Raises DatasetError where the table cannot be told exactly (see ``Shard.identities``).
        """
        return self.shards[0].identities() if self.is_face_set and len(self.shards) == 1 else None

    @cached_property
    def num_classes(self) -> int | None:
        """How many classes there are, where that is written down: by name, or in a face set's ``property`` file.

        Of a face set without that file it is the number of its identities; otherwise None.
        """
        if self.classes is not None:
            return len(self.classes)
        if not self.is_face_set or len(self.shards) != 1:
            return None
        stated = read_property(self.shards[0].path)
        return stated[0] if stated is not None else self.num_identities

    @property
    def num_identities(self) -> int | None:
        """How many identities a face set has, in all of its files, without reading them; None for other data sets."""
        if not self.is_face_set:
            return None
        return sum(len(shard.faces.identities) for shard in self.shards if shard.faces is not None)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """The ids of all records, shape (N,), in the order of the files; the .idx says them."""
        if not self.shards:
            return np.zeros(0, np.uint64)
        return np.concatenate([shard.index.keys for shard in self.shards]).view(np.uint64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> list[Record]: ...
    def __getitem__(self, position: int | slice) -> Record | list[Record]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        shard, offset = self.locate(position)
        return shard.reader.record_at(offset)

    def locate(self, position: int) -> tuple[Shard, int]:
        """The shard of record ``position`` (negative counts from the end) and its byte offset there."""
        count = len(self)
        if not -count <= position < count:
            raise IndexError(f"record {position} of a data set of {count} records")
        position %= count
        number = int(np.searchsorted(self._ends, position, side="right"))
        shard = self.shards[number]
        row = position - (int(self._ends[number]) - len(shard))
        return shard, int(shard.index.offsets[row])

    def spans(self, positions: NDArray[np.int64]) -> list[tuple[Shard, int, int]]:
        """For each of these positions (from 0) the shard, and the offsets of its record and of the one after that."""
        numbers = np.searchsorted(self._ends, positions, side="right")
        found = np.empty(len(positions), dtype=object)
        for number in np.unique(numbers).tolist():
            shard, here = self.shards[number], np.flatnonzero(numbers == number)
            offsets = shard.index.offsets[positions[here] - (self._ends[number] - len(shard))]
            for at, *span in zip(here.tolist(), offsets.tolist(), shard.ends_of(offsets).tolist(), strict=True):
                found[at] = (shard, *span)
        return list(found)

    def __iter__(self) -> Iterator[Record]:
        for shard in self.shards:
            for offset in each(shard.index.offsets):
                yield shard.reader.record_at(offset)

    @cached_property
    def class_indices(self) -> NDArray[np.int64]:
        """The class of each record, its first label, shape (N,), in the order of the files; read from the headers.

        Raises DatasetError where a first label is not a whole number from 0 up.
        """
        if not self.shards:
            return np.zeros(0, np.int64)
        if self.manifest is not None and self.manifest.label_kind == "boxes":
            raise DatasetError(
                f"{self.name}: its images have boxes, not one class each; choose them by ids, or by filter() in Python"
            )
        labels = np.concatenate([shard.first_labels() for shard in self.shards])
        with np.errstate(invalid="ignore"):
            classes = labels.astype(np.int64)
        wrong = (classes != labels) | (classes < 0)
        if wrong.any():
            at = int(wrong.argmax())
            raise DatasetError(
                f"{self.name}: the record with id {int(self.keys[at])} has the label {labels[at]}, which is no class "
                "index"
            )
        return classes

    def take(self, rows: NDArray[Any] | Sequence[int]) -> Dataset:
        """A view of the records at these positions, each once, in the order of the files; the .rec is not touched.

        The view keeps the manifest, with the classes, of the whole.
        """
        chosen = distinct(np.asarray(rows, dtype=np.int64))
        if len(chosen) and not (chosen[0] >= 0 and chosen[-1] < len(self)):
            raise IndexError(f"rows {chosen[0]} to {chosen[-1]} of a data set of {len(self)} records")
        shards = []
        for shard, end in zip(self.shards, self._ends.tolist(), strict=True):
            start = end - len(shard)
            first, last = np.searchsorted(chosen, [start, end])
            if first < last:
                shards.append(shard.take(chosen[first:last] - start))
        return Dataset(shards, self.manifest)

    def subset(
        self,
        *,
        ids: Sequence[int] | NDArray[Any] | None = None,
        classes: Sequence[str | int] | str | int | None = None,
        fraction: float | None = None,
        seed: int = 0,
    ) -> Dataset:
        """A view of the records that meet all conditions given; the .rec is not touched.

        ids: of these records; all must be there. classes: names or indices, or one of them. fraction: this share, drawn
        by ``seed`` from each class alike where records have classes; 0.1 with the same seed lies within 0.2.

        Raises DatasetError for ids and classes that the data set does not have, ValueError for ids that are no whole
        numbers from 0 to 2^64-1 and for a fraction outside 0…1.
        """
        rows: NDArray[np.int64] = np.arange(len(self))
        if ids is not None:
            rows = self._rows_of_ids(ids)
        if classes is not None:
            wanted = [self._class_index(name) for name in ([classes] if isinstance(classes, (str, int)) else classes)]
            rows = rows[np.isin(self.class_indices[rows], wanted)]
        if fraction is not None:
            if not 0 < fraction <= 1:
                raise ValueError(f"fraction is {fraction}: above 0, up to 1")
            places = self._places(rows, seed)
            rows = rows[places < fraction]
        return self.take(rows)

    def filter(self, keep: Callable[[Record], bool]) -> Dataset:
        """A view of the records for which ``keep(record)`` is true; each record is read once."""
        return self.take(np.fromiter((row for row, record in enumerate(self) if keep(record)), np.int64))

    def split(self, *fractions: float, seed: int = 0) -> tuple[Dataset, ...]:
        """Disjoint views that together hold every record: ``train, val = dataset.split(0.9, 0.1)``.

        Drawn by ``seed``, from each class alike where records have classes. Raises ValueError unless the fractions are
        above 0 and add up to 1.
        """
        if not fractions or not all(share > 0 for share in fractions) or not abs(sum(fractions) - 1) <= 1e-9:
            raise ValueError(f"fractions are {fractions}: above 0, and 1 together")
        places = self._places(np.arange(len(self)), seed)
        edges = np.cumsum((0.0, *fractions))
        edges[-1] = 1.0
        return tuple(
            self.take(np.nonzero((places >= low) & (places < high))[0]) for low, high in itertools.pairwise(edges)
        )

    def _places(self, rows: NDArray[Any], seed: int) -> NDArray[np.float64]:
        """A place in 0…1 for each row, evenly spread within each class, so that a range of places is a fair share."""
        random = np.random.Generator(np.random.PCG64(seed))
        lottery = random.random(len(self))[rows]
        groups = self.class_indices[rows] if self.has_class_labels else np.zeros(len(rows), np.int64)
        order = np.lexsort((lottery, groups))
        _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
        # A random offset in each class, so that small classes are not all rounded to the same side.
        ranks = np.arange(len(rows)) - np.repeat(starts - random.random(len(starts)), sizes)
        places = np.empty(len(rows))
        places[order] = ranks / np.repeat(sizes, sizes)
        return places

    def _rows_of_ids(self, ids: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        wanted = _whole_numbers(ids)
        missing = ~np.isin(wanted, self.keys)
        if missing.any():
            raise DatasetError(
                f"{self.name}: {int(missing.sum())} of the {len(wanted)} ids are not in it, id {wanted[missing][0]} "
                "among them"
            )
        return np.nonzero(np.isin(self.keys, wanted))[0]

    @cached_property
    def _number_of_class(self) -> dict[str, int]:
        """The first number of each class name."""
        names = self.classes or ()
        return {name: len(names) - number for number, name in enumerate(reversed(names), start=1)}

    def _class_index(self, name: str | int) -> int:
        if isinstance(name, str):
            if name not in self._number_of_class:
                raise DatasetError(f"{self.name}: no class {name!r}; its classes are {_shortened(self.classes)}")
            return self._number_of_class[name]
        count = self.num_classes
        if count is not None and not 0 <= name < count:
            raise DatasetError(f"{self.name}: no class {name}; it has {count} classes, numbered from 0")
        return name

    def close(self) -> None:
        """Let go of the files."""
        for shard in self.shards:
            shard.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Dataset of {counted(len(self), 'record')} in {counted(len(self.shards), 'shard')}: {self.name}>"


def listed_ids(dataset: Dataset) -> NDArray[np.uint64]:
    """The id by which a .lst has each record, shape (N,): that in its header, as in MXNet.

    The .idx may have other keys: MXNet's rec2idx numbers from 0. Its keys are taken where the headers do not tell the
    records apart, as in files that have the id 0 everywhere.
    """
    ids = [shard.reader.ids_at(shard.index.offsets) for shard in dataset.shards]
    found = np.concatenate(ids).view(np.uint64) if ids else dataset.keys
    return found if len(distinct(found)) >= len(distinct(dataset.keys)) else dataset.keys


def _whole_numbers(ids: Sequence[int] | NDArray[Any]) -> NDArray[np.uint64]:
    """Ids as uint64. Raises ValueError for what cannot be one."""
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and not (ids < 0).any():
        return ids.astype(np.uint64)
    for number in ids:
        if isinstance(number, (int, np.integer)) and not isinstance(number, bool) and 0 <= number <= MAX_ID:
            continue
        raise ValueError(f"id {number!s:.40} is not a whole number from 0 to 2^64-1")
    return np.array([int(number) for number in ids], dtype=np.uint64)


def _shortened(names: Sequence[str] | None) -> str:
    if names is None:
        return "not known by name"
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
