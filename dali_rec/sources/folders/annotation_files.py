"""Files of annotations among the images of a folder, which only the sources of object detection read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.sources.archives.images import INSIDE
from dali_rec.sources.detection import find_format
from dali_rec.sources.detection.coco_folder import is_other
from dali_rec.sources.walk import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.walk import FolderTree

_OF_ONE = (".txt", ".xml", ".json")
_OF_ALL = (*_OF_ONE, ".csv", ".jsonl", ".manifest", ".odgt")
_MOST = 100  # files that are looked into
# What such files are called: instances_val2017.json, _annotations.coco.json, train-annotations-bbox.csv, …
_CALLED = re.compile("annotation|instances|coco|createml|bbox")


def may_be_annotations(file: str) -> bool:
    """Whether a file may have lists of images, or annotations, by its extension."""
    return _suffix(file) in _OF_ALL


def unread_annotations(trees: Sequence[FolderTree], files: Sequence[str]) -> list[str]:
    """Say it where a folder whose folders became labels has annotations too: of many images, or a file for each.

    files: what is no image. A file is of an image that has its name: P0.txt, a.xml or a.jpg.json, in whatever folder.
    """
    in_archive = not isinstance(trees[0].top, Path)
    of_all = [file for file in files if may_be_annotations(file)]
    called = next((file for file in of_all if _CALLED.search(os.path.basename(file).lower())), None)  # noqa: PTH119
    if in_archive and called is not None and any(tree.depths - {0} for tree in trees):
        archive, name = str(trees[0].top).partition(INSIDE)[0], os.path.basename(called)  # noqa: PTH119
        remedy = f"to have them, unpack that file: dali-rec pack {name} OUT --root {archive}"
        return [f"{called}: if these are annotations of boxes, they are not read in archives: {remedy}"]
    looked_into = [Path(file) for file in of_all if not in_archive][:_MOST]
    found = [(file, kind) for file in looked_into if (kind := find_format(file)) is not None]
    if found:
        file, kind = min(found, key=lambda one: is_other(one[0]))
        what = "annotations of COCO" if kind == "coco" else f"boxes in the format {kind!r}"
        return [f"{file} has {what}, which are not read here: to have them, pack that file"]
    texts = [file for file in files if _suffix(file) in _OF_ONE]
    images = {_stem(name) for tree in (trees if texts else ()) for _, names in tree.images for name in names}
    alike = [file for file in texts if not images.isdisjoint((_stem(file), _stem(_stem(file))))]
    if not alike:
        return []
    unread = counted(len(alike), "file of an image's name is", "files of images' names are")
    note = f"{unread} not read ({shown(alike)})"
    if in_archive:
        return [f"{note}; boxes are not read in archives: to have them, unpack it"]
    for folder in Path(alike[0]).parents[:2]:
        if find_format(folder) is not None:
            return [f"{note}: to have the boxes in {folder}, pack that folder"]
    return [f"{note}; boxes are read in the layouts of COCO, VOC, YOLO and others"]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122  # much faster than a Path


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122  # much faster than a Path
