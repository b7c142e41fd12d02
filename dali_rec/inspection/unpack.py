"""``unpack``: a data set back to image files and a list that packs to the same records again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._files import (
    as_path,
    atomic_write,
    folded,
    naming_writes,
    own_partial_path,
    require_local_output,
    windows_forbids,
)
from dali_rec._open_files import patiently
from dali_rec._shard_names import dataset_name
from dali_rec.dataset import Dataset, listed_ids
from dali_rec.errors import ImageRejectedError, OutputExistsError
from dali_rec.images import inspect_image
from dali_rec.opening import open_dataset
from dali_rec.sources import Sample, SampleTable, format_list
from dali_rec.sources.listed import original_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dali_rec.recordio import Record

_EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "JPEG2000": (".jp2", ".j2k"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
}
_IMAGE_EXTENSIONS = frozenset(extension for extensions in _EXTENSIONS.values() for extension in extensions)
_LONGEST_NAME = 200  # bytes; most file systems take 255


@dataclass(frozen=True, slots=True)
class UnpackReport:
    """What came of unpacking: files written, records without an image, which were left out, and the list."""

    images: int
    without_image: int
    list_path: Path


def unpack(
    dataset: str | os.PathLike[str] | Dataset,
    directory: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    ids: Sequence[int] | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> UnpackReport:
    """Write the images of a data set to ``directory``, as they are stored, and NAME.lst, which packs to them again.

    Files have the names in the data set's own .lst where it has one and they stay inside ``directory``; otherwise they
    are called by their ids, in a folder for each class where records have one class each. Their extension is that of
    what is stored.

    classes, ids: only those; see ``Dataset.subset``. force: write into a folder that is not empty, over files of the
    same names. progress: called with (records done, records in all).

    Raises OutputExistsError, DatasetError for a URL, and what ``dali_rec.open`` raises. The list is written last: where
    it is, all is there.
    """
    target = require_local_output(as_path(directory))
    if target.exists() and not target.is_dir():
        raise OutputExistsError(f"{target} is a file; name a folder")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise OutputExistsError(f"{target} is not empty; choose another folder, or --force to write over what is there")
    whole = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    chosen = whole if classes is None and ids is None else whole.subset(classes=classes, ids=ids)
    names = _Names(target, whole)
    samples, without_image = SampleTable(), 0
    paths = original_paths(chosen, listed_ids(chosen))
    for number, (record, path) in enumerate(zip(chosen, paths, strict=True), start=1):
        if len(record.image):
            name = names.of(record, path)
            _write(target / name, record.image)
            samples.append(Sample(record.key, tuple(record.labels.tolist()), name))
        else:
            without_image += 1
        if progress is not None:
            progress(number, len(chosen))
    target.mkdir(parents=True, exist_ok=True)
    list_path = target / f"{_name(whole)}.lst"
    with atomic_write(list_path) as file:
        file.writelines(format_list(samples))
    return UnpackReport(len(samples), without_image, list_path)


def _name(dataset: Dataset) -> str:
    """The name of a data set, without the number of a shard where it is the whole of several."""
    if not dataset.shards:
        return "images"
    stem = dataset.shards[0].path.stem
    return stem if dataset.manifest is None else dataset_name(stem)


class _Names:
    """Names for files, relative to the folder that they must stay in; no two are the same on any file system."""

    def __init__(self, target: Path, dataset: Dataset) -> None:
        self._root = target.resolve()
        self._dataset = dataset
        self._taken: set[str] = set()
        self._folders: set[Path] = set()

    def of(self, record: Record, given: str) -> str:
        """A name for a record whose image had the path ``given``; empty where that is not known."""
        kind = _kind(record)
        name = _with_extension(given, kind) if given else ""
        if not _is_safe(name):
            name = self._by_id(record, kind)
        if folded(name) in self._taken:
            stem, dot, extension = name.rpartition(".")
            name = f"{stem}-{record.key}{dot}{extension}"
            while folded(name) in self._taken:
                name = f"{stem}-{record.key}-{len(self._taken)}{dot}{extension}"
        self._taken.add(folded(name))
        self._make_folder(name)
        return name

    def _by_id(self, record: Record, kind: str) -> str:
        name = f"{record.key:08d}{_EXTENSIONS.get(kind, ('.bin',))[0]}"
        whole = self._dataset
        if len(record.labels) != 1 or (whole.manifest is not None and not whole.has_class_labels):
            return name
        label, classes = float(record.labels[0]), whole.classes
        folder = f"{label:g}"
        if classes is not None and label.is_integer() and 0 <= label < len(classes):
            folder = classes[int(label)] if _is_safe(classes[int(label)]) else folder
        return f"{folder}/{name}"

    def _make_folder(self, name: str) -> None:
        folder = (self._root / name).parent
        if folder in self._folders:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.resolve().is_relative_to(self._root):
            raise OutputExistsError(f"{folder} is a link that leads out of {self._root}; remove it")
        self._folders.add(folder)


def _kind(record: Record) -> str:
    try:
        return inspect_image(record.image).format
    except ImageRejectedError:
        return "unknown"


def _with_extension(name: str, kind: str) -> str:
    """The name with an extension that says what is stored: a GIF may have become a PNG."""
    extensions = _EXTENSIONS.get(kind, ())
    stem, extension = os.path.splitext(name)  # noqa: PTH122  # of text that may be no path
    if not extensions or extension.lower() in extensions:
        return name
    return (stem if extension.lower() in _IMAGE_EXTENSIONS else name) + extensions[0]


def _is_safe(name: str) -> bool:
    """Whether a name from elsewhere is a relative path that stays where it is put, on any file system."""
    return all(
        part and not part.startswith(" ") and not windows_forbids(part) and len(os.fsencode(part)) <= _LONGEST_NAME
        for part in name.split("/")
    )


def _write(path: Path, data: memoryview) -> None:
    temporary = own_partial_path(path)
    try:
        with naming_writes(path):
            temporary.write_bytes(data)
            patiently(lambda: temporary.replace(path))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
