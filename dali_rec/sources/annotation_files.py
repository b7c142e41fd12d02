"""Files of annotations among the images of a folder, which only the sources of object detection read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.sources.detection import is_coco
from dali_rec.sources.detection.coco_folder import is_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.walk import FolderTree

_SUFFIXES = (".txt", ".xml", ".json")
_MOST = 100  # files that are looked into


def unread_annotations(trees: Sequence[FolderTree]) -> list[str]:
    """Say it where a folder whose folders became labels has annotations too: of COCO, or a file for each image.

    A file is of an image that has its name: P0.txt, a.xml or a.jpg.json, in whatever folder.
    """
    texts = [
        (tree, name)
        for tree in trees
        for name in tree.others
        if os.path.splitext(name)[1].lower() in _SUFFIXES  # noqa: PTH122
    ]
    files = [tree.top / name for tree, name in texts[:_MOST] if isinstance(tree.top, Path)]
    coco = min(filter(is_coco, files), key=is_other, default=None)
    if coco is not None:
        return [f"{coco} has annotations of COCO, which are not read here: to have them, pack that file"]
    images = {_stem(name) for tree in (trees if texts else ()) for _, names in tree.images for name in names}
    found = [name for _, name in texts if not images.isdisjoint((_stem(name), _stem(_stem(name))))]
    if not found:
        return []
    note = f"{len(found):,} files are called as images, {found[0]} for one, and not read"
    unpacked = "" if isinstance(trees[0].top, Path) else ", not in archives: unpack it for these"
    return [f"{note}; boxes are read in the layouts of COCO, VOC, YOLO and others{unpacked}"]


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122  # much faster than a Path
