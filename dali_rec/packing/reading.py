"""Reading the images of a plan, and what tells later that one has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dali_rec.errors import ImageRejectedError
from dali_rec.packing.transform import read_image

if TYPE_CHECKING:
    from dali_rec.packing.plan import Plan
    from dali_rec.sources import FetchOptions, Sample

#: Size in bytes and time of change in nanoseconds of the file that an image is in; zeros where there is none.
Stamp = tuple[int, int]


class ReadImage(NamedTuple):
    """The encoded image of a sample, or the reason why there is none, and the stamp of its file."""

    stamp: Stamp
    data: bytes | ImageRejectedError


def read_sample(plan: Plan, sample: Sample, fetching: FetchOptions) -> ReadImage:
    """Read the image of a sample, from its file, URL or table."""
    stamp = stamp_of(plan, sample)
    try:
        return ReadImage(stamp, read_image(sample.location, plan.root, fetching, plan.pixels))
    except ImageRejectedError as error:
        return ReadImage(stamp, error)


def stamp_of(plan: Plan, sample: Sample) -> Stamp:
    """What tells that the file of a sample has changed; zeros for what has no file or is not there."""
    in_table = plan.pixels is not None and plan.pixels.holds(sample.location)
    path = plan.pixels.path if plan.pixels is not None and in_table else plan.file_of(sample)
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path takes longer than the call
    except (OSError, ValueError):
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
