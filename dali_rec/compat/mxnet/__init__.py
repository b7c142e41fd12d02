"""MXNet's names over our parts: after ``import dali_rec.compat.mxnet as mx`` scripts that read and write data go on.

``install()`` makes ``import mxnet`` mean this module, for scripts that are to stay as they are;
``python -m dali_rec.compat.mxnet SCRIPT …`` runs such a script.
"""

from dali_rec.compat.mxnet import context, gluon, image, io, ndarray, recordio
from dali_rec.compat.mxnet import image as img
from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.context import Context, cpu, cpu_pinned, gpu
from dali_rec.compat.mxnet.installation import install
from dali_rec.compat.mxnet.missing import missing_from

__all__ = [
    "Context",
    "context",
    "cpu",
    "cpu_pinned",
    "gluon",
    "gpu",
    "image",
    "img",
    "install",
    "io",
    "nd",
    "ndarray",
    "recordio",
]

__version__ = "1.9.1"  # scripts ask for it, to know which names there are
__getattr__ = missing_from(__name__)
