"""mx.gluon, as far as it reads data."""

from dali_rec.compat.mxnet.gluon import data, utils
from dali_rec.compat.mxnet.gluon.block import Block, HybridBlock
from dali_rec.compat.mxnet.missing import missing_from

__all__ = ["Block", "HybridBlock", "data", "utils"]

__getattr__ = missing_from(__name__)
