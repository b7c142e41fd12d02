"""Folders of COCO: annotations/instances_train2017.json beside train2017/, or a JSON file in each of train/ and valid/.

Or one file for all images, as CVAT (annotations/instances_default.json and images/) and Roboflow write it.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec._disks import map_file
from dali_rec._numbers import distinct
from dali_rec.errors import SourceError
from dali_rec.sources.detection.coco import read_content
from dali_rec.sources.detection.coco_file import entries_of, is_coco, load_coco, names_of_categories
from dali_rec.sources.detection.image_root import MissingImagesError
from dali_rec.sources.detection.layouts import split_folders
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.remote import is_url
from dali_rec.sources.sample import SPLIT_NAMES, SampleTable, Source, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dali_rec.sources.detection.boxes import Empty, Flagged
    from dali_rec.sources.sample import Sample
    from dali_rec.sources.walk import Folder

#: What lies beside the boxes of all classes in COCO's annotations/, and in LVIS's.
_OTHERS = re.compile(r"(captions|person_keypoints|stuff|panoptic)_|(.*_)?image_info_")
_MOST = 100  # .json files in a folder; those of Labelme are as many as images
_WORDS = re.compile("[a-z]+")
_LISTS = (re.compile(rb'"images"\s*:\s*\[\s*\{'), re.compile(rb'"annotations"\s*:\s*\[\s*[]{]'))


class _Place(NamedTuple):
    """The files of annotations in one folder, those beside them that are left out, and the split that it is, if any."""

    split: str | None
    files: list[Path]
    left_out: list[Path]


def is_coco_folder(path: Path) -> bool:
    """Whether COCO annotations are in ``annotations/``, in the folder, or in folders called train, val or test.

    Only names are looked at, and the .json files with the two lists that all COCO annotations have.
    """
    return path.is_dir() and bool(_find_places(path))


def is_other(file: Path) -> bool:
    """Whether a file of COCO, by its name, is of something else than the boxes of all classes."""
    return _OTHERS.match(file.name) is not None


def unread_boxes(images: Path) -> list[str]:
    """Say it where a folder of images, such as ``train2017``, has a file of boxes in ``../annotations/``."""
    place = images.absolute()
    tops = [place.parent, *([place.parent.parent] if place.parent.name == "images" else [])]
    files = (top / "annotations" / name for top in tops for name in _json_names(top / "annotations"))
    named = (file for file in files if file.stem.removeprefix("instances_").lower() == place.name.lower())
    file = next(filter(_has_lists, named), None)
    if file is None:
        return []
    return [f"{images}: the boxes of its images are not read; to have them: dali-rec pack {file} OUT"]


def read_coco_folder(
    path: Path,
    root: Folder | None = None,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
) -> Source:
    """The images of each file of annotations in a folder as ``read_coco`` has them, parted in train, val and test.

    The split of a file is in its name, or is the folder that it lies in; one without is not parted. The image ids are
    kept where no two splits have the same. root: only where there is one file.

    Raises SourceError where several files are of one split, where their categories differ and ``classes`` does not
    number them, and what ``read_coco`` raises.
    """
    parts, notes = _find_parts(path)
    files = [file for _, file in parts]
    if root is not None and len(parts) > 1:
        raise SourceError(f"{path}: --root goes with one file of annotations; of {_joined(files)} pack each by itself")
    contents = [load_coco(file) for file in files]
    if classes is None:
        _refuse_other_categories(files, contents)
    sources = []
    try:
        for file, content in zip(files, contents, strict=True):
            sources.append(read_content(file, content, root, classes, flagged, empty))
    except MissingImagesError as error:
        others = files[: len(sources)] + files[len(sources) + 1 :]
        if not others:
            raise
        raise SourceError(f"{error}, with that file; or pack {_joined(others)} in place of the folder") from None
    if len({source.has_boxes for source in sources}) > 1:
        raise SourceError(f"{path}: of {_joined(files)} some have boxes, others classes of images; pack each by itself")
    return _put_together(path, parts, sources, notes)


def _refuse_other_categories(files: Sequence[Path], contents: Sequence[dict[str, Any]]) -> None:
    """Raise SourceError where the ids and names of the categories are not those of the first file."""
    first, expected = files[0], names_of_categories(files[0], entries_of(files[0], contents[0], "categories"))
    for file, content in zip(files[1:], contents[1:], strict=True):
        found = names_of_categories(file, entries_of(file, content, "categories"))
        for key in sorted({*expected, *found}):
            one, other = (f"{names[key]!r}" if key in names else "missing" for names in (expected, found))
            if one != other:
                raise SourceError(
                    f"{file}: the category {key} is {other}, and {one} in {first}; all splits have one table of "
                    "classes: correct one, pack each by itself, or number the names by --classes FILE"
                )


def _put_together(
    path: Path, parts: Sequence[tuple[str | None, Path]], sources: Sequence[Source], notes: list[str]
) -> Source:
    """One source of those of all files, each a split. notes: what is to be said first."""
    top = os.path.commonpath([source.root for source in sources]) or "."
    samples, splits = SampleTable(), []
    for (split, file), source in zip(parts, sources, strict=True):
        start = len(samples)
        for sample in _located(source, top):
            samples.append(sample)
        if split is not None and len(samples) > start:
            splits.append(Split(split, start, len(samples)))
        notes += [note if note.startswith(str(file)) else f"{file}: {note}" for note in source.notes]
    are_given = all(source.keys_are_given for source in sources)
    are_distinct = len(distinct(samples.keys)) == len(samples)
    if are_given and not are_distinct:
        notes.append(f"{path}: images of several splits have one id, so all are numbered anew")
    return Source(
        samples,
        top,
        sources[0].classes,
        keys_are_given=are_given and are_distinct,
        notes=tuple(notes),
        splits=tuple(splits),
        has_boxes=sources[0].has_boxes,
    )


def _find_places(folder: Path) -> list[_Place]:
    place = _look(folder, None)
    if place is not None:
        return [place]
    try:
        places = [_look(folder / name, split) for split, name in split_folders(folder)]
    except SourceError:
        return []
    return [place for place in places if place is not None]


def _look(folder: Path, split: str | None) -> _Place | None:
    for place in (folder / "annotations", folder):
        found = [place / name for name in _json_names(place)]
        left_out = [file for file in found if is_other(file)]
        files = [file for file in found if file not in left_out and _has_lists(file)]
        if files:
            return _Place(split, files, left_out)
    return None


def _json_names(folder: Path) -> list[str]:
    """The .json files in a folder, sorted; none where there is no folder, and none of too many."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(".json") and not is_hidden(entry.name):
                names.append(entry.name)
                if len(names) > _MOST:
                    return []
    return sorted(names)


def _has_lists(path: Path) -> bool:
    """Whether a file begins as COCO does and has its lists, which other files with an "info" have not."""
    try:
        if not is_coco(path):
            return False
        with path.open("rb") as file, map_file(file, path) as content:
            return all(name.search(content) for name in _LISTS)
    except OSError:
        return False


def _find_parts(path: Path) -> tuple[list[tuple[str | None, Path]], list[str]]:
    """By split, or None: the file of annotations; and what is to be said. Raises SourceError."""
    places = _find_places(path)
    if not places:
        raise SourceError(
            f"{path}: no COCO annotations in it: expected annotations/instances_train2017.json, or a .json beside the "
            "images or in train/, val/ and test/; give the file if it is elsewhere"
        )
    by_split: dict[str | None, list[Path]] = {}
    for place in places:
        for file in place.files:
            by_split.setdefault(place.split or _split_of(file), []).append(file)
    left_out = [file for place in places for file in place.left_out]
    if len(by_split) > 1:  # a file without a split beside those of splits, such as one of all images
        left_out += by_split.pop(None, [])
    for split, files in by_split.items():
        if len(files) > 1:
            what = "may be the annotations" if split is None else f"mean the split {split!r}"
            raise SourceError(f"{path}: {_joined(files)} {what}; give the file to pack in place of the folder")
    notes = [f"{path}: {_joined(left_out)} left out"] if left_out else []
    notes += _without_file(path, by_split)
    order = (None, "train", "val", "test")
    return [(split, by_split[split][0]) for split in order if split in by_split], notes


def _without_file(path: Path, by_split: dict[str | None, list[Path]]) -> list[str]:
    """Say which folders of splits are left out, as there is no file of annotations for them."""
    names: list[str] = []
    for folder in (path, path / "images") if None not in by_split else ():
        with contextlib.suppress(SourceError):
            names += [str(folder / name) for split, name in split_folders(folder) if split not in by_split]
    return [f"{', '.join(names)} left out, without annotations"] if names else []


def _split_of(file: Path) -> str | None:
    """The split that a file is by a word in its name, such as instances_train2017.json."""
    splits = {SPLIT_NAMES[word] for word in _WORDS.findall(file.stem.lower()) if word in SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else None


def _located(source: Source, top: str) -> Iterator[Sample]:
    """The samples, with locations that begin at ``top``."""
    inside = os.path.relpath(source.root, top).replace(os.sep, "/")
    for sample in source.samples:
        stays = inside == "." or is_url(sample.location) or os.path.isabs(sample.location)  # noqa: PTH117
        yield sample if stays else replace(sample, location=f"{inside}/{sample.location}")


def _joined(files: Sequence[Path]) -> str:
    *names, last = map(str, files)
    return f"{', '.join(names)} and {last}" if names else last
