"""Which folders and files are arrays."""

import numpy as np
import parquet_files
import pytest
import tfrecord_files
from array_files import noise, read, write_cifar10, write_mnist
from support import make_class_folder

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.find import find_arrays


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["train-images-idx3-ubyte"], "idx"),
        (["t10k-images.idx3-ubyte.gz", "readme.txt"], "idx"),
        (["train-labels-idx1-ubyte"], None),
        (["data_batch_1", "test_batch", "batches.meta"], "cifar"),
        (["test_batch.bin", "batches.meta.txt"], "cifar"),
        (["data_batch_1"], None),
        (["train", "test", "meta"], "cifar"),
        (["train.bin", "fine_label_names.txt"], "cifar"),
        (["train", "test"], None),
        (["x_train.npy", "y_train.npy"], "npy"),
        (["x_train.npy", "z.npy"], None),
        (["x.npy", "y.npy", "1.jpg"], None),
        (["train-images-idx3-ubyte", "1.png"], None),
        (["x.npz"], None),
    ],
)
def test_folders_by_the_names_of_their_files(tmp_path, files, kind):
    for file in files:
        (tmp_path / file).touch()
    found = find_arrays(tmp_path)
    assert (None if found is None else found.kind) == kind


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("x.npz", "npz"),
        ("X.NPZ", "npz"),
        ("x.npy", "npy"),
        ("a.h5", "hdf5"),
        ("a.HDF5", "hdf5"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "idx"),
        ("train-images-ubyte", None),
        ("train-images-idx3-ubyte.gz.part", None),
        ("data_batch_1", None),
    ],
)
def test_files_by_their_names(tmp_path, file, kind):
    found = find_arrays(tmp_path / file)
    assert (None if found is None else found.kind) == kind


def test_folders_of_classes_with_arrays_beside_them_are_folders_of_classes(tmp_path):
    make_class_folder(tmp_path, {"a": 2, "b": 1})
    np.save(tmp_path / "x.npy", noise(3, 6, 5))
    np.save(tmp_path / "y.npy", np.arange(3))
    assert read(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize("write", [write_mnist, write_cifar10])
def test_a_folder_around_that_of_the_arrays_is_told(tmp_path, write):
    write(tmp_path / "raw")
    with pytest.raises(SourceError, match=r"no images in it, but raw/.*\. Pack these, or the folder they are in"):
        read(tmp_path)


def test_files_that_are_data_sets_of_their_own_are_packed_one_by_one(tmp_path):
    for name in ("split_train_x.h5", "split_test_x.h5"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"no images in it, but split_test_x\.h5, .*\. Pack these one by one$"):
        read(tmp_path)
    (tmp_path / "split_test_x.h5").unlink()
    with pytest.raises(SourceError, match=r"no images in it, but split_train_x\.h5\. Pack it by its name$"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_1", "batches.meta"])
def test_for_a_file_of_cifar_its_folder_is_named(tmp_path, name):
    write_cifar10(tmp_path / "x")
    with pytest.raises(SourceError, match=rf"{name}: not a folder.*\. Give the folder that it is in"):
        read(tmp_path / "x" / name)


@pytest.mark.parametrize("write", [write_mnist, write_cifar10])
def test_arrays_beside_folders_of_images_are_other_files(tmp_path, write):
    folder = tmp_path / "x"
    write(folder)
    (folder / "notes").mkdir()
    assert find_arrays(folder) is not None
    make_class_folder(folder / "png", {"a": 2, "b": 1})
    source = read(folder)
    assert len(source.samples) == 3
    assert "directly in" in source.notes[0]


def test_of_a_data_set_in_several_forms_one_is_packed_and_the_others_told(tmp_path):
    np.save(tmp_path / "x.npy", noise(3, 6, 5))
    np.save(tmp_path / "y.npy", np.arange(3))
    assert len(read(tmp_path).samples) == 3
    tfrecord_files.labelled(tmp_path / "a.tfrecord", range(5))
    source = read(tmp_path)
    assert len(source.samples) == 5
    assert f"{tmp_path}: 2 files of other kinds left out: x.npy, y.npy" in source.notes
    parquet_files.labelled(tmp_path / "a.parquet", [0, 1])
    source = read(tmp_path)
    assert len(source.samples) == 2
    assert f"{tmp_path}: 3 files of other kinds left out: a.tfrecord, x.npy, y.npy" in source.notes
