"""Whatever is changed in a file of arrays, it is read or refused by an error that names it."""

import contextlib
import gzip
import io

import numpy as np
import pytest
from array_files import idx, noise, read, write_cifar10
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dali_rec.errors import ImageRejectedError, SourceError

IMAGES, LABELS = noise(9, 5, 4), np.arange(9, dtype=np.uint8)


def saved(save):
    file = io.BytesIO()
    save(file, images=IMAGES, labels=LABELS)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FILES = {
    "stored.npz": ("x.npz", saved(np.savez)),
    "deflated.npz": ("x.npz", saved(np.savez_compressed)),
    "npy": ("x.npy", npy(IMAGES)),
    "npy of labels": ("y.npy", npy(LABELS)),
    "idx": ("train-images-idx3-ubyte", idx(IMAGES)),
    "idx.gz": ("train-images-idx3-ubyte", gzip.compress(idx(IMAGES))),
    "labels.gz": ("train-labels-idx1-ubyte", gzip.compress(idx(LABELS))),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    (folder / "x.npy").write_bytes(npy(IMAGES))
    (folder / "y.npy").write_bytes(npy(LABELS))
    (folder / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    write_cifar10(folder / "cifar", batches=1, count=2)
    return folder


def changed(data, whole, at_ends):
    """The bytes with some others: at the beginning or end, where what describes the rest stands, or anywhere."""
    made = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(at_ends, len(made)) - 1))
        made[data.draw(st.sampled_from([at, -1 - at]))] = data.draw(st.integers(0, 255))
    return bytes(made[: data.draw(st.sampled_from([len(made), len(made) - 1, len(made) // 2]))])


def read_all(path):
    with contextlib.suppress(SourceError, ImageRejectedError):
        source = read(path)
        for sample in source.samples:
            source.pixels.read(sample.location)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_files_are_read_or_refused(folder, name, data):
    file, whole = FILES[name]
    before = (folder / file).read_bytes() if (folder / file).exists() else None
    try:
        (folder / file).write_bytes(changed(data, whole, 400))
        read_all(folder / file.replace("labels-idx1", "images-idx3").replace("y.npy", "x.npy"))
    finally:
        if before is not None:
            (folder / file).write_bytes(before)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_pickles_are_read_or_refused(folder, data):
    path = folder / "cifar" / data.draw(st.sampled_from(["data_batch_1", "batches.meta"]))
    whole = path.read_bytes()
    try:
        path.write_bytes(changed(data, whole, 300))
        read_all(path.parent)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", ["x.npz", "x.npy", "train-images-idx3-ubyte"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path, kind, data):
    (tmp_path / kind).write_bytes(data)
    (tmp_path / "y.npy").write_bytes(npy(LABELS))
    read_all(tmp_path / kind)


@pytest.mark.parametrize("header", [b"{'descr': '|u1', 'shape': (", b"\0" * 40, b"(((((", b"1 if 2 else 3", b"'''"])
def test_headers_of_npy_that_do_not_parse_are_refused(tmp_path, header):
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "x.npy").write_bytes(data)
    (tmp_path / "y.npy").write_bytes(npy(LABELS))
    with pytest.raises(SourceError, match=r"x\.npy: cannot be read as \.npy"):
        read(tmp_path / "x.npy")
