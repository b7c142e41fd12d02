"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
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
        return
    if sys.stderr is None:  # closed; print would go to standard output
        yield lambda _done, _total: None
        return
    lines, stop = _Lines(what, unit), threading.Event()
    thread = threading.Thread(target=lines.say, args=(stop,), name="dali-rec-progress", daemon=True)
    thread.start()
    try:
        yield lines.report
    finally:
        stop.set()
        thread.join()


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
    """The same as lines of text, for logs: one now and then, also while nothing is counted."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._began = self._counts_from = time.monotonic()
        self._first = self._done = self._total = 0
        self._is_counting = False

    def report(self, done: int, total: int) -> None:
        """Take in how far the work is."""
        if not self._is_counting:  # what comes before the first image says nothing of how fast the others are done
            self._counts_from, self._first, self._is_counting = time.monotonic(), done, True
        self._done, self._total = done, total

    def say(self, stop: threading.Event) -> None:
        """Say how far the work is until it stops, or until nobody listens."""
        with contextlib.suppress(OSError):
            while not stop.wait(_SECONDS_BETWEEN_LINES):
                print(self._line(), file=sys.stderr, flush=True)  # noqa: T201  # this is a user interface

    def _line(self) -> str:
        now, done, total = time.monotonic(), self._done, self._total
        if not self._is_counting:
            return f"{self._what}: no {self._unit} yet, {now - self._began:,.0f} s"
        if done >= total:
            return f"{self._what}: {done:,} of {total:,} (100%), finishing, {now - self._began:,.0f} s"
        rate = (done - self._first) / max(now - self._counts_from, 1e-3)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        return f"{self._what}: {done:,} of {total:,} ({done / total:.0%}), {rate:,.0f} {self._unit}/s{left}"
