"""InsightFace's train.rec is its images; its header and identities are no samples."""

import shutil
import struct

import numpy as np
import pytest
from support import DATA, jpeg

import dali_rec
from dali_rec.errors import DatasetError, RecordError
from dali_rec.inspection import verify


def bare(labels, key):
    """A record of two labels without an image, rounded to float32 as MXNet does."""
    return struct.pack("<IfQQff", 2, 0.0, key, 0, *labels)


def write_faces(path, classes, first=1, aligned=None):
    """A face set with one image for each entry of ``classes``, ids from ``first``; returns the true ranges."""
    header_end = first + len(classes)
    ranges = []
    with dali_rec.RecordWriter(path) as writer:
        for number, label in enumerate(classes):
            key = first + number
            two = aligned is not None and number % 2 == 0
            writer.write_image(jpeg(number, (32, 32)), [label, aligned] if two else label, key)
            if number == 0 or classes[number - 1] != label:
                ranges.append([key, key])
            ranges[-1][1] = key + 1
        writer.write(bare((header_end, header_end + len(ranges)), 0), 0)
        for number, one in enumerate(ranges):
            writer.write(bare(one, header_end + number), header_end + number)
    return ranges


def table(identities):
    return np.stack([identities.first, identities.end], axis=1).tolist()


def test_face_set_of_mxnet_is_its_images():
    dataset = dali_rec.open(DATA / "faces.rec")
    assert dataset.keys.tolist() == [record.key for record in dataset] == list(range(1, 13))
    assert all(bytes(record.image[:2]) == b"\xff\xd8" for record in dataset)
    assert (table(dataset.identities), dataset.identities.ids.tolist()) == ([[1, 5], [5, 9], [9, 13]], [13, 14, 15])
    assert (dataset.is_face_set, dataset.num_classes, dataset.num_identities) == (True, 3, 3)


def test_face_set_is_recognised_without_an_index(tmp_path):
    shutil.copy(DATA / "faces.rec", tmp_path / "train.rec")
    assert len(dali_rec.open(tmp_path / "train")) == 12


@pytest.mark.parametrize("name", ["single", "multi", "detection"])
def test_other_sets_have_no_identities(name):
    dataset = dali_rec.open(DATA / f"{name}.rec")
    assert (dataset.is_face_set, dataset.identities, len(dataset)) == (False, None, 12)


@pytest.mark.parametrize("labels", [(3, 5), (4, 5), (2, 3), (0.5, 4), (float("nan"), 4), (5, 4), (4, float("inf"))])
def test_record_that_lost_its_image_makes_no_face_set(tmp_path, labels):
    # Two labels a record and no image in record 0, but what it names are images.
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(bare(labels, 0), 0)
        for key in range(1, 5):
            writer.write_image(jpeg(key), [float(key), 1.0], key)
    assert (dali_rec.open(tmp_path / "x").is_face_set, len(dali_rec.open(tmp_path / "x"))) == (False, 5)


def test_two_records_that_lost_their_images_make_no_face_set(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write(bare((3, 6), 0), 0)
        for key in range(1, 5):
            writer.write_image(jpeg(key), [float(key), 1.0], key)
        writer.write(bare((5, 6), 5), 5)
    assert not dali_rec.open(tmp_path / "x").is_face_set


def test_header_with_flag_0_is_an_image_like_the_others(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(4):
            writer.write_image(jpeg(key), key // 2, key)
    assert (dali_rec.open(tmp_path / "x").is_face_set, len(dali_rec.open(tmp_path / "x"))) == (False, 4)


def test_recognition_reads_a_handful_of_records(tmp_path, monkeypatch):
    write_faces(tmp_path / "x.rec", [number // 10 for number in range(300)])
    read = []
    plain = dali_rec.RecordReader.record_at
    monkeypatch.setattr(dali_rec.RecordReader, "record_at", lambda self, at: read.append(at) or plain(self, at))
    assert len(dali_rec.open(tmp_path / "x")) == 300
    assert len(read) <= 6


@pytest.mark.parametrize("first", [1, (1 << 24) - 7, (1 << 24) + 1, (1 << 25) + 1, 40_000_001])
def test_ids_beyond_float32_are_exact(tmp_path, first):
    classes = [0, 0, 0, 1, 2, 3, 3, 4, 4, 4, 4, 4, 5, 6, 6]
    ranges = write_faces(tmp_path / "x.rec", classes, first)
    dataset = dali_rec.open(tmp_path / "x")
    assert dataset.keys.tolist() == list(range(first, first + 15))
    assert table(dataset.identities) == ranges
    assert dataset.num_identities == 7


def test_ranges_that_rounding_has_lost_are_not_guessed(tmp_path):
    # Shuffled images: their classes do not say where an identity ends.
    first = (1 << 24) + 1
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for number, label in enumerate((0, 1, 0, 1)):
            writer.write_image(jpeg(number), label, first + number)
        writer.write(bare((first + 4, first + 6), 0), 0)
        for number in range(2):
            writer.write(bare((first + 2 * number, first + 2 * number + 2), first + 4 + number), first + 4 + number)
    dataset = dali_rec.open(tmp_path / "x")
    assert len(dataset) == 4
    with pytest.raises(DatasetError, match="float32 numbers beyond 2\\^24"):
        _ = dataset.identities


@pytest.mark.parametrize("change", [b"\x00\x00\x00\x00", b"\x01\x00\x00\x00", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize("word", [0, 1, 2])
def test_damaged_identity_is_an_error_when_asked_for(tmp_path, word, change):
    write_faces(tmp_path / "x.rec", [0, 0, 1, 2])
    index = dict(line.split() for line in (tmp_path / "x.idx").read_text().splitlines())
    data = bytearray((tmp_path / "x.rec").read_bytes())
    at = int(index["6"]) + 4 * word
    data[at : at + 4] = change
    (tmp_path / "x.rec").write_bytes(data)
    dataset = dali_rec.open(tmp_path / "x")
    assert len(dataset) == 4
    with pytest.raises(RecordError):
        _ = dataset.identities


def test_class_is_the_first_label_whether_images_have_one_or_two(tmp_path):
    write_faces(tmp_path / "x.rec", [0, 0, 1, 1, 1, 2], aligned=1.0)
    dataset = dali_rec.open(tmp_path / "x")
    assert dataset.class_indices.tolist() == [0, 0, 1, 1, 1, 2]
    assert sorted({len(record.labels) for record in dataset}) == [1, 2]


def test_property_file_says_how_many_classes(tmp_path):
    write_faces(tmp_path / "train.rec", [0, 0, 2])
    assert dali_rec.open(tmp_path / "train").num_classes == 2
    (tmp_path / "property").write_text("3,112,112\n3\n")
    assert dali_rec.open(tmp_path / "train").num_classes == 3
    for nonsense in (b"\xff\x00 nonsense", b"1_0,112,112\n"):
        (tmp_path / "property").write_bytes(nonsense)
        assert dali_rec.open(tmp_path / "train").num_classes == 2


def test_property_file_of_other_images_is_not_asked(tmp_path):
    write_faces(tmp_path / "one.rec", [0, 1])
    write_faces(tmp_path / "two.rec", [2, 3], first=10)
    shutil.copy(DATA / "single.rec", tmp_path)
    (tmp_path / "property").write_text("7,112,112\n")
    assert dali_rec.open(tmp_path / "single").num_classes is None
    both = dali_rec.open([tmp_path / "one", tmp_path / "two"])
    assert (both.num_classes, both.num_identities, both.identities) == (None, 4, None)


def test_views_keep_to_the_images(tmp_path):
    write_faces(tmp_path / "x.rec", [0, 0, 0, 1, 1, 1])
    train, held_back = dali_rec.open(tmp_path / "x").split(2 / 3, 1 / 3)
    assert sorted([*train.keys.tolist(), *held_back.keys.tolist()]) == [1, 2, 3, 4, 5, 6]
    assert (train.class_indices.tolist(), held_back.class_indices.tolist()) == ([0, 0, 1, 1], [0, 1])
    assert len(train.identities) == 2


def test_verify_takes_images_for_images_and_still_finds_a_bad_one(tmp_path):
    write_faces(tmp_path / "x.rec", [0, 0, 1])
    report = verify(tmp_path / "x")
    assert (report.records, report.images, report.ok) == (6, 3, True)
    data = bytearray((tmp_path / "x.rec").read_bytes())
    data[200:260] = bytes(60)
    (tmp_path / "x.rec").write_bytes(data)
    report = verify(tmp_path / "x")
    assert [fault.kind for fault in report.faults] == ["image"]
    assert report.faults[0].key == 1
