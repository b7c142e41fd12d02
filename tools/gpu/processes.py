"""A part in a process of its own, watched: what ends it leaves the others, and what it had found until then."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "gpu_check"
LAST_WORDS = 5  # seconds, to say what became of it
LINES_KEPT = 20
PR_SET_PDEATHSIG = 1  # linux/prctl.h
ENVIRONMENT = {
    **os.environ,
    # dali_rec need not be installed.
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    "PYTHONUNBUFFERED": "1",
    # Or JAX and TensorFlow would take the GPU's memory for themselves.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}

#: In the process of a part: the file for what it found.
_into: Path | None = None


class PartFailedError(RuntimeError):
    """A part that did not come to its end, and what it had ``found`` until then, None where that is nothing."""

    def __init__(self, reason: str, found: Any = None) -> None:
        super().__init__(reason)
        self.found = found


def file_for_found() -> Path | None:
    """In the process of a part: the file for what it found."""
    return _into


def keep(found: Any) -> Any:
    """Write down what was found so far, should the rest fail."""
    if _into is not None:
        replace(_into, found)
    return found


def replace(into: Path, found: Any) -> None:
    """Write ``found`` to a file that is whole at any moment."""
    written = into.with_suffix(".part")
    written.write_text(json.dumps(found))
    written.replace(into)


def say(text: str) -> None:
    print(f"gpu_check: {text}", file=sys.stderr, flush=True)


def end_with_parent() -> None:
    """Let this process be killed when the one that began it ends, however it does; it has a session of its own."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def do_part(do: Callable[[], Any], into: Path, seconds: float) -> int:
    """Do a part and write what it found; what a process for a part does."""
    global _into  # noqa: PLW0603  # one process, one part
    _into = into

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds:.0f} s")

    logging.basicConfig(format="%(message)s")
    logging.getLogger("dali_rec").setLevel(logging.INFO)  # settings of Loaders, what did not go over the GPU
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        keep(do())
    except Exception:  # noqa: BLE001  # whatever it is, the last lines say it
        traceback.print_exc()
        return 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def run_part(
    part: str, folders: Sequence[str], seconds: float, note: Callable[[Any], None] = lambda _found: None
) -> Any:
    """What a part found, by a process of its own. Raises PartFailedError with what became of that.

    folders: arguments of the process. note: called with what it has found so far, whenever that is more.
    """
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "found.json")
        command = [sys.executable, str(TOOL), "--do", part, "--into", str(into), "--seconds", str(seconds), *folders]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, errors="replace", env=ENVIRONMENT, start_new_session=True
        )
        assert process.stderr is not None
        said: list[str] = []
        teller = threading.Thread(target=tell, args=(process.stderr, said), daemon=True)
        teller.start()
        try:
            status = watch(process, into, seconds + LAST_WORDS, note)
        finally:  # what it began ends with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            bury(process)
        teller.join(LAST_WORDS)  # what has left its session may still hold the pipe
        found = read(into)
        if status == 0:
            return found
        if status is None:
            raise PartFailedError(f"stood still: killed after {seconds + LAST_WORDS:.0f} s", found)
        last = "\n".join(said[-LINES_KEPT:])
        if status < 0:
            raise PartFailedError(f"killed by signal {-status}" + (f", after it said:\n{last}" if last else ""), found)
        if len(said) > 1:
            raise PartFailedError(f"{said[-1]}\nafter it said:\n{last}", found)  # a traceback's last line says it
        raise PartFailedError(last or "it said nothing", found)


def watch(process: subprocess.Popen[str], into: Path, seconds: float, note: Callable[[Any], None]) -> int | None:
    """How the process ended, or None where it does not: in a decoder, where Python does not hear an alarm."""
    until, noted = time.monotonic() + seconds, None
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(min(1.0, left))
        found = read(into)
        if found != noted:
            noted = found
            note(found)
    return None


def bury(process: subprocess.Popen[Any]) -> None:
    """Wait for a process that was killed, but not for one that even so hangs in the GPU's driver."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST_WORDS)


def read(into: Path) -> Any:
    """What a part wrote down, None where that is nothing yet."""
    return json.loads(into.read_text()) if into.exists() else None


def tell(lines: IO[str], said: list[str]) -> None:
    """Print what a part says while it says it, and keep the lines that are not empty."""
    with lines:
        for line in lines:
            print(line, file=sys.stderr, end="", flush=True)
            said += filter(None, [line.rstrip()])
