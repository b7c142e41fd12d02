"""Runs that end at one of their changes to a folder, with none after it, as a kill would end them; and kills."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import encoded

#: The status of a process that Popen.kill has ended, and of one that has ended itself by os.kill(os.getpid(), 9).
KILLED, KILLED_ITSELF = (1, 9) if sys.platform == "win32" else (-9, -9)


class Killed(BaseException):
    """The end of a run."""


def dying(change: Callable[..., Any], number: int, count: Iterator[int]) -> Callable[..., Any]:
    """A change that ends the run, from the Nth on."""

    def changed(*arguments: object, **options: object) -> Any:
        if next(count) >= number:
            raise Killed
        return change(*arguments, **options)

    return changed


def kill_at(number: int, call: Callable[[], object]) -> bool:
    """Let a call end at its Nth change; gives whether it did. Raises what the call raises otherwise."""
    count = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name), number, count))
        try:
            call()
        except Killed:
            return True
    return False


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return as soon as the condition holds; fail if it does not come to that."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def bytes_in(folder: Path) -> int:
    """The bytes of the files in a folder in which files come and go."""
    total = 0
    for path in list(folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def kill_when_written(command: list[str], folder: Path, size: float) -> None:
    """Run a command, and kill it as soon as the files in ``folder`` have so many bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: folder.exists() and bytes_in(folder) >= size)
    process.kill()
    assert process.wait() == KILLED


def slow_image() -> bytes:
    """An image that takes long to decode."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), quality=90)


def long_list(folder: Path, images: int) -> tuple[Path, int]:
    """A .lst of an image that takes long to decode, so many times, and the bytes of all of them."""
    (folder / "a.jpg").write_bytes(slow_image())
    (folder / "x.lst").write_text("".join(f"{number}\t{number % 7}\ta.jpg\n" for number in range(images)))
    return folder / "x.lst", images * (folder / "a.jpg").stat().st_size
