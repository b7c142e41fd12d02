"""The JSON file of COCO annotations: images, annotations and categories, and the ids that join them."""

from __future__ import annotations

import contextlib
import re
import struct
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.recordio.header import MAX_ID
from dali_rec.sources.detection.boxes import class_numbers
from dali_rec.sources.detection.json_file import load_json, text_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The first key of a COCO file, and what it begins with; the rows of a table have numbers and text.
_START = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"(?:info|images|licenses|annotations|categories)"\s*:\s*[\[{]|"type"\s*:\s*"instances")'
)
_START_BYTES = 4096
# Of all objects in the file; the rest is let go of while it is parsed. There may be millions.
_USED = frozenset(
    {"images", "annotations", "categories", "id", "name", "file_name", "coco_url", "width", "height"}
    | {"image_id", "category_id", "bbox", "iscrowd", "segmentation", "keypoints"}
)
# Large, and of no interest but for whether they are there.
_LARGE = ("segmentation", "keypoints")
# Of most annotations image_id, category_id, bbox and iscrowd: as a dictionary they take six times the memory.
_PACKED = struct.Struct("<QQ4d?")


def is_coco(path: Path) -> bool:
    """Whether a file begins as COCO annotations do."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return _START.match(file.read(_START_BYTES)) is not None


def load_coco(path: Path) -> dict[str, Any]:
    """The content of a COCO file, of each object what is wanted; most annotations as ``annotation_of`` takes them.

    Raises SourceError.
    """
    content = load_json(path, _slim)
    if not isinstance(content, dict) or "images" not in content:
        raise SourceError(f"{path}: not a COCO file: it has no list 'images'")
    return content


def _slim(entry: dict[str, Any]) -> dict[str, Any] | bytes:
    """What is wanted of an object; of an annotation in four plain parts these, packed."""
    image, category, box = entry.get("image_id"), entry.get("category_id"), entry.get("bbox")
    if isinstance(box, list) and len(box) == 4 and entry.get("iscrowd", 0) in (0, 1):
        numbers = (image, category, *box)
        if not any(isinstance(number, bool) for number in numbers):
            # Raised by what is no number, an id below 0, and a number beyond all bounds.
            with contextlib.suppress(struct.error, OverflowError):
                return _PACKED.pack(*numbers, bool(entry.get("iscrowd")))
    kept = {name: value for name, value in entry.items() if name in _USED}
    for name in _LARGE:
        if kept.pop(name, None):
            kept[name] = True
    return kept or entry  # an empty one, in place of an outline, would say that there is none


def annotation_of(entry: dict[str, Any] | bytes) -> dict[str, Any]:
    """An annotation as it stands in the file, as far as it is wanted."""
    if isinstance(entry, dict):
        return entry
    image, category, *box, crowd = _PACKED.unpack(entry)
    return {"image_id": image, "category_id": category, "bbox": box, "iscrowd": int(crowd)}


def entries_of(path: Path, content: dict[str, Any], name: str) -> list[Any]:
    """The list of this name: dictionaries and, of annotations, what ``annotation_of`` takes.

    Raises SourceError where there is no list, or something else than objects in it.
    """
    entries = content.get(name)
    if not isinstance(entries, list):
        raise SourceError(
            f"{path}: no list {name!r} in it; expected images, annotations and categories, as in instances_train2017"
        )
    for number, entry in enumerate(entries):
        if isinstance(entry, bytes):
            if name != "annotations":
                raise SourceError(f"{path}: {name}[{number}] is an annotation, with an image_id and a bbox")
        elif not isinstance(entry, dict):
            raise SourceError(f"{path}: {name}[{number}] is {type(entry).__name__}, not an object {{…}}")
    return entries


def names_of_categories(path: Path, categories: list[dict[str, Any]]) -> dict[int, str]:
    """The name of each category id. Raises SourceError for an id with two names.

    The VGG Image Annotator writes its categories once for each image.
    """
    name_of: dict[int, str] = {}
    for number, category in enumerate(categories):
        where = f"{path}: categories[{number}]"
        key = _id(category, "id", where)
        name = text_in(category, "name", f"{where} (id {key})")
        if name_of.setdefault(key, name) != name:
            raise SourceError(f"{where}: the category id {key} stands twice, also for {name_of[key]!r}")
    return name_of


def number_categories(
    path: Path, categories: list[dict[str, Any]], classes: Sequence[str] | None, notes: list[str]
) -> tuple[dict[int, int], tuple[str, ...]]:
    """The class number of each category id, and the class names. Ids have gaps; class numbers have none."""
    name_of = names_of_categories(path, categories)
    ordered = [name_of[key] for key in sorted(name_of)]
    names = list(dict.fromkeys(ordered))
    if len(names) < len(ordered):
        twice = next(name for name in names if ordered.count(name) > 1)
        notes.append(f"{path}: several categories are called {twice!r}: they became one class")
    numbers = class_numbers(names, classes, path)
    return {key: numbers[name] for key, name in name_of.items()}, tuple(names if classes is None else classes)


def rows_by_id(path: Path, images: list[dict[str, Any]], *, ids_may_be_text: bool = False) -> dict[Any, int]:
    """The place of each image in the list, by its id: a whole number or, where it may be, text."""
    rows: dict[Any, int] = {}
    for row, image in enumerate(images):
        where = f"{path}: images[{row}]"
        key = image.get("id")
        if not (ids_may_be_text and isinstance(key, str)):
            key = _id(image, "id", where)
        if key in rows:
            raise SourceError(f"{where}: the image id {key} stands twice, first in images[{rows[key]}]")
        rows[key] = row
    return rows


def row_and_label(
    annotation: dict[str, Any], rows: Mapping[Any, int], label_of: Mapping[int, int], where: str
) -> tuple[int, int]:
    """The place of the image that an annotation is of, and its class. Raises SourceError where there are none."""
    image = annotation.get("image_id")
    if isinstance(image, str) and image not in rows and image.isdecimal():
        image = int(image)  # the VGG Image Annotator writes "0" here, and 0 in the list of images
    elif not isinstance(image, str):
        image = _id(annotation, "image_id", where)
    category = _id(annotation, "category_id", where)
    if image not in rows:
        raise SourceError(f"{where}: no image has the id {image!r}, its image_id")
    if category not in label_of:
        raise SourceError(f"{where}: no category has the id {category}, its category_id")
    return rows[image], label_of[category]


def _id(entry: dict[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise SourceError(f"{where}: {name} is {str(value)[:40]!r}, expected a whole number from 0 to 2^64-1")
    return value


def file_name(image: dict[str, Any], where: str) -> str:
    """The file of an image; of LVIS, which has the address of COCO's file alone, its folder and name there."""
    if "file_name" not in image and "coco_url" in image:
        return "/".join(text_in(image, "coco_url", where).split("/")[-2:])
    return text_in(image, "file_name", where)
