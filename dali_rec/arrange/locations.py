"""Where the image of each record came from, as the .lst beside a data set has it."""

from __future__ import annotations

import mmap
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.arrange.headers import header_ids
from dali_rec.recordio.header import MAX_ID
from dali_rec.recordio.index import signed

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.arrange.frames import Frames
    from dali_rec.dataset import Dataset


class Locations:
    """The last column of a .lst for each record of ``dataset``, found by id; ``FILE.rec#id`` where it has none.

    Takes 8 bytes of memory a record; the list itself is mapped.
    """

    def __init__(self, dataset: Dataset, path: Path) -> None:
        self._keys = dataset.keys
        self._names = [shard.path.name.encode("utf-8", "surrogateescape") for shard in dataset.shards]
        self._ends = np.cumsum([len(shard) for shard in dataset.shards])
        self._text: bytes | mmap.mmap = b""
        self._starts = np.full(len(dataset), -1, np.int64)
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._find_lines()

    def _find_lines(self) -> None:
        keys, starts, position = array("q"), array("q"), 0
        for line in iter(self._text.readline, b""):  # type: ignore[union-attr]  # a map, where there is text
            key = line[: line.find(b"\t")]
            if key.isdigit() and len(key) <= 20 and int(key) <= MAX_ID:
                keys.append(signed(int(key)))
                starts.append(position)
            position += len(line)
        listed = np.array(keys, dtype=np.int64)
        wanted = self._keys.view(np.int64)
        if np.array_equal(listed, wanted):
            self._starts = np.array(starts, dtype=np.int64)
            return
        listed, first = np.unique(listed, return_index=True)
        if len(listed):
            places = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
            found = listed[places] == wanted
            self._starts[found] = np.array(starts, dtype=np.int64)[first[places[found]]]

    def close(self) -> None:
        """Let go of the list."""
        if isinstance(self._text, mmap.mmap):
            self._text.close()

    def of(self, frames: Frames) -> list[bytes]:
        """The locations of these records of the data set, as they were read.

        A list counts ids as the headers do. An .idx may not: MXNet's rec2idx numbers anew, and what the list says of
        such a number is true of another record.
        """
        starts = np.where(header_ids(frames) == frames.keys, self._starts[frames.rows], -1)
        shards = np.searchsorted(self._ends, frames.rows, side="right").tolist()
        columns = (shards, self._keys[frames.rows].tolist(), starts.tolist())
        return [
            (self._listed(start) if start >= 0 else b"") or b"%s#%d" % (self._names[shard], key)
            for shard, key, start in zip(*columns, strict=True)
        ]

    def _listed(self, start: int) -> bytes:
        """The last column of the line there; empty where it is blank, or the line is not id, labels and location."""
        end = self._text.find(b"\n", start)
        line = self._text[start : end if end >= 0 else len(self._text)]
        location = line[line.rfind(b"\t") + 1 :].rstrip(b"\r")
        return location if location.strip() and line.count(b"\t") > 1 else b""
