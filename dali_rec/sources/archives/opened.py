"""Archives whose headers were read: the folders of their members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.archives.images import INSIDE, ArchivedImages
from dali_rec.sources.archives.reader import read_archive
from dali_rec.sources.sample import Sample, SampleTable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dali_rec.sources.archives.files import Archives


@dataclass(frozen=True, slots=True)
class Opened:
    """What is in an archive, or in several, what the user should hear of it, and the files."""

    members: ArchiveFolder
    notes: list[str]
    files: tuple[str, ...]


def open_archive(archives: Archives, path: Path) -> Opened:
    """Read the headers of one of the archives. Raises SourceError where it is damaged, or none."""
    images = ArchivedImages(str(archives.folder))
    folder = ArchiveFolder(path.stem, str(path), f"{archives.inside(path)}{INSIDE}", images)
    return Opened(folder, read_archive(path, folder), (str(path),))


def open_all(archives: Archives, first: Opened) -> Opened:
    """What is in all of the archives, each of several as a folder of its name without the extension."""
    if archives.name == str(archives.files[0]):
        return first
    top, notes = ArchiveFolder(archives.folder.name, archives.name, "", first.members.images), []
    for path in archives.files:
        one = first if path == archives.files[0] else open_archive(archives, path)
        notes += one.notes
        *parts, name = archives.inside(path).split("/")
        top.at(tuple(parts)).put_archive(name, one.members)
    return Opened(top, notes, tuple(map(str, archives.files)))


def with_places(samples: Iterable[Sample], archive: ArchiveFolder) -> tuple[SampleTable, bool]:
    """The samples with the places in the archive of those that it has, and whether there are any."""
    placed, is_any = SampleTable(), False
    for sample in samples:
        location = archive.location(sample.location)
        is_any |= location is not None
        placed.append(sample if location is None else replace(sample, location=location))
    return placed, is_any
