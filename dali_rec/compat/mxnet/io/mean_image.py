"""MXNet's mean image: one float32 array in the file format of its NDArrays, made from the data where there is none."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import as_path, atomic_write
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_FLOAT32 = 0
_DENSE = 0
_CPU = 1


def write_mean_image(path: str | os.PathLike[str], image: NDArray[np.float32]) -> None:
    """Write ``image`` as mx.nd.save does, under the name mean_img."""
    name = b"mean_img"
    head = struct.pack("<QQQ", _LIST_MAGIC, 0, 1)
    shape = struct.pack(f"<i{image.ndim}q", image.ndim, *image.shape)
    about = struct.pack("<Ii", _V2, _DENSE) + shape + struct.pack("<iii", _CPU, 0, _FLOAT32)
    with atomic_write(as_path(path)) as file:
        file.write(head + about + image.astype("<f4").tobytes())
        file.write(struct.pack("<QQ", 1, len(name)) + name)


def read_mean_image(path: str | os.PathLike[str], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean image in a file that mx.nd.save wrote.

    Raises DatasetError unless it is one float32 array of this shape.
    """
    data = as_path(path).read_bytes()
    again = "delete the file to have it made anew"
    try:
        found, at = _read_head(data)
    except (struct.error, ValueError) as error:
        raise DatasetError(f"{path}: not a mean image that MXNet wrote ({error}); {again}") from None
    if found != shape:
        raise DatasetError(f"{path}: its shape is {found}, data_shape is {shape}; take its shape, or {again}")
    count = math.prod(shape)
    if len(data) < at + 4 * count:
        raise DatasetError(f"{path}: it was cut short, at {len(data)} bytes; {again}")
    return np.frombuffer(data, "<f4", count, at).reshape(shape).copy()


def _read_head(data: bytes) -> tuple[tuple[int, ...], int]:
    """Shape of the array, and where its values begin."""
    magic, _, count, version = struct.unpack_from("<QQQI", data)
    if magic != _LIST_MAGIC:
        raise ValueError(f"it begins with {data[:8]!r}")
    if count != 1:
        raise ValueError(f"it has {count} arrays instead of one")
    at, size = 28, "q"
    if version in (_V2, _V3):
        (storage,) = struct.unpack_from("<i", data, at)
        if storage != _DENSE:
            raise ValueError("its array is sparse")
        at += 4
    if version in (_V1, _V2, _V3):
        (dimensions,) = struct.unpack_from("<i", data, at)
        at += 4
    else:
        dimensions, size = version, "I"  # as before MXNet 0.11
    if not 0 < dimensions <= 8:
        raise ValueError(f"its array has {dimensions} dimensions")
    shape = struct.unpack_from(f"<{dimensions}{size}", data, at)
    at += struct.calcsize(f"<{dimensions}{size}")
    kind = struct.unpack_from("<iii", data, at)[2]
    if kind != _FLOAT32:
        raise ValueError(f"its values are of type {kind}, not float32")
    return tuple(shape), at + 12
