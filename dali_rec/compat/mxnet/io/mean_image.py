"""MXNet's mean image: one float32 array in the file format of its NDArrays, made from the data where there is none."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path
from dali_rec.compat.mxnet.io.passes import Passes
from dali_rec.compat.mxnet.ndarray.files import read_arrays, save
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
    save(path, {"mean_img": image})


def read_mean_image(path: str | os.PathLike[str], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean image in a file that mx.nd.save wrote.

    Raises DatasetError unless it is one float32 array of this shape.
    """
    again = "delete the file to have it made anew"
    try:
        image = _only(read_arrays(as_path(path).read_bytes())[0])
    except (struct.error, ValueError) as error:
        raise DatasetError(f"{path}: not a mean image that MXNet wrote ({error}); {again}") from None
    if image.shape != shape:
        raise DatasetError(f"{path}: its shape is {image.shape}, data_shape is {shape}; take its shape, or {again}")
    return image


def _only(arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
    if len(arrays) != 1:
        raise ValueError(f"it has {len(arrays)} arrays instead of one")
    if arrays[0].dtype != np.float32:
        raise ValueError(f"its values are {arrays[0].dtype}, not float32")
    return arrays[0]
