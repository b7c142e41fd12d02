"""Arrays in .npy files beside each other."""

import numpy as np
import pytest
from array_files import labels_of, noise, pixels_of, read

import dali_rec
from dali_rec.errors import ImageRejectedError, SourceError

LABELS = np.arange(12) % 5


def write(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


@pytest.mark.parametrize(
    ("images", "labels"), [("x_train", "y_train"), ("images", "labels"), ("X", "y"), ("train_images", "train_labels")]
)
def test_a_file_of_images_has_its_labels_beside_it(tmp_path, images, labels):
    x = noise(12, 6, 5, 3)
    write(tmp_path, **{images: x, labels: LABELS, "y_test": LABELS[:3], "z": x})
    source = read(tmp_path / f"{images}.npy")
    assert np.array_equal(pixels_of(source), x)
    assert (labels_of(source), source.splits) == (LABELS.tolist(), ())
    assert source.files == (str(tmp_path / f"{images}.npy"),)


def test_a_folder_has_splits(tmp_path):
    x = noise(12, 6, 5)
    write(tmp_path / "set", x_train=x[:8], y_train=LABELS[:8], x_test=x[8:], y_test=LABELS[8:], other=x)
    report = dali_rec.pack(tmp_path / "set", tmp_path / "out")
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 8), ("test", 4)]
    assert (tmp_path / "out-test.lst").read_text().splitlines()[1] == "1\t4\tx_test.npy#1"


@pytest.mark.parametrize("name", ["X.NPY", ""], ids=["file", "folder"])
def test_extensions_may_be_in_capitals(tmp_path, name):
    x = noise(12, 6, 5)
    write(tmp_path, X=x, y=LABELS)
    for path in [*tmp_path.iterdir()]:
        path.rename(path.with_suffix(".NPY"))
    source = read(tmp_path / name)
    assert np.array_equal(pixels_of(source), x)
    assert labels_of(source) == LABELS.tolist()


def test_labels_of_other_names_are_named(tmp_path):
    x = noise(12, 6, 5)
    write(tmp_path, faces=x, ages=LABELS)
    with pytest.raises(SourceError, match=r"faces\.npy: no array that is called as images are in 'faces'; name that"):
        read(tmp_path / "faces.npy")
    source = read(tmp_path / "faces.npy", location="faces", labels=("ages",))
    assert np.array_equal(pixels_of(source), x)
    assert labels_of(source) == LABELS.tolist()
    assert labels_of(read(tmp_path / "faces.npy", location="faces", labels=("",))) == [0] * 12


def test_what_is_missing_is_named(tmp_path):
    write(tmp_path, x_train=noise(12, 6, 5), y_test=LABELS)
    with pytest.raises(SourceError, match=r"as labels are in 'x_train'; name that of the labels by --label-column"):
        read(tmp_path / "x_train.npy")
    with pytest.raises(SourceError, match=r"y_test\.npy: by its name it holds labels; give the file of the images"):
        read(tmp_path / "y_test.npy")


def test_every_cut_file_and_one_that_goes_on_are_refused(tmp_path):
    write(tmp_path, x=noise(3, 6, 5), y=np.arange(3))
    whole = (tmp_path / "x.npy").read_bytes()
    for data in (*(whole[:length] for length in range(0, len(whole), 9)), whole + b"x"):
        (tmp_path / "x.npy").write_bytes(data)
        with pytest.raises(SourceError, match=r"x\.npy: .* anew"):
            read(tmp_path / "x.npy")


def test_pickles_are_never_read(tmp_path):
    class Mark:
        def __reduce__(self):
            return (tmp_path.joinpath("mark").touch, ())

    write(tmp_path, x=noise(3, 6, 5), y=np.arange(3))
    np.save(tmp_path / "y.npy", np.array([Mark(), None, None], object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"y\.npy: an array of objects, which are pickled, and never read"):
        read(tmp_path / "x.npy")
    assert not (tmp_path / "mark").exists()


def test_a_file_that_became_shorter_rejects_the_image(tmp_path):
    write(tmp_path, x=noise(3, 6, 5), y=np.arange(3))
    source = read(tmp_path / "x.npy")
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[:-31])
    assert pixels_of(source, [0]).shape == (1, 6, 5)
    with pytest.raises(ImageRejectedError, match=r"x\.npy, row 1: .* are missing: it was cut off"):
        pixels_of(source, [1])


def test_headers_of_python_2_are_read(tmp_path):
    x = noise(3, 6, 5)
    write(tmp_path, x=x, y=np.arange(3))
    whole = (tmp_path / "x.npy").read_bytes()
    old = whole.replace(b"(3, 6, 5), }   ", b"(3L, 6L, 5L), }")
    assert len(old) == len(whole)
    assert old != whole
    (tmp_path / "x.npy").write_bytes(old)
    assert np.array_equal(pixels_of(read(tmp_path / "x.npy")), x)


@pytest.mark.parametrize("shape", [b"(3,-6,-5)", b"(-3,6,-5)"])
def test_shapes_that_are_none_are_refused(tmp_path, shape):
    write(tmp_path, x=noise(3, 6, 5), y=np.arange(3))
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole.replace(b"(3, 6, 5)", shape))
    with pytest.raises(SourceError, match=r"x\.npy: 218 bytes, and 128 are expected"):
        read(tmp_path / "x.npy")


def test_a_folder_with_images_is_one_of_images(tmp_path):
    from support import make_class_folder

    make_class_folder(tmp_path / "set", {"a": 2, "b": 1})
    write(tmp_path / "set", x=noise(3, 6, 5), y=np.arange(3))
    assert read(tmp_path / "set").classes == ("a", "b")
