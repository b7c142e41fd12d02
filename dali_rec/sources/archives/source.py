"""The images of archives: folders of classes, an archive for each class, or the shards of WebDataset."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.archives.opened import Opened, open_all, open_archive, with_places
from dali_rec.sources.archives.reader import TAR
from dali_rec.sources.archives.webdataset import Shard, has_samples, read_shards, splits_of
from dali_rec.sources.detection import WITH_ROOT
from dali_rec.sources.folders.folder import read_folder
from dali_rec.sources.folders.name_labels import compile_pattern
from dali_rec.sources.options import refuse_other_options
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.walk import folder_names, is_image, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dali_rec.sources.archives.files import Archives
    from dali_rec.sources.archives.folder import ArchiveFolder
    from dali_rec.sources.options import SourceOptions
    from dali_rec.sources.sample import Source

_NUMBERED = re.compile(r"(.*?)(\d{3,})")  # 0.tar to 9.tar are classes rather


def read_archives(archives: Archives, options: SourceOptions) -> Source:
    """The images of archives: of shards of WebDataset, see ``read_shards``, or with labels from the folders in them.

    For the latter see ``read_folder``. Of several archives each is a folder of its name without the extension, and so
    is a .tar in a .tar. Raises SourceError for a damaged archive, and for options that do not go with what they are.
    """
    name = archives.name
    if options.format != "auto":
        remedy = "and pack the folder"
        if options.format in WITH_ROOT:
            remedy = (
                "or the annotations alone, which are small: dali-rec pack FILE OUT --root ARCHIVE, which has the images"
            )
        raise SourceError(
            f"{name}: annotations of boxes, as --format says, are not read in archives; unpack it, {remedy}"
        )
    source = _read(archives, options)
    if not archives.beside:
        return source
    count = counted(len(archives.beside), "file")
    note = f"{name}: {count} beside the archives left out: {shown(archives.beside)}"
    if any(file.lower().endswith((".lst", ".csv", ".tsv")) for file in archives.beside):
        note += "; if one has the labels, pack that, with the archive of its images for --root"
    return replace(source, notes=(note, *source.notes))


def _read(archives: Archives, options: SourceOptions) -> Source:
    name, first = archives.name, open_archive(archives, archives.files[0])
    by_folders = options.labels != "levels" or options.label_pattern is not None
    if _are_shards(archives, first.members, options.table, folders_are_labels=by_folders):
        refuse_other_options(name, "webdataset", options)
        return _read_webdataset(archives, first, options.table, options.classes)
    refuse_other_options(name, "folder", options)
    return _read_folders(archives, first, options)


def _are_shards(archives: Archives, first: ArchiveFolder, table: TableOptions, *, folders_are_labels: bool) -> bool:
    """Whether archives are the shards of WebDataset, by the first of them, their names, or what is asked for.

    They are if a .cls lies beside an image, a .json or .txt beside an image that is in no folder, or if several have
    images in no folders and are numbered 0, 1, 2 …
    """
    if folders_are_labels or any(file.suffix.lower() != TAR for file in archives.files):
        return False
    if archives.is_pattern or table != TableOptions() or has_samples(first):
        return True
    return _are_numbered(archives.files) and not folder_names(first) and any(map(is_image, first.files))


def _are_numbered(files: Sequence[Path]) -> bool:
    """Whether several files have one name and numbers of one length, one after another."""
    found = [match for file in files if (match := _NUMBERED.fullmatch(file.stem)) is not None]
    if len(files) < 2 or len(found) < len(files):
        return False
    names = {(match[1], len(match[2])) for match in found}
    first = int(found[0][2])
    return len(names) == 1 and [int(match[2]) for match in found] == list(range(first, first + len(files)))


def _read_webdataset(archives: Archives, first: Opened, table: TableOptions, classes: Sequence[str] | None) -> Source:
    splits = splits_of(archives.name, [archives.inside(path) for path in archives.files])
    notes: list[str] = []

    def opened() -> Iterator[Shard]:
        for path, split in zip(archives.files, splits, strict=True):
            one = first if path == archives.files[0] else open_archive(archives, path)
            notes.extend(one.notes)
            yield Shard(str(path), split, one.members)

    source = read_shards(archives.name, opened(), first.members.images, table, classes)
    return replace(source, notes=(*notes, *source.notes), files=tuple(map(str, archives.files)))


def _read_folders(archives: Archives, first: Opened, options: SourceOptions) -> Source:
    opened = open_all(archives, first)
    top = opened.members
    pattern = None if options.label_pattern is None else compile_pattern(options.label_pattern)
    source = read_folder(top, options.labels, options.classes, pattern)
    # Splits may lie in a single folder, from which the paths then go.
    inside = next(folder for folder in (top, *top.folders.values()) if str(folder) == source.root)
    samples, _ = with_places(source.samples, inside)
    return replace(source, samples=samples, pixels=top.images, notes=(*opened.notes, *source.notes), files=opened.files)
