"""KITTI annotations: image_2/A.png and label_2/A.txt, a line for each object with 15 columns and the class first.

(The development kit of the object benchmark, readme.txt.) Of NVIDIA's TAO the folders are images/ and labels/, of
FiftyOne data/ and labels/.
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

_FOLDERS = (("label_2", "image_2"), ("labels", "images"), ("labels", "data"))
_WIDTHS = (15, 16)  # the last is a score
_SIDES = ("left", "top", "right", "bottom")
_REGION = "DontCare"


def is_kitti(path: Path) -> bool:
    """Whether a folder has image_2/ and label_2/ of KITTI, itself or in folders of splits."""
    return bool(find_text_parts(path, _FOLDERS, ".txt", _begins))


def read_kitti(path: Path) -> Annotations:
    """The images of a KITTI folder; what is called DontCare is a flagged region. Raises SourceError, with the line."""
    parts = find_text_parts(path, _FOLDERS, ".txt", _begins)
    if not parts:
        raise SourceError(
            f"{path}: not a KITTI folder: expected image_2/ and label_2/ in it, with a .txt for each image"
        )
    found = read_text_parts(path, parts, ".txt", _parse)
    found.has_flags, found.regions = True, (_REGION,)
    return found


def _begins(path: Path) -> bool:
    line = next((line for line in text_lines(path) if line.strip()), "")
    fields = line.split()
    return len(fields) in _WIDTHS and not fields[0].lstrip("-").isdecimal()


def _parse(path: Path) -> Parsed:
    objects = []
    for number, line in enumerate(text_lines(path), 1):
        fields, where = line.split(), f"{path}, line {number}"
        if not fields:
            continue
        if len(fields) not in _WIDTHS:
            raise SourceError(f"{where}: {len(fields)} fields, expected the class and the 14 numbers of KITTI")
        left, top, right, bottom = (
            parse_number(field, f"the {side}", where) for side, field in zip(_SIDES, fields[4:8], strict=True)
        )
        objects.append(Object(fields[0], left, top, right, bottom, where, fields[0] == _REGION))
    return None, objects
