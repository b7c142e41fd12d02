"""Images with the objects that their annotations name, on their way into samples: what most formats come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import SourceError
from dali_rec.sources.detection.boxes import Box, BoxSamples, Empty, Flagged, class_numbers
from dali_rec.sources.detection.image_root import find_images
from dali_rec.sources.detection.sizes import read_sizes
from dali_rec.sources.other_splits import say_other_splits
from dali_rec.sources.sample import Source, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from dali_rec.sources.walk import Folder


class Object(NamedTuple):
    """An object: the name of its class, its corners, where it was read, and whether it is flagged."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    where: str
    flagged: bool = False


class Annotated(NamedTuple):
    """An image: where it is, the size that its annotation gives, if any, its objects, and where they were read."""

    location: str
    size: tuple[float, float] | None
    objects: list[Object]
    where: str


@dataclass(slots=True)
class Annotations:
    """What the files of a format say.

    root: where the locations begin. parts: the images of each split, or of all under None. has_flags: whether objects
    of this format may be flagged. names: the classes, where the format fixes them; otherwise those that are there.
    regions: names that are no classes but what is to be ignored, all of which is flagged; they are numbered last.
    notes: what the user should hear. is_folder: whether the order of the images is that of their names alone.
    are_parts: whether corners are in parts of the upright image, and not in pixels.
    """

    root: Folder
    parts: list[tuple[str | None, list[Annotated]]]
    has_flags: bool = False
    names: Sequence[str] | None = None
    regions: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    is_folder: bool = False
    are_parts: bool = False


def gather(path: Path, found: Annotations, classes: Sequence[str] | None, flagged: Flagged, empty: Empty) -> Source:
    """The samples of annotations. classes, flagged, empty: see ``read_detection``.

    Raises SourceError for names that are not in ``classes``, and for a size that the file does not have.
    """
    names = _names(found, is_dropped=flagged == "drop")
    if not names and classes is None:
        raise SourceError(f"{path}: no object in it, so no classes; name them by --classes if that is right")
    numbers = class_numbers(names, classes, path)
    gathered = BoxSamples(flagged if found.has_flags else None, empty)
    splits = []
    for split, images in found.parts:
        start = len(gathered.samples)
        with read_sizes(found.root, (one.location for one in images), path) as sizes:
            for image, stored in zip(images, sizes, strict=True):
                boxes = (
                    Box(numbers.get(name, -1), xmin, ymin, xmax, ymax, is_flagged, where)  # -1: is dropped
                    for name, xmin, ymin, xmax, ymax, where, is_flagged in image.objects
                )
                if found.are_parts:
                    gathered.add_relative(len(gathered.samples), image.location, boxes, stored)
                else:
                    gathered.add(len(gathered.samples), image.location, boxes, image.where, image.size, stored)
        if split is not None:
            splits.append(Split(split, start, len(gathered.samples)))
    are_numbered_alone = classes is None and found.names is None and not splits
    return Source(
        gathered.samples,
        str(found.root),
        tuple(names if classes is None else classes),
        shuffled_by_default=found.is_folder,
        notes=(*found.notes, *gathered.notes, *(say_other_splits(path) if are_numbered_alone else ())),
        splits=tuple(splits),
        has_boxes=True,
    )


def listed(
    path: Path,
    names: Sequence[str],
    objects: Sequence[list[Object]],
    root: Folder | None,
    subset: str,
    sizes: Mapping[str, tuple[float, float]] | None = None,
) -> Annotations:
    """What one file says of images by their names. root, subset: where these begin, see ``find_images``.

    sizes: by name, as far as they are known. Raises SourceError where there are no images, or none is found.
    """
    if not names:
        raise SourceError(f"{path}: no images in it")
    notes: list[str] = []
    root, files = find_images(path, names, root, subset, notes)
    images = [
        Annotated(file, (sizes or {}).get(name), found, f"{path}: {name}")
        for file, name, found in zip(files, names, objects, strict=True)
    ]
    twice = next((file for file, count in Counter(files).items() if count > 1), None)
    if twice is not None:
        notes.append(f"{path}: several images are of one file, each with its own annotations: {twice}")
    return Annotations(root, [(None, images)], notes=notes)


def outer_box(points: Iterable[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The corners xmin, ymin, xmax, ymax of the upright box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _names(found: Annotations, *, is_dropped: bool) -> list[str]:
    there = {one.name for _, images in found.parts for image in images for one in image.objects}
    names = sorted(there.difference(found.regions)) if found.names is None else list(found.names)
    kept = () if is_dropped else [name for name in found.regions if found.names is not None or name in there]
    return [*names, *kept]
