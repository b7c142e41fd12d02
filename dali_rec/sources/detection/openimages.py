"""Open Images' boxes: a CSV with a row for each, ImageID, LabelName, XMin, XMax, YMin, YMax … in parts of the image.

(https://storage.googleapis.com/openimages/web/download_v7.html) The names of its labels are in another CSV.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.json_file import start_of
from dali_rec.sources.sample import SPLIT_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_SIDES = ("XMin", "YMin", "XMax", "YMax")
_COLUMNS = ("ImageID", "LabelName", *_SIDES)
_GROUP = "IsGroupOf"
#: Of Open Images (class-descriptions-boxable.csv, oidv7-class-descriptions.csv, …), and as FiftyOne keeps it.
_DESCRIPTIONS = ("*class-descriptions*.csv", "metadata/classes.csv")
_CODE = re.compile(r"/[mg]/\w+")  # of Freebase and Google's Knowledge Graph
_WORDS = re.compile("[a-z]+")


def is_openimages(path: Path) -> bool:
    """Whether a CSV has the columns of Open Images' boxes."""
    header = start_of(path, ".csv").decode("utf-8", "replace").partition("\n")[0].strip().split(",")
    return set(header).issuperset(_COLUMNS)


def read_openimages(path: Path, root: Folder | None = None) -> Annotations:
    """The images of a CSV of Open Images, in the order of their first rows; a group of objects is flagged.

    Raises SourceError, with the line, for values that make no sense.
    """
    names, described = _names(path)
    images: dict[str, list[Object]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            if missing := set(_COLUMNS).difference(rows.fieldnames or ()):
                raise SourceError(f"{path}, line 1: no column {min(missing)!r}, as Open Images' boxes have")
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                image, label = row["ImageID"], row["LabelName"]
                if not image or not label:
                    raise SourceError(f"{where}: no ImageID or no LabelName")
                xmin, ymin, xmax, ymax = (_part(row[side], side, where) for side in _SIDES)
                found = Object(names.get(label, label), xmin, ymin, xmax, ymax, where, row.get(_GROUP) == "1")
                images.setdefault(f"{image}.jpg", []).append(found)
        except (csv.Error, UnicodeDecodeError) as error:
            raise SourceError(f"{path}, line {rows.line_num + 1}: cannot be read ({error})") from None
    named = re.match("(.+)-annotations-", path.stem)  # default-annotations-bbox.csv of CVAT; detections.csv of FiftyOne
    others = named[1] if named else "data"
    subset = next((word for word in _WORDS.findall(path.stem.lower()) if word in SPLIT_NAMES), others)
    found_images = listed(path, list(images), list(images.values()), root, subset)
    found_images.has_flags = found_images.are_parts = True
    labels = (one.name for objects in images.values() for one in objects)
    if described is not None:
        found_images.notes.append(f"{path}: the names of classes are those of {described.name}")
    elif (code := next(filter(_CODE.fullmatch, labels), None)) is not None:
        found_images.notes.append(
            f"{path}: classes are called {code} and the like; for their names put Open Images' "
            "class-descriptions-boxable.csv beside it"
        )
    return found_images


def _part(text: str | None, side: str, where: str) -> float:
    part = parse_number(text, side, where)
    if not -1 <= part <= 2:
        raise SourceError(f"{where}: {side} is {part:g}, which is no part of the width or the height")
    return part


def _names(path: Path) -> tuple[dict[str, str], Path | None]:
    """The names of labels such as /m/011k07, and where they are: beside the boxes, or in the folder above."""
    places = (path.parent, path.absolute().parent.parent)
    found = (file for place in places for name in _DESCRIPTIONS for file in sorted(place.glob(name)))
    described = next(found, None)
    if described is None:
        return {}, None
    with described.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        return {row[0]: row[1].strip() for row in csv.reader(file) if len(row) == 2 and row[1].strip()}, described
