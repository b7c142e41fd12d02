"""mx.nd: the arrays that scripts for MXNet take images and labels from, on NumPy.

An NDArray is a NumPy array with MXNet's methods and MXNet's way with single elements. The functions are those with
which images and labels are read and put together; for arithmetic there is NumPy.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.context import Context, cpu
from dali_rec.compat.mxnet.missing import missing_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray as NumpyArray

__all__ = [
    "NDArray",
    "array",
    "cast",
    "clip",
    "concat",
    "concatenate",
    "empty",
    "expand_dims",
    "flip",
    "mean",
    "ones",
    "ones_like",
    "slice_axis",
    "stack",
    "sum",
    "transpose",
    "viewed",
    "waitall",
    "zeros",
    "zeros_like",
]


class NDArray(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array in host memory with the methods that MXNet's arrays have beside NumPy's.

    One element of it is an array of shape (1,) into which one can write, as in MXNet: ``labels[0].asscalar()`` and
    ``labels[0][:] = 3`` work. ``int(labels[0])`` and ``float(labels[0])`` do as well.
    """

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        if isinstance(item, np.ndarray):
            return item
        keys = key if isinstance(key, tuple) else (key,)
        return super().__getitem__((*keys, ...)).reshape(1)

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.size == 1 and spec else str(self), spec)

    def asnumpy(self) -> NumpyArray[Any]:
        """A copy as a plain NumPy array."""
        return np.array(self, order="C", copy=True, subok=False)

    def asscalar(self) -> Any:
        """The one element, as a NumPy scalar. Raises ValueError if there are more."""
        if self.size != 1:
            raise ValueError(f"an array of shape {self.shape} is not a scalar")
        return self.asnumpy().reshape(-1)[0]

    @property
    def context(self) -> Context:
        """Where the array is: in host memory."""
        return cpu()

    ctx = context

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself. Raises ValueError for a GPU."""
        _check_context(context)
        return self

    as_in_ctx = as_in_context

    def copyto(self, other: Any) -> Any:
        """Copy into another array, which is returned, or into host memory, where the copy is returned."""
        if isinstance(other, np.ndarray):
            other[...] = self
            return other
        _check_context(other)
        return self.copy()

    def expand_dims(self, axis: int) -> NDArray:
        """A view with one more axis."""
        return viewed(np.expand_dims(self, axis))

    def wait_to_read(self) -> None:
        """Nothing to wait for: arrays are complete."""


def viewed(data: Any) -> NDArray:
    """An array of NumPy, or what it makes an array of, as an NDArray of the same memory."""
    view: NDArray = np.asarray(data).view(NDArray)
    return view


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of an array or of nested lists: as ``dtype``, else as it is if it is an NDArray, otherwise float32."""
    _check_context(ctx)
    if dtype is None:
        dtype = source_array.dtype if isinstance(source_array, NDArray) else np.float32
    return viewed(np.array(source_array, dtype=dtype))


def zeros(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """Zeros."""
    _check_context(ctx)
    return viewed(np.zeros(shape, dtype))


def ones(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """Ones."""
    _check_context(ctx)
    return viewed(np.ones(shape, dtype))


def empty(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """An array to be filled; until then it is zeros."""
    return zeros(shape, ctx, dtype)


def zeros_like(data: Any) -> NDArray:
    """Zeros of the shape and type of another array."""
    return viewed(np.zeros_like(data))


def ones_like(data: Any) -> NDArray:
    """Ones of the shape and type of another array."""
    return viewed(np.ones_like(data))


def transpose(data: Any, axes: Sequence[int] | None = None) -> NDArray:
    """A copy with its axes in another order, backwards if none is given."""
    return viewed(np.array(np.transpose(data, axes or None), order="C"))


def flip(data: Any, axis: int | tuple[int, ...]) -> NDArray:
    """A copy with the elements along an axis in reverse: axis 1 mirrors an image of shape (height, width, channels)."""
    return viewed(np.array(np.flip(data, axis), order="C"))


def slice_axis(data: Any, axis: int, begin: int, end: int | None) -> NDArray:
    """A copy of the elements from ``begin`` to before ``end`` along an axis."""
    places: list[slice] = [slice(None)] * np.ndim(data)
    places[axis] = slice(begin, end)
    return viewed(np.array(data[tuple(places)]))


def expand_dims(data: Any, axis: int) -> NDArray:
    """A copy with one more axis."""
    return viewed(np.array(np.expand_dims(data, axis)))


def concat(*data: Any, dim: int = 1) -> NDArray:
    """Arrays joined along an axis that they have, by default the second."""
    return viewed(np.concatenate(data, axis=dim))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> NDArray:
    """Arrays joined along an axis that they have, by default the first."""
    return viewed(np.concatenate(list(arrays), axis=axis))


def stack(*data: Any, axis: int = 0) -> NDArray:
    """Arrays of one shape joined along a new axis."""
    return viewed(np.stack(data, axis=axis))


def cast(data: Any, dtype: Any) -> NDArray:
    """A copy as another type."""
    return viewed(np.array(data, dtype=dtype))


def clip(data: Any, a_min: float, a_max: float) -> NDArray:
    """A copy whose elements are no less than ``a_min`` and no more than ``a_max``."""
    return viewed(np.clip(data, a_min, a_max))


def sum(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:  # noqa: A001  # MXNet's
    """The sum along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(data.sum(axis=axis, keepdims=keepdims, dtype=data.dtype)))


def mean(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:
    """The mean along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(data.mean(axis=axis, keepdims=keepdims, dtype=data.dtype)))


def waitall() -> None:
    """Nothing to wait for: arrays are complete."""


def _check_context(context: Context | None) -> None:
    if context is not None and context.device_type == "gpu":
        raise ValueError(
            f"these arrays are in host memory, not on {context!r}: an iterator with framework='torch' or another hands "
            "out batches on the GPU"
        )


__getattr__ = missing_from(__name__)
