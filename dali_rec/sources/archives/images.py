"""The images in archives, read from where they lie in them by any thread of any process."""

from __future__ import annotations

import functools
import io
import os
import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import ImageRejectedError
from dali_rec.images import HEAD_BYTES
from dali_rec.sources.open_file import OpenFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Between an archive and what is inside.
INSIDE = "//"
#: What stands for the place of a member that has none.
DEAD_LINK, SPARSE = "#link", "#sparse"
_WHY_NONE = {
    DEAD_LINK: "it is a link to what is no file in the archive",
    SPARSE: "it is stored in pieces, with holes between them: write the archive without --sparse",
}
_PLACE = re.compile(r"#(\d+)\+(\d+)(?::(\d+):(\d+))?\Z")
# Of the header that a .zip has before each member: its signature, the method, and the lengths of name and extra field.
_LOCAL_HEADER = struct.Struct("<4s4xH16xHH")
_SIGNATURE = b"PK\x03\x04"
STORED, DEFLATED = 0, 8
_FILES_OPEN = 128
_DAMAGE = (OSError, zlib.error, ValueError, OverflowError)  # the last for sizes that are no sizes


def place_in_tar(start: int, size: int) -> str:
    """The place of a member that begins at a byte."""
    return f"#{start}+{size}"


def place_in_zip(header: int, stored: int, size: int, checksum: int) -> str:
    """The place of a member whose own header is at a byte, and its CRC-32."""
    return f"#{header}+{stored}:{size}:{checksum}"


def start_in_tar(place: str) -> int:
    """The byte at which a member with this place begins; 0 for one that has none."""
    found = _PLACE.match(place)
    return 0 if found is None else int(found[1])


class ArchivedImages:
    """The images in the .tar and .zip files below ``folder``: a location is ``FILE.tar//MEMBER#START+SIZE``.

    MEMBER is the path of a file inside, behind a tar in the tar that has it, if it has. Of a .zip START is the byte of
    the member's header, SIZE what it takes, and behind that stand its size and CRC-32.

    An archive is opened once a process, but for the least used where there are many.
    """

    stays_here = False

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._open = functools.lru_cache(_FILES_OPEN)(OpenFile)

    def __reduce__(self) -> tuple[object, ...]:
        return _of_this_process, (self.folder,)

    def holds(self, location: str) -> bool:
        """See HeldImages."""
        place = location[location.rfind("#") :]
        return INSIDE in location and (place in _WHY_NONE or _PLACE.match(place) is not None)

    def listed(self, location: str) -> str:
        """See HeldImages: the archive, and the member in it."""
        return location.rpartition("#")[0]

    def file_of(self, location: str) -> str:
        """See HeldImages: the archive."""
        return os.path.join(self.folder, location.partition(INSIDE)[0])  # noqa: PTH118  # a Path takes longer

    def absolute(self) -> ArchivedImages:
        """See HeldImages."""
        return ArchivedImages(os.path.abspath(self.folder))  # noqa: PTH100

    def read(self, location: str) -> bytes:
        """See HeldImages. Raises ImageRejectedError, with the byte, where the archive is damaged or has changed."""
        try:
            return self._find(location).read()
        except _DAMAGE as error:
            raise ImageRejectedError(str(error)) from None

    def open(self, location: str) -> io.BufferedIOBase:
        """The image as a file, of which no more is read than is asked for, unless it is deflated.

        Raises ImageRejectedError as ``read`` does; reading the file raises ValueError where the archive is cut off.
        """
        try:
            member = self._find(location)
            return (
                io.BytesIO(member.read()) if member.is_deflated else io.BufferedReader(_MemberFile(member), HEAD_BYTES)
            )
        except _DAMAGE as error:
            raise ImageRejectedError(str(error)) from None

    def _find(self, location: str) -> _Member:
        place = _PLACE.search(location)
        if place is None:
            raise ValueError(_WHY_NONE[location[location.rfind("#") :]])
        start, stored = int(place[1]), int(place[2])
        file = self._open(self.file_of(location))
        if place[3] is None:
            return _Member(file, start, stored)
        signature, method, name, extra = _LOCAL_HEADER.unpack(file.read(start, _LOCAL_HEADER.size))
        if signature != _SIGNATURE or method not in (STORED, DEFLATED):
            raise ValueError(f"no member begins at byte {start}; the archive is damaged, or has changed")
        first = start + _LOCAL_HEADER.size + name + extra
        return _Member(file, first, stored, start, int(place[3]), int(place[4]), is_deflated=method == DEFLATED)


@functools.lru_cache(maxsize=1)
def _of_this_process(folder: str) -> ArchivedImages:
    """The one of a process to which they are sent with each request, and whose files stay open between these."""
    return ArchivedImages(folder)


class _Member(NamedTuple):
    """The bytes of a member: ``stored`` from ``start`` on. Of a .zip: where its header is, its size and CRC-32."""

    file: OpenFile
    start: int
    stored: int
    header: int = 0
    size: int = 0
    checksum: int | None = None
    is_deflated: bool = False

    def read(self) -> bytes:
        """All of it. Raises ValueError or zlib.error where it is damaged."""
        data = self.file.read(self.start, self.stored)
        if self.is_deflated:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size + 1)
        if self.checksum is not None and (len(data) != self.size or zlib.crc32(data) != self.checksum):
            raise ValueError(f"the member at byte {self.header} is damaged: its checksum is another")
        return data


class _MemberFile(io.RawIOBase):
    """A member that is not deflated as a file."""

    def __init__(self, member: _Member) -> None:
        self._member = member
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._member.stored)[whence]
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        size = max(min(len(view), self._member.stored - self._at), 0)
        view[:size] = self._member.file.read(self._member.start + self._at, size)
        self._at += size
        return size
