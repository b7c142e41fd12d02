"""The labels of all records, each as long as it is, from the records or from a .lst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path
from dali_rec._numbers import parse_float, parse_int
from dali_rec.compat.mxnet.io.detection.objects import check_layout
from dali_rec.dataset import listed_ids
from dali_rec.errors import DatasetError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset


class RaggedLabels:
    """Labels of different lengths, laid end to end: ``labels[row]`` is float32 of shape (length of that row,)."""

    def __init__(self, rows: Iterable[NDArray[np.float32]]) -> None:
        pieces = list(rows)
        self._ends = np.cumsum([0, *map(len, pieces)])
        self._values = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        return self._values[self._ends[row] : self._ends[row + 1]]

    @property
    def most(self) -> int:
        """The length of the longest."""
        return int(np.diff(self._ends).max(initial=0))


def read_labels(dataset: Dataset, path_imglist: Any, label_width: int) -> RaggedLabels:
    """The label of each record, from ``path_imglist`` by id where it is given, from the records otherwise.

    label_width: how many labels each must have; -1: as many as it has. Raises DatasetError, naming the record, for a
    label that is not laid out for detection or is not so long, SourceError for a line of the list that cannot be read.
    """
    listed = _read_list(path_imglist, label_width) if path_imglist else None

    def rows() -> Iterable[NDArray[np.float32]]:
        for row, key in enumerate(listed_ids(dataset).tolist()):
            where = f"{dataset.name}: the record with id {key}"
            if listed is None:
                label = dataset[row].labels
            elif key in listed:
                label = listed[key]
            else:
                raise DatasetError(f"{path_imglist}: no line for the record with id {key} of {dataset.name}")
            if label_width > 0 and len(label) != label_width:
                raise DatasetError(
                    f"{where} has {len(label)} labels, label_width is {label_width}; leave label_width out for "
                    "labels of any length"
                )
            check_layout(label, where)
            yield label

    return RaggedLabels(rows())


def _read_list(path: Any, label_width: int) -> dict[int, NDArray[np.float32]]:
    """The labels of a .lst by id: the numbers behind the id, up to the path or as many as ``label_width`` says."""
    labels: dict[int, NDArray[np.float32]] = {}
    with as_path(path).open(encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            # A path may hold blanks where tabs part the columns.
            fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            if not fields or not line.strip():
                continue
            values = fields[1 : 1 + label_width] if label_width > 0 else fields[1:-1]
            try:
                labels[parse_int(fields[0])] = np.array(list(map(parse_float, values)), np.float64).astype(np.float32)
            except ValueError:
                raise SourceError(
                    f"{path}, line {number}: {line.strip()[:60]!r} is not an id, labels and a path"
                ) from None
    return labels
