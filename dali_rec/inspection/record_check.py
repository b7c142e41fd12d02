"""The check of single records: header and image, by threads or processes, in the order of the file."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dali_rec.box_layout import box_layout
from dali_rec.errors import ImageRejectedError, RecordError
from dali_rec.images import MAX_PIXELS, check_image
from dali_rec.inspection.walk import short_reason
from dali_rec.recordio import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec._workers import Pending, Workers
    from dali_rec.manifest import LabelKind
    from dali_rec.recordio import Record

_RECORDS_AT_ONCE = 16


class LabelRule(NamedTuple):
    """What a manifest promises of labels: how many a record (0: any number), of which kind, and of how many classes."""

    width: int
    kind: LabelKind
    classes: int | None

    def broken_by(self, labels: NDArray[np.float32]) -> str | None:
        """What is wrong with the labels of a record, or None."""
        if self.width and len(labels) != self.width:
            return f"it has {len(labels)} labels, the manifest says {self.width}"
        if np.isnan(labels).any():
            return "a label is not a number (NaN)"
        if self.kind == "boxes":
            return self._boxes_broken_by(labels)
        if self.kind == "class":
            label = float(labels[0])
            if not label.is_integer() or label < 0:
                return f"its label {label:g} is no class index"
            if self.classes is not None and label >= self.classes:
                return f"its label {label:g} is not among the {self.classes} classes of the manifest"
        return None

    def _boxes_broken_by(self, labels: NDArray[np.float32]) -> str | None:
        layout = box_layout(labels)
        if layout is None:
            return f"its {len(labels)} labels are no boxes: expected [header width, object width, …, objects]"
        names = labels[layout.header :: layout.width]
        if self.classes is not None and ((names < 0) | (names >= self.classes) | (names != np.floor(names))).any():
            return f"an object's class is not among the {self.classes} of the manifest"
        return None


class CheckOptions(NamedTuple):
    """How thoroughly to look, and at what.

    decode: every image in full, else its header. hash_images: for finding duplicates. labels: what they must be.
    max_pixels: as in packing.
    """

    decode: bool = True
    hash_images: bool = True
    labels: LabelRule | None = None
    max_pixels: int = MAX_PIXELS


class Checked(NamedTuple):
    """A record that was checked.

    key: its id, or None where its header cannot be read. fault: "header", "image", or None where it is sound; reason:
    what is wrong. empty_labels: the labels, if it has no image at all. digest: 128 bits of the image's BLAKE2b, and
    label_digest 64 bits of the labels', or both 0.
    """

    offset: int
    key: int | None
    fault: Literal["header", "image"] | None = None
    reason: str = ""
    empty_labels: tuple[float, ...] | None = None
    digest: tuple[int, int] = (0, 0)
    label_digest: int = 0


class Checking:
    """Checks records; a request is the path of a .rec and offsets, its answer a list of Checked. See Work."""

    remedy = "if it is memory that was short, take fewer --workers"

    def __init__(self, options: CheckOptions) -> None:
        self._options = options
        self._reader: RecordReader | None = None  # of the file that is being checked

    def read(self, request: tuple[Path, list[int]]) -> tuple[RecordReader, list[int]]:
        """Open the file, unless it is open."""
        path, offsets = request
        reader = self._reader
        if reader is None or reader.path != path:
            reader = self._reader = RecordReader(path)
        return reader, offsets

    def do(self, found: tuple[RecordReader, list[int]]) -> list[Checked]:
        """Check the records."""
        reader, offsets = found
        return [check_record(reader, offset, self._options) for offset in offsets]


def check_records(path: Path, offsets: NDArray[Any], workers: Workers) -> Iterator[Checked]:
    """Check the records at these offsets, at which whole records begin; yields them in order."""
    pending: deque[Pending] = deque()
    for at in range(0, len(offsets), _RECORDS_AT_ONCE):
        pending.append(workers.begin((path, offsets[at : at + _RECORDS_AT_ONCE].tolist())))
        if len(pending) * _RECORDS_AT_ONCE >= workers.ahead:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()


def check_record(reader: RecordReader, offset: int, options: CheckOptions) -> Checked:
    """Check the record at ``offset``, at which a whole record begins."""
    try:
        record = reader.record_at(offset)
    except RecordError as error:
        return Checked(offset, None, "header", short_reason(error, str(reader.path)))
    if not len(record.image):
        return Checked(offset, record.key, "image", "the record has no image", tuple(record.labels[:3].tolist()))
    wrong = None if options.labels is None else options.labels.broken_by(record.labels)
    if wrong is not None:
        return Checked(offset, record.key, "header", wrong)
    digest, label_digest = _digests(record) if options.hash_images else ((0, 0), 0)
    try:
        check_image(record.image, options.max_pixels, decode=options.decode)
    except ImageRejectedError as error:
        return Checked(offset, record.key, "image", str(error))
    return Checked(offset, record.key, digest=digest, label_digest=label_digest)


def _digests(record: Record) -> tuple[tuple[int, int], int]:
    image = hashlib.blake2b(record.image, digest_size=16).digest()
    labels = hashlib.blake2b(record.labels.tobytes(), digest_size=8).digest()
    return (int.from_bytes(image[:8], "little"), int.from_bytes(image[8:], "little")), int.from_bytes(labels, "little")
