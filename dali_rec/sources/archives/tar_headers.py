"""The headers of a .tar: what members it has, and at which byte the contents of each lie.

POSIX.1-1988 (ustar), pax (POSIX.1-2001) and GNU's, as the manual of GNU tar describes them. tarfile reads them too, but
in several times the time, and takes a damaged header in the middle for the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dali_rec._files import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_END = bytes(_BLOCK)
_WINDOW = 8 * _BLOCK  # read at a time, as a name of pax takes three blocks
_BEHIND_END = 1 << 20
_REGULAR = (b"0", b"\0", b"7")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
_LINKS = (b"1", b"2")
_SYMBOLIC_LINK = b"2"
_GNU_NAME, _GNU_LINK, _GNU_SPARSE = b"L", b"K", b"S"
_PAX, _PAX_GLOBAL = (b"x", b"X"), b"g"
_FOR_NEXT = (_GNU_NAME, _GNU_LINK, *_PAX, _PAX_GLOBAL)
_LONGEST_HEADER = 1 << 20  # of names and the like, which are none if they are longer


class TarMember(NamedTuple):
    """A file or link in a .tar.

    start, size: where its contents lie. link: of a link the name of what it leads to, otherwise None; is_symbolic: as
    seen from its own folder. is_sparse: whether its contents are pieces with holes between them.
    """

    name: str
    start: int
    size: int
    link: str | None = None
    is_symbolic: bool = False
    is_sparse: bool = False


class DamagedTarError(ValueError):
    """A .tar is not what the format says; the message begins where, by the member before."""


class TarHeaders:
    """Iterates over the files and links of the .tar at bytes ``start`` to ``end`` of an open file.

    Raises DamagedTarError where it is damaged or cut off. When all are read, ``has_end`` says whether there was a mark
    of the end, without which it may have been cut off between two members, and ``is_more`` at which byte something
    stands behind it, or is None.
    """

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self.has_end = False
        self.is_more: int | None = None
        self._descriptor = descriptor
        self._start = start
        self._end = end
        self._window = b""
        self._window_start = start
        self._before = ""
        self._of_all: dict[str, str] = {}
        self._of_next: dict[str, str] = {}

    def __iter__(self) -> Iterator[TarMember]:
        position = self._start
        while position < self._end:
            header = self._block(position)
            if header == _END:
                self.has_end = True
                self.is_more = self._behind(position)
                return
            if len(header) < _BLOCK:
                raise self._damaged(position, "it ends inside a header: it has been cut off")
            if not _has_checksum(header):
                what = "a member" if position > self._start else "its first member, so it is no .tar"
                raise self._damaged(position, f"no header of {what}")
            if header[156:157] in _FOR_NEXT:
                position = self._read_for_next(position, header)
                continue
            member, position = self._member(position, header)
            if member is not None:
                yield member

    def _read_for_next(self, position: int, header: bytes) -> int:
        """What a header of the next member, or of all others, says beforehand; gives where the next header is."""
        kind, size = header[156:157], self._size(position, header)
        value = self._value(position + _BLOCK, size)
        if kind == _GNU_NAME:
            self._of_next.setdefault("path", _text(value))
        elif kind == _GNU_LINK:
            self._of_next.setdefault("linkpath", _text(value))
        else:
            (self._of_all if kind == _PAX_GLOBAL else self._of_next).update(self._pax(position, value))
        return position + _BLOCK + _padded(size)

    def _member(self, position: int, header: bytes) -> tuple[TarMember | None, int]:
        """The file or link of a header, None where it is neither, and where the next header is."""
        kind, data = header[156:157], position + _BLOCK
        given = {**self._of_all, **self._of_next} if self._of_all else self._of_next
        self._of_next = {}
        size = 0 if kind in _WITHOUT_DATA else self._size(position, header, given.get("size"))
        name = given.get("GNU.sparse.name") or given.get("path") or _name(header)
        if kind == _GNU_SPARSE:
            data = self._behind_map(header, data)
        if data + size > self._end:
            missing = data + size - self._end
            raise self._damaged(position, f"{missing:,} bytes of {name} are missing: it has been cut off")
        self._before = name
        member = None
        if (kind in _REGULAR and not name.endswith("/")) or kind == _GNU_SPARSE:
            is_sparse = kind == _GNU_SPARSE or any(key.startswith("GNU.sparse.") for key in given)
            member = TarMember(name, data, size, is_sparse=is_sparse)
        elif kind in _LINKS:
            link = given.get("linkpath") or _text(header[157:257])
            member = TarMember(name, data, 0, link, is_symbolic=kind == _SYMBOLIC_LINK)
        return member, data + _padded(size)

    def _block(self, position: int) -> bytes:
        at = position - self._window_start
        if not 0 <= at <= len(self._window) - _BLOCK:
            self._window = read_at(self._descriptor, position, min(_WINDOW, self._end - position))
            self._window_start, at = position, 0
        return self._window[at : at + _BLOCK]

    def _size(self, position: int, header: bytes, given: str | None = None) -> int:
        try:
            size = int(given) if given else _number(header[124:136])
        except ValueError:
            size = -1
        if size < 0:
            raise self._damaged(position, "the size in the header is no number")
        return size

    def _value(self, position: int, size: int) -> bytes:
        """The contents of a member that belongs to the header of the next."""
        value = read_at(self._descriptor, position, min(size, _LONGEST_HEADER))
        if len(value) < size or position + size > self._end:
            raise self._damaged(position, f"a name of {size:,} bytes is too long, or has been cut off")
        return value

    def _pax(self, position: int, value: bytes) -> dict[str, str]:
        r"""The records ``LENGTH KEYWORD=VALUE\n``."""
        found, at = {}, 0
        while at < len(value) and value[at] != 0:
            length, _, _ = value[at : at + 20].partition(b" ")
            stop = at + int(length) if length.isdigit() else 0
            keyword, equals, text = value[at + len(length) + 1 : max(stop - 1, 0)].partition(b"=")
            if not equals or value[stop - 1 : stop] != b"\n":
                raise self._damaged(position, "the extended header is no list of keywords")
            found[keyword.decode("utf-8", "replace")] = text.decode("utf-8", "surrogateescape")
            at = stop
        return found

    def _behind_map(self, header: bytes, position: int) -> int:
        """Where contents begin that stand in pieces: behind the blocks that say where these belong."""
        goes_on = header[482]
        while goes_on:
            block = self._block(position)
            if len(block) < _BLOCK:
                raise self._damaged(position, "it ends inside a header: it has been cut off")
            goes_on, position = block[504], position + _BLOCK
        return position

    def _behind(self, position: int) -> int | None:
        """Where something stands behind the mark of the end, as in files that were joined by ``cat``."""
        rest = read_at(self._descriptor, position, min(_BEHIND_END, self._end - position))
        more = len(rest) - len(rest.lstrip(b"\0"))
        return position + more if more < len(rest) else None

    def _damaged(self, position: int, reason: str) -> DamagedTarError:
        where = f"at byte {position}" + (f", behind {self._before}" if self._before else "")
        return DamagedTarError(f"damaged {where}: {reason}")


def _has_checksum(header: bytes) -> bool:
    """Whether the sum of a header's bytes, its own field taken for blanks, is what it says; some old ones had signs."""
    try:
        said = _number(header[148:156])
    except ValueError:
        return False
    found = sum(header) - sum(header[148:156]) + 8 * 32
    return said == found or said == found - 256 * sum(byte > 127 for byte in header[:148] + header[156:])


def _number(field: bytes) -> int:
    """A number in octal digits or, as GNU has those that are too large for it, in bytes. Raises ValueError."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else -1
    digits = field.partition(b"\0")[0].strip()
    return int(digits, 8) if digits else 0


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return f"{_text(prefix)}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
