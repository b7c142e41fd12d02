"""Ctrl-C while the command line is being imported, which takes a moment: one line and status 130, and no traceback.

Importing this module sets it up where the program is ``dali-rec`` or ``python -m dali_rec``, and nowhere else. NumPy's
import turns a KeyboardInterrupt into an error of its own, so it must not come to one.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


def interrupt_as_usual() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, as it does in any program."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    if sys.stderr is not None:
        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
    os._exit(INTERRUPTED)  # nothing has begun that would have to be undone


def is_the_command() -> bool:
    """Whether the program is ``dali-rec`` or ``python -m dali_rec``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # what it is while the package of the module is imported
        return ("-m", "dali_rec") in itertools.pairwise(sys.orig_argv)
    return PurePath(program).stem == "dali-rec"


if is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
