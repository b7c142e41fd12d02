"""MXNet's names over our parts: after ``import dali_rec.compat.mxnet as mx`` ``mx.recordio`` and ``mx.io`` go on."""

from dali_rec.compat.mxnet import io, recordio

__all__ = ["io", "recordio"]
