"""InsightFace's train.rec: which records are faces, and which images belong to which identity.

Such a file numbers its images 1…N. Record 0 is a header without an image: flag 2, labels [N+1, N+1+I]. The records
N+1…N+I are identities, without an image as well: flag 2, labels [first, end) of the image ids of each. (face2rec2 of
deepinsight/insightface; its readers take the ids 1…N from record 0.)

The ids in labels are float32, exact only up to 2^24, and there are sets of 40 million images. So the labels are only
compared with; ids come from the .idx, and the images end at the first record without one, near the id that is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import parse_int
from dali_rec.errors import RecordError
from dali_rec.recordio.framing import HEAD, MAGIC
from dali_rec.recordio.header import HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.recordio import Index, RecordReader

MAX_EXACT_ID = 1 << 24
_FLAG = 2
_BARE_BYTES = HEADER.size + 4 * _FLAG
_BARE_WORDS = (HEAD.size + _BARE_BYTES) // 4


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """The identity table of a face set: the image ids of identity ``i`` run from ``first[i]`` to ``end[i] - 1``.

    ``ids``, ``first``, ``end``: int64 of shape (I,); ``ids`` are those of the identity records.
    """

    ids: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class FaceLayout:
    """The rows of an index, as it lies, that are images, and those that are identities in the order of their ids."""

    images: NDArray[np.intp]
    identities: NDArray[np.intp]


def find_bare(reader: RecordReader, index: Index) -> frozenset[int]:
    """Offsets of the records of a face set that have no image, its header and identities; none in other files.

    index: sorted by offset.
    """
    faces = find_faces(reader, index)
    if faces is None:
        return frozenset()
    return frozenset(np.delete(index.offsets, faces.images).tolist())


def count_images(reader: RecordReader, index: Index) -> int:
    """How many records of an index, sorted by offset, are samples."""
    return len(index) - len(find_bare(reader, index))


def find_faces(reader: RecordReader, index: Index) -> FaceLayout | None:
    """The layout of a face set, or None for any other file.

    Looks at record 0 and, if that is like a header, at a few more. A file is a face set if record 0 has flag 2, two
    whole numbers and no image, and if the records with the ids that it names, the first identity and the last, are like
    identities. From 2^24 up float32 makes one number of several ids; then the first of these without an image counts.
    So a record 0 that has lost its image does not hide the end of an ordinary set with two labels a record.
    """
    zeros = np.nonzero(index.keys == 0)[0]
    if len(zeros) != 1:
        return None
    named = _bare_labels(reader, int(index.offsets[zeros[0]]))
    if named is None or not 2 <= named[0] <= named[1]:  # equal where float32 rounds them so
        return None
    order = np.arange(len(index)) if (np.diff(index.keys) > 0).all() else np.argsort(index.keys, kind="stable")
    order = order[int(np.searchsorted(index.keys[order], 1)) :]
    keys = index.keys[order]
    if not len(keys) or np.float32(int(keys[-1]) + 1) != named[1]:
        return None
    low = _first_identity(reader, keys, index.offsets[order], named[0])
    if not low or _bare_labels(reader, int(index.offsets[order[-1]])) is None:
        return None
    return FaceLayout(np.sort(order[:low]), order[low:])


def _first_identity(
    reader: RecordReader, keys: NDArray[np.int64], offsets: NDArray[np.int64], named: np.float32
) -> int | None:
    """The first of the rows whose id float32 makes ``named`` that has no image; below 2^24 there is but one such id."""
    step = np.spacing(named)
    low, high = np.searchsorted(keys, [int(named - step), int(named + step) + 1])
    rows = (int(row) for row in range(low, high) if np.float32(keys[row]) == named)
    return next((row for row in rows if _bare_labels(reader, int(offsets[row])) is not None), None)


def _bare_labels(reader: RecordReader, offset: int) -> tuple[np.float32, np.float32] | None:
    """The two labels of a record that has two whole numbers for labels and no image; None for any other record."""
    if offset + HEAD.size + HEADER.size > reader.size:
        return None
    try:
        record = reader.record_at(offset)
    except RecordError:
        return None
    labels = record.labels
    if len(record.image) or len(labels) != _FLAG or HEADER.unpack_from(reader.read_at(offset))[0] != _FLAG:
        return None
    if not (np.isfinite(labels).all() and (labels == np.floor(labels)).all() and labels[0] >= 0):
        return None
    return labels[0], labels[1]


def stored_ranges(reader: RecordReader, offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """The labels of the identity records at these offsets, float32 of shape (I, 2): rounded from 2^24 up.

    Raises RecordError for a damaged record and one that is no identity.
    """
    data = np.frombuffer(reader.buffer, dtype="<u4")[: reader.size // 4]
    words = offsets >> 2
    inside = (offsets & 3 == 0) & (words + _BARE_WORDS <= len(data))
    bad = ~inside
    bad[inside] = (data[words[inside, np.newaxis] + np.arange(3)] != (MAGIC, _BARE_BYTES, _FLAG)).any(axis=1)
    if bad.any():
        offset = int(offsets[int(bad.argmax())])
        reader.record_at(offset)  # says what is wrong, if it is damaged
        raise RecordError(
            f"{reader.path}: the record at offset {offset} is no identity, which has two labels and no image; "
            f"'dali-rec verify {reader.path}' lists what is wrong"
        )
    ranges: NDArray[np.float32] = data[words[:, np.newaxis] + (_BARE_WORDS - 2, _BARE_WORDS - 1)].view("<f4")
    return ranges


def exact_ranges(
    stored: NDArray[np.float32], ids: NDArray[np.int64], classes: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """The ranges of the identities as whole numbers, int64 of shape (I, 2), or None where rounding cannot be undone.

    ids, classes: of all images, in ascending order of the ids. ``classes`` is wanted where ranges go beyond 2^24: the
    images of an identity follow one another and have one class, so identity ``i`` is the ``i``-th run of equal classes,
    and each run must round to what is stored.
    """
    if not (stored > MAX_EXACT_ID - 1).any():
        return stored.astype(np.int64)
    if classes is None or len(ids) == 0:
        return None
    starts = np.concatenate([[0], np.nonzero(np.diff(classes))[0] + 1])
    stops = np.concatenate([starts[1:], [len(ids)]])
    if len(starts) != len(stored):
        return None
    ranges = np.stack([ids[starts], ids[stops - 1] + 1], axis=1)
    return ranges if np.array_equal(ranges.astype(np.float32), stored) else None


def read_property(rec: Path) -> tuple[int, int, int] | None:
    """Classes, height and width from the file ``property`` beside a face set; None where there is none that says so."""
    try:
        with rec.with_name("property").open("rb") as file:
            fields = file.readline(200).decode("ascii").strip().split(",")
        classes, height, width = map(parse_int, fields)
    except (OSError, ValueError):
        return None
    return (classes, height, width) if min(classes, height, width) > 0 else None
