"""The size that an image is brought to: arithmetic only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dali_rec.packing.options import ImageOptions


class Geometry(NamedTuple):
    """Scale to ``width`` × ``height``, then cut ``crop_width`` × ``crop_height`` from the centre, all in pixels."""

    width: int
    height: int
    crop_width: int
    crop_height: int

    def changes(self, width: int, height: int) -> bool:
        """Whether an image of this size is changed at all."""
        return (self.width, self.height, self.crop_width, self.crop_height) != (width, height, width, height)


def plan_geometry(width: int, height: int, options: ImageOptions) -> Geometry:
    """What becomes of an upright image of ``width`` × ``height`` pixels.

    Whole-number division, as im2rec does it: a 500 × 375 image with the shorter side at 256 has 341 × 256.
    """
    wide, high = _scale(width, height, options)
    if options.resize is not None and options.resize_mode == "fill":
        return Geometry(wide, high, min(wide, options.resize), min(high, options.resize))
    if options.center_crop:
        side = min(wide, high)
        return Geometry(wide, high, side, side)
    return Geometry(wide, high, wide, high)


def _scale(width: int, height: int, options: ImageOptions) -> tuple[int, int]:
    side = options.resize
    if side is None:
        return width, height
    if options.resize_mode == "exact":
        return (side, side) if options.upscale else (min(width, side), min(height, side))
    reference = max(width, height) if options.resize_mode == "longer" else min(width, height)
    if reference < side and not options.upscale:
        return width, height
    return (
        side if width == reference else max(1, width * side // reference),
        side if height == reference else max(1, height * side // reference),
    )
