"""Images that stand in several splits of a source, where a model would be tested on what it has seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.sources.sample import Source


def say_overlap(source: Source) -> Source:
    """The source with a note where one location is in several splits."""
    if len(source.splits) < 2:
        return source
    # By hashes, as a set of millions of paths takes too much memory.
    hashes = np.fromiter((hash(sample.location) for sample in source.samples), np.int64, len(source.samples))
    splits: NDArray[np.int64] = np.zeros(len(hashes), np.int64)
    for number, split in enumerate(source.splits):
        splits[split.start : split.stop] = number
    order = np.argsort(hashes, kind="stable")  # equal locations side by side, in the order of their splits
    hashes, splits = hashes[order], splits[order]
    again = np.flatnonzero((hashes[1:] == hashes[:-1]) & (splits[1:] != splits[:-1])) + 1
    if not len(again):
        return source
    at = int(again[order[again].argmin()])
    names = " and ".join(source.splits[splits[place]].name for place in (at - 1, at))
    held = source.pixels
    location = source.samples[int(order[at])].location
    listed = location if held is None or not held.holds(location) else held.listed(location)
    count = len(np.unique(hashes[again]))
    note = f"{source.root}: {counted(count, 'image is', 'images are')} in several splits; {listed[:200]} is in {names}"
    return replace(source, notes=(*source.notes, note))
