"""Create ML's annotations: a JSON list of images with their objects: centre, width and height in pixels.

(Apple, "Building an object detector data source"; Roboflow's _annotations.createml.json.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.json_file import list_in, load_json, numbers_in, start_of, text_in

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

# The keys of the first image, of which none is a label of it all, and what its first object begins with, if it has one.
_START = re.compile(
    rb'\s*\[\s*\{(?:(?!"label"|"class")[^{\[])*"annotations?"\s*:\s*\[\s*(?:\]|\{\s*"(?:label|coordinates)"\s*:)'
)
_IMAGE_NAMES = ("image", "imagefilename")
_BOX = ("x", "y", "width", "height")


def is_createml(path: Path) -> bool:
    """Whether a file begins as Create ML's annotations do."""
    start = start_of(path)
    return _START.match(start) is not None and any(f'"{name}"'.encode() in start for name in _IMAGE_NAMES)


def read_createml(path: Path, root: Folder | None = None) -> Annotations:
    """The images of a file of Create ML, in its order. Raises SourceError, with the image and the object."""
    content = load_json(path)
    if not isinstance(content, list):
        raise SourceError(f"{path}: not of Create ML, whose annotations are a list of images")
    names, objects = [], []
    for row, image in enumerate(content):
        where = f"{path}: [{row}]"
        known = next((name for name in _IMAGE_NAMES if isinstance(image, dict) and name in image), _IMAGE_NAMES[0])
        names.append(text_in(image, known, where))
        kind = "annotation" if "annotation" in image else "annotations"
        objects.append(
            [_object(one, f"{where}: {kind}[{number}]") for number, one in enumerate(list_in(image, kind, where))]
        )
    return listed(path, names, objects, root, path.stem)


def _object(entry: object, where: str) -> Object:
    name = text_in(entry, "label", where)
    coordinates = entry.get("coordinates") if isinstance(entry, dict) else None
    x, y, width, height = numbers_in(coordinates, _BOX, where)
    return Object(name, x - width / 2, y - height / 2, x + width / 2, y + height / 2, where)
