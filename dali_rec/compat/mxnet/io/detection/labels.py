"""The labels of all records, each as long as it is, from the records or from a .lst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.io.detection.objects import check_layout
from dali_rec.compat.mxnet.io.records import listed_labels
from dali_rec.dataset import listed_ids
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    def longest(self) -> int:
        """The length of the longest."""
        return int(np.diff(self._ends).max(initial=0))


def read_labels(dataset: Dataset, path_imglist: Any, label_width: int) -> RaggedLabels:
    """The label of each record, from ``path_imglist`` by id where it is given, from the records otherwise.

    label_width: how many labels each must have; -1: as many as it has. Raises DatasetError, naming the record, for a
    label that is not laid out for detection or is not so long, and as ``listed_labels`` does.
    """
    return RaggedLabels(_checked_labels(dataset, path_imglist, label_width))


def _checked_labels(dataset: Dataset, path_imglist: Any, label_width: int) -> Iterator[NDArray[np.float32]]:
    listed = listed_labels(dataset, path_imglist, label_width) if path_imglist else None
    for row, key in enumerate(listed_ids(dataset).tolist()):
        label = dataset[row].labels if listed is None else np.array(listed[row], np.float32)
        where = f"{dataset.name}: the record with id {key}"
        if label_width > 0 and len(label) != label_width:
            raise DatasetError(
                f"{where} has {len(label)} labels, label_width is {label_width}; leave label_width out for "
                "labels of any length"
            )
        check_layout(label, where)
        yield label
