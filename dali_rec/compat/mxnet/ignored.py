"""What MXNet ignores is an error, but a warning to scripts that run as they stand."""

from __future__ import annotations

import inspect
import sys
import traceback
import warnings

_NAME = "dali_rec.compat.mxnet"


def raise_or_warn(error: Exception) -> None:
    """Raise the error; where ``import mxnet`` means dali_rec.compat.mxnet, give a UserWarning that says the same.

    For what MXNet ignores alone. The caller then does as MXNet does.
    """
    if sys.modules.get("mxnet") is not sys.modules[_NAME]:
        raise error
    frames = enumerate(traceback.walk_stack(inspect.currentframe()), start=1)
    level = next(number for number, (frame, _) in frames if not frame.f_globals["__name__"].startswith(_NAME))
    warnings.warn(f"ignored, as in MXNet: {error}", stacklevel=level)
