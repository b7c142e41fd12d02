"""Data sets in HDF5 files: PCam's, Galaxy10's, and others of images and labels, read by h5py."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.errors import MissingDependencyError, SourceError
from dali_rec.sources.arrays.layout import Chunks, ImageArray, image_shape
from dali_rec.sources.arrays.names import has_images, has_labels
from dali_rec.sources.arrays.unpacked import UnpackedRows, rows_of_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.sources.tables.columns import TableOptions

HDF5_SUFFIXES = (".h5", ".hdf5")
# What h5py raises for damage, for filters that are not installed, and for types that NumPy has not.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError)
# camelyonpatch_level_2_split_train_x.h5, and the labels in a file beside it.
_LABELS_END = {"_x": "_y", "_X": "_Y"}


def import_h5py() -> Any:
    """The module h5py. Raises MissingDependencyError with the line that installs it."""
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            f'HDF5 files need h5py ({error}); install it with: pip install "dali-rec[hdf5]"'
        ) from None
    return h5py


class Hdf5Arrays:
    """See NamedArrays: the data sets of a file, and of the file of labels beside it if there is one, as PCam has it."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        self.name = str(path)
        self.folder = path.parent
        self._files = dict.fromkeys(_data_sets(path), path)
        beside = _labels_beside(path)
        lacks_labels = not any(has_labels(name) or name in options.labels for name in self._files)
        if beside is not None and lacks_labels and options.labels:
            self._files |= {
                name: beside for name in _data_sets(beside) if name not in self._files and not has_images(name)
            }
        self.names = [*self._files]

    def where(self, name: str) -> str:
        """See NamedArrays."""
        return f"{self._files[name]}, {name}"

    def images(self, name: str) -> ImageArray:
        """See NamedArrays."""
        with self._data(name) as data:
            shape = image_shape(self.where(name), data.dtype, data.shape)
            start = data.id.get_offset()  # None where they are in chunks
            packed = None if start is not None else Chunks(data.chunks[0] if data.chunks else 1)
            return ImageArray(self._files[name].name, name, data.shape[0], shape, start or 0, shape.size, packed)

    def stored(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """See NamedArrays."""
        with self._data(name) as data:
            return data.dtype, data.shape

    def values(self, name: str) -> NDArray[Any]:
        """See NamedArrays."""
        with self._data(name) as data:
            if import_h5py().check_string_dtype(data.dtype) is not None:
                return np.array([_text(value) for value in data[()].ravel()]).reshape(data.shape)
            return np.asarray(data[()])

    @contextlib.contextmanager
    def _data(self, name: str) -> Iterator[Any]:
        """A data set. Raises SourceError for one of which nothing, or not all, is in this file."""
        with _opened(self._files[name]) as file:
            data, where = file[name], self.where(name)
            # A file from elsewhere could name any file of this machine.
            if data.external or data.is_virtual:
                raise SourceError(
                    f"{where}: its values are in other files, which are not read; copy them into one file"
                )
            if data.shape is None or not data.id.get_storage_size():
                raise SourceError(f"{where}: nothing was written into it; get it anew")
            yield data


def read_chunks(path: str, array: ImageArray) -> UnpackedRows:
    """The images of a data set that are compressed, or in chunks, a whole number of which is read at a time."""
    assert isinstance(array.packed, Chunks)
    rows = 1 if array.packed.rows == 1 else rows_of_block(array, array.packed.rows)
    return UnpackedRows(array, rows, _Slices(path, array, rows))


class _Slices:
    """See _Blocks. The file is closed when nobody has it any more."""

    def __init__(self, path: str, array: ImageArray, rows: int) -> None:
        self._where = f"{path}, {array.member}"
        self._rows = rows
        try:
            self._file = import_h5py().File(path, "r")
            self._data = self._file[array.member]
        except _DAMAGE as error:
            raise SourceError(f"{self._where}: {_told(error)}") from None

    def up_to(self, number: int) -> Iterator[tuple[int, bytes]]:
        """See _Blocks: that block alone."""
        first = number * self._rows
        try:
            data = self._data[first : first + self._rows].tobytes()
        except _DAMAGE as error:
            raise SourceError(f"{self._where}, from row {first} on: {_told(error)}") from None
        yield number, data


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file. Raises SourceError where it, or what is read from it in the block, is damaged."""
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            yield file
    except SourceError:
        raise
    except _DAMAGE as error:
        raise SourceError(f"{path}: {_told(error)}") from None


def _told(error: Exception) -> str:
    return f"cannot be read as HDF5 ({' '.join(str(error).split())}); get it anew"


def _data_sets(path: Path) -> list[str]:
    """The names of all data sets in a file, with those of the groups that they are in."""
    names: list[str] = []
    with _opened(path) as file:
        h5py = import_h5py()
        file.visititems(lambda name, one: names.append(name) if isinstance(one, h5py.Dataset) else None)
    return names


def _labels_beside(path: Path) -> Path | None:
    stem, end = path.stem[:-2], path.stem[-2:]
    if end not in _LABELS_END:
        return None
    beside = path.with_name(f"{stem}{_LABELS_END[end]}{path.suffix}")
    return beside if beside.is_file() else None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
