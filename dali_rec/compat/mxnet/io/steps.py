"""What can be done to an image, step by step: plan.py draws the steps, pixels.py carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scale:
    """Resize to (height, width) by one of OpenCV's interpolations, 0 to 4."""

    height: int
    width: int
    method: int


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """An affine transformation: ``matrix``, float32 of shape (2, 3), from input to output."""

    matrix: NDArray[np.float32]
    height: int
    width: int
    method: int


@dataclass(frozen=True, slots=True)
class Border:
    """A border of so many pixels around the image."""

    width: int


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Jitter:
    """Factors of brightness, contrast and saturation. ``order``: which of them, by number, is applied when."""

    factors: tuple[float, float, float]
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """What is added to hue (180 levels, as OpenCV has it), lightness and saturation (256 levels)."""

    hue: int
    lightness: int
    saturation: int


@dataclass(frozen=True, slots=True)
class Noise:
    """What is added to the channels B, G and R."""

    levels: tuple[float, float, float]


Step = Scale | Warp | Border | Crop | Jitter | Shift | Noise


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is done to an image: the steps, then it is mirrored or not, and normalised.

    ``gain`` and ``lift``: a pixel becomes (pixel - mean) * gain / std + lift / std.
    """

    steps: tuple[Step, ...]
    mirror: bool
    gain: float
    lift: float
