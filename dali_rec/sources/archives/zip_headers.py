"""The list of members at the end of a .zip: what they are, and at which byte the header of each lies.

As PKWARE's APPNOTE.TXT describes it (4.3.12 to 4.3.16), with ZIP64. zipfile reads it too, but takes three times the
memory for each member.
"""

from __future__ import annotations

import stat
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from dali_rec._files import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_SIGNATURE = b"PK\x06\x06"
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LONGEST_COMMENT = _LONGEST_FIELD = 0xFFFF
_LONGEST_ENTRY = _ENTRY.size + 3 * _LONGEST_FIELD
_WINDOW = 1 << 20
_IN_EXTRA = 0xFFFFFFFF  # a number that stands in the extra field of ZIP64
_TURN = 1 << 32
# Kinds of extra fields (APPNOTE 4.5.3, 4.6.9).
_ZIP64 = 1
_UNICODE_PATH = 0x7075
_OF_NAME = struct.Struct("<BL")  # its version, and the CRC-32 of the name that it is of
_ENCRYPTED = 1


class ZipMember(NamedTuple):
    """A member of a .zip; the name of a folder ends in a slash.

    header: the byte at which its own header begins. method: how it is compressed (APPNOTE 4.4.5). stored, size: its
    bytes as they are in the archive, and those of the file. checksum: CRC-32 of the file.
    """

    name: str
    header: int
    method: int
    stored: int
    size: int
    checksum: int
    is_encrypted: bool
    is_link: bool


class DamagedZipError(ValueError):
    """A file is no .zip, or a part of one; the message says what is wrong."""


class SplitZipError(ValueError):
    """A file is the last of several that are one .zip together."""


class _Place(NamedTuple):
    """Where the list of members begins and ends, and how many bytes the archive has before itself."""

    start: int
    end: int
    before: int


def zip_members(descriptor: int, size: int) -> Iterator[ZipMember]:
    """The members of a .zip of ``size`` bytes, in the order of its list. Raises DamagedZipError, SplitZipError."""
    start, end, before = _find_list(descriptor, size)
    # Of more than 4 GB macOS writes no ZIP64, but has all begin anew at 0 there.
    begins_anew = before > 0 and before % _TURN == 0
    before = 0 if begins_anew else before
    position, window, at, last = start, b"", 0, 0
    while position < end or at < len(window):
        if len(window) - at < _LONGEST_ENTRY and position < end:
            more = read_at(descriptor, position, min(_WINDOW, end - position))
            if not more:
                raise DamagedZipError("it ends in the list of its members")
            window, at, position = window[at:] + more, 0, position + len(more)
        if len(window) - at < _ENTRY.size or window[at : at + 4] != _ENTRY_SIGNATURE:
            raise DamagedZipError(f"no member in its list at byte {position - len(window) + at}")
        member, at = _member(window, at, before)
        if begins_anew and member.header < last:
            before += _TURN
            member = member._replace(header=member.header + _TURN)
        last = member.header
        if member.header + member.stored > start:
            raise DamagedZipError(f"{member.name[:200]} would end behind what is there")
        yield member


def _find_list(descriptor: int, size: int) -> _Place:
    tail_size = min(size, _END.size + _LONGEST_COMMENT)
    tail = read_at(descriptor, size - tail_size, tail_size)
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise DamagedZipError("no mark of its end")
    end = size - tail_size + at
    _, disk, _, _, _, length, offset, _ = _END.unpack_from(tail, at)
    locator = read_at(descriptor, max(end - _LOCATOR.size, 0), _LOCATOR.size)
    if locator[:4] == _LOCATOR_SIGNATURE:
        _, _, place, disks = _LOCATOR.unpack(locator)
        # Where something stands before the archive, it is not where it says, but right before what says it.
        for end_64 in (place, end - _LOCATOR.size - _END_64.size):
            header = read_at(descriptor, end_64, _END_64.size) if 0 <= end_64 < size else b""
            if header[:4] == _END_64_SIGNATURE and len(header) == _END_64.size:
                *_, length, offset = _END_64.unpack(header)
                end = end_64
                break
        disk = max(disks - 1, 0)
    if disk not in (0, 0xFFFF):
        raise SplitZipError(f"the last of {disk + 1} parts")
    before = end - length - offset
    if before < 0:
        raise DamagedZipError(f"{-before:,} bytes before its end are missing")
    return _Place(end - length, end, before)


def _member(window: bytes, at: int, before: int) -> tuple[ZipMember, int]:
    """The member whose entry in the list is at ``at``, and where the next is."""
    fields = _ENTRY.unpack_from(window, at)
    flags, method, checksum, stored, size, *lengths = fields[3:5] + fields[7:13]
    attributes, header = fields[15:17]
    name_at = at + _ENTRY.size
    extra_at = name_at + lengths[0]
    comment_at = extra_at + lengths[1]
    extra = window[extra_at:comment_at]
    if _IN_EXTRA in (stored, size, header):
        size, stored, header = _large(extra, size, stored, header)
    name = _name(window[name_at:extra_at], extra)
    is_link = stat.S_ISLNK(attributes >> 16)
    member = ZipMember(name, header + before, method, stored, size, checksum, bool(flags & _ENCRYPTED), is_link)
    return member, comment_at + lengths[2]


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """What stands in an extra field: kinds, and their bytes."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _large(extra: bytes, *numbers: int) -> list[int]:
    """The numbers, of which those that are too large for 32 bits stand in the extra field, one behind the other."""
    count = numbers.count(_IN_EXTRA)
    for kind, values in _fields(extra):
        if kind == _ZIP64 and len(values) >= 8 * count:
            large = iter(struct.unpack_from(f"<{count}Q", values))
            return [next(large) if number == _IN_EXTRA else number for number in numbers]
    return list(numbers)


def _name(name: bytes, extra: bytes) -> str:
    """The name of a member: UTF-8, which macOS writes without saying so, or code page 437.

    WinZip and others have letters that the code page lacks in the extra field alone.
    """
    for kind, value in _fields(extra):
        if kind == _UNICODE_PATH and value.startswith(_OF_NAME.pack(1, zlib.crc32(name))):
            name = value[_OF_NAME.size :] or name
            break
    name = name.partition(b"\0")[0]
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")
