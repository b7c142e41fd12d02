"""WIDER FACE's annotations: a text file with the name of an image, how many faces it has, and a line for each.

x, y, width, height, blur, expression, illumination, invalid, occlusion, pose. (wider_face_split/readme.txt; of an
image without faces one line of zeros.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.boxes import parse_number
from dali_rec.sources.detection.json_file import start_of
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_FACE = "face"
_COLUMNS = 10
_NUMBERS = ("x", "y", "the width", "the height")
_INVALID = 7


def is_widerface(path: Path) -> bool:
    """Whether a text begins with an image, a number of faces, and a face."""
    lines = start_of(path, ".txt").decode("utf-8", "replace").splitlines()
    if len(lines) < 3 or not _is_image(lines[0]) or not lines[1].strip().isdecimal():
        return False
    return len(lines[2].split()) == _COLUMNS


def read_widerface(path: Path, root: Folder | None = None) -> Annotations:
    """The images of WIDER FACE's list, in its order; invalid faces are flagged. Raises SourceError, with the line."""
    lines = text_lines(path)
    names, objects, at = [], [], 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        if not _is_image(lines[at]):
            raise SourceError(
                f"{path}, line {at + 1}: {lines[at][:60]!r} stands where the name of an image is expected"
            )
        names.append(lines[at].strip())
        count = lines[at + 1].strip() if at + 1 < len(lines) else ""
        if not count.isdecimal():
            raise SourceError(f"{path}, line {at + 2}: {count[:60]!r} is not the number of faces in {names[-1]}")
        first, at = at + 2, at + 2 + int(count)
        if at > len(lines):
            raise SourceError(f"{path}: it ends before the {int(count):,} faces of {names[-1]}; is the file cut short?")
        objects.append([_face(lines[row], f"{path}, line {row + 1}") for row in range(first, at)])
        if int(count) == 0 and at < len(lines) and lines[at].split() == ["0"] * _COLUMNS:
            at += 1
    found = listed(path, names, objects, root, f"{_folder(path)}/images")
    found.has_flags, found.names = True, (_FACE,)
    return found


def _folder(path: Path) -> str:
    """WIDER_train of wider_face_train_bbx_gt.txt."""
    return f"WIDER_{path.stem.removeprefix('wider_face_').removesuffix('_bbx_gt')}"


def _face(line: str, where: str) -> Object:
    fields = line.split()
    if len(fields) != _COLUMNS:
        raise SourceError(f"{where}: {len(fields)} fields, expected the {_COLUMNS} numbers of a face")
    x, y, width, height = (parse_number(field, name, where) for name, field in zip(_NUMBERS, fields, strict=False))
    return Object(_FACE, x, y, x + width, y + height, where, fields[_INVALID] == "1")


def _is_image(line: str) -> bool:
    return line.strip().lower().endswith(tuple(LOADABLE_EXTENSIONS))
