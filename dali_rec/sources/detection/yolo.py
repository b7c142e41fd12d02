"""YOLO annotations: images/A.jpg and labels/A.txt with a line for each object: class, centre x, y, width, height.

Or A.txt beside A.jpg. All but the class in parts of the image's width and height, as Darknet and Ultralytics write it.
Ultralytics' outlines (class and three or more points) become the boxes around them; of its keypoints the box before
them is read.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, NamedTuple

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS, StoredSize, stored_size
from dali_rec.sources.detection.boxes import Box, BoxSamples, Empty, parse_number
from dali_rec.sources.detection.layouts import entries_of, files_beside, split_folders
from dali_rec.sources.detection.sizes import read_sized
from dali_rec.sources.detection.yolo_names import has_keypoints, read_names
from dali_rec.sources.detection.yolo_yaml import find_yaml, labels_of, listed_images, read_yaml
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.sample import SPLIT_NAMES, Source, Split
from dali_rec.sources.walk import files_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FARTHEST = 1.5  # how far the points of an outline may lie outside, in widths or heights


def is_yolo(path: Path) -> bool:
    """Whether a folder has images/ and labels/ with .txt files, itself or in folders called train, val or test.

    Or images with .txt files of boxes beside them; or whether it is a .yaml, or has one, that says where images are.
    """
    try:
        for _, images, labels in _parts(path):
            if images == labels:
                return _are_boxes(images)
            if any(name.endswith(".txt") for name in files_below(labels)):
                return True
    except (SourceError, OSError):
        pass
    try:
        yaml = find_yaml(path)
    except (SourceError, OSError):
        return path.is_file()  # reading it says what is wrong; in a folder it may have nothing to do with the images
    try:  # a folder of classes may have a data.yaml too
        return yaml is not None and (path.is_file() or any(map(_has_labels, _find_parts(path)[1])))
    except (SourceError, OSError):
        return True  # and reading it says why it cannot be


def unread_labels(images: Path) -> list[str]:
    """Say it where a folder of images, such as ``images/train``, is a part of a YOLO folder, which has its labels."""
    place = images.absolute()
    labels = labels_of(place)
    if labels == place or not labels.is_dir():
        return []
    top = next(folder for folder in (place, *place.parents) if folder.name == "images").parent
    tops = (top.parent, top) if top.name.lower() in SPLIT_NAMES else (top,)
    return [
        f"{images}: the boxes of its images are in {labels} and not read: to have them, pack {folder}"
        for folder in tops
        if is_yolo(folder)
    ][:1]


def _are_boxes(folder: Path) -> bool:
    """Whether the first .txt with a line in it, of those beside images, has boxes, and no caption or class."""
    texts = files_beside(folder, ".txt")
    try:
        return any(_read_label(folder / text, None, has_keypoints=True) for text in texts)
    except SourceError:
        return False


def _left_out(path: Path, parts: list[tuple[str | None, Path, Path]]) -> list[str]:
    """Say which folders of splits are left out, as they have no labels."""
    inside = split_folders(path) if path.is_dir() and parts[0][0] is not None else []
    used = {part for _, images, _ in parts for part in (images, *images.parents)}
    names = [name for _, name in inside if path / name not in used]
    return [f"{path}: {', '.join(names)} left out, without labels/ or a .txt beside an image"] if names else []


def _has_labels(part: tuple[str | None, Path, Path]) -> bool:
    """Whether an image of a part may have a label file."""
    _, images, labels = part
    return images.is_file() or any(name.endswith(".txt") for name in files_below(labels))


def read_yolo(path: Path, classes: Sequence[str] | None = None, empty: Empty = "keep") -> Source:
    """The images of a YOLO folder with their boxes.

    path: a folder of ``images/`` and ``labels/``, in which there may be folders called train, val and test, or a folder
    of ``train/images/``, ``train/labels/`` and so on; then it is parted into these. Or a folder of images with their
    .txt beside them, as Darknet has it, or ``train/``, ``val/`` and ``test/`` of such. Or a .yaml that says where
    train, val and test are (see ``read_yaml``), or a folder with one. The class names are those of data.yaml
    (``names:``) or classes.txt, unless ``classes`` gives them. An image without a .txt has no objects.
    empty: see ``BoxSamples``.

    Raises SourceError, with file and line, for what is not five numbers or an outline, for classes without a name, and
    where no .txt belongs to an image.
    """
    top, parts, notes = _find_parts(path)
    names = tuple(classes) if classes is not None else read_names(path)
    reader = _Reader(top, names, empty, has_keypoints=has_keypoints(path))
    splits: list[Split] = []
    for split, part in itertools.groupby(parts, key=lambda part: part[0]):
        start = len(reader.gathered.samples)
        for _, images, labels in part:
            reader.read(images, labels)
        if split is not None and len(reader.gathered.samples) > start:
            splits.append(Split(split, start, len(reader.gathered.samples)))
    if not reader.images:
        raise SourceError(f"{path}: no images in {parts[0][1] if parts else top}")
    reader.refuse_strange_texts()
    return Source(
        reader.gathered.samples,
        str(top),
        names,
        shuffled_by_default=True,
        notes=(*notes, *_left_out(path, parts), *reader.notes),
        splits=tuple(splits),
        has_boxes=True,
    )


class _Entry(NamedTuple):
    """An image and its label file, if it has one, or if, where ``may_be_missing``, it is there."""

    image: Path
    text: Path | None
    may_be_missing: bool = False


class _Reader:
    """Gathers the images of folders with the boxes of their label files."""

    def __init__(self, top: Path, names: Sequence[str] | None, empty: Empty, *, has_keypoints: bool) -> None:
        self.gathered = BoxSamples(None, empty)
        self.images = 0
        self._top = top
        self._names = names
        self._has_keypoints = has_keypoints
        self._unlabelled: list[str] = []
        self._unmatched: list[str] = []

    def read(self, images: Path, labels: Path) -> None:
        """Add the images of one folder, by their names, or those of a list, in its order."""
        entries = _listed(images) if images.is_file() else self._found(images, labels)
        with read_sized(self._read_one, entries, self._top) as found:
            for location, boxes, stored in found:
                self.images += 1
                if boxes is None:
                    self._unlabelled.append(location)
                self.gathered.add_relative(len(self.gathered.samples), location, boxes or [], stored)

    def _found(self, images: Path, labels: Path) -> Iterator[_Entry]:
        texts = {name for name in files_below(labels) if name.endswith(".txt")}
        for name in files_below(images):
            stem, extension = os.path.splitext(name)  # noqa: PTH122  # much faster than a Path
            if extension.lower() in LOADABLE_EXTENSIONS:
                label = f"{stem}.txt"
                yield _Entry(images / name, labels / label if label in texts else None)
                texts.discard(label)
        self._unmatched += [str(labels / label) for label in sorted(texts) if label != "classes.txt"]

    def _read_one(self, entry: _Entry) -> tuple[str, list[Box] | None, StoredSize | None]:
        """Where an image is, its boxes, None where there is no label file, and its size. Called by several threads."""
        image, text, may_be_missing = entry
        location = (image.relative_to(self._top) if image.is_relative_to(self._top) else image.absolute()).as_posix()
        boxes = None
        if text is not None and (not may_be_missing or text.is_file()):
            boxes = _read_label(text, self._names, has_keypoints=self._has_keypoints)
        return location, boxes, stored_size(image)

    def refuse_strange_texts(self) -> None:
        """Raise SourceError where no text belongs to an image: they are lists of images, or have other names."""
        if len(self._unlabelled) < self.images:
            return
        found = (
            f"{self._unmatched[0]} has no image, nor has any other .txt in labels/"
            if self._unmatched
            else (f"{self._top}: no image has a .txt in labels/, the first being {self._unlabelled[0]}")
        )
        raise SourceError(
            f"{found}: YOLO has A.txt for A.jpg. If the classes are the folders in images/, pack that folder"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should hear."""
        notes = list(self.gathered.notes)
        if self._unlabelled:
            have = counted(len(self._unlabelled), "has", "have")
            notes.append(f"of the images without objects {have} no .txt; the first: {self._unlabelled[0]}")
        if self._unmatched:
            files = counted(len(self._unmatched), "label file")
            notes.append(f"{files} without an image; the first: {self._unmatched[0]}")
        if self._names is None:
            notes.append(f"{self._top}: no data.yaml or classes.txt in it: the classes have numbers and no names")
        return tuple(notes)


def _listed(path: Path) -> Iterator[_Entry]:
    return (_Entry(image, text, may_be_missing=True) for image, text in listed_images(path))


def _find_parts(path: Path) -> tuple[Path, list[tuple[str | None, Path, Path]], tuple[str, ...]]:
    """The folder of the data set, by split the images (a folder or a list) and the labels, and what is to be said."""
    yaml = find_yaml(path)
    try:
        parts = [] if path.is_file() and yaml is not None else _parts(path)
    except SourceError:
        if yaml is None:
            raise
        parts = []
    if yaml is None or any(split is not None for split, _, _ in parts):
        return path, parts, _of_one_set(parts)
    try:
        top, places, notes = read_yaml(yaml)
    except SourceError as error:
        if not parts:
            raise
        return path, parts, (*_of_one_set(parts), f"{error}; all in {parts[0][1]} become one data set")
    if parts and len({place for _, place in places}) == 1:  # the same for train and val
        return path, parts, _of_one_set(parts)
    if parts:
        notes = (*notes, f"{path}: which images are packed, and their splits, are those of {yaml.name}")
    return top, [(split, place, labels_of(place)) for split, place in places], notes


def _parts(path: Path) -> list[tuple[str | None, Path, Path]]:
    """By split, or None: the folder of images and that of labels."""
    if not path.is_dir():
        raise SourceError(f"{path}: not a folder; a YOLO data set is a folder with images/ and labels/ in it")
    images, labels = path / "images", path / "labels"
    if images.is_dir() and labels.is_dir():
        inside = split_folders(images)
        if inside and not _beside(images, inside):
            return [(split, images / name, labels / name) for split, name in inside]
        return [(None, images, labels)]
    parts: list[tuple[str | None, Path, Path]] = [
        (split, path / name / "images", path / name / "labels")
        for split, name in split_folders(path)
        if (path / name / "images").is_dir() and (path / name / "labels").is_dir()
    ]
    if not parts:
        parts = [(split, path / name, path / name) for split, name in split_folders(path)]
        parts = [part for part in parts if files_beside(part[1], ".txt")]
    if not parts and files_beside(path, ".txt"):
        parts = [(None, path, path)]
    if not parts:
        raise SourceError(
            f"{path}: expected images/ and labels/ in it, or train/images/, train/labels/ and so on, or a .txt beside "
            "each image"
        )
    return parts


def _of_one_set(parts: list[tuple[str | None, Path, Path]]) -> tuple[str, ...]:
    """Say it where folders look like splits and are none, as something else lies beside them."""
    split, images, _ = parts[0]
    inside = split_folders(images) if split is None else []
    if not inside:
        return ()
    other = _beside(images, inside)[0]
    note = f"{images}: all become one data set, as {other} is no split like {inside[0][1]}; move it away for splits"
    return (note,)


def _beside(images: Path, splits: list[tuple[str, str]]) -> list[str]:
    """What lies in a folder of images beside the folders that are splits by their names."""
    names = {name for _, name in splits}
    return sorted(entry.name for entry in entries_of(images) if not is_hidden(entry.name) and entry.name not in names)


def _read_label(path: Path, names: Sequence[str] | None, *, has_keypoints: bool) -> list[Box]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from None
    return [
        _box(line.split(), f"{path}, line {number}", names, has_keypoints=has_keypoints)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _box(fields: list[str], where: str, names: Sequence[str] | None, *, has_keypoints: bool) -> Box:
    is_outline = len(fields) >= 7 and len(fields) % 2 == 1
    if has_keypoints and len(fields) > 5:
        fields, is_outline = fields[:5], False
    if len(fields) != 5 and not is_outline:
        raise SourceError(
            f"{where}: {len(fields)} fields; expected class, x, y, width and height, or a class and an outline"
        )
    label = parse_number(fields[0], "the class", where)
    if label < 0 or not label.is_integer():
        raise SourceError(f"{where}: the class is {fields[0]}, expected a whole number from 0 up")
    if names is not None and label >= len(names):
        raise SourceError(f"{where}: the class is {label:.0f}, and there are names for 0 to {len(names) - 1} only")
    numbers = [parse_number(field, "a coordinate", where) for field in fields[1:]]
    if is_outline:
        if max(map(abs, numbers)) > _FARTHEST:
            raise SourceError(
                f"{where}: {max(numbers, key=abs):g} is no part of the width or height, as outlines have; if these are "
                "keypoints, say so by kpt_shape in data.yaml"
            )
        xs, ys = numbers[::2], numbers[1::2]
        return Box(int(label), min(xs), min(ys), max(xs), max(ys), flagged=False, where=where)
    x, y, width, height = numbers
    if max(map(abs, numbers)) > 10:
        raise SourceError(f"{where}: {' '.join(fields[1:])} look like pixels; YOLO has parts of the width and height")
    return Box(int(label), x - width / 2, y - height / 2, x + width / 2, y + height / 2, flagged=False, where=where)
