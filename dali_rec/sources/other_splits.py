"""Sources that are one split of a data set, whose others lie beside them and are numbered by themselves."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.walk import folder_names

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = re.compile("[a-z]+")


def say_other_splits(path: Path) -> list[str]:
    """Say it where a file or folder is the train or val of a data set, and another beside it has numbers of its own."""
    wanted, beside = _without_splits(path.name), []
    if wanted != path.name.lower():
        with os.scandir(path.parent) as entries:
            alike = (one.name for one in entries if _without_splits(one.name) == wanted and not _is(one.name, path))
            beside = sorted(alike)
    if path.is_dir():  # KITTI's testing, which has no label_2, is none of its training
        inside = folder_names(path)
        folders = (name for name in beside if (path.parent / name).is_dir())
        beside = [name for name in folders if set(inside).issubset(folder_names(path.parent / name))]
    folder = path.absolute().parent
    if folder.name.lower() in SPLIT_NAMES:  # train/metadata.csv and test/metadata.csv
        others = (name for name in folder_names(folder.parent) if name.lower() in SPLIT_NAMES and not _is(name, folder))
        beside += [f"{name}/{path.name}" for name in others if (folder.parent / name / path.name).is_file()]
    if not beside:
        return []
    note = f"{path}: its classes are numbered by the names in it alone; if {beside[0]} has others, give both the"
    return [f"{note} same numbers by --classes FILE, which may be the .json of a packed data set"]


def _is(name: str, path: Path) -> bool:
    """Whether the file or folder of this name is the one at ``path``, which Windows takes in any capitals."""
    return os.path.normcase(name) == os.path.normcase(path.name)


def _without_splits(name: str) -> str:
    """The name of a file without its words for a split."""
    return _WORDS.sub(lambda word: "" if word[0] in SPLIT_NAMES else word[0], name.lower())
