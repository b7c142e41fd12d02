"""Reading the images of a plan, and what tells later that one has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dali_rec._files import read_regular, too_long, unnameable
from dali_rec.errors import ImageRejectedError
from dali_rec.sources.archives.images import ArchivedImages
from dali_rec.sources.parquet.images import ParquetImages
from dali_rec.sources.remote import fetch, is_url

if TYPE_CHECKING:
    from dali_rec.sources import FetchOptions, HeldImages

#: Size in bytes and time of change in nanoseconds of the file that an image is in; zeros where there is none.
Stamp = tuple[int, int]

#: Why an image is not taken whose location is not ``is_listable``.
NOT_LISTABLE = "its name holds a tab or a line break, which a .lst cannot; rename it"

_NO_STAMP: Stamp = (0, 0)
_USUAL_EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Origin(NamedTuple):
    """Where the images of a plan are: in files below ``root``, or, those that ``pixels`` holds, in no file each."""

    root: str
    pixels: HeldImages | None = None

    def holder_of(self, location: str) -> HeldImages | None:
        """What holds the image at ``location``; None for one that is a file or behind a URL."""
        return self.pixels if self.pixels is not None and self.pixels.holds(location) else None

    def listed(self, location: str) -> str:
        """What a .lst says of where the image came from."""
        holder = self.holder_of(location)
        return location if holder is None else holder.listed(location)

    def named(self, location: str) -> str:
        """What messages call the image: of an archive its path there alone, as ``location`` is long and tells no more.

        In other files of many images it is found by its place.
        """
        return self.listed(location) if isinstance(self.pixels, ArchivedImages) else location

    def group_of(self, location: str, images: int, groups: int) -> object:
        """What the image at ``location`` has in common with others that are best read by one process, or None.

        images, groups: how many are packed, and how many groups at a time.
        """
        return self.pixels.group_of(location, images, groups) if isinstance(self.pixels, ParquetImages) else None

    def file_of(self, location: str) -> str:
        """The path of the file that the image at ``location`` is; empty for one that is no file of its own."""
        if is_url(location) or self.holder_of(location) is not None:
            return ""
        path = os.path.join(self.root, location)  # noqa: PTH118  # for millions of files a Path takes too long
        return path if os.sep == "/" else path.replace("/", os.sep)

    def absolute(self) -> Origin:
        """The same, found from any working folder."""
        return Origin(str(Path(self.root).absolute()), None if self.pixels is None else self.pixels.absolute())


class ReadImage(NamedTuple):
    """An encoded image, or the reason why there is none, and the stamp of its file."""

    stamp: Stamp
    data: bytes | ImageRejectedError


def is_listable(location: str) -> bool:
    """Whether a .lst can name the image: one line, of columns parted by tabs."""
    return not any(character in location for character in "\t\r\n")


def read_image(origin: Origin, location: str, fetching: FetchOptions) -> ReadImage:
    """Read the image at ``location``: a path, relative or absolute, a URL, or what is held."""
    if not is_listable(location):
        return ReadImage(stamp_of(origin, location), ImageRejectedError(NOT_LISTABLE))
    holder = origin.holder_of(location)
    if holder is None:
        return _fetch(location, fetching) if is_url(location) else _read_file(origin, location)
    stamp = _stamp(holder.file_of(location))
    try:
        return ReadImage(stamp, holder.read(location))
    except ImageRejectedError as error:
        return ReadImage(stamp, error)


def stamp_of(origin: Origin, location: str) -> Stamp:
    """What tells that the file of an image has changed; zeros for what has no file or is not there."""
    holder = origin.holder_of(location)
    return _stamp(origin.file_of(location) if holder is None else holder.file_of(location))


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path takes longer than the call
    except (OSError, ValueError):
        return _NO_STAMP
    return (status.st_size, status.st_mtime_ns)


def _fetch(url: str, fetching: FetchOptions) -> ReadImage:
    try:
        return ReadImage(_NO_STAMP, fetch(url, fetching))
    except ImageRejectedError as error:
        return ReadImage(_NO_STAMP, error)


def _read_file(origin: Origin, location: str) -> ReadImage:
    path = origin.file_of(location)
    try:
        data, status = read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        reason = f"no such file: {path}{too_long(path) or _what_is_there(origin, location, path)}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}: {path}"
    except UnicodeEncodeError as error:
        reason = f"cannot be read: {unnameable(error)}"
    except ValueError as error:  # a null character in the path
        reason = f"cannot be read: {error}"
    else:
        return ReadImage((status.st_size, status.st_mtime_ns), data)
    return ReadImage(_stamp(path), ImageRejectedError(reason))


def _what_is_there(origin: Origin, location: str, path: str) -> str:
    """What a path that leads nowhere may mean, for the message: data sets often come with names that lack something."""
    if "\\" in location:
        return "; write / for the backslashes of Windows"
    if any("\udc80" <= character <= "\udcff" for character in location):
        return "; the name is not UTF-8: if a list or table has it, save that as UTF-8"
    others = [origin.file_of(location.lstrip("/"))] if location.startswith("/") else []
    stem, _ = os.path.splitext(path)  # noqa: PTH122
    others += [one + extension for one in dict.fromkeys((path, stem)) for extension in _USUAL_EXTENSIONS]
    found = next((other for other in others if os.path.isfile(other)), None)  # noqa: PTH113
    return "" if found is None else f"; there is {found}: correct the path"
