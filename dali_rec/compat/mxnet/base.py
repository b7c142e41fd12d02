"""mx.base: the error that scripts catch."""

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.errors import DaliRecError as MXNetError

__all__ = ["MXNetError"]

__getattr__ = missing_from(__name__)
