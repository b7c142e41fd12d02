"""The tests marked `gpu`, run so that one that ends its process, or stands still, leaves the others."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.processes import ENVIRONMENT, ROOT, TOOL, bury, file_for_found, read, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TEST = 60  # seconds
HAS_GPU_TESTS = re.compile(r"^(pytestmark = |@)pytest\.mark\.gpu$", re.MULTILINE)


def run_tests() -> list[dict[str, str]]:
    """The tests marked `gpu`: name, outcome, and what a failure said; those of the Loader first."""
    files = sorted(files_with_gpu_tests(), key=lambda path: path.name != "test_gpu.py")
    with tempfile.TemporaryDirectory() as folder:
        into = file_for_found() or Path(folder, "tests.json")
        run_files([str(path) for path in files], into)
        return read(into) or []


def files_with_gpu_tests() -> list[Path]:
    """Only those: the others may import what this machine does not have."""
    return [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if HAS_GPU_TESTS.search(path.read_text())]


def run_files(files: Sequence[str], into: Path) -> None:
    """Run the tests of some files in one process, and in another those that are left where one of them ends it."""
    while ended := run_pytest(files, into):
        tests = read(into) or []
        running = [test for test in tests if test["outcome"] == "running"]
        for test in running:
            test.update(outcome="failed", message=ended)
        if not running and len(files) > 1:
            for file in files:
                run_files([file], into)
            return
        if not running:  # not by a test, so that trying again would not help
            replace(into, [*tests, {"name": files[0], "outcome": "failed", "message": ended}])
            return
        replace(into, tests)


def run_pytest(files: Sequence[str], into: Path) -> str:
    """Run those tests that are not in ``into`` yet; says how pytest ended where it did not come to its end."""
    command = [sys.executable, str(TOOL), "--into", str(into), "--tests", *files]
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr, env=ENVIRONMENT)
    try:
        status = None
        before: Any = ...
        while status is None and before != (before := read(into)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(LONGEST_TEST)
    finally:
        process.kill()
        bury(process)
    if status is None:
        return f"stood still: killed after {LONGEST_TEST} s"
    if status in (0, 1, 5):  # all passed, some failed, or none was left
        return ""
    return f"killed by signal {-status}" if status < 0 else f"pytest ended with status {status}"


def do_tests(files: Sequence[str], into: Path) -> int:
    """Run pytest; what a process for tests does."""
    import pytest

    # A machine's other packages may warn, which in this project's tests is an error.
    options = ["-m", "gpu", "-p", "no:cacheprovider", "-W", "default", "--continue-on-collection-errors"]
    return int(pytest.main([*options, *files], plugins=[Recorder(into)]))


class Recorder:
    """A plugin of pytest's that writes down what becomes of each test, and leaves out what is written down already."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._tests: dict[str, dict[str, str]] = {test["name"]: test for test in read(into) or []}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid not in self._tests]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._note(report.nodeid, "error", message_of(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._note(nodeid, "running", "it did not come to its end")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._note(report.nodeid, "failure" if report.when == "call" else "error", message_of(report))
        elif report.skipped:
            self._note(report.nodeid, "skipped", message_of(report))
        elif report.when == "call":
            self._note(report.nodeid, "passed", "")

    def _note(self, name: str, outcome: str, message: str) -> None:
        self._tests[name] = {"name": name, "outcome": outcome, "message": message}
        replace(self._into, list(self._tests.values()))


def message_of(report: Any) -> str:
    """What a test that failed or was skipped said."""
    if isinstance(report.longrepr, tuple):  # file, line and reason of what was skipped
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(report.longrepr if crash is None else crash.message)[:1000]
