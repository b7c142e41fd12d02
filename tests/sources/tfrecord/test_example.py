"""tf.train.Example read out of protobuf's wire format."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tfrecord_files import example, feature, field, varint

from dali_rec.sources.tfrecord.example import ExampleError, Window, read_example

INTEGERS = st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=5)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5)
BYTES = st.lists(st.binary(max_size=200), max_size=3)
VALUES = st.one_of(INTEGERS, FLOATS, BYTES)
FEATURES = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), VALUES, max_size=6)


def parsed(data, wanted=None):
    """The features in these bytes, by our reader."""
    window = Window(data)
    found = read_example(window, 0, len(data), wanted)
    return {
        name: (one.kind, [window.take(value) for value in one.values] if one.kind == "bytes" else one.values)
        for name, one in found.items()
    }


def kind_of(values):
    return {int: "int", float: "float"}.get(type(values[0]) if values else bytes, "bytes")


@given(FEATURES)
def test_features_come_out_as_they_were_written(features):
    assert parsed(example(features)) == {name: (kind_of(values), values) for name, values in features.items()}


@given(FEATURES, st.data())
def test_only_what_is_wanted_is_given(features, data):
    wanted = data.draw(st.sets(st.sampled_from([*features, "other"])))
    assert parsed(example(features), wanted) == {
        name: (kind_of(values), values) for name, values in features.items() if name in wanted
    }


@given(FEATURES, st.integers(1, 40))
def test_a_file_is_read_in_pieces_of_any_size(features, size):
    data = b"before" + example(features) + b"behind"
    reads = []

    def read(position, count):
        reads.append(count)
        return data[position : position + count]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dali_rec.sources.tfrecord.example._BLOCK", size)
        found = read_example(Window(b"", read=read), 6, len(data) - 6)
    assert found == read_example(Window(data), 6, len(data) - 6)
    assert max(reads, default=0) <= max(size, 60)  # of bytes that are values none are read


@given(st.binary(max_size=300))
def test_any_bytes_are_an_example_or_an_error(data):
    try:
        parsed(data)
    except ExampleError:
        return


@given(FEATURES, st.data())
def test_damaged_bytes_are_an_example_or_an_error(features, data):
    whole = bytearray(example(features))
    for _ in range(data.draw(st.integers(1, 4)) if whole else 0):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        parsed(bytes(whole[:cut]))
    except ExampleError:
        return


def one(name, *pieces):
    """An Example of one feature that is made of these pieces, one after another."""
    entry = field(1, name.encode()) + b"".join(field(2, piece) for piece in pieces)
    return field(1, field(1, entry))


def test_numbers_that_are_not_packed():
    integers = field(3, b"".join(varint(1 << 3) + varint(value) for value in (7, -1)))
    floats = field(2, b"".join(varint(1 << 3 | 5) + struct.pack("<f", value) for value in (0.5, -2.0)))
    assert parsed(one("a", integers)) == {"a": ("int", [7, -1])}
    assert parsed(one("a", floats)) == {"a": ("float", [0.5, -2.0])}


def test_what_stands_twice_is_merged_and_of_kinds_the_last_counts():
    assert parsed(one("a", feature([1, 2]), feature(3))) == {"a": ("int", [1, 2, 3])}
    assert parsed(one("a", feature([1, 2]), feature(b"x"))) == {"a": ("bytes", [b"x"])}
    assert parsed(one("a", feature(1)) + one("a", feature(2))) == {"a": ("int", [2])}
    assert parsed(one("a", feature(None))) == {"a": ("none", [])}


def test_fields_that_are_not_known_are_passed_over():
    unknown = (
        field(9, b"abc") + varint(8 << 3) + varint(5) + varint(7 << 3 | 1) + bytes(8) + varint(6 << 3 | 5) + bytes(4)
    )
    entry = unknown + field(1, b"a") + unknown + field(2, unknown + field(3, unknown + field(1, varint(4)))) + unknown
    assert parsed(unknown + field(1, unknown + field(1, entry)) + unknown) == {"a": ("int", [4])}


def test_infinities_and_no_numbers_are_floats():
    kind, values = parsed(example({"a": [math.inf, math.nan]}))["a"]
    assert (kind, values[0], math.isnan(values[1])) == ("float", math.inf, True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x05abc", "a field of 5 bytes at byte 2, where 3 are left"),
        (b"\x0a", "a number is missing at byte 1"),
        (b"\x80" * 11, "a number without an end at byte 0"),
        (b"\x0b", "wire type 3"),
        (b"\x02\x00", "a field of 0 bytes"),
        (one("a", field(2, field(1, b"abc"))), "3 bytes at byte 13, which are no floats of 4"),
        (field(1, field(1, field(1, b"\xff"))), "is not UTF-8"),
    ],
)
def test_what_is_no_example_is_said_with_the_byte(data, reason):
    with pytest.raises(ExampleError, match=reason):
        parsed(data)
