"""Ctrl-C while the command line is being imported, which takes a moment: one line and status 130, and no traceback.

Importing this module sets it up where the program is ``dali-rec`` or ``python -m dali_rec``, and nowhere else. NumPy's
import turns a KeyboardInterrupt into an error of its own, so it must not come to one.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT
_TOOLS = Path(__file__).resolve().parent.parent / "tools"


def interrupt_as_usual() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, as it does in any program."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    if sys.stderr is not None:
        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
    os._exit(INTERRUPTED)  # nothing has begun that would have to be undone


def program() -> str | None:
    """What the program is called, where it is one of ours: ``dali-rec``, also as a module, or one of ``tools/``."""
    called = sys.argv[0] if sys.argv else ""
    if called == "-m":  # what it is while the package of the module is imported
        return "dali-rec" if ("-m", "dali_rec") in itertools.pairwise(sys.orig_argv) else None
    path = Path(called)
    if path.stem == "dali-rec":
        return "dali-rec"
    try:
        return path.name if path.name and path.resolve().parent == _TOOLS else None
    except OSError:  # the working directory is gone
        return None


if program() == "dali-rec" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
