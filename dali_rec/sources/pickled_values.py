"""What ``read_pickle`` gives for strings and arrays, which stay where they are in the file."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import mmap

#: The most bytes of names and other short texts.
MAX_TEXT = 200

#: How a byte string stands in the file: as it is, as the UTF-8 of Latin-1 characters, with Python's escapes, or as the
#: raw-unicode-escape of Latin-1 characters. "utf8" and "unicode" are text, which is no byte string until encoded.
Form = Literal["raw", "latin1", "escaped", "unicode-latin1", "utf8", "unicode"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A string in the file: ``length`` bytes from ``start`` on, to be read by ``form``."""

    start: int
    length: int
    form: Form


@dataclass(slots=True)
class PickledArray:
    """A NumPy array: its type as NumPy writes it (u1, b1, O8), its shape, and a Piece, or a list of objects.

    is_fortran: whether its columns come first.
    """

    dtype: str = ""
    shape: tuple[int, ...] = ()
    data: Any = None
    is_fortran: bool = False


def decode_piece(data: bytes, form: Form) -> bytes:
    """The byte string that the bytes of a Piece mean. Raises ValueError for text and for damaged escapes."""
    if form == "raw":
        return data
    if form == "latin1":
        return data.decode("utf-8").encode("latin-1")
    if form == "unicode-latin1":
        return data.decode("raw-unicode-escape").encode("latin-1")
    if form == "escaped" and len(data) >= 2 and data[:1] in (b"'", b'"') and data[-1:] == data[:1]:
        decoded: bytes = codecs.escape_decode(data[1:-1])[0]
        return decoded
    raise ValueError("text or damaged escapes where bytes were expected")


def piece_text(piece: Any, data: bytes | mmap.mmap) -> str:
    """The short text that a Piece is, of a string of Python 2 too. Raises ValueError for anything else."""
    if not isinstance(piece, Piece) or piece.length > MAX_TEXT:
        raise ValueError("something else where a short text is expected")
    content = data[piece.start : piece.start + piece.length]
    return (decode_piece(content, "escaped") if piece.form == "escaped" else content).decode("utf-8")
