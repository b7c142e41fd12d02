"""Progress of long work: a bar on a terminal, one line that changes in a notebook, lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_CHANGES = 0.5
_SECONDS_BETWEEN_DRAWINGS = 0.1


@contextlib.contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with (done, total); it shows how far the work is, with ``unit``/s and the time left.

    Example: ``with progress_bar("packing", "images") as progress: dali_rec.pack(photos, out, progress=progress)``
    """
    display = _notebook_display()
    if display is not None:
        with _line_in_notebook(display, _Lines(what, unit)) as report:
            yield report
    elif sys.stderr is None:  # closed; print would go to standard output
        yield lambda _done, _total: None
    elif sys.stderr.isatty() and not _is_of_notebook(os.environ):
        with _bar(what, unit) as report:
            yield report
    else:
        lines = _Lines(what, unit)
        with _said_every(_SECONDS_BETWEEN_LINES, lambda: _print(lines.now())):
            yield lines.report


def _notebook_display() -> Callable[..., Any] | None:
    """IPython's ``display``, where this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return None
    return ipython.display.display  # type: ignore[no-any-return]


def _is_of_notebook(environment: Mapping[str, str]) -> bool:
    """Whether a kernel has begun this process, as by ``!dali-rec pack``: on a terminal whose every byte is kept.

    ipykernel tells its processes so by these variables (its init_environment).
    """
    return (environment.get("CLICOLOR"), environment.get("PAGER"), environment.get("GIT_PAGER")) == ("1", "cat", "cat")


@contextlib.contextmanager
def _line_in_notebook(display: Callable[..., Any], lines: _Lines) -> Iterator[Callable[[int, int], None]]:
    """A line below the cell, which changes in its place and stays when all is done."""

    def shown(text: str) -> dict[str, str]:
        return {"text/plain": text}

    line = display(shown(lines.now()), raw=True, display_id=True)
    with _said_every(_SECONDS_BETWEEN_CHANGES, lambda: line.update(shown(lines.now()), raw=True)):
        yield lines.report
    line.update(shown(lines.at_end()), raw=True)


@contextlib.contextmanager
def _said_every(seconds: float, say: Callable[[], None]) -> Iterator[None]:
    """Call ``say`` so often, by a thread, until the work stops or nobody listens."""
    stop = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError):
            while not stop.wait(seconds):
                say()

    thread = threading.Thread(target=run, name="dali-rec-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # this is a user interface


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

    def at_end(self) -> str:
        """What is said when all is done."""
        counted = f"{self._done:,} {self._unit}, " if self._is_counting else ""
        return f"{self._what}: {counted}{time.monotonic() - self._began:,.1f} s"

    def now(self) -> str:
        """How far the work is."""
        now, done, total = time.monotonic(), self._done, self._total
        if not self._is_counting:
            return f"{self._what}: no {self._unit} yet, {now - self._began:,.0f} s"
        if done >= total:
            return f"{self._what}: {done:,} of {total:,} (100%), finishing, {now - self._began:,.0f} s"
        rate = (done - self._first) / max(now - self._counts_from, 1e-3)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        return f"{self._what}: {done:,} of {total:,} ({done / total:.0%}), {rate:,.0f} {self._unit}/s{left}"
