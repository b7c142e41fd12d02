"""Tables: CSV, TSV, JSON and JSON lines with the columns label, location and id, or others by name."""

from __future__ import annotations

import itertools
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.errors import SourceError
from dali_rec.recordio.header import MAX_ID
from dali_rec.sources.columns import DEFAULT_ID, Columns, TableOptions, find_columns, named_columns
from dali_rec.sources.file_finder import FoundFiles, find_files
from dali_rec.sources.folder import SPLIT_NAMES
from dali_rec.sources.json_maps import paths_and_labels
from dali_rec.sources.label_column import LabelColumn, finite_number
from dali_rec.sources.pixels import PixelTable, is_base64
from dali_rec.sources.remote import is_url
from dali_rec.sources.rows import JSON_SUFFIXES, TEXT_SUFFIX, Row, read_rows
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.split_column import SplitColumn
from dali_rec.sources.text_list import find_layout, folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LONGEST_PATH = 4096  # Linux's PATH_MAX; other systems allow less


def read_table(path: Path, root: Path | None, options: TableOptions, classes: Sequence[str] | None = None) -> Source:
    """The images that a table names or holds, in its order, under its ids if it has them.

    A location is a path, relative to ``root`` or to the table, a URL, or the image itself: pixels as nested lists of
    0…255 (height × width, or height × width × 3), or a file in base64, by itself or as a data: URL. A column of labels
    that are all numbers keeps them; otherwise each name gets the number of its place among the sorted names, or in
    ``classes``. Which columns a CSV has: see ``find_columns``.

    Raises SourceError, with the line, for a missing column or value, an id that is not a whole number or stands twice,
    a label that is not in ``classes``, and one that is no finite number where most of its column are numbers and there
    are no ``classes``.
    """
    folder = str(root if root is not None else path.parent)
    table = _Table(path, folder, options)
    for row in table.rows():
        table.add(row)
    if not table.locations:
        raise SourceError(f"{path}: no rows in it")
    table.shorten_folders()
    columns = [column.resolve(path, classes) for column in table.labels]
    values = [column.values for column in columns]
    files = table.find_files(root)
    samples = SampleTable()
    for number, location in enumerate(files.locations):
        key = table.keys[number] if table.keys else number
        samples.append(Sample(key, tuple(column[number] for column in values), location))
    samples, splits = table.part(samples)
    names = tuple(column.names for column in columns)
    return Source(
        samples,
        files.root,
        names[0] if len(names) == 1 else None,
        keys_are_given=bool(table.keys),
        label_classes=names if len(names) > 1 and any(names) else None,
        pixels=table.pixels,
        notes=(
            *table.notes,
            *(note for column in columns for note in column.notes),
            *files.notes,
            *_repeats(path, files.locations),
        ),
        splits=splits,
    )


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


def _is_no_path(location: str) -> bool:
    """Whether a location is no path or URL, nor an image in a form that is read."""
    if _is_image(location):
        return False
    return location.startswith("data:") or (len(location) > _LONGEST_PATH and not is_url(location))


def _is_image(location: str) -> bool:
    """Whether a location is the image itself: pixels, or a file in base64."""
    # Pixels by the end as well: a name may begin with a bracket.
    return (location.startswith("[") and location.rstrip().endswith("]")) or is_base64(location)


class _Table:
    """What is gathered from the rows of a table."""

    def __init__(self, path: Path, root: str, options: TableOptions) -> None:
        self.path = path
        self.root = root
        self.options = options
        self.notes: tuple[str, ...] = ()
        self.labels = [LabelColumn(name) for name in options.labels]
        self.locations: list[str] = []
        self.keys: array[int] = array("Q")
        self.pixels: PixelTable | None = None
        self._line_of_key: dict[int, int] = {}
        self._columns: tuple[str, ...] | None = None
        self._splits: SplitColumn | None = None
        self._are_file_ids = False
        self._labels_are_folders = False

    def rows(self) -> Iterator[Row]:
        """The rows without the header, values by column name."""
        if self.path.suffix.lower() in JSON_SUFFIXES:
            if self.options.columns is not None:
                raise SourceError(f"{self.path}: --columns names the columns of a CSV without a header; leave it out")
            yield from self._json_rows()
            return
        if self.path.suffix.lower() == TEXT_SUFFIX and self.options.columns is None:
            yield from self._text_rows()
            return
        every = self._uncommented(len(self.options.columns or ()))
        ahead = list(itertools.islice(every, 2))
        if not ahead:
            return
        names, is_header = self._find_columns(ahead)
        for row in itertools.chain(ahead[1:] if is_header else ahead, every):
            yield self._by_name(row, names)

    def _by_name(self, row: Row, names: tuple[str, ...]) -> Row:
        """The row with its values by these names."""
        assert isinstance(row.values, list)
        if len(row.values) != len(names):
            raise SourceError(
                f"{self.path}, line {row.line}: {len(row.values)} fields, expected {len(names)} "
                f"({', '.join(names)[:200]}); quote a field that holds the delimiter"
            )
        return Row(row.line, row.start, row.length, dict(zip(names, row.values, strict=True)))

    def _json_rows(self) -> Iterator[Row]:
        """The rows of JSON, whose columns are those of the first object, or which that has in it itself."""
        objects = read_rows(self.path)
        first = next(objects, None)
        if first is None:
            return
        assert isinstance(first.values, dict)
        pairs = None if self.options.location in first.values else paths_and_labels(first.values)
        if pairs is None:
            self._take(named_columns(f"{self.path}, line {first.line}", tuple(first.values), self.options))
            yield from itertools.chain([first], objects)
            return
        if len(self.labels) != 1 or next(objects, None) is not None:
            raise SourceError(f"{self.path}: an object of all paths stands alone, and has one label for each")
        for path, label in pairs:
            values = {self.options.location: path, self.options.labels[0]: label}
            yield Row(first.line, first.start, first.length, values)

    def _text_rows(self) -> Iterator[Row]:
        """The rows of a .txt, whose columns are told by its first lines; what begins with # is none."""
        lines = [
            str(row.values[0]) for row in itertools.islice(self._uncommented(1), 3) if isinstance(row.values, list)
        ]
        if not lines:
            return
        layout = find_layout(str(self.path), lines, self.root, self.options)
        self._take(layout.columns)
        self._labels_are_folders = layout.labels_are_folders
        for row in itertools.islice(self._uncommented(len(layout.columns.names)), layout.before, None):
            named = self._by_name(row, layout.columns.names)
            if layout.labels_are_folders:
                assert isinstance(named.values, dict)
                folder = folder_of(named.values[self.options.location], f"{self.path}, line {row.line}")
                named.values[self.options.labels[0]] = folder
            yield named

    def _uncommented(self, columns: int) -> Iterator[Row]:
        """The rows, of a .txt without those that begin with #."""
        is_text = self.path.suffix.lower() == TEXT_SUFFIX
        for row in read_rows(self.path, columns):
            assert isinstance(row.values, list)
            if not (is_text and row.values[0].startswith("#")):
                yield row

    def _find_columns(self, ahead: list[Row]) -> tuple[tuple[str, ...], bool]:
        """The names of the columns, and whether the first row is where they stand."""
        fields = [row.values for row in ahead if isinstance(row.values, list)]
        second = fields[1] if len(fields) > 1 else None
        found = find_columns(f"{self.path}, line {ahead[0].line}", fields[0], second, self.root, self.options)
        self._columns = found.names
        self._take(found)
        return found.names, found.is_header

    def _take(self, columns: Columns) -> None:
        if columns.options.split:
            self._splits = SplitColumn(columns.options.split, may_be_any=self.options.split is not None)
        self.options, self.notes, self._are_file_ids = columns.options, columns.notes, columns.are_file_ids
        self.labels = [LabelColumn(name) for name in columns.options.labels]

    def add(self, row: Row) -> None:
        where = f"{self.path}, line {row.line}"
        assert isinstance(row.values, dict)
        location = self._value(row.values, self.options.location, where)
        self._add_key(row, where)
        if self._splits is not None:
            if self._splits.name not in row.values:
                raise self._no_column(row.values, self._splits.name, where, "--split-column")
            self._splits.add(row.values[self._splits.name], row.line)
        for column in self.labels:
            label = self._value(row.values, column.name, where)
            if isinstance(label, (list, dict)):
                raise SourceError(
                    f"{where}: {column.name!r} is a {type(label).__name__}; expected a number or a name; several "
                    "labels stand in columns of their own, each with its --label-column"
                )
            column.add(label, row.line)
        if isinstance(location, (dict, bool)):
            raise SourceError(
                f"{where}: {self.options.location!r} is a {type(location).__name__}; expected a path, a URL, or pixels "
                "as nested lists"
            )
        if isinstance(location, str) and _is_no_path(location):
            raise SourceError(
                f"{where}: {self.options.location!r} has {len(location):,} characters, {location[:30]!r} …, and is no "
                "path; an image in a table is pixels as nested lists, or a file in base64 (data:image/…;base64,…)"
            )
        if isinstance(location, list) or (isinstance(location, str) and _is_image(location)):
            if self.pixels is None:
                self.pixels = PixelTable(str(self.path), self._pixel_column())
            self.locations.append(self.pixels.location(row.start, row.length))
        else:
            self.locations.append(str(location))

    def shorten_folders(self) -> None:
        """Where labels are the folders of paths, take those away that all share.

        Raises SourceError where only one folder is left, as all images would be of one class.
        """
        if not self._labels_are_folders:
            return
        folders = self.labels[0].shorten_folders()
        if len(folders) == 1 or all(folder.lower().rstrip("0123456789") in SPLIT_NAMES for folder in folders):
            raise SourceError(
                f"{self.path}: no labels behind the paths, and their folders, {', '.join(folders[:3])}, are no "
                "classes; pack a table of labels, or the data.yaml if these are images of YOLO"
            )
        note = "no labels behind the paths: the classes are the folders that they lie in"
        self.notes += (f"{self.path}: {note}; --classes FILE gives other lists the same numbers",)

    def find_files(self, root: Path | None) -> FoundFiles:
        """Where the images are. Raises SourceError where that is not clear."""
        as_they_stand = FoundFiles(self.root, self.locations)
        if self.pixels is not None:
            return as_they_stand
        try:
            found = find_files(self.path, self.locations, root)
        except ValueError as error:
            raise SourceError(
                f"{self.path}: {error}; name the one that is meant, or say --root FOLDER, below which it alone is"
            ) from None
        if found is None and self._are_file_ids:
            raise SourceError(
                f"{self.path}: no file in {self.root} is called as {self.locations[0][:80]!r} in the column "
                f"{self.options.location!r}; say --root FOLDER, below which the images are, or name their column by "
                "--location-column"
            )
        return found or as_they_stand

    def part(self, samples: SampleTable) -> tuple[SampleTable, tuple[Split, ...]]:
        """The samples in the order of their splits, and these; all as they are where there are none."""
        if self._splits is None:
            return samples, ()
        parts = self._splits.parts(str(self.path))
        if parts is None:
            note = (
                f"{self.path}: the column {self._splits.name!r} names no train, val or test, and all rows become one "
                f"data set; --split-column {self._splits.name!r} makes splits of what it names"
            )
            self.notes += (note,)
            return samples, ()
        return samples.take(parts[0]), parts[1]

    def _pixel_column(self) -> str | int:
        return self.options.location if self._columns is None else self._columns.index(self.options.location)

    def _value(self, values: dict[str, Any], name: str, where: str) -> Any:
        if name not in values:
            option = "--location-column" if name == self.options.location else "--label-column"
            raise self._no_column(values, name, where, option)
        value = values[name]
        if value is None or value == "":
            raise SourceError(f"{where}: {name!r} is empty")
        return value

    def _no_column(self, values: dict[str, Any], name: str, where: str, option: str) -> SourceError:
        return SourceError(
            f"{where}: no column {name!r} among {', '.join(map(repr, values))[:200]}; name the column by {option}"
        )

    def _add_key(self, row: Row, where: str) -> None:
        assert isinstance(row.values, dict)
        if self.options.id in ("", self.options.location, *self.options.labels):
            return
        if self.options.id not in row.values:
            if self.keys:
                raise SourceError(f"{where}: no {self.options.id!r}, which the rows before have")
            if self.options.id != DEFAULT_ID:
                raise self._no_column(row.values, self.options.id, where, "--id-column")
            return
        if len(self.keys) < len(self.locations):
            raise SourceError(f"{where}: it has an {self.options.id!r}, which the rows before have not")
        text = str(row.values[self.options.id])
        value = finite_number(text)
        if value is None or not value.is_integer() or value < 0:
            raise SourceError(
                f"{where}: {self.options.id!r} is {text[:80]!r}; expected a whole number from 0 up; --id-column '' "
                "does without ids"
            )
        key = int(text) if text.isdecimal() else int(value)
        if key > MAX_ID:
            raise SourceError(f"{where}: {self.options.id!r} is {key}; ids go up to 2^64-1")
        if key in self._line_of_key:
            raise SourceError(f"{where}: {self.options.id!r} {key} stands on line {self._line_of_key[key]} already")
        self._line_of_key[key] = row.line
        self.keys.append(key)
