"""The framing of TFRecord files: records whole, cut off, damaged, compressed, and none."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tfrecord_files import FILES, crc32c, example, labelled, labels_of, masked, read, record, write

from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.tfrecord.crc32c import masked_crc32c
from dali_rec.sources.tfrecord.records import read_records

WHOLE = record(
    example({"image/encoded": b"\xff\xd8\xff", "label": [1, -1], "image/filename": "a.jpg", "image/height": 5})
)


@given(st.binary(max_size=100))
def test_checksums_are_those_of_the_table(data):
    assert masked_crc32c(data) == masked(data)


def test_the_checksum_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert masked_crc32c(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_are_numbered_and_have_their_byte(tmp_path):
    file = tmp_path / "x.tfrecord"
    pieces = [record(example({"a": number})) for number in range(3)]
    file.write_bytes(b"".join(pieces))
    found = [(one.number, one.start, one.features()["a"].values) for one in read_records(file)]
    assert found == [(0, 0, [0]), (1, len(pieces[0]), [1]), (2, len(pieces[0] + pieces[1]), [2])]


@pytest.fixture
def two(tmp_path):
    """A file of two records, and where the second begins."""
    file = labelled(tmp_path / "x.tfrecord", [0, 1])
    return file, file.read_bytes(), len(record(example({"image": FILES[0], "label": 0})))


@pytest.mark.parametrize("kept", [1, 8, 11, 12, 13, 100, -5, -1])
def test_a_file_that_is_cut_off_is_an_error_with_the_byte(two, kept):
    file, data, second = two
    file.write_bytes(data[: second + kept] if kept > 0 else data[:kept])
    with pytest.raises(SourceError, match=rf"x\.tfrecord: cut off in record 1, which begins at byte {second}: .*anew"):
        read(file)


@pytest.mark.parametrize("at", [*range(12)])
def test_a_damaged_length_is_an_error_with_the_byte(two, at):
    file, data, second = two
    damaged = bytearray(data)
    damaged[second + at] ^= 16
    file.write_bytes(damaged)
    with pytest.raises(SourceError, match=rf"x\.tfrecord: damaged at byte {second}, where record 1 begins"):
        read(file)


def test_an_image_in_a_damaged_record_is_rejected(two):
    file, data, second = two
    for at in (second + 200, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 16
        file.write_bytes(damaged)
        source = read(file)
        assert source.pixels.read(source.samples[0].location) == FILES[0]
        with pytest.raises(ImageRejectedError, match=r"x\.tfrecord, record 1: the record is damaged: the checksum of"):
            source.pixels.read(source.samples[1].location)


def test_a_file_that_changed_since_its_labels_were_read_is_noticed(two):
    file, data, second = two
    source = read(file)
    file.write_bytes(data[second:] + data[:second])
    for sample in source.samples:
        with pytest.raises(ImageRejectedError, match=r"the file is damaged, or has changed|it was cut off"):
            source.pixels.read(sample.location)


def test_damage_in_what_is_read_for_the_labels_is_an_error(two):
    file, data, second = two
    damaged = bytearray(data)
    damaged[second + 12] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(SourceError, match=rf"record 1, which begins at byte {second}: damaged \(wire type 3"):
        read(file)


def test_records_of_something_else_are_an_error(tmp_path):
    file = tmp_path / "x.tfrecord"
    file.write_bytes(record(b"\x0b\x01hello"))
    with pytest.raises(SourceError, match=r"record 0, which begins at byte 0: no tf\.train\.Example"):
        read(file)


@pytest.mark.parametrize(("compress", "kind"), [(gzip.compress, "GZIP"), (zlib.compress, "ZLIB")])
@pytest.mark.parametrize("name", ["x.tfrecord", "x.tfrecord.gz"])
def test_files_that_are_compressed_as_a_whole_are_refused_with_the_remedy(two, compress, kind, name):
    file, data, _ = two
    file = file.with_name(name)
    file.write_bytes(compress(data))
    with pytest.raises(SourceError, match=rf"compressed as a whole \({kind}\).*writes it as it can be packed"):
        read(file)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a pointer of Git LFS"),
        (b"some text, which is no record", "no TFRecord file: the checksum of its first length is another"),
        (b"", "no records in it"),
        (b"short", "cut off in record 0, which begins at byte 0: there are 5 of the 12 bytes"),
    ],
)
def test_what_is_no_tfrecord_file_is_said(tmp_path, data, reason):
    (tmp_path / "x.tfrecord").write_bytes(data)
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "x.tfrecord")


def test_an_empty_shard_is_no_error(tmp_path):
    labelled(tmp_path / "set" / "a.tfrecord", [1])
    write(tmp_path / "set" / "b.tfrecord", [])
    assert labels_of(read(tmp_path / "set")) == [(1,)]


@given(st.data())
def test_a_damaged_file_is_read_or_refused_with_the_reason(tmp_path, data):
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):  # such as was damaged before it was written
        whole = bytearray(record(bytes(whole[12:60])) + record(bytes(whole[12:-4])))
    file = tmp_path / "x.tfrecord"
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        source = read(file)
    except SourceError:
        return
    for sample in source.samples:
        with contextlib.suppress(ImageRejectedError):
            source.pixels.read(sample.location)
