"""CIFAR's own files, of which the Python ones are pickles."""

import os
import pickle

import numpy as np
import pytest
from array_files import (
    CIFAR10,
    decoded,
    labels_of,
    noise,
    pixels_of,
    python2_pickle,
    python3_pickle,
    read,
    split_of,
    write_cifar10,
)

import dali_rec
from dali_rec.errors import SourceError

FINE, COARSE = [f"fine {number}" for number in range(100)], [f"coarse {number}" for number in range(20)]


def test_the_pickles_of_the_tests_are_python_2s():
    content = {b"labels": [1, 300], b"data": noise(2, 3072), b"filenames": [b"a.png", b"b" * 300]}
    read_back = pickle.loads(python2_pickle(content), encoding="bytes")
    assert np.array_equal(read_back.pop(b"data"), content.pop(b"data"))
    assert read_back == content


@pytest.mark.parametrize("dump", [python2_pickle, python3_pickle])
def test_cifar10_of_python_is_packed_as_torchvision_reads_it(tmp_path, dump):
    made = write_cifar10(tmp_path / "cifar-10-batches-py", dump)
    report = dali_rec.pack(tmp_path / "cifar-10-batches-py", tmp_path / "out", workers=2)
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 12), ("test", 6)]
    for split, (images, labels) in made.items():
        dataset = dali_rec.open(tmp_path / f"out-{split}")
        assert dataset.classes == tuple(CIFAR10)
        assert np.array_equal(decoded(record.image for record in dataset), images)
        assert [int(record.labels[0]) for record in dataset] == labels
    assert (tmp_path / "out-train.lst").read_text().splitlines()[7] == f"7\t{made['train'][1][7]}\tdata_batch_2#1"


def test_more_than_nine_batches_are_in_the_order_of_their_numbers(tmp_path):
    made = write_cifar10(tmp_path / "x", batches=11, count=2)
    source = read(tmp_path / "x")
    assert np.array_equal(pixels_of(source, split_of(source, "train")), made["train"][0])


def write_cifar10_binary(folder):
    folder.mkdir()
    made = {"train": noise(8, 3073), "test": noise(4, 3073, seed=1)}
    for records in made.values():
        records[:, 0] %= 10
    (folder / "data_batch_1.bin").write_bytes(made["train"][:4].tobytes())
    (folder / "data_batch_2.bin").write_bytes(made["train"][4:].tobytes())
    (folder / "test_batch.bin").write_bytes(made["test"].tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10) + "\n\n")
    return made


def test_cifar10_binary(tmp_path):
    made = write_cifar10_binary(tmp_path / "cifar-10-batches-bin")
    source = read(tmp_path / "cifar-10-batches-bin")
    assert source.classes == tuple(CIFAR10)
    for split, records in made.items():
        rows = split_of(source, split)
        # "The first 1024 bytes are the red channel values, the next 1024 the green, and the final 1024 the blue."
        red, green, blue = records[:, 1:1025], records[:, 1025:2049], records[:, 2049:]
        wanted = np.stack([red, green, blue], -1).reshape(-1, 32, 32, 3)
        assert np.array_equal(pixels_of(source, rows), wanted)
        assert [labels_of(source)[row] for row in rows] == records[:, 0].tolist()


def write_cifar100_binary(folder):
    folder.mkdir()
    records = noise(6, 3074)
    records[:, 0] %= 20
    records[:, 1] %= 100
    (folder / "train.bin").write_bytes(records[:4].tobytes())
    (folder / "test.bin").write_bytes(records[4:].tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(FINE))
    (folder / "coarse_label_names.txt").write_text("\n".join(COARSE))
    return records


def write_cifar100_python(folder):
    folder.mkdir()
    records = noise(6, 3074)
    records[:, 0] %= 20
    records[:, 1] %= 100
    for file, some in (("train", records[:4]), ("test", records[4:])):
        content = {
            b"filenames": [b"x.png"] * len(some),
            b"batch_label": b"one",
            b"fine_labels": some[:, 1].tolist(),
            b"coarse_labels": some[:, 0].tolist(),
            b"data": some[:, 2:],
        }
        (folder / file).write_bytes(python2_pickle(content))
    meta = {
        b"fine_label_names": [name.encode() for name in FINE],
        b"coarse_label_names": [name.encode() for name in COARSE],
    }
    (folder / "meta").write_bytes(python2_pickle(meta))
    return records


@pytest.mark.parametrize("write", [write_cifar100_binary, write_cifar100_python])
def test_cifar100_has_fine_labels_coarse_ones_or_both(tmp_path, write):
    records = write(tmp_path / "x")
    source = read(tmp_path / "x")
    assert (source.classes, labels_of(source)) == (tuple(FINE), records[:, 1].tolist())
    assert [(one.name, one.start, one.stop) for one in source.splits] == [("train", 0, 4), ("test", 4, 6)]
    wanted = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(pixels_of(source), wanted)
    source = read(tmp_path / "x", labels=("coarse_label",))
    assert (source.classes, labels_of(source)) == (tuple(COARSE), records[:, 0].tolist())
    source = read(tmp_path / "x", labels=("fine_label", "coarse_label"))
    assert source.label_classes == (tuple(FINE), tuple(COARSE))
    assert labels_of(source) == [*map(tuple, records[:, 1::-1].tolist())]
    source = read(tmp_path / "x", labels=("",))
    assert (source.classes, labels_of(source)) == (None, [0] * 6)
    with pytest.raises(SourceError, match="no labels 'label2' in CIFAR-100; there are fine_label, coarse_label"):
        read(tmp_path / "x", labels=("label2",))


def test_what_does_not_fit_is_refused(tmp_path):
    write_cifar10_binary(tmp_path / "bin")
    with pytest.raises(SourceError, match="--location-column does not go with CIFAR-10"):
        read(tmp_path / "bin", location="x")
    with (tmp_path / "bin" / "data_batch_2.bin").open("r+b") as file:
        file.truncate(3073 * 3 + 5)
    with pytest.raises(SourceError, match=r"data_batch_2\.bin: 9,224 bytes, which are no whole images of 3,073"):
        read(tmp_path / "bin")
    (tmp_path / "bin" / "data_batch_2.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(SourceError, match=r"data_batch_2\.bin, item 0: the label 10 is none of the 10 classes"):
        read(tmp_path / "bin")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("mark",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"labels": [0], "data": Hostile()}, r"asks for \w+\.mkdir.*nothing in it was run"),
        ([1], "holds something else than the mapping"),
        ({"labels": [0]}, "no 'data' in it"),
        ({"data": noise(1, 3072)}, "no 'labels' in it"),
        ({"labels": [0], "data": noise(1, 32, 32, 3)}, "no array of N × 3,072 bytes"),
        ({"labels": [0], "data": noise(1, 3072).astype(np.uint16)}, "no array of N × 3,072 bytes"),
        ({"labels": [0, 1], "data": np.asfortranarray(noise(2, 3072))}, "no array of N × 3,072 bytes"),
        ({"labels": [0, 1], "data": noise(1, 3072)}, ": 2 labels, and 1 image in"),
        ({"labels": [b"cat"], "data": noise(1, 3072)}, "row 0: what stands in 'labels' is no number of a class"),
        ({"labels": [10**40], "data": noise(1, 3072)}, "row 0: what stands in 'labels' is no number of a class"),
        ({1: 2}, "short text is expected"),
    ],
)
def test_pickles_of_something_else_are_refused_and_not_run(tmp_path, monkeypatch, content, reason):
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path / "x", python3_pickle)
    (tmp_path / "x" / "data_batch_1").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(SourceError, match=rf"data_batch_1.*{reason}"):
        read(tmp_path / "x")
    assert not (tmp_path / "mark").exists()


def test_cut_pickles_are_refused(tmp_path):
    write_cifar10(tmp_path / "x")
    whole = (tmp_path / "x" / "data_batch_2").read_bytes()
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "x" / "data_batch_2").write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"data_batch_2.*(cut short|empty|string of .* bytes where)"):
            read(tmp_path / "x")


def test_data_that_is_written_as_text_is_refused_with_the_remedy(tmp_path):
    write_cifar10(tmp_path / "x", python3_pickle)
    content = {"labels": [0], "data": noise(1, 3072)}
    (tmp_path / "x" / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(SourceError, match=r"test_batch: its 'data' was not written as Python 2 does.*torchvision"):
        read(tmp_path / "x")
