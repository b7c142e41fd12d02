"""mx.gluon, as far as it reads data."""

from dali_rec.compat.mxnet.gluon import data
from dali_rec.compat.mxnet.missing import missing_from

__all__ = ["data"]

__getattr__ = missing_from(__name__)
