import struct

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dali_rec.errors import CorruptRecordError, UnwritableRecordError
from dali_rec.recordio import pack_header, unpack_header

MAGIC_ID = 3470205706  # 0xced7230a


def test_number_is_stored_in_the_header():
    assert pack_header(3.0, 7) == struct.pack("<IfQQ", 0, 3.0, 7, 0)


def test_array_is_stored_behind_the_header_with_label_zero():
    assert pack_header([3.0], 7) == struct.pack("<IfQQ", 1, 0.0, 7, 0) + struct.pack("<f", 3.0)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=9),
)
def test_labels_ids_and_image_read_back(labels, key, image):
    assume(key not in (MAGIC_ID, MAGIC_ID << 32))
    payload = pack_header(labels, key) + image
    header, rest = unpack_header(payload, "x")
    assert header.labels.tolist() == labels
    assert (header.flag, header.id, bytes(rest)) == (len(labels), key, image)


@pytest.mark.parametrize("key", [MAGIC_ID, MAGIC_ID << 32, MAGIC_ID | 1 << 40])
def test_id_that_dali_cannot_read_back_is_refused(key):
    with pytest.raises(UnwritableRecordError, match=f"record {key}: its id or a label"):
        pack_header(0.0, key)


def test_label_that_dali_cannot_read_back_is_refused():
    label = float(np.frombuffer(struct.pack("<I", MAGIC_ID), np.float32)[0])
    with pytest.raises(UnwritableRecordError, match="its id or a label"):
        pack_header([1.0, label], 5)


@pytest.mark.parametrize("key", [-1, 2**64])
def test_id_beyond_64_bits_is_refused(key):
    with pytest.raises(UnwritableRecordError, match="not within 0 and"):
        pack_header(0.0, key)


def test_whole_label_that_float32_would_change_is_refused():
    with pytest.raises(UnwritableRecordError, match="label 16777217 cannot be stored exactly"):
        pack_header(16777217.0, 1)
    assert pack_header(16777218.0, 1)


def test_label_that_is_no_number_is_refused():
    with pytest.raises(UnwritableRecordError, match="not a number"):
        pack_header(float("nan"), 1)


def test_payload_shorter_than_a_header_is_not_an_image_record():
    with pytest.raises(CorruptRecordError, match="x: 10 bytes are too few"):
        unpack_header(b"\0" * 10, "x")


def test_promised_labels_that_are_not_there_are_reported():
    with pytest.raises(CorruptRecordError, match="promises 1000 labels"):
        unpack_header(struct.pack("<IfQQ", 1000, 0, 1, 0), "x")
