"""What MXNet's iterators hand out, and what they are: DataBatch, DataDesc, DataIter."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.ndarray import NDArray as MXNetArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self


class DataDesc(namedtuple("DataDesc", ["name", "shape"])):  # noqa: PYI024, SLOT002  # a pair and two attributes
    """Name and shape of an array in a batch, and beside the pair its ``dtype`` and ``layout``."""

    dtype: np.dtype[Any]
    layout: str

    def __new__(cls, name: str, shape: tuple[int, ...], dtype: Any = np.float32, layout: str = "NCHW") -> Self:
        """As MXNet makes it."""
        description = super().__new__(cls, name, shape)
        description.dtype = np.dtype(dtype)
        description.layout = layout
        return description

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """Which axis counts the samples of a batch."""
        return 0 if layout is None else layout.find("N")

    @classmethod
    def get_list(cls, shapes: Sequence[tuple[str, Any]], types: Sequence[tuple[str, Any]] | None) -> list[Self]:
        """Descriptions of pairs of name and shape, and of name and dtype."""
        dtypes = dict(types or ())
        return [cls(name, shape, dtypes.get(name, np.float32)) for name, shape in shapes]


class DataBatch:
    """One batch.

    ``data``: a list with the images. ``label``: a list with the labels. ``pad``: how many samples at the end are there
    only to fill the batch. ``index``: uint64 of shape (batch,), the ids in the records.
    """

    def __init__(
        self,
        data: Sequence[Any],
        label: Sequence[Any] | None = None,
        pad: int | None = None,
        index: NDArray[np.uint64] | None = None,
        bucket_key: Any = None,
        provide_data: Sequence[DataDesc] | None = None,
        provide_label: Sequence[DataDesc] | None = None,
    ) -> None:
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        labels = [tuple(one.shape) for one in self.label] if self.label else None
        return f"DataBatch: data shapes: {[tuple(one.shape) for one in self.data]} label shapes: {labels}"


def as_handed_out(array: Any) -> Any:
    """An array of NumPy with MXNet's methods; of another framework as it is."""
    return array.view(MXNetArray) if isinstance(array, np.ndarray) else array


class DataIter:
    """The base of MXNet's iterators: ``next`` gives a DataBatch or raises StopIteration, ``reset`` begins an epoch.

    A subclass has ``reset`` and either ``next``, or ``iter_next`` and what ``next`` then makes a batch of: ``getdata``,
    ``getlabel``, ``getpad`` and ``getindex``. Each way gives the other.
    """

    _current: DataBatch | None = None

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch."""
        if type(self).iter_next is DataIter.iter_next or not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def reset(self) -> None:
        """Begin the next epoch."""

    def iter_next(self) -> bool:
        """Go to the next batch, of which ``getdata`` and the others speak; False at the end of the epoch."""
        try:
            self._current = self.next()
        except StopIteration:
            self._current = None
        return self._current is not None

    def getdata(self) -> Any:
        """The images of the batch to which ``iter_next`` went."""
        if self._current is None:
            raise ValueError("no batch in hand: iter_next() goes to the next one")
        return self._current.data[0]

    def getlabel(self) -> Any:
        """The labels of that batch, None where it has none."""
        labels = self._current.label if self._current is not None else None
        return labels[0] if labels else None

    def getpad(self) -> int | None:
        """How many samples at the end of that batch only fill it."""
        return self._current.pad if self._current is not None else None

    def getindex(self) -> NDArray[np.uint64] | None:
        """The ids of the records of that batch, None where it has none."""
        return self._current.index if self._current is not None else None
