"""Folders of annotations: which are splits, and in which each image has a file of its name beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.walk import is_folder, unreadable

if TYPE_CHECKING:
    from pathlib import Path


def split_folders(folder: Path) -> list[tuple[str, str]]:
    """The (split, folder name) of the folders in ``folder`` that are splits by their names, train first."""
    names = sorted(entry.name for entry in entries_of(folder) if is_folder(entry))
    plain = {name: _plain(name) for name in names}
    found = [(SPLIT_NAMES[plain[name]], name) for name in names if plain[name] in SPLIT_NAMES]
    splits = [split for split, _ in found]
    if len(set(splits)) < len(splits):
        raise SourceError(f"{folder}: several of the folders {', '.join(name for _, name in found)} mean one split")
    return sorted(found, key=lambda item: ("train", "val", "test").index(item[0]))


def _plain(name: str) -> str:
    """Without the year of COCO's (train2017), and what Darknet's have about them (obj_train_data)."""
    return name.lower().rstrip("0123456789").removeprefix("obj_").removesuffix("_data")


def files_beside(folder: Path, suffix: str) -> list[str]:
    """The files in ``folder`` of this suffix that are called as an image there, sorted."""
    names = [os.path.splitext(entry.name) for entry in entries_of(folder) if not is_hidden(entry.name)]  # noqa: PTH122
    images = {stem for stem, extension in names if extension.lower() in LOADABLE_EXTENSIONS}
    return sorted(stem + extension for stem, extension in names if extension == suffix and stem in images)


def image_of(key: str, files: set[str]) -> str:
    """The image of an annotation; where there is none, the name that VOC gives it, so that packing can miss it."""
    for extension in (".jpg", *sorted(LOADABLE_EXTENSIONS)):
        for name in (key + extension, key + extension.upper()):
            if name in files:
                return name
    return f"{key}.jpg"


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder. Raises SourceError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise unreadable(folder, error) from None
