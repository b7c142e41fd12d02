"""What becomes of the labels of a batch: class indices, rows of numbers, or as many as each record has."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dali_rec._files import as_path
from dali_rec._numbers import spread
from dali_rec.box_layout import box_layout
from dali_rec.dataset import listed_ids
from dali_rec.errors import DatasetError, RecordError
from dali_rec.recordio.header import MAX_EXACT_LABEL
from dali_rec.sources.lst import read_list

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dali_rec.dataset import Dataset

Ragged = Literal["error", "pad", "list"]

# Of a file without a manifest, to see what its labels are: each may be a disk's seek.
_RECORDS_TRIED = 100


class PaddedLabels(NamedTuple):
    """Labels of records that have different numbers of them.

    ``values``: float32 of shape (batch, most labels in the batch), 0 where a record has no more. ``mask``: bool of the
    same shape, true where ``values`` is a label.
    """

    values: Any
    mask: Any


class LabelReader:
    """Turns the labels of records into what a batch has.

    are_classes: whether each record has one class index; None: some of them tell. ragged: what becomes of records with
    different numbers of labels: "error", "pad" (PaddedLabels) or "list" (a list of arrays). lst: a .lst whose labels
    are taken instead of the records', by id, as MXNet's path_imglist.
    """

    def __init__(
        self, dataset: Dataset, ragged: Ragged, lst: str | os.PathLike[str] | None, *, are_classes: bool | None
    ) -> None:
        if ragged not in ("error", "pad", "list"):
            raise ValueError(f"ragged is {ragged!r}: expected 'error', 'pad' or 'list'")
        self._name = dataset.name
        self._ragged = ragged
        self._are_classes = are_classes
        self._override = None if lst is None else _ListedLabels(dataset, lst)
        # An image of InsightFace's may be labelled [class, aligned], and others of the same file [class].
        self._first_only = dataset.is_face_set and lst is None
        if are_classes is None and ragged == "error":
            self._are_classes = _look_like_classes(dataset)
        if self._override is not None:
            self._are_classes = self._override.are_classes

    @property
    def needs_rows(self) -> bool:
        """Whether the labels come from a list, by row, and not from the records."""
        return self._override is not None

    def classes(self, dataset: Dataset) -> NDArray[np.int64]:
        """The class of each record, int64 of shape (N,). Raises DatasetError where labels are no class indices."""
        return dataset.class_indices if self._override is None else self._override.classes

    def one(self, dataset: Dataset) -> NDArray[Any] | PaddedLabels | list[NDArray[np.float32]]:
        """The labels of the first record, as a batch of one has them."""
        if self._override is None:
            return self._convert([dataset[0].labels])
        return self._convert(self._override.of(np.zeros(1, np.int64)))

    def of_samples(
        self, outputs: Sequence[Any], samples: range, rows: NDArray[np.int64] | None
    ) -> NDArray[Any] | PaddedLabels | list[NDArray[np.float32]]:
        """The labels of these samples of the pipeline's output; of a list those that it has for their ``rows``."""
        if self._override is not None and rows is not None:
            return self._convert(self._override.of(rows))
        labels = outputs[0]
        if labels.is_dense_tensor():
            return self._convert(np.asarray(labels.as_tensor())[samples.start : samples.stop])
        return self._convert([np.asarray(labels[sample]) for sample in samples])

    def _convert(
        self, labels: NDArray[np.float32] | Sequence[NDArray[np.float32]]
    ) -> NDArray[Any] | PaddedLabels | list[NDArray[np.float32]]:
        if self._first_only:
            labels = [one[:1] for one in labels]
        if self._ragged != "error" and not self._are_classes:
            return _pad(labels) if self._ragged == "pad" else [np.array(one, np.float32) for one in labels]
        widths = sorted({len(one) for one in labels})
        if len(widths) > 1:
            are_boxes = all(box_layout(one) is not None for one in labels)
            raise DatasetError(
                f"{self._name}: its records have different numbers of labels ({widths[0]} to {widths[-1]}), which do "
                f"not make one tensor; load them with {'boxes' if are_boxes else 'ragged'}='pad' or 'list'"
            )
        values = np.array(labels, dtype=np.float32)  # a copy: the pipeline's buffer is its own
        return self._classes(values) if self._are_classes else values

    def _classes(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        classes = values[:, 0].astype(np.int64)
        if values.shape[1] != 1 or not np.array_equal(classes, values[:, 0]):
            raise DatasetError(
                f"{self._name}: expected one class index a record, found the labels {values[:3].tolist()}; "
                "'dali-rec verify' checks the records"
            )
        return classes


def _look_like_classes(dataset: Dataset) -> bool:
    """Whether one whole number is the label of each of some records, which are the same on every rank."""
    for row in spread(len(dataset), _RECORDS_TRIED).tolist():
        with contextlib.suppress(RecordError):  # said when the record is loaded
            labels = dataset[row].labels
            if len(labels) != 1 or not float(labels[0]).is_integer():
                return False
    return True


def _pad(labels: NDArray[np.float32] | Sequence[NDArray[np.float32]]) -> PaddedLabels:
    widths = np.array([len(one) for one in labels])
    mask = np.arange(widths.max(initial=0)) < widths[:, np.newaxis]
    values = np.zeros(mask.shape, np.float32)
    values[mask] = np.concatenate(list(labels))
    return PaddedLabels(values, mask)


class _ListedLabels:
    """The labels that a .lst has for each record of the data set, found by id, in columns: 20 bytes a record of one.

    Raises DatasetError where a record has no line, or a class index that float32 would round.
    """

    def __init__(self, dataset: Dataset, path: str | os.PathLike[str]) -> None:
        self._path = path
        samples = read_list(as_path(path)).samples
        ids, keys = listed_ids(dataset), samples.keys
        order = np.argsort(keys)
        lines = order[np.minimum(np.searchsorted(keys, ids, sorter=order), len(keys) - 1)]
        missing = ids[keys[lines] != ids]
        if len(missing):
            raise DatasetError(
                f"{path}: no line for {len(missing)} of the {len(dataset)} records of {dataset.name}, id {missing[0]} "
                "among them; each record needs one"
            )
        labels, starts, ends = samples.labels_end_to_end
        self._labels = labels.astype(np.float32)
        self._starts, self._ends = starts[lines], ends[lines]
        first = labels[self._starts]
        is_whole = np.isfinite(first) & (first == np.floor(first))
        #: Whether each record has one label and all are whole numbers.
        self.are_classes = bool(is_whole.all()) and bool((self._ends - self._starts == 1).all())
        rounded = self._labels[self._starts] != first
        if self.are_classes and rounded.any():
            at = int(rounded.argmax())
            raise DatasetError(
                f"{path}: id {ids[at]} has the label {first[at]:.0f}: labels are float32, whole numbers up to "
                f"{MAX_EXACT_LABEL:,}; number the classes from 0"
            )

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each record, int64 of shape (N,). Raises DatasetError where ``are_classes`` does not hold."""
        if not self.are_classes:
            raise DatasetError(f"{self._path}: its labels are not one class index a record; balance by weights")
        classes: NDArray[np.int64] = self._labels[self._starts].astype(np.int64)
        return classes

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The labels of the records at these positions: of shape (rows, labels), or a list where numbers differ."""
        starts, ends = self._starts[rows], self._ends[rows]
        widths = ends - starts
        if len(rows) and (widths == widths[0]).all():
            table: NDArray[np.float32] = self._labels[starts[:, np.newaxis] + np.arange(widths[0])]
            return table
        return [self._labels[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
