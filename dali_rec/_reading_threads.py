"""Threads that read, and for which nobody waits in the end: one may wait for minutes for a server that stands still."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import CancelledError, Future, InvalidStateError, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Files of this machine are read by then, and closed.
_SECONDS_TO_END = 1.0


class ReadingThreads:
    """Call functions, first those that were submitted first. Those of an executor hold up the end of the program."""

    def __init__(self, count: int) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[Any], Any], Any] | None] = SimpleQueue()
        self._open: set[Future[Any]] = set()
        names = (f"dali-rec-read_{number}" for number in range(count))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[Any], Any], request: Any) -> Future[Any]:
        """Begin with ``function(request)`` when a thread is free."""
        future: Future[Any] = Future()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._tasks.put((future, function, request))
        return future

    def shutdown(self) -> None:
        """Drop what is not begun, and end. What takes longer is not waited for: its future raises CancelledError."""
        begun = [future for future in self._open.copy() if not future.cancel()]
        for _ in self._threads:
            self._tasks.put(None)
        late = wait(begun, _SECONDS_TO_END).not_done
        for future in late:
            with contextlib.suppress(InvalidStateError):  # done just now
                future.set_exception(CancelledError())
        for thread in () if late else self._threads:  # which let go of what they read from a moment later
            thread.join(_SECONDS_TO_END)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            _answer(*task)
            del task  # or it would live until the next comes


def _answer(future: Future[Any], function: Callable[[Any], Any], request: Any) -> None:
    if not future.set_running_or_notify_cancel():
        return
    with contextlib.suppress(InvalidStateError):  # nobody waits for it any more
        try:
            answer = function(request)
        except BaseException as error:  # noqa: BLE001  # it is for whoever waits
            future.set_exception(error)
            del future  # or its error would hold itself by this frame, and with it the files that were read
        else:
            future.set_result(answer)
