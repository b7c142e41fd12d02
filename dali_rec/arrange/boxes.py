"""Boxes of several data sets as those of one: of one layout, and with one numbering of their objects' classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dali_rec.arrange.headers import (
    all_labels,
    has_image,
    label_counts,
    labels_in_place,
    mapped,
    payload_labels,
    with_payloads,
)
from dali_rec.box_layout import BoxLayout, box_layout
from dali_rec.errors import DatasetError
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dali_rec.arrange.frames import Frames
    from dali_rec.arrange.inputs import Input

_KINDS = {"class": "class numbers", "values": "values"}


def common_layout(inputs: Sequence[Input]) -> BoxLayout | None:
    """The layout of the boxes of data sets that are to be one, by the first record of each; None where none has boxes.

    A data set without a manifest may go with boxes if its labels are laid out as theirs.

    Raises DatasetError where another data set has no boxes, or boxes of another layout: the Loader wants one.
    """
    with_boxes = next((one for one in inputs if one.label_kind == "boxes"), None)
    if with_boxes is None:
        return None
    layout = _first_layout(with_boxes)
    for one in inputs:
        if one.label_kind in _KINDS:
            raise DatasetError(
                f"{with_boxes.name} has boxes and {one.name} has {_KINDS[one.label_kind]}, which do not make one data "
                f"set: merge each with its like, or pack the images of {one.name} with annotations of boxes"
            )
        other = _first_layout(one)
        if other != layout:
            raise DatasetError(
                f"{with_boxes.name} has boxes of {layout.width} numbers an object behind a header of {layout.header}, "
                f"{one.name} of {other.width} behind {other.header}: pack both from their annotations with the same "
                "--flagged"
            )
    return layout


def _first_layout(one: Input) -> BoxLayout:
    record = one.dataset[0]
    layout = box_layout(record.labels)
    if layout is None:
        raise DatasetError(
            f"{one.name}: the record with id {record.key} has {len(record.labels)} labels, which are no boxes: "
            "expected [header width, object width, …, objects]; 'dali-rec verify' it, or merge it with others of its "
            "kind"
        )
    return layout


def require_layout(frames: Frames, layout: BoxLayout, name: str) -> None:
    """Raise DatasetError, naming the data set, for a record with other labels; one without an image may have any."""
    counts = label_counts(frames)
    wrong = counts < layout.header
    wrong |= (counts - layout.header) % layout.width != 0
    whole = np.nonzero(~frames.is_split & ~wrong)[0]
    labels, at = labels_in_place(frames, whole)
    wrong[whole] = (labels[at] != layout.header) | (labels[at + 1] != layout.width)
    for number in np.nonzero(frames.is_split & ~wrong)[0].tolist():
        wrong[number] = box_layout(all_labels(frames, number)) != layout
    wrong &= has_image(frames)
    if wrong.any():
        number = int(wrong.argmax())
        raise DatasetError(
            f"{name}: the record with id {unsigned(int(frames.keys[number]))} has {counts[number]} labels, which are "
            f"no boxes of {layout.width} numbers an object behind a header of {layout.header}, as the others are; "
            "'dali-rec verify' it, or pack its images anew"
        )


def with_object_classes(frames: Frames, layout: BoxLayout, mapping: NDArray[np.int64], name: str) -> Frames:
    """The same records with the classes of their objects renumbered; those without an image keep their labels.

    frames: of this layout, see ``require_layout``. mapping: the new number of each class. The bytes are changed in
    place. Raises DatasetError, naming the data set, for a class that is no index of the mapping.
    """
    has_objects, split = has_image(frames), frames.is_split
    rows = np.nonzero(has_objects & ~split)[0]
    labels, at = labels_in_place(frames, rows)
    counts = (label_counts(frames)[rows] - layout.header) // layout.width
    ends = np.cumsum(counts)
    # Of each object which it is of its record: 0, 1 and so on.
    number_of = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    places = np.repeat(at + layout.header, counts) + layout.width * number_of
    labels[places] = mapped(labels[places], mapping, np.repeat(frames.keys[rows], counts), name)
    payloads = {}
    for row in np.nonzero(has_objects & split)[0].tolist():
        payload = bytearray(frames.payload(row))
        classes = payload_labels(payload)[layout.header :: layout.width]
        classes[:] = mapped(classes, mapping, np.repeat(frames.keys[row], len(classes)), name)
        payloads[row] = bytes(payload)
    return with_payloads(frames, payloads)
