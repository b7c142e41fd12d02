"""COCO annotations: a JSON file of images, annotations and categories (https://cocodataset.org/#format-data).

The annotations are boxes, or classes of whole images, as those of iNaturalist and the other data sets of FGVC.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.detection.boxes import Box, BoxSamples, Empty, Flagged, to_number
from dali_rec.sources.detection.coco_file import (
    annotation_of,
    entries_of,
    file_name,
    is_coco,
    load_coco,
    number_categories,
    row_and_label,
    rows_by_id,
)
from dali_rec.sources.detection.image_root import find_images
from dali_rec.sources.detection.sizes import read_sizes
from dali_rec.sources.sample import Sample, SampleTable, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.sources.walk import Folder

__all__ = ["is_coco", "read_coco", "read_content"]

_OUTLINES = frozenset({"segmentation", "keypoints"})


def read_coco(
    path: Path,
    root: Folder | None = None,
    classes: Sequence[str] | None = None,
    flagged: Flagged = "column",
    empty: Empty = "keep",
) -> Source:
    """The images of a COCO file, in its order, under its image ids, with the boxes of their annotations.

    Where no annotation has a box, images have one label, the class of their annotations; those without are left out.
    Their ids may be text, which is not kept.

    root: where the file names begin; by default the folder beside the file, or beside the file's folder, that has the
    first image: ``annotations/instances_val2017.json`` finds ``val2017/`` (see ``find_images``). classes: the category
    names in the order of their numbers; by default in the order of the category ids. flagged, empty: see
    ``BoxSamples``; a crowd is flagged.

    Raises SourceError, with the entry, for an annotation of an image or category that is not there, one without a box
    where others have one, another class of an image where there are no boxes, and whatever is not the number or text
    that it should be.
    """
    return read_content(path, load_coco(path), root, classes, flagged, empty)


def read_content(
    path: Path,
    content: dict[str, Any],
    root: Folder | None,
    classes: Sequence[str] | None,
    flagged: Flagged,
    empty: Empty,
) -> Source:
    """``read_coco`` of a file that is loaded, whose list of annotations is emptied on the way."""
    images = entries_of(path, content, "images")
    if not images:
        raise SourceError(f"{path}: no images in it")
    notes: list[str] = []
    label_of, names = number_categories(path, entries_of(path, content, "categories"), classes, notes)
    annotations = entries_of(path, content, "annotations")
    has_boxes = not annotations or any(annotation_of(one).get("bbox") is not None for one in annotations)
    rows = rows_by_id(path, images, ids_may_be_text=not has_boxes)
    subset = path.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    names_of_files = [file_name(image, f"{path}: images[{row}]") for row, image in enumerate(images)]
    root, files = find_images(path, names_of_files, root, subset, notes)
    if has_boxes:
        boxes = _boxes(path, annotations, rows, label_of)
        annotations.clear()
        gathered = BoxSamples(flagged, empty)
        wheres = [f"{path}: images[{row}] (id {image['id']})" for row, image in enumerate(images)]
        sizes = [_size(image, where) for image, where in zip(images, wheres, strict=True)]
        notes += _look_otherwise(path, boxes, sizes)
        with read_sizes(root, files, path) as found:
            for row, stored in enumerate(found):
                gathered.add(images[row]["id"], files[row], boxes.of(row), wheres[row], sizes[row], stored)
        samples, keys_are_given = gathered.samples, True
        notes += gathered.notes
    else:
        if (flagged, empty) != ("column", "keep"):
            raise SourceError(f"{path}: --flagged and --empty go with boxes, and no annotation has one; leave them out")
        outlined = next((number for number, one in enumerate(annotations) if _OUTLINES.intersection(one)), None)
        if outlined is not None:
            raise SourceError(
                f"{path}: annotations[{outlined}] has an outline or keypoints, and none has a bbox; write the boxes "
                "too, or take those out if images have one class each"
            )
        keys_are_given = not any(isinstance(key, str) for key in rows)
        samples = _class_samples(images, files, _classes(path, annotations, rows, label_of), keys_are_given)
        if len(samples) < len(images):
            notes.append(f"{path}: {counted(len(images) - len(samples), 'image')} left out, without annotation")
    if len(set(files)) < len(files):
        twice = next(name for name, count in Counter(files).items() if count > 1)
        notes.append(f"{path}: several images are of one file, each with its own annotations: {twice}")
    return Source(
        samples,
        str(root),
        names,
        keys_are_given=keys_are_given,
        notes=tuple(notes),
        has_boxes=has_boxes,
    )


class _Boxes:
    """The boxes of all annotations by image, in columns: about 60 bytes each, where a Box takes 400.

    rows: the place in the list of images of each one's, afterwards ``images``. values: of each the class, the corners,
    and whether it is flagged.
    """

    def __init__(self, path: Path, rows: array[int], values: array[float]) -> None:
        self._path = path
        self.images = np.frombuffer(rows, np.int64) if rows else np.zeros(0, np.int64)
        self._values = np.frombuffer(values, np.float64).reshape(-1, 6) if rows else np.zeros((0, 6))
        self._order = np.argsort(self.images, kind="stable")
        self._rows = self.images[self._order]

    @property
    def corners(self) -> NDArray[np.float64]:
        """xmin, ymin, xmax, ymax of each, in the order of the file."""
        return self._values[:, 1:5]

    def of(self, row: int) -> Iterator[Box]:
        """Those of the image at this place in the list, in the order of the file."""
        first, behind = np.searchsorted(self._rows, (row, row + 1)).tolist()
        for number in self._order[first:behind].tolist():
            label, xmin, ymin, xmax, ymax, flagged = self._values[number].tolist()
            where = f"{self._path}: annotations[{number}]"
            yield Box(int(label), xmin, ymin, xmax, ymax, bool(flagged), where)


def _boxes(path: Path, annotations: list[Any], rows: dict[Any, int], label_of: dict[int, int]) -> _Boxes:
    """The boxes of each image, by its place in the list."""
    images, values = array("q"), array("d")
    for number, entry in enumerate(annotations):
        where, annotation = f"{path}: annotations[{number}]", annotation_of(entry)
        row, label = row_and_label(annotation, rows, label_of, where)
        box = annotation.get("bbox")
        if box is None:
            raise SourceError(f"{where}: it has no bbox, as others have; leave it out, or the boxes of all")
        if not isinstance(box, list) or len(box) != 4:
            raise SourceError(f"{where}: expected a bbox [x, y, width, height], found {str(box)[:60]}")
        x, y, width, height = (to_number(value, "a number of its bbox", where) for value in box)
        crowd = annotation.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise SourceError(f"{where}: iscrowd is {str(crowd)[:40]!r}, expected 0 or 1")
        images.append(row)
        values.extend((label, x, y, x + width, y + height, crowd))
    return _Boxes(path, images, values)


def _look_otherwise(path: Path, boxes: _Boxes, sizes: list[tuple[float, float] | None]) -> list[str]:
    """Say it where boxes look like [xmin, ymin, xmax, ymax]. Raises SourceError where they are parts of the image."""
    corners = boxes.corners
    if len(corners) and corners.min() >= 0 and corners.max() <= 1 and (corners % 1).any():
        raise SourceError(
            f"{path}: all boxes lie within one pixel; COCO's are [x, y, width, height] in pixels, and these look like "
            "parts of the width and the height: multiply them"
        )
    ends = np.array([(np.inf, np.inf) if size is None else size for size in sizes])[boxes.images]
    outside = int((corners[:, 2:] > ends + 1).any(axis=1).sum())
    if 2 * outside < len(corners) or not (corners[:, 2:] / 2 >= corners[:, :2]).all():
        return []
    what = f"{outside:,} of {len(corners):,} boxes reach outside their images"
    return [f"{path}: {what}: they look like corners, and COCO's are [x, y, width, height]"] if outside else []


def _classes(
    path: Path, annotations: list[dict[str, Any]], rows: dict[Any, int], label_of: dict[int, int]
) -> dict[int, int]:
    """The class of each image, by its place in the list."""
    classes: dict[int, int] = {}
    for number, annotation in enumerate(annotations):
        where = f"{path}: annotations[{number}]"
        row, label = row_and_label(annotation, rows, label_of, where)
        if classes.setdefault(row, label) != label:
            raise SourceError(
                f"{where}: the image {annotation['image_id']} has another category before; without boxes an image has "
                "one class: correct it, or pack a table with a column for each label"
            )
    return classes


def _class_samples(
    images: list[dict[str, Any]], files: list[str], classes: dict[int, int], keys_are_given: bool
) -> SampleTable:
    samples = SampleTable()
    for row, label in sorted(classes.items()):
        key = images[row]["id"] if keys_are_given else len(samples)
        samples.append(Sample(key, (float(label),), files[row]))
    return samples


def _size(image: dict[str, Any], where: str) -> tuple[float, float] | None:
    """The size that the entry gives; None where it gives none or 0."""
    if image.get("width") is None or image.get("height") is None:
        return None
    width, height = to_number(image["width"], "width", where), to_number(image["height"], "height", where)
    if width < 0 or height < 0:
        raise SourceError(f"{where}: {width:g} × {height:g} is no size of an image")
    return (width, height) if width and height else None
