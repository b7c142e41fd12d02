"""The archives of a data set: one, those of a folder, or those that a pattern names."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.archives.reader import TAR, ZIP, refuse_compressed
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.walk import is_folder, is_image, shown, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
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
    try:
        folder = Path(os.path.commonpath([file.parent for file in files]))
    except ValueError:
        raise SourceError(
            f"{path}: its files are on several drives, or only some begin with one; name all from one folder on"
        ) from None
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
