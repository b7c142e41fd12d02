"""mx.gluon.data: data sets by number, and batches of them. PyTorch's DataLoader takes these data sets as they are."""

from dali_rec.compat.mxnet.gluon.data import vision
from dali_rec.compat.mxnet.gluon.data.dataloader import DataLoader
from dali_rec.compat.mxnet.gluon.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from dali_rec.compat.mxnet.gluon.data.sampler import (
    BatchSampler,
    FilterSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from dali_rec.compat.mxnet.missing import missing_from

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "FilterSampler",
    "RandomSampler",
    "RecordFileDataset",
    "Sampler",
    "SequentialSampler",
    "SimpleDataset",
    "vision",
]

__getattr__ = missing_from(__name__)
