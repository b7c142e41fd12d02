"""A CSV with a row for each box: filename,width,height,class,xmin,ymin,xmax,ymax, as TensorFlow's tutorials write it.

Roboflow's _annotations.csv is one. Without a header it is path,x1,y1,x2,y2,class, as Keras RetinaNet has it.
"""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.json_file import start_of
from dali_rec.sources.tables.label_column import finite_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
#: What these are called in other tables, without blanks, hyphens and underscores.
_CORNERS = (_SIDES, ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
_FILES = ("filename", "file", "path", "filepath", "image", "imagename", "imagepath")
_CLASSES = ("class", "classname", "label", "labelname", "category", "name")
_WITHOUT_HEADER = ("path", "x1", "y1", "x2", "y2", "class")


def is_box_csv(path: Path) -> bool:
    """Whether a CSV has the header of TensorFlow's tutorials, or the columns of Keras RetinaNet without one.

    Others with columns of boxes may be tables of classes, and are asked for by their format.
    """
    lines = start_of(path, ".csv").decode("utf-8", "replace").splitlines()
    first = next(csv.reader(lines[:1]), [])
    return sorted(map(_plain, first)) == sorted(_HEADER) or _is_retinanet(first)


def read_box_csv(path: Path, root: Folder | None = None) -> Annotations:
    """The images of a CSV of boxes in the order of their first rows. Raises SourceError, with the line.

    A row of a path alone is an image without objects.
    """
    images: dict[str, list[Object]] = {}
    sizes: dict[str, tuple[float, float]] = {}
    for row in _rows(path):
        objects = images.setdefault(row.file, [])
        if row.size is not None and sizes.setdefault(row.file, row.size) != row.size:
            raise SourceError(f"{row.where}: {row.file} has another size here than in a row before")
        if row.label or any(row.corners):
            xmin, ymin, xmax, ymax = (
                parse_number(text, side, row.where) for side, text in zip(_SIDES, row.corners, strict=True)
            )
            objects.append(Object(row.label, xmin, ymin, xmax, ymax, row.where))
            if not row.label:
                raise SourceError(f"{row.where}: a box without a class")
    _refuse_parts(path, [one for objects in images.values() for one in objects])
    subset = path.stem.removesuffix("_labels").removesuffix("_annotations")
    found = listed(path, list(images), list(images.values()), root, subset, sizes)
    found.notes.append(f"{path}: each row is a box; with --label-column NAME it is an image of one class instead")
    return found


class _Row(NamedTuple):
    """The fields of a row that are wanted: the file, the corners and the class of a box, and the size of the image."""

    file: str
    corners: list[str]
    label: str
    size: tuple[float, float] | None
    where: str


def _rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        try:
            first = next(rows, [])
            is_header = not _is_retinanet(first)
            columns = _find_columns(path, first) if is_header else _Columns(0, (1, 2, 3, 4), 5, None)
            for row in rows if is_header else itertools.chain([first], rows):
                if row:
                    yield _row(row, columns, len(first), f"{path}, line {rows.line_num}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise SourceError(f"{path}, line {rows.line_num + 1}: cannot be read ({error})") from None


class _Columns(NamedTuple):
    """The places of the columns in a row."""

    file: int
    corners: tuple[int, ...]
    label: int
    size: tuple[int, int] | None


def _row(row: list[str], columns: _Columns, width: int, where: str) -> _Row:
    if len(row) != width:
        raise SourceError(f"{where}: {len(row)} fields, expected {width}; quote a field that holds a comma")
    fields = [field.strip() for field in row]
    if not fields[columns.file]:
        raise SourceError(f"{where}: it names no image")
    size = None
    if columns.size is not None:
        wide, high = (parse_number(fields[at], "a side of the image", where) for at in columns.size)
        size = (wide, high) if wide > 0 and high > 0 else None
    corners = [fields[at] for at in columns.corners]
    return _Row(fields[columns.file], corners, fields[columns.label], size, where)


def _find_columns(path: Path, header: Sequence[str]) -> _Columns:
    place = {_plain(name): at for at, name in reversed([*enumerate(header)])}
    corners = next((names for names in _CORNERS if place.keys() >= set(names)), None)
    file = next((name for name in _FILES if name in place), None)
    label = next((name for name in _CLASSES if name in place), None)
    if corners is None or file is None or label is None:
        raise SourceError(
            f"{path}, line 1: {', '.join(header)[:80]!r} are not the columns of boxes; expected {','.join(_HEADER)}, "
            f"or without a header {','.join(_WITHOUT_HEADER)}"
        )
    size = (place["width"], place["height"]) if place.keys() >= {"width", "height"} else None
    return _Columns(place[file], tuple(place[name] for name in corners), place[label], size)


def _is_retinanet(fields: Sequence[str]) -> bool:
    if len(fields) != len(_WITHOUT_HEADER) or not fields[0].strip().lower().endswith(tuple(LOADABLE_EXTENSIONS)):
        return False
    corners = [field.strip() for field in fields[1:5]]
    are_numbers = all(finite_number(field) is not None for field in corners)
    return bool(fields[5].strip()) if are_numbers else not any(corners)


def _refuse_parts(path: Path, objects: Sequence[Object]) -> None:
    """Raise SourceError where boxes are parts of the image."""
    corners = [side for one in objects for side in one[1:5]]
    if corners and min(corners) >= 0 and max(corners) <= 1 and any(side % 1 for side in corners):
        raise SourceError(
            f"{path}: all boxes lie within one pixel; they look like parts of the width and the height: multiply them"
        )


def _plain(name: str) -> str:
    return name.strip().casefold().translate({ord(character): None for character in " _-"})
