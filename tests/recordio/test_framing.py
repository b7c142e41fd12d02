import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.errors import CorruptRecordError, TruncatedRecordError, UnwritableRecordError
from dali_rec.recordio.framing import MAGIC_BYTES, aligned_magics, find_record, frame, next_record, read_record

# Payloads with the magic planted where it matters: aligned, unaligned, doubled, at either end.
PIECES = st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9), st.just(MAGIC_BYTES[:2]), st.just(MAGIC_BYTES[1:]))
PAYLOADS = st.lists(PIECES, max_size=12).map(b"".join)


def framed(payload: bytes) -> bytes:
    return b"".join(frame(payload))


@given(st.lists(PAYLOADS, max_size=6))
def test_payloads_read_back_whatever_they_hold(payloads):
    file = b"".join(map(framed, payloads))
    offset, found = 0, []
    while offset < len(file):
        found.append(bytes(read_record(file, offset, "x.rec")))
        offset = next_record(file, offset, "x.rec")
    assert found == payloads
    assert offset == len(file)


@given(PAYLOADS)
def test_magic_stands_aligned_only_at_heads(payload):
    file = framed(payload)
    heads, offset = [], 0
    while offset < len(file):
        heads.append(offset)
        length = struct.unpack_from("<I", file, offset + 4)[0] & 0x1FFFFFFF
        offset += 8 + length + (-length % 4)
    assert aligned_magics(file) == heads
    assert len(file) % 4 == 0


@pytest.mark.parametrize(
    ("payload", "parts"),
    [
        (MAGIC_BYTES, [(1, 0), (3, 0)]),
        (MAGIC_BYTES * 2, [(1, 0), (2, 0), (3, 0)]),
        (b"abcd" + MAGIC_BYTES + b"x", [(1, 4), (3, 1)]),
        (b"a" + MAGIC_BYTES + b"bcd", [(0, 8)]),
        (b"", [(0, 0)]),
    ],
)
def test_parts_are_those_that_mxnet_writes(payload, parts):
    # The cases are what mxnet 1.9.1 wrote for these payloads.
    file, offset, found = framed(payload), 0, []
    while offset < len(file):
        word = struct.unpack_from("<I", file, offset + 4)[0]
        found.append((word >> 29, word & 0x1FFFFFFF))
        offset += 8 + found[-1][1] + (-found[-1][1] % 4)
    assert found == parts


class HugePayload(bytes):
    """Says that it is long without taking the memory."""

    def __len__(self):
        return 1 << 29


def test_record_of_2_to_the_29_bytes_is_refused():
    with pytest.raises(UnwritableRecordError, match="at most 536870911 bytes"):
        frame(HugePayload())


def test_record_of_one_byte_less_is_written():
    assert [len(chunk) for chunk in frame(bytes((1 << 29) - 1))] == [8, (1 << 29) - 1, 1]


def test_bad_magic_is_reported_with_its_offset():
    file = framed(b"one") + b"\0" * 16
    with pytest.raises(CorruptRecordError, match=r"x\.rec: bad magic number 0x00000000 at offset 12"):
        next_record(file, 12, "x.rec")


@pytest.mark.parametrize("cut", [1, 4, 7, 9])
def test_truncated_tail_is_reported_with_its_offset(cut):
    file = framed(b"first") + framed(b"second")
    with pytest.raises(TruncatedRecordError, match="at offset 16"):
        next_record(file[:-cut], 16, "x.rec")


def test_offset_inside_a_split_record_is_refused():
    file = framed(b"abcd" + MAGIC_BYTES + b"efgh")
    with pytest.raises(CorruptRecordError, match="inside a record"):
        read_record(file, 12, "x.rec")


def test_split_record_that_is_never_finished_is_corrupt():
    first_part = framed(b"abcd" + MAGIC_BYTES + b"efgh")[:12]
    with pytest.raises(CorruptRecordError, match="continuation flag 0"):
        read_record(first_part + framed(b"next"), 0, "x.rec")


@given(PAYLOADS, st.binary(min_size=1, max_size=40))
def test_next_whole_record_is_found_after_damage(payload, damage):
    # Damage that holds no magic of its own, so that there is one right answer.
    damage = damage.replace(MAGIC_BYTES[:1], b"\0")
    junk = damage + b"\0" * (-len(damage) % 4)
    file = junk + framed(payload)
    assert find_record(file, 0, "x.rec") == len(junk)


@pytest.mark.parametrize("length", [1 << 20, (1 << 20) + 4, (1 << 20) + 7, 3 << 20])
def test_next_whole_record_is_found_after_much_damage(length):
    heads_alone = (MAGIC_BYTES + b"\xff" * 7) * (length // 11)  # at any offset, aligned or not
    file = heads_alone.ljust(length + (-length & 3), b"\0") + framed(b"payload") + framed(b"next")
    assert find_record(file, 1, "x.rec") == length + (-length & 3)


def test_nothing_is_found_after_damage_that_goes_to_the_end():
    assert find_record(b"\0" * 4096, 0, "x.rec") is None
