"""One .rec file of a data set, with its index."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.errors import DatasetError, IndexFileError
from dali_rec.faces import MAX_EXACT_ID, FaceLayout, Identities, exact_ranges, find_faces, stored_ranges
from dali_rec.recordio import Index, RecordReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ROWS_AT_ONCE = 65536


class Shard:
    """One .rec file of a data set, with its index sorted by offset, as the file lies.

    Of a face set of InsightFace the index has the images alone, and ``faces`` says where the identities are.

    ``index_path``: its .idx, where that is not beside it.
    """

    def __init__(
        self,
        path: Path,
        expected_records: int | None = None,
        expected_bytes: int | None = None,
        index_path: Path | None = None,
    ) -> None:
        self.path = path
        self.reader = RecordReader(path, index_path)
        if expected_bytes is not None and self.reader.size != expected_bytes:
            raise DatasetError(
                f"{path}: {self.reader.size} bytes, the manifest says {expected_bytes}: it was cut short or replaced; "
                f"'dali-rec verify {path}' lists what is wrong with it, --repair leaves it out"
            )
        index = self.reader.index
        if (index.offsets[1:] <= index.offsets[:-1]).any():
            # A record is a record once, also where the .idx names it twice.
            _, rows = np.unique(index.offsets, return_index=True)
            index = Index(index.keys[rows], index.offsets[rows])
        self._whole = index
        self.faces: FaceLayout | None = find_faces(self.reader, index)
        if self.faces is not None:
            index = Index(index.keys[self.faces.images], index.offsets[self.faces.images])
        self.index = index
        if expected_records is not None and len(self.index) != expected_records:
            raise IndexFileError(
                f"{path.with_suffix('.idx')}: {len(self.index)} records, the manifest says {expected_records}: it "
                "belongs to another data set, or has records again that a repair left out; 'dali-rec verify' on the "
                "data set says which, and --repair mends it"
            )

    def __len__(self) -> int:
        return len(self.index)

    def ends_of(self, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the records after those at ``offsets`` begin, by the whole index; the file's size after the last."""
        following = self._whole.offsets
        rows = np.searchsorted(following, offsets, side="right")
        if not len(following):
            return np.full(len(offsets), self.reader.size)
        return np.where(rows < len(following), following[np.minimum(rows, len(following) - 1)], self.reader.size)

    def ends(self) -> NDArray[np.int64]:
        """Where the record after each of this view begins, as ``ends_of`` says it; int64 of shape (N,)."""
        return self.ends_of(self.index.offsets)

    def take(self, rows: NDArray[np.intp]) -> Shard:
        """A view of the same file that has only these rows of the index, which ascend."""
        view = copy.copy(self)
        view.index = Index(self.index.keys[rows], self.index.offsets[rows])
        return view

    def with_all_records(self) -> Shard:
        """A view that has the header and identities of a face set too; itself for any other file."""
        if self.faces is None:
            return self
        view = copy.copy(self)
        view.index, view.faces = self._whole, None
        return view

    def identities(self) -> Identities | None:
        """The identities of a face set, of the whole file also in a view; None for any other file.

        Raises DatasetError where ids beyond 2^24, which float32 rounds, cannot be told from the images' classes.
        """
        if self.faces is None:
            return None
        rows = self.faces.identities
        stored = stored_ranges(self.reader, self._whole.offsets[rows])
        ids: NDArray[np.int64] = np.zeros(0, np.int64)
        classes = ids
        if (stored > MAX_EXACT_ID - 1).any():
            images = self.faces.images
            by_id = images[np.argsort(self._whole.keys[images], kind="stable")]
            ids = self._whole.keys[by_id]
            everything = copy.copy(self)
            everything.index = Index(ids, self._whole.offsets[by_id])
            classes = everything.first_labels().astype(np.int64)
        ranges = exact_ranges(stored, ids, classes)
        if ranges is None:
            raise DatasetError(
                f"{self.path}: its identities name images by float32 numbers beyond 2^24, which are rounded, and its "
                "images do not lie in the order of the identities, which would tell; go by the classes of the images"
            )
        return Identities(self._whole.keys[rows], ranges[:, 0], ranges[:, 1])

    def first_labels(self) -> NDArray[np.float32]:
        """The first label of each record, shape (N,), from the headers. Raises RecordError where one is damaged."""
        labels = np.empty(len(self), np.float32)
        for start in range(0, len(self), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            labels[rows] = self.reader.first_labels_at(self.index.offsets[rows])
        return labels
