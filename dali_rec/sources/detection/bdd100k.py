"""BDD100K's annotations, in Scalabel's form: a JSON list of frames with labels, of which those with a box are objects.

(https://doc.scalabel.ai/format.html) Lanes and areas, which have none, are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.annotated import Annotations, Object, listed
from dali_rec.sources.detection.json_file import list_in, load_json, numbers_in, start_of, text_in

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.walk import Folder

_START = re.compile(rb'\s*(?:\{\s*"frames"\s*:\s*)?\[\s*\{\s*"name"\s*:\s*"')
_SIGNS = (b'"box2d"', b'"timestamp"', b'"videoName"')
_SIDES = ("x1", "y1", "x2", "y2")
#: Of all objects in the file; the rest, outlines above all, is let go of while it is parsed.
_USED = frozenset({"frames", "name", "labels", "category", "box2d", *_SIDES})


def is_bdd100k(path: Path) -> bool:
    """Whether a file begins as BDD100K's annotations do."""
    start = start_of(path)
    return _START.match(start) is not None and any(sign in start for sign in _SIGNS)


def read_bdd100k(path: Path, root: Folder | None = None) -> Annotations:
    """The images of a file of BDD100K, in its order. Raises SourceError, with the frame and the label."""
    content = load_json(path, _slim)
    frames = list_in(content, "frames", str(path)) if isinstance(content, dict) else content
    if not isinstance(frames, list):
        raise SourceError(f"{path}: not of BDD100K, whose annotations are a list of frames")
    names, objects, others = [], [], 0
    for number, frame in enumerate(frames):
        where = f"{path}: [{number}]"
        names.append(text_in(frame, "name", where))
        labels = list_in(frame, "labels", where) if frame.get("labels") is not None else []
        boxed = [(place, one) for place, one in enumerate(labels) if not isinstance(one, dict) or one.get("box2d")]
        others += len(labels) - len(boxed)
        objects.append([_object(one, f"{where}: labels[{place}]") for place, one in boxed])
    subset = path.stem.rpartition("_")[2]
    found = listed(path, names, objects, root, f"100k/{subset}")
    if others:
        found.notes.append(f"{path}: {counted(others, 'label')} without a box, as lanes, left out")
    return found


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name in _USED}


def _object(entry: Any, where: str) -> Object:
    name = text_in(entry, "category", where)
    xmin, ymin, xmax, ymax = numbers_in(entry["box2d"], _SIDES, where)
    return Object(name, xmin, ymin, xmax, ymax, where)
