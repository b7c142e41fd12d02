"""Files that are open, of which Windows neither removes nor changes the names; elsewhere that can be done."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import traceback
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

OPEN_FILES_STAY = sys.platform == "win32"

_SECONDS_BETWEEN_TRIES = 0.01
_SECONDS_TO_LET_GO = 2.0


def is_held_open(error: OSError) -> bool:
    """Whether the error may come of a file that is open. Windows says the same where there is no permission."""
    return OPEN_FILES_STAY and isinstance(error, PermissionError)


@contextlib.contextmanager
def open_to_remove(file: IO[bytes]) -> Iterator[None]:
    """Close a file, of which the block removes or moves the name: afterwards where that can be, or else before."""
    if OPEN_FILES_STAY:
        file.close()
    try:
        yield
    finally:
        file.close()


def patiently(change: Callable[[], object]) -> None:
    """Remove or rename files; where others have them open, and they stay for that, wait a moment for it to be closed.

    Virus scanners open all that is new, and who looks for a data set reads its manifest: neither for long.
    """
    deadline = time.monotonic() + _SECONDS_TO_LET_GO
    while OPEN_FILES_STAY and time.monotonic() < deadline:
        with contextlib.suppress(PermissionError):
            change()
            return
        time.sleep(_SECONDS_BETWEEN_TRIES)
    change()


def refuse_open(paths: Iterable[Path]) -> None:
    """Raise PermissionError if one of these files is open, in whatever program, and stays for that: before any goes."""
    for path in paths if OPEN_FILES_STAY else ():
        if path.is_file():
            _refuse_open(path)


def _refuse_open(path: Path) -> None:
    try:
        patiently(lambda: os.replace(path, path))  # noqa: PTH105  # by itself: no change, but open it cannot be either
    except PermissionError:
        text = "it is to be replaced, and cannot be while it is open, here or in another program: close it first"
        raise PermissionError(errno.EACCES, text, str(path)) from None


@contextlib.contextmanager
def without_views() -> Iterator[None]:
    """Let an error hold nothing of the block, so that files can be removed that it has open, where open ones stay.

    Images are views into files that are mapped, and the frames of what has failed have some of them, and sources.
    """
    try:
        yield
    except BaseException as error:
        one: BaseException | None = error
        while OPEN_FILES_STAY and one is not None:
            traceback.clear_frames(one.__traceback__)
            one = one.__context__
        raise
