"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_DRAWINGS = 0.1


@contextlib.contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with (done, total); draws on standard error, with ``unit``/s and the time left."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _bar(what, unit) as report:
            yield report
    else:
        yield _Lines(what, unit)


@contextlib.contextmanager
def _bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or task.finished_speed or 0:,.0f} {unit}/s")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        drawn = 0.0

        def report(done: int, total: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            if done == total or now - drawn >= _SECONDS_BETWEEN_DRAWINGS:
                drawn = now
                bar.update(task, completed=done, total=total)

        yield report


class _Lines:
    """The same as lines of text, for logs."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        if sys.stderr is None:  # closed; print would go to standard output
            return
        rate = done / (now - self._began)
        left = (total - done) / rate if rate else 0
        print(  # noqa: T201  # this is a user interface
            f"{self._what}: {done:,} of {total:,} ({done / total:.0%}), {rate:,.0f} {self._unit}/s, {left:,.0f} s left",
            file=sys.stderr,
            flush=True,
        )
