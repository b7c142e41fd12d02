"""What a command says when a file that is mapped into memory cannot be read: the system ends the process for that."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_FILES = (".rec", ".lst", ".csv", ".tsv", ".json", ".jsonl", ".txt", ".bin")
_FAILED = 1
_MOST = 3

_kept: list[object] = []  # what C calls, for as long as the process lives


def say_bus_errors() -> None:
    """Let the process end with a line on stderr and status 1, and not in silence by SIGBUS, where that can be (Linux).

    For commands alone: a program that uses the library may have its own way.
    """
    if sys.platform == "linux" and not _kept and not faulthandler.is_enabled():
        # Python's own handlers run after the instruction that failed, which would fail again and again.
        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end)
        set_handler = ctypes.CDLL(None).signal
        set_handler.restype = ctypes.c_void_p
        set_handler(int(signal.SIGBUS), handler)
        _kept.append(handler)


def _end(_number: int) -> None:
    files = mapped_files()
    names = ", ".join(files[:_MOST]) + (", or another one" if len(files) > _MOST else "") or "a file"
    line = (
        f"dali-rec: {names}: cannot be read to the end: the disk or the network has failed, or it was cut short "
        "meanwhile; copy what the disk still gives to another one (as ddrescue does), and 'dali-rec verify --repair' "
        "that, which leaves out what is lost\n"
    )
    os.write(2, line.encode("utf-8", "backslashreplace"))
    os._exit(_FAILED)


def mapped_files() -> list[str]:
    """The files of data sets and tables that this process has mapped."""
    columns = (line.split(maxsplit=5) for line in _MAPS.read_text("utf-8", "replace").splitlines())
    paths = dict.fromkeys(line[5].removesuffix(" (deleted)") for line in columns if len(line) == 6)
    return [path for path in paths if path.endswith(_FILES)]
