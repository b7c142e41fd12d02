"""DOTA annotations: images/A.png and labelTxt/A.txt with a line for each object: four corners and its class.

Behind it stands whether it is difficult. (https://captain-whu.github.io/DOTA/dataset.html) The boxes are oriented; what
is read is the upright box around each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, outer_box
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.text_parts import Parsed, find_text_parts, read_text_parts
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

_VERSIONS = ("v1.0", "v1.5", "v2.0")
_TEXTS = (
    "labelTxt",
    *(
        f"labelTxt-{one}{inside}"
        for one in _VERSIONS
        for inside in ("", "/labelTxt", f"/DOTA-{one}_train", f"/DOTA-{one}_val")
    ),
)
_FOLDERS = tuple((texts, "images") for texts in _TEXTS)
_HEADS = ("imagesource:", "gsd:")


def is_dota(path: Path) -> bool:
    """Whether a folder has images/ and labelTxt/ of DOTA, itself or in folders of splits."""
    return bool(find_text_parts(path, _FOLDERS, ".txt", _begins))


def read_dota(path: Path) -> Annotations:
    """The images of a DOTA folder; difficult objects are flagged. Raises SourceError, with the line."""
    parts = find_text_parts(path, _FOLDERS, ".txt", _begins)
    if not parts:
        raise SourceError(
            f"{path}: not a DOTA folder: expected images/ and labelTxt/ in it, with a .txt for each image"
        )
    found = read_text_parts(path, parts, ".txt", _parse)
    found.has_flags = True
    found.notes.append(f"{path}: boxes are oriented; what is packed is the upright box around each")
    return found


def _begins(path: Path) -> bool:
    line = next((line.strip() for line in text_lines(path) if line.strip()), "")
    return line.startswith(_HEADS) or len(line.split()) in (9, 10)


def _parse(path: Path) -> Parsed:
    objects = []
    for number, line in enumerate(text_lines(path), 1):
        fields, where = line.split(), f"{path}, line {number}"
        if not fields or line.startswith(_HEADS):
            continue
        if len(fields) not in (9, 10):
            raise SourceError(f"{where}: {len(fields)} fields, expected four corners, the class, and 0 or 1")
        xs, ys = ([parse_number(field, "a corner", where) for field in fields[at:8:2]] for at in (0, 1))
        difficult = parse_number(fields[9], "difficult", where) if len(fields) == 10 else 0
        objects.append(Object(fields[8], *outer_box(zip(xs, ys, strict=True)), where, difficult != 0))
    return None, objects
