"""MXNet's names over our parts: ``import dali_rec.compat.mxnet as mx``; ``mx.recordio`` and ``mx.io`` go on as before."""

from dali_rec.compat.mxnet import io, recordio

__all__ = ["io", "recordio"]
