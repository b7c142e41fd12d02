"""The records of a TFRecord file, and the features in them, without the bytes of the images.

A record is its length in 8 bytes, the checksum of these in 4, the data, and the checksum of the data in 4, all little
endian. (tensorflow/core/lib/io/record_writer.h.) The first checksum is looked at here, the second when an image is
read, with all that is in the record.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._files import open_regular, read_at
from dali_rec.errors import SourceError
from dali_rec.sources.git_lfs import IS_POINTER, is_pointer
from dali_rec.sources.tfrecord.example import ExampleError, Feature, Span, Window, read_example

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_HEADER = struct.Struct("<QI")
_LENGTH_BYTES = 8
_FOOTER = struct.Struct("<I")
_AROUND = _HEADER.size + _FOOTER.size
_GZIP = b"\x1f\x8b"
_UNPACK = {
    "GZIP": "gunzip",
    "ZLIB": 'python -c "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"',
}
_MOST_CHECKED = 1 << 30


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its number in the file, from 0, the byte where it begins, how long its data is, and the file."""

    file: Path
    number: int
    start: int
    length: int
    window: Window
    descriptor: int

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.file}, record {self.number}"

    def features(self, wanted: Collection[str] | None = None) -> dict[str, Feature]:
        """The features of its Example, or those that are wanted. Raises SourceError where it has none."""
        first = self.start + _HEADER.size
        try:
            return read_example(self.window, first, first + self.length, wanted)
        except ExampleError as error:
            raise SourceError(self._why_none(error)) from None

    def take(self, value: Span, most: int | None = None) -> bytes:
        """The bytes of a value, or so many of them at most. Raises SourceError where the file was cut meanwhile."""
        try:
            return self.window.take(value, most)
        except ExampleError as error:
            raise SourceError(f"{self.where}: {error}; has the file changed?") from None

    def _why_none(self, error: ExampleError) -> str:
        where = f"{self.where}, which begins at byte {self.start}"
        if self.length <= _MOST_CHECKED:
            data = read_at(self.descriptor, self.start, self.length + _AROUND)
            with contextlib.suppress(ValueError):
                check_record(data, self.length)
                return f"{where}: no tf.train.Example ({error}), which is what can be packed; read it in Python"
        return f"{where}: damaged ({error}); get the file anew"


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file, in its order; each is to be looked at before the next.

    Raises SourceError, with the byte, where the file is damaged, cut off, compressed as a whole, or none.
    """
    from dali_rec.sources.tfrecord.crc32c import masked_crc32c

    try:
        descriptor, status = open_regular(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        window = Window(b"", read=lambda position, size: read_at(descriptor, position, size))
        number, start, size = 0, 0, status.st_size
        while start < size:
            if size - start < _HEADER.size:
                raise _cut_off(path, number, start, f"{size - start} of the {_HEADER.size} bytes before its data")
            header = window.take(Span(start, start + _HEADER.size))
            length, checksum = _HEADER.unpack(header)
            if masked_crc32c(header[:_LENGTH_BYTES]) != checksum:
                raise _no_record(path, number, start, read_at(descriptor, 0, 4096))
            end = start + length + _AROUND
            if end > size:
                raise _cut_off(path, number, start, f"{size - start:,} of its {length + _AROUND:,} bytes")
            yield Record(path, number, start, length, window, descriptor)
            number, start = number + 1, end
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ExampleError as error:
        raise SourceError(f"{path}: {error}; has the file changed?") from None
    finally:
        os.close(descriptor)


def begins_as_records(path: Path) -> bool:
    """Whether a file begins with a record, or is compressed, as TFRecord files may be."""
    from dali_rec.sources.tfrecord.crc32c import masked_crc32c

    try:
        descriptor, _ = open_regular(path)
    except OSError:
        return False
    try:
        header = read_at(descriptor, 0, _HEADER.size)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    if len(header) < _HEADER.size:
        return False
    return header.startswith(_GZIP) or masked_crc32c(header[:_LENGTH_BYTES]) == _HEADER.unpack(header)[1]


def check_record(record: bytes, length: int) -> Span:
    """Where the data of a record that is here as a whole is. Raises ValueError where it is damaged, or another."""
    from dali_rec.sources.tfrecord.crc32c import masked_crc32c

    if len(record) != length + _AROUND or _HEADER.unpack_from(record)[0] != length:
        raise ValueError(f"no record of {length:,} bytes is there; the file is damaged, or has changed")
    if masked_crc32c(record[:_LENGTH_BYTES]) != _HEADER.unpack_from(record)[1]:
        raise ValueError("the record is damaged: the checksum of its length is another")
    data = Span(_HEADER.size, _HEADER.size + length)
    if masked_crc32c(record[data.start : data.stop]) != _FOOTER.unpack_from(record, data.stop)[0]:
        raise ValueError("the record is damaged: the checksum of its data is another")
    return data


def size_of_record(length: int) -> int:
    """How many bytes a record takes whose data is so long."""
    return length + _AROUND


def _cut_off(path: Path, number: int, start: int, what: str) -> SourceError:
    return SourceError(
        f"{path}: cut off in record {number}, which begins at byte {start}: there are {what}; get the file anew"
    )


def _no_record(path: Path, number: int, start: int, beginning: bytes) -> SourceError:
    """The error for what is no header of a record; ``beginning`` is how the file begins."""
    if is_pointer(beginning[:100]):
        return SourceError(f"{path}: {IS_POINTER}")
    kind = "GZIP" if beginning.startswith(_GZIP) else "ZLIB" if _is_zlib(beginning) else ""
    if start == 0 and kind:
        command = f"{_UNPACK[kind]} < {path}"
        return SourceError(
            f"{path}: compressed as a whole ({kind}), so that no image in it can be read by its place; '{command}' "
            "writes it as it can be packed"
        )
    if start == 0:
        return SourceError(f"{path}: no TFRecord file: the checksum of its first length is another; get it anew")
    return SourceError(
        f"{path}: damaged at byte {start}, where record {number} begins: the checksum of its length is another; get "
        "the file anew"
    )


def _is_zlib(beginning: bytes) -> bool:
    try:
        return bool(zlib.decompressobj().decompress(beginning, 1))
    except zlib.error:
        return False
