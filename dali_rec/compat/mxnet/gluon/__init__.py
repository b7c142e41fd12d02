"""mx.gluon, as far as it reads data."""

from dali_rec.compat.mxnet.gluon import data

__all__ = ["data"]
