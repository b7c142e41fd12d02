"""Reading the headers of the records of a .rec file, of many at a time: nothing is decoded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.errors import RecordError
from dali_rec.inspection.headers import NO_HEADER, NO_IMAGE, NO_RECORD, RecordHeaders
from dali_rec.inspection.image_headers import Images, read_image_headers
from dali_rec.recordio.framing import HEAD, MAGIC, MAX_RECORD_LENGTH
from dali_rec.recordio.header import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dali_rec.recordio import RecordReader

_ROWS_AT_ONCE = 65536


def scan_headers(reader: RecordReader, offsets: NDArray[np.int64]) -> Iterator[RecordHeaders]:
    """The headers of the records at these offsets of a file, in that order, some ten thousand at a time."""
    for at in range(0, len(offsets), _ROWS_AT_ONCE):
        yield _scan(reader, offsets[at : at + _ROWS_AT_ONCE])


def _scan(reader: RecordReader, offsets: NDArray[np.int64]) -> RecordHeaders:
    headers = RecordHeaders.blank(len(offsets))
    if not reader.size:
        return headers
    words = np.frombuffer(reader.buffer, "<u4", reader.size // 4)
    data = np.frombuffer(reader.buffer, np.uint8)
    (rows,) = np.nonzero((offsets >= 0) & (offsets & 3 == 0) & (offsets + HEAD.size <= reader.size))
    rows = rows[words[offsets[rows] >> 2] == MAGIC]
    second = words[(offsets[rows] >> 2) + 1]
    length = (second & MAX_RECORD_LENGTH).astype(np.int64)
    fits = offsets[rows] + HEAD.size + length <= reader.size
    split = rows[fits & (second >> 29 == 1)]  # the records that hold the magic, a handful in a million
    whole = fits & (second >> 29 == 0)
    _scan_whole(headers, words, data, rows[whole], offsets[rows[whole]], length[whole])
    for row in split.tolist():
        _scan_split(headers, row, reader, int(offsets[row]))
    return headers


def _scan_whole(
    headers: RecordHeaders,
    words: NDArray[np.uint32],
    data: NDArray[np.uint8],
    rows: NDArray[np.intp],
    offsets: NDArray[np.int64],
    length: NDArray[np.int64],
) -> None:
    """Records in one part, whose heads are at ``offsets`` and whose payloads have these lengths."""
    headers.outcome[rows] = NO_HEADER
    has_header = length >= HEADER.size
    rows, offsets, length = rows[has_header], offsets[has_header], length[has_header]
    flag = words[(offsets >> 2) + 2]
    before = HEADER.size + 4 * flag.astype(np.int64)
    holds = before <= length  # else the header promises more labels than there is room for
    rows, offsets, length, flag, before = (part[holds] for part in (rows, offsets, length, flag, before))
    headers.outcome[rows] = NO_IMAGE
    headers.flag[rows] = flag
    id_at = (offsets >> 2) + 4
    headers.key[rows] = words[id_at].astype(np.uint64) | words[id_at + 1].astype(np.uint64) << np.uint64(32)
    headers.label_at[rows] = offsets + np.where(flag > 0, HEAD.size + HEADER.size, HEAD.size + 4)
    headers.size[rows] = length - before
    images = Images(data, rows, offsets + HEAD.size + before, offsets + HEAD.size + length)
    read_image_headers(headers, images.where(length > before))


def _scan_split(headers: RecordHeaders, row: int, reader: RecordReader, offset: int) -> None:
    """A record of several parts: put together, and scanned as a file of its own."""
    try:
        payload = bytes(reader.read_at(offset))
    except RecordError:
        return
    head = struct.pack("<II", MAGIC, len(payload))
    data = np.frombuffer(head + payload + bytes(-len(payload) & 3), np.uint8)
    rows = np.array([row])
    _scan_whole(headers, data.view("<u4"), data, rows, np.array([0]), np.array([len(payload)]))
    if headers.outcome[row] in (NO_HEADER, NO_RECORD):
        return
    # The labels lie in the first part, or DALI could not read the record either; where they do not, none are shown.
    first_part = int(np.frombuffer(reader.buffer, "<u4", 1, offset + 4)[0]) & MAX_RECORD_LENGTH
    fits = first_part >= HEADER.size + 4 * int(headers.flag[row])
    headers.label_at[row] = headers.label_at[row] + offset if fits else -1
