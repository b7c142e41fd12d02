"""Which arrays a path means: a file, or a folder in which their files lie."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.cifar import has_cifar, read_cifar
from dali_rec.sources.arrays.hdf5 import HDF5_SUFFIXES, Hdf5Arrays
from dali_rec.sources.arrays.idx import has_idx_images, is_idx, read_idx
from dali_rec.sources.arrays.names import has_images, has_labels
from dali_rec.sources.arrays.npy_files import NPY_SUFFIX, is_npy, npy_beside, npy_of_folder, npy_stem
from dali_rec.sources.arrays.npz import NPZ_SUFFIX, NpzArrays
from dali_rec.sources.arrays.source import read_named
from dali_rec.sources.hidden_names import is_hidden
from dali_rec.sources.parquet.row_files import kind_of
from dali_rec.sources.tfrecord.files import is_tfrecord_name
from dali_rec.sources.walk import is_folder, is_image, unreadable, walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dali_rec.sources.sample import Source
    from dali_rec.sources.tables.columns import TableOptions

#: The ends of the names of files that are arrays.
ARRAY_SUFFIXES = (NPZ_SUFFIX, NPY_SUFFIX, *HDF5_SUFFIXES)
_CIFAR = re.compile(r"data_batch_\d+(\.bin)?|train\.bin")
_Kind = Literal["idx", "cifar", "npy", "npz", "hdf5"]


@dataclass(frozen=True, slots=True)
class ArrayFiles:
    """Arrays that are one source: where they are, how they are stored, and the files of a folder."""

    path: Path
    kind: _Kind
    files: tuple[str, ...] = ()


def find_arrays(path: Path) -> ArrayFiles | None:
    """The arrays that a path means, by the names of files alone; None where it means none.

    In a folder of arrays lie no images that are files, nor in the folders in it. Beside .npy files lie no folders, and
    no tables or records.
    """
    if not path.is_dir():
        of_file = _kind(path.name)
        return None if of_file is None else ArrayFiles(path, of_file)
    files, has_folders = _look_into(path)
    kind: _Kind | None = "idx" if has_idx_images(files) else "cifar" if has_cifar(files) else None
    if kind is not None:
        is_of_images = has_folders and any(is_image(name) for _, names in walk(path) for name in names)
        return None if is_of_images else ArrayFiles(path, kind, files)
    others = has_folders or any(kind_of(file) or is_tfrecord_name(file) for file in files)
    stems = [] if others else [npy_stem(file) for file in files if is_npy(file)]
    return ArrayFiles(path, "npy", files) if any(map(has_images, stems)) and any(map(has_labels, stems)) else None


def read_arrays(found: ArrayFiles, options: TableOptions, classes: Sequence[str] | None = None) -> Source:
    """The images in arrays, in the order of their rows, and their labels.

    A .npz, .npy or HDF5 file has them in arrays that are called so: images, x or data, and labels, y or target, with
    train, val or test before or behind them if they are splits; ``options.location`` and ``options.labels`` are other
    names. The labels of a .npy are in one beside it; those of an HDF5 file may be. A folder may be one of such .npy
    files. IDX files are MNIST's: a file of images, with the labels beside it, or a folder of these. A folder of
    CIFAR-10 or CIFAR-100 is as it is distributed, for Python or binary.

    Images are uint8 of shape (N, height, width), (N, height, width, 1 or 3), or (N, 3, height, width); labels numbers
    or strings of shape (N,), (N, 1) or (N, labels). ``classes`` are the names of the numbers, or number the names.

    No pickled object is made, and nothing in a file is run. Raises SourceError, with the file, the array and the row,
    for anything else.
    """
    path = found.path
    try:
        if found.kind == "idx":
            return read_idx(path, options, classes)
        if found.kind == "cifar":
            return read_cifar(path, found.files, options, classes)
        if found.kind == "npz":
            return read_named(NpzArrays(path), options, classes)
        if found.kind == "hdf5":
            return read_named(Hdf5Arrays(path, options), options, classes)
        arrays = npy_of_folder(path, found.files) if path.is_dir() else npy_beside(path, options)
        return read_named(arrays, options, classes)
    except OSError as error:
        raise SourceError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None


def is_array(name: str) -> bool:
    """Whether a file is one of arrays, by its name."""
    return _kind(name) is not None or _CIFAR.fullmatch(name) is not None


def _kind(name: str) -> _Kind | None:
    lower = name.lower()
    if lower.endswith(HDF5_SUFFIXES):
        return "hdf5"
    if is_idx(name):
        return "idx"
    return "npz" if lower.endswith(NPZ_SUFFIX) else "npy" if is_npy(name) else None


def _look_into(folder: Path) -> tuple[tuple[str, ...], bool]:
    """The files in a folder, sorted, none where there are images among them, and whether there are folders."""
    files, has_folders = list[str](), False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_image(entry.name):
                    return (), False
                if is_hidden(entry.name):
                    continue
                if is_folder(entry):
                    has_folders = True
                else:
                    files.append(entry.name)
    except OSError as error:
        raise unreadable(folder, error) from None
    return tuple(sorted(files)), has_folders
