"""tf.train.Example, a mapping of names to lists of bytes, floats or integers, read out of protobuf's wire format.

    Example   { Features features = 1; }
    Features  { map<string, Feature> feature = 1; }
    Feature   { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
    …List     { repeated bytes | float | int64 value = 1; }         numbers packed or not

(tensorflow/core/example/example.proto and feature.proto; protobuf.dev, "Encoding".) Fields of other numbers or wire
types are passed over, what stands twice is merged, and of entries of one name the last counts, as protobuf has it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

#: Of a feature that says nothing the kind is "none".
Kind = Literal["bytes", "float", "int", "none"]
_KINDS: dict[int, Kind] = {1: "bytes", 2: "float", 3: "int"}
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_VARINT = 10
_SIGN, _MODULUS = 1 << 63, 1 << 64
# How much of a file is read at a time around what is looked at.
_BLOCK = 16 << 10


class ExampleError(ValueError):
    """Bytes that are no tf.train.Example."""


class Span(NamedTuple):
    """Where a value of bytes is: from ``start`` to ``stop``."""

    start: int
    stop: int


class Feature(NamedTuple):
    """A feature: what kind it is of, and its values, of bytes where these are."""

    kind: Kind
    values: list[int] | list[float] | list[Span]


class Window:
    """Bytes of a file by their places in it, of which no more is read than blocks around those that are looked at.

    data: bytes that are there already, from ``start`` on. read: gives so many bytes from a place on, or fewer where
    the file ends.
    """

    def __init__(self, data: bytes, start: int = 0, read: Callable[[int, int], bytes] | None = None) -> None:
        self.data = data
        self._start = start
        self._read = read

    def at(self, position: int, size: int) -> int:
        """Where in ``data`` so many bytes from a place on are. Raises ExampleError where there are none."""
        if self._start <= position and position + size <= self._start + len(self.data):
            return position - self._start
        if self._read is not None:
            self.data, self._start = self._read(position, max(size, _BLOCK)), position
        if self._read is None or len(self.data) < size:
            raise ExampleError(f"no {size:,} bytes from byte {position} on")
        return 0

    def take(self, span: Span, most: int | None = None) -> bytes:
        """The bytes of a value, or so many of them at most."""
        size = span.stop - span.start if most is None else min(most, span.stop - span.start)
        at = self.at(span.start, size)
        return self.data[at : at + size]


def read_example(window: Window, start: int, stop: int, wanted: Collection[str] | None = None) -> dict[str, Feature]:
    """The features of an Example between two places, or those that are wanted, by their names.

    Raises ExampleError for what is none.
    """
    spans: dict[str, list[Span]] = {}
    for of_features in messages(window, Span(start, stop), 1):
        for entry in messages(window, of_features, 1):
            name, values = _entry(window, entry)
            if wanted is None or name in wanted:
                spans[name] = values
    return {name: _feature(window, values) for name, values in spans.items()}


def _fields(window: Window, span: Span) -> Iterator[tuple[int, int, Span]]:
    """The number, the wire type, and the place of each field of a message."""
    at, stop = span
    while at < stop:
        if stop - at > 1:  # mostly a byte is the key, and another one the length
            index = window.at(at, 2)
            key, size = window.data[index], window.data[index + 1]
            if key < 128 and key & 7 == _LENGTH and size < 128 and key > 7 and at + 2 + size <= stop:
                at += 2
                yield key >> 3, _LENGTH, Span(at, at + size)
                at += size
                continue
        key, at = _varint(window, at, stop)
        number, wire = key >> 3, key & 7
        if wire == _LENGTH:
            size, at = _varint(window, at, stop)
            end = at + size
        elif wire == _VARINT:
            _, end = _varint(window, at, stop)
        elif wire in _FIXED:
            end = at + _FIXED[wire]
        else:
            raise ExampleError(f"wire type {wire} before byte {at}")
        if end > stop or not number:
            raise ExampleError(f"a field of {end - at:,} bytes at byte {at}, where {stop - at:,} are left")
        yield number, wire, Span(at, end)
        at = end


def messages(window: Window, span: Span, wanted: int) -> Iterator[Span]:
    """The places of the messages, or bytes, in a field of this number."""
    for number, wire, place in _fields(window, span):
        if number == wanted and wire == _LENGTH:
            yield place


def _entry(window: Window, entry: Span) -> tuple[str, list[Span]]:
    """The name of a feature, and where it is, in pieces that are to be merged."""
    name, values = b"", []
    for number, wire, place in _fields(window, entry):
        if wire == _LENGTH and number == 1:
            name = window.take(place)
        elif wire == _LENGTH and number == 2:
            values.append(place)
    try:
        return name.decode(), values
    except UnicodeDecodeError:
        raise ExampleError(f"the name {name[:40]!r} at byte {entry.start} is not UTF-8") from None


def _feature(window: Window, pieces: list[Span]) -> Feature:
    kind: Kind = "none"
    lists: list[Span] = []
    for piece in pieces:
        for number, wire, place in _fields(window, piece):
            if wire != _LENGTH or number not in _KINDS:
                continue
            if _KINDS[number] != kind:
                kind, lists = _KINDS[number], []
            lists.append(place)
    if kind == "int":
        return Feature(kind, [value for one in lists for value in numbers(window, one, 1)])
    if kind == "float":
        return Feature(kind, [value for one in lists for value in _floats(window, one)])
    return Feature(kind, [value for one in lists for value in messages(window, one, 1)])


def numbers(window: Window, span: Span, wanted: int) -> Iterator[int]:
    """The integers in a field of this number, packed or not."""
    for number, wire, place in _fields(window, span):
        if number != wanted or wire not in (_VARINT, _LENGTH):
            continue
        at, stop = place
        while at < stop:
            value, at = _varint(window, at, stop)
            yield value - _MODULUS if value & _SIGN else value


def _floats(window: Window, span: Span) -> Iterator[float]:
    for number, wire, place in _fields(window, span):
        if number != 1 or wire not in (_FOUR_BYTES, _LENGTH):
            continue
        size = place.stop - place.start
        if size % 4:
            raise ExampleError(f"{size:,} bytes at byte {place.start}, which are no floats of 4")
        yield from struct.unpack(f"<{size // 4}f", window.take(place))


def _varint(window: Window, at: int, stop: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    size = min(stop - at, _LONGEST_VARINT)
    if size <= 0:
        raise ExampleError(f"a number is missing at byte {at}")
    index = window.at(at, size)
    data = window.data
    value = data[index]
    if value < 128:
        return value, at + 1
    value &= 127
    for place in range(1, size):
        byte = data[index + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value % _MODULUS, at + place + 1
    raise ExampleError(f"a number without an end at byte {at}")
