"""mx.image.ImageDetIter: batches of images with boxes, made in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.image.detection import CreateDetAugmenter
from dali_rec.compat.mxnet.image.image_iter import ImageIter
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_HEADER_WIDTH, _OBJECT_WIDTH = 2, 5


class ImageDetIter(ImageIter):
    """Iterates over images with boxes, one after another in Python.

    ``batch.data[0]`` has the images, as in ImageIter. ``batch.label[0]`` is float32 of shape (batch, objects, width):
    class, xmin, ymin, xmax, ymax in parts of the image, and what else there is of each object; rows of -1 fill it up to
    the most objects that an image has. Labels are ``[A, B, …, (class, xmin, ymin, xmax, ymax, …) × N]``, as in
    docs/format.md. Boxes without an area are dropped; an image without any has rows of -1 alone.

    Parameters are those of ImageIter, and of CreateDetAugmenter in place of CreateAugmenter; aug_list has steps from
    image and objects to both. For training there is ImageDetRecordIter, which works in several threads and lays labels
    out otherwise. Raises DatasetError for labels of another form.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        path_imgrec: Any = None,
        path_imglist: Any = None,
        path_root: Any = None,
        path_imgidx: Any = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Sequence[Callable[[Any, Any], tuple[Any, Any]]] | None = None,
        imglist: Sequence[Sequence[Any]] | None = None,
        data_name: str = "data",
        label_name: str = "label",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            batch_size,
            data_shape,
            path_imgrec=path_imgrec,
            path_imglist=path_imglist,
            path_root=path_root,
            path_imgidx=path_imgidx,
            shuffle=shuffle,
            part_index=part_index,
            num_parts=num_parts,
            aug_list=[],
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
        )
        self.auglist: list[Any] = list(CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else aug_list)
        objects = [_objects(*self._samples.labels(row)) for row in range(len(self._samples))]
        widths = sorted({one.shape[1] for one in objects})
        if len(widths) > 1:
            raise DatasetError(f"the objects of some images have {widths[0]} numbers, of others {widths[-1]}")
        self._set_label_shape((max(1, *map(len, objects)), widths[0]))
        for _ in range(2):  # MXNet begins anew before and after it counts the objects, and shuffles each time
            self.reset()

    def reshape(
        self, data_shape: tuple[int, int, int] | None = None, label_shape: tuple[int, int] | None = None
    ) -> None:
        """Give images or labels another shape: the labels room for more objects. Raises ValueError for less room.

        As in MXNet the steps stay as they are, which for another shape of the images must be given anew.
        """
        if data_shape is not None:
            self.data_shape = tuple(data_shape)
            self.provide_data = [(self.provide_data[0][0], (self.batch_size, *self.data_shape))]
        if label_shape is not None:
            if label_shape[0] < self.label_shape[0] or label_shape[1] != self.label_shape[1]:
                raise ValueError(f"label_shape is {label_shape}: at least {self.label_shape}, of the same width")
            self._set_label_shape(label_shape)

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:  # noqa: ARG002  # MXNet's
        """Give both iterators room for as many objects as either has; the other one is returned."""
        most = max(self.label_shape[0], it.label_shape[0])
        self.reshape(label_shape=(most, self.label_shape[1]))
        it.reshape(label_shape=(most, self.label_shape[1]))
        return it

    def augmentation_transform(self, data: Any, label: Any = None) -> Any:
        """The image and its objects after all steps."""
        for step in self.auglist:
            data, label = step(data, label)
        return data, label

    def _set_label_shape(self, shape: tuple[int, int]) -> None:
        self.label_shape = shape
        self.provide_label = [(self.provide_label[0][0], (self.batch_size, *shape))]

    def _made(self, name: str, pixels: Any, labels: Any) -> tuple[Any, Any]:
        image, objects = self.augmentation_transform(pixels, _objects(name, labels))
        filled = np.full(self.label_shape, -1, np.float32)
        filled[: len(objects)] = objects
        return self._in_shape(name, image), filled


def _objects(name: str, labels: Any) -> NDArray[np.float32]:
    """The objects of a label that have an area, float32 of shape (objects, width)."""
    label = np.atleast_1d(np.asarray(labels, np.float32))
    header, width = (int(label[0]), int(label[1])) if len(label) >= _HEADER_WIDTH else (0, 0)
    is_whole = _HEADER_WIDTH <= header <= len(label) and width >= _OBJECT_WIDTH and (len(label) - header) % width == 0
    if not is_whole:
        raise DatasetError(
            f"{name}: its label of {len(label)} numbers is not [A, B, …, (class, xmin, ymin, xmax, ymax, …) × N] with "
            "a header of A numbers and objects of B"
        )
    objects = label[header:].reshape(-1, width)
    return objects[(objects[:, 3] > objects[:, 1]) & (objects[:, 4] > objects[:, 2])]
