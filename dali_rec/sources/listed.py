"""Where the images of a packed data set came from: the paths in the .lst beside it, looked up by id."""

from __future__ import annotations

import itertools
import mmap
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import each, parse_float
from dali_rec._shard_names import dataset_name
from dali_rec.errors import RecordError
from dali_rec.recordio.header import MAX_ID
from dali_rec.recordio.index import signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from dali_rec.dataset import Dataset
    from dali_rec.shard import Shard

_COMPARED = 100  # records of a shard


def original_paths(dataset: Dataset, ids: NDArray[np.uint64]) -> Iterator[str]:
    """The path that each record's image had, by the lists beside the files; empty where none says it.

    A list with other labels is that of another packing. ids: of the records, as lists have them (``listed_ids``),
    shape (N,).
    """
    end = 0
    for path, group in itertools.groupby(dataset.shards, lambda shard: _list_beside(shard.path)):
        shards = list(group)
        lengths = [len(shard) for shard in shards]
        start, end = end, end + sum(lengths)
        with ListedPaths(ids[start:end].view(np.int64), path) as listed:
            # A line of an id that several records have, such as the 0 of all, is that of one of them at most. By shard,
            # as several views may have one record.
            parts = np.split(ids[start:end], np.cumsum(lengths)[:-1])
            starts = np.where(np.concatenate([*map(_is_repeated, parts)]), -1, listed.starts)
            of_shards = np.split(starts, np.cumsum(lengths)[:-1])
            if not all(_has_labels_of(listed, *one) for one in zip(shards, of_shards, strict=True)):
                starts = np.full(len(starts), -1, np.int64)
            yield from (listed.path_at(line).decode("utf-8", "surrogateescape") for line in each(starts))


def _is_repeated(ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of these ids stands several times among them."""
    _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] > 1, np.bool_)


def _has_labels_of(listed: ListedPaths, shard: Shard, starts: NDArray[np.int64]) -> bool:
    """Whether the lines of a shard's records have their first labels, by some hundred of them."""
    rows = np.flatnonzero(starts >= 0)
    rows = rows[:: max(len(rows) // _COMPARED, 1)]
    try:
        labels = shard.take(rows).first_labels()
    except RecordError:  # which whoever reads the records says
        return True
    return all(
        listed.label_at(start) == label for start, label in zip(starts[rows].tolist(), labels.tolist(), strict=True)
    )


def _list_beside(rec: Path) -> Path | None:
    """The .lst beside a .rec file: of its own name, or of that of the data set of which it is a shard."""
    names = (rec.stem, dataset_name(rec.stem))
    return next((path for name in names if (path := rec.with_name(f"{name}.lst")).is_file()), None)


class ListedPaths:
    """The last column of a .lst for the records with these ids, int64 of shape (N,) as an Index has them.

    ``starts``: where the line of each begins in the list, int64 of shape (N,); -1 where there is none. Takes 8 bytes of
    memory a record; the list itself is mapped. path: the list; without one there is no line.
    """

    def __init__(self, ids: NDArray[np.int64], path: Path | None) -> None:
        self._text: bytes | mmap.mmap = b""
        self.starts = np.full(len(ids), -1, np.int64)
        if path is not None and path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._find_lines(ids)

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

    def label_at(self, start: int) -> float | None:
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
