"""Boxes of SageMaker Ground Truth and Rekognition: a manifest with an object of JSON on each line for an image.

(https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html, "bounding box job output") The image stands under
"source-ref", the boxes under the name of the job, and the names of their classes under that name with "-metadata".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.json_file import list_in, numbers_in, text_in
from dali_rec.sources.remote import is_url
from dali_rec.sources.tables.rows import JSON_SUFFIXES
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_IMAGE, _METADATA = "source-ref", "-metadata"
_SIZE, _BOXES = "image_size", "annotations"
_SIDES = ("left", "top", "width", "height")
_LONGEST_LINE = 1 << 20


class _Entry(NamedTuple):
    """An image of a line: where it is, its size, if it is known, and its boxes with the ids of their classes."""

    name: str
    size: tuple[float, float] | None
    boxes: list[tuple[int, tuple[float, float, float, float], str]]


def is_groundtruth(path: Path) -> bool:
    """Whether the first line of a file has an image and boxes of Ground Truth."""
    if path.suffix.lower() not in JSON_SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE).removeprefix(b"\xef\xbb\xbf")
    return line.lstrip().startswith(b"{") and all(f'"{name}"'.encode() in line for name in (_IMAGE, _SIZE, _BOXES))


def read_groundtruth(path: Path, root: Folder | None = None, attribute: str | None = None) -> Annotations:
    """The images of a manifest, in its order, classes by their ids; lines without the boxes are left out.

    root: where images of URLs are as files; without it they are fetched. attribute: the name of the job; by default
    the only one that has boxes.

    Raises SourceError, with the line, for what is no box, an id of two classes, and several jobs.
    """
    entries: list[_Entry] = []
    names: dict[int, str] = {}
    bare: list[str] = []
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        values = _parse(line, where)
        job = attribute or _job(values, where)
        if job is None or values.get(job) is None:
            bare.append(where)
            continue
        _add_names(names, values.get(f"{job}{_METADATA}"), where)
        entries.append(_entry(values, job, where))
    if root is not None:  # without the bucket: the folders before the name may be there or not
        entries = [one._replace(name=one.name.partition("://")[2].partition("/")[2] or one.name) for one in entries]
    unsized = next((one.name for one in entries if one.size is None and is_url(one.name)), None)
    if unsized is not None:
        raise SourceError(f"{path}: no {_SIZE} for {unsized}, in whose place its file would be read; say --root FOLDER")
    for key in {key for one in entries for key, _, _ in one.boxes}:
        names.setdefault(key, str(key))
    objects = [[Object(names[key], *corners, where) for key, corners, where in one.boxes] for one in entries]
    sizes = {one.name: one.size for one in entries if one.size is not None}
    found = listed(path, [one.name for one in entries], objects, root, path.stem, sizes)
    found.names = list(dict.fromkeys(names[key] for key in sorted(names)))
    if bare:
        found.notes.append(f"{path}: {counted(len(bare), 'line')} without boxes left out; the first: {bare[0]}")
    return found


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: not JSON ({error}); is the file cut short?") from None
    if not isinstance(values, dict):
        raise SourceError(f"{where}: expected an object, found {type(values).__name__}")
    return values


def _job(values: dict[str, Any], where: str) -> str | None:
    jobs = [name for name, value in values.items() if isinstance(value, dict) and _BOXES in value and _SIZE in value]
    if len(jobs) > 1:
        raise SourceError(f"{where}: boxes under {' and '.join(jobs)}; name the one that is meant by --label-column")
    return jobs[0] if jobs else None


def _add_names(names: dict[int, str], metadata: Any, where: str) -> None:
    class_map = metadata.get("class-map") if isinstance(metadata, dict) else None
    for key in class_map if isinstance(class_map, dict) else ():
        name = text_in(class_map, key, f"{where}: class-map")
        if not key.isdecimal():
            raise SourceError(f"{where}: {key[:40]!r} in its class-map is no number of a class")
        if names.setdefault(int(key), name) != name:
            raise SourceError(f"{where}: the class {key} is {name!r} here and {names[int(key)]!r} before")


def _entry(values: dict[str, Any], job: str, where: str) -> _Entry:
    content = values[job]
    sizes = content.get(_SIZE) if isinstance(content, dict) else None
    size = None
    if isinstance(sizes, list) and sizes:
        width, height = numbers_in(sizes[0], ("width", "height"), f"{where}: {_SIZE}")
        size = (width, height) if width > 0 and height > 0 else None
    boxes = []
    for place, box in enumerate(list_in(content, _BOXES, f"{where}: {job}")):
        at = f"{where}: {_BOXES}[{place}]"
        left, top, width, height = numbers_in(box, _SIDES, at)
        key = box.get("class_id", 0)
        if isinstance(key, bool) or not isinstance(key, int) or key < 0:
            raise SourceError(f"{at}: class_id is {str(key)[:40]!r}, expected a whole number from 0 up")
        boxes.append((key, (left, top, left + width, top + height), at))
    return _Entry(text_in(values, _IMAGE, where), size, boxes)
