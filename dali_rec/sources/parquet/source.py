"""Parquet and Arrow files with images, or the paths or URLs of images, in their rows, as Hugging Face has them."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.parquet.columns import Names, choose_columns
from dali_rec.sources.parquet.held_paths import HeldPaths
from dali_rec.sources.parquet.images import ParquetImages, parquet_location
from dali_rec.sources.parquet.opened import OpenedFile, lacks_column, open_file, refuse_other_columns
from dali_rec.sources.parquet.row_files import kind_of
from dali_rec.sources.parquet.saved import Beside, read_beside
from dali_rec.sources.pixels import is_base64
from dali_rec.sources.tables.columns import without_empty_label
from dali_rec.sources.tables.rows import Row
from dali_rec.sources.tables.table import read_rows
from dali_rec.sources.tables.table_rows import TableRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dali_rec.sources.sample import Source
    from dali_rec.sources.shard_files import ShardFiles
    from dali_rec.sources.tables.columns import Columns, TableOptions

# No column is called so.
_SPLIT = "\0split"
# What Hugging Face has for a label that is not known, in splits for tests.
_UNKNOWN = -1


def read_parquet(
    found: ShardFiles, root: Path | None, options: TableOptions, classes: Sequence[str] | None = None
) -> Source:
    """The images that Parquet or Arrow files hold or name, in their order.

    The column of the images is the one that Hugging Face says to hold them, or else the only one of structs of bytes
    and a path, or of bytes, or it is found as in a table (see ``read_table``), as are the others; a label that Hugging
    Face says to be a class is one by its name. Strings are paths, URLs, or files in base64. A list of labels is as many
    labels. Splits of which no class is known, or which lack the column of the labels, are left out.

    Raises SourceError, with the file and the row, for what ``read_table`` does, for a file that cannot be read, and
    for files whose columns differ.
    """
    opened, notes = _open_all(found)
    splits = None if options.split is not None else found.splits
    options = without_empty_label(options)
    wanted = options if splits is None else replace(options, split="")
    if splits is not None and options.labels:
        lacking = _without_label_column(opened, splits, wanted)
        opened, splits = _leave_out(found.name, opened, splits, lacking, "no column of labels", notes)
    first, *others = opened
    columns = choose_columns(first.where, first.fields, wanted)
    for other in others:
        refuse_other_columns(first, other, columns.options)
        if (
            options.labels
            and not columns.options.labels  # none was found
            and (labels := choose_columns(other.where, other.fields, wanted).options.labels)
        ):
            raise lacks_column(first, other, labels[0])
    notes += columns.notes
    if splits is not None:
        unlabelled = _unlabelled(opened, splits, columns.options.labels)
        opened, splits = _leave_out(found.name, opened, splits, unlabelled, "no labels", notes)
    if not sum(one.rows for one in opened):
        raise SourceError(f"{found.name}: no labelled rows in it")
    table = _Reader(found, opened, splits, replace(columns, notes=tuple(notes)))
    if table.held is not None and root is not None:
        raise SourceError(f"{found.name}: --root says where paths begin, and the images are in the files; leave it out")
    # Paths are relative to the file, if it is alone, and otherwise to where all are.
    path = Path(first.path) if len(found.files) == 1 else found.folder / f"*{Path(first.name).suffix}"
    folder = str(found.folder if root is None else root)
    source = read_rows(path, folder, table.table_rows(), root, options, classes)
    source = replace(source, is_in_order=source.is_in_order and not all(one.is_at_place for one in opened))
    return source if table.paths is None else table.paths.in_source(source)


def _open_all(found: ShardFiles) -> tuple[list[OpenedFile], list[str]]:
    """The files, by what is said of them beside, and what the user should hear of that."""
    folders = {os.path.dirname(file) for file in found.files if kind_of(file) == "Arrow"}  # noqa: PTH120
    beside = {place: read_beside(found.folder / place) for place in sorted(folders)}
    none = Beside()
    opened = [open_file(found.folder, file, beside.get(os.path.dirname(file), none)) for file in found.files]  # noqa: PTH120
    return opened, [*found.notes, *(note for one in beside.values() for note in one.notes)]


def _leave_out(
    name: str, files: Sequence[OpenedFile], splits: Sequence[str], some: Sequence[str], why: str, notes: list[str]
) -> tuple[list[OpenedFile], tuple[str, ...]]:
    """The files, and the split of each, but for those of some splits, of which the notes say why."""
    notes += [f"{name}: the split {split!r} is left out, as it has {why}" for split in some]
    chosen = [number for number, split in enumerate(splits) if split not in some]
    return [files[number] for number in chosen], tuple(splits[number] for number in chosen)


def _files_of(files: Sequence[OpenedFile], splits: Sequence[str]) -> dict[str, list[OpenedFile]]:
    """The files of each split."""
    of_split: dict[str, list[OpenedFile]] = {}
    for file, split in zip(files, splits, strict=True):
        of_split.setdefault(split, []).append(file)
    return of_split


def _without_label_column(files: Sequence[OpenedFile], splits: Sequence[str], wanted: TableOptions) -> list[str]:
    """The splits, such as one for tests, that have none of the columns that are the labels of others."""
    labels: tuple[str, ...] = ()
    for file in files:
        with contextlib.suppress(SourceError):  # which is raised for the file of another split, or in the end for all
            labels = labels or choose_columns(file.where, file.fields, wanted).options.labels
    return [
        split
        for split, some in _files_of(files, splits).items()
        if labels and not any(name in file.fields for file in some for name in labels)
    ]


def _unlabelled(files: Sequence[OpenedFile], splits: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The splits of which no row has a class that is known, of those that have names."""
    if not labels or any(_names(files[0], name) is None for name in labels):
        return []
    return [
        split for split, some in _files_of(files, splits).items() if not any(_has_labels(file, labels) for file in some)
    ]


def _names(file: OpenedFile, column: str) -> Names:
    """The names of the classes in a column, None where it has none, or is no column of the file."""
    return file.fields[column].names if column in file.fields else None


def _has_labels(file: OpenedFile, labels: Sequence[str]) -> bool:
    if any(file.fields[name].kind != "number" for name in labels):
        return True
    return any(
        value not in (_UNKNOWN, None)
        for batch in file.batches(labels)
        for name in labels
        for value in _values(batch, name)
    )


def _values(batch: Any, name: str) -> list[Any]:
    """The values of a column in Python's types; of yes and no, 1 and 0."""
    return [_plain(value) for value in batch.column(name).to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, bool) else value


class _Reader:
    """The rows of files, one after another, numbered through from 0; as Places it says which is which."""

    def __init__(
        self, found: ShardFiles, files: Sequence[OpenedFile], splits: Sequence[str] | None, columns: Columns
    ) -> None:
        self.name = found.name
        self._files = files
        self._splits = splits
        self._columns = columns
        self._ends = [*itertools.accumulate(file.rows for file in files)]
        self._image = files[0].fields[columns.options.location]
        is_held = self._image.kind != "text" or self._are_base64()
        self.held = ParquetImages(str(found.folder), columns.options.location) if is_held else None
        self.paths = HeldPaths(found.name, str(found.folder), columns.options.location) if is_held else None
        options = columns.options
        used = (*options.labels, options.id, options.split or "", *(() if is_held else (options.location,)))
        self._used = [name for name in dict.fromkeys(used) if name in files[0].fields]
        self._widths = self._list_widths()

    def of(self, row: int) -> str:
        """See Places."""
        number = bisect.bisect_right(self._ends, row)
        return f"{self._files[number].path}, row {row - (self._ends[number - 1] if number else 0)}"

    def at(self, row: int) -> str:
        """See Places."""
        return f"in {self.of(row)}"

    def table_rows(self) -> TableRows:
        """The rows as those of a table, with a column for each place in a list of labels."""
        options = self._columns.options
        labels = tuple(one for name in options.labels for one in self._expanded(name))
        known = {name: found for name in options.labels if (found := _names(self._files[0], name)) is not None}
        names = {one: classes for name, classes in known.items() for one in self._expanded(name)}
        split = options.split if self._splits is None else _SPLIT
        columns = replace(self._columns, names=(), options=replace(options, labels=labels, split=split))
        return TableRows(columns, self._rows(), names=names, held=self.held, places=self, has_splits=split == _SPLIT)

    def _rows(self) -> Iterator[Row[dict[str, Any]]]:
        row = 0
        for file, split in zip(self._files, self._splits or itertools.repeat(None), strict=False):
            for values in self._of_file(file, row):
                if split is not None:
                    values[_SPLIT] = split
                yield Row(row, 0, 0, values)
                row += 1

    def _of_file(self, file: OpenedFile, first: int) -> Iterator[dict[str, Any]]:
        location = self._columns.options.location
        path_of = location if self.held is not None and self._image.has_path else None
        row = 0
        for batch in file.batches(self._used, path_of=path_of):
            columns: dict[str, Sequence[Any]] = {}
            for name in self._used:
                columns |= self._column(file, name, _values(batch, name), first + row)
            if self.paths is not None:
                values = batch.column(location).to_pylist() if path_of else [None] * batch.num_rows
                paths = [value and value["path"] for value in values]
                self.paths.add(file.name, paths)
                columns[location] = [parquet_location(file.name, at, path) for at, path in enumerate(paths, row)]
            names = tuple(columns)
            yield from (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))
            row += batch.num_rows

    def _column(self, file: OpenedFile, name: str, values: list[Any], first: int) -> dict[str, Sequence[Any]]:
        """The values of a column by its name, or of a list by a name for each place; classes by their names."""
        known = file.fields[name].names
        if name not in self._widths:
            if known is not None:
                values = [self._class_name(name, value, known, first + at) for at, value in enumerate(values)]
            return {name: values}
        for at, value in enumerate(values, first):
            if value is None or len(value) != self._widths[name]:
                has = "no list" if value is None else f"{len(value)} labels"
                raise SourceError(
                    f"{self.of(at)}: {name!r} has {has}, and {self._widths[name]} in the first row; as many are "
                    "expected"
                )
        columns = dict(zip(self._expanded(name), zip(*values, strict=True), strict=True))
        if known is None:
            return dict(columns)
        return {
            one: [self._class_name(name, value, known, first + at) for at, value in enumerate(column)]
            for one, column in columns.items()
        }

    def _class_name(self, column: str, value: Any, known: tuple[str, ...], row: int) -> Any:
        if value is None or isinstance(value, str):
            return value
        if value not in range(len(known)):
            raise SourceError(
                f"{self.of(row)}: the label {value} in {column!r} is none of the {len(known)} classes; correct it, or "
                "leave the row out"
            )
        return known[int(value)]

    def _expanded(self, name: str) -> tuple[str, ...]:
        return tuple(f"{name}[{place}]" for place in range(self._widths[name])) if name in self._widths else (name,)

    def _list_widths(self) -> dict[str, int]:
        """How many labels each list of labels has, by the first row."""
        fields = self._files[0].fields
        labels = [name for name in self._columns.options.labels if name in fields]
        lists = [name for name in labels if fields[name].kind == "list"]
        widths = {name: len(self._first(name) or ()) for name in lists}
        for name, width in widths.items():
            if not width:
                raise SourceError(f"{self.of(0)}: {name!r} has no labels; expected one or several numbers in each row")
        return widths

    def _are_base64(self) -> bool:
        value = self._first(self._columns.options.location)
        return isinstance(value, str) and is_base64(value)

    def _first(self, name: str) -> Any:
        """The value in the first row."""
        batches = (batch for file in self._files for batch in file.batches([name], 1) if batch.num_rows)
        return next(batches).column(name)[0].as_py()
