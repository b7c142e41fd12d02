"""The rows of a table of any form, by the names of their columns."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.image_names import names_image
from dali_rec.sources.tables.columns import Columns, TableOptions, find_columns, named_columns
from dali_rec.sources.tables.json_maps import paths_and_labels
from dali_rec.sources.tables.pixel_columns import PIXELS, PixelColumns
from dali_rec.sources.tables.pixel_layout import find_pixel_columns
from dali_rec.sources.tables.rows import (
    JSON_SUFFIXES,
    TEXT_SUFFIX,
    Row,
    delimiter_in,
    read_lines,
    read_objects,
    read_raw_lines,
)
from dali_rec.sources.tables.text_list import find_layout, folder_of, path_and_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dali_rec.sources.held_images import HeldImages
    from dali_rec.sources.tables.places import Places


@dataclass(frozen=True, slots=True)
class TableRows:
    """The columns of a table and its rows, without a header.

    labels_are_folders: whether labels are the folders of the paths, as no label stands behind them. classes: those that
    have a number even without a row. names: those of all classes, in their order, by columns of labels. held: what has
    the images, whose locations then stand in the rows as they are. places: where rows are, if not on lines. has_splits:
    whether the column of splits says nothing but splits.
    """

    columns: Columns
    rows: Iterable[Row[dict[str, Any]]]
    labels_are_folders: bool = False
    classes: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: HeldImages | None = None
    places: Places | None = None
    has_splits: bool = False


def open_rows(path: Path, root: str, options: TableOptions) -> TableRows:
    """The rows of a table. Raises SourceError, with the line, for columns that cannot be told; so do the rows.

    root: what relative locations are relative to.
    """
    suffix = path.suffix.lower()
    if suffix in JSON_SUFFIXES and options.columns is not None:
        raise SourceError(f"{path}: --columns names the columns of a CSV without a header; leave it out")
    if suffix in JSON_SUFFIXES:
        return _json_rows(path, options)
    if suffix == TEXT_SUFFIX and options.columns is None:
        return _text_rows(path, root, options)
    return _delimited_rows(path, root, options)


def _json_rows(path: Path, options: TableOptions) -> TableRows:
    """Rows whose columns are those of the first object, or all that one object has in it."""
    objects = read_objects(path)
    first = next(objects, None)
    if first is None:
        raise _no_rows(path)
    try:
        pairs = None if options.location in first.values else paths_and_labels(first.values)
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from None
    if pairs is None:
        columns = named_columns(f"{path}, line {first.line}", tuple(first.values), options)
        return TableRows(columns, itertools.chain([first], objects))
    if len(options.labels) > 1 or next(objects, None) is not None:
        raise SourceError(f"{path}: an object of all paths stands alone, and has no more than one label for each")
    _refuse_repeated_keys(path, first)
    names = (options.location, *options.labels)
    rows = (Row(first.line, first.start, first.length, dict(zip(names, pair, strict=False))) for pair in pairs)
    empty = tuple(name for name, paths in first.values.items() if paths == [] and options.labels)
    return TableRows(Columns(names, options, is_header=False), rows, classes=empty)


def _refuse_repeated_keys(path: Path, row: Row[dict[str, Any]]) -> None:
    """Raise SourceError for a class or a path that stands twice in an object of all; a parser keeps the last."""
    with path.open("rb") as file:
        file.seek(row.start)
        text = file.read(row.length)
    try:
        keys = Counter(key for key, _ in json.loads(text, object_pairs_hook=list))
    except (ValueError, TypeError):  # a Python literal
        return
    key, times = keys.most_common(1)[0]
    if times > 1:
        raise SourceError(f"{path}: {key[:80]!r} stands {times} times in it; let it stand once")


def _text_rows(path: Path, root: str, options: TableOptions) -> TableRows:
    """Rows of a .txt, whose columns are told by its first lines."""
    lines = [row.values[0] for row in itertools.islice(read_lines(path, 1), 3)]
    if not lines:
        raise _no_rows(path)
    layout = find_layout(str(path), lines, root, options)
    every = itertools.islice(read_lines(path, len(layout.columns.names)), layout.before, None)
    rows = _by_name(path, _with_whole_labels(path, every, root, layout.columns), layout.columns.names)
    columns = replace(layout.columns, notes=(*layout.columns.notes, *_rows_as_comments(path)))
    if layout.labels_are_folders:
        rows = _with_folders(path, rows, layout.columns.options)
    return TableRows(columns, rows, layout.labels_are_folders)


def _rows_as_comments(path: Path) -> tuple[str, ...]:
    """Say it where lines that begin with #, which are passed over, name an image: a file may begin with it as well."""
    count, first = 0, ""
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b"#"):
                text = line.decode("utf-8", "surrogateescape").strip()
                if any(names_image(word) for word in text.split()):
                    count, first = count + 1, first or text
    return (f"{path}: {count:,} lines that begin with # were passed over: {first[:80]}, …",) if count else ()


def _delimited_rows(path: Path, root: str, options: TableOptions) -> TableRows:
    every = read_lines(path, len(options.columns or ()))
    ahead = list(itertools.islice(every, 2))
    if not ahead:
        raise _no_rows(path)
    second = ahead[1].values if len(ahead) > 1 else None
    if path.suffix.lower() != TEXT_SUFFIX:
        columns = find_pixel_columns(f"{path}, line {ahead[0].line}", ahead[0].values, second, options)
        if columns is not None and columns.pixels is not None:
            return TableRows(columns, _rows_of_pixels(path, columns, columns.pixels))
    columns = find_columns(f"{path}, line {ahead[0].line}", ahead[0].values, second, root, options)
    rows: Iterable[Row[list[str]]] = itertools.chain(ahead[1:] if columns.is_header else ahead, every)
    if path.suffix.lower() == TEXT_SUFFIX:
        rows = _with_whole_labels(path, rows, root, columns)
    return TableRows(columns, _by_name(path, rows, columns.names))


def _rows_of_pixels(path: Path, columns: Columns, pixels: PixelColumns) -> Iterator[Row[dict[str, Any]]]:
    """The rows without their pixels, of which the first are looked at: where these make no sense, none may."""
    delimiter = delimiter_in(path)
    lines = itertools.islice(read_raw_lines(path), int(columns.is_header), None)
    is_first = True
    for number, start, line in lines:
        try:
            values, _ = pixels.split(line, delimiter)
            if is_first:
                pixels.pixels(line, delimiter)
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: {error}") from None
        is_first = False
        values.insert(pixels.before, PIXELS)
        yield Row(number, start, len(line), dict(zip(columns.names, values, strict=True)))


def _with_whole_labels(
    path: Path, rows: Iterable[Row[list[str]]], root: str, columns: Columns
) -> Iterator[Row[list[str]]]:
    """The rows of a .txt; where these are a path and a label, both as they stand, with blanks in them."""
    is_pair = columns.names == (columns.options.location, *columns.options.labels) and len(columns.names) == 2
    for row in rows:
        if is_pair and len(row.values) == 2:
            pair = path_and_label(row.values[0], row.values[1], root)
            if pair is None:
                raise SourceError(
                    f"{path}, line {row.line}: {' '.join(row.values)[:80]!r} ends with several numbers; expected a "
                    "path and a label; name all columns by --columns"
                )
            row.values[:] = pair
        yield row


def _by_name(path: Path, rows: Iterable[Row[list[str]]], names: tuple[str, ...]) -> Iterator[Row[dict[str, Any]]]:
    for row in rows:
        if len(row.values) != len(names):
            raise SourceError(
                f"{path}, line {row.line}: {len(row.values)} fields, expected {len(names)} "
                f"({', '.join(names)[:200]}); quote a field that holds the delimiter"
            )
        yield Row(row.line, row.start, row.length, dict(zip(names, row.values, strict=True)))


def _with_folders(
    path: Path, rows: Iterable[Row[dict[str, Any]]], options: TableOptions
) -> Iterator[Row[dict[str, Any]]]:
    """The rows with the folder of the path for the label."""
    for row in rows:
        row.values[options.labels[0]] = folder_of(row.values[options.location], f"{path}, line {row.line}")
        yield row


def _no_rows(path: Path) -> SourceError:
    return SourceError(f"{path}: no rows in it")
