"""mx.base: the errors that scripts catch, and what they take for numbers and text."""

import numpy as np

from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.errors import DaliRecError as MXNetError

__all__ = ["ArgumentError", "MXNetError", "integer_types", "numeric_types", "string_types"]

integer_types = (int, np.integer)
numeric_types = (float, int, np.generic)
string_types = (str,)


class ArgumentError(MXNetError, ValueError):
    """A shape or a value that cannot be worked with."""


__getattr__ = missing_from(__name__)
