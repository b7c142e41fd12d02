"""mx.gluon.data.vision: the images of .rec files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec.compat.mxnet.gluon.data.dataset import RecordFileDataset
from dali_rec.compat.mxnet.image.decode import imdecode
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.recordio import unpack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["ImageRecordDataset"]

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
