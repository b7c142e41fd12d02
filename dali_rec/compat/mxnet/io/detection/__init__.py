"""mx.io.ImageDetRecordIter: images with boxes."""

from dali_rec.compat.mxnet.io.detection.record_iter import ImageDetRecordIter

__all__ = ["ImageDetRecordIter"]
