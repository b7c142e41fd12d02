"""What is said of a record beside its picture, and drawn on it: its class, or the boxes of its objects."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from dali_rec.box_layout import BoxLayout, box_layout
from dali_rec.errors import ImageRejectedError, RecordError
from dali_rec.images import decode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset
    from dali_rec.recordio import Record

_COLOURS = (
    "#e6194b",
    "#3cb44b",
    "#4363d8",
    "#f58231",
    "#911eb4",
    "#008080",
    "#f032e6",
    "#9a6324",
    "#ffe119",
    "#42d4f4",
)
_RECORDS_ASKED = 20


class Pictured:
    """The records of a data set as pictures with a title. ``layout`` is that of its boxes, None where it has none.

    Where no manifest says so, labels are boxes if the first records are all laid out as boxes, and alike.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._classes = dataset.classes
        self.layout = _find_layout(dataset)

    def class_of(self, record: Record) -> float:
        """Its first label, or the class of its first object; infinity, after all classes, where it has none."""
        labels = record.labels if self.layout is None else record.labels[self.layout.header :]
        return float(labels[0]) if len(labels) else math.inf

    def title(self, record: Record) -> str:
        """The name of its class, or its first labels where that has none; of boxes ``2 person, car``."""
        if self.layout is not None:
            counts = Counter(self._name(float(one)) or f"{one:g}" for one in self._objects(record, self.layout)[:, 0])
            return ", ".join(f"{count} {name}" if count > 1 else name for name, count in counts.items()) or "no objects"
        return self._name(self.class_of(record)) or " ".join(f"{value:g}" for value in record.labels[:4].tolist())

    def thumbnail(self, record: Record, tile: int) -> Image.Image | None:
        """The picture in a square of ``tile`` pixels, with its boxes, or None if it cannot be decoded."""
        try:
            picture = Image.fromarray(decode_image(record.image)).convert("RGB")
        except ImageRejectedError:
            return None
        picture = ImageOps.contain(picture, (tile, tile), Image.Resampling.LANCZOS)
        if self.layout is not None:
            draw_boxes(picture, self._objects(record, self.layout))
        return picture

    def _name(self, label: float) -> str | None:
        classes = self._classes or ()
        return classes[int(label)] if label.is_integer() and 0 <= label < len(classes) else None

    @staticmethod
    def _objects(record: Record, layout: BoxLayout) -> NDArray[np.float32]:
        objects = record.labels[layout.header :]
        return objects[: len(objects) // layout.width * layout.width].reshape(-1, layout.width)


def draw_boxes(picture: Image.Image, objects: NDArray[np.float32]) -> None:
    """Outline (class, xmin, ymin, xmax, ymax, …), corners in parts of width and height, a colour for each class."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for name, left, top, right, bottom, *_ in objects[np.isfinite(objects).all(1)].tolist():
        x, y = round(left * width), round(top * height)
        corners = (x, y, max(x, round(right * width) - 1), max(y, round(bottom * height) - 1))
        draw.rectangle(corners, outline=_COLOURS[int(name) % len(_COLOURS)], width=2)


def _find_layout(dataset: Dataset) -> BoxLayout | None:
    kind = dataset.manifest.label_kind if dataset.manifest is not None else None
    if kind not in {"boxes", None}:
        return None
    layouts = set()
    for position in range(min(len(dataset), _RECORDS_ASKED)):
        with contextlib.suppress(RecordError):
            layouts.add(box_layout(dataset[position].labels))
    return layouts.pop() if len(layouts) == 1 else None
