"""mx.gluon.utils.split_data and split_and_load: a batch in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray, array, viewed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.compat.mxnet.context import Context

__all__ = ["split_and_load", "split_data"]


def split_data(data: Any, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[NDArray]:
    """Views of ``num_slice`` parts of a batch; the first ones have a sample more if they do not come out even.

    Raises ValueError if they do not and ``even_split`` is given.
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice:
        raise ValueError(f"{size} samples cannot be shared evenly among {num_slice}: even_split=False allows it")
    return [viewed(part) for part in np.array_split(data, num_slice, batch_axis)]


def split_and_load(
    data: Any, ctx_list: Sequence[Context], batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """As ``split_data``, a part for each context. Raises DeviceUnavailableError for GPUs."""
    whole = data if isinstance(data, NDArray) else array(data)
    parts = split_data(whole, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(context) for part, context in zip(parts, ctx_list, strict=True)]


__getattr__ = missing_from(__name__)
