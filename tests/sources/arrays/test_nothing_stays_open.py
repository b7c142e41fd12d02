"""Files of arrays that are closed when they were packed, or could not be, so that Windows lets them be removed."""

import gzip
import sys

import numpy as np
import pytest
import windows_files
from array_files import idx, noise, read, write_cifar10, write_mnist

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import TableOptions

pytestmark = pytest.mark.usefixtures("open_files_stay")

IMAGES = noise(12, 40, 30, 3)
LABELS = np.arange(12, dtype=np.uint8) % 3


def as_idx(folder):
    write_mnist(folder)
    return folder


def as_gz(folder):
    write_mnist(folder, packed=True)
    return folder / "train-images-idx3-ubyte.gz"


def as_cifar(folder):
    write_cifar10(folder)
    return folder


def as_binary_cifar(folder):
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(noise(5, 3073).clip(0, 9).tobytes())
    (folder / "batches.meta.txt").write_bytes(b"a b c d e f g h i j".replace(b" ", b"\n"))
    return folder


def as_npy(folder):
    folder.mkdir()
    np.save(folder / "x.npy", IMAGES)
    np.save(folder / "y.npy", LABELS)
    return folder


def as_npz(folder, save=np.savez):
    folder.mkdir()
    save(folder / "x.npz", images=IMAGES, labels=LABELS)
    return folder / "x.npz"


def as_deflated_npz(folder):
    return as_npz(folder, np.savez_compressed)


def as_hdf5(folder, **options):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    folder.mkdir()
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("images", data=IMAGES, **options)
        file["labels"] = LABELS
    return folder / "x.h5"


def as_compressed_hdf5(folder):
    return as_hdf5(folder, compression="gzip", chunks=(4, 40, 30, 3))


KINDS = [as_idx, as_gz, as_cifar, as_binary_cifar, as_npy, as_npz, as_deflated_npz, as_hdf5, as_compressed_hdf5]


@pytest.mark.parametrize("write", KINDS)
def test_nothing_stays_open_behind_packing(tmp_path, write):
    path = write(tmp_path / "set")
    source = read(path)
    assert source.pixels.read(source.samples[0].location)
    assert sys.platform != "linux" or any(map(windows_files.is_open, (tmp_path / "set").iterdir()))
    del source
    dali_rec.pack(path, tmp_path / "out" / "x", workers=3)
    remove_all(tmp_path / "set")


@pytest.mark.parametrize("write", KINDS)
def test_nothing_stays_open_behind_packing_that_was_interrupted(tmp_path, write):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        dali_rec.pack(write(tmp_path / "set"), tmp_path / "out" / "x", progress=interrupt)
    assert caught.value.__traceback__  # as a notebook keeps it
    remove_all(tmp_path / "set")


@pytest.mark.parametrize("write", KINDS)
def test_nothing_stays_open_behind_labels_that_are_refused(tmp_path, write):
    with pytest.raises(SourceError) as caught:
        read(write(tmp_path / "set"), classes=("a", "b"))
    assert "set" in str(caught.value)
    remove_all(tmp_path / "set")


@pytest.mark.parametrize("write", KINDS)
def test_nothing_stays_open_of_files_that_were_cut_off(tmp_path, write):
    path = write(tmp_path / "set")
    for file in (tmp_path / "set").iterdir():
        file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(SourceError) as caught:
        dali_rec.pack(path, tmp_path / "out" / "x")
    assert "set" in str(caught.value)
    remove_all(tmp_path / "set")


def test_nothing_stays_open_of_what_cannot_be_unpacked(tmp_path):
    (tmp_path / "set").mkdir()
    data = bytearray(gzip.compress(idx(noise(500, 28, 28))))
    data[len(data) // 2] ^= 255
    (tmp_path / "set" / "train-images-idx3-ubyte.gz").write_bytes(data)
    with pytest.raises(SourceError, match="cannot be unpacked from about image"):
        dali_rec.pack(tmp_path / "set", tmp_path / "out", table=TableOptions(labels=("",)), workers=3)
    remove_all(tmp_path / "set")


def remove_all(folder):
    """As somebody does who no longer needs what was packed."""
    for file in folder.iterdir():
        file.rename(file.with_name("renamed"))
        (folder / "renamed").unlink()
    folder.rmdir()
