"""Paths of another machine, or another place: /home/me/photos/cat/1.jpg where there is cat/1.jpg."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.sources.remote import is_url
from dali_rec.sources.sample import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.walk import Folder

_SEPARATORS = re.compile(r"[/\\]")  # of Windows too


def has_file(folder: Folder, path: str) -> bool:
    """Whether there is a file of this path in a folder, which may be in an archive."""
    if isinstance(folder, Path):
        return os.path.isfile(os.path.join(folder, path))  # noqa: PTH113, PTH118  # False for what no file can be called
    return folder.location(path) is not None


def leading_folders(location: str, folder: Folder) -> int | None:
    """How many folders before ``location`` are to be left out so that the rest is a file in ``folder``.

    None where there is no such file, or ``location`` is one as it stands; 0 where it only has the slashes of Windows.
    The rest has a folder in it, or the last that is left out is called as ``folder``: an image that only has the same
    name may be any. What is in train is not looked for in test.
    """
    if has_file(folder, location):
        return None
    parts = _SEPARATORS.split(location)
    name = folder.absolute().name if isinstance(folder, Path) else folder.name
    for count in range(len(parts)):
        rest = parts[count:]
        is_told = len(rest) > 1 or (count > 0 and parts[count - 1] == name)
        if len({*map(_split_of, (name, *parts[:count]))} - {None}) > 1:
            return None
        if is_told and rest[0] and has_file(folder, "/".join(rest)):
            return count
    return None


def _split_of(folder: str) -> str | None:
    """The split that a folder is by its name, which may end in a year."""
    return SPLIT_NAMES.get(folder.lower().rstrip("0123456789"))


def without_leading(location: str, count: int) -> str:
    """The path without so many folders before it, and with the slashes of this machine."""
    return "/".join(_SEPARATORS.split(location)[count:])


def shorten_all(locations: Sequence[str], count: int | None) -> list[str] | None:
    """The paths, of which URLs stay as they are, without so many folders.

    None where ``count`` is, where two would become one, or none, and where some are left out of train, others of test.
    """
    if count is None:
        return None
    left_out = (part for one in locations for part in _SEPARATORS.split(one)[:count])
    if len({*map(_split_of, left_out)} - {None}) > 1:
        return None
    shorter = [one if is_url(one) else without_leading(one, count) for one in locations]
    return shorter if all(shorter) and len(set(shorter)) == len(set(locations)) else None
