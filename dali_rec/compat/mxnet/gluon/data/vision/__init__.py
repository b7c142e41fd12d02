"""mx.gluon.data.vision: images of .rec files and of folders, and their transforms."""

from dali_rec.compat.mxnet.gluon.data.vision import datasets, transforms
from dali_rec.compat.mxnet.gluon.data.vision.datasets import ImageFolderDataset, ImageRecordDataset
from dali_rec.compat.mxnet.missing import missing_from

__all__ = ["ImageFolderDataset", "ImageRecordDataset", "datasets", "transforms"]

__getattr__ = missing_from(__name__)
