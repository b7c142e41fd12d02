"""Pascal VOC annotations: a folder with Annotations/ID.xml, JPEGImages/ID.jpg and ImageSets/Main/train.txt, ….

(The VOC2012 development kit, devkit_doc.pdf, section 8.) Or of these .xml alone: see ``find_parts``.
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.images import LOADABLE_EXTENSIONS
from dali_rec.sources.ahead import read_ahead
from dali_rec.sources.detection.boxes import Box, BoxSamples, Empty, Flagged, class_numbers, parse_number
from dali_rec.sources.detection.layouts import image_of
from dali_rec.sources.detection.sizes import read_sizes
from dali_rec.sources.detection.voc_parts import VocPart, find_parts, left_out
from dali_rec.sources.detection.xml_file import load_xml
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.other_splits import say_other_splits
from dali_rec.sources.sample import SPLIT_NAMES, Source, Split
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

_MOST_BYTES = 64 << 20
_OF_ONE_CLASS = re.compile(r"\s(?:-1|0|1)\Z")  # as the lines of ImageSets/Main/dog_train.txt


def is_voc(path: Path) -> bool:
    """Whether a folder has VOC's parts, or a file is one of the image sets of such a folder."""
    folder = _folder_of(path)
    try:
        return folder is not None and any(part.has_annotations(folder) for part in find_parts(folder))
    except SourceError:
        return False


def read_voc(
    path: Path, classes: Sequence[str] | None = None, flagged: Flagged = "column", empty: Empty = "keep"
) -> Source:
    """The images of a VOC folder with their boxes.

    path: the folder, or one of its image sets, such as ``ImageSets/Main/trainval.txt``. A folder with the image sets
    train, val or test is parted into these; without them it is all that has an annotation, by the splits that folders
    are called. A test without annotations is left out. classes: the names in the order of their numbers; by default
    sorted. flagged, empty: see ``BoxSamples``; a difficult object is flagged.

    VOC counts pixels from 1 and its boxes hold their last pixel: (1, 1, width, height) is the whole image.

    Raises SourceError, with the file and the object, for XML that is broken or defines entities, names of images
    without annotations, and values that make no sense.
    """
    folder = _folder_of(path)
    places = [] if folder is None else find_parts(folder)
    if folder is None or not places:
        raise SourceError(f"{path}: not a VOC folder: expected Annotations/ and JPEGImages/ in it, or images with .xml")
    splits, notes = _image_sets(folder, path, places)
    parsed = [(part, _read_annotations(folder / part.annotations, keys)) for part, keys in splits]
    found = sorted({one.name for _, entries in parsed for _, _, objects in entries for one in objects})
    numbers = class_numbers(found, classes, folder)
    gathered = BoxSamples(flagged, empty)
    files = {part.images: part.files(folder) for part in places}
    parts = []
    for part, entries in parsed:
        start = len(gathered.samples)
        locations = [f"{part.images}/{image_of(key, files[part.images])}".removeprefix("/") for key, _, _ in entries]
        with read_sizes(folder, locations, folder) as sizes:
            for (key, size, objects), location, stored in zip(entries, locations, sizes, strict=True):
                boxes = [one.box(numbers[one.name]) for one in objects]
                where = str(folder / part.annotations / f"{key}.xml")
                gathered.add(len(gathered.samples), location, boxes, where, size, stored)
        if part.split is not None:
            parts.append(Split(part.split, start, len(gathered.samples)))
    return Source(
        gathered.samples,
        str(folder),
        tuple(found if classes is None else classes),
        shuffled_by_default=True,
        notes=(
            *notes,
            *_without_annotation(folder, places, files),
            *gathered.notes,
            *(say_other_splits(path) if classes is None and not parts else ()),
        ),
        splits=tuple(parts),
        has_boxes=True,
    )


def _folder_of(path: Path) -> Path | None:
    if path.is_dir():
        return path
    parents = path.absolute().parents
    if path.suffix == ".txt" and path.is_file() and len(parents) > 2 and parents[1].name == "ImageSets":
        return parents[2]
    return None


def _image_sets(
    folder: Path, path: Path, places: list[VocPart]
) -> tuple[list[tuple[VocPart, list[tuple[str, str]]]], list[str]]:
    """The names of the images of each part, and where they were named. And what the user should hear."""
    place = places[0]
    if path != folder and path.is_file():
        return [(place, _names(path))], []
    sets = folder / "ImageSets" / "Main"
    found = [(replace(place, split=split), _names(file)) for split, file in _split_files(sets)]
    if not found and (sets / "trainval.txt").is_file():
        found = [(place, _names(sets / "trainval.txt"))]
    if not found:
        return [(part, part.named(folder)) for part in places], left_out(folder, places)
    annotated = [name for name, _ in place.named(folder)]
    known, notes = set(annotated), []
    bare = [name for part, names in found if part.split == "test" for name, _ in names if name not in known]
    if bare:  # as the one of VOC2012
        found = [(part, names) for part, names in found if part.split != "test"]
        count = counted(len(bare), "image of it has", "images of it have")
        notes.append(f"{folder}: test left out, as {count} no annotation; the first: {bare[0]}")
    found = [(part, names) for part, names in found if names]
    inside = {name for _, names in found for name, _ in names}
    outside = [name for name in annotated if name not in inside]
    if outside:
        others = f"{counted(len(outside), 'annotated image')} left out, in none of the image sets"
        notes.append(f"{others}; the first: {outside[0]}")
    return found, notes


def _split_files(sets: Path) -> list[tuple[str, Path]]:
    """The image sets of splits, train first: train.txt, or Train.txt and Validation.txt, as CVAT calls them."""
    files = sorted(sets.glob("*.txt"))
    found = [(SPLIT_NAMES[file.stem.lower()], file) for file in files if file.stem.lower() in SPLIT_NAMES]
    for (split, file), (other, following) in itertools.combinations(found, 2):
        if split == other:
            raise SourceError(f"{sets}: {file.name} and {following.name} both mean the split {split!r}; rename one")
    return sorted(found, key=lambda item: ("train", "val", "test").index(item[0]))


def _without_annotation(folder: Path, places: list[VocPart], files: dict[str, set[str]]) -> tuple[str, ...]:
    """Say which images are left out as no XML is theirs."""
    bare = []
    for place in places:
        annotated = {name.removesuffix(".xml") for name in place.texts(folder)}
        seen = sorted(name for name in files[place.images] if not is_hidden(name))
        parts = ((name, *os.path.splitext(name)) for name in seen)  # noqa: PTH122  # faster
        bare += [name for name, stem, end in parts if end.lower() in LOADABLE_EXTENSIONS and stem not in annotated]
    return (f"{counted(len(bare), 'image')} left out, without annotation; the first: {bare[0]}",) if bare else ()


def _names(path: Path) -> list[tuple[str, str]]:
    names: dict[str, str] = {}
    for number, line in enumerate(text_lines(path), 1):
        name, where = with_slashes(line.strip()), f"{path}, line {number}"
        if not name:
            continue
        if _OF_ONE_CLASS.search(name):
            raise SourceError(f"{where}: {name!r} says whether one class is in an image; pack a set of names alone")
        if name in names:
            raise SourceError(f"{where}: the image {name!r} stands twice")
        if "\0" in name or not {"", "..", "."}.isdisjoint(name.split("/")):
            raise SourceError(f"{where}: {name!r} is not the name of an image without its extension")
        names[name] = where
    return list(names.items())


class _Object:
    """An <object>, checked."""

    def __init__(self, element: Element, where: str) -> None:
        self.name = (element.findtext("name") or "").strip()
        if not self.name:
            raise SourceError(f"{where}: it has no <name>")
        box = element.find("bndbox")
        if box is None:
            raise SourceError(f"{where} ({self.name}): it has no <bndbox>")
        named = f"{where} ({self.name})"
        xmin, ymin, xmax, ymax = (
            parse_number(box.findtext(side), f"<{side}>", named) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        difficult = (element.findtext("difficult") or "0").strip().lower()
        if difficult not in ("0", "1", "unspecified"):
            raise SourceError(f"{named}: <difficult> is {difficult[:40]!r}, expected 0 or 1")
        self._box = Box(0, xmin - 1, ymin - 1, xmax, ymax, difficult == "1", where)

    def box(self, label: int) -> Box:
        return self._box._replace(label=label)


#: The name of an image, the size that its annotation gives (None where it gives none, or 0), and its objects.
_Annotation = tuple[str, "tuple[float, float] | None", list[_Object]]


def _read_annotations(annotations: Path, keys: Iterable[tuple[str, str]]) -> list[_Annotation]:
    with read_ahead(lambda one: _read_annotation(annotations, *one), keys, f"{annotations}: .xml files read") as found:
        return list(found)


def _read_annotation(annotations: Path, key: str, of: str) -> _Annotation:
    path = annotations / f"{key}.xml"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SourceError(f"{path}: {path.stat().st_size:,} bytes are too many for an annotation")
        tree = load_xml(path)
    except FileNotFoundError:
        raise SourceError(f"{of}: no annotation {path}") from None
    size = None
    if tree.find("size") is not None:
        width, height = (
            parse_number(tree.findtext(f"size/{side}"), f"<{side}>", str(path)) for side in ("width", "height")
        )
        if width < 0 or height < 0:
            raise SourceError(f"{path}: {width:g} × {height:g} is no size of an image")
        size = (width, height) if width and height else None
    return key, size, [_Object(one, f"{path}: object {number}") for number, one in enumerate(tree.findall("object"), 1)]
