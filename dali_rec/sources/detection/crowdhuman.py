"""CrowdHuman's annotations: an .odgt, with an object of JSON on each line for an image.

(https://www.crowdhuman.org) The box of a person is that of the full body. What is tagged "mask" are crowds and what
only looks like people.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.boxes import to_number
from dali_rec.sources.detection.json_file import list_in, text_in
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_PERSON, _REGION = "person", "mask"


def is_crowdhuman(path: Path) -> bool:
    """Whether a file is an .odgt."""
    return path.suffix.lower() == ".odgt" and path.is_file()


def read_crowdhuman(path: Path, root: Folder | None = None) -> Annotations:
    """The images of an .odgt, in its order; what is to be ignored is flagged. Raises SourceError, with the line."""
    names, objects = [], []
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            image = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{where}: not JSON ({error}); is the file cut short?") from None
        names.append(f"{text_in(image, 'ID', where)}.jpg")
        boxes = list_in(image, "gtboxes", where)
        objects.append([_object(one, f"{where}: gtboxes[{place}]") for place, one in enumerate(boxes)])
    found = listed(path, names, objects, root, "Images")
    found.has_flags, found.names, found.regions = True, (_PERSON,), (_REGION,)
    return found


def _object(entry: Any, where: str) -> Object:
    tag = text_in(entry, "tag", where)
    if tag not in (_PERSON, _REGION):
        raise SourceError(f"{where}: its tag is {tag[:40]!r}, expected {_PERSON} or {_REGION}")
    box = list_in(entry, "fbox", where)
    if len(box) != 4:
        raise SourceError(f"{where}: expected an fbox [x, y, width, height], found {str(box)[:60]}")
    x, y, width, height = (to_number(value, "a number of its fbox", where) for value in box)
    extra = entry.get("extra")
    is_ignored = tag == _REGION or (isinstance(extra, dict) and extra.get("ignore") == 1)
    return Object(tag, x, y, x + width, y + height, where, is_ignored)
