"""mx.nd's functions of arrays: those with which images and labels are read, put together and looked at."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.base import ArgumentError
from dali_rec.compat.mxnet.ndarray.ndarray import NDArray, handed_over, viewed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Cast",
    "Concat",
    "SwapAxis",
    "abs",
    "argmax",
    "argmin",
    "argsort",
    "broadcast_to",
    "cast",
    "ceil",
    "clip",
    "concat",
    "concatenate",
    "dot",
    "exp",
    "expand_dims",
    "flatten",
    "flip",
    "floor",
    "log",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "norm",
    "one_hot",
    "ones_like",
    "pad",
    "prod",
    "repeat",
    "reshape",
    "reverse",
    "round",
    "sign",
    "slice",
    "slice_axis",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "sum",
    "swapaxes",
    "take",
    "tile",
    "transpose",
    "where",
    "zeros_like",
]

_PAD_MODES = ("constant", "edge", "reflect")


def _of_elements(function: Callable[..., Any]) -> Callable[..., NDArray]:
    """NumPy's function of each element, or of the elements of several arrays and numbers."""

    def apply(*data: Any) -> NDArray:
        return viewed(function(*data))

    apply.__doc__ = f"As numpy.{function.__name__}."
    return apply


abs = _of_elements(np.abs)  # noqa: A001  # MXNet's
ceil = _of_elements(np.ceil)
exp = _of_elements(np.exp)
floor = _of_elements(np.floor)
log = _of_elements(np.log)
maximum = _of_elements(np.maximum)
minimum = _of_elements(np.minimum)
sign = _of_elements(np.sign)
sqrt = _of_elements(np.sqrt)
square = _of_elements(np.square)


def round(data: Any) -> NDArray:  # noqa: A001  # MXNet's
    """To whole numbers; halves go away from 0."""
    return viewed(np.trunc(data + np.copysign(0.5, data)).astype(data.dtype))


def zeros_like(data: Any) -> NDArray:
    """Zeros of the shape and type of another array."""
    return viewed(np.zeros_like(data))


def ones_like(data: Any) -> NDArray:
    """Ones of the shape and type of another array."""
    return viewed(np.ones_like(data))


def transpose(data: Any, axes: Sequence[int] | None = None) -> NDArray:
    """A copy with its axes in another order, backwards if none is given."""
    return viewed(np.array(np.transpose(data, axes or None), order="C"))


def swapaxes(data: Any, dim1: int = 0, dim2: int = 0) -> NDArray:
    """A copy with two axes exchanged."""
    return viewed(np.array(np.swapaxes(data, dim1, dim2), order="C"))


def reshape(data: Any, shape: Sequence[int]) -> NDArray:
    """A copy of another shape, as NDArray.reshape takes it."""
    return viewed(np.array(viewed(data).reshape(shape)))


def flatten(data: Any) -> NDArray:
    """A copy of shape (first axis, everything else)."""
    return viewed(viewed(data).flatten())


def flip(data: Any, axis: int | tuple[int, ...]) -> NDArray:
    """A copy with the elements along an axis in reverse: axis 1 mirrors an image of shape (height, width, channels)."""
    return viewed(np.array(np.flip(data, axis), order="C"))


def slice_axis(data: Any, axis: int, begin: int, end: int | None) -> NDArray:
    """A copy of the elements from ``begin`` to before ``end`` along an axis."""
    places: list[builtins.slice] = [builtins.slice(None)] * np.ndim(data)
    places[axis] = builtins.slice(begin, end)
    return viewed(np.array(data[tuple(places)]))


def slice(  # noqa: A001  # MXNet's
    data: Any, begin: Sequence[int | None], end: Sequence[int | None], step: Sequence[int | None] = ()
) -> NDArray:
    """A copy of the elements from ``begin`` to before ``end`` along the first axes."""
    steps = [*step, *[None] * (len(begin) - len(step))]
    return viewed(np.array(data[tuple(map(builtins.slice, begin, end, steps))]))


def expand_dims(data: Any, axis: int) -> NDArray:
    """A copy with one more axis."""
    return viewed(np.array(np.expand_dims(data, axis)))


def squeeze(data: Any, axis: int | tuple[int, ...] | None = None) -> NDArray:
    """A copy without axes of length 1."""
    return viewed(np.atleast_1d(np.array(np.squeeze(np.asarray(data), axis))))


def concat(*data: Any, dim: int = 1) -> NDArray:
    """Arrays joined along an axis that they have, by default the second."""
    return viewed(np.concatenate(data, axis=dim))


def concatenate(arrays: Sequence[Any], axis: int = 0, always_copy: bool = True) -> NDArray:  # noqa: ARG001  # MXNet's
    """Arrays joined along an axis that they have, by default the first."""
    return viewed(np.concatenate(list(arrays), axis=axis))


def stack(*data: Any, axis: int = 0, out: Any = None) -> NDArray:
    """Arrays of one shape joined along a new axis. out: an array of the right shape that is filled and returned."""
    return handed_over(np.stack(data, axis=axis), out)


def dot(lhs: Any, rhs: Any) -> NDArray:
    """The sum of products over the last axis of the one and the first of the other."""
    return viewed(np.atleast_1d(np.tensordot(np.asarray(lhs), np.asarray(rhs), axes=1)))


def split(data: Any, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Any:
    """Parts of one length along an axis, by default the second: a list, or the one part alone.

    squeeze_axis: whether the axis is left out of parts in which it has the length 1.
    """
    parts = [np.array(part) for part in np.split(np.asarray(data), num_outputs, axis)]
    made = [viewed(np.squeeze(part, axis) if squeeze_axis else part) for part in parts]
    return made if len(made) > 1 else made[0]


def tile(data: Any, reps: int | Sequence[int]) -> NDArray:
    """The array several times along each axis."""
    return viewed(np.tile(data, reps))


def repeat(data: Any, repeats: int, axis: int | None = None) -> NDArray:
    """Each element, or each part along an axis, several times."""
    return viewed(np.repeat(data, repeats, axis))


def broadcast_to(data: Any, shape: Sequence[int]) -> NDArray:
    """A copy in which axes of length 1 are repeated up to ``shape``."""
    return viewed(np.array(np.broadcast_to(data, tuple(shape))))


def take(a: Any, indices: Any, axis: int = 0, mode: Any = "clip") -> NDArray:
    """The parts with these numbers along an axis; numbers that are too large give the last one."""
    return viewed(viewed(a).take(indices, axis, mode=mode))


def one_hot(indices: Any, depth: int, on_value: float = 1.0, off_value: float = 0.0, dtype: Any = "float32") -> NDArray:
    """For each number a row of ``depth`` with ``on_value`` there; all ``off_value`` for a number outside of it."""
    is_on = np.asarray(indices).astype(np.int64)[..., np.newaxis] == np.arange(depth)
    return viewed(np.where(is_on, on_value, off_value).astype(dtype))


def pad(data: Any, mode: str = "constant", pad_width: Sequence[int] = (), constant_value: float = 0) -> NDArray:
    """With borders: ``pad_width`` has two numbers for each axis, ``mode`` is "constant", "edge" or "reflect".

    Raises ArgumentError for another mode.
    """
    if mode not in _PAD_MODES:
        raise ArgumentError(f"mode is {mode!r}: one of {', '.join(_PAD_MODES)}")
    widths = np.reshape(pad_width, (-1, 2)).tolist()
    values = {"constant_values": constant_value} if mode == "constant" else {}
    return viewed(np.pad(data, widths, mode, **values))  # type: ignore[call-overload]


def cast(data: Any, dtype: Any) -> NDArray:
    """A copy as another type."""
    return viewed(np.array(data, dtype=dtype))


def clip(data: Any, a_min: float, a_max: float) -> NDArray:
    """A copy whose elements are no less than ``a_min`` and no more than ``a_max``."""
    return viewed(np.clip(data, a_min, a_max))


def where(condition: Any, x: Any, y: Any) -> NDArray:
    """The elements of ``x`` where ``condition`` is not 0, of ``y`` elsewhere."""
    return viewed(np.where(condition, x, y))


def sum(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:  # noqa: A001  # MXNet's
    """The sum along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(data.sum(axis=axis, keepdims=keepdims, dtype=_number_type(data))))


def mean(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:
    """The mean along axes, cut off where the array is of whole numbers; of all elements it has the shape (1,)."""
    # The sum is more than uint8 or float16 hold.
    made = data.mean(axis=axis, keepdims=keepdims, dtype=np.float64)
    return viewed(np.atleast_1d(made).astype(_number_type(data)))


def max(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:  # noqa: A001  # MXNet's
    """The largest along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(data.max(axis=axis, keepdims=keepdims)))


def min(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:  # noqa: A001  # MXNet's
    """The smallest along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(data.min(axis=axis, keepdims=keepdims)))


def argmax(data: Any, axis: int | None = None, keepdims: bool = False) -> NDArray:
    """Where the largest is along an axis, as float32."""
    array: Any = np.asarray(data)  # by NumPy's own types an axis that may be None has no argmax
    return viewed(np.atleast_1d(array.argmax(axis, keepdims=keepdims)).astype(np.float32))


def norm(data: Any) -> NDArray:
    """The root of the sum of all squares, of shape (1,)."""
    return viewed(np.atleast_1d(np.sqrt(np.sum(np.square(np.asarray(data))))).astype(data.dtype))


def argmin(data: Any, axis: int | None = None, keepdims: bool = False) -> NDArray:
    """Where the smallest is along an axis, as float32."""
    return viewed(np.atleast_1d(np.argmin(np.asarray(data), axis, keepdims=keepdims)).astype(np.float32))


def sort(data: Any, axis: int | None = -1, is_ascend: bool = True) -> NDArray:
    """A copy with the elements along an axis, or all of them, in order."""
    ordered = np.sort(np.asarray(data), axis)
    return viewed(ordered if is_ascend else np.flip(ordered, -1 if axis is None else axis))


def argsort(data: Any, axis: int | None = -1, is_ascend: bool = True, dtype: Any = "float32") -> NDArray:
    """Where the elements in order are along an axis, or in all of them; of equal ones the first comes first."""
    values, along = (np.ravel(np.asarray(data)), 0) if axis is None else (np.asarray(data), axis)
    if is_ascend:
        return viewed(np.argsort(values, along, kind="stable").astype(dtype))
    backwards = np.flip(np.argsort(np.flip(values, along), along, kind="stable"), along)
    return viewed((values.shape[along] - 1 - backwards).astype(dtype))


def prod(data: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray:
    """The product along axes; of all elements it has the shape (1,)."""
    return viewed(np.atleast_1d(np.prod(np.asarray(data), axis, dtype=_number_type(data), keepdims=keepdims)))


Cast, Concat, SwapAxis, reverse = cast, concat, swapaxes, flip
for _name in __all__:
    if _name not in vars(NDArray):  # which has some as views
        setattr(NDArray, _name, globals()[_name])


def _number_type(data: Any) -> Any:
    # What == and < give counts as the float32 that MXNet makes of it.
    return np.float32 if data.dtype == np.bool_ else data.dtype
