"""Resizing images on the CPU: separable filters that widen where they shrink, as Pillow's do, compiled by Numba.

A row of the result is first summed from rows of the image and then along itself, in float32. Nothing is rounded to
levels in between, and each sum has its order and no fused steps, so that every machine makes the same pixels.

The functions let go of the interpreter's lock, and have no need of it: DALI calls them from its own threads
(loading/host_resize.py). PyTorch's kernel, which is as fast, has neither float32 at its end nor a fixed result.

Compiling takes some seconds once on a machine: the result is kept beside this file or in the user's cache folder, until
this file changes (_compiled.py). Changes in other files are not seen, so all that is compiled stands here.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray
from numba import types as numba_types
from numba.core import cgutils
from numba.extending import intrinsic

from dali_rec._compiled import c_function, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Filters: a triangle, which is linear interpolation, and Catmull-Rom's spline, which is Pillow's "bicubic".
LINEAR, CUBIC = 0, 1

# What DALI's operator for Numba's functions calls: with the addresses of pointers to the data of a sample's outputs, of
# pointers to their shapes (int64), and of their numbers of dimensions, and how many outputs there are; the same for
# the inputs. And for a whole batch before, to be told the shapes: the same without data, and how many samples.
_ADDRESS, _COUNT = numba_types.uint64, numba_types.int32
_RUN = numba_types.void(*(_ADDRESS, _ADDRESS, _ADDRESS, _COUNT) * 2)
_SETUP = numba_types.void(*(_ADDRESS, _ADDRESS, _COUNT) * 2, _COUNT)

# Counting in unsigned numbers spares a look at each index, whether it is negative and counts from the end.
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@compiled
def resize_to_pixels(
    image: NDArray[np.uint8],
    grid: tuple[float, float, float, float],
    kind: int,
    antialias: bool,  # Numba's functions are called by position
    mirror: bool,
    result: NDArray[np.uint8],
) -> None:
    """Resize ``image``, uint8 of shape (height, width, 1 or 3), into ``result``, of the same dtype and another size.

    grid: where the result begins in the image, as (top, left), and how many of its pixels one of the result's is high
    and wide. kind: the filter. antialias: whether it widens with the grid, so that it averages over what is dropped.
    mirror: left to right.
    """
    height, width, channels = image.shape
    rows, columns, _ = result.shape
    top, left, down, across = grid
    first_row, row_weights = _plan(height, rows, top, down, kind, antialias)
    first, weights = _plan_along(width, columns, left, across, kind, antialias, mirror, channels)
    lines = image.reshape(height, width * channels)
    results = result.reshape(rows, columns * channels)
    line = np.zeros((width + weights.shape[1]) * channels, np.float32)
    sums = np.empty(columns * channels, np.float32)
    for row in range(rows):
        _sum_rows(lines, first_row[row], row_weights[row], line)
        if channels == 3:
            _sum_three_along(line, first, weights, sums)
        else:
            _sum_one_along(line, first, weights, sums)
        rounded = results[row]
        for at in range(len(sums)):
            rounded[at] = np.uint8(np.int32(min(max(sums[at] + np.float32(0.5), np.float32(0.0)), np.float32(255.0))))


@compiled
def resize_to_planes(
    image: NDArray[np.uint8],
    grid: tuple[float, float, float, float],
    kind: int,
    antialias: bool,
    mirror: bool,
    scale: tuple[float, float, float],
    shift: tuple[float, float, float],
    result: NDArray[np.float32],
) -> None:
    """Resize ``image``, uint8 of shape (height, width, 3), into ``result``, float32 of shape (3, height, width).

    scale, shift: for each channel what its values are multiplied by and what is added then. The rest as in
    ``resize_to_pixels``.
    """
    height, width, channels = image.shape
    _, rows, columns = result.shape
    top, left, down, across = grid
    first_row, row_weights = _plan(height, rows, top, down, kind, antialias)
    first, weights = _plan_along(width, columns, left, across, kind, antialias, mirror, channels)
    lines = image.reshape(height, width * channels)
    line = np.zeros((width + weights.shape[1]) * channels, np.float32)
    for row in range(rows):
        _sum_rows(lines, first_row[row], row_weights[row], line)
        _sum_to_planes(line, first, weights, scale, shift, result, row)


@compiled
def resize_to_half_planes(
    image: NDArray[np.uint8],
    grid: tuple[float, float, float, float],
    kind: int,
    antialias: bool,
    mirror: bool,
    scale: tuple[float, float, float],
    shift: tuple[float, float, float],
    result: NDArray[np.uint16],
) -> None:
    """As ``resize_to_planes``, into the bits of float16, rounded to the nearest."""
    planes = np.empty(result.shape, np.float32)
    resize_to_planes(image, grid, kind, antialias, mirror, scale, shift, planes)
    round_to_half(planes.ravel(), result.ravel())


@compiled
def round_to_half(values: NDArray[np.float32], result: NDArray[np.uint16]) -> None:
    """The bits of ``values`` as float16, ties to even, what is too large as infinity: as NumPy's ``astype`` has it.

    By whole numbers, since not every processor converts, and that a loop of them is run on many values at once.
    """
    bits = values.view(np.uint32)
    for at in range(len(values)):
        size = bits[at] & np.uint32(0x7FFFFFFF)
        # The exponent, 15 in the middle instead of 127, and the 10 highest of 23 bits behind it. A carry is in order.
        half = (size - np.uint32(112 << 23) + np.uint32(0xFFF) + ((size >> np.uint32(13)) & np.uint32(1))) >> np.uint32(
            13
        )
        if size < np.uint32(113 << 23):
            # Less than 2^-14: a whole number of 2^-24, to which adding 2^23 rounds it.
            units = abs(values[at]) * np.float32(1 << 24)
            half = np.uint32(np.int32((units + np.float32(1 << 23)) - np.float32(1 << 23)))
        if size >= np.uint32(143 << 23):
            half = np.uint32(0x7C00) if size <= np.uint32(255 << 23) else np.uint32(0x7E00)
        result[at] = np.uint16(half | ((bits[at] >> np.uint32(16)) & np.uint32(0x8000)))


@compiled
def _plan(
    size: int,
    count: int,
    begin: float,
    step: float,
    kind: int,
    antialias: bool,
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Of which pixels of a line of ``size`` each of ``count`` pixels is the weighted sum.

    begin, step: where the first of the ``count`` begins on the line, and how far they are apart. Returns for each the
    first pixel, and the weights of that and the following ones. Beyond its ends the line goes on with its last pixels,
    as DALI and OpenCV have it; Pillow leaves out what is there.
    """
    widening = max(step, 1.0) if antialias else 1.0
    reach = widening * (1.0 if kind == LINEAR else 2.0)
    first = np.empty(count, np.uint64)
    weights = np.zeros((count, 2 * math.ceil(reach) + 1), np.float32)
    most = 1
    for index in range(count):
        center = begin + (index + 0.5) * step
        low, high = math.floor(center - reach + 0.5), math.floor(center + reach + 0.5)
        start = min(max(low, 0), size - 1)
        taps = max(min(high, size) - start, 1)
        total = 0.0
        for pixel in range(low, high):
            weight = _weight(abs(pixel + 0.5 - center) / widening, kind)
            weights[index, min(max(pixel, 0), size - 1) - start] += weight
            total += weight
        for tap in range(taps):
            weights[index, tap] /= total
        first[index] = start
        most = max(most, taps)
    return first, weights[:, :most].copy()


@compiled
def _weight(distance: float, kind: int) -> float:
    """The filter's height at this distance from its middle."""
    if kind == LINEAR:
        return max(0.0, 1.0 - distance)
    # Keys' cubic convolution with a = -0.5.
    if distance < 1.0:
        return (1.5 * distance - 2.5) * distance * distance + 1.0
    if distance < 2.0:
        return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return 0.0


@compiled
def _plan_along(
    size: int,
    count: int,
    begin: float,
    step: float,
    kind: int,
    antialias: bool,
    mirror: bool,
    channels: int,
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """As ``_plan``, for pixels of several interleaved channels and, with ``mirror``, from the last to the first."""
    first, weights = _plan(size, count, begin, step, kind, antialias)
    if mirror:
        first, weights = first[::-1].copy(), weights[::-1].copy()
    return first * np.uint64(channels), weights


@compiled
def _sum_rows(
    rows: NDArray[np.uint8], first: np.uint64, weights: NDArray[np.float32], line: NDArray[np.float32]
) -> None:
    width = rows.shape[1]
    row, weight = rows[first], weights[0]
    for at in range(width):
        line[at] = weight * np.float32(row[at])
    for tap in range(1, len(weights)):
        weight = weights[tap]
        if weight != 0.0:
            row = rows[first + np.uint64(tap)]
            for at in range(width):
                line[at] += weight * np.float32(row[at])


@compiled
def _sum_three_along(
    line: NDArray[np.float32], first: NDArray[np.uint64], weights: NDArray[np.float32], sums: NDArray[np.float32]
) -> None:
    for index in range(np.uint64(len(first))):
        red = green = blue = np.float32(0.0)
        at = first[index]
        for tap in range(np.uint64(weights.shape[1])):
            weight = weights[index, tap]
            red += weight * line[at]
            green += weight * line[at + _ONE]
            blue += weight * line[at + _TWO]
            at += _THREE
        to = index * _THREE
        sums[to], sums[to + _ONE], sums[to + _TWO] = red, green, blue


@compiled
def _sum_one_along(
    line: NDArray[np.float32], first: NDArray[np.uint64], weights: NDArray[np.float32], sums: NDArray[np.float32]
) -> None:
    for index in range(np.uint64(len(first))):
        grey = np.float32(0.0)
        for tap in range(np.uint64(weights.shape[1])):
            grey += weights[index, tap] * line[first[index] + tap]
        sums[index] = grey


@compiled
def _sum_to_planes(
    line: NDArray[np.float32],
    first: NDArray[np.uint64],
    weights: NDArray[np.float32],
    scale: tuple[np.float32, np.float32, np.float32],
    shift: tuple[np.float32, np.float32, np.float32],
    result: NDArray[np.float32],
    row: int,
) -> None:
    reds, greens, blues = result[0, row], result[1, row], result[2, row]
    red_scale, green_scale, blue_scale = scale
    red_shift, green_shift, blue_shift = shift
    for index in range(np.uint64(len(first))):
        red = green = blue = np.float32(0.0)
        at = first[index]
        for tap in range(np.uint64(weights.shape[1])):
            weight = weights[index, tap]
            red += weight * line[at]
            green += weight * line[at + _ONE]
            blue += weight * line[at + _TWO]
            at += _THREE
        reds[index] = red * red_scale + red_shift
        greens[index] = green * green_scale + green_shift
        blues[index] = blue * blue_scale + blue_shift


@functools.cache
def shape_function(shape: tuple[int, int, int]) -> Any:
    """What tells DALI that each output has this shape, as a function of pointers."""
    first, second, third = shape

    @c_function(_SETUP)
    def setup(
        out_shapes: int, _out_ndims: int, _outs: int, _in_shapes: int, _in_ndims: int, _ins: int, samples: int
    ) -> None:
        pointers = carray(_pointer(out_shapes), samples, np.uint64)
        for sample in range(samples):
            extent = carray(_pointer(pointers[sample]), 3, np.int64)
            extent[0], extent[1], extent[2] = first, second, third

    return setup


@functools.cache
def pixels_function() -> Any:
    """``resize_to_pixels`` as DALI calls it for each image, a function of pointers; compiled when it is asked for.

    Inputs: the image, uint8 HWC of three channels; whether to mirror it, int32 of shape (); and three numbers, float32:
    antialias, and the height and width that the image is scaled to cover (0, 0: it is stretched to the result's size).
    """

    @c_function(_RUN)
    def run(
        outs: int, out_shapes: int, _out_ndims: int, _outs: int, ins: int, in_shapes: int, _in_ndims: int, _ins: int
    ) -> None:
        result = carray(_pointer(carray(_pointer(outs), 1, np.uint64)[0]), _shape_of(out_shapes), np.uint8)
        image, mirror, settings = _inputs(ins, in_shapes, 3)
        grid = _grid(image.shape[0], image.shape[1], result.shape[0], result.shape[1], settings)
        resize_to_pixels(image, grid, LINEAR, settings[0] != 0, mirror, result)

    return run


@functools.cache
def planes_function() -> Any:
    """``resize_to_planes`` likewise; after the three numbers come the channels' factors and what is added to them."""

    @c_function(_RUN)
    def run(
        outs: int, out_shapes: int, _out_ndims: int, _outs: int, ins: int, in_shapes: int, _in_ndims: int, _ins: int
    ) -> None:
        result = carray(_pointer(carray(_pointer(outs), 1, np.uint64)[0]), _shape_of(out_shapes), np.float32)
        image, mirror, settings = _inputs(ins, in_shapes, 9)
        grid = _grid(image.shape[0], image.shape[1], result.shape[1], result.shape[2], settings)
        scale, shift = (settings[3], settings[4], settings[5]), (settings[6], settings[7], settings[8])
        resize_to_planes(image, grid, LINEAR, settings[0] != 0, mirror, scale, shift, result)

    return run


@functools.cache
def half_planes_function() -> Any:
    """``resize_to_half_planes`` likewise; its output is uint16."""

    @c_function(_RUN)
    def run(
        outs: int, out_shapes: int, _out_ndims: int, _outs: int, ins: int, in_shapes: int, _in_ndims: int, _ins: int
    ) -> None:
        result = carray(_pointer(carray(_pointer(outs), 1, np.uint64)[0]), _shape_of(out_shapes), np.uint16)
        image, mirror, settings = _inputs(ins, in_shapes, 9)
        grid = _grid(image.shape[0], image.shape[1], result.shape[1], result.shape[2], settings)
        scale, shift = (settings[3], settings[4], settings[5]), (settings[6], settings[7], settings[8])
        resize_to_half_planes(image, grid, LINEAR, settings[0] != 0, mirror, scale, shift, result)

    return run


@compiled
def _inputs(ins: int, in_shapes: int, numbers: int) -> tuple[NDArray[np.uint8], bool, NDArray[np.float32]]:
    pointers = carray(_pointer(ins), 3, np.uint64)
    image = carray(_pointer(pointers[0]), _shape_of(in_shapes), np.uint8)
    mirror = carray(_pointer(pointers[1]), 1, np.int32)[0] != 0
    return image, mirror, carray(_pointer(pointers[2]), numbers, np.float32)


@compiled
def _shape_of(shapes: int) -> tuple[int, int, int]:
    """The first of the shapes, which has three dimensions."""
    shape = carray(_pointer(carray(_pointer(shapes), 1, np.uint64)[0]), 3, np.int64)
    return shape[0], shape[1], shape[2]


@compiled
def _grid(height: int, width: int, rows: int, columns: int, settings: Any) -> tuple[float, float, float, float]:
    """Where in the image the result begins, and what of it one pixel is: see ``resize_to_pixels``."""
    if settings[1] == 0:
        return 0.0, 0.0, height / rows, width / columns
    scale = max(settings[1] / height, settings[2] / width)
    tall, wide = math.floor(height * scale + 0.5), math.floor(width * scale + 0.5)
    # As DALI has it: the middles coincide, and the result is cut out at a whole pixel.
    step = 1 / scale
    top, left = (tall - rows + 1) // 2 - tall / 2, (wide - columns + 1) // 2 - wide / 2
    return height / 2 + top * step, width / 2 + left * step, step, step


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(_context: Any, address: Any) -> Any:
    """The address, a number, as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return numba_types.voidptr(address), generate
