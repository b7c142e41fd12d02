"""Reading the data in a pickle without running anything that is in it.

Python's own unpickler calls what a pickle names, so a file from elsewhere can do anything. This reader knows numbers,
byte strings, lists, tuples, mappings with short texts for keys, and what NumPy writes for arrays; it calls nothing. A
name in the pickle is held against a table and turned into a mark, "the array constructor", that this code interprets.
Everything else is refused.

Byte strings are not copied: a ``Piece`` says where one lies in the file. Lengths that a file claims are held against
its size before anything is made of them, so memory is bounded by the number of opcodes, which is limited.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.pickled_values import MAX_TEXT, Form, PickledArray, Piece, piece_text

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

MAX_STEPS = 5_000_000


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
_STOP = ord(".")


def read_pickle(data: bytes | mmap.mmap, name: str) -> Any:
    """What a pickle holds: numbers, None, Piece, list, tuple, dict and PickledArray. ``name``: the file's, for errors.

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
            code = self.take(1)[0]
            if code == _STOP:
                if len(self.stack) != 1 or self.marks:
                    raise _Refused("it ends with a stack of more than one object")
                return self.stack[0]
            self.step(code)
        raise _Refused(f"it has more than {MAX_STEPS:,} steps")

    def step(self, code: int) -> None:
        if code in _STRINGS:
            layout, form = _STRINGS[code]
            self.stack.append(self.piece(self.number(layout), form))
        elif code in _LINES:
            start, end = self.line()
            self.stack.append(Piece(start, end - start, _LINES[code]))
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _INTEGERS:
            self.stack.append(self.number(_INTEGERS[code]))
        elif code in _TUPLES:
            count = _TUPLES[code]
            if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
                raise _Refused("it takes more from its stack than is there")
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif code in _SKIPPED:
            self.take(_SKIPPED[code])
        elif code in _STEPS:
            _STEPS[code](self)
        else:
            raise _Refused(f"it has the opcode 0x{code:02x}, which lists of images and flags do not need")

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise _Refused("it was cut short")
        self.at += count
        return taken

    def number(self, layout: str) -> int:
        number: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return number

    def piece(self, length: int, form: Form) -> Piece:
        if not 0 <= length <= len(self.data) - self.at:
            raise _Refused(f"it says a string of {length} bytes where {len(self.data) - self.at} are left")
        self.at += length
        return Piece(self.at - length, length, form)

    def line(self) -> tuple[int, int]:
        start, end = self.at, self.data.find(b"\n", self.at)
        if end < 0:
            raise _Refused("it was cut short")
        self.at = end + 1
        return start, end

    def short_line(self) -> str:
        start, end = self.line()
        if end - start > MAX_TEXT:
            raise _Refused("it has a name or number of more than 200 characters")
        return self.data[start:end].decode("ascii")

    def text(self, piece: Any) -> str:
        if not isinstance(piece, Piece) or piece.length > MAX_TEXT:
            raise _Refused("it has something else where a short text is expected")
        return piece_text(piece, self.data)

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def extend(self) -> None:
        taken = self.pop_to_mark()
        self.top_list().extend(taken)

    def append(self) -> None:
        value = self.stack.pop()
        self.top_list().append(value)

    def top_list(self) -> list[Any]:
        if not isinstance(self.stack[-1], list):
            raise _Refused("it appends to what is no list")
        return self.stack[-1]

    def mapping(self) -> None:
        self.stack.append(self.paired(self.pop_to_mark()))

    def set_items(self) -> None:
        taken = self.pop_to_mark()
        self.top_mapping().update(self.paired(taken))

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.top_mapping()[self.text(key)] = value

    def top_mapping(self) -> dict[str, Any]:
        if not isinstance(self.stack[-1], dict):
            raise _Refused("it sets a key of what is no mapping")
        return self.stack[-1]

    def paired(self, taken: list[Any]) -> dict[str, Any]:
        if len(taken) % 2:
            raise _Refused("it has a key without a value")
        return {self.text(key): value for key, value in zip(taken[::2], taken[1::2], strict=True)}

    def integer(self) -> None:
        text = self.short_line()
        self.stack.append(text == "01" if text in ("00", "01") else int(text.rstrip("L")))

    def long(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.take(1)[0]), "little", signed=True))

    def name(self, module: str, name: str) -> None:
        if (module, name) not in _KNOWN:
            raise _Refused(f"it asks for {module}.{name}, which lists of images and flags do not need")
        self.stack.append(_Name(_KNOWN[module, name]))

    def name_from_stack(self) -> None:
        name, module = self.text(self.stack.pop()), self.text(self.stack.pop())
        self.name(module, name)

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    def reduce(self) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(what, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls what is not to be called")
        self.stack.append(_made(what.meaning, arguments, self))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, PickledArray) and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, is_fortran, data = state
            target.dtype, target.shape, target.data = _code(dtype), _shape(shape), data
            target.is_fortran = bool(is_fortran)
        elif not isinstance(target, _Type):
            raise _Refused("it fills an object that is no array")


def _made(meaning: str, arguments: tuple[Any, ...], machine: _Machine) -> Any:
    """What stands for the result of a call that NumPy or Python 2 wrote."""
    if meaning == "reconstruct" and arguments and arguments[0] == _Name("ndarray"):
        return PickledArray()
    if meaning == "dtype":
        return _Type(machine.text(arguments[0]).lstrip("|<>="))
    if meaning == "scalar":
        dtype, data = arguments
        return PickledArray(_code(dtype), (1,), _bytes(data))
    if meaning == "frombuffer":
        data, dtype, shape = arguments[:3]
        is_fortran = len(arguments) > 3 and machine.text(arguments[3]) == "F"
        return PickledArray(_code(dtype), _shape(shape), _bytes(data), is_fortran)
    if meaning == "encode" and isinstance(arguments[0], Piece) and machine.text(arguments[1]) == "latin1":
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


def _code(dtype: Any) -> str:
    if not isinstance(dtype, _Type):
        raise _Refused("an array in it has no type")
    return dtype.code


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _Refused("an array in it has no shape")
    return shape


_STEPS: dict[int, Callable[[_Machine], Any]] = {
    ord("("): _Machine.mark,
    ord("]"): lambda machine: machine.stack.append([]),
    ord(")"): lambda machine: machine.stack.append(()),
    ord("}"): lambda machine: machine.stack.append({}),
    ord("d"): _Machine.mapping,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    ord("l"): lambda machine: machine.stack.append(machine.pop_to_mark()),
    ord("t"): lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    ord("a"): _Machine.append,
    ord("e"): _Machine.extend,
    ord("I"): _Machine.integer,
    ord("L"): _Machine.integer,
    0x8A: _Machine.long,
    ord("p"): lambda machine: machine.put(int(machine.short_line())),
    ord("q"): lambda machine: machine.put(machine.number("<B")),
    ord("r"): lambda machine: machine.put(machine.number("<I")),
    0x94: lambda machine: machine.put(len(machine.memo)),
    ord("g"): lambda machine: machine.get(int(machine.short_line())),
    ord("h"): lambda machine: machine.get(machine.number("<B")),
    ord("j"): lambda machine: machine.get(machine.number("<I")),
    ord("c"): lambda machine: machine.name(machine.short_line(), machine.short_line()),
    0x93: _Machine.name_from_stack,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
}
