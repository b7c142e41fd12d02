"""Folders in which each image has a file of annotations of its name, beside it or in a folder of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.ahead import read_ahead
from dali_rec.sources.detection.annotated import Annotated, Annotations
from dali_rec.sources.detection.layouts import entries_of, files_beside, image_of, split_folders
from dali_rec.sources.hidden_names import is_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dali_rec.sources.detection.annotated import Object

#: The size that a file of annotations gives, if any, and the objects in it.
Parsed = tuple["tuple[float, float] | None", "list[Object]"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """The folders of annotations and of images, relative to the data set, and the split that they are, if any."""

    texts: str
    images: str
    split: str | None

    def stems(self, top: Path, suffix: str) -> list[str]:
        """The names of the annotations without their extension, sorted."""
        if self.texts == self.images:
            return [name.removesuffix(suffix) for name in files_beside(top / self.texts, suffix)]
        names = (entry.name for entry in entries_of(top / self.texts) if not is_hidden(entry.name))
        return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix))


def find_text_parts(
    top: Path, folders: Sequence[tuple[str, str]], suffix: str, begins: Callable[[Path], bool]
) -> list[TextPart]:
    """The parts of a folder: itself, or those in folders called train, val and test; none where there are none.

    folders: of annotations and of images, of which the first are taken that are there; both "" is beside each other.
    begins: whether a file is of the format; that of the first annotation that is not empty tells.
    """
    if not top.is_dir():
        return []
    try:
        places = [("", None), *((f"{name}/", split) for split, name in split_folders(top))]
        found = [_find(top, inside, split, folders, suffix, begins) for inside, split in places]
    except (SourceError, OSError):
        return []
    if found[0] is not None:
        return [found[0]]
    return [part for part in found if part is not None]


def _find(
    top: Path,
    inside: str,
    split: str | None,
    folders: Sequence[tuple[str, str]],
    suffix: str,
    begins: Callable[[Path], bool],
) -> TextPart | None:
    for texts, images in folders:
        part = TextPart((inside + texts).rstrip("/"), (inside + images).rstrip("/"), split)
        if (top / part.texts).is_dir() and (top / part.images).is_dir():
            files = (top / part.texts / f"{stem}{suffix}" for stem in part.stems(top, suffix))
            first = next((file for file in files if file.stat().st_size), None)
            if first is not None and begins(first):
                return part
    return None


def read_text_parts(top: Path, parts: Sequence[TextPart], suffix: str, parse: Callable[[Path], Parsed]) -> Annotations:
    """The images of all annotations. Images without one are left out, and that is said. parse: of each file."""
    found, bare = [], []
    for part in parts:
        stems = part.stems(top, suffix)
        files = {entry.name for entry in entries_of(top / part.images) if not is_hidden(entry.name)}
        texts = [top / part.texts / f"{stem}{suffix}" for stem in stems]
        locations = [f"{part.images}/{image_of(stem, files)}".removeprefix("/") for stem in stems]
        with read_ahead(parse, texts, f"{top / part.texts}: {suffix} files read") as read:
            images = [
                Annotated(location, *parsed, str(text))
                for location, text, parsed in zip(locations, texts, read, strict=True)
            ]
        found.append((part.split, images))
        bare += _without(part, files, set(stems))
    notes = [f"{counted(len(bare), 'image')} left out, without annotation; the first: {bare[0]}"] if bare else []
    return Annotations(top, found, notes=[*_left_out(top, parts), *notes], is_folder=True)


def _without(part: TextPart, files: set[str], stems: set[str]) -> list[str]:
    parts = ((name, *name.rpartition(".")[::2]) for name in sorted(files))
    images = ((name, stem) for name, stem, end in parts if f".{end.lower()}" in LOADABLE_EXTENSIONS)
    return [f"{part.images}/{name}".removeprefix("/") for name, stem in images if stem not in stems]


def _left_out(top: Path, parts: Sequence[TextPart]) -> list[str]:
    """Say which folders of splits have no annotations."""
    used = {part.split for part in parts}
    names = [name for split, name in (split_folders(top) if None not in used else ()) if split not in used]
    return [f"{top}: {', '.join(names)} left out, without annotations"] if names else []
