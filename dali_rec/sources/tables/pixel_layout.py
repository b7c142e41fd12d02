"""Which columns of a CSV are pixels, where each pixel has a column: by their names, or by how many there are."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.tables.columns import (
    ALL_LABELS,
    Columns,
    TableOptions,
    is_location_name,
    is_no_label,
    is_path_name,
    named_columns,
)
from dali_rec.sources.tables.pixel_columns import PixelColumns, pixel_value, square_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIXEL = re.compile(r"(?:pixels?|pix|px)[ _-]?\d+|\d+x\d+", re.IGNORECASE)
_NUMBERED = re.compile(r"[^\W\d]*[ -]?\d+(?:\.\d+)?")  # 0.1 is what pandas makes of a second column "0"
_LEAST_NAMED = 4
_LEAST = 64  # 8 × 8; fewer numbers may be anything
_DEFAULTS = TableOptions()


def find_pixel_columns(
    where: str, first: Sequence[str], second: Sequence[str] | None, options: TableOptions
) -> Columns | None:
    """The columns of a table of pixels by its first two rows, which have the pixels under the name of the location.

    Pixels are columns called pixel0, 1x1 and the like. Or those of a table of 64 numbers or more, of 0…255, which make
    a square, grey or RGB, all of them or all but one: the label, which is the first, or the last if that one is no
    number; the header may number them. ``options.columns`` may have the name of the location for all of them. Without
    a column that may be the label, all rows get label 0.

    None for other tables. Raises SourceError for columns called as pixels that make no square.
    """
    if len(first) < _LEAST_NAMED or options.location in first or any(map(is_path_name, first)):
        return None
    if options.columns is not None and len(options.columns) < len(first):
        return _by_given_names(where, first, second, options)
    names = tuple(first) if options.columns is None else options.columns
    start, stop = _longest_run(names, _PIXEL)
    if stop - start >= _LEAST_NAMED:
        square = square_of(stop - start)
        if square is None:
            raise SourceError(
                f"{where}: {stop - start:,} columns of pixels, {names[start]!r} to {names[stop - 1]!r}, make no square "
                "of grey or RGB; write images that are none as nested lists, or as files"
            )
        return _collapsed(where, names, (start, stop), square, options, is_header=tuple(first) == names)
    # Numbered columns beside one of images, or all of which are asked for as labels, are attributes.
    if options.columns is not None or options.labels == ALL_LABELS or any(map(is_location_name, first)):
        return None
    is_header = second is not None and _are_names(first, second)
    run = _longest_run(names, _NUMBERED) if is_header else (0, len(first))
    rows = [row for row in ((second,) if is_header else (first, second)) if row is not None]
    # The second too, as the first may have a value that is wrong.
    found = (_by_count(where, names, run, row, options, is_header=is_header) for row in rows)
    return next((columns for columns in found if columns is not None), None)


def _by_given_names(
    where: str, first: Sequence[str], second: Sequence[str] | None, options: TableOptions
) -> Columns | None:
    names = options.columns or ()
    if options.location not in names:
        return None
    start = names.index(options.location)
    stop = len(first) - (len(names) - start - 1)
    row = first if second is None or _are_values(first[start:stop]) else second
    square = square_of(stop - start)
    if square is None or stop - start < _LEAST_NAMED or not _are_values(row[start:stop]):
        return None
    pixels = PixelColumns(start, len(first) - stop, *square)
    return replace(named_columns(where, names, options), is_header=row is second, pixels=pixels)


def _by_count(
    where: str,
    names: tuple[str, ...],
    run: tuple[int, int],
    row: Sequence[str],
    options: TableOptions,
    *,
    is_header: bool,
) -> Columns | None:
    """Columns whose names, if they have any, do not say pixels; ``row`` is one of values."""
    start, stop = run
    if stop - start < _LEAST or len(row) != len(names):
        return None
    whole, but_one = square_of(stop - start), square_of(stop - start - 1)
    label_is_last = not is_header and pixel_value(row[stop - 1]) is None
    inner = (start, stop - 1) if label_is_last else (start + 1, stop)
    found = [
        (part, square)
        for part, square in (((start, stop), whole), (inner, but_one))
        if square is not None and _are_values(row[slice(*part)])
    ]
    if len(found) > 1:
        raise SourceError(
            f"{where}: {stop - start:,} numbers may be pixels, or a label and pixels; say which by --columns "
            f"{options.location} or --columns label,{options.location}"
        )
    if not found:
        return None
    part, square = found[0]
    if part != run:
        names = (*names[:start], *_with_label(names[start:stop], last=label_is_last), *names[stop:])
    return _collapsed(where, names, part, square, options, is_header=is_header)


def _with_label(names: Sequence[str], *, last: bool) -> tuple[str, ...]:
    label = _DEFAULTS.labels[0]
    return (*names[:-1], label) if last else (label, *names[1:])


def _collapsed(
    where: str,
    names: Sequence[str],
    run: tuple[int, int],
    square: tuple[int, int],
    options: TableOptions,
    *,
    is_header: bool,
) -> Columns:
    """The columns with one for the pixels."""
    start, stop = run
    pixels = PixelColumns(start, len(names) - stop, *square)
    short = (*names[:start], options.location, *names[stop:])
    others = [name for name in (*names[:start], *names[stop:]) if not is_no_label(name, options)]
    is_unlabelled = not others and options.labels == _DEFAULTS.labels
    found = named_columns(where, short, replace(options, labels=()) if is_unlabelled else options)
    kind = f"{square[0]} × {square[0]} {'grey' if square[1] == 1 else 'RGB'}"
    said = [f"{where}: {stop - start:,} columns are taken for images of {kind} pixels"]
    if is_unlabelled:
        said.append(f"{where}: no column of labels beside the pixels: all rows get label 0")
    elif not is_header and options.labels:
        place, other = ("first", f"{options.location},label") if start else ("last", f"label,{options.location}")
        said.append(f"{where}: the {place} column is taken for the label; --columns {other} would be the other way")
    return replace(found, is_header=is_header, pixels=pixels, notes=(*said, *found.notes))


def _are_names(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first row has the names of columns: 0, 1, … or, in most places, none of the second's pixels."""
    counted = [[str(number) for number in range(at, at + len(first) - 1)] for at in (0, 1, 2)]
    values = sum(map(_is_value, first))
    is_counted = list(first[1:]) in counted or list(first[:-1]) in counted
    return is_counted or (2 * values < len(first) and values < sum(map(_is_value, second)))


def _longest_run(names: Sequence[str], pattern: re.Pattern[str]) -> tuple[int, int]:
    """Where the most names one after another match the pattern."""
    best, at = (0, 0), 0
    for matches, run in itertools.groupby(names, key=lambda name: pattern.fullmatch(name.strip()) is not None):
        length = len(list(run))
        if matches and length > best[1] - best[0]:
            best = (at, at + length)
        at += length
    return best


def _is_value(field: str) -> bool:
    return pixel_value(field) is not None


def _are_values(fields: Sequence[str]) -> bool:
    return all(map(_is_value, fields))
