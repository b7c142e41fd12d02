"""Boxes on their way into labels: clipped, checked, turned with the image, and laid out as MXNet wants them.

The labels of a record are [4, B, width, height, (class, xmin, ymin, xmax, ymax, …) × N]: 4 numbers of header, B numbers
an object (5, or 6 with a flag), the size of the image in pixels, and the corners in parts of the width and the height.
That is the layout of GluonCV's data sets; MXNet's ImageDetRecordIter and GluonCV's RecordFileDetection read any header
width from 2 up. (apache/mxnet, src/io/image_det_aug_default.cc; gluon-cv, docs/tutorials/datasets/detection_custom.py.)
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from dali_rec._numbers import counted, parse_float
from dali_rec.errors import SourceError
from dali_rec.sources.sample import Sample, SampleTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dali_rec.images import StoredSize

HEADER_WIDTH = 4
#: What becomes of boxes that VOC calls difficult and COCO a crowd, and of what others say is to be ignored.
Flagged = Literal["column", "keep", "drop"]
FLAGGED: tuple[Flagged, ...] = get_args(Flagged)
#: What becomes of images without objects.
Empty = Literal["keep", "drop"]
EMPTY: tuple[Empty, ...] = get_args(Empty)

_LEAST_SIDE = 1e-6  # in parts of the image: float32 does not tell less apart


class Box(NamedTuple):
    """An object: its class, its corners (in the unit of its frame), whether it is flagged, and where it was read."""

    label: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    flagged: bool
    where: str


@dataclass(slots=True)
class _Tally:
    """Something that happened to several entries: how often, and where first."""

    count: int = 0
    first: str = ""

    def add(self, where: str) -> None:
        self.count += 1
        self.first = self.first or where


class BoxSamples:
    """Gathers images with boxes as samples.

    flagged: "column" gives each object a sixth number, 1 where it is flagged; "keep" treats flagged objects as any
    other; "drop" leaves them out; None: there are no flags. empty: images without objects are kept, with the header
    alone, or dropped.
    """

    def __init__(self, flagged: Flagged | None, empty: Empty = "keep") -> None:
        if flagged is not None and flagged not in FLAGGED:
            raise ValueError(f"flagged is {flagged!r}: expected one of {', '.join(map(repr, FLAGGED))}")
        self.samples = SampleTable()
        self._flagged = flagged
        self._keeps_empty = empty == "keep"
        self._without_objects = _Tally()
        self._clipped = _Tally()
        self._empty = _Tally()
        self._dropped = _Tally()
        self._turned = _Tally()
        self._undecided = _Tally()

    def add(
        self,
        key: int,
        location: str,
        boxes: Iterable[Box],
        where: str,
        declared: tuple[float, float] | None,
        stored: StoredSize | None,
    ) -> None:
        """Add an image of the size ``stored``; None where its file cannot be read.

        boxes: in pixels of an image of the size ``declared``, or of the file's where it is None.
        """
        orientation = 1
        frame = declared
        if stored is not None:
            orientation, frame = self._orient(stored, declared, where)
        if frame is None:  # no such image, and no size: packing will reject it, with the reason
            self.samples.append(Sample(key, (), location))
            return
        size = stored.upright if stored is not None else frame
        self._append(key, location, self._placed(boxes, frame, orientation, size), size)

    def add_relative(self, key: int, location: str, boxes: Iterable[Box], stored: StoredSize | None) -> None:
        """Add an image whose boxes are in parts of the upright image already."""
        if stored is None:
            self.samples.append(Sample(key, (), location))
            return
        self._append(key, location, self._placed(boxes, (1.0, 1.0), 1, stored.upright), stored.upright)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should hear."""
        told = (
            (self._clipped, "box", "boxes", "clipped to the image"),
            (self._empty, "box", "boxes", "left out, without area inside the image"),
            (self._without_objects, "image", "images", "without objects" + ("" if self._keeps_empty else ", left out")),
            (self._dropped, "box", "boxes", "left out, difficult or a crowd"),
            (self._turned, "image", "images", "annotated as stored and shown turned (EXIF), and so are their boxes"),
            (
                self._undecided,
                "image",
                "images",
                "with an EXIF orientation that keeps the size: boxes are taken to be those of the image as shown",
            ),
        )
        return tuple(
            f"{counted(tally.count, one, many)} {what}; the first: {tally.first}"
            for tally, one, many, what in told
            if tally.count
        )

    def _orient(
        self, stored: StoredSize, declared: tuple[float, float] | None, where: str
    ) -> tuple[int, tuple[float, float]]:
        """By which EXIF orientation the boxes are to be turned, and the size of the image that they were drawn on."""
        upright, raw = stored.upright, (stored.width, stored.height)
        if declared is None:
            declared = upright
        elif not _same_shape(declared, upright) and not _same_shape(declared, raw):
            raise SourceError(
                f"{where}: the annotation is of an image of {declared[0]:g} × {declared[1]:g} pixels, the file has "
                f"{upright[0]} × {upright[1]}: it is another image, or was cut since; correct one of them"
            )
        if stored.orientation == 1:
            return 1, declared
        if _same_shape(declared, upright):
            if _same_shape(declared, raw):
                self._undecided.add(where)
            return 1, declared
        self._turned.add(where)
        return stored.orientation, declared

    def _placed(
        self, boxes: Iterable[Box], frame: tuple[float, float], orientation: int, size: tuple[float, float]
    ) -> list[Box]:
        """The boxes to keep, in parts of the upright image of ``size`` pixels."""
        placed = []
        for box in boxes:
            if box.flagged and self._flagged == "drop":
                self._dropped.add(box.where)
                continue
            x = (box.xmin / frame[0], box.xmax / frame[0])
            y = (box.ymin / frame[1], box.ymax / frame[1])
            x, y = turn(x, y, orientation)
            inside = box._replace(
                xmin=min(max(x[0], 0.0), 1.0),
                ymin=min(max(y[0], 0.0), 1.0),
                xmax=min(max(x[1], 0.0), 1.0),
                ymax=min(max(y[1], 0.0), 1.0),
            )
            if inside.xmax - inside.xmin < _LEAST_SIDE or inside.ymax - inside.ymin < _LEAST_SIDE:
                self._empty.add(box.where)
                continue
            # A pixel over is how one-based and zero-based coordinates differ, or a rounding: not worth a word.
            over_x, over_y = 1.001 / size[0], 1.001 / size[1]
            if min(x) < -over_x or max(x) > 1 + over_x or min(y) < -over_y or max(y) > 1 + over_y:
                self._clipped.add(box.where)
            placed.append(inside)
        return placed

    def _append(self, key: int, location: str, boxes: Sequence[Box], size: tuple[float, float]) -> None:
        if not boxes:
            self._without_objects.add(location)
            if not self._keeps_empty:
                return
        has_flags = self._flagged == "column"
        labels = [float(HEADER_WIDTH), 6.0 if has_flags else 5.0, float(size[0]), float(size[1])]
        for box in boxes:
            labels += (float(box.label), box.xmin, box.ymin, box.xmax, box.ymax)
            if has_flags:
                labels.append(float(box.flagged))
        self.samples.append(Sample(key, tuple(labels), location))


def turn(
    x: tuple[float, float], y: tuple[float, float], orientation: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The sides (low, high) of a box, in parts of the stored image, as parts of it set upright.

    orientation: EXIF's, 1…8: the mirrorings and quarter turns (EXIF 2.3, tag 0x0112).
    """
    if orientation >= 5:
        x, y = y, x
    if orientation in (2, 3, 6, 7):
        x = (1 - x[1], 1 - x[0])
    if orientation in (3, 4, 7, 8):
        y = (1 - y[1], 1 - y[0])
    return x, y


def count_objects(samples: Iterable[Sample]) -> dict[float, int]:
    """How many objects of each class the samples have."""
    counts: Counter[float] = Counter()
    for sample in samples:
        if len(sample.labels) > HEADER_WIDTH:
            counts.update(sample.labels[HEADER_WIDTH :: int(sample.labels[1])])
    return dict(counts)


def to_number(value: object, what: str, where: str) -> float:
    """A finite number from a parsed file. Raises SourceError for anything else, text that looks like one included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SourceError(f"{where}: {what} is {_shown(value)}, which is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SourceError(f"{where}: {what} is {number}, which is no length in pixels")
    return number


def parse_number(text: str | None, what: str, where: str) -> float:
    """A finite number from text. Raises SourceError for anything else."""
    try:
        number = parse_float(text or "")
    except ValueError:
        raise SourceError(f"{where}: {what} is {_shown(text)}, which is not a number") from None
    if not math.isfinite(number):
        raise SourceError(f"{where}: {what} is {number}, which is not a finite number")
    return number


def class_numbers(names: Sequence[str], classes: Sequence[str] | None, path: Path) -> dict[str, int]:
    """The number of each name: its place in ``classes`` or among the names. SourceError if ``classes`` lacks one."""
    if classes is None:
        return {name: number for number, name in enumerate(names)}
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = [name for name in names if name not in numbers]
    if unknown:
        raise SourceError(f"{path}: {len(unknown)} of its classes are not in --classes, {unknown[0]!r} among them")
    return numbers


def _same_shape(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether these sizes are of one image, scaled: each side within a pixel of what the other's scale makes of it."""
    return abs(one[1] * other[0] - other[1] * one[0]) <= max(*one, *other)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
