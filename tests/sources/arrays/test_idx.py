"""MNIST's own files."""

import gzip
import struct

import numpy as np
import pytest
from array_files import decoded, idx, labels_of, noise, pixels_of, read, write_mnist

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("prefix", ["", "emnist-balanced-"])
def test_a_folder_is_packed_in_its_splits(tmp_path, packed, prefix):
    made = write_mnist(tmp_path / "mnist", packed=packed, prefix=prefix)
    report = dali_rec.pack(tmp_path / "mnist", tmp_path / "out", workers=3)
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 30), ("test", 10)]
    for name, (images, labels) in zip(("train", "test"), made.values(), strict=True):
        records = list(dali_rec.open(tmp_path / f"out-{name}"))
        assert np.array_equal(decoded(record.image for record in records), images)
        assert [int(record.labels[0]) for record in records] == labels.tolist()
    file = f"{prefix}t10k-images-idx3-ubyte{'.gz' if packed else ''}"
    assert (tmp_path / "out-test.lst").read_text().splitlines()[7] == f"7\t7\t{file}#7"


def test_one_file_of_images_is_one_data_set(tmp_path, capsys):
    made = write_mnist(tmp_path / "mnist")
    path = tmp_path / "mnist" / "t10k-images-idx3-ubyte"
    assert main(["pack", str(path), str(tmp_path / "out")]) == 0, capsys.readouterr().err
    assert np.array_equal(decoded(record.image for record in dali_rec.open(tmp_path / "out")), made["t10k"][0])


def test_a_file_may_be_named_in_other_capitals_where_the_system_finds_it(tmp_path):
    images, labels = write_mnist(tmp_path)["train"]
    path = tmp_path / "TRAIN-images-idx3-UBYTE"
    if not path.exists():
        pytest.skip("capitals make another name here")
    source = read(path)
    assert np.array_equal(pixels_of(source), images)
    assert labels_of(source) == labels.tolist()


def test_names_with_dots_and_gz_of_other_names(tmp_path):
    images, labels = noise(4, 5, 5), np.arange(4, dtype=np.uint8)
    (tmp_path / "train-images.idx3-ubyte").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(labels))
    source = read(tmp_path)
    assert np.array_equal(pixels_of(source), images)
    assert labels_of(source) == [0, 1, 2, 3]
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(gzip.compress(idx(labels)))
    assert labels_of(read(tmp_path / "train-images.idx3-ubyte")) == [0, 1, 2, 3]


def test_what_was_unpacked_goes_before_the_gz(tmp_path):
    write_mnist(tmp_path, packed=True)
    write_mnist(tmp_path)
    assert [file.endswith("ubyte") for file in read(tmp_path).files] == [True, True]


def test_images_in_colour_have_four_dimensions(tmp_path):
    images = noise(4, 5, 6, 3)
    (tmp_path / "train-images-idx4-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    assert np.array_equal(pixels_of(read(tmp_path)), images)


def test_several_data_sets_in_a_folder_are_refused(tmp_path):
    write_mnist(tmp_path, prefix="emnist-letters-")
    write_mnist(tmp_path, prefix="emnist-digits-")
    with pytest.raises(
        SourceError, match=r"several data sets \(emnist-digits, emnist-letters\); give one of the files"
    ):
        read(tmp_path)
    assert len(read(tmp_path / "emnist-digits-t10k-images-idx3-ubyte").samples) == 10


def test_files_that_are_of_no_split_each_are_refused(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(noise(4, 5, 5)))
    with pytest.raises(SourceError, match="are not of a split each by their names; give one of them"):
        read(tmp_path)


def test_labels_may_be_missing_if_that_is_said(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(SourceError, match=r"t10k-images-idx3-ubyte: no t10k-labels-idx1-ubyte beside it; get it, or "):
        read(tmp_path)
    assert labels_of(read(tmp_path, labels=("",))) == [0] * 40
    with pytest.raises(SourceError, match="these are the labels; give the file of the images"):
        read(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(SourceError, match="do not go with IDX files"):
        read(tmp_path, labels=("x",))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with nothing, which no IDX file does"),
        (b"<html>", "begins with 3c 68 74 6d, which no IDX file does"),
        (b"\0\0\x08\x09" + bytes(100), "begins with 00 00 08 09"),
        (b"\0\0\x08\x03\0\0", "begins with 00 00 08 03"),
        (struct.pack(">BBBB3I", 0, 0, 13, 3, 2, 3, 3) + bytes(72), "of the type 0x0d, and bytes"),
        (idx(noise(4, 5, 5))[:-1], "115 bytes, and 116 are expected of 4 × 5 × 5: it was cut off"),
        (idx(noise(4, 5, 5)) + b"x", "117 bytes, and 116 are expected"),
        (idx(noise(4, 25)), "4 × 25; expected N × height × width"),
        (gzip.compress(idx(noise(4, 5, 5)))[:-9], r"bytes unpacked, and 116 are expected .*cut off"),
        (gzip.compress(idx(noise(4, 5, 5))[:-1]), "115 bytes unpacked, and 116"),
        (gzip.compress(idx(noise(4, 5, 5)))[:12], r"(cannot be unpacked|begins with|unpacked, and)"),
        (b"\x1f\x8b" + bytes(99), "cannot be unpacked"),
        (idx(noise(3, 5, 5)), "labels-idx1-ubyte: 4 labels, and 3 images in .*; as many are expected"),
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path, data, reason):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(4, dtype=np.uint8)))
    with pytest.raises(SourceError, match=reason):
        read(tmp_path)


def test_damage_in_a_gz_is_noticed_at_its_end(tmp_path):
    write_mnist(tmp_path, packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[-7] ^= 1  # of the checksum
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz: cannot be unpacked from about image 0 on"):
        pixels_of(read(tmp_path))


def test_a_label_that_is_none_of_the_classes_is_named_with_its_row(tmp_path):
    write_mnist(tmp_path)
    assert read(tmp_path, classes=tuple("abcdefghij")).classes == tuple("abcdefghij")
    with pytest.raises(SourceError, match=r"train-labels-idx1-ubyte, item 9: the label 9 is none of the 9 classes"):
        read(tmp_path, classes=tuple("abcdefghi"))


def test_no_list_is_written_of_what_is_no_file(tmp_path, capsys):
    write_mnist(tmp_path / "mnist")
    assert main(["list", str(tmp_path / "mnist"), str(tmp_path / "x.lst")]) == 1
    assert "a list names files, and these images are in arrays: pack it as it is" in capsys.readouterr().err
