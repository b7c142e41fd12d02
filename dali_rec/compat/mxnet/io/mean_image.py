"""MXNet's mean image: one float32 array in the file format of its NDArrays, made from the data where there is none."""

from __future__ import annotations

import logging
import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import as_path, atomic_write
from dali_rec.compat.mxnet.io.passes import Passes
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.base_parameters import BaseParameters
    from dali_rec.compat.mxnet.io.engine import Engine
    from dali_rec.dataset import Dataset

_LOG = logging.getLogger("dali_rec.compat.mxnet")
_BATCH = 64
_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_FLOAT32 = 0
_DENSE = 0
_CPU = 1


def mean_image_for(
    parameters: BaseParameters, dataset: Dataset, plain_engine: Callable[[], Engine]
) -> NDArray[np.float32] | None:
    """The mean image that ``mean_img`` names, float32 of ``data_shape``; None where it names none.

    Where the file is not there it is written: the mean of all records, of images as ``plain_engine`` makes them, which
    are neither mirrored nor normalised.
    """
    if not parameters.mean_img:
        return None
    path = as_path(parameters.mean_img)
    if not path.exists():
        _LOG.info("%s is not there: it is made of %d images", path, len(dataset))
        write_mean_image(path, _mean_of(len(dataset), parameters.data_shape, plain_engine()))
    return read_mean_image(path, parameters.data_shape)


def _mean_of(count: int, shape: tuple[int, int, int], engine: Engine) -> NDArray[np.float32]:
    size = min(count, _BATCH)
    total = np.zeros(shape, np.float64)
    try:
        for batch in Passes(range(count), size, round_batch=False).batches(0):
            images = engine.begin(batch)()[0]
            total += images[: batch.distinct].sum(axis=0, dtype=np.float64)
            if batch.is_last:
                break
    finally:
        engine.close()
    return (total / count).astype(np.float32)


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
