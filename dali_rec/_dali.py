"""DALI itself: whether it is there, and what it says when something goes wrong."""

from __future__ import annotations

import sys
from typing import Any

from dali_rec.errors import MissingDependencyError

#: What DALI raises where it cannot make a batch: most as the first, some of C++'s exceptions as the others.
DALI_ERRORS = (RuntimeError, ValueError, IndexError, MemoryError)


def import_dali() -> Any:
    """The module nvidia.dali. Raises MissingDependencyError with the line that installs it."""
    if sys.flags.optimize > 1:
        raise MissingDependencyError("NVIDIA DALI does not import under python -OO; leave out PYTHONOPTIMIZE=2")
    try:
        import nvidia.dali
    except ImportError as error:
        raise MissingDependencyError(
            f"loading needs NVIDIA DALI ({error}); install it with: pip install 'dali-rec[cuda12]', or "
            "'dali-rec[cuda13]' for drivers of CUDA 13"
        ) from None
    return nvidia.dali


def dali_reason(error: Exception) -> str:
    """The line of DALI's message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "encountered:" in lines:
        following = lines[lines.index("encountered:") + 1 :]
        if following:
            return following[0]
    return lines[0] if lines else type(error).__name__
