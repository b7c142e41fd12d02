"""Labelme's annotations: A.json beside A.jpg, with a list of shapes.

(https://github.com/wkentaro/labelme) What is drawn otherwise than as a rectangle becomes the upright box around it;
points have none.
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, outer_box
from dali_rec.sources.detection.boxes import to_number
from dali_rec.sources.detection.json_file import list_in, load_json, start_of, text_in
from dali_rec.sources.detection.text_parts import Parsed, find_text_parts, read_text_parts

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = (("", ""), ("annotations", "images"), ("labels", "images"), ("json", "images"), ("jsons", "images"))
_START = re.compile(rb'\s*\{.*"shapes"\s*:\s*\[', re.DOTALL)
_POINTS = ("point", "points")


def is_labelme(path: Path) -> bool:
    """Whether a folder has images with Labelme's .json, itself or in folders of splits."""
    return bool(find_text_parts(path, _FOLDERS, ".json", _begins))


def read_labelme(path: Path) -> Annotations:
    """The images of a Labelme folder. Raises SourceError, with the file and the shape."""
    parts = find_text_parts(path, _FOLDERS, ".json", _begins)
    if not parts:
        raise SourceError(f"{path}: not a folder of Labelme: expected images with a .json beside each")
    points: list[str] = []
    found = read_text_parts(path, parts, ".json", partial(_parse, points=points))
    if points:
        found.notes.append(f"{path}: {counted(len(points), 'point')} without area left out; the first: {min(points)}")
    return found


def _begins(path: Path) -> bool:
    return _START.match(start_of(path)) is not None


def _parse(path: Path, points: list[str]) -> Parsed:
    content = load_json(path)
    objects = []
    for number, shape in enumerate(list_in(content, "shapes", str(path))):
        where = f"{path}: shapes[{number}]"
        name, kind = text_in(shape, "label", where), shape.get("shape_type") or "polygon"
        if kind in _POINTS:
            points.append(where)
            continue
        drawn = [_point(point, where) for point in list_in(shape, "points", where)]
        objects.append(Object(name, *_corners(kind, drawn, where), where))
    return _size(content, str(path)), objects


def _corners(kind: str, points: list[tuple[float, float]], where: str) -> tuple[float, float, float, float]:
    if len(points) < 2:
        raise SourceError(f"{where}: {len(points)} points, of which no {kind} can be drawn")
    if kind == "circle":
        (x, y), edge = points[:2]
        radius = math.dist((x, y), edge)
        return x - radius, y - radius, x + radius, y + radius
    xmin, ymin, xmax, ymax = outer_box(points)
    last = 1 if kind == "mask" else 0  # the corners of a mask are its first and last pixel
    return xmin, ymin, xmax + last, ymax + last


def _point(point: Any, where: str) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2:
        raise SourceError(f"{where}: expected points [x, y], found {str(point)[:40]}")
    return to_number(point[0], "x", where), to_number(point[1], "y", where)


def _size(content: dict[str, Any], where: str) -> tuple[float, float] | None:
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if not width or not height:
        return None
    return to_number(width, "imageWidth", where), to_number(height, "imageHeight", where)
