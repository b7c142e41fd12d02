import hashlib
import html
import json
import pickle
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import sets
from support import DATA, peak_memory, traced_peak

from dali_rec.errors import (
    CorruptRecordError,
    DatasetError,
    DatasetNotFoundError,
    IndexFileError,
    RecordError,
    TruncatedRecordError,
)
from dali_rec.recordio import MAGIC, Record, RecordReader, RecordWriter, pack_header
from dali_rec.recordio.framing import MAGIC_BYTES, frame
from dali_rec.recordio.index import unsigned

FACTS = json.loads((DATA / "facts.json").read_text())


def test_images_and_ids_of_mxnet_read_back():
    with RecordReader(DATA / "single.rec") as reader:
        records = [reader.record(key) for key in reader.keys()]
        hashes = [hashlib.sha256(record.image).hexdigest() for record in records]
    assert hashes == [image["sha256"] for image in FACTS["images"]]
    assert [record.key for record in records] == list(range(12))
    assert [record.labels.tolist() for record in records] == [[float(number % 3)] for number in range(12)]


def test_several_labels_of_mxnet_read_back():
    wanted = {}
    for line in (DATA / "list4.lst").read_text().splitlines():
        key, *labels, _path = line.split("\t")
        wanted[int(key)] = np.array(labels, dtype=np.float32).tolist()
    with RecordReader(DATA / "multi.rec") as reader:
        assert {record.key: record.labels.tolist() for record in reader.records()} == wanted


def test_detection_labels_of_mxnet_read_back():
    with RecordReader(DATA / "detection.rec") as reader:
        labels = {str(record.key): record.labels.tolist() for record in reader.records()}
    assert labels == FACTS["detection_labels"]


def test_payloads_that_hold_the_magic_read_back():
    with RecordReader(DATA / "magic.rec") as reader:
        assert [payload.hex() for payload in reader] == FACTS["magic_payloads_hex"]


def test_face_records_of_mxnet_read_back():
    # InsightFace's layout: record 0 says where the identity records begin, which hold no image.
    with RecordReader(DATA / "faces.rec") as reader:
        header = reader.record(0)
        first, end = (int(value) for value in header.labels)
        identities = [reader.record(key) for key in range(first, end)]
        assert len(header.image) == 0
        assert all(len(record.image) == 0 and len(record.labels) == 2 for record in identities)
        assert all(len(reader.record(key).image) for key in range(1, first))


@pytest.mark.parametrize("name", ["single", "multi", "detection", "faces"])
def test_rebuilt_index_is_the_one_that_mxnet_wrote(name):
    with RecordReader(DATA / f"{name}.rec") as reader:
        rebuilt = reader.build_index()
        written = reader.index
    assert dict(zip(rebuilt.keys, rebuilt.offsets, strict=True)) == dict(
        zip(written.keys, written.offsets, strict=True)
    )


def test_ids_are_read_where_records_begin_and_nowhere_else():
    with RecordReader(DATA / "multi.rec") as reader:
        offsets = reader.index.offsets[[5, 2]]
        assert reader.ids_at(offsets).tolist() == reader.index.keys[[5, 2]].tolist()
        with pytest.raises(CorruptRecordError, match=f"bad magic number .* at offset {offsets[0] + 4}"):
            reader.ids_at(offsets + 4)


# Magic, length and number of labels, in their words of a record.
DAMAGE = [(0, 0), *((1, word) for word in (0, 20, 24, 27, 1 << 29)), *((2, word) for word in (0, 1, 2, 3, 1 << 31))]


@settings(max_examples=200)
@given(sets(max_size=4), st.none() | st.tuples(st.integers(0, 3), st.sampled_from(DAMAGE)))
def test_heads_read_in_bulk_are_those_of_each_record(tmp_path_factory, records, damage):
    framed = [b"".join(frame(payload)) for payload in records[1]]
    ends = np.cumsum([len(one) for one in framed])
    offsets, content = ends - [len(one) for one in framed], bytearray(b"".join(framed))
    if damage is not None:
        row, (word, value) = damage
        struct.pack_into("<I", content, int(offsets[row % len(offsets)]) + 4 * word, value)
    path = tmp_path_factory.mktemp("heads") / "x.rec"
    path.write_bytes(content)
    with RecordReader(path) as reader:
        try:
            found = [reader.record_at(offset) for offset in offsets.tolist()]
        except RecordError as error:
            for read in (reader.ids_at, reader.first_labels_at):
                with pytest.raises(type(error), match=re.escape(str(error))):
                    read(offsets)
        else:
            assert [unsigned(key) for key in reader.ids_at(offsets).tolist()] == [record.key for record in found]
            first = b"".join(record.labels[:1].tobytes() for record in found)
            assert reader.first_labels_at(offsets).tobytes() == first


@pytest.mark.parametrize(("offset", "size"), [(1, 32), (4, 32), (28, 32), (0, 31), (32, 64), (32, 67)])
def test_ids_and_labels_are_of_whole_records_at_their_offsets(tmp_path, offset, size):
    content = b"".join((*frame(pack_header(1.0, 7)), *frame(pack_header([1.0, 2.0], 8))))
    (tmp_path / "x.rec").write_bytes(content[:size])
    with RecordReader(tmp_path / "x.rec") as reader:
        with pytest.raises(RecordError):
            reader.first_labels_at(np.array([offset]))
        with pytest.raises(RecordError):
            reader.ids_at(np.array([offset]))


def test_file_that_is_shorter_than_an_image_record_has_no_ids(tmp_path):
    (tmp_path / "x.rec").write_bytes(b"".join(frame(b"abc")))
    with RecordReader(tmp_path / "x.rec") as reader, pytest.raises(CorruptRecordError, match="3 bytes are too few"):
        reader.build_index()


def test_records_are_views_of_the_file_and_outlive_the_reader():
    reader = RecordReader(DATA / "single.rec")
    image = reader.record(3).image
    assert image.obj is reader.read(3).obj  # the same map behind both
    reader.close()
    assert hashlib.sha256(image).hexdigest() == FACTS["images"][3]["sha256"]


def test_closed_reader_says_that_it_is_closed():
    reader = RecordReader(DATA / "single.rec")
    reader.close()
    reader.close()
    for read in (lambda: reader.record(3), lambda: list(reader), reader.build_index, lambda: reader.buffer):
        with pytest.raises(DatasetError, match=r"single\.rec: it was closed"):
            read()


@pytest.mark.parametrize("name", [".", "", "/", "..", "data/.."])
def test_path_that_names_no_file_is_refused(name):
    with pytest.raises(DatasetNotFoundError, match="is no name of a data set"):
        RecordReader(name)


def test_index_is_made_from_the_records_where_there_is_none(tmp_path):
    (tmp_path / "x.rec").write_bytes((DATA / "multi.rec").read_bytes())
    with RecordReader(tmp_path / "x.rec") as reader:
        assert sorted(reader.keys()) == list(range(100, 112))


def test_walk_touches_only_the_heads(tmp_path):
    # Four records of 400 MB, which are holes in the file: reading them would take 1.6 GB of memory.
    size = 400_000_000
    with (tmp_path / "x.rec").open("wb") as file:
        for key in range(4):
            file.seek(key * (size + 8))
            file.write(struct.pack("<II", MAGIC, size) + pack_header(1.0, key))
        file.truncate(4 * (size + 8))
    code = f"""
from dali_rec.recordio import RecordReader
before = peak()
index = RecordReader({str(tmp_path / "x.rec")!r}).build_index()
print(index.keys.tolist(), index.offsets.tolist())
print(peak() - before)
"""
    printed, _ = peak_memory(code)
    found, kilobytes = printed.splitlines()
    assert found == f"{list(range(4))} {[key * (size + 8) for key in range(4)]}"
    assert int(kilobytes) < 20_000


def test_largest_record_reads_back_behind_one_that_is_split(tmp_path):
    size = (1 << 29) - 1
    with (tmp_path / "x.rec").open("wb") as file:
        file.writelines(frame(MAGIC_BYTES))
        file.write(struct.pack("<II", MAGIC, size))
        file.truncate(file.tell() + size + 1)
    with RecordReader(tmp_path / "x.rec") as reader:
        assert [len(payload) for payload in reader] == [4, size]


def test_empty_file_has_no_records(tmp_path):
    (tmp_path / "x.rec").write_bytes(b"")
    with RecordReader(tmp_path / "x.rec") as reader:
        assert list(reader) == []
        assert len(reader) == 0


def test_missing_file_is_said(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="no such file"):
        RecordReader(tmp_path / "x.rec")


def test_file_that_is_not_recordio_is_said(tmp_path):
    (tmp_path / "x.rec").write_bytes(b"PK\x03\x04 this is something else")
    with RecordReader(tmp_path / "x.rec") as reader, pytest.raises(CorruptRecordError, match=r"x\.rec: bad magic"):
        list(reader)


def test_cut_file_is_said_with_the_offset_of_the_record(tmp_path):
    whole = (DATA / "single.rec").read_bytes()
    (tmp_path / "x.rec").write_bytes(whole[:-100])
    with RecordReader(DATA / "single.rec") as reader:
        last = max(reader.index.offsets)
    with RecordReader(tmp_path / "x.rec") as reader, pytest.raises(TruncatedRecordError, match=f"offset {last}"):
        list(reader)


def test_index_of_a_longer_file_is_refused(tmp_path):
    (tmp_path / "x.rec").write_bytes((DATA / "single.rec").read_bytes()[:3016])
    (tmp_path / "x.idx").write_bytes((DATA / "single.idx").read_bytes())
    with RecordReader(tmp_path / "x.rec") as reader, pytest.raises(IndexFileError, match="record 2 is said to be at"):
        len(reader)


def test_unknown_key_is_a_key_error():
    with RecordReader(DATA / "single.rec") as reader, pytest.raises(KeyError, match="no record with id 99"):
        reader.read(99)


def test_reader_can_be_pickled():
    with RecordReader(DATA / "single.rec") as reader:
        copy = pickle.loads(pickle.dumps(reader))
        assert bytes(copy.read(2)) == bytes(reader.read(2))
        copy.close()


def test_records_are_found_by_key_in_little_memory(tmp_path):
    keys = [5, 2**64 - 1, 7, 5, *range(100, 20_000)]  # of a key that stands twice the later record counts
    with RecordWriter(tmp_path / "x.rec") as writer:
        for number, key in enumerate(keys):
            writer.write(b"%d" % number, key)
    with RecordReader(tmp_path / "x.rec") as reader:
        table = len(reader.index) * 16
        assert traced_peak(lambda: reader.read(7)) < 3 * table
        found = [bytes(reader.read(key)) for key in (5, 7, 100, 19_999, 2**64 - 1)]
        assert found == [b"3", b"2", b"4", b"%d" % (len(keys) - 1), b"1"]
        for absent in (0, 6, 20_000, 2**64 - 2, 2**70, -(2**70)):
            with pytest.raises(KeyError, match="no record with id"):
                reader.read(absent)


def test_indexing_says_how_far_it_is():
    said = []
    with RecordReader(DATA / "single.rec") as reader:
        assert reader.build_index(lambda *far: said.append(far)) == reader.build_index()
        assert said == [*((int(offset), reader.size) for offset in reader.index.offsets), (reader.size, reader.size)]


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([2], "2"),
        ([0.5, 1e6, -1], "0.5, 1e+06, -1"),
        (range(8), "0, 1, 2, 3, 4, 5, 6, 7"),
        (range(9), "0, 1, 2, 3, 4, 5, 6, 7, …"),
    ],
)
def test_record_is_shown_in_few_words(labels, shown):
    record = Record(7, np.float32(labels), memoryview(bytes(1200)))
    assert repr(record) == f"<Record 7: labels [{shown}], image of 1,200 bytes>"


def test_record_shows_its_picture_in_a_notebook():
    with RecordReader(DATA / "single.rec") as reader:
        record = next(reader.records())
    shown = record._repr_html_()
    assert shown.startswith('<img src="data:image/jpeg;base64,')
    assert shown.endswith(f"<div>{html.escape(repr(record))}</div>")
