"""Data sets that are Python objects: those of PyTorch that have a length and an index, and those of Hugging Face."""

from __future__ import annotations

import bisect
import dataclasses
import io
import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dali_rec._files import read_regular
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.item_labels import Labels, Names, label_row, number_labels
from dali_rec.sources.pixels import encode_png, to_pixels
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.tables.columns import TableOptions, classes_without_labels, without_empty_label

_DEFAULTS = TableOptions()
_IMAGE_KEY = "image"
# Where data sets of torchvision have the labels of all items.
_LABEL_ATTRIBUTES = ("targets", "labels")
# What Hugging Face's data sets have for a label that is not known, in splits for tests.
_UNKNOWN = -1
_NO_LABEL: Labels = (0.0,)
_PNM_MODES = ("L", "RGB")
_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
_EXPECTED = "expected the bytes or the path of a file, a Pillow image, or an array of 0…255, height × width (× 3)"


def read_items(data: Any, table: TableOptions | None = None, classes: Sequence[str] | None = None) -> Source:
    """The images of a data set that has a length and an index, in its order; of a mapping of these, each is a split.

    An item is (image, label), or a mapping with "image" and "label", or the keys that ``table`` names. An image is the
    bytes of a file, its path, a Pillow image, or an array of 0…255 of shape (height, width) or (height, width, 3); the
    last two are stored as PNG. A label is a number, a name, or several of them. Labels come from ``data.targets`` or
    ``data.labels``, where torchvision's data sets have them; otherwise each item is read twice. The names of classes
    are ``data.classes``, or the names that are labels, sorted; or ``classes``.

    Of Hugging Face's data sets the files come as they are, and the names of classes from their features. A split of
    which no label is known is left out.

    Items are read one at a time, since not all code bears several threads; those of Hugging Face by several.

    Raises SourceError for anything else, with the item, and for ``classes`` without labels.
    """
    options, name = without_empty_label(table or _DEFAULTS), type(data).__name__
    if classes is not None and not options.labels:
        raise classes_without_labels(name)
    if isinstance(data, Mapping):
        opened = {str(split): _open(one, options, f"{name}[{split!r}]") for split, one in data.items()}
        unlabelled = [split for split, one in opened.items() if one.is_unlabelled]
        notes = [f"the split {split!r} is left out, as it has no labels" for split in unlabelled]
        opened = {split: one for split, one in opened.items() if split not in unlabelled}
        splits, sets = list(opened), list(opened.values())
    else:
        splits, sets, notes = [], [_open(data, options, name)], []
    if not any(one.labels for one in sets):
        raise SourceError(f"{name}: no labelled items in it")
    rows, names = number_labels(sets, classes)
    ends = [0, *itertools.accumulate(len(one.labels) for one in sets)]
    return Source(
        SampleTable.of(Sample(number, labels, f"#{number}") for number, labels in enumerate(rows)),
        name,
        names[0] if len(names) == 1 else None,
        label_classes=names if len(names) > 1 and any(names) else None,
        splits=tuple(Split(split, ends[at], ends[at + 1]) for at, split in enumerate(splits)),
        pixels=ItemImages(tuple(one.image for one in sets), tuple(ends)),
        notes=tuple(dict.fromkeys((*notes, *(note for one in sets for note in one.notes)))),
    )


@dataclass(frozen=True, slots=True)
class ItemImages:
    """The images of one or several data sets, end to end: a location is "#" and the row.

    get: of each data set, what gets the image of an item. ends: the rows where the first begins and where each ends.
    to_be_encoded: whether images that are no files are encoded anew anyway, so that PNG would take long for nothing.
    """

    get: tuple[Callable[[int], Any], ...]
    ends: tuple[int, ...]
    to_be_encoded: bool = False
    stays_here: ClassVar[bool] = True

    def holds(self, location: str) -> bool:
        """All locations are these."""
        return location.startswith("#")

    def file_of(self, _location: str) -> str:
        """See HeldImages: they are in none that is known."""
        return ""

    def listed(self, location: str) -> str:
        """See HeldImages."""
        return location

    def absolute(self) -> ItemImages:
        """They are here, whatever the working folder is."""
        return self

    def read(self, location: str) -> bytes:
        """The encoded image at ``location``. Raises ImageRejectedError, for whatever reading the item raises."""
        row = int(location[1:])
        number = bisect.bisect_right(self.ends, row) - 1
        item = row - self.ends[number]
        try:
            value = self.get[number](item)
            file = _file_of(value)
            return _encoded(value, plain=self.to_be_encoded) if file is None else file
        except Exception as error:  # noqa: BLE001  # the item comes from code of any kind
            raise ImageRejectedError(f"item {item}: {_told(error)}") from None


def _file_of(value: Any) -> bytes | None:
    """The file that an image is given as, or None for one that is decoded."""
    if isinstance(value, Mapping):  # what Hugging Face has for an image that is not decoded
        value = value.get("bytes") or value.get("path")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (str, os.PathLike)):
        return read_regular(value)[0]
    return None


def _encoded(value: Any, *, plain: bool) -> bytes:
    """A decoded image as PNG or, where ``plain`` will do and it can be, as PNM."""
    image = Image.fromarray(to_pixels(value)) if isinstance(value, np.ndarray) else value
    if not isinstance(image, Image.Image) or image.mode == "F":
        what = "floating-point image" if isinstance(image, Image.Image) else type(value).__name__
        raise ValueError(f"the image is a {what}; {_EXPECTED}")
    if plain and image.mode in _PNM_MODES:
        encoded = io.BytesIO()
        image.save(encoded, "PPM")
        return encoded.getvalue()
    return encode_png(image if image.mode in _PNG_MODES else image.convert("RGB"))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A data set. ``names``: behind each column of its labels. ``image``: what gets the image of an item."""

    name: str
    labels: list[Labels]
    names: tuple[Names, ...]
    image: Callable[[int], Any]
    notes: tuple[str, ...] = ()

    @property
    def is_unlabelled(self) -> bool:
        """Whether its classes have names, and no item has one of them."""
        return any(self.names) and all(row == (_UNKNOWN,) * len(row) for row in self.labels)


def _open(data: Any, options: TableOptions, name: str) -> _Opened:
    if isinstance(data, Mapping) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise SourceError(
            f"{name}: no data set that has a length and an index, which packing needs; load what is a stream whole, or "
            "write its items one by one with dali_rec.RecordWriter"
        )
    if hasattr(data, "features") and hasattr(data, "cast_column"):
        return _open_hugging_face(data, options, name)
    return _open_map_style(data, options, name)


def _open_hugging_face(data: Any, options: TableOptions, name: str) -> _Opened:
    data = data.with_format(None)
    features = data.features
    column = _image_column(features, options, name)
    labels, notes = _label_columns(features, options, name)
    images = data.select_columns([column])
    if _is_image(features[column]):
        images = images.cast_column(column, dataclasses.replace(features[column], decode=False))
    values = zip(*(data[label] for label in labels), strict=True)
    rows = [label_row(row[0] if len(row) == 1 else row, name, item) for item, row in enumerate(values)]
    rows = rows if labels else [_NO_LABEL] * len(data)
    names = tuple(_class_names(features[label]) for label in labels)
    return _Opened(name, rows, names, lambda item: images[item][column], notes)


def _image_column(features: Mapping[str, Any], options: TableOptions, name: str) -> str:
    if options.location in features:
        return options.location
    found = [column for column, feature in features.items() if _is_image(feature)]
    if options.location != _DEFAULTS.location or len(found) != 1:
        raise SourceError(f"{name}: {_which('images', found, features)}; name it by table=TableOptions(location=…)")
    return found[0]


def _label_columns(
    features: Mapping[str, Any], options: TableOptions, name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of the labels, and what the user should hear of it."""
    if all(column in features for column in options.labels):
        return options.labels, ()
    found = [column for column, feature in features.items() if _class_names(feature) is not None]
    if options.labels != _DEFAULTS.labels or len(found) != 1:
        raise SourceError(f"{name}: {_which('labels', found, features)}; name it by table=TableOptions(labels=(…,))")
    return (found[0],), (f"the column {found[0]!r} is taken for 'label'",)


def _which(what: str, found: Sequence[str], features: Mapping[str, Any]) -> str:
    if len(found) > 1:
        return f"the {what} may be in any of the columns {', '.join(map(repr, found))}"
    return f"which column has the {what} is not to be seen from {', '.join(map(repr, features))}"


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image" and dataclasses.is_dataclass(feature)


def _class_names(feature: Any) -> Names:
    names = getattr(feature, "names", None)
    return None if names is None else tuple(names)


def _open_map_style(data: Any, options: TableOptions, name: str) -> _Opened:
    lock = threading.Lock()

    def parted(item: int) -> tuple[Any, Any]:
        return _parted(data[item], options)

    def image(item: int) -> Any:
        with lock:
            value = parted(item)[0]
            if isinstance(value, Image.Image):
                value.load()  # while nobody else is at its file
            return value

    def labels_of(item: int) -> Labels:
        try:
            label = parted(item)[1]
        except Exception as error:
            raise SourceError(
                f"{name}, item {item}: its label cannot be had ({_told(error)}); leave the item out, by "
                "torch.utils.data.Subset for instance"
            ) from error
        return label_row(label, name, item)

    if not options.labels:
        return _Opened(name, [_NO_LABEL] * len(data), (None,), image)
    labels = _labels_at_once(data, labels_of, name)
    if labels is None:
        labels = [labels_of(item) for item in range(len(data))]
    return _Opened(name, labels, (_classes_of(data, labels),), image)


def _parted(item: Any, options: TableOptions) -> tuple[Any, Any]:
    """Image and label of an item. Raises ValueError for what is neither a pair nor a mapping with both."""
    if isinstance(item, Mapping):
        image = options.location if options.location in item else _IMAGE_KEY
        missing = [key for key in (image, *options.labels) if key not in item]
        if missing:
            keys = ", ".join(map(repr, item))
            raise ValueError(
                f"no {missing[0]!r} among {keys}; name the keys by table=TableOptions(labels=(…,), location=…)"
            )
        labels = [item[label] for label in options.labels]
        return item[image], labels[0] if len(labels) == 1 else labels
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    raise ValueError(f"it is a {type(item).__name__}; expected (image, label), or a mapping with both")


def _labels_at_once(data: Any, labels_of: Callable[[int], Labels], name: str) -> list[Labels] | None:
    """The labels from an attribute, if those of the first and the last item are the ones there."""
    count = len(data)
    for attribute in _LABEL_ATTRIBUTES if count else ():
        values = _attribute(data, attribute)
        if values is None or len(values) != count:
            continue
        rows = [label_row(value, name, item) for item, value in enumerate(values)]
        if rows[0] == labels_of(0) and rows[-1] == labels_of(count - 1):
            return rows
    return None


def _attribute(data: Any, name: str) -> Sequence[Any] | None:
    """A list that the data set has as an attribute or, being a PyTorch Subset, the data set that it is part of."""
    values: Any = getattr(data, name, None)
    indices = getattr(data, "indices", None)
    if values is None and isinstance(indices, Sequence):
        of_whole = _attribute(data.dataset, name)
        if of_whole is not None and len(of_whole) == len(data.dataset):
            values = [of_whole[index] for index in indices]
    values = values.tolist() if hasattr(values, "tolist") else values
    return values if isinstance(values, (list, tuple)) else None


def _classes_of(data: Any, labels: Sequence[Labels]) -> Names:
    """The names behind labels that are numbers: of the data set, as torchvision has them, or of what it is part of."""
    while not hasattr(data, "classes") and hasattr(data, "dataset"):
        data = data.dataset
    classes = getattr(data, "classes", None)
    is_names = isinstance(classes, (list, tuple)) and all(isinstance(one, str) for one in classes)
    is_class = all(len(row) == 1 and not isinstance(row[0], str) and row[0] == int(row[0]) for row in labels)
    return tuple(classes) if classes and is_names and is_class else None


def _told(error: Exception) -> str:
    text = str(error)
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
