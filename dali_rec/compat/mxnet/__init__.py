"""MXNet's names over our parts: ``import dali_rec.compat.mxnet as mx`` and ``mx.recordio`` goes on as it was."""

from dali_rec.compat.mxnet import recordio

__all__ = ["recordio"]
