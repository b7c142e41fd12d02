"""CIFAR-10 and CIFAR-100 as they are distributed: cifar-10-batches-py, cifar-10-batches-bin, cifar-100-python, ….

An image is 3,072 bytes: a plane each of red, green and blue, of 32 rows of 32. In the binary files the label stands
before each image, of CIFAR-100 the coarse and the fine one; in the Python ones, which are pickles, in a list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec._disks import map_file
from dali_rec.errors import SourceError
from dali_rec.sources.arrays.labels import label_rows
from dali_rec.sources.arrays.layout import ImageArray, ImageShape
from dali_rec.sources.arrays.source import ArraySet, make_source
from dali_rec.sources.pickled import read_pickle
from dali_rec.sources.pickled_values import PickledArray, Piece, piece_text
from dali_rec.sources.tables.columns import TableOptions, without_empty_label
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    import mmap
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.sources.item_labels import Names
    from dali_rec.sources.sample import Source

_DEFAULTS = TableOptions()
_LARGEST_LABEL = 1 << 31
_SHAPE = ImageShape(32, 32, 3, planes=True)


class _Column(NamedTuple):
    """A column of labels: its name here, its place before each image of a binary file, and where its names are."""

    name: str
    place: int
    key: str
    names_key: str
    names_file: str


class _Kind(NamedTuple):
    """What is distributed: which files are of which split, and what has the names of the classes."""

    name: str
    train: re.Pattern[str]
    test: str
    meta: str
    columns: tuple[_Column, ...]
    is_binary: bool


_LABEL = (_Column("label", 0, "labels", "label_names", "batches.meta.txt"),)
_LABELS = (
    _Column("fine_label", 1, "fine_labels", "fine_label_names", "fine_label_names.txt"),
    _Column("coarse_label", 0, "coarse_labels", "coarse_label_names", "coarse_label_names.txt"),
)
_KINDS = (
    _Kind("CIFAR-10", re.compile(r"data_batch_\d+\.bin"), "test_batch.bin", "batches.meta.txt", _LABEL, is_binary=True),
    _Kind("CIFAR-10", re.compile(r"data_batch_\d+"), "test_batch", "batches.meta", _LABEL, is_binary=False),
    _Kind("CIFAR-100", re.compile(r"train\.bin"), "test.bin", "fine_label_names.txt", _LABELS, is_binary=True),
    _Kind("CIFAR-100", re.compile("train"), "test", "meta", _LABELS, is_binary=False),
)


def has_cifar(files: Collection[str]) -> bool:
    """Whether a folder of these files is one of CIFAR."""
    return _kind(files) is not None


def read_cifar(folder: Path, files: Collection[str], options: TableOptions, classes: Sequence[str] | None) -> Source:
    """The images in the order of the batches, with the names of the classes; ``files`` are in the folder.

    Of CIFAR-100 the labels are the fine ones, unless ``options`` name others. Nothing in the pickles is run.

    Raises SourceError for a file that is cut off or holds something else, and a label that has no name.
    """
    kind = _kind(files)
    assert kind is not None
    columns = _columns(folder, kind, options)
    options = without_empty_label(options)
    read_names, read_batch = (_binary_names, _read_binary) if kind.is_binary else (_pickled_names, _read_pickled)
    names = read_names(folder, kind, columns) if columns else (None,)
    sets = []
    for split, batches in (("train", _batches(files, kind.train)), ("test", [kind.test])):
        for file in batches:
            if file in files:
                images, values = read_batch(folder, file, kind, columns)
                rows = label_rows([(str(folder / file), one) for one in values], images.count, str(folder / file))
                sets.append(ArraySet(str(folder / file), images, rows, names, split))
    return make_source(str(folder), folder, sets, options, classes)


def _kind(files: Collection[str]) -> _Kind | None:
    for kind in _KINDS:
        if kind.meta in files and (kind.test in files or any(map(kind.train.fullmatch, files))):
            return kind
    return None


def _batches(files: Collection[str], pattern: re.Pattern[str]) -> list[str]:
    found = [file for file in files if pattern.fullmatch(file)]
    return sorted(found, key=lambda file: (len(file), file))


def _columns(folder: Path, kind: _Kind, options: TableOptions) -> list[_Column]:
    """The columns of labels that are asked for."""
    if options.location != _DEFAULTS.location:
        raise SourceError(f"{folder}: --location-column does not go with {kind.name}; leave it out")
    if options.labels == ("",):
        return []
    if options.labels == _DEFAULTS.labels:
        return [kind.columns[0]]
    known = {column.name: column for column in kind.columns}
    for name in options.labels:
        if name not in known:
            raise SourceError(f"{folder}: no labels {name!r} in {kind.name}; there are {', '.join(known)}")
    return [known[name] for name in options.labels]


def _binary_names(folder: Path, _kind: _Kind, columns: Sequence[_Column]) -> tuple[Names, ...]:
    return tuple(_names(folder / column.names_file) for column in columns)


def _names(path: Path) -> Names:
    if not path.is_file():
        raise SourceError(f"{path}: no such file, which has the names of the classes; get the data set anew")
    return tuple(line.strip() for line in text_lines(path) if line.strip())


def _read_binary(
    folder: Path, file: str, kind: _Kind, columns: Sequence[_Column]
) -> tuple[ImageArray, list[NDArray[Any]]]:
    path, labels = folder / file, len(kind.columns)
    step, size = labels + _SHAPE.size, path.stat().st_size
    if size % step or not size:
        raise SourceError(f"{path}: {size:,} bytes, which are no whole images of {step:,}: it was cut off; get it anew")
    count = size // step
    records = np.memmap(path, np.uint8, "r", shape=(count, step))
    values = [np.array(records[:, column.place]) for column in columns]
    return ImageArray(file, "", count, _SHAPE, labels, step), values


def _pickled_names(folder: Path, kind: _Kind, columns: Sequence[_Column]) -> tuple[Names, ...]:
    path = folder / kind.meta
    with path.open("rb") as file, _mapped(path, file) as data:
        content = _mapping(path, read_pickle(data, str(path)))
        try:
            return tuple(
                tuple(piece_text(piece, data) for piece in _get(path, content, column.names_key, list))
                for column in columns
            )
        except SourceError:
            raise
        except ValueError as error:
            raise SourceError(f"{path}: the names of its classes cannot be read ({error}); get it anew") from None


def _read_pickled(
    folder: Path, file: str, _kind: _Kind, columns: Sequence[_Column]
) -> tuple[ImageArray, list[NDArray[Any]]]:
    path = folder / file
    with path.open("rb") as opened, _mapped(path, opened) as data:
        content = _mapping(path, read_pickle(data, str(path)))
    values = [_numbers(path, column.key, _get(path, content, column.key, list)) for column in columns]
    array = _get(path, content, "data", PickledArray)
    pixels = array.data
    count = array.shape[0] if len(array.shape) == 2 else 0
    if array.dtype != "u1" or array.shape != (count, _SHAPE.size) or array.is_fortran or not count:
        raise SourceError(f"{path}: its 'data' is no array of N × {_SHAPE.size:,} bytes, one row an image")
    if not isinstance(pixels, Piece) or pixels.form != "raw" or pixels.length != count * _SHAPE.size:
        raise SourceError(
            f"{path}: its 'data' was not written as Python 2 does, or protocol 3 and later: get the data set anew, or "
            "give that of torchvision to dali_rec.pack"
        )
    return ImageArray(file, "", count, _SHAPE, pixels.start, _SHAPE.size), values


def _mapped(path: Path, file: Any) -> mmap.mmap:
    if not path.stat().st_size:
        raise SourceError(f"{path}: the file is empty; get it anew")
    return map_file(file, path)


def _mapping(path: Path, content: Any) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise SourceError(f"{path}: holds something else than the mapping that CIFAR's files are; get it anew")
    return content


def _get(path: Path, content: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = content.get(key)
    if not isinstance(value, kind):
        raise SourceError(f"{path}: no {key!r} in it, as CIFAR has it; get it anew")
    return value


def _numbers(path: Path, key: str, values: list[Any]) -> NDArray[Any]:
    for row, value in enumerate(values):
        if not isinstance(value, int) or abs(value) > _LARGEST_LABEL:
            raise SourceError(f"{path}, row {row}: what stands in {key!r} is no number of a class; get it anew")
    return np.array(values, np.int64)
