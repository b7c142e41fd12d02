"""mx.io: MXNet's iterators over .rec files."""

import sys

from dali_rec.compat.mxnet.io.batch import DataBatch, DataDesc, DataIter
from dali_rec.compat.mxnet.io.detection import ImageDetRecordIter
from dali_rec.compat.mxnet.io.record_iter import ImageRecordInt8Iter, ImageRecordIter, ImageRecordUInt8Iter
from dali_rec.compat.mxnet.io.wrappers import PrefetchingIter, ResizeIter
from dali_rec.compat.mxnet.missing import missing_from

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

io = sys.modules[__name__]  # MXNet has all of this in mx.io.io as well

__getattr__ = missing_from(__name__)
