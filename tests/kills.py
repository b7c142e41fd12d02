"""Runs that end at one of their changes to a folder, with none after it, as SIGKILL would end them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


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
