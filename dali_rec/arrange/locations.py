"""Where the image of each record came from, as the .lst beside a data set has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dali_rec.arrange.headers import header_ids
from dali_rec.sources.listed import ListedPaths

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.arrange.frames import Frames
    from dali_rec.dataset import Dataset


class Locations:
    """The last column of a .lst for each record of ``dataset``, found by id; ``FILE.rec#id`` where it has none.

    A list with other labels is that of another packing, and has none.
    """

    def __init__(self, dataset: Dataset, path: Path) -> None:
        self._keys = dataset.keys
        self._names = [shard.path.name.encode("utf-8", "surrogateescape") for shard in dataset.shards]
        self._ends = np.cumsum([len(shard) for shard in dataset.shards])
        self._listed = ListedPaths(dataset.shards, self._keys, path, keys_may_differ=True)

    def close(self) -> None:
        """Let go of the list."""
        self._listed.close()

    def of(self, frames: Frames) -> list[bytes]:
        """The locations of these records of the data set, as they were read.

        A list counts ids as the headers do. An .idx may not: MXNet's rec2idx numbers anew, and what the list says of
        such a number is true of another record.
        """
        starts = np.where(header_ids(frames) == frames.keys, self._listed.starts[frames.rows], -1)
        shards = np.searchsorted(self._ends, frames.rows, side="right").tolist()
        columns = (shards, self._keys[frames.rows].tolist(), starts.tolist())
        return [
            self._listed.path_at(start) or b"%s#%d" % (self._names[shard], key)
            for shard, key, start in zip(*columns, strict=True)
        ]
