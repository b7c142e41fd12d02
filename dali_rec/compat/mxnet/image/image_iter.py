"""mx.image.ImageIter: batches of images from .rec files or from files that a list names, made in Python."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._files import as_path
from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.image.augmenters import CreateAugmenter
from dali_rec.compat.mxnet.image.decode import imdecode
from dali_rec.compat.mxnet.io.batch import DataBatch, DataIter
from dali_rec.compat.mxnet.io.passes import part_of
from dali_rec.compat.mxnet.io.records import open_records
from dali_rec.errors import DatasetError, ImageRejectedError, LoaderError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dali_rec.dataset import Dataset

_LAST_BATCHES = ("pad", "discard", "roll_over")

# What a record or a line of a list gives: a name for messages, its labels, and the encoded image.
_Sample = tuple[str, Any, bytes]


class ImageIter(DataIter):
    """Iterates over images, one after another in Python: ``for batch in iterator``, then ``iterator.reset()``.

    ``batch.data[0]`` has the images, float32 of shape (batch, 3, height, width), RGB; ``batch.label[0]`` the labels, of
    shape (batch,), or (batch, label_width), and of ``dtype``; ``batch.pad`` says how many at the end only fill it.

    path_imgrec: .rec files as ImageRecordIter takes them; path_imglist with them: labels by id, in im2rec's format.
    Without .rec files path_imglist, or imglist, a list of ``[label…, path]``, names the files below path_root.
    aug_list: steps from image to image instead of those that CreateAugmenter makes of the other parameters.
    last_batch_handle: what a last batch that is not full gets: "pad", filled from the beginning; "discard", left out;
    "roll_over", kept for the next epoch. For training there is ImageRecordIter, which works in several threads.

    Raises ValueError for wrong values, DatasetError and SourceError for the files, LoaderError while iterating for an
    image that cannot be decoded.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        label_width: int = 1,
        path_imgrec: Any = None,
        path_imglist: Any = None,
        path_root: Any = None,
        path_imgidx: Any = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Sequence[Callable[[Any], Any]] | None = None,
        imglist: Sequence[Sequence[Any]] | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: str = "float32",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size)
        self.check_data_shape(data_shape)
        if last_batch_handle not in _LAST_BATCHES:
            raise ValueError(f"last_batch_handle is {last_batch_handle!r}: one of {', '.join(_LAST_BATCHES)}")
        self.data_shape = tuple(data_shape)
        self.label_width = label_width
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.auglist = CreateAugmenter(data_shape, **kwargs) if aug_list is None else list(aug_list)
        self.path_root = as_path(path_root) if path_root else Path()
        self._samples = _samples(path_imgrec, path_imgidx, path_imglist, self.path_root, imglist)
        self._dtype = np.dtype(dtype)
        self.seq = list(part_of(len(self._samples), num_parts, part_index))
        if not self.seq:
            raise DatasetError(f"{len(self._samples)} images cannot be shared among {num_parts} parts; use fewer")
        self.num_image = len(self.seq)
        self.provide_data = [(data_name, (batch_size, *self.data_shape))]
        self.provide_label: list[tuple[str, tuple[int, ...]]]
        self.provide_label = [(label_name, (batch_size,) if label_width == 1 else (batch_size, label_width))]
        self._rolled: list[tuple[Any, Any]] = []
        self.hard_reset()

    def reset(self) -> None:
        """Begin the next epoch, with what was kept for it."""
        self._current = None
        if self.shuffle:
            random.shuffle(self.seq)
        self.cur = 0
        self._has_ended = False

    def hard_reset(self) -> None:
        """Begin an epoch without what was kept."""
        self._rolled = []
        self.reset()

    def next_sample(self) -> tuple[Any, bytes]:
        """The labels and the encoded image of the next sample. Raises StopIteration at the end of the epoch."""
        _, labels, image = self._next()
        return (labels[0].item() if isinstance(labels, np.ndarray) and len(labels) == 1 else labels), image

    def next(self) -> DataBatch:
        """The next batch. Raises StopIteration at the end of the epoch, until ``reset``."""
        if self._has_ended:
            raise StopIteration
        rows, self._rolled = self._rolled, []
        rows += self._take(self.batch_size - len(rows))
        pad = self.batch_size - len(rows)
        if pad:
            self._has_ended = True
            if self.last_batch_handle == "roll_over":
                self._rolled = rows
            if self.last_batch_handle != "pad" or not rows:
                raise StopIteration
            while len(rows) < self.batch_size:
                self.cur = 0
                rows += self._take(self.batch_size - len(rows))
        images, labels = zip(*rows, strict=True)
        return DataBatch([nd.viewed(np.stack(images))], [nd.viewed(np.stack(labels))], pad)

    def check_data_shape(self, data_shape: Sequence[int]) -> None:
        """Raise ValueError for a shape other than (3, height, width)."""
        if len(data_shape) != 3 or data_shape[0] != 3:
            raise ValueError(f"data_shape is {data_shape}: expected (3, height, width)")

    def check_valid_image(self, data: Sequence[Any]) -> None:
        """Raise RuntimeError for what is no image, as the iterators of subclasses ask."""
        if not np.ndim(data[0]):
            raise RuntimeError("what was decoded is no image")

    def read_image(self, fname: str) -> bytes:
        """The bytes of a file below path_root."""
        return (self.path_root / fname).read_bytes()

    def imdecode(self, s: bytes) -> nd.NDArray:
        """The image in an encoded file, uint8 of shape (height, width, 3), RGB."""
        return imdecode(s)

    def augmentation_transform(self, data: Any) -> Any:
        """The image after all steps."""
        for step in self.auglist:
            data = step(data)
        return data

    def postprocess_data(self, datum: Any) -> nd.NDArray:
        """The image of shape (channels, height, width)."""
        return nd.transpose(datum, axes=(2, 0, 1))

    def _next(self) -> _Sample:
        if self.cur >= len(self.seq):
            raise StopIteration
        self.cur += 1
        return self._samples[self.seq[self.cur - 1]]

    def _take(self, count: int) -> list[tuple[Any, Any]]:
        rows: list[tuple[Any, Any]] = []
        while len(rows) < count and self.cur < len(self.seq):
            name, labels, image = self._next()
            try:
                pixels = self.imdecode(image)
            except ImageRejectedError as error:
                raise LoaderError(f"{name}: {error}") from None
            rows.append(self._made(name, pixels, labels))
        return rows

    def _made(self, name: str, pixels: Any, labels: Any) -> tuple[Any, Any]:
        """The image and the labels as they stand in a batch."""
        found = np.atleast_1d(np.asarray(labels)).astype(self._dtype)
        if len(found) != self.label_width:
            raise DatasetError(f"{name} has {len(found)} labels, label_width is {self.label_width}")
        image = self._in_shape(name, self.augmentation_transform(pixels))
        return image, found[0] if self.label_width == 1 else found

    def _in_shape(self, name: str, image: Any) -> Any:
        made = np.asarray(self.postprocess_data(image), np.float32)
        if made.shape != self.data_shape:
            raise LoaderError(f"{name}: aug_list makes {made.shape} of it, data_shape is {self.data_shape}")
        return made


class _Records:
    """The records of .rec files, with labels of their own or of a list."""

    def __init__(self, dataset: Dataset, listed: dict[int, list[float]] | None) -> None:
        self._dataset, self._listed = dataset, listed

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int) -> _Sample:
        record = self._dataset[row]
        return *self.labels(row), bytes(record.image)

    def labels(self, row: int) -> tuple[str, Any]:
        record = self._dataset[row]
        name = f"{self._dataset.name}, id {record.key}"
        if self._listed is None:
            return name, record.labels
        if record.key not in self._listed:
            raise DatasetError(f"{name}: path_imglist has no line for it")
        return name, self._listed[record.key]


class _Files:
    """The files that a list names."""

    def __init__(self, root: Path, lines: list[tuple[Any, str]]) -> None:
        self._root, self._lines = root, lines

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> _Sample:
        path, labels = self.labels(row)
        return path, labels, Path(path).read_bytes()

    def labels(self, row: int) -> tuple[str, Any]:
        labels, name = self._lines[row]
        return str(self._root / name), labels


def _samples(path_imgrec: Any, path_imgidx: Any, path_imglist: Any, root: Path, imglist: Any) -> _Records | _Files:
    if path_imgrec:
        dataset = open_records(path_imgrec, path_imgidx)
        return _Records(dataset, {key: labels for key, labels, _ in _lines(path_imglist)} if path_imglist else None)
    if path_imglist:
        return _Files(root, [(labels, name) for _, labels, name in _lines(path_imglist)])
    if imglist is None:
        raise ValueError("ImageIter needs path_imgrec, path_imglist or imglist")
    return _Files(root, [(line[0] if len(line) == 2 else line[:-1], line[-1]) for line in imglist])


def _lines(path: Any) -> Iterator[tuple[int, list[float], str]]:
    with as_path(path).open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            fields = line.strip().split("\t")
            try:
                yield int(fields[0]), [float(field) for field in fields[1:-1]], fields[-1]
            except ValueError:
                raise SourceError(f"{path}, line {number}: {line.strip()[:60]!r} is not id, labels and path") from None
