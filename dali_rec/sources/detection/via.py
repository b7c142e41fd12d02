"""Annotations of the VGG Image Annotator, version 1 and 2: JSON, its project as well, or CSV, a row for each region.

(https://www.robots.ox.ac.uk/~vgg/software/via/) A region is a rectangle, or another shape, which becomes the upright
box around it; points have none. Its class is one of its attributes, which are called as their author likes.
"""

from __future__ import annotations

import csv
import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed, outer_box
from dali_rec.sources.detection.boxes import to_number
from dali_rec.sources.detection.json_file import list_in, load_json, numbers_in, start_of, text_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_START = re.compile(
    rb'\s*\{\s*"(?:_via_\w+"|(?:[^"\\]|\\.)*"\s*:\s*\{\s*"(?:fileref|filename|size|regions|file_attributes)"\s*:)'
)
_CSV_COLUMNS = ("region_shape_attributes", "region_attributes")
_USUAL = ("class", "label", "name", "type", "category", "object")
_ONLY_CLASS = "object"


class _Region(NamedTuple):
    """The corners of a region, its attributes, and where it was read."""

    corners: tuple[float, float, float, float]
    attributes: dict[str, Any]
    where: str


def is_via(path: Path) -> bool:
    """Whether a file is JSON or CSV of the VGG Image Annotator."""
    if path.suffix.lower() == ".csv":
        return all(name.encode() in start_of(path, ".csv").partition(b"\n")[0] for name in _CSV_COLUMNS)
    return _START.match(start_of(path)) is not None


def read_via(path: Path, root: Folder | None = None, attribute: str | None = None) -> Annotations:
    """The images of a file of the VGG Image Annotator, in its order.

    attribute: the one that is the class of a region; by default the only one, or that which is called class, label,
    name, type, category or object. Where no region has any, all are of one class, "object".

    Raises SourceError, with the region, for a shape that makes no sense, and for a region without a class.
    """
    images: dict[str, list[_Region]] = {}
    points: list[str] = []
    for name, shape, attributes, where in _csv_regions(path) if path.suffix.lower() == ".csv" else _json_regions(path):
        regions = images.setdefault(name, [])
        if not shape:
            continue
        corners = _corners(shape, where)
        if corners is None:
            points.append(where)
        else:
            regions.append(_Region(corners, attributes, where))
    every = [region for regions in images.values() for region in regions]
    named = attribute or _attribute(path, every)
    objects = [
        [Object(_class(region, named), *region.corners, region.where) for region in regions]
        for regions in images.values()
    ]
    found = listed(path, list(images), objects, root, path.stem)
    if points:
        found.notes.append(f"{path}: {counted(len(points), 'point')} without area left out; the first: {points[0]}")
    if every and named is None:
        found.notes.append(f"{path}: no region has attributes: all are of the class {_ONLY_CLASS!r}")
    return found


def _json_regions(path: Path) -> Iterator[tuple[str, Any, dict[str, Any], str]]:
    """The file, the shape and the attributes of each region, and where it is; no shape for an image without regions."""
    content = load_json(path)
    images = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(images, dict):
        raise SourceError(f"{path}: not of the VGG Image Annotator: it has no images by their names")
    for key, image in images.items():
        where = f"{path}: {key[:80]}"
        name = text_in(image, "filename", where)
        regions = image.get("regions") or []
        if isinstance(regions, dict):  # of version 1
            regions = list(regions.values())
        if not isinstance(regions, list):
            raise SourceError(f"{where}: regions is {type(regions).__name__}, expected a list")
        yield name, None, {}, where
        for number, region in enumerate(regions):
            at = f"{where}: regions[{number}]"
            if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
                raise SourceError(f"{at}: it has no shape_attributes")
            yield name, region["shape_attributes"], region.get("region_attributes") or {}, at


def _csv_regions(path: Path) -> Iterator[tuple[str, Any, dict[str, Any], str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        name_column = next((name for name in rows.fieldnames or () if name.lstrip("#") == "filename"), "filename")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            try:
                shape, attributes = (json.loads(row[name] or "{}") for name in _CSV_COLUMNS)
            except (ValueError, TypeError, RecursionError):
                raise SourceError(f"{where}: {' or '.join(_CSV_COLUMNS)} is no JSON") from None
            if not isinstance(shape, dict) or not isinstance(attributes, dict):
                raise SourceError(f"{where}: {' or '.join(_CSV_COLUMNS)} is no object {{…}}")
            yield text_in(row, name_column, where), shape, attributes, where


def _corners(shape: dict[str, Any], where: str) -> tuple[float, float, float, float] | None:
    """The upright box around a shape; None around a point."""
    kind = shape.get("name")
    if kind == "rect":
        x, y, width, height = numbers_in(shape, ("x", "y", "width", "height"), where)
        return x, y, x + width, y + height
    if kind == "circle":
        x, y, radius = numbers_in(shape, ("cx", "cy", "r"), where)
        return x - radius, y - radius, x + radius, y + radius
    if kind == "ellipse":
        x, y, along, across = numbers_in(shape, ("cx", "cy", "rx", "ry"), where)
        angle = to_number(shape.get("theta", 0), "theta", where)
        half_width = math.hypot(along * math.cos(angle), across * math.sin(angle))
        half_height = math.hypot(along * math.sin(angle), across * math.cos(angle))
        return x - half_width, y - half_height, x + half_width, y + half_height
    if kind in ("polygon", "polyline"):
        xs, ys = (
            [to_number(value, name, where) for value in list_in(shape, name, where)]
            for name in ("all_points_x", "all_points_y")
        )
        if len(xs) != len(ys) or not xs:
            raise SourceError(f"{where}: {len(xs)} all_points_x and {len(ys)} all_points_y")
        return outer_box(zip(xs, ys, strict=True))
    if kind == "point":
        return None
    raise SourceError(f"{where}: the shape {str(kind)[:40]!r} is not one of the VGG Image Annotator's")


def _attribute(path: Path, regions: list[_Region]) -> str | None:
    """The attribute that is the class; None where there is none at all."""
    names = list(dict.fromkeys(name for region in regions for name in region.attributes))
    if not names:
        return None
    usual = [name for wanted in _USUAL for name in names if name.strip().casefold() == wanted]
    if len(names) == 1 or usual:
        return usual[0] if usual else names[0]
    raise SourceError(
        f"{path}: the attributes of its regions are {', '.join(names[:8])}: say by --label-column which is the class"
    )


def _class(region: _Region, attribute: str | None) -> str:
    if attribute is None:
        return _ONLY_CLASS
    value = region.attributes.get(attribute)
    if isinstance(value, dict):  # of checkboxes
        ticked = [name for name, is_ticked in value.items() if is_ticked]
        if len(ticked) > 1:
            raise SourceError(f"{region.where}: {attribute!r} is {', '.join(ticked)[:80]}; a box has one class")
        value = ticked[0] if ticked else None
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise SourceError(
        f"{region.where}: no class in the attribute {attribute!r}; name another by --label-column, or correct it"
    )
