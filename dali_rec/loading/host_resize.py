"""Resizing on the CPU by functions of our own (resampling.py), as a node of the DALI graph.

DALI's operator for functions compiled by Numba calls them from DALI's threads, on DALI's memory. Its wrapper for
functions of arrays would take seconds to compile for each pipeline; ours are functions of pointers, compiled already.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from nvidia.dali.plugin.numba import NumbaFunction

from dali_rec.resampling import half_planes_function, pixels_function, planes_function, shape_function


class HostFunction(NumbaFunction):
    """DALI's operator for Numba's functions, given functions that are compiled already."""

    def _get_run_fn_cpu(self, run_fn: Any, *_types: Any) -> int:
        address: int = run_fn.address
        return address

    def _get_setup_fn_cpu(self, setup_fn: Any) -> int:
        address: int = setup_fn.address
        return address


class Colours(NamedTuple):
    """How colours are normalised: ``mean`` and ``std`` of the channels, for images of 0…1, and the dtype they get."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: Literal["float32", "float16"]


def resize_node(
    dali: Any,
    images: Any,
    size: tuple[int, int],
    *,
    antialias: bool = True,
    mirror: Any = None,
    covered: tuple[int, int] | None = None,
    colours: Colours | None = None,
) -> Any:
    """The node that resizes ``images``, uint8 HWC of three channels, to ``size``, (height, width).

    mirror: a node of int32, not 0 where the image is mirrored. covered: a height and width that the image is scaled to
    cover, its sides in proportion; the result is cut out of its middle. colours: the result is CHW, without them uint8
    HWC.
    """
    types = dali.types
    settings = [float(antialias), *(covered or (0, 0))]
    run, made = pixels_function, types.UINT8
    if colours is not None:
        mean, std = np.asarray(colours.mean, np.float64), np.asarray(colours.std, np.float64)
        settings += [*(1 / (255 * std)), *(-mean / std)]
        run, made = planes_function, types.FLOAT
        if colours.dtype == "float16":
            run, made = half_planes_function, types.UINT16  # DALI's operator refuses FLOAT16 itself
    function = HostFunction(
        run_fn=run(),
        setup_fn=shape_function((*size, 3) if colours is None else (3, *size)),
        out_types=[made],
        in_types=[types.UINT8, types.INT32, types.FLOAT],
        outs_ndim=[3],
        ins_ndim=[3, 0, 1],
    )
    no_mirror = types.Constant(0, dtype=types.INT32)
    resized = function(
        images, no_mirror if mirror is None else mirror, types.Constant(np.asarray(settings, np.float32))
    )
    if made == types.UINT16:
        return dali.fn.reinterpret(resized, dtype=types.FLOAT16, layout="CHW")
    return dali.fn.reshape(resized, layout="HWC" if colours is None else "CHW")
