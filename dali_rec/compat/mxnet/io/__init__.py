"""mx.io: MXNet's iterators over .rec files."""

from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter
from dali_rec.compat.mxnet.io.detection import ImageDetRecordIter
from dali_rec.compat.mxnet.io.record_iter import ImageRecordInt8Iter, ImageRecordIter, ImageRecordUInt8Iter
from dali_rec.compat.mxnet.io.wrappers import PrefetchingIter, ResizeIter

__all__ = [
    "DataBatch",
    "DataDesc",
    "DataIter",
    "ImageDetRecordIter",
    "ImageRecordInt8Iter",
    "ImageRecordIter",
    "ImageRecordUInt8Iter",
    "PrefetchingIter",
    "ResizeIter",
]
