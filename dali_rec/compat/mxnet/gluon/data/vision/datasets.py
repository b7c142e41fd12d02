"""mx.gluon.data.vision.ImageRecordDataset and ImageFolderDataset: images and labels by number."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dali_rec._files import as_path
from dali_rec.compat.mxnet.gluon.data.dataset import Dataset, RecordFileDataset
from dali_rec.compat.mxnet.image.decode import imdecode, imread
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.recordio import unpack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["ImageFolderDataset", "ImageRecordDataset"]

_LOG = logging.getLogger("dali_rec.compat.mxnet")
_ENDINGS = (".jpg", ".jpeg", ".png")

__getattr__ = missing_from(__name__)


class ImageRecordDataset(RecordFileDataset):
    """The images of a .rec file with an .idx of its name beside it, in the order of the .idx.

    A sample is (image, label): uint8 of shape (height, width, 3), RGB, or (height, width, 1) with ``flag`` 0; a float,
    or an array of float32 where the record has several labels. ``transform``: what makes the sample of these two.
    """

    def __init__(
        self, filename: str | os.PathLike[str], flag: int = 1, transform: Callable[[Any, Any], Any] | None = None
    ) -> None:
        super().__init__(filename)
        self._flag, self._transform = flag, transform

    def __getitem__(self, idx: int) -> Any:
        header, encoded = unpack(super().__getitem__(idx))
        image = imdecode(encoded, self._flag)
        return (image, header.label) if self._transform is None else self._transform(image, header.label)


class ImageFolderDataset(Dataset):
    """The images of a folder with a folder for each class, by their names.

    A sample is (image, label): as ImageRecordDataset has it, and the number of the class. ``synsets``: the names of the
    classes. ``items``: (path, label) of each image. Other files are left out, with a warning in the log.
    """

    def __init__(
        self, root: str | os.PathLike[str], flag: int = 1, transform: Callable[[Any, Any], Any] | None = None
    ) -> None:
        self._flag, self._transform = flag, transform
        entries = sorted(as_path(root).expanduser().iterdir(), key=lambda path: path.name)
        folders = [path for path in entries if path.is_dir()]
        files = [(path, label) for label, folder in enumerate(folders) for path in folder.iterdir()]
        images = [(str(path), label) for path, label in files if path.suffix.lower() in _ENDINGS]
        self.synsets = [folder.name for folder in folders]
        self.items = sorted(images, key=lambda item: (item[1], item[0]))
        left_out = len(entries) - len(folders) + len(files) - len(images)
        if left_out:
            _LOG.warning("%s: %d entries are no folders of classes, or no %s", root, left_out, " ".join(_ENDINGS))

    def __getitem__(self, idx: int) -> Any:
        path, label = self.items[idx]
        image = imread(path, self._flag)
        return (image, label) if self._transform is None else self._transform(image, label)

    def __len__(self) -> int:
        return len(self.items)
