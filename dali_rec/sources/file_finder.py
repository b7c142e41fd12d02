"""Files that a table names without their extension, their folder, or both."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.sources.archives.folder import ArchiveFolder, clean_parts
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.image_names import names_image
from dali_rec.sources.leading_folders import has_file, leading_folders, shorten_all
from dali_rec.sources.remote import is_url
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.walk import Folder, shown, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TRIED = 20
_FEW = 5  # folders, of which one may well be of something else


@dataclass(slots=True)
class FoundFiles:
    """Where the images of a table are: relative to which folder, and what the user should hear."""

    root: str
    locations: list[str]
    notes: tuple[str, ...] = ()


def find_files(path: Path, locations: list[str], root: Folder | None) -> FoundFiles | None:
    """The files that locations mean which lead nowhere as they stand; None where none of the first leads anywhere.

    Where one of the first 20 locations is there, relative to ``root`` or to the table, all are taken as they stand.
    Otherwise names without an extension may be those of files with one, which may lie in folders below; without
    ``root``, in a folder "images" beside that of the table, too. Where none of the first is found so, they may lie in
    the folder above, or be paths of another place: see ``leading_folders``. What is not found stays as it is.

    root: a folder, or an archive. Raises ValueError where a location may be several files.
    """
    folder = root if root is not None else path.parent
    first = [location for location in locations[:_TRIED] if not is_url(location)]
    if not first or any(has_file(folder, location) for location in first):
        return FoundFiles(str(folder), locations)
    files = _Files(folder, [folder])
    if root is None and (beside := path.absolute().parent.parent / "images").is_dir():
        files = _Files(beside.parent, [path.absolute().parent, beside])
    found = (
        _by_names(path, locations, files)
        or (_above(path, locations) if root is None else None)
        or _elsewhere(path, locations, folder)
    )
    if found is None and any("\\" in location for location in first):  # the slashes of Windows
        return find_files(path, [one if is_url(one) else one.replace("\\", "/") for one in locations], root)
    return found


def _by_names(path: Path, locations: list[str], files: _Files) -> FoundFiles | None:
    """The files that are called as the locations; None where none of the first is."""
    top = files.top
    if not any(files.find(location) for location in locations[:_TRIED]):
        return None
    found = [files.find(location) or location for location in locations]
    at = next(number for number, location in enumerate(locations) if found[number] != location)
    note = f"{path}: its images are found by their names: {locations[at][:80]!r} is {_shown(top, found[at])}"
    # An image that is missing in train may be called as one in test, or as its mask.
    inside = {one.rpartition("/")[0] for one, location in zip(found, locations, strict=True) if one != location}
    tops = sorted({place.partition("/")[0] for place in inside})
    are_splits = len({name.lower() for name in tops} & SPLIT_NAMES.keys()) > 1
    places = tops if are_splits else sorted(inside) if 1 < len(inside) <= _FEW else []
    among = f", and others in {shown(places)}" if places else ""
    return FoundFiles(str(top), found, (note + among,))


def _shown(top: Folder, path: str) -> str:
    if isinstance(top, Path):
        return str(top / path)
    *parts, name = clean_parts(path)
    return top.joinpath(*parts).shown(name)


def _above(path: Path, locations: list[str]) -> FoundFiles | None:
    """The files that lie in the folder above that of the table."""
    above = path.absolute().parent.parent
    first = next((one for one in locations[:_TRIED] if has_file(above, one)), None)
    if first is None:
        return None
    return FoundFiles(str(above), locations, (f"{path}: its images are found in {above}: {first[:80]!r}",))


def _elsewhere(path: Path, locations: list[str], folder: Folder) -> FoundFiles | None:
    """The files that lie in ``folder`` without the folders that stand before all of them."""
    counts = ((one, leading_folders(one, folder)) for one in locations[:_TRIED] if not is_url(one))
    first, count = next(((one, count) for one, count in counts if count is not None), ("", 0))
    shorter = shorten_all(locations, count) if first else None
    if shorter is None:
        return None
    place = _shown(folder, shorter[locations.index(first)])
    return FoundFiles(str(folder), shorter, (f"{path}: its images are found elsewhere: {first[:80]!r} is {place}",))


@dataclass(slots=True)
class _Files:
    """The images in folders, relative to ``top``, by the ends of their paths."""

    top: Folder
    folders: Sequence[Folder]
    _paths: list[str] = field(default_factory=list)
    _by_end: dict[int, dict[str, str | list[str]]] = field(default_factory=dict)

    def find(self, location: str) -> str | None:
        """The file that ``location`` means, or None. Raises ValueError for several."""
        if is_url(location):
            return None
        name = location.strip("/")
        is_whole = names_image(name)
        stem = os.path.splitext(name)[0] if is_whole else name  # noqa: PTH122
        matches = self._ending(name.count("/") + 1).get(stem, [])
        found = [matches] if isinstance(matches, str) else matches
        if is_whole:
            found = [path for path in found if path.endswith(name)]
        if len(found) > 1:  # what is nothing but the name comes before what lies in another folder
            found = [path for path in found if path.count("/") == name.count("/")] or found
        if len(found) > 1:
            raise ValueError(f"{location[:80]!r} may be {found[0]} or {found[1]}")
        return found[0] if found else None

    def _ending(self, length: int) -> dict[str, str | list[str]]:
        """The paths by their last ``length`` parts, without extension."""
        if not self._paths:
            self._paths = list(self._walk())
        if length not in self._by_end:
            by_end: dict[str, str | list[str]] = {}
            for path in self._paths:
                end = os.path.splitext("/".join(path.rsplit("/", length)[-length:]))[0]  # noqa: PTH122
                before = by_end.setdefault(end, path)
                if isinstance(before, list):
                    before.append(path)
                elif before is not path:
                    by_end[end] = [before, path]
            self._by_end[length] = by_end
        return self._by_end[length]

    def _walk(self) -> Iterator[str]:
        seen: set[tuple[int, int]] = set()
        for folder in self.folders:
            if isinstance(folder, ArchiveFolder):
                yield from (
                    "/".join((*parts, name)) for parts, names in walk(folder) for name in names if names_image(name)
                )
                continue
            # Not as folders of classes are walked: what cannot be read here may be no part of the data set.
            for place, inside, names in os.walk(folder, followlinks=True):
                status = os.stat(place)  # noqa: PTH116
                if (status.st_dev, status.st_ino) in seen and status.st_ino:  # as for ``walk``
                    inside.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
                inside[:] = sorted(name for name in inside if not is_hidden(name))
                start = os.path.relpath(place, str(self.top))
                start = "" if start == "." else start.replace(os.sep, "/") + "/"
                for name in sorted(names):
                    if names_image(name) and not is_hidden(name):
                        yield start + name
