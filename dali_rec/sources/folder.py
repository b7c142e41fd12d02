"""Folders of images: FOLDER/class/…/image.jpg, or all images in one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.sample import Sample, SampleTable, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 5


def read_folder(folder: Path) -> Source:
    """The images under ``folder``, one class for each folder in it, sorted by name as torchvision's ImageFolder does.

    Where there are no folders in it, all images lie in one: they get label 0, and the notes say so. Each class folder
    is searched to any depth; symbolic links are followed, without loops. Hidden folders and files (a leading dot) are
    passed over. Files with other extensions than the loader's formats are counted in the notes.

    Raises SourceError if there are no images.
    """
    entries = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    classes = tuple(name for name in entries if (folder / name).is_dir())
    loose = [name for name in entries if name not in set(classes)]
    if not classes:
        return _read_flat_folder(folder, loose)
    notes = []
    if loose:
        notes.append(f"{len(loose)} files directly in {folder} were left out: {_some(loose)}")
    samples = SampleTable()
    others: list[str] = []
    empty: list[str] = []
    for label, name in enumerate(classes):
        before = len(samples)
        for path in _files(folder / name, set()):
            location = path.relative_to(folder)
            if _is_image(path.name):
                samples.append(Sample(len(samples), (float(label),), location.as_posix()))
            else:
                others.append(str(location))
        if len(samples) == before:
            empty.append(name)
    if not len(samples):
        raise _no_images(folder)
    notes += _about_others(others)
    if empty:
        notes.append(f"{len(empty)} classes have no images: {_some(empty)}")
    return Source(samples, str(folder), classes, shuffled_by_default=True, notes=tuple(notes))


def _read_flat_folder(folder: Path, names: list[str]) -> Source:
    images = [name for name in names if _is_image(name)]
    if not images:
        raise _no_images(folder)
    samples = SampleTable.of(Sample(key, (0.0,), name) for key, name in enumerate(images))
    note = f"{folder} has no class folders in it: its {len(images)} images all get label 0"
    others = [name for name in names if not _is_image(name)]
    return Source(samples, str(folder), shuffled_by_default=True, notes=(note, *_about_others(others)))


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in LOADABLE_EXTENSIONS


def _no_images(folder: Path) -> SourceError:
    return SourceError(
        f"{folder}: no images in it; expected {folder}/CLASS/IMAGE.jpg or {folder}/IMAGE.jpg, and the extensions "
        + " ".join(sorted(LOADABLE_EXTENSIONS))
    )


def _about_others(names: list[str]) -> list[str]:
    if not names:
        return []
    return [f"{len(names)} files that are not images by their extension were left out: {_some(names)}"]


def _files(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """The files under ``folder`` in sorted order; ``above`` identifies the folders on the way down."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return  # a symbolic link back up
    folders = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            folders.append(entry.name)
        else:
            yield folder / entry.name  # a broken link too: packing will say that it cannot be read
    for name in folders:
        yield from _files(folder / name, above | {identity})


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, …"
