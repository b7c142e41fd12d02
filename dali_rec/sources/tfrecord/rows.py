"""The records of TFRecord files as the rows of a table."""

from __future__ import annotations

import bisect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.ahead import saying_how_many
from dali_rec.sources.tables.rows import Row
from dali_rec.sources.tables.table_rows import TableRows
from dali_rec.sources.tfrecord.images import TFRecordImages, tfrecord_location
from dali_rec.sources.tfrecord.records import read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dali_rec.sources.shard_files import ShardFiles
    from dali_rec.sources.tfrecord.example import Feature
    from dali_rec.sources.tfrecord.features import Chosen, Seen
    from dali_rec.sources.tfrecord.names_beside import NamesBeside
    from dali_rec.sources.tfrecord.records import Record

# No feature is called so.
_SPLIT = "\0split"


class RecordRows:
    """The records of files, one after another, numbered through from 0; as Places it says which is which.

    of_split: the files of each split, or all under None. seen: the features. names: of the classes, by the features of
    their numbers. beside: what gathers names that stand in the records.
    """

    def __init__(
        self,
        found: ShardFiles,
        of_split: Mapping[str | None, Sequence[str]],
        chosen: Chosen,
        seen: Mapping[str, Seen],
        names: Mapping[str, tuple[str, ...]],
        beside: NamesBeside | None,
    ) -> None:
        self.name = found.name
        self._folder = found.folder
        self._of_split = of_split
        self._chosen = chosen
        self._names = names
        self._beside = beside
        self._starts: list[int] = []
        self._files: list[str] = []
        options = chosen.columns.options
        self._widths = {name: seen[name].count for name in options.labels}
        for name, width in self._widths.items():
            if not width:
                raise SourceError(f"{self.name}: {name!r} has no labels in the first records; name another feature")

    def of(self, row: int) -> str:
        """See Places."""
        at = bisect.bisect_right(self._starts, row) - 1
        return f"{self._folder / self._files[at]}, record {row - self._starts[at]}"

    def at(self, row: int) -> str:
        """See Places."""
        return f"in {self.of(row)}"

    def table_rows(self) -> TableRows:
        """The rows as those of a table, with a column for each place in a list of labels."""
        options = self._chosen.columns.options
        labels = tuple(one for name in options.labels for one in self._expanded(name))
        names = {one: known for name, known in self._names.items() for one in self._expanded(name)}
        has_splits = None not in self._of_split
        split = _SPLIT if has_splits else options.split
        columns = replace(self._chosen.columns, names=(), options=replace(options, labels=labels, split=split))
        held = TFRecordImages(str(self._folder), self._chosen.image.name, self._chosen.image.pixels)
        rows = saying_how_many(self._rows(), f"{self.name}: labels read")
        return TableRows(columns, rows, names=names, held=held, places=self, has_splits=has_splits)

    def _rows(self) -> Iterator[Row[dict[str, Any]]]:
        options, beside = self._chosen.columns.options, self._beside
        others = [name for name in (options.id, options.split) if name and name not in self._widths]
        path = [] if self._chosen.image.path is None else [self._chosen.image.path]
        row = 0
        for split, files in self._of_split.items():
            for file in files:
                self._starts.append(row)
                self._files.append(file)
                wanted = {*self._widths, *others, *path, *(() if beside is None else beside.features)}
                for record in read_records(self._folder / file):
                    features = record.features(wanted)
                    values: dict[str, Any] = {}
                    for name in self._widths:
                        values |= self._labels(record, name, features)
                    values |= {name: _single(record, name, features) for name in others if name in features}
                    if beside is not None and beside.features:
                        texts = {name: text_of(record, name, features) for name in beside.features}
                        beside.add(next(iter(values.values())), texts)
                    origin = text_of(record, path[0], features) if path else None
                    place = (record.number, record.start, record.length)
                    values[options.location] = tfrecord_location(file, *place, origin)
                    if split is not None:
                        values[_SPLIT] = split
                    yield Row(row, 0, 0, values)
                    row += 1

    def _labels(self, record: Record, name: str, features: Mapping[str, Feature]) -> dict[str, Any]:
        """The labels in a feature, by its name, or by a name for each place in a list; classes by their names."""
        values = values_of(record, name, features)
        width = self._widths[name]
        if not values and width == 1:
            return {name: None}
        if len(values) != width:
            raise SourceError(
                f"{record.where}: {name!r} has {len(values)} labels, and {width} in the first record; as many are "
                "expected"
            )
        known = self._names.get(name)
        if known is not None:
            values = [_class_name(record, name, value, known) for value in values]
        return dict(zip(self._expanded(name), values, strict=True))

    def _expanded(self, name: str) -> tuple[str, ...]:
        width = self._widths[name]
        return tuple(f"{name}[{place}]" for place in range(width)) if width > 1 else (name,)


def _class_name(record: Record, feature: str, value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return value
    if value not in range(len(known)):
        raise SourceError(
            f"{record.where}: the label {value} in {feature!r} is none of the {len(known)} classes; correct it, or "
            "leave the record out"
        )
    return known[int(value)]


def values_of(record: Record, name: str, features: Mapping[str, Feature]) -> list[Any]:
    """The values of a feature, bytes as text; none where it is not there."""
    found = features.get(name)
    if found is None:
        return []
    return [_decoded(record, name, value) for value in found.values] if found.kind == "bytes" else [*found.values]


def _decoded(record: Record, name: str, value: Any) -> str:
    text = record.take(value)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise SourceError(f"{record.where}: {name!r} is {text[:40]!r}, which is no text in UTF-8") from None


def _single(record: Record, name: str, features: Mapping[str, Feature]) -> Any:
    """The only value of a feature; None where there is none."""
    values = values_of(record, name, features)
    if len(values) > 1:
        raise SourceError(f"{record.where}: {name!r} has {len(values)} values; expected one")
    return values[0] if values else None


def text_of(record: Record, name: str, features: Mapping[str, Feature]) -> str | None:
    """The text in a feature; None where there is none, or something else."""
    found = features.get(name)
    if found is None or found.kind != "bytes" or len(found.values) != 1:
        return None
    return record.take(found.values[0]).decode("utf-8", "replace")  # type: ignore[arg-type]
