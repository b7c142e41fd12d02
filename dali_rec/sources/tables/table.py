"""Tables: CSV, TSV, text, JSON and JSON lines with the columns label, location and id, or others by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.errors import SourceError
from dali_rec.sources.file_finder import FoundFiles, find_files
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.other_splits import say_other_splits
from dali_rec.sources.pixels import is_base64, is_pixels
from dali_rec.sources.remote import is_url
from dali_rec.sources.sample import SPLIT_NAMES, Sample, SampleTable, Source, Split
from dali_rec.sources.tables.columns import (
    DEFAULT_ID,
    WITHOUT_LABELS,
    TableOptions,
    classes_without_labels,
    verified_column,
    without_empty_label,
)
from dali_rec.sources.tables.id_column import IdColumn
from dali_rec.sources.tables.label_column import LabelColumn, finite_number, nested
from dali_rec.sources.tables.pixel_table import PixelTable
from dali_rec.sources.tables.places import Lines
from dali_rec.sources.tables.rows import JSON_SUFFIXES, delimiter_in
from dali_rec.sources.tables.split_column import ColumnsPassedOver, SplitColumn
from dali_rec.sources.tables.table_rows import TableRows, open_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dali_rec.sources.tables.rows import Row
    from dali_rec.sources.walk import Folder

_LONGEST_PATH = 4096  # Linux's PATH_MAX; other systems allow less


def read_table(path: Path, root: Folder | None, options: TableOptions, classes: Sequence[str] | None = None) -> Source:
    """The images that a table names or holds, in its order, under its ids if it has them.

    A location is a path, relative to ``root`` or to the table, a URL, or the image itself: pixels as nested lists of
    0…255 (height × width, or height × width × 3), or a file in base64, by itself or as a data: URL. Paths that lead
    nowhere may be ends of those of files below: see ``find_files``. A column of labels that are all numbers keeps
    them; otherwise each name gets the number of its place among the sorted names, or in ``classes``. Which columns a
    table has: see ``find_columns`` and, of a .txt, ``find_layout``. A column of splits parts it.

    Raises SourceError, with the line, for a missing column or value, an id that is not a whole number or stands twice,
    a label that is not in ``classes``, one that is no finite number where most of its column are numbers and there
    are no ``classes``, a row without a split where others have one, and for ``classes`` without labels.
    """
    folder, options = str(root if root is not None else path.parent), without_empty_label(options)
    return read_rows(path, folder, open_rows(path, folder, options), root, options, classes)


def read_rows(
    path: Path, folder: str, found: TableRows, root: Folder | None, options: TableOptions, classes: Sequence[str] | None
) -> Source:
    """The images of the rows of a table: see ``read_table``. folder: what their locations are relative to."""
    table = _Table(path, folder, found, options)
    for row in found.rows:
        table.add(row)
    for name in found.classes:
        table.labels[0].declare(name)
    if not table.locations:
        raise SourceError(f"{path}: no rows in it")
    notes = [*found.columns.notes, *table.notes]
    if found.labels_are_folders:
        notes.append(_shorten_folders(path, table.labels[0], classes))
    if classes is not None and not table.labels:
        raise classes_without_labels(str(path))
    columns = [column.resolve(table.places, classes) for column in table.labels]
    values = [column.values for column in columns]
    files = table.find_files(root)
    keys = table.ids.keys
    samples = SampleTable()
    for number, location in enumerate(files.locations):
        key = keys[number] if keys else number
        samples.append(Sample(key, tuple(column[number] for column in values) or (0.0,), location))
    splits: tuple[Split, ...] = ()
    if table.splits is not None and (parts := table.splits.parts(table.places)) is not None:
        samples, splits = samples.take(parts[0]), parts[1]
    elif table.splits is not None:
        notes.append(table.splits.passed_over(table.places.name))
    names = tuple(column.names for column in columns)
    if any(names) and not found.names and classes is None and not splits:
        notes += say_other_splits(path)
    notes += [*(note for column in columns for note in column.notes), *files.notes, *_repeats(path, files.locations)]
    return Source(
        samples,
        files.root,
        names[0] if len(names) == 1 else None,
        keys_are_given=bool(keys),
        label_classes=names if len(names) > 1 and any(names) else None,
        pixels=found.held or table.pixels,
        notes=tuple(notes),
        splits=splits,
        is_in_order=found.held is not None,
    )


def _shorten_folders(path: Path, labels: LabelColumn, classes: Sequence[str] | None) -> str:
    """Take away from labels, which are the folders of paths, those that all share; gives what the user should hear.

    Raises SourceError where what is left tells no classes apart.
    """
    folders = labels.shorten_folders(classes)
    is_told = classes is not None and set(classes).issuperset(folders)
    if not is_told and (
        len(folders) == 1 or all(folder.lower().rstrip("0123456789") in SPLIT_NAMES for folder in folders)
    ):
        raise SourceError(
            f"{path}: no labels behind the paths, and their folders, {', '.join(folders[:3])}, are no classes; give "
            "all classes by --classes if they are, pack a table of labels, or the data.yaml if these are images of YOLO"
            f"{WITHOUT_LABELS}"
        )
    note = "no labels behind the paths: the folders of the images are the classes"
    return f"{path}: {note}; --classes FILE gives other lists the same numbers"


def _repeats(path: Path, locations: Sequence[str]) -> tuple[str, ...]:
    """Say it where rows name one image: as they do where each row is a box."""
    # By hashes, as a set of millions of paths takes too much memory.
    hashes = np.fromiter(map(hash, locations), np.int64, len(locations))
    order = np.argsort(hashes, kind="stable")
    again = order[1:][hashes[order[1:]] == hashes[order[:-1]]]
    if not len(again):
        return ()
    first = locations[int(again.min())][:200]
    return (f"{path}: {len(again):,} rows name an image that a row before names, and become records too: {first}, …",)


class _Table:
    """What is gathered from the rows of a table."""

    def __init__(self, path: Path, root: str, found: TableRows, wanted: TableOptions) -> None:
        options = found.columns.options
        self.labels = [
            LabelColumn(name, is_named=name in wanted.labels, known=found.names.get(name)) for name in options.labels
        ]
        self.places = found.places or Lines(path)
        self.locations: list[str] = []
        self.ids = IdColumn(options.id)
        may_be_any = found.has_splits or wanted.split is not None
        self.splits = SplitColumn(options.split, may_be_any=may_be_any) if options.split else None
        used = (options.location, options.id, *options.labels)
        others = [] if wanted.split is not None or options.split else found.columns.names
        self._passed_over = ColumnsPassedOver(name for name in others if name not in used)
        self._verified = verified_column(found.columns)
        self._absent = 0
        self.pixels: PixelTable | None = None
        self._are_held = found.held is not None
        self._path = path
        self._root = root
        self._options = options
        self._columns = found.columns

    def add(self, row: Row[dict[str, Any]]) -> None:
        """Add a row. Raises SourceError, with its line, for what is missing or makes no sense."""
        if self._verified is not None and finite_number(str(row.values.get(self._verified))) == 0:
            self._absent += 1
            return
        where = self.places.of(row.line)
        location = self._value(row.values, self._options.location, where, "--location-column")
        self._add_id(row, where)
        if self.splits is not None:
            if self.splits.name not in row.values:
                raise self._no_column(row.values, self.splits.name, where, "--split-column")
            self.splits.add(row.values[self.splits.name], row.line)
        self._passed_over.add(row.values)
        for column in self.labels:
            label = nested(self._value(row.values, column.name, where, "--label-column"))
            if isinstance(label, (list, dict)):
                raise SourceError(
                    f"{where}: {column.name!r} is a {type(label).__name__}; expected a number or a name; several "
                    "labels stand in columns of their own, each with its --label-column"
                )
            column.add(label, row.line)
        self.locations.append(location if self._are_held else self._location(location, row, where))

    @property
    def notes(self) -> list[str]:
        """What the user should hear of rows and columns that were left out."""
        notes = self._passed_over.notes(str(self._path))
        if self._absent:
            why = f"whose {self._verified!r} is 0, which says that the class is not in the image"
            notes.append(f"{self._path}: {self._absent:,} rows {why}, were left out")
        return notes

    def _location(self, value: Any, row: Row[dict[str, Any]], where: str) -> str:
        """What a sample has for the location that stands in a row."""
        if isinstance(value, (dict, bool)):
            raise SourceError(
                f"{where}: {self._options.location!r} is a {type(value).__name__}; expected a path, a URL, or pixels "
                "as nested lists"
            )
        is_text_of_one = isinstance(value, str) and (is_pixels(value) or is_base64(value))
        if is_text_of_one or isinstance(value, list) or self._columns.pixels is not None:
            if self.pixels is None:
                self.pixels = self._pixel_table()
            return self.pixels.location(row.start, row.length)
        text = str(value)
        if text.startswith("data:") or (len(text) > _LONGEST_PATH and not is_url(text)):
            raise SourceError(
                f"{where}: {self._options.location!r} has {len(text):,} characters, {text[:30]!r} …, and is no path; "
                "an image in a table is pixels as nested lists, or a file in base64 (data:image/…;base64,…)"
            )
        return with_slashes(text)

    def _pixel_table(self) -> PixelTable:
        path, name = self._path, self._options.location
        if self._columns.pixels is not None:
            return PixelTable(str(path), self._columns.pixels, delimiter_in(path))
        if path.suffix.lower() in JSON_SUFFIXES:
            return PixelTable(str(path), name)
        return PixelTable(str(path), self._columns.names.index(name), delimiter_in(path))

    def _add_id(self, row: Row[dict[str, Any]], where: str) -> None:
        name = self._options.id
        if name in ("", self._options.location, *self._options.labels):
            return
        if name not in row.values:
            if self.ids.keys:
                raise SourceError(f"{where}: no {name!r}, which the rows before have")
            if name != DEFAULT_ID:
                raise self._no_column(row.values, name, where, "--id-column")
            return
        if len(self.ids.keys) < len(self.locations):
            raise SourceError(f"{where}: it has an {name!r}, which the rows before have not")
        self.ids.add(row.values[name], self.places, row.line)

    def _value(self, values: dict[str, Any], name: str, where: str, option: str) -> Any:
        if name not in values:
            raise self._no_column(values, name, where, option)
        value = values[name]
        if value is None or value == "":
            raise SourceError(f"{where}: {name!r} is empty")
        return value

    def _no_column(self, values: dict[str, Any], name: str, where: str, option: str) -> SourceError:
        return SourceError(
            f"{where}: no column {name!r} among {', '.join(map(repr, values))[:200]}; name the column by {option}"
        )

    def find_files(self, root: Folder | None) -> FoundFiles:
        """Where the images are. Raises SourceError where that is not clear."""
        as_they_stand = FoundFiles(self._root, self.locations)
        if self._are_held or self.pixels is not None:
            return as_they_stand
        try:
            found = find_files(self._path, self.locations, root)
        except ValueError as error:
            raise SourceError(
                f"{self._path}: {error}; give the path of the right one, or say --root FOLDER for a folder with "
                "only that one"
            ) from None
        if found is None and self._columns.are_file_ids:
            raise SourceError(
                f"{self._path}: no file in {self._root} is called as {self.locations[0][:80]!r} in the column "
                f"{self._options.location!r}; say --root, the folder or archive in which the images are, or name their "
                "column by --location-column"
            )
        return found or as_they_stand
