"""Images in .tar and .zip files: folders of classes, a .tar for each class, or the shards of WebDataset."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.archives.images import INSIDE, ArchivedImages
from dali_rec.sources.archives.reader import TAR, ZIP, read_archive, refuse_compressed
from dali_rec.sources.archives.webdataset import Shard, has_samples, read_shards, splits_of
from dali_rec.sources.file_finder import find_files
from dali_rec.sources.folders.folder import read_folder
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.sample import SPLIT_NAMES, Sample, SampleTable, Source
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.walk import folder_names, is_folder, is_image, shown, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dali_rec.sources.folders.folder_labels import FolderLabels

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_NUMBERED = re.compile(r"(.*?)(\d{3,})")  # 0.tar to 9.tar are classes rather
_WORDS = re.compile("[a-z]+")
_MOST_NAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Archives:
    """Archives that are one source.

    name: what messages call them. files: the archives. folder: from which the paths of these go. is_pattern: whether
    they were named by a pattern, as WebDataset has it. beside: other files in the folder that was named.
    """

    name: str
    files: tuple[Path, ...]
    folder: Path
    is_pattern: bool = False
    beside: tuple[str, ...] = ()

    def inside(self, file: Path) -> str:
        """The path of one from ``folder`` on."""
        return Path(os.path.relpath(file, self.folder)).as_posix()


def find_archives(path: Path) -> Archives | None:
    """The archives that a path names: one, a pattern with braces, or a folder of archives; None where it names none.

    A folder of archives has no images and no other folders in it, or nothing but folders of archives called train, val
    or test. Raises SourceError for an archive that is compressed as a whole, and for a pattern of files that are not
    there.
    """
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        refuse_compressed(str(path))
        return Archives(str(path), (path,), path.parent) if _is_archive(path.name) else None
    if not _BRACES.search(str(path)):
        return None
    files = [Path(name) for name in itertools.islice(_expand(str(path)), _MOST_NAMES)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SourceError(f"{path}: {len(missing):,} of {len(files):,} files are not there: {shown(missing)}")
    other = next((file for file in files if not _is_archive(file.name)), None)
    if other is not None:
        refuse_compressed(str(other))
        raise SourceError(f"{path}: a pattern names .tar or .zip files, and {other} is none")
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return Archives(str(path), tuple(files), folder, is_pattern=True)


def _in_folder(folder: Path) -> Archives | None:
    """The archives in a folder, or in the folders of splits that are all that it has; none where there are images."""
    files, folders, others = _look_into(folder)
    if not files and all(name.lower() in SPLIT_NAMES for name in folders):
        files = [f"{name}/{file}" for name in folders for file in _look_into(folder / name)[0]]
    return Archives(str(folder), tuple(folder / name for name in files), folder, beside=others) if files else None


def _look_into(folder: Path) -> tuple[list[str], list[str], tuple[str, ...]]:
    """The archives in a folder, if there are no images or folders beside them, its folders, and other files; sorted."""
    archives, folders, others = list[str](), list[str](), list[str]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if is_image(entry.name):
                    return [], [], ()
                if is_folder(entry):
                    folders.append(entry.name)
                elif _is_archive(entry.name):
                    archives.append(entry.name)
                else:
                    others.append(entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None
    return [] if folders else sorted(archives, key=_natural), sorted(folders), tuple(sorted(others))


def _is_archive(name: str) -> bool:
    return name.lower().endswith((TAR, ZIP))


def _natural(name: str) -> list[tuple[str, int]]:
    """A key by which shard-2 goes before shard-10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def _expand(pattern: str) -> Iterator[str]:
    """The names that a pattern with braces stands for: of {000..146} and {train,val}, as shells have them."""
    found = _BRACES.search(pattern)
    if found is None:
        yield pattern
        return
    bounds = _RANGE.fullmatch(found[1])
    choices: Iterator[str] | list[str] = found[1].split(",")
    if bounds is not None:
        width = max(map(len, bounds.groups())) if any(len(one) > 1 and one[0] == "0" for one in bounds.groups()) else 0
        first, last = map(int, bounds.groups())
        step = 1 if first <= last else -1
        choices = (f"{number:0{width}}" for number in range(first, last + step, step))
    for choice in choices:
        yield from _expand(pattern[: found.start()] + choice + pattern[found.end() :])


def are_shards(archives: Archives, first: ArchiveFolder, table: TableOptions, *, folders_are_labels: bool) -> bool:
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


def _open_all(archives: Archives, first: Opened) -> Opened:
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


def find_root(root: Path) -> Opened | None:
    """What is in the archives in which the paths of a list, table or annotations begin; None where it is none."""
    archives = find_archives(root)
    return None if archives is None else _open_all(archives, open_archive(archives, archives.files[0]))


def below_root(path: Path, source: Source, root: Opened) -> Source:
    """The source of a list, table or annotations whose paths begin in archives, with the places of those in them.

    Raises SourceError where none is.
    """
    samples, is_any = _placed(source.samples, root.members)
    notes: tuple[str, ...] = ()
    if not is_any:  # of a list, whose paths have not been looked for otherwise
        try:
            files = find_files(path, [sample.location for sample in source.samples], root.members)
        except ValueError as error:
            raise SourceError(f"{path}: {error} in {root.members}; name the one that is meant") from None
        if files is None:
            first = source.samples[0].location[:80]
            raise SourceError(
                f"{root.members}: none of the paths is in it, {first!r} for one: name the archive that has them"
            )
        pairs = zip(source.samples, files.locations, strict=True)
        samples, _ = _placed((replace(sample, location=location) for sample, location in pairs), root.members)
        notes = files.notes
    return replace(
        source,
        samples=samples,
        pixels=root.members.images,
        notes=(*root.notes, *source.notes, *notes),
        files=root.files,
    )


def _placed(samples: Iterable[Sample], archive: ArchiveFolder) -> tuple[SampleTable, bool]:
    """The samples with the places in the archive of those that it has, and whether there are any."""
    placed, is_any = SampleTable(), False
    for sample in samples:
        location = archive.location(sample.location)
        is_any |= location is not None
        placed.append(sample if location is None else replace(sample, location=location))
    return placed, is_any


def read_webdataset(
    archives: Archives, first: Opened, table: TableOptions, classes: Sequence[str] | None = None
) -> Source:
    """The images of shards of WebDataset in their order: see ``read_shards``. first: what is in the first of them."""
    splits = splits_of(archives.name, [archives.inside(path) for path in archives.files])
    notes: list[str] = []

    def opened() -> Iterator[Shard]:
        for path, split in zip(archives.files, splits, strict=True):
            one = first if path == archives.files[0] else open_archive(archives, path)
            notes.extend(one.notes)
            yield Shard(str(path), split, one.members)

    source = read_shards(archives.name, opened(), first.members.images, table, classes)
    return replace(source, notes=(*notes, *source.notes), files=tuple(map(str, archives.files)))


def read_folders(
    archives: Archives,
    first: Opened,
    labels: FolderLabels = "levels",
    classes: Sequence[str] | None = None,
    pattern: re.Pattern[str] | None = None,
) -> Source:
    """The images of archives with labels from the folders in them: see ``read_folder``. first: what is in the first.

    Of several archives each is a folder of its name without the extension, and so is a .tar in a .tar.
    """
    opened = _open_all(archives, first)
    top = opened.members
    source = read_folder(top, labels, classes, pattern)
    # Splits may lie in a single folder, from which the paths then go.
    inside = next(folder for folder in (top, *top.folders.values()) if str(folder) == source.root)
    samples, _ = _placed(source.samples, inside)
    return replace(source, samples=samples, pixels=top.images, notes=(*opened.notes, *source.notes), files=opened.files)
