"""Standard output and error that every command can write to, whatever it was started with."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Give the process streams that can be written to.

    What is written to a closed one goes nowhere, and characters that the encoding lacks are escaped. A closed
    descriptor is opened again too: the next file to be opened, a .rec perhaps, would have its number, and take what
    libraries print.
    """
    for descriptor in (0, 1, 2):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # open while the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
