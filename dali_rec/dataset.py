"""A packed data set on disk: its shards, its manifest, and its records one after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from dali_rec._files import as_path
from dali_rec.errors import DatasetError, DatasetNotFoundError, IndexFileError
from dali_rec.manifest import Manifest, is_manifest, read_manifest
from dali_rec.recordio import Index, Record, RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self


class Shard:
    """One .rec file of a data set, with its index sorted by offset, as the file lies."""

    def __init__(self, path: Path, expected_records: int | None = None, expected_bytes: int | None = None) -> None:
        self.path = path
        self.reader = RecordReader(path)
        if expected_bytes is not None and self.reader.size != expected_bytes:
            raise DatasetError(
                f"{path}: {self.reader.size} bytes, the manifest says {expected_bytes}: it was cut short or replaced; "
                f"'dali-rec verify {path}' lists what is wrong with it"
            )
        index = self.reader.index
        # A record is a record once, also where the .idx names it twice.
        _, rows = np.unique(index.offsets, return_index=True)
        self.index = Index(index.keys[rows], index.offsets[rows])
        if expected_records is not None and len(self.index) != expected_records:
            raise IndexFileError(
                f"{path.with_suffix('.idx')}: {len(self.index)} records, the manifest says {expected_records}: it "
                f"belongs to another data set; rebuild it with 'dali-rec index {path}'"
            )

    def __len__(self) -> int:
        return len(self.index)


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
        return None if self.manifest is None else self.manifest.label_kind == "class"

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """The ids of all records, shape (N,), in the order of the files."""
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

    def __iter__(self) -> Iterator[Record]:
        for shard in self.shards:
            for offset in shard.index.offsets.tolist():
                yield shard.reader.record_at(offset)

    def close(self) -> None:
        """Let go of the files."""
        for shard in self.shards:
            shard.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Dataset of {len(self)} records in {len(self.shards)} shards: {self.name}>"


def open_dataset(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Dataset:
    """Open a packed data set: a prefix (``data/train``), a manifest, a .rec file, or several of these.

    Sizes and counts are held against the manifest. A .rec without an .idx is indexed in memory.

    Raises DatasetNotFoundError, DatasetError, IndexFileError.
    """
    if isinstance(path, (str, os.PathLike)):
        return _open_one(as_path(path))
    parts = [_open_one(as_path(one)) for one in path]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise DatasetNotFoundError("no data set given: name a prefix, a manifest or .rec files")
    return Dataset([shard for part in parts for shard in part.shards], _common_manifest(parts))


def _open_one(path: Path) -> Dataset:
    if path.suffix == ".rec":
        shards, manifest = _open_rec(path)
    else:
        manifest_path = path if path.suffix == ".json" else path.with_name(path.name + ".json")
        if is_manifest(manifest_path) or path.suffix == ".json":
            manifest = read_manifest(manifest_path)
            shards = [Shard(manifest_path.parent / entry.rec, entry.records, entry.bytes) for entry in manifest.shards]
        else:
            rec = path.with_name(path.name + ".rec")
            if not rec.exists():
                raise DatasetNotFoundError(f"{path}: no data set there: neither {manifest_path} nor {rec} exists")
            shards, manifest = _open_rec(rec)
    if not sum(map(len, shards)):
        raise DatasetError(f"{path}: no records in it")
    return Dataset(shards, manifest)


def _open_rec(path: Path) -> tuple[list[Shard], Manifest | None]:
    """A single .rec file, with the manifest that describes just it, if there is one beside it."""
    manifest_path = path.with_suffix(".json")
    if is_manifest(manifest_path):
        manifest = read_manifest(manifest_path)
        entries = manifest.shards
        if len(entries) == 1 and entries[0].rec == path.name:
            return [Shard(path, entries[0].records, entries[0].bytes)], manifest
    return [Shard(path)], None


def _common_manifest(parts: list[Dataset]) -> Manifest | None:
    """One manifest for several data sets, if all have one and agree on what the labels mean."""
    manifests = [part.manifest for part in parts]
    first = manifests[0]
    if first is None:
        return None
    total = first
    for manifest in manifests[1:]:
        if manifest is None:
            return None
        if manifest.classes != first.classes or manifest.label_kind != first.label_kind:
            raise DatasetError(
                f"{parts[0].name} and the others given with it have different classes: their label indices do not mean "
                "the same; pack them together"
            )
        total = Manifest(
            records=total.records + manifest.records,
            shards=total.shards + manifest.shards,
            label_width=first.label_width if manifest.label_width == total.label_width else 0,
            label_kind=first.label_kind,
            max_width=max(total.max_width, manifest.max_width),
            max_height=max(total.max_height, manifest.max_height),
            bytes=total.bytes + manifest.bytes,
            classes=first.classes,
        )
    return total
