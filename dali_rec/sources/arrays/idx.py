"""IDX files, as MNIST, Fashion-MNIST, KMNIST and EMNIST have them: train-images-idx3-ubyte, train-labels-idx1-ubyte.

A header of big-endian numbers, 0 0 TYPE DIMENSIONS and 32 bits for each dimension, and the values behind it. TYPE 8 is
a byte. Either file may be in a .gz, as it is distributed, whatever it is called.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.labels import check_labels, label_rows
from dali_rec.sources.arrays.layout import ImageArray, Packed, image_shape
from dali_rec.sources.arrays.source import ArraySet, make_source, without_columns
from dali_rec.sources.open_file import OpenFile
from dali_rec.sources.sample import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.sources.sample import Source
    from dali_rec.sources.tables.columns import TableOptions

_NAME = re.compile(r"(.*?)(images|labels)[-.]idx\d[-.]ubyte(\.gz)?", re.IGNORECASE)
_SPLITS = {**SPLIT_NAMES, "t10k": "test"}
_ORDER = ("train", "val", "test")
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = zlib.MAX_WBITS + 16
_BYTE = 8
_MOST_DIMENSIONS = 4
_LONGEST_HEADER = 4 + 4 * _MOST_DIMENSIONS


@dataclass(frozen=True, slots=True)
class _Name:
    """What the name of a file says.

    file: itself. before: what stands before "images" or "labels". data_set: what of that is no split.
    """

    file: str
    before: str
    are_images: bool
    split: str | None
    data_set: str


def is_idx(name: str) -> bool:
    """Whether a file is one of images or labels, by its name."""
    return _NAME.fullmatch(name) is not None


def has_idx_images(files: Iterable[str]) -> bool:
    """Whether one of these files is one of images, by its name."""
    return any((name := _parse(file)) is not None and name.are_images for file in files)


def read_idx(path: Path, options: TableOptions, classes: Sequence[str] | None) -> Source:
    """A file of images with the labels beside it, or a folder of these, in which train and t10k are splits.

    Raises SourceError for a folder of several data sets, for labels that are missing, and for files that are no IDX or
    have another length than they say.
    """
    options = without_columns(str(path), options, "IDX files")
    folder = path if path.is_dir() else path.parent
    files = sorted(one.name for one in folder.iterdir())
    names = [name for file in files if (name := _parse(file)) is not None]
    given = None if path.is_dir() else _parse(path.name)  # which need not be as the folder has it: in other capitals
    if given is not None and not given.are_images:
        raise SourceError(f"{path}: these are the labels; give the file of the images, or the folder")
    chosen = _of_folder(path, names) if given is None else [given]
    sets = [_read_set(folder, name, names, options) for name in chosen]
    return make_source(str(path), folder, sets, options, classes)


def _parse(file: str) -> _Name | None:
    found = _NAME.fullmatch(file)
    if found is None:
        return None
    words = [word for word in re.split(r"[-._]", found[1].lower()) if word]
    split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
    data_set = "-".join(word for word in words if word not in _SPLITS)
    return _Name(file, found[1].lower(), found[2].lower() == "images", split, data_set)


def _of_folder(folder: Path, names: Sequence[_Name]) -> list[_Name]:
    """The files of images, one for each split: the .gz only where it was not unpacked."""
    images = {name.before: name for name in reversed(names) if name.are_images}  # x sorts before x.gz
    data_sets = sorted({name.data_set for name in images.values()})
    if len(data_sets) > 1:
        raise SourceError(
            f"{folder}: files of several data sets ({', '.join(one or 'MNIST' for one in data_sets)}); give one of the "
            "files of images, or put those of one into a folder"
        )
    splits = [name.split for name in images.values()]
    if len(splits) > 1 and (None in splits or len({*splits}) < len(splits)):
        files = ", ".join(name.file for name in images.values())
        raise SourceError(f"{folder}: {files} are not of a split each by their names; give one of them")
    return sorted(images.values(), key=lambda name: 0 if name.split is None else _ORDER.index(name.split))


def _read_set(folder: Path, name: _Name, names: Sequence[_Name], options: TableOptions) -> ArraySet:
    images = _open_images(folder / name.file, name.file)
    labels_of = [one for one in names if one.before == name.before and not one.are_images]
    if not options.labels:
        return ArraySet(name.file, images, label_rows([], images.count, name.file), split=name.split)
    if not labels_of:
        expected = re.sub("images([-.])idx[34]", r"labels\1idx1", name.file, flags=re.IGNORECASE)
        raise SourceError(f"{folder / name.file}: no {expected} beside it; get it, or say --label-column '' for none")
    path = folder / labels_of[0].file
    labels = _read_labels(path, images.count, str(folder / name.file))
    rows = label_rows([(str(path), labels)], images.count, str(folder / name.file))
    return ArraySet(str(path), images, rows, (None,) * len(rows[0]), name.split)


def _open_images(path: Path, file: str) -> ImageArray:
    opened = _Idx(path)
    shape = image_shape(str(path), np.dtype(np.uint8), opened.shape)
    return ImageArray(file, "", opened.shape[0], shape, opened.header, shape.size, opened.packed)


def _read_labels(path: Path, images: int, images_name: str) -> NDArray[np.uint8]:
    opened = _Idx(path)
    check_labels(str(path), np.dtype(np.uint8), opened.shape, images, images_name)
    try:
        if opened.packed is None:
            with OpenFile(str(path)) as plain:
                data = plain.read(opened.header, opened.size)
        else:
            with gzip.open(path) as file:
                data = file.read(opened.header + opened.size)[opened.header :]
        return np.frombuffer(data, np.uint8).reshape(opened.shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}); get it anew") from None


class _Idx:
    """An IDX file of bytes: its shape, and how long its header and its values are, unpacked.

    Raises SourceError for what is none, and where the file has another length than it says.
    """

    def __init__(self, path: Path) -> None:
        with OpenFile(str(path)) as file:
            head, size = file.read_up_to(0, 4096), file.size
            # What is in a .gz has its size, less what goes beyond 32 bits, in the last four bytes.
            end = file.read_up_to(max(size - 4, 0), 4)
        self.packed: Packed | None = None
        if head.startswith(_GZIP):
            self.packed = Packed(0, size, _GZIP_WINDOW)
            head = _inflated(path, head)
            size = int.from_bytes(end, "little")
        self.shape = _read_shape(path, head)
        self.header = 4 + 4 * len(self.shape)
        self.size = math.prod(self.shape)
        expected = self.header + self.size
        if size != (expected if self.packed is None else expected & 0xFFFFFFFF):
            shown = " × ".join(map(str, self.shape))
            remedy = "get it anew" if self.packed is None else "get it anew, or unpack it if it is whole"
            raise SourceError(
                f"{path}: {size:,} bytes{'' if self.packed is None else ' unpacked'}, and {expected:,} are expected of "
                f"{shown}: it was cut off, or something follows; {remedy}"
            )


def _inflated(path: Path, head: bytes) -> bytes:
    try:
        data: bytes = zlib.decompressobj(_GZIP_WINDOW).decompress(head, _LONGEST_HEADER)
    except zlib.error as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}); get it anew") from None
    return data


def _read_shape(path: Path, head: bytes) -> tuple[int, ...]:
    dimensions = head[3] if len(head) > 3 else 0
    if not head.startswith(b"\0\0") or not 0 < dimensions <= _MOST_DIMENSIONS or len(head) < 4 + 4 * dimensions:
        raise SourceError(f"{path}: begins with {head[:4].hex(' ') or 'nothing'}, which no IDX file does; get it anew")
    if head[2] != _BYTE:
        raise SourceError(f"{path}: its values are of the type 0x{head[2]:02x}, and bytes (0x08) are expected")
    return struct.unpack_from(f">{dimensions}I", head, 4)
