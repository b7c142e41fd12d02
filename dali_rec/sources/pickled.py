"""Reading the data in a pickle without running anything that is in it.

Python's own unpickler calls what a pickle names, so a file from elsewhere can do anything. This reader knows numbers,
byte strings, lists and tuples, and what NumPy writes for arrays; it calls nothing. A name in the pickle is held against
a table and turned into a mark, "the array constructor", that this code interprets. Everything else is refused.

Byte strings are not copied: a ``Piece`` says where one lies in the file. Lengths that a file claims are held against
its size before anything is made of them, so memory is bounded by the number of opcodes, which is limited.
"""

from __future__ import annotations

import codecs
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

MAX_STEPS = 5_000_000
_MAX_TEXT = 200

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
    """A NumPy array: its type as NumPy writes it (u1, b1, O8), its shape, and a Piece, or a list of objects."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    data: Any = None


@dataclass(frozen=True, slots=True)
class _Name:
    """What a pickle names and this reader knows; only a mark."""

    meaning: str


@dataclass(frozen=True, slots=True)
class _Type:
    code: str


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    **{(module, "_reconstruct"): "reconstruct" for module in _MULTIARRAY},
    **{(module, "scalar"): "scalar" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "frombuffer" for module in ("numpy.core.numeric", "numpy._core.numeric")},
    **{(module, name): "bytes" for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
}
_STRINGS: dict[int, tuple[str, Form]] = {
    ord("U"): ("<B", "raw"),
    ord("T"): ("<i", "raw"),
    ord("C"): ("<B", "raw"),
    ord("B"): ("<I", "raw"),
    0x8E: ("<Q", "raw"),
    0x96: ("<Q", "raw"),
    0x8C: ("<B", "utf8"),
    ord("X"): ("<I", "utf8"),
    0x8D: ("<Q", "utf8"),
}
_LINES: dict[int, Form] = {ord("S"): "escaped", ord("V"): "unicode"}
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False}
_INTEGERS = {ord("K"): "<B", ord("M"): "<H", ord("J"): "<i"}
_TUPLES = {0x85: 1, 0x86: 2, 0x87: 3}
_SKIPPED = {0x80: 1, 0x95: 8}
_PUTS, _GETS = {ord("q"): "<B", ord("r"): "<I"}, {ord("h"): "<B", ord("j"): "<I"}
_STOP = ord(".")


def decode_piece(data: bytes, form: Form) -> bytes:
    """The byte string that ``data``, the bytes of a Piece, means. Raises ValueError for text and for damaged escapes."""
    if form == "raw":
        return data
    if form == "latin1":
        return data.decode("utf-8").encode("latin-1")
    if form == "unicode-latin1":
        return data.decode("raw-unicode-escape").encode("latin-1")
    if form == "escaped" and len(data) >= 2 and data[:1] in (b"'", b'"') and data[-1:] == data[:1]:  # noqa: PLR2004
        decoded: bytes = codecs.escape_decode(data[1:-1])[0]
        return decoded
    raise ValueError("text or damaged escapes where bytes were expected")


def read_pickle(data: bytes | mmap.mmap, name: str) -> Any:
    """What a pickle holds: numbers, None, Piece, list, tuple and PickledArray. ``name`` is the file's, for messages.

    Raises SourceError for anything else in it, and for a damaged, truncated or overlong pickle.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except (_Refused, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        reason = str(error) if isinstance(error, _Refused) else "it is damaged or no pickle"
        raise SourceError(f"{name}, byte {machine.at}: {reason}; nothing in it was run") from None


class _Refused(Exception):  # noqa: N818  # never leaves this module
    """What the pickle asks for is not done."""


@dataclass(slots=True)
class _Machine:
    """The stack machine that a pickle is a program for, with none of its calls."""

    data: bytes | mmap.mmap
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        for _ in range(MAX_STEPS):
            code = self._take(1)[0]
            if code == _STOP:
                if len(self.stack) != 1 or self.marks:
                    raise _Refused("it ends with a stack of more than one object")
                return self.stack[0]
            self._step(code)
        raise _Refused(f"it has more than {MAX_STEPS:,} steps")

    def _step(self, code: int) -> None:
        if code in _STRINGS:
            layout, form = _STRINGS[code]
            self.stack.append(self._piece(self._number(layout), form))
        elif code in _LINES:
            start, end = self._line()
            self.stack.append(Piece(start, end - start, _LINES[code]))
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _INTEGERS:
            self.stack.append(self._number(_INTEGERS[code]))
        elif code in _TUPLES:
            count = _TUPLES[code]
            if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
                raise _Refused("it takes more from its stack than is there")
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif code in _SKIPPED:
            self._take(_SKIPPED[code])
        elif code in _PUTS:
            self.memo[self._number(_PUTS[code])] = self.stack[-1]
        elif code in _GETS:
            self.stack.append(self.memo[self._number(_GETS[code])])
        elif code in _STEPS:
            _STEPS[code](self)
        else:
            raise _Refused(f"it has the opcode 0x{code:02x}, which lists of images and flags do not need")

    def _take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise _Refused("it was cut short")
        self.at += count
        return taken

    def _number(self, layout: str) -> int:
        number: int = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return number

    def _piece(self, length: int, form: Form) -> Piece:
        if not 0 <= length <= len(self.data) - self.at:
            raise _Refused(f"it says a string of {length} bytes where {len(self.data) - self.at} are left")
        self.at += length
        return Piece(self.at - length, length, form)

    def _line(self) -> tuple[int, int]:
        start, end = self.at, self.data.find(b"\n", self.at)
        if end < 0:
            raise _Refused("it was cut short")
        self.at = end + 1
        return start, end

    def _short_line(self) -> str:
        start, end = self._line()
        if end - start > _MAX_TEXT:
            raise _Refused("it has a name or number of more than 200 characters")
        return self.data[start:end].decode("ascii")

    def _text(self, piece: Any) -> str:
        if not isinstance(piece, Piece) or piece.length > _MAX_TEXT:
            raise _Refused("it has something else where a short text is expected")
        content = self.data[piece.start : piece.start + piece.length]
        return (decode_piece(content, "escaped") if piece.form == "escaped" else content).decode("utf-8")

    def _pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _mark(self) -> None:
        self.marks.append(len(self.stack))

    def _extend(self) -> None:
        taken = self._pop_to_mark()
        self._top_list().extend(taken)

    def _append(self) -> None:
        value = self.stack.pop()
        self._top_list().append(value)

    def _top_list(self) -> list[Any]:
        if not isinstance(self.stack[-1], list):
            raise _Refused("it appends to what is no list")
        return self.stack[-1]

    def _integer(self) -> None:
        text = self._short_line()
        self.stack.append(text == "01" if text in ("00", "01") else int(text.rstrip("L")))

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def _name(self, module: str, name: str) -> None:
        if (module, name) not in _KNOWN:
            raise _Refused(f"it asks for {module}.{name}, which lists of images and flags do not need")
        self.stack.append(_Name(_KNOWN[module, name]))

    def _name_from_stack(self) -> None:
        name, module = self._text(self.stack.pop()), self._text(self.stack.pop())
        self._name(module, name)

    def _reduce(self) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(what, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls what is not to be called")
        self.stack.append(_made(what.meaning, arguments, self))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, PickledArray) and isinstance(state, tuple) and len(state) == 5:  # noqa: PLR2004
            _, shape, dtype, _, data = state
            target.dtype, target.shape, target.data = dtype.code, _shape(shape), data
        elif not isinstance(target, _Type):
            raise _Refused("it fills an object that is no array")


def _made(meaning: str, arguments: tuple[Any, ...], machine: _Machine) -> Any:
    """What stands for the result of a call that NumPy or Python 2 wrote."""
    if meaning == "reconstruct" and arguments and arguments[0] == _Name("ndarray"):
        return PickledArray()
    if meaning == "dtype":
        return _Type(machine._text(arguments[0]).lstrip("|<>="))
    if meaning == "scalar":
        dtype, data = arguments
        return PickledArray(dtype.code, (1,), _bytes(data))
    if meaning == "frombuffer":
        data, dtype, shape = arguments[:3]
        return PickledArray(dtype.code, _shape(shape), _bytes(data))
    if meaning == "encode" and isinstance(arguments[0], Piece) and machine._text(arguments[1]) == "latin1":
        piece = arguments[0]
        forms: dict[Form, Form] = {"utf8": "latin1", "unicode": "unicode-latin1"}
        return Piece(piece.start, piece.length, forms[piece.form])
    if meaning == "bytes":
        return _bytes(arguments[0]) if arguments else Piece(0, 0, "raw")
    raise _Refused(f"it calls {meaning} in a way that NumPy does not")


def _bytes(piece: Any) -> Piece:
    if not isinstance(piece, Piece) or piece.form in ("utf8", "unicode"):
        raise _Refused("it has something else where bytes are expected")
    return piece


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _Refused("an array in it has no shape")
    return shape


_STEPS: dict[int, Callable[[_Machine], Any]] = {
    ord("("): _Machine._mark,
    ord("]"): lambda machine: machine.stack.append([]),
    ord(")"): lambda machine: machine.stack.append(()),
    ord("l"): lambda machine: machine.stack.append(machine._pop_to_mark()),
    ord("t"): lambda machine: machine.stack.append(tuple(machine._pop_to_mark())),
    ord("a"): _Machine._append,
    ord("e"): _Machine._extend,
    ord("I"): _Machine._integer,
    ord("L"): _Machine._integer,
    0x8A: _Machine._long,
    ord("p"): lambda machine: machine.memo.__setitem__(int(machine._short_line()), machine.stack[-1]),
    ord("g"): lambda machine: machine.stack.append(machine.memo[int(machine._short_line())]),
    0x94: lambda machine: machine.memo.__setitem__(len(machine.memo), machine.stack[-1]),
    ord("c"): lambda machine: machine._name(machine._short_line(), machine._short_line()),
    0x93: _Machine._name_from_stack,
    ord("R"): _Machine._reduce,
    ord("b"): _Machine._build,
}
