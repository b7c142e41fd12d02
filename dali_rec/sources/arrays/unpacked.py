"""Arrays that are compressed as a whole, or in chunks of many rows: read on from where they were left."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.layout import MOST_KEPT, Packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.sources.arrays.layout import ImageArray
    from dali_rec.sources.open_file import OpenFile

_BLOCK = 1 << 20
_READ_AT_ONCE = 1 << 18
_MOST_MARKS = 256  # of about 50 KB each


class _Blocks(Protocol):
    """What unpacks: runs of rows by their number."""

    def up_to(self, number: int) -> Iterator[tuple[int, bytes]]:
        """A block, and before it those that had to be unpacked for it, each with its number."""


class UnpackedRows:
    """The images of an array in blocks of ``rows``, for many threads; those that were unpacked last are kept."""

    def __init__(self, array: ImageArray, rows: int, blocks: _Blocks) -> None:
        self._array = array
        self._rows = rows
        self._blocks = blocks
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._most = max(2, -(-MOST_KEPT // (rows * array.step)))

    def read(self, row: int) -> bytes:
        """The image in a row. Raises SourceError where it cannot be unpacked."""
        number, at = divmod(row, self._rows)
        with self._lock:
            if number not in self._kept:
                for passed, data in self._blocks.up_to(number):
                    self._kept[passed] = data
                    if len(self._kept) > self._most:
                        self._kept.popitem(last=False)
            block = self._kept[number]
        step = self._array.step
        return block[at * step : (at + 1) * step]


def rows_of_block(array: ImageArray, multiple: int = 1) -> int:
    """How many images are unpacked at a time: about a megabyte, and so many or a multiple of it."""
    return multiple * max(1, _BLOCK // (array.step * multiple))


def unpack(path: str, file: OpenFile, array: ImageArray) -> UnpackedRows:
    """The images of an array that is deflated, in a .npz or a .gz."""
    rows = rows_of_block(array)
    return UnpackedRows(array, rows, _Inflated(path, file, array, rows))


class _Inflated:
    """Blocks that are inflated one after another. For what lies before, it is gone back to the last mark before that.

    Not every block is asked for: several processes share the images, and each inflates all. Those that are passed are
    given too, as other threads may be about to ask for them.
    """

    def __init__(self, path: str, file: OpenFile, array: ImageArray, rows: int) -> None:
        assert isinstance(array.packed, Packed)
        self._where = f"{path}, {array.member}" if array.member else path
        self._file = file
        self._array = array
        self._packed = array.packed
        self._rows = rows
        count = -(-array.count // rows)
        self._between = -(-count // _MOST_MARKS)
        self._next = 0
        self._state = _State(zlib.decompressobj(array.packed.window))
        self._marks: dict[int, _State] = {}

    def up_to(self, number: int) -> Iterator[tuple[int, bytes]]:
        """See _Blocks."""
        try:
            yield from self._up_to(number)
        except (zlib.error, ValueError, OSError) as error:
            first = self._next * self._rows
            raise SourceError(
                f"{self._where}: cannot be unpacked from about image {first:,} on ({error}), and "
                "those before may be damaged; get it anew"
            ) from None

    def _up_to(self, number: int) -> Iterator[tuple[int, bytes]]:
        if not self._marks:
            self._take(self._array.start)
            self._marks[0] = self._state.copy()
        at = max(mark for mark in self._marks if mark <= number)
        if number < self._next or at > self._next:
            self._state, self._next = self._marks[at].copy(), at
        while self._next <= number:
            if self._next % self._between == 0 and self._next not in self._marks:
                self._marks[self._next] = self._state.copy()
            first = self._next * self._rows
            rows = min(self._rows, self._array.count - first)
            data = self._take(rows * self._array.step)
            self._next += 1
            if first + rows == self._array.count:
                self._check_end()
            yield self._next - 1, data

    def _take(self, size: int) -> bytes:
        """The next bytes. Raises ValueError where there are fewer."""
        taken = bytearray()
        while len(taken) < size:
            piece = self._inflate(size - len(taken))
            if piece is None:
                raise ValueError("it ends too early")
            taken += piece
        return bytes(taken)

    def _inflate(self, most: int) -> bytes | None:
        """Some more bytes, None at the end. Raises ValueError where the file ends before what it holds."""
        state = self._state
        if state.inflater.eof:
            return None
        data = state.inflater.unconsumed_tail
        if not data:
            size = min(_READ_AT_ONCE, self._packed.size - state.read)
            data = self._file.read(self._packed.start + state.read, size)
            state.read += size
        piece: bytes = state.inflater.decompress(data, most)
        if not data and not piece and not state.inflater.eof:
            raise ValueError("it was cut off")
        if self._packed.checksum is not None:
            state.checksum = zlib.crc32(piece, state.checksum)
        return piece

    def _check_end(self) -> None:
        """Raise ValueError where more follows, or the checksum is another; zlib checks that of a .gz."""
        while (piece := self._inflate(_READ_AT_ONCE)) is not None:
            if piece:
                raise ValueError("more follows than its header says")
        if self._packed.checksum is not None and self._state.checksum != self._packed.checksum:
            raise ValueError("its checksum is another")


@dataclass(slots=True)
class _State:
    """How far unpacking has come: zlib's state, the bytes that it was given, and the checksum of what came out."""

    inflater: Any
    read: int = 0
    checksum: int = 0

    def copy(self) -> _State:
        return _State(self.inflater.copy(), self.read, self.checksum)
