"""The other end of ``Processes`` in _workers.py: a process that works for another."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

import cv2

from dali_rec._workers import Threads
from dali_rec.errors import DaliRecError, EngineError

if TYPE_CHECKING:
    from concurrent.futures import Future


def serve() -> None:
    """Read settings and requests from standard input, and write an answer for each to standard output, in order.

    An answer is a pickled (error, answer); the answer is None where there is an error. Ends when the input does.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer, and is seen before this process is killed
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # Python's own
    # On Windows whoever asks what standard input is, as libraries do when they are loaded, waits until it is read.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    begun: SimpleQueue[Future[Any]] = SimpleQueue()
    try:
        settings = pickle.load(requests)  # noqa: S301  # from the process that began this one
        settings.pillow.apply()
        cv2.setNumThreads(1)
        threads = Threads(settings.work, settings.threads)
        threading.Thread(target=_answer, args=(begun, answers), daemon=True).start()
        while True:
            begun.put(threads.begin(pickle.load(requests)))  # noqa: S301
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)  # whoever asked is gone: nobody waits for what the threads are at


def _answer(begun: SimpleQueue[Future[Any]], answers: IO[bytes]) -> None:
    try:
        while True:
            answers.write(_answer_to(begun.get()))
            answers.flush()
    finally:  # nobody reads the answers any more
        os._exit(1)


def _answer_to(pending: Future[Any]) -> bytes:
    try:
        return pickle.dumps((None, pending.result()), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # noqa: BLE001  # it is for the other process to judge
        if not isinstance(error, DaliRecError):
            traceback.print_exception(error)  # which does not travel
        return pickle.dumps((_portable(error), None))


def _portable(error: BaseException) -> BaseException:
    """The error, or, where the other process could not read it, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001  # whatever its class does
        return EngineError(f"{type(error).__name__}: {error}")
    return error
