"""Progress of long work: a bar on a terminal, one line that changes in a notebook, lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from dali_rec._sizes import shown_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_CHANGES = 0.5
_SECONDS_BETWEEN_DRAWINGS = 0.1
_LEAST_WIDTH_WITH_BAR = 70


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
    elif getattr(sys.stderr, "isatty", bool)() and _takes_a_bar(os.environ):  # which objects of a user's may not have
        with _bar(what, unit) as report:
            yield report
    else:
        lines = _Lines(what, unit)
        with _said_every(_SECONDS_BETWEEN_LINES, lambda: _print(lines.now())):
            yield lines.report


def _notebook_display() -> Callable[..., Any] | None:
    """IPython's ``display``, where this process is the kernel of a notebook, and not one that was forked from it."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None or parent_process() is not None:
        return None
    return ipython.display.display  # type: ignore[no-any-return]


def _takes_a_bar(environment: Mapping[str, str]) -> bool:
    """Whether the terminal can draw over what it shows, and does not keep it all, as a cell with ``!dali-rec pack``.

    By the last three variables ipykernel tells what it begins not to page (its init_environment).
    """
    of_notebook = tuple(environment.get(name) for name in ("CLICOLOR", "PAGER", "GIT_PAGER")) == ("1", "cat", "cat")
    return environment.get("TERM") not in ("dumb", "unknown") and not of_notebook


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
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = "?" if task.total is None else _number(task.total, unit)
            return Text(f"{_number(task.completed, unit)}/{total}", style="progress.download")

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_rate(task.speed or task.finished_speed or 0, unit))

    console = Console(stderr=True)
    bar_if_wide = [BarColumn()] if console.width >= _LEAST_WIDTH_WITH_BAR else []
    columns = (TextColumn("{task.description}"), *bar_if_wide, Count(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        drawn = 0.0

        def report(done: int, total: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            if done == total or now - drawn >= _SECONDS_BETWEEN_DRAWINGS:
                drawn = now
                bar.update(task, completed=done, total=total)

        yield report


def _number(count: float, unit: str) -> str:
    return shown_size(count) if unit == "bytes" else f"{count:,.0f}"


def _rate(speed: float, unit: str) -> str:
    return f"{_number(speed, unit)}/s" if unit == "bytes" else f"{_number(speed, unit)} {unit}/s"


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
        unit = "" if self._unit == "bytes" else f" {self._unit}"
        count = f"{_number(self._done, self._unit)}{unit}, " if self._is_counting else ""
        return f"{self._what}: {count}{time.monotonic() - self._began:,.1f} s"

    def now(self) -> str:
        """How far the work is."""
        now, done, total = time.monotonic(), self._done, self._total
        if not self._is_counting:
            return f"{self._what}: no {self._unit} yet, {now - self._began:,.0f} s"
        count = f"{self._what}: {_number(done, self._unit)} of {_number(total, self._unit)}"
        if done >= total:
            return f"{count} (100%), finishing, {now - self._began:,.0f} s"
        rate = (done - self._first) / max(now - self._counts_from, 1e-3)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        return f"{count} ({done / total:.0%}), {_rate(rate, self._unit)}{left}"
