"""mx.gluon.data: data sets by number, which PyTorch's DataLoader takes as they are."""

from dali_rec.compat.mxnet.gluon.data import vision
from dali_rec.compat.mxnet.gluon.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from dali_rec.compat.mxnet.missing import missing_from

__all__ = ["ArrayDataset", "Dataset", "RecordFileDataset", "SimpleDataset", "vision"]

__getattr__ = missing_from(__name__)
