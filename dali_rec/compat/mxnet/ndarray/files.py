"""mx.nd.save and mx.nd.load: arrays in MXNet's file format."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path, atomic_write
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray, viewed
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray as NumpyArray

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _CPU = 0, 1
_MOST_DIMENSIONS = 32
_TYPES = tuple(map(np.dtype, ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?")))  # by MXNet's numbers


def save(fname: str | os.PathLike[str], data: Any) -> None:
    """Write an array, a list of arrays, or a dictionary of arrays by name; one without axes gets the shape (1,).

    Raises TypeError for other data, and for types of elements that MXNet's files do not have.
    """
    arrays = list(data.values()) if isinstance(data, dict) else [data] if isinstance(data, np.ndarray) else list(data)
    names = list(data) if isinstance(data, dict) else []
    if not all(isinstance(one, np.ndarray) for one in arrays) or not all(isinstance(name, str) for name in names):
        raise TypeError("mx.nd.save takes an array, a list of arrays, or a dictionary of arrays by name")
    with atomic_write(as_path(fname)) as file:
        file.write(struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays)))
        for one in map(np.atleast_1d, arrays):
            file.write(_head_of(one) + one.astype(one.dtype.newbyteorder("<")).tobytes())
        file.write(struct.pack("<Q", len(names)))
        file.writelines(struct.pack("<Q", len(name)) + name for name in map(str.encode, names))


def load(fname: str | os.PathLike[str]) -> list[NDArray] | dict[str, NDArray]:
    """The arrays in a file: by name, or a list where they have none. Raises DatasetError for other files."""
    try:
        arrays, names = read_arrays(as_path(fname).read_bytes())
    except (struct.error, ValueError) as error:
        raise DatasetError(f"{fname}: not a file of arrays that MXNet wrote ({error})") from None
    made = [viewed(one) for one in arrays]
    return dict(zip(names, made, strict=True)) if names else made


def read_arrays(data: bytes) -> tuple[list[NumpyArray[Any]], list[str]]:
    """The arrays in the bytes of a file, and their names. Raises ValueError or struct.error for other bytes."""
    magic, _, count = struct.unpack_from("<QQQ", data)
    if magic != _LIST_MAGIC:
        raise ValueError(f"it begins with {data[:8]!r}")
    at, arrays = 24, []
    for _ in range(count):
        array, at = _read_array(data, at)
        arrays.append(array)
    (count,) = struct.unpack_from("<Q", data, at)
    at += 8
    names = []
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", data, at)
        names.append(data[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return arrays, names


def _head_of(array: NumpyArray[Any]) -> bytes:
    kind = array.dtype.newbyteorder("<")
    if kind not in _TYPES:
        raise TypeError(f"MXNet's files have no arrays of {array.dtype}: {', '.join(one.name for one in _TYPES)}")
    shape = struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape)
    return struct.pack("<Ii", _V2, _DENSE) + shape + struct.pack("<iii", _CPU, 0, _TYPES.index(kind))


def _read_array(data: bytes, at: int) -> tuple[NumpyArray[Any], int]:
    """An array, and where it ends."""
    (version,) = struct.unpack_from("<I", data, at)
    at, size = at + 4, "q"
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
    if not 0 < dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"its array has {dimensions} dimensions")
    shape = struct.unpack_from(f"<{dimensions}{size}", data, at)
    at += struct.calcsize(f"<{dimensions}{size}")
    number = struct.unpack_from("<iii", data, at)[2]
    if not 0 <= number < len(_TYPES):
        raise ValueError(f"its values are of type {number}, which is not known")
    kind, at = _TYPES[number], at + 12
    end = at + math.prod(shape) * kind.itemsize
    if min(shape) < 0 or end > len(data):
        raise ValueError(f"it was cut short, at {len(data)} bytes")
    return np.frombuffer(data[at:end], kind).reshape(shape).copy(), end
