"""Stands for MXNet where the folder above is on PYTHONPATH: it puts dali_rec.compat.mxnet in its own place."""

from dali_rec.compat.mxnet import install

install()
