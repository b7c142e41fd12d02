"""The boxes of a batch: which layout they have in the records, and as what they are handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from dali_rec._numbers import whole_number
from dali_rec.box_layout import BoxLayout, box_layout
from dali_rec.errors import DatasetError, LoaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset

BoxMode = Literal["auto", "pad", "list", "off"]
PADDING = -1.0


def find_boxes(dataset: Dataset, mode: BoxMode) -> BoxLayout | None:
    """The layout of the boxes, None where there are none or they are not wanted.

    Raises DatasetError where the labels of a record are no boxes, or have another header than the first's.
    """
    known = dataset.manifest is not None and dataset.manifest.label_kind == "boxes"
    if mode == "off" or (mode == "auto" and not known) or not len(dataset):
        return None
    labels = dataset[0].labels
    layout = box_layout(labels)
    if layout is None:
        raise DatasetError(
            f"{dataset.name}: the record with id {dataset[0].key} has {len(labels)} labels, which are no boxes: "
            "expected [header width, object width, …, objects]; leave boxes out, or pack COCO, VOC or YOLO annotations"
        )
    headers = np.concatenate([shard.first_labels() for shard in dataset.shards])
    if (headers != layout.header).any():
        key = int(dataset.keys[int((headers != layout.header).argmax())])
        raise DatasetError(
            f"{dataset.name}: the record with id {key} has labels of another layout than the first record, whose "
            f"header has {layout.header} numbers; pack them from one source"
        )
    return layout


class BoxReader:
    """Makes the boxes of a batch from what the pipeline gives.

    mode: "pad" gives float32 of shape (batch, objects, width), -1 where an image has no more; "list" an array for each
    image. most: how many objects are padded to; None: as many as the fullest image of the batch has.
    crops: whether the pipeline crops, and says which objects are left.
    """

    needs_rows = False

    def __init__(self, dataset: Dataset, layout: BoxLayout, mode: BoxMode, most: int | None, *, crops: bool) -> None:
        most = None if most is None else whole_number("max_objects", most)
        if most is not None and most < 1:
            raise ValueError(f"max_objects is {most}: at least 1")
        self._name = dataset.name
        self._layout = layout
        self._mode = mode
        self._most = most
        self._crops = crops

    def classes(self, dataset: Dataset) -> NoReturn:
        """There are none. Raises DatasetError."""
        raise DatasetError(f"{dataset.name}: its images have boxes, not one class each; balance by weights")

    def one(self, dataset: Dataset) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The boxes of the first record, as a batch of one has them, where their number does not vary by batch."""
        table = self._table(dataset[0].labels)
        if self._mode == "list" or self._most is None:
            return [table]
        return np.zeros((1, self._most, self._layout.width), np.float32)

    def of_samples(
        self, outputs: Sequence[Any], samples: range, _rows: NDArray[np.int64] | None
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The boxes of these samples, from the pipeline's outputs: labels, corners and, of crops, whose."""
        labels, corners = outputs[:2]
        found = []
        for sample in samples:
            table = self._table(np.asarray(labels[sample]))
            table = table[np.asarray(outputs[2][sample])] if self._crops else table.copy()
            table[:, 1:5] = np.asarray(corners[sample]).reshape(-1, 4)
            found.append(table)
        return found if self._mode == "list" else self._padded(found)

    def _table(self, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        header, width = self._layout
        if len(labels) < header or labels[1] != width or (len(labels) - header) % width:
            raise LoaderError(
                f"{self._name}: a record has the labels {labels[:8].tolist()}, other records {width} numbers an "
                "object; pack them from one source"
            )
        return labels[header:].reshape(-1, width)

    def _padded(self, found: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        counts = [len(table) for table in found]
        most = max(counts, default=0) if self._most is None else self._most
        if max(counts, default=0) > most:
            raise LoaderError(
                f"{self._name}: an image has {max(counts)} objects, max_objects is {most}; give at least as many"
            )
        values = np.full((len(found), most, self._layout.width), PADDING, np.float32)
        for row, table in enumerate(found):
            values[row, : len(table)] = table
        return values
