"""COCO annotations: a JSON file of images, annotations and categories (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.recordio.header import MAX_ID
from dali_rec.sources.detection.boxes import Box, BoxSamples, Empty, Flagged, class_numbers, to_number
from dali_rec.sources.sample import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The first key of a COCO file, and what it begins with; the rows of a table have numbers and text.
_START = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"(?:info|images|licenses|annotations|categories)"\s*:\s*[\[{]|"type"\s*:\s*"instances")'
)
_START_BYTES = 4096
# Large, and not wanted: let go of while the file is parsed.
_UNUSED = ("segmentation", "keypoints", "caption")


def is_coco(path: Path) -> bool:
    """Whether a file begins as COCO annotations do."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return _START.match(file.read(_START_BYTES)) is not None


def read_coco(
    path: Path,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
) -> Source:
    """The images of a COCO file, in its order, under its image ids, with the boxes of their annotations.

    root: where the file names begin; by default the folder beside the file, or beside the file's folder, that has the
    first image: ``annotations/instances_val2017.json`` finds ``val2017/``. classes: the category names in the order of
    their numbers; by default in the order of the category ids. flagged, empty: see ``BoxSamples``; a crowd is flagged.

    Raises SourceError, with the entry, for an annotation of an image or category that is not there, one without a box,
    and whatever is not the number or text that it should be.
    """
    content = _load(path)
    images = _entries(path, content, "images")
    if not images:
        raise SourceError(f"{path}: no images in it")
    notes: list[str] = []
    label_of, names = _categories(path, _entries(path, content, "categories"), classes, notes)
    rows = _image_rows(path, images)
    boxes = _boxes(path, _entries(path, content, "annotations"), rows, label_of)
    root = root if root is not None else _find_root(path, _file_name(images[0], f"{path}: images[0]"))
    gathered = BoxSamples(root, flagged, empty)
    for row, image in enumerate(images):
        where = f"{path}: images[{row}] (id {image['id']})"
        gathered.add(image["id"], _file_name(image, where), boxes.get(row, ()), where, _size(image, where))
    return Source(
        gathered.samples,
        str(root),
        names,
        keys_are_given=True,
        notes=(*notes, *gathered.notes),
        has_boxes=True,
    )


def _load(path: Path) -> dict[str, Any]:
    def slim(entry: dict[str, Any]) -> dict[str, Any]:
        for name in _UNUSED:
            entry.pop(name, None)
        return entry

    try:
        with path.open("rb") as file:
            content = json.load(file, object_hook=slim)
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder: COCO annotations are a .json file; name that, and --root") from None
    except RecursionError:
        raise SourceError(f"{path}: its lists are nested too deep; it is not a COCO file") from None
    except ValueError as error:  # also UnicodeDecodeError
        raise SourceError(f"{path}: not JSON ({error}); is the file cut short?") from None
    if not isinstance(content, dict) or "images" not in content:
        raise SourceError(f"{path}: not a COCO file: it has no list 'images'")
    return content


def _entries(path: Path, content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = content.get(name)
    if not isinstance(entries, list):
        raise SourceError(
            f"{path}: no list {name!r} in it; expected images, annotations and categories, as in instances_train2017"
        )
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise SourceError(f"{path}: {name}[{number}] is {type(entry).__name__}, not an object {{…}}")
    return entries


def _categories(
    path: Path, categories: list[dict[str, Any]], classes: Sequence[str] | None, notes: list[str]
) -> tuple[dict[int, int], tuple[str, ...]]:
    """The class number of each category id, and the class names. Ids have gaps; class numbers have none."""
    name_of: dict[int, str] = {}
    for number, category in enumerate(categories):
        where = f"{path}: categories[{number}]"
        key = _id(category, "id", where)
        name = _text(category, "name", f"{where} (id {key})")
        if key in name_of:
            raise SourceError(f"{where}: the category id {key} stands twice")
        name_of[key] = name
    ordered = [name_of[key] for key in sorted(name_of)]
    names = list(dict.fromkeys(ordered))
    if len(names) < len(ordered):
        twice = next(name for name in names if ordered.count(name) > 1)
        notes.append(f"{path}: several categories are called {twice!r}: they became one class")
    numbers = class_numbers(names, classes, path)
    return {key: numbers[name] for key, name in name_of.items()}, tuple(names if classes is None else classes)


def _image_rows(path: Path, images: list[dict[str, Any]]) -> dict[int, int]:
    rows: dict[int, int] = {}
    for row, image in enumerate(images):
        where = f"{path}: images[{row}]"
        key = _id(image, "id", where)
        if key in rows:
            raise SourceError(f"{where}: the image id {key} stands twice, first in images[{rows[key]}]")
        rows[key] = row
    return rows


def _boxes(
    path: Path, annotations: list[dict[str, Any]], rows: dict[int, int], label_of: dict[int, int]
) -> dict[int, list[Box]]:
    boxes: dict[int, list[Box]] = {}
    for number, annotation in enumerate(annotations):
        where = f"{path}: annotations[{number}]"
        image, category = _id(annotation, "image_id", where), _id(annotation, "category_id", where)
        if image not in rows:
            raise SourceError(f"{where}: no image has the id {image}, its image_id")
        if category not in label_of:
            raise SourceError(f"{where}: no category has the id {category}, its category_id")
        box = annotation.get("bbox")
        if box is None:
            raise SourceError(
                f"{where}: it has no bbox. Where annotations are classes of whole images, as iNaturalist's are, pack a "
                "table of file names and classes, or a folder of class folders"
            )
        if not isinstance(box, list) or len(box) != 4:
            raise SourceError(f"{where}: expected a bbox [x, y, width, height], found {str(box)[:60]}")
        x, y, width, height = (to_number(value, "a number of its bbox", where) for value in box)
        crowd = annotation.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise SourceError(f"{where}: iscrowd is {str(crowd)[:40]!r}, expected 0 or 1")
        boxes.setdefault(rows[image], []).append(
            Box(label_of[category], x, y, x + width, y + height, bool(crowd), where)
        )
    return boxes


def _id(entry: dict[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise SourceError(f"{where}: {name} is {str(value)[:40]!r}, expected a whole number from 0 to 2^64-1")
    return value


def _file_name(image: dict[str, Any], where: str) -> str:
    return _text(image, "file_name", where)


def _text(entry: dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise SourceError(f"{where}: it has no {name}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SourceError(f"{where}: its {name} {value[:40]!r} holds half a character, which no file is named with")
    return value


def _size(image: dict[str, Any], where: str) -> tuple[float, float] | None:
    """The size that the entry gives; None where it gives none or 0."""
    if image.get("width") is None or image.get("height") is None:
        return None
    width, height = to_number(image["width"], "width", where), to_number(image["height"], "height", where)
    if width < 0 or height < 0:
        raise SourceError(f"{where}: {width:g} × {height:g} is no size of an image")
    return (width, height) if width and height else None


def _find_root(path: Path, first: str) -> Path:
    subset = path.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    beside = [path.parent, path.parent / "images", path.parent / subset]
    above = path.parent.parent
    beside += [above / subset, above / "images" / subset, above / "images", above]
    # os.path, which says no to a name with a null character where a Path raises.
    found = next((folder for folder in beside if os.path.isfile(folder / first)), None)  # noqa: PTH113
    if found is not None:
        return found
    raise SourceError(
        f"{path}: its first image, {first[:100]!r}, is neither beside it nor in {beside[2]} or {beside[3]}; say "
        "--root FOLDER, where the file names begin"
    )
