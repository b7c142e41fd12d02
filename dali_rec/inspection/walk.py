"""From record to record through a .rec file, past whatever is damaged in it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec.errors import RecordError
from dali_rec.recordio.framing import find_record, without_hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.recordio import RecordReader


class Gap(NamedTuple):
    """A stretch of the file, from ``start`` to ``stop``, in which no whole record begins, and what is wrong there."""

    start: int
    stop: int
    message: str


class Walk(NamedTuple):
    """The offsets of all whole records, int64 of shape (N,) and ascending, and the gaps between them."""

    offsets: NDArray[np.int64]
    gaps: tuple[Gap, ...]


def walk(reader: RecordReader) -> Walk:
    """Find the whole records of a file by their heads alone."""
    offsets, gaps = array("q"), []
    offset, size, name = 0, reader.size, str(reader.path)
    end_of = reader.end_of
    while offset < size:
        try:
            following = end_of(offset)
        except RecordError as error:
            found = find_record(reader.buffer, offset + 4, name)
            gaps.append(Gap(offset, size if found is None else found, short_reason(error, name)))
            if found is None:
                break
            offset = found
            continue
        offsets.append(offset)
        offset = following
    return Walk(np.frombuffer(offsets, np.int64) if offsets else np.zeros(0, np.int64), tuple(gaps))


def short_reason(error: RecordError, name: str) -> str:
    """What an error says beyond the file's name and the advice to verify it, for those who are doing just that."""
    return without_hint(error).removeprefix(f"{name}: ")
