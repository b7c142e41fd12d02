"""Annotations of CVAT in its own format, "CVAT for images 1.1": annotations.xml with an <image> for each image.

(https://docs.cvat.ai/docs/manual/advanced/xml_format/) What is drawn otherwise than as an upright box becomes the
upright box around it; points, skeletons and tags have none. The tracks of "CVAT for video" are not read.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed, outer_box
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.image_root import MissingImagesError
from dali_rec.sources.detection.json_file import start_of
from dali_rec.sources.detection.xml_file import load_xml
from dali_rec.sources.leading_folders import has_file
from dali_rec.sources.sample import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from dali_rec.sources.walk import Folder

FILE = "annotations.xml"
_NAMES_TRIED = 20
_START = re.compile(rb"<annotations[\s>].*<(?:meta|image|track)[\s>/]", re.DOTALL)
_WITHOUT_AREA = frozenset({"points", "skeleton", "tag"})
#: The corners of a cuboid in two dimensions: left and right, top and bottom, of the face in front and the one behind.
_CUBOID = [f"{{}}{side}{number}" for side in ("tl", "bl", "tr", "br") for number in (1, 2)]

_Corners = tuple[float, float, float, float]


class _Image(NamedTuple):
    """An <image>: its name, its subset ("" where it has none), its size, if it gives one, and its objects."""

    name: str
    subset: str
    size: tuple[float, float] | None
    objects: list[Object]


def is_cvat(path: Path) -> bool:
    """Whether a file begins as the annotations of CVAT do, or that in a folder."""
    return _START.search(start_of(path / FILE if path.is_dir() else path, ".xml")) is not None


def read_cvat(path: Path, root: Folder | None = None) -> Annotations:
    """The images of a file of CVAT, in its order, in train, val and test where all are of such subsets.

    Classes are numbered as the labels of the task or project are listed in the file.

    Raises SourceError, with the image and the shape, for what makes no sense, and where there are only tracks of a
    video.
    """
    images: list[_Image] = []
    others: Counter[str] = Counter()
    ignored: Counter[str] = Counter()

    def closed(element: Element) -> None:
        if element.tag == "image":
            images.append(_read(element, f"{path}: image[{len(images)}]", ignored))
        elif element.tag == "track":
            others["track"] += 1
        if element.tag in ("image", "track"):
            element.clear()

    tree = load_xml(path, closed)
    if not images and others:
        raise SourceError(
            f"{path}: {counted(others['track'], 'track')} of a video and no images: export the task from CVAT as "
            "'CVAT for images 1.1', with its images, which writes each frame as an image"
        )
    found = _placed(path, images, root)
    found.names = _names(tree, images)
    if others:
        found.notes.append(f"{path}: {counted(others['track'], 'track')} of a video left out")
    if ignored:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(ignored.items()))
        found.notes.append(f"{path}: what has no area is left out: {kinds}")
    return found


def _placed(path: Path, images: Sequence[_Image], root: Folder | None) -> Annotations:
    """The images in their splits. Those of a project lie in folders called as their subsets, or all in one."""
    objects = [image.objects for image in images]
    names = [image.name for image in images]
    inside = [f"{image.subset}/{image.name}" if image.subset else image.name for image in images]
    try:
        found = listed(path, inside, objects, root, path.stem)
        are_inside = any(has_file(found.root, one.location) for one in found.parts[0][1][:_NAMES_TRIED])
    except MissingImagesError:
        are_inside = False
    if not are_inside:
        found = listed(path, names, objects, root, path.stem)
    placed = [one._replace(size=image.size) for one, image in zip(found.parts[0][1], images, strict=True)]
    found.parts = [(None, placed)]
    subsets = list(dict.fromkeys(image.subset for image in images))
    splits = [SPLIT_NAMES.get(subset.lower()) for subset in subsets]
    if None not in splits:
        found.parts = [
            (split, [one for one, image in zip(placed, images, strict=True) if _split_of(image) == split])
            for split in ("train", "val", "test")
            if split in splits
        ]
    elif len(subsets) > 1:
        found.notes.append(
            f"{path}: its subsets, {', '.join(subset or 'one without a name' for subset in subsets[:5])}, are not all "
            "train, val and test: all images become one data set"
        )
    return found


def _split_of(image: _Image) -> str | None:
    return SPLIT_NAMES.get(image.subset.lower())


def _names(tree: Element, images: Sequence[_Image]) -> list[str]:
    """The labels in the order of the file, but for the points of skeletons, then those that it does not list."""
    listed_labels = [label for label in tree.iterfind("meta//labels/label") if not (label.findtext("parent") or "")]
    names = [name for label in listed_labels if (name := (label.findtext("name") or "").strip())]
    return list(dict.fromkeys([*names, *sorted({one.name for image in images for one in image.objects})]))


def _read(element: Element, where: str, ignored: Counter[str]) -> _Image:
    name = element.get("name")
    if not name:
        raise SourceError(f"{where}: it has no name")
    objects = []
    for number, shape in enumerate(element):
        at = f"{where} ({name[:80]}): {shape.tag}[{number}]"
        if shape.tag in _WITHOUT_AREA:
            ignored[shape.tag] += 1
            continue
        if shape.tag not in _CORNERS:
            raise SourceError(f"{at}: not a shape of CVAT, which are {', '.join((*_CORNERS, *sorted(_WITHOUT_AREA)))}")
        label = (shape.get("label") or "").strip()
        if not label:
            raise SourceError(f"{at}: it has no label")
        objects.append(Object(label, *_CORNERS[shape.tag](shape, at), at))
    size = None
    if element.get("width") and element.get("height"):
        width, height = _numbers(element, ("width", "height"), where)
        size = (width, height) if width > 0 and height > 0 else None
    return _Image(name, (element.get("subset") or "").strip(), size, objects)


def _box(shape: Element, where: str) -> _Corners:
    left, top, right, bottom = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"), where)
    angle = _angle(shape, where)
    if angle == 0:
        return left, top, right, bottom
    half_width, half_height = (right - left) / 2, (bottom - top) / 2
    across = abs(half_width * math.cos(angle)) + abs(half_height * math.sin(angle))
    along = abs(half_width * math.sin(angle)) + abs(half_height * math.cos(angle))
    return _around((left + right) / 2, (top + bottom) / 2, across, along)


def _ellipse(shape: Element, where: str) -> _Corners:
    x, y, across, along = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
    angle = _angle(shape, where)
    half_width = math.hypot(across * math.cos(angle), along * math.sin(angle))
    return _around(x, y, half_width, math.hypot(across * math.sin(angle), along * math.cos(angle)))


def _mask(shape: Element, where: str) -> _Corners:
    left, top, width, height = _numbers(shape, ("left", "top", "width", "height"), where)
    return left, top, left + width, top + height


def _outline(shape: Element, where: str) -> _Corners:
    points = [point.split(",") for point in (shape.get("points") or "").split(";")]
    if any(len(point) != 2 for point in points):
        raise SourceError(f"{where}: expected points x,y;x,y…, found {(shape.get('points') or '')[:40]!r}")
    return outer_box((parse_number(x, "x", where), parse_number(y, "y", where)) for x, y in points)


def _cuboid(shape: Element, where: str) -> _Corners:
    xs, ys = (_numbers(shape, [corner.format(axis) for corner in _CUBOID], where) for axis in "xy")
    return outer_box(zip(xs, ys, strict=True))


#: How to get the corners of the upright box around each kind of shape.
_CORNERS: dict[str, Callable[[Element, str], _Corners]] = {
    "box": _box,
    "polygon": _outline,
    "polyline": _outline,
    "ellipse": _ellipse,
    "mask": _mask,
    "cuboid": _cuboid,
}


def _around(x: float, y: float, half_width: float, half_height: float) -> _Corners:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _angle(shape: Element, where: str) -> float:
    """In radians, clockwise, about the centre."""
    return math.radians(parse_number(shape.get("rotation", "0"), "rotation", where))


def _numbers(element: Element, names: Sequence[str], where: str) -> list[float]:
    return [parse_number(element.get(name), name, where) for name in names]
