"""Records with boxes: those of TensorFlow's Object Detection API, and of TensorFlow Datasets.

The Object Detection API has a list for each side of the boxes, in parts of the image as it is stored, their classes as
numbers from 1, as texts, or both. TensorFlow Datasets has ymin, xmin, ymax, xmax of one box after another, and numbers
from 0. (tensorflow/models, research/object_detection/g3doc/using_your_own_dataset.md; tensorflow/datasets,
core/features/bounding_boxes.py.)
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.images import HEAD_BYTES, StoredSize, size_in
from dali_rec.sources.ahead import saying_how_many
from dali_rec.sources.detection.boxes import Box, BoxSamples, class_numbers
from dali_rec.sources.sample import Source, Split
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.tfrecord.features import WHOLE_IMAGE
from dali_rec.sources.tfrecord.images import TFRecordImages, tfrecord_location
from dali_rec.sources.tfrecord.records import read_records
from dali_rec.sources.tfrecord.rows import text_of, values_of
from dali_rec.sources.tfrecord.tensors import is_tensor, read_tensor
from dali_rec.sources.tfrecord.tfds import class_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dali_rec.sources.detection import Empty, Flagged
    from dali_rec.sources.shard_files import ShardFiles
    from dali_rec.sources.tfrecord.example import Feature
    from dali_rec.sources.tfrecord.features import ImageFeatures, Seen
    from dali_rec.sources.tfrecord.records import Record

_DEFAULTS = TableOptions()
_OBJECT = "image/object/"
_SIDES = tuple(f"{_OBJECT}bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
_NUMBER, _TEXT = f"{_OBJECT}class/label", f"{_OBJECT}class/text"
_FLAGS = tuple(_OBJECT + name for name in ("is_crowd", "difficult", "group_of"))
_OF_DATASETS, _NUMBER_OF_DATASETS = "objects/bbox", "objects/label"
_FLAGS_OF_DATASETS = ("objects/is_crowd", "objects/is_difficult", "objects/is_group_of")
_SIZE = ("image/width", "image/height")
_MASKS = ("mask", "keypoint")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class BoxFeatures:
    """Which features have the boxes: their sides, or all of them in one, their classes, and what flags them."""

    sides: tuple[str, ...]
    number: str | None
    text: str | None
    flags: tuple[str, ...]
    masks: tuple[str, ...]

    @property
    def all(self) -> set[str]:
        """All of them."""
        return {*self.sides, *self.flags, *(name for name in (self.number, self.text) if name)}


def find_boxes(seen: Mapping[str, Seen], labels: Sequence[str]) -> BoxFeatures | None:
    """The features of the boxes; None where there are none, or images have labels of their own.

    labels: those that are asked for. That of the boxes asks for these.
    """
    masks = tuple(name for name in seen if "object" in name and any(word in name for word in _MASKS))
    found = None
    if all(side in seen for side in _SIDES) and (_NUMBER in seen or _TEXT in seen):
        number, text = (name if name in seen else None for name in (_NUMBER, _TEXT))
        found = BoxFeatures(_SIDES, number, text, tuple(name for name in _FLAGS if name in seen), masks)
    elif _OF_DATASETS in seen and _NUMBER_OF_DATASETS in seen:
        flags = tuple(name for name in _FLAGS_OF_DATASETS if name in seen)
        found = BoxFeatures((_OF_DATASETS,), _NUMBER_OF_DATASETS, None, flags, masks)
    if found is None or (len(labels) == 1 and labels[0] in (found.number, found.text)):
        return found
    return None if labels != _DEFAULTS.labels or any(name in seen for name in WHOLE_IMAGE) else found


def boxes_passed_over(where: str, seen: Mapping[str, Seen]) -> list[str]:
    """Say it where there are boxes and labels are packed."""
    boxes = [name for name in seen if "bbox" in name]
    if not boxes:
        return []
    found = (
        find_boxes(seen, _DEFAULTS.labels) or find_boxes(seen, (_NUMBER,)) or find_boxes(seen, (_NUMBER_OF_DATASETS,))
    )
    label = None if found is None else found.number or found.text
    remedy = f"--label-column {label} packs them" if label else "write COCO annotations to pack them"
    return [f"{where}: the boxes in {min(boxes)!r} are passed over; {remedy}"]


def read_boxes(
    found: ShardFiles,
    of_split: Mapping[str | None, Sequence[str]],
    image: ImageFeatures,
    boxes: BoxFeatures,
    options: TableOptions,
    classes: Sequence[str] | None,
    flagged: Flagged,
    empty: Empty,
) -> Source:
    """The images and their boxes, classes in the order of their numbers, or of their names where they have none.

    Raises SourceError, with the file and the record, for lists that are not of one length, and a number of two names.
    """
    if (options.id, options.columns, options.split or "") != (_DEFAULTS.id, _DEFAULTS.columns, ""):
        raise SourceError(
            f"{found.name}: --columns, --id-column and --split-column go with labels, and these are boxes; leave them "
            "out"
        )
    known = class_names(found.folder, found.files, boxes.number or "")
    reader = _Reader(found.folder, image, boxes, known, BoxSamples(flagged if boxes.flags else None, empty))
    samples, splits = reader.gathered.samples, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
        for split, files in of_split.items():
            start = len(samples)
            records = (pair for file in files for pair in reader.records(file))
            for file, record in saying_how_many(records, f"{found.name}: boxes read"):
                reader.add(file, record)
            if split is not None:
                splits.append(Split(split, start, len(samples)))
    if not len(samples):
        raise SourceError(f"{found.name}: no image has an object, and --empty drop leaves out those without")
    names, order = reader.classes()
    if not names and classes is None:
        raise SourceError(f"{found.name}: no object in it, so no classes; name them by --classes if that is right")
    numbers = class_numbers(names, classes, found.folder)
    notes = [*found.notes, *reader.gathered.notes]
    if boxes.masks:
        notes.append(f"{found.name}: {', '.join(boxes.masks[:_SHOWN])} are left out; boxes are packed")
    return Source(
        samples.with_objects_relabelled([numbers[names[place]] for place in order]),
        str(found.folder),
        tuple(names if classes is None else classes),
        notes=tuple(notes),
        splits=tuple(splits),
        pixels=TFRecordImages(str(found.folder), image.name, image.pixels),
        has_boxes=True,
    )


class _Reader:
    """Gathers the images of files with their boxes, whose classes are numbered as they come.

    known: the names of all classes, by their numbers from 0.
    """

    def __init__(
        self,
        folder: Path,
        image: ImageFeatures,
        boxes: BoxFeatures,
        known: tuple[str, ...] | None,
        gathered: BoxSamples,
    ) -> None:
        self.gathered = gathered
        self._folder = folder
        self._image = image
        self._boxes = boxes
        self._known = known
        self._places: dict[int | str, int] = {}
        self._texts: dict[int | str, str] = {}
        pixels = () if image.pixels is None else (image.pixels.width, image.pixels.height)
        self._wanted = {*boxes.all, *_SIZE, *pixels, image.name, image.path or image.name}

    def records(self, file: str) -> Iterator[tuple[str, Record]]:
        """The records of a file, each with its name."""
        return ((file, record) for record in read_records(self._folder / file))

    def add(self, file: str, record: Record) -> None:
        """Add the image of a record."""
        features = record.features(self._wanted)
        objects = [*self._objects(record, features)]
        origin = text_of(record, self._image.path, features) if self._image.path else None
        location = tfrecord_location(file, record.number, record.start, record.length, origin)
        key, stored = len(self.gathered.samples), self._stored_size(record, features)
        if stored is None or stored.orientation == 1:
            self.gathered.add_relative(key, location, objects, stored)
            return
        width, height = _size(features, _SIZE) or (stored.width, stored.height)
        scaled = [
            box._replace(xmin=box.xmin * width, xmax=box.xmax * width, ymin=box.ymin * height, ymax=box.ymax * height)
            for box in objects
        ]
        self.gathered.add(key, location, scaled, record.where, (width, height), stored)

    def classes(self) -> tuple[list[str], list[int]]:
        """The names of the classes in their order, and of each class as they came its place among them."""
        if self._known is not None:
            return [*self._known], [int(key) for key in self._places]
        keys = sorted(self._places, key=lambda key: (isinstance(key, str), key))
        names = [self._texts.get(key, str(key)) for key in keys]
        for name, key in zip(names, keys, strict=True):
            other = keys[names.index(name)]
            if other != key:
                raise SourceError(f"{self._folder}: the classes {other} and {key} are both called {name!r}")
        return names, [keys.index(key) for key in self._places]

    def _objects(self, record: Record, features: Mapping[str, Feature]) -> Iterator[Box]:
        sides = self._sides(record, features)
        keys = self._keys(record, features, len(sides))
        flags = [values_of(record, name, features) for name in self._boxes.flags]
        for flag, name in zip(flags, self._boxes.flags, strict=True):
            if flag and len(flag) != len(sides):
                raise _unequal(record, name, len(flag), len(sides))
        for at, (corners, key) in enumerate(zip(sides, keys, strict=True)):
            place = self._places.setdefault(key, len(self._places))
            yield Box(place, *corners, any(flag[at] for flag in flags if flag), f"{record.where}, object {at}")

    def _sides(self, record: Record, features: Mapping[str, Feature]) -> list[tuple[float, float, float, float]]:
        """xmin, ymin, xmax and ymax of each box."""
        columns = [values_of(record, name, features) for name in self._boxes.sides]
        for name, column in zip(self._boxes.sides, columns, strict=True):
            if any(not isinstance(value, (int, float)) or value != value for value in column):  # noqa: PLR0124  # NaN
                raise SourceError(f"{record.where}: {name!r} holds something else than numbers")
            if len(columns) > 1 and len(column) != len(columns[0]):
                raise _unequal(record, name, len(column), len(columns[0]))
        if len(columns) > 1:
            return [*zip(*columns, strict=True)]
        flat = columns[0]
        if len(flat) % 4:
            raise SourceError(f"{record.where}: {len(flat)} numbers in {self._boxes.sides[0]!r}; a box has four")
        return [(xmin, ymin, xmax, ymax) for ymin, xmin, ymax, xmax in zip(*[iter(flat)] * 4, strict=True)]

    def _keys(self, record: Record, features: Mapping[str, Feature], count: int) -> Sequence[int | str]:
        """What the class of each box is known by: its number, or its text where there are no numbers."""
        number, text = self._boxes.number, self._boxes.text
        numbers: list[Any] = values_of(record, number, features) if number else []
        texts: list[Any] = values_of(record, text, features) if text else []
        for name, values in ((number, numbers), (text, texts)):
            is_needed = name == (number or text)
            if name and len(values) != count and (values or is_needed):
                raise _unequal(record, name, len(values), count)
        if number is None:
            return texts
        for key in numbers:
            if not isinstance(key, int) or key < 0 or (self._known is not None and key >= len(self._known)):
                what = "no class" if self._known is None else f"none of the {len(self._known)} classes"
                raise SourceError(f"{record.where}: {key!r} in {number!r} is {what}; correct it")
        for key, name in zip(numbers, texts, strict=False):
            if self._texts.setdefault(key, name) != name:
                raise SourceError(
                    f"{record.where}: the class {key} is {name!r} here and {self._texts[key]!r} before; correct one"
                )
        return numbers

    def _stored_size(self, record: Record, features: Mapping[str, Feature]) -> StoredSize | None:
        """The size of the image, from its head; None where it cannot be read."""
        found = features.get(self._image.name)
        if found is None or found.kind != "bytes" or len(found.values) != 1:
            return None
        for most in (HEAD_BYTES, None):
            size = size_in(io.BytesIO(record.take(found.values[0], most)))  # type: ignore[arg-type]
            if size is not None:
                return size
        image = record.take(found.values[0])  # type: ignore[arg-type]
        if is_tensor(image):
            with contextlib.suppress(ValueError):
                height, width = read_tensor(image).shape[:2]
                return StoredSize(width, height, 1)
            return None
        pixels = self._image.pixels
        declared = None if pixels is None else _size(features, (pixels.width, pixels.height))
        return None if declared is None else StoredSize(*declared, 1)


def _size(features: Mapping[str, Feature], names: tuple[str, str]) -> tuple[int, int] | None:
    """The width and height that a record says."""
    values = [features[name].values for name in names if name in features and features[name].kind == "int"]
    if [len(one) for one in values] != [1, 1]:
        return None
    width, height = (int(one[0]) for one in values)  # type: ignore[arg-type]
    return (width, height) if width > 0 and height > 0 else None


def _unequal(record: Record, name: str, count: int, expected: int) -> SourceError:
    return SourceError(
        f"{record.where}: {count} values in {name!r}, and {counted(expected, 'box', 'boxes')}; as many are expected"
    )
