"""Folders and the images in them: which are passed over, links without loops, and what cannot be read."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._files import too_long
from dali_rec._work_folders import is_work_folder
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.hidden_names import is_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST = 5

#: Where images lie in folders: on a disk, or in an archive.
Folder = Path | ArchiveFolder


@dataclass(slots=True)
class FolderTree:
    """What was found under one folder.

    images: the names of images by folder, as parts of the way from ``top``. others: the paths of other files. classes:
    the folders at the top.
    """

    top: Folder
    images: list[tuple[tuple[str, ...], list[str]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    @property
    def depths(self) -> set[int]:
        """How many folders deep images lie."""
        return {len(parts) for parts, _ in self.images}


def scan(top: Folder) -> FolderTree:
    """What is under a folder. Raises SourceError where a part of it cannot be read."""
    tree = FolderTree(top)
    for parts, names in walk(top):
        images = [name for name in names if is_image(name)]
        tree.others += ["/".join((*parts, name)) for name in names if not is_image(name)]
        if images:
            tree.images.append((parts, images))
        if len(parts) == 1:
            tree.classes.append(parts[0])
    return tree


def walk(
    folder: Folder, parts: tuple[str, ...] = (), above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each folder that is not hidden with the names of its files, sorted; links are followed, without loops.

    parts: the way to ``folder`` from where it began. above: identifies the folders on that way.
    """
    if isinstance(folder, ArchiveFolder):
        yield from _walk_archive(folder, parts)
        return
    folders: list[str] = []
    files: list[str] = []
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above and status.st_ino:  # some network disks, on Windows, number all folders 0
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


def _walk_archive(folder: ArchiveFolder, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    yield parts, sorted(name for name in folder.files if not is_hidden(name))
    for name in folder_names(folder):
        yield from _walk_archive(folder / name, (*parts, name))


def files_below(folder: Path) -> Iterator[str]:
    """The files in ``folder`` and the folders in it, as paths relative to it; a folder that is not there has none."""
    if folder.is_dir():
        for parts, names in walk(folder):
            yield from ("/".join((*parts, name)) for name in names)


def folder_names(folder: Folder) -> list[str]:
    """The names of the folders in ``folder`` that are not hidden, sorted."""
    if isinstance(folder, ArchiveFolder):
        return sorted(name for name in folder.folders if not is_hidden(name))
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
    command = "" if sys.platform == "win32" else " (chmod u+rx)"
    is_forbidden = isinstance(error, PermissionError)
    remedy = f"get the right to read and enter it{command}" if is_forbidden else "try again when it can be"
    remedy += f", or move it out of the way{too_long(folder)}"
    return SourceError(f"{os.fspath(folder)}: cannot be read ({error.strerror or error}); {remedy}")


def _is_seen(entry: os.DirEntry[str]) -> bool:
    return not is_hidden(entry.name) and not is_work_folder(entry)


def file_in(folder: Folder, path: str) -> str:
    """What messages call the file at a path in a folder."""
    return os.path.join(folder, *path.split("/")) if isinstance(folder, Path) else f"{folder}/{path}"  # noqa: PTH118


def is_image(name: str) -> bool:
    """Whether a file is an image that the loader reads, by its extension."""
    return os.path.splitext(name)[1].lower() in LOADABLE_EXTENSIONS  # noqa: PTH122  # ten times as fast as a Path


def shown(names: Sequence[str]) -> str:
    """The first names, for a message."""
    first = ", ".join(names[:_MOST])
    return first if len(names) <= _MOST else f"{first}, …"
