"""DALI itself: whether it is there, and what it says when something goes wrong."""

from __future__ import annotations

import sys
from typing import Any

from dali_rec.errors import MissingDependencyError

#: What DALI raises where it cannot make a batch: most as the first, some of C++'s exceptions as the others.
DALI_ERRORS = (RuntimeError, ValueError, IndexError, MemoryError)


def has_builds_here() -> bool:
    """Whether there are builds of DALI for this system."""
    return sys.platform == "linux"


def where_instead(what: str) -> str:
    """Where ``what`` runs, on a system without builds of DALI."""
    return f"{what} runs on Linux{', on Windows in WSL 2' if sys.platform == 'win32' else ''}"


def how_to_get_dali(what: str) -> str:
    """What to do where DALI, or what comes with it, is missing and ``what`` needs it."""
    if not has_builds_here():
        return f"DALI has builds for Linux only: {where_instead(what)}"
    return 'install it with: pip install "dali-rec[cuda12]", or "dali-rec[cuda13]" for drivers of CUDA 13'


def import_dali(what: str = "loading") -> Any:
    """The module nvidia.dali. Raises MissingDependencyError, with what to do, where ``what`` needs it in vain."""
    if sys.flags.optimize > 1:
        raise MissingDependencyError("NVIDIA DALI does not import under python -OO; leave out PYTHONOPTIMIZE=2")
    try:
        import nvidia.dali
    except ImportError as error:
        raise MissingDependencyError(f"{what} needs NVIDIA DALI ({error}); {how_to_get_dali(what)}") from None
    return nvidia.dali


def dali_reason(error: Exception) -> str:
    """The line of DALI's message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "encountered:" in lines:
        following = lines[lines.index("encountered:") + 1 :]
        if following:
            return following[0]
    return lines[0] if lines else type(error).__name__
