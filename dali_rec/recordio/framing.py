"""RecordIO framing: how payloads lie one after another in a .rec file.

A record is one or more parts. A part is

    u32 magic 0xced7230a · u32 (cflag << 29 | length) · ``length`` bytes · zero padding to a multiple of 4

all little-endian. cflag 0 is a whole record; 1, 2, 3 are the first, a middle and the last part of a record that was
split. A writer splits wherever the magic stands at a 4-aligned offset of the payload, and leaves those four bytes out;
a reader puts them back between the parts. So the magic never stands 4-aligned in a file except at the head of a part,
and a reader can find its place again from anywhere. (dmlc-core, src/recordio.cc.)
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec.errors import CorruptRecordError, RecordError, TruncatedRecordError, UnwritableRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
MAX_RECORD_LENGTH = (1 << 29) - 1
HEAD = struct.Struct("<II")

_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_WINDOW = 1 << 20  # bytes, a multiple of 4
_HINT = "'dali-rec verify "

Buffer = bytes | bytearray | memoryview


class Part(NamedTuple):
    """One part of a record, by where its payload lies in the file."""

    cflag: int
    start: int
    length: int

    @property
    def end(self) -> int:
        """Offset of the next part: past the payload and its padding."""
        return self.start + self.length + (-self.length & 3)


def aligned_magics(payload: Buffer) -> list[int]:
    """Offsets in ``payload``, multiples of 4, at which the magic stands."""
    # Not by bytes.find, which holds Python's lock and looks at every offset.
    words = np.frombuffer(payload, dtype="<u4", count=len(payload) // 4)
    return [4 * int(word) for word in np.flatnonzero(words == MAGIC)]


def frame(payload: Buffer) -> list[Buffer]:
    """Frame one payload as the chunks to write, in order.

    Raises UnwritableRecordError if the payload has 2^29 bytes or more, the most that the length field can say.
    """
    size = len(payload)
    if size > MAX_RECORD_LENGTH:
        raise UnwritableRecordError(
            f"a record of {size} bytes: RecordIO holds at most {MAX_RECORD_LENGTH} bytes a record; "
            "store a smaller image (dali-rec pack --resize)"
        )
    splits = aligned_magics(payload)
    starts = [0, *(at + 4 for at in splits)]
    ends = [*splits, size]
    view = memoryview(payload)
    chunks: list[Buffer] = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        chunks += (HEAD.pack(MAGIC, _cflag(number, len(starts)) << 29 | (end - start)), view[start:end])
    padding = -(size - starts[-1]) & 3  # the earlier parts end at aligned offsets
    if padding:
        chunks.append(bytes(padding))
    return chunks


def _cflag(number: int, count: int) -> int:
    if count == 1:
        return _WHOLE
    if number == 0:
        return _FIRST
    return _LAST if number == count - 1 else _MIDDLE


def record_parts(buffer: Buffer, offset: int, name: str) -> Iterator[Part]:
    """The parts of the record at ``offset``, touching only their heads; ``name`` is the file's, for messages."""
    first = part = _part_at(buffer, offset, name)
    if first.cflag not in (_WHOLE, _FIRST):
        raise CorruptRecordError(
            f"{name}: offset {offset} is inside a record (continuation flag {first.cflag}), not at its beginning; "
            f"rebuild the index with 'dali-rec index {name}'"
        )
    yield part
    while part.cflag in (_FIRST, _MIDDLE):
        part = _part_at(buffer, part.end, name, record=offset)
        if part.cflag not in (_MIDDLE, _LAST):
            raise CorruptRecordError(
                f"{name}: the record at offset {offset} is split but its part at offset {part.start - HEAD.size} has "
                f"continuation flag {part.cflag}; {_repair_hint(name)}"
            )
        yield part


def next_record(buffer: Buffer, offset: int, name: str) -> int:
    """Offset just past the record at ``offset``, touching only its heads."""
    # The common case first and by hand: walking a file of a million records is this function alone.
    try:
        magic, word = HEAD.unpack_from(buffer, offset)
    except struct.error:
        magic = word = 0
    if magic == MAGIC and word < 1 << 29:
        end = offset + HEAD.size + word + (-word & 3)
        if end <= len(buffer):
            return end  # type: ignore[no-any-return]  # struct returns Any
    for part in record_parts(buffer, offset, name):
        offset = part.end
    return offset


def read_record(buffer: Buffer, offset: int, name: str) -> memoryview:
    """The payload of the record at ``offset``: a view into ``buffer``, or into a joined copy if the record is split."""
    view = memoryview(buffer)
    parts = list(record_parts(buffer, offset, name))
    pieces = [view[part.start : part.start + part.length] for part in parts]
    if len(pieces) == 1:
        return pieces[0]
    return memoryview(MAGIC_BYTES.join(pieces))


def find_record(buffer: Buffer, offset: int, name: str) -> int | None:
    """Offset of the first whole record at or after ``offset`` whose heads hold together, or None: for salvage."""
    view = memoryview(buffer)
    for start in range(offset + (-offset & 3), len(view), _WINDOW):
        for at in aligned_magics(view[start : start + _WINDOW]):
            with contextlib.suppress(RecordError):
                next_record(buffer, start + at, name)
                return start + at
    return None


def _part_at(buffer: Buffer, offset: int, name: str, record: int | None = None) -> Part:
    size = len(buffer)
    where = f"offset {offset}" if record is None else f"offset {offset} (part of the record at {record})"
    if offset < 0 or offset + HEAD.size > size:
        raise TruncatedRecordError(
            f"{name}: no record head at {where}: the file has {size} bytes; it was cut short, or the index belongs to "
            f"another file; {_repair_hint(name)}"
        )
    magic, word = HEAD.unpack_from(buffer, offset)
    if magic != MAGIC:
        raise CorruptRecordError(
            f"{name}: bad magic number 0x{magic:08x} at {where}, expected 0x{MAGIC:08x}: the file is damaged or is not "
            f"RecordIO, or the index belongs to another file; {_repair_hint(name)}"
        )
    cflag, length = word >> 29, word & MAX_RECORD_LENGTH
    part = Part(cflag, offset + HEAD.size, length)
    if cflag > _LAST:
        raise CorruptRecordError(f"{name}: unknown continuation flag {cflag} at {where}; {_repair_hint(name)}")
    if part.end > size:
        raise TruncatedRecordError(
            f"{name}: the record at {where} says {length} bytes, but the file ends at {size}: it was cut short; "
            f"{_repair_hint(name)}"
        )
    return part


def _repair_hint(name: str) -> str:
    return f"{_HINT}{name}' lists what is wrong with it, --repair leaves it out"


def without_hint(error: RecordError) -> str:
    """What an error says but for the advice to verify the file: for who gives other advice, or is doing just that."""
    return str(error).partition(f"; {_HINT}")[0]
