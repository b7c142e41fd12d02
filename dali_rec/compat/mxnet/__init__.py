"""MXNet's names over our parts: after ``import dali_rec.compat.mxnet as mx`` scripts that read and write data go on.

``install()`` makes ``import mxnet`` mean this module, for scripts that are to stay as they are;
``python -m dali_rec.compat.mxnet SCRIPT …`` runs such a script.
"""

from dali_rec.compat.mxnet import base, context, gluon, image, io, ndarray, recordio
from dali_rec.compat.mxnet import image as img
from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.base import MXNetError
from dali_rec.compat.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu
from dali_rec.compat.mxnet.installation import install
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray import random

__all__ = [
    "Context",
    "MXNetError",
    "base",
    "context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "gluon",
    "gpu",
    "image",
    "img",
    "install",
    "io",
    "nd",
    "ndarray",
    "random",
    "recordio",
]

__version__ = "1.9.1"  # scripts ask for it, to know which names there are
__getattr__ = missing_from(__name__)
