"""mx.nd: the arrays that scripts for MXNet take images and labels from, on NumPy.

An NDArray is a NumPy array with MXNet's methods and MXNet's way with single elements. The functions are those with
which images and labels are read and put together; for arithmetic there is NumPy.
"""

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray import functions, image, random
from dali_rec.compat.mxnet.ndarray.files import load, save
from dali_rec.compat.mxnet.ndarray.functions import *  # noqa: F403  # what its __all__ names
from dali_rec.compat.mxnet.ndarray.ndarray import (
    NDArray,
    arange,
    array,
    empty,
    from_numpy,
    full,
    handed_over,
    ones,
    viewed,
    zeros,
)
from dali_rec.compat.mxnet.ndarray.random import normal as random_normal
from dali_rec.compat.mxnet.ndarray.random import uniform as random_uniform

__all__ = [  # noqa: PLE0604
    "NDArray",
    "arange",
    "array",
    "empty",
    "from_numpy",
    "full",
    "handed_over",
    "image",
    "load",
    "ones",
    "random",
    "random_normal",
    "random_uniform",
    "save",
    "viewed",
    "waitall",
    "zeros",
    *functions.__all__,
]


def waitall() -> None:
    """Nothing to wait for: arrays are complete."""


__getattr__ = missing_from(__name__)
