"""Image headers of many records at a time: their labels, and the same records under other ids or labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.errors import DatasetError, UnwritableRecordError
from dali_rec.recordio.framing import HEAD, MAGIC, frame
from dali_rec.recordio.header import HEADER, unpack_header
from dali_rec.recordio.index import signed, unsigned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.arrange.frames import Frames

# In words of four bytes from the head of a frame: magic, length, flag, label, id, id2, labels.
_LENGTH, _FLAG, _LABEL, _ID, _LABELS = 1, 2, 3, 4, 8
_WORD = 0xFFFFFFFF

#: For each column of labels the new number of each old one, int64, or None where the column stays.
LabelMaps = tuple["NDArray[np.int64] | None", ...]


def label_counts(frames: Frames) -> NDArray[np.int64]:
    """Labels that each record has, int64 of shape (N,)."""
    flags = frames.words[(frames.starts >> 2) + _FLAG].astype(np.int64)
    for number in np.nonzero(frames.is_split)[0].tolist():
        flags[number] = unpack_header(frames.payload(number), "")[0].flag
    counts: NDArray[np.int64] = np.maximum(flags, 1)
    return counts


def header_ids(frames: Frames) -> NDArray[np.int64]:
    """The id in the header of each record, int64 of shape (N,), wrapped as the keys of an Index are."""
    words, at = frames.words, frames.starts >> 2
    ids: NDArray[np.int64] = words[at + _ID].astype(np.int64) | words[at + _ID + 1].astype(np.int64) << 32
    for number in np.nonzero(frames.is_split)[0].tolist():
        ids[number] = signed(unpack_header(frames.payload(number), "")[0].id)
    return ids


def first_labels(frames: Frames) -> NDArray[np.float32]:
    """The first label of each record, float32 of shape (N,)."""
    at = frames.starts >> 2
    words = frames.words
    behind = (words[at + _FLAG] > 0) & ~frames.is_split
    labels: NDArray[np.float32] = words[at + np.where(behind, _LABELS, _LABEL)].view("<f4").astype(np.float32)
    for number in np.nonzero(frames.is_split)[0].tolist():
        labels[number] = unpack_header(frames.payload(number), "")[0].labels[0]
    return labels


def all_labels(frames: Frames, number: int) -> NDArray[np.float32]:
    """The labels of one record, float32 of shape (labels,)."""
    return unpack_header(frames.payload(number), "")[0].labels


def labels_in_place(frames: Frames, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The bytes of all frames as float32, and where in them the labels of these records begin, which must be whole."""
    at = frames.starts[rows] >> 2
    behind = frames.words[at + _FLAG] > 0
    return frames.words.view("<f4"), np.where(behind, at + _LABELS, at + _LABEL)


def payload_labels(payload: bytearray) -> NDArray[np.float32]:
    """The labels in the payload of a record, to be changed in place: float32 of shape (labels,)."""
    (flag,) = HEADER.unpack_from(payload)[:1]
    return np.frombuffer(payload, "<f4", flag or 1, offset=HEADER.size if flag else 4)


def images(frames: Frames) -> list[memoryview]:
    """The encoded image of each record; empty where it has none."""
    words, at = frames.words, frames.starts >> 2
    payloads = frames.starts + HEAD.size
    starts = payloads + HEADER.size + 4 * words[at + _FLAG].astype(np.int64)
    ends = payloads + words[at + _LENGTH].astype(np.int64)
    view = frames.data.data
    found = [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    for number in np.nonzero(frames.is_split)[0].tolist():
        found[number] = unpack_header(frames.payload(number), "")[1]
    return found


def has_image(frames: Frames) -> NDArray[np.bool_]:
    """Which records have anything behind their labels, as InsightFace's records of identities do not."""
    words, at = frames.words, frames.starts >> 2
    found: NDArray[np.bool_] = words[at + _LENGTH] > HEADER.size + 4 * words[at + _FLAG].astype(np.int64)
    for number in np.nonzero(frames.is_split)[0].tolist():
        found[number] = len(unpack_header(frames.payload(number), "")[1]) > 0
    return found


def with_ids(frames: Frames, ids: NDArray[np.int64]) -> Frames:
    """The same records under other ids; the bytes are changed in place.

    Raises UnwritableRecordError for an id at which the record would be split, see ``pack_header``.
    """
    unwritable = ids[((ids & _WORD) == MAGIC) | ((ids >> 32 & _WORD) == MAGIC)]
    if len(unwritable):
        raise UnwritableRecordError(
            f"id {unsigned(int(unwritable[0]))} holds the bytes of RecordIO's magic number, at which DALI cannot read "
            "a record; keep the ids, or merge fewer records"
        )
    frames, split = replace(frames, keys=ids), frames.is_split
    whole = np.nonzero(~split)[0]
    at = (frames.starts[whole] >> 2) + _ID
    frames.words[at] = (ids[whole] & _WORD).astype(np.uint32)
    frames.words[at + 1] = (ids[whole] >> 32 & _WORD).astype(np.uint32)
    payloads = {}
    for number in np.nonzero(split)[0].tolist():
        payload = bytearray(frames.payload(number))
        payload[8:16] = int(ids[number]).to_bytes(8, "little", signed=True)
        payloads[number] = bytes(payload)
    return with_payloads(frames, payloads)


def with_labels(frames: Frames, maps: LabelMaps, name: str) -> Frames:
    """The same records with labels renumbered, column for column; records without an image keep theirs.

    The bytes are changed in place. Raises DatasetError, naming the data set, for a label that is no index of a map.
    """
    has_maps = has_image(frames)
    counts = label_counts(frames)
    split = frames.is_split
    simple = has_maps & ~split
    payloads = {number: bytearray(frames.payload(number)) for number in np.nonzero(has_maps & split)[0].tolist()}
    for column, mapping in enumerate(maps):
        if mapping is None:
            continue
        rows = np.nonzero(simple & (counts > column))[0]
        at = frames.starts[rows] >> 2
        floats = frames.words.view("<f4")
        behind = frames.words[at + _FLAG] > 0
        places = np.where(behind, at + _LABELS + column, at + _LABEL)
        old = floats[places]
        new = mapped(old, mapping, frames.keys[rows], name)
        # The C++ im2rec repeats the first label in the header, mx.recordio.pack writes 0 there.
        repeated = behind & (floats[at + _LABEL] == old) & (old != 0) if column == 0 else np.zeros(len(rows), bool)
        floats[places] = new
        floats[at[repeated] + _LABEL] = new[repeated]
        for number, payload in payloads.items():
            _map_payload(payload, column, mapping, frames.keys[number : number + 1], name)
    return with_payloads(frames, {number: bytes(payload) for number, payload in payloads.items()})


def _map_payload(
    payload: bytearray, column: int, mapping: NDArray[np.int64], key: NDArray[np.int64], name: str
) -> None:
    (flag,) = np.frombuffer(payload, "<u4", 1)
    if max(int(flag), 1) <= column:
        return
    labels = payload_labels(payload)
    header_label = np.frombuffer(payload, "<f4", 1, offset=4)
    repeats = bool(flag) and column == 0 and header_label[0] == labels[0] != 0
    new = mapped(labels[column : column + 1], mapping, key, name)
    labels[column : column + 1] = new
    if repeats:
        header_label[:] = new


def mapped(
    labels: NDArray[np.float32], mapping: NDArray[np.int64], keys: NDArray[np.int64], name: str
) -> NDArray[np.float32]:
    """The new numbers of classes, given as the labels of records with these ids: float32 of shape (N,).

    Raises DatasetError, naming the data set ``name`` and the record, for a label that is no index of ``mapping``.
    """
    with np.errstate(invalid="ignore"):
        indices = labels.astype(np.int64)
    wrong = (indices != labels) | (indices < 0) | (indices >= len(mapping))
    if wrong.any():
        at = int(wrong.argmax())
        raise DatasetError(
            f"{name}: the record with id {unsigned(int(keys[at]))} has the label {labels[at]:g}, which none of the "
            f"{len(mapping)} class names stands for; take such records out first: 'dali-rec split {name} …' by --class "
            "or --ids"
        )
    return mapping[indices].astype(np.float32)


def with_payloads(frames: Frames, payloads: dict[int, bytes]) -> Frames:
    """The frames with some payloads replaced, framed anew behind the others."""
    if not payloads:
        return frames
    pieces: list[NDArray[np.uint8]] = [frames.data]
    position = len(frames.data) + (-len(frames.data) & 3)
    if position > len(frames.data):
        pieces.append(np.zeros(position - len(frames.data), np.uint8))
    starts, ends = frames.starts.copy(), frames.ends.copy()
    for number, payload in payloads.items():
        framed = b"".join(frame(payload))
        pieces.append(np.frombuffer(framed, np.uint8))
        starts[number], ends[number] = position, position + len(framed)
        position += len(framed)
    return replace(frames, data=np.concatenate(pieces), starts=starts, ends=ends)
