"""mx.nd.NDArray, a NumPy array with MXNet's methods, and the functions that make one."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.context import Context, check_context, cpu
from dali_rec.compat.mxnet.missing import WHERE_TO_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray as NumpyArray

_COPIED, _ALL_OTHERS, _TWO_AS_ONE = 0, -2, -3  # in a shape for reshape


class NDArray(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array in host memory with the methods that MXNet's arrays have beside NumPy's.

    One element of it is an array of shape (1,) into which one can write, as in MXNet: ``labels[0].asscalar()`` and
    ``labels[0][:] = 3`` work. ``int(labels[0])`` and ``float(labels[0])`` do as well. Where MXNet and NumPy have a
    method of one name that do not do the same, it is MXNet's. Functions of mx.nd are methods, too:
    ``images.slice_axis(axis=1, begin=0, end=8)``; ndarray/functions.py adds them.
    """

    stype = "default"

    def __getitem__(self, key: Any) -> Any:
        keys = _whole_keys(key)
        item = super().__getitem__(keys)
        return item if isinstance(item, np.ndarray) else super().__getitem__((*keys, ...)).reshape(1)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_whole_keys(key), value)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        # NumPy's functions call methods, such as flatten, that are MXNet's here: they are given plain arrays.
        return _each_array(func(*_each_array(args, _plain), **_each_array(kwargs, _plain)), _with_methods)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"NDArray has no {name!r}: {WHERE_TO_READ}")

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
        """The array itself. Raises DeviceUnavailableError for a GPU."""
        check_context(context)
        return self

    as_in_ctx = as_in_context

    def copyto(self, other: Any) -> Any:
        """Copy into another array, which is returned, or into host memory, where the copy is returned."""
        if isinstance(other, np.ndarray):
            other[...] = self
            return other
        check_context(other)
        return self.copy()

    def wait_to_read(self) -> None:
        """Nothing to wait for: arrays are complete."""

    def detach(self) -> NDArray:
        """The array itself: there are no gradients."""
        return self

    def tostype(self, stype: str) -> NDArray:
        """The array itself. Raises ValueError for a sparse one."""
        if stype != self.stype:
            raise ValueError(f"arrays are dense: stype is {stype!r}")
        return self

    def transpose(self, *axes: Any, **keyword: Any) -> Any:
        """A view with its axes in another order, also as ``axes=``."""
        return super().transpose(*axes, *keyword.values())

    def reshape(self, *shape: Any, **keyword: Any) -> Any:
        """A view of another shape, also as ``shape=``.

        In it 0 stands for the length that the axis has, -1 for what is left, -2 for all other axes as they are, -3 for
        two axes as one.
        """
        wanted = keyword.pop("shape", shape)
        if len(wanted) == 1 and np.iterable(wanted[0]):
            wanted = wanted[0]
        return super().reshape(_whole_shape(tuple(wanted), self.shape) if self.size else wanted, **keyword)

    def flatten(self, *order: Any) -> Any:
        """A copy of shape (first axis, everything else), of one axis (elements, 1)."""
        return super().flatten(*order).reshape(len(self), -1)

    def take(  # type: ignore[override]
        self, indices: Any, axis: int | None = 0, out: Any = None, mode: Any = "clip"
    ) -> Any:
        """The parts with these numbers, along the first axis; numbers that are too large give the last one."""
        return super().take(np.asarray(indices).astype(np.int64), axis=axis, out=out, mode=mode)

    def sum(self, *arguments: Any, **keywords: Any) -> Any:
        """The sum along axes; of all elements it has the shape (1,)."""
        return _with_an_axis(super().sum(*arguments, **keywords))

    def mean(self, *arguments: Any, **keywords: Any) -> Any:
        """The mean along axes; of all elements it has the shape (1,)."""
        return _with_an_axis(super().mean(*arguments, **keywords))

    def max(self, *arguments: Any, **keywords: Any) -> Any:
        """The largest along axes; of all elements it has the shape (1,)."""
        return _with_an_axis(super().max(*arguments, **keywords))

    def min(self, *arguments: Any, **keywords: Any) -> Any:
        """The smallest along axes; of all elements it has the shape (1,)."""
        return _with_an_axis(super().min(*arguments, **keywords))


def viewed(data: Any) -> NDArray:
    """An array of NumPy, or what it makes an array of, as an NDArray of the same memory."""
    view: NDArray = np.asarray(data).view(NDArray)
    return view


def handed_over(made: Any, out: Any) -> NDArray:
    """An array of NumPy as an NDArray, or ``out`` filled with it."""
    if out is None:
        return viewed(made)
    out[...] = made
    filled: NDArray = out
    return filled


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of an array or of nested lists: as ``dtype``, else as it is if it is an NDArray, otherwise float32."""
    check_context(ctx)
    if dtype is None:
        dtype = source_array.dtype if isinstance(source_array, NDArray) else np.float32
    return viewed(np.array(source_array, dtype=dtype))


def from_numpy(ndarray: NumpyArray[Any], zero_copy: bool = True) -> NDArray:
    """An array of NumPy with MXNet's methods, of the same memory with ``zero_copy``."""
    return viewed(ndarray if zero_copy else ndarray.copy())


def zeros(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """Zeros."""
    check_context(ctx)
    return viewed(np.zeros(shape, dtype or "float32"))


def ones(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """Ones."""
    check_context(ctx)
    return viewed(np.ones(shape, dtype or "float32"))


def full(shape: int | tuple[int, ...], val: float, ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """One value everywhere."""
    check_context(ctx)
    return viewed(np.full(shape, val, dtype or "float32"))


def empty(shape: int | tuple[int, ...], ctx: Context | None = None, dtype: Any = "float32") -> NDArray:
    """An array to be filled; until then it is zeros."""
    return zeros(shape, ctx, dtype)


def arange(
    start: float, stop: float | None = None, step: float = 1.0, ctx: Context | None = None, dtype: Any = "float32"
) -> NDArray:
    """Numbers from ``start`` to before ``stop``, or from 0 to before ``start`` alone."""
    check_context(ctx)
    first, end = (0, start) if stop is None else (start, stop)
    return viewed(np.arange(first, end, step, dtype=dtype or "float32"))


def _whole_keys(key: Any) -> tuple[Any, ...]:
    """A key as a tuple; numbers of rows are whole in it, which come as float32 from MXNet's functions."""
    keys = key if isinstance(key, tuple) else (key,)
    return tuple(one.astype(np.int64) if isinstance(one, NDArray) and one.dtype.kind == "f" else one for one in keys)


def _each_array(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same with ``function`` applied to arrays, also to those in lists, tuples and dictionaries."""
    if type(value) in (list, tuple):
        return type(value)(_each_array(one, function) for one in value)
    if type(value) is dict:
        return {name: _each_array(one, function) for name, one in value.items()}
    return function(value)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, NDArray) else value


def _with_methods(value: Any) -> Any:
    return value.view(NDArray) if type(value) is np.ndarray else value


def _with_an_axis(data: Any) -> Any:
    return data if np.ndim(data) else viewed(np.atleast_1d(data))


def _whole_shape(wanted: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """What a shape with the marks 0, -2 and -3 means for an array of shape ``shape``."""
    whole: list[int] = []
    at = 0
    for length in wanted:
        if length == _ALL_OTHERS:
            whole += shape[at:]
            at = len(shape)
        elif length == _TWO_AS_ONE:
            whole.append(shape[at] * shape[at + 1])
            at += 2
        else:
            whole.append(shape[at] if length == _COPIED else length)
            at += 1
    return whole
