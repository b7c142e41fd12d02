"""Where the images of a packed data set came from: the paths in the .lst beside it, looked up by id."""

from __future__ import annotations

import itertools
import mmap
import struct
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._disks import map_file, naming
from dali_rec._numbers import each, parse_float
from dali_rec._shard_names import dataset_name
from dali_rec.recordio.framing import MAGIC, MAX_RECORD_LENGTH
from dali_rec.recordio.header import MAX_ID
from dali_rec.recordio.index import signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.dataset import Dataset
    from dali_rec.shard import Shard

_COMPARED = 100  # records of a shard
# How a record begins: its magic and length, the image header, and the first label behind it, if there is one.
_START = struct.Struct("<IIIfQQf")


def original_paths(dataset: Dataset, ids: NDArray[np.uint64]) -> Iterator[str]:
    """The path that each record's image had, by the lists beside the files; empty where none says it.

    ids: of the records, as lists have them (``listed_ids``), shape (N,).
    """
    end = 0
    for path, group in itertools.groupby(dataset.shards, lambda shard: _list_beside(shard.path)):
        shards = list(group)
        start, end = end, end + sum(map(len, shards))
        with ListedPaths(shards, ids[start:end], path) as listed:
            yield from (listed.path_at(line).decode("utf-8", "surrogateescape") for line in each(listed.starts))


def _is_repeated(ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of these ids stands several times among them."""
    _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] > 1, np.bool_)


def _list_beside(rec: Path) -> Path | None:
    """The .lst beside a .rec file: of its own name, or of that of the data set of which it is a shard."""
    names = (rec.stem, dataset_name(rec.stem))
    return next((path for name in names if (path := rec.with_name(f"{name}.lst")).is_file()), None)


class ListedPaths:
    """The last column of a .lst for the records of these shards.

    ids: of the records, as the list has them, uint64 of shape (N,). path: the list; without one there is no line.
    keys_may_differ: where the ids are those of the index, lines are only held to records whose header has the same id.

    ``starts``: where the line of each begins in the list, int64 of shape (N,); -1 where there is none, for an id that
    several records have, and for all of a list with other labels, which is that of another packing. Takes 8 bytes of
    memory a record; the list itself is mapped.
    """

    def __init__(
        self, shards: Sequence[Shard], ids: NDArray[np.uint64], path: Path | None, *, keys_may_differ: bool = False
    ) -> None:
        self._text: bytes | mmap.mmap = b""
        self.starts: NDArray[np.int64] = np.full(len(ids), -1, np.int64)
        if path is not None and path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                self._text = map_file(file, path)
            self._find_lines(ids.view(np.int64))
            bounds = np.cumsum([len(shard) for shard in shards])[:-1]
            # A line of an id that several records have, such as the 0 of all, is that of one of them at most. By shard,
            # as several views may have one record.
            self.starts[np.concatenate([*map(_is_repeated, np.split(ids, bounds))])] = -1
            of_shards = zip(shards, np.split(self.starts, bounds), strict=True)
            if not all(self._has_labels_of(*one, keys_may_differ=keys_may_differ) for one in of_shards):
                self.starts[:] = -1

    def _has_labels_of(self, shard: Shard, starts: NDArray[np.int64], *, keys_may_differ: bool) -> bool:
        """Whether the lines of a shard's records have their first labels, by some hundred of them."""
        rows = np.flatnonzero(starts >= 0)
        rows = rows[:: max(len(rows) // _COMPARED, 1)]
        columns = (starts, shard.index.keys, shard.index.offsets)
        # Not through the reader's map, whose pages count as memory of this process.
        with naming(shard.path), shard.path.open("rb", buffering=0) as file:
            for start, key, offset in zip(*(column[rows].tolist() for column in columns), strict=True):
                file.seek(offset)
                magic, length, flag, label, own_id, _, behind = _START.unpack(file.read(_START.size).ljust(_START.size))
                # What is split is passed over, and what is damaged whoever reads the records says.
                is_plain = magic == MAGIC and length <= MAX_RECORD_LENGTH
                if not is_plain or (keys_may_differ and signed(own_id) != key) or not self.path_at(start):
                    continue
                if self._label_at(start) != (behind if flag else label):
                    return False
        return True

    def _find_lines(self, wanted: NDArray[np.int64]) -> None:
        keys, starts, position = array("q"), array("q"), 0
        for line in iter(self._text.readline, b""):  # type: ignore[union-attr]  # a map, where there is text
            key = line[: line.find(b"\t")]
            if key.isdigit() and len(key) <= 20 and int(key) <= MAX_ID:
                keys.append(signed(int(key)))
                starts.append(position)
            position += len(line)
        listed = np.array(keys, dtype=np.int64)
        if np.array_equal(listed, wanted):
            self.starts = np.array(starts, dtype=np.int64)
            return
        listed, first = np.unique(listed, return_index=True)
        if len(listed):
            places = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
            found = listed[places] == wanted
            self.starts[found] = np.array(starts, dtype=np.int64)[first[places[found]]]

    def path_at(self, start: int) -> bytes:
        """The path in the line that begins there.

        Empty where ``start`` is -1, the path is blank, or the line is not id, labels and path.
        """
        if start < 0:
            return b""
        end = self._text.find(b"\n", start)
        line = self._text[start : end if end >= 0 else len(self._text)]
        path = line[line.rfind(b"\t") + 1 :].rstrip(b"\r")
        return path if path.strip() and line.count(b"\t") > 1 else b""

    def _label_at(self, start: int) -> float | None:
        """The first label in the line that begins there, as float32 holds it; None where it is no number."""
        end = self._text.find(b"\t", start)
        field = self._text[end + 1 : self._text.find(b"\t", end + 1)]
        try:
            return float(np.float32(parse_float(field.decode("ascii", "replace"))))
        except ValueError:
            return None

    def close(self) -> None:
        """Let go of the list."""
        if isinstance(self._text, mmap.mmap):
            self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
