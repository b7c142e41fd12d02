"""Images that a data set holds more than once, by the hash of their bytes."""

from __future__ import annotations

import bisect
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.inspection.faults import Fault
from dali_rec.recordio.index import signed, unsigned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.inspection.record_check import Checked


class Duplicates:
    """Gathers digests of images, 40 bytes each, over all shards."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._begins: list[int] = []  # the first row of each path
        self._columns = (array("Q"), array("Q"), array("Q"), array("q"), array("q"))

    def add(self, path: str, checked: Checked) -> None:
        """Take in a sound record of the file ``path``."""
        if not self._paths or self._paths[-1] != path:
            self._paths.append(path)
            self._begins.append(len(self._columns[0]))
        row = (*checked.digest, checked.label_digest, signed(checked.key or 0), checked.offset)
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def find(self, most: int | None = None) -> tuple[list[Fault], int]:
        """Each image that came before in the data set, with the first of its kind; in the order of the data set.

        most: how many to give; by default all. Gives how many there are, too.
        """
        if not self._columns[0]:
            return [], 0
        high, low, labels, keys, offsets = (np.asarray(column) for column in self._columns)
        rows = _repeated(high)  # a few, as a rule: of all the others no more is looked at
        order = rows[np.lexsort((rows, low[rows], high[rows]))]
        if not len(order):
            return [], 0
        same = (np.diff(high[order]) == 0) & (np.diff(low[order]) == 0)
        # The first of each run of equal digests, for each row of the run.
        begins = np.concatenate(([True], ~same))
        first_of = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        found = []
        copies = np.flatnonzero(~begins)
        for place in copies[np.argsort(order[copies])][:most].tolist():
            row, first = int(order[place]), int(first_of[place])
            where = f"id {unsigned(int(keys[first]))} in {self._path_of(first)} at offset {int(offsets[first])}"
            other = ", with other labels" if labels[row] != labels[first] else ""
            message = f"the same image as {where}{other}"
            found.append(Fault("duplicate", self._path_of(row), message, int(offsets[row]), unsigned(int(keys[row]))))
        return found, len(copies)

    def _path_of(self, row: int) -> str:
        return self._paths[bisect.bisect_right(self._begins, row) - 1]


def _repeated(values: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The rows of values that stand there several times."""
    order = np.argsort(values)
    ascending = values[order]
    same = ascending[1:] == ascending[:-1]
    found: NDArray[np.intp] = order[np.append(same, False) | np.append(False, same)]
    return found
