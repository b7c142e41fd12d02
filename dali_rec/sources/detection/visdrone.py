"""VisDrone annotations: images/A.jpg and annotations/A.txt, a line for each object with 8 numbers between commas.

x, y, width, height, whether it counts, the class, truncation, occlusion (VisDrone/VisDrone2018-DET-toolkit, README).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.text_parts import Parsed, find_text_parts, read_text_parts
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = (("annotations", "images"),)
_REGION, _OTHERS = "ignored regions", "others"
#: In the order of their numbers in the files. The first is no class, and others are not evaluated either.
_CATEGORIES = (
    *(_REGION, "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),
    _OTHERS,
)
_COLUMNS = ("x", "y", "the width", "the height", "the score", "the category")


def is_visdrone(path: Path) -> bool:
    """Whether a folder has images/ and annotations/ of VisDrone, itself or in folders of splits."""
    return bool(find_text_parts(path, _FOLDERS, ".txt", _begins))


def read_visdrone(path: Path) -> Annotations:
    """The images of a VisDrone folder. What its evaluation ignores is flagged. Raises SourceError, with the line."""
    parts = find_text_parts(path, _FOLDERS, ".txt", _begins)
    if not parts:
        raise SourceError(
            f"{path}: not a VisDrone folder: expected images/ and annotations/ in it, with a .txt for each"
        )
    found = read_text_parts(path, parts, ".txt", _parse)
    found.has_flags, found.names, found.regions = True, _CATEGORIES[1:-1], (_OTHERS, _REGION)
    return found


def _begins(path: Path) -> bool:
    fields = _fields(next((line for line in text_lines(path) if line.strip()), ""))
    return len(fields) == 8 and all(field.strip().lstrip("-").isdecimal() for field in fields)


def _fields(line: str) -> list[str]:
    return line.strip().removesuffix(",").split(",")  # some lines end with a comma


def _parse(path: Path) -> Parsed:
    objects = []
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        fields, where = _fields(line), f"{path}, line {number}"
        if len(fields) != 8:
            raise SourceError(f"{where}: {len(fields)} fields, expected the 8 numbers of VisDrone")
        x, y, width, height, score, category = (
            parse_number(field, column, where) for column, field in zip(_COLUMNS, fields, strict=False)
        )
        if category not in range(len(_CATEGORIES)):
            raise SourceError(f"{where}: the category is {category:g}, expected 0 to {len(_CATEGORIES) - 1}")
        name = _CATEGORIES[int(category)]
        flagged = score == 0 or name in (_REGION, _OTHERS)
        objects.append(Object(name, x, y, x + width, y + height, where, flagged))
    return None, objects
