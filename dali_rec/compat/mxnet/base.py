"""mx.base: the errors that scripts catch."""

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.errors import DaliRecError as MXNetError

__all__ = ["ArgumentError", "MXNetError"]


class ArgumentError(MXNetError, ValueError):
    """A shape or a value that cannot be worked with."""


__getattr__ = missing_from(__name__)
