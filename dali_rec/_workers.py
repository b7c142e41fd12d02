"""What works through many small tasks: threads of this process or, for many cores, several processes.

Codecs and resizers let go of Python's lock, but what lies between them does not: one process keeps a few cores busy,
and no more.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from PIL import Image, ImageFile

from dali_rec._reading_threads import ReadingThreads
from dali_rec.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from typing import IO

# Items that should be begun before the first is waited for, for each thread.
_AHEAD = 32
# The fewest threads that read, as a disk, or a file server, answers several questions at once.
_READERS = 4
#: More threads than this in one process stand in line for Python's lock (docs/performance.md).
THREADS_A_PROCESS = 4
_PIPE_BYTES = 1 << 20
_SECONDS_TO_END = 10


class Work(Protocol):
    """What is done to each request, in two steps, so that no core waits for a disk.

    It is pickled for other processes, as its requests and answers are.
    """

    @property
    def remedy(self) -> str:
        """What to do if one of these processes dies."""

    def read(self, request: Any) -> Any:
        """Get what the request is about. Called by threads that may wait."""

    def do(self, found: Any) -> Any:
        """The answer to a request, from what ``read`` got. Called by as many threads as there are cores for."""


class Pending(Protocol):
    """A request that is worked on."""

    def result(self) -> Any:
        """Wait for its answer. Raises what stopped the work."""


class Workers(Protocol):
    """Answer requests.

    ahead, groups_ahead: how many items of work should be begun, and of how many groups if they are of some, before the
    first is waited for.
    """

    ahead: int
    groups_ahead: int

    def begin(self, request: Any, group: object = None) -> Pending:
        """Begin with this one. What was begun first is to be waited for first.

        group: requests that follow each other and are of one group are best answered by one process.
        """

    def close(self) -> None:
        """Drop what is not done, and end."""


def begin_workers(work: Work, threads: int, most_processes: int) -> Workers:
    """Workers with so many threads in all, in several processes, ``most_processes`` at most, where that is faster."""
    processes = process_count(threads, most_processes)
    pillow = PillowSettings.here() if processes > 1 else None
    if pillow is None:
        return Threads(work, threads)
    shares = [len(range(number, threads, processes)) for number in range(processes)]
    return Processes([Settings(work, share, pillow) for share in shares])


def process_count(threads: int, most: int) -> int:
    """How many processes so many threads are divided among, at most ``most``; 1 stands for this process alone."""
    # What is frozen into a program of its own has no Python to begin.
    if not sys.executable or getattr(sys, "frozen", False):
        return 1
    return max(1, min(-(-threads // THREADS_A_PROCESS), most))


class Threads:
    """Answers requests by threads of this process; ``readers`` others read ahead."""

    def __init__(self, work: Work, threads: int, readers: int = 0) -> None:
        readers = max(readers, threads, _READERS)
        self.ahead = max(_AHEAD * threads, 4 * readers)
        self.groups_ahead = 0
        self._work = work
        self._readers = ReadingThreads(readers)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dali-rec-work")

    def begin(self, request: Any, group: object = None) -> Future[Any]:  # noqa: ARG002  # there is one process
        """See Workers."""
        # Begun in this order, so that what is waited for is being read.
        return self._pool.submit(self._do, self._readers.submit(self._work.read, request))

    def _do(self, reading: Future[Any]) -> Any:
        try:
            found = reading.result()
        finally:
            del reading  # or its error would hold itself by this frame, and with it the files that were read
        return self._work.do(found)

    def close(self) -> None:
        """See Workers."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown()  # before those that wait for them are waited for
        self._pool.shutdown()


class PillowSettings(NamedTuple):
    """What a program may have changed in Pillow: formats that it registered, by name, and what it puts up with."""

    formats: dict[str, Any]
    takes_truncated: bool
    most_pixels: int | None

    @classmethod
    def here(cls) -> PillowSettings | None:
        """Those of this process; None if another could not have them."""
        formats = {name: how for name, how in Image.OPEN.items() if not how[0].__module__.startswith("PIL.")}
        if any(part.__module__ == "__main__" for how in formats.values() for part in how if part is not None):
            return None  # pickled by name, and the other process has another main module
        settings = cls(formats, bool(ImageFile.LOAD_TRUNCATED_IMAGES), Image.MAX_IMAGE_PIXELS)
        try:
            pickle.dumps(settings)
        except (pickle.PicklingError, AttributeError, TypeError):  # a function that stands in no module
            return None
        return settings

    def apply(self) -> None:
        """Make them this process's."""
        for name, (factory, accept) in self.formats.items():
            Image.register_open(name, factory, accept)
        ImageFile.LOAD_TRUNCATED_IMAGES = self.takes_truncated
        Image.MAX_IMAGE_PIXELS = self.most_pixels


class Settings(NamedTuple):
    """What a process of workers is told at its start."""

    work: Work
    threads: int
    pillow: PillowSettings


class Processes:
    """Answers requests by processes that take turns, as often as they have threads.

    They end with this one, however it ends.
    """

    def __init__(self, settings: Sequence[Settings]) -> None:
        self.ahead = _AHEAD * sum(one.threads for one in settings)
        self.groups_ahead = len(settings) + 1  # so that each has one while the first is waited for
        self._processes: list[_Process] = []
        try:
            for one in settings:
                self._processes.append(_Process(one))
        except BaseException:
            self.close()
            raise
        turns = range(max(one.threads for one in settings))
        self._turns = itertools.cycle([one for turn in turns for one in self._processes if turn < one.threads])
        self._last: tuple[object, _Process] | None = None

    def begin(self, request: Any, group: object = None) -> Pending:
        """See Workers."""
        if self._last is None or group is None or self._last[0] != group:
            self._last = group, next(self._turns)
        process = self._last[1]
        process.send(request)
        return process  # its answers come in the order of the questions

    def close(self) -> None:
        """See Workers."""
        for process in self._processes:
            process.kill()


class _Process:
    """A process that runs ``serve`` of _worker_process.py.

    Not one of multiprocessing's: it would run the caller's main module again, or, forked, share the locks that other
    threads hold.
    """

    # Modules are looked for where this process looks.
    _COMMAND = "import sys; sys.path[:] = sys.argv[1:]; from dali_rec._worker_process import serve; serve()"

    def __init__(self, settings: Settings) -> None:
        self.threads = settings.threads
        self._remedy = settings.work.remedy
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", self._COMMAND, *(folder for folder in sys.path if isinstance(folder, str))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # NumPy would begin a thread a core, and not need it
            # Ctrl+C is for the process that packs.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # of Windows
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        _widen(self._answers)
        try:
            self.send(settings)
        except BaseException:  # nobody else knows it yet
            self.kill()
            raise

    def send(self, message: Any) -> None:
        """Raises EngineError if the process has ended."""
        try:
            pickle.dump(message, self._requests, protocol=pickle.HIGHEST_PROTOCOL)
            self._requests.flush()
        except OSError:  # a broken pipe, which Windows may call an invalid argument
            raise self._ended() from None

    def result(self) -> Any:
        """The next answer. Raises the error that it is, or EngineError if the process has ended."""
        try:
            error, answer = pickle.load(self._answers)  # noqa: S301  # from a process of ours
        except (EOFError, pickle.UnpicklingError):
            raise self._ended() from None
        if error is not None:
            raise error
        return answer

    def _ended(self) -> EngineError:
        try:
            status = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            how = "gave an answer that cannot be read"
        else:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {_shown_status(status)}"
        return EngineError(f"a process that worked for this one {how}; {self._remedy}")

    def kill(self) -> None:
        """End it; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):  # as for ``send``
                pipe.close()


def _shown_status(status: int) -> str:
    """Those of Windows for a crash are known by their hexadecimal digits: 0xC0000005, say."""
    return f"0x{status:X}" if status > 0xFFFF else str(status)


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a whole answer, where the system can and will."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # a user's pipes may have so much together
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
