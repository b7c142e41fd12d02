"""The last step of each image as DALI nodes: brought to size, mirrored, normalised.

DALI does that on a GPU. On the CPU its resizing and normalising take more of the processor than its decoder
(docs/performance.md), and functions of our own do it in one pass (loading/host_resize.py).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dali_rec.errors import MissingDependencyError

if TYPE_CHECKING:
    from dali_rec.loading.specs import ImageSpec, Resizer


def choose_resizer(wanted: Literal["auto"] | Resizer, *, on_gpu: bool) -> Resizer:
    """What resizes: ``wanted``, or for "auto" DALI on a GPU and our own on the CPU, where Numba compiles.

    Raises ValueError for a resizer that is none or does not work on the GPU, MissingDependencyError without Numba.
    """
    if wanted not in ("auto", "dali", "numba"):
        raise ValueError(f"resizer is {wanted!r}: expected 'auto', 'dali' or 'numba'")
    if wanted == "numba" and on_gpu:
        raise ValueError("resizer is 'numba', which works on the CPU, and images are decoded on a GPU; take 'auto'")
    if wanted == "dali" or on_gpu:
        return "dali"
    obstacle = obstacle_to_numba()
    if obstacle is None:
        return "numba"
    if wanted == "auto":
        return "dali"
    raise MissingDependencyError(
        f"resizer='numba' needs Numba ({obstacle.reason}): {obstacle.remedy}, or take resizer='dali'"
    )


class Obstacle(NamedTuple):
    """Why a package cannot be used, and the command that mends it."""

    reason: str
    remedy: str


def obstacle_to_numba() -> Obstacle | None:
    """Why Numba compiles nothing here, or None where it does."""
    try:
        import numba
    except (ImportError, OSError) as error:  # the second of LLVM's library
        return Obstacle(str(error), "pip install --upgrade numba")
    return Obstacle("NUMBA_DISABLE_JIT is set", "unset NUMBA_DISABLE_JIT") if numba.config.DISABLE_JIT else None


def resize(dali: Any, images: Any, image: ImageSpec, *, resizer: Resizer | None = None, mode: str = "default") -> Any:
    """uint8 HWC images of ``image.size``.

    resizer: not the one of ``image``. mode: what of the size DALI keeps to; our own always gives both sides.
    """
    if (resizer or image.resizer) == "numba":
        return _resize_on_host(dali, images, image)
    return dali.fn.resize(
        images,
        size=list(image.size),
        mode=mode,
        interp_type=dali.types.INTERP_LINEAR,
        antialias=image.antialias,
    )


def finish(dali: Any, images: Any, image: ImageSpec, mirror: Any = None) -> Any:
    """Cut ``image.size`` out of the middle, mirror (a node of 0 or 1, None for never) and normalise."""
    fn, types = dali.fn, dali.types
    options: dict[str, Any] = {
        "crop": image.size,
        "crop_pos_x": 0.5,
        "crop_pos_y": 0.5,
        "mirror": 0 if mirror is None else mirror,
    }
    if image.dtype == "uint8":
        return fn.crop_mirror_normalize(images, dtype=types.UINT8, output_layout="HWC", **options)
    return fn.crop_mirror_normalize(
        images,
        dtype=types.FLOAT16 if image.dtype == "float16" else types.FLOAT,
        output_layout="CHW",
        mean=[255 * value for value in image.mean],
        std=[255 * value for value in image.std],
        **options,
    )


def resize_and_finish(
    dali: Any, images: Any, image: ImageSpec, mirror: Any = None, *, covering: float | None = None
) -> Any:
    """Both steps at once.

    covering: the image is not stretched to the size, but its shorter side made so many times as long as the result's,
    which is cut out of the middle.
    """
    if image.resizer == "numba":
        return _resize_on_host(
            dali, images, image, mirror, covering, normalised=None if image.dtype == "uint8" else image.dtype
        )
    if covering is None:
        return finish(dali, resize(dali, images, image), image, mirror)
    larger = dataclasses.replace(image, size=_larger(image.size, covering))
    return finish(dali, resize(dali, images, larger, mode="not_smaller"), image, mirror)


def _resize_on_host(
    dali: Any,
    images: Any,
    image: ImageSpec,
    mirror: Any = None,
    covering: float | None = None,
    *,
    normalised: Literal["float32", "float16"] | None = None,
) -> Any:
    from dali_rec.loading.host_resize import Colours, resize_node

    covered = None if covering is None else _larger(image.size, covering)
    colours = None if normalised is None else Colours(image.mean, image.std, normalised)
    return resize_node(
        dali, images, image.size, antialias=image.antialias, mirror=mirror, covered=covered, colours=colours
    )


def _larger(size: tuple[int, int], covering: float) -> tuple[int, int]:
    return round(size[0] * covering), round(size[1] * covering)
