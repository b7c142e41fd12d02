"""Labels from arrays: one or several numbers, or names, a row."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._numbers import counted
from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dali_rec.sources.item_labels import Labels

_NO_LABEL: Labels = (0.0,)
_LEAST_ONE_HOT = 3
# More labels of an image, or longer names, would only fill the memory.
_MOST_LABELS = _LONGEST_NAME = 1 << 16


def label_rows(columns: Sequence[tuple[str, NDArray[Any]]], images: int, images_name: str) -> list[Labels]:
    """The labels of so many images from arrays, and what messages call these: (N,), (N, 1) or (N, labels) each.

    Whole numbers, floating-point numbers, truths, and strings as names. Without an array all get label 0.

    Raises SourceError, with the array and the row, for anything else, and where there are more or fewer.
    """
    parts = [_columns(where, values, images, images_name) for where, values in columns]
    if not parts:
        return [_NO_LABEL] * images
    if len(parts) == 1:
        return parts[0]
    return [tuple(one for labels in row for one in labels) for row in zip(*parts, strict=True)]


def check_labels(where: str, dtype: np.dtype[Any], shape: Sequence[int], images: int, images_name: str) -> None:
    """Raise SourceError where an array of this type and shape, which need not be read, has no labels of the images."""
    shown = " × ".join(map(str, shape)) or "a single value"
    if not shape or shape[0] != images:
        raise SourceError(
            f"{where}: {shown} labels, and {counted(images, 'image')} in {images_name}; as many are expected: get both "
            "anew, or give those that belong together"
        )
    # (N, 1) is one, and so is (N, 1, 1, 1) as PCam has it.
    if sum(side != 1 for side in shape[1:]) > 1 or not 0 < math.prod(shape[1:]) <= _MOST_LABELS:
        raise SourceError(f"{where}: labels of {shown}; expected one or several for each image")
    if dtype.kind not in "SUiufbO" or dtype.itemsize > _LONGEST_NAME:
        raise _wrong_type(where, dtype)


def one_hot(where: str, values: NDArray[Any]) -> list[str]:
    """Say it where the labels of an array look like one class each, with a column for every class."""
    if values.ndim != 2 or values.shape[1] < _LEAST_ONE_HOT or values.dtype.kind not in "biuf":
        return []
    is_one = (values == 0).sum(1) == values.shape[1] - 1
    if not is_one.all() or not (values.max(1) == 1).all():
        return []
    what = f"each row has a single 1 among {values.shape[1]} labels, and is packed as so many"
    return [f"{where}: {what}; if it stands for a class, save labels.argmax(1) instead"]


def _columns(where: str, values: NDArray[Any], images: int, images_name: str) -> list[Labels]:
    check_labels(where, values.dtype, values.shape, images, images_name)
    width = math.prod(values.shape[1:])
    values = values.reshape(images) if width == 1 else values.reshape(images, width)
    if values.dtype.kind in "SU":
        plain = _texts(where, values)
    elif values.dtype.kind in "iuf":
        wrong = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(0, np.bool_)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise SourceError(f"{where}, row {row}: a label is not finite; correct it, or leave the image out")
        plain = values.tolist()
    elif values.dtype.kind == "b":
        plain = values.astype(np.uint8).tolist()
    else:
        raise _wrong_type(where, values.dtype)
    return [(one,) for one in plain] if values.ndim == 1 else [tuple(row) for row in plain]


def _wrong_type(where: str, dtype: np.dtype[Any]) -> SourceError:
    return SourceError(f"{where}: labels of the type {dtype.name}; expected numbers, or names as strings")


def _texts(where: str, values: NDArray[Any]) -> Any:
    if values.dtype.kind == "U":
        codes = np.frombuffer(values.tobytes(), f"{values.dtype.str[0]}u4")
        if (((codes >= 0xD800) & (codes < 0xE000)) | (codes > sys.maxunicode)).any():  # surrogates, and none at all
            raise SourceError(f"{where}: a label is no text of Unicode; get it anew")
        return values.tolist()
    try:
        return np.char.decode(values, "utf-8").tolist()
    except UnicodeDecodeError as error:
        raise SourceError(f"{where}: a label is not UTF-8 ({error.reason}); save them as strings") from None
