"""A folder in an archive: what members it has, and where each lies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.archives.images import INSIDE
from dali_rec.sources.hidden_names import is_hidden

if TYPE_CHECKING:
    from io import BufferedIOBase

    from dali_rec.sources.archives.images import ArchivedImages

_DEEPEST = 100  # folders in one another


class ArchiveFolder:
    """A folder in an archive, with as much of a ``Path`` as folders of images are asked for.

    name: in the folder that messages call ``parent``, which is itself where there is none. shown: what they call it.
    listed: how the locations of the files in it begin: ``photos.zip//cat/``. images: what reads these. folders, files:
    what is in it, by name; of a file the place of its bytes, as ``images`` has it.
    """

    def __init__(self, name: str, shown: str, listed: str, images: ArchivedImages, parent: str | None = None) -> None:
        self.folders: dict[str, ArchiveFolder] = {}
        self.files: dict[str, str] = {}
        self.name = name
        self.listed = listed
        self.images = images
        self._shown = shown
        self.parent = shown if parent is None else parent  # not itself, as a loop stays in memory for long

    def __str__(self) -> str:
        return self._shown

    def shown(self, name: str) -> str:
        """What messages call a file or folder in it."""
        return f"{self}{INSIDE if self.listed.endswith(INSIDE) else '/'}{name}"

    def __truediv__(self, name: str) -> ArchiveFolder:
        return self.folders[name]

    def joinpath(self, *names: str) -> ArchiveFolder:
        """The folder that the names lead to."""
        folder = self
        for name in names:
            folder = folder.folders[name]
        return folder

    def child(self, name: str) -> ArchiveFolder:
        """The folder of this name in it, which is made if it is not there."""
        if name not in self.folders:
            self.folders[name] = self._inside(name, f"{name}/", name)
        return self.folders[name]

    def add_archive(self, file: str) -> ArchiveFolder:
        """A folder for what is in an archive in it."""
        inside = self._inside("", f"{file}{INSIDE}", file)
        self.put_archive(file, inside)
        return inside

    def put_archive(self, file: str, inside: ArchiveFolder) -> None:
        """Have what is in an archive as a folder of its name without the extension, unless there is one of that name.

        Where all is in a single folder of its own name, as cat.tar may have cat/, that folder is what is in it.
        """
        stem, _ = os.path.splitext(file)  # noqa: PTH122  # of what is no path of this machine
        name = file if stem in self.folders else stem
        seen = [folder for folder in inside.folders if not is_hidden(folder)]
        if seen == [name] and all(map(is_hidden, inside.files)):
            inside = inside.folders[name]
        inside.name, inside.parent = name, str(self)
        self.folders[name] = inside

    def _inside(self, name: str, way: str, file: str) -> ArchiveFolder:
        return ArchiveFolder(name, self.shown(file), f"{self.listed}{way}", self.images, str(self))

    def at(self, parts: tuple[str, ...]) -> ArchiveFolder:
        """The folder that the parts of a path lead to, made if it is not there. Raises SourceError for a deep one."""
        if len(parts) > _DEEPEST:
            raise SourceError(
                f"{self}: {'/'.join(parts)[:200]} … lies {len(parts)} folders deep; make a flatter archive"
            )
        folder = self
        for part in parts:
            folder = folder.child(part)
        return folder

    def location(self, path: str) -> str | None:
        """The location of the file at a path inside; None where there is none."""
        parts = clean_parts(path)
        folder, place = self._find(parts)
        return None if place is None else f"{folder.listed}{parts[-1]}{place}"

    def open(self, path: str) -> BufferedIOBase:
        """The file at a path inside, of which no more is read than is asked for, where that can be.

        Raises ImageRejectedError where there is none, or it cannot be read.
        """
        location = self.location(path)
        if location is None:
            raise ImageRejectedError(f"{self}: no {path} in it")
        return self.images.open(location)

    def find_place(self, parts: tuple[str, ...]) -> str | None:
        """The place of the file at a path inside; None where there is none."""
        return self._find(parts)[1]

    def _find(self, parts: tuple[str, ...]) -> tuple[ArchiveFolder, str | None]:
        folder = self
        for part in parts[:-1]:
            if part not in folder.folders:
                return folder, None
            folder = folder.folders[part]
        return folder, folder.files.get(parts[-1]) if parts else None


def clean_parts(name: str) -> tuple[str, ...]:
    """The parts of the path of a member, without what would lead out of the archive."""
    return tuple(part for part in name.split("/") if part not in ("", ".", ".."))
