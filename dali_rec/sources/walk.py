"""Folders and the images in them: which are passed over, links without loops, and what cannot be read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dali_rec._work_folders import is_work_folder
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: What macOS puts into its archives, and Synology's disks into every folder: names of images that are none.
_FOREIGN_FOLDERS = ("__MACOSX", "@eaDir")
_MOST = 5


@dataclass(slots=True)
class FolderTree:
    """What was found under one folder.

    images: the names of images by folder, as parts of the way from ``top``. others: the paths of other files. classes:
    the folders at the top.
    """

    top: Path
    images: list[tuple[tuple[str, ...], list[str]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    @property
    def depths(self) -> set[int]:
        """How many folders deep images lie."""
        return {len(parts) for parts, _ in self.images}


def scan(top: Path) -> FolderTree:
    """What is under a folder. Raises SourceError where a part of it cannot be read."""
    tree = FolderTree(top)
    for parts, names in walk(top):
        images = [name for name in names if is_image_name(name)]
        tree.others += ["/".join((*parts, name)) for name in names if not is_image_name(name)]
        if images:
            tree.images.append((parts, images))
        if len(parts) == 1:
            tree.classes.append(parts[0])
    return tree


def walk(
    folder: Path, parts: tuple[str, ...] = (), above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each folder that is not hidden with the names of its files, sorted; links are followed, without loops.

    parts: the way to ``folder`` from where it began. above: identifies the folders on that way.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return  # a symbolic link back up
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_seen(entry):
                    (folders if is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None
    yield parts, sorted(files)
    for name in sorted(folders):
        yield from walk(folder / name, (*parts, name), above | {identity})


def folder_names(folder: Path) -> list[str]:
    """The names of the folders in ``folder`` that are not hidden, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_folder(entry) and _is_seen(entry))
    except OSError as error:
        raise unreadable(folder, error) from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one.

    A link that leads nowhere, to itself or to where nobody may look counts as a file: packing says why it is rejected.
    """
    try:
        return entry.is_dir()
    except OSError:
        return False


def unreadable(folder: str | os.PathLike[str], error: OSError) -> SourceError:
    """The error for a folder whose names cannot be had, which may hold any number of images."""
    return SourceError(
        f"{os.fspath(folder)}: cannot be read ({error.strerror or error}); get the right to read and enter it "
        "(chmod u+rx), or move it out of the way"
    )


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over, as it is none of the user's."""
    return name.startswith(".") or name in _FOREIGN_FOLDERS


def _is_seen(entry: os.DirEntry[str]) -> bool:
    return not is_hidden(entry.name) and not is_work_folder(entry)


def is_image_name(name: str) -> bool:
    """Whether a file is an image that can be packed, by its extension."""
    return os.path.splitext(name)[1].lower() in LOADABLE_EXTENSIONS  # noqa: PTH122  # ten times as fast as a Path


def shown(names: Sequence[str]) -> str:
    """The first names, for a message."""
    first = ", ".join(names[:_MOST])
    return first if len(names) <= _MOST else f"{first}, …"
