import re
import sys
import time
from types import SimpleNamespace

import pytest

from dali_rec import progress
from dali_rec.progress import progress_bar


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """The variables of a plain one, whatever begins the tests."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("CLICOLOR", "PAGER", "GIT_PAGER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fast(monkeypatch):
    """A line every few milliseconds."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.002)


def said(capsys, *words):
    """The first line from now on that holds all of these words."""
    capsys.readouterr()
    for _ in range(5000):
        for line in capsys.readouterr().err.splitlines():
            if all(word in line for word in words):
                return line
        time.sleep(0.002)
    raise AssertionError(f"no line with {words}")


def test_lines_are_said_now_and_then_where_there_is_no_terminal(capsys, fast):
    with progress_bar("packing", "images") as report:
        report(0, 1000)
        time.sleep(0.01)
        report(250, 1000)
        assert said(capsys, "packing: 250 of 1,000 (25%), ", " images/s, ").endswith(" s left")


def test_what_comes_before_the_first_image_and_after_the_last_is_said_too(capsys, fast):
    with progress_bar("packing", "images") as report:
        assert said(capsys, "packing: no images yet, ").endswith(" s")
        report(1000, 1000)
        assert said(capsys, "packing: 1,000 of 1,000 (100%), finishing, ").endswith(" s")


def test_time_left_does_not_count_the_time_before_the_first_image(monkeypatch):
    now = iter([0.0, 100.0, 102.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    lines = progress._Lines("packing", "images")
    lines.report(0, 1000)
    lines.report(20, 1000)
    assert lines.now() == "packing: 20 of 1,000 (2%), 10 images/s, 98 s left"


def test_nothing_is_said_when_the_work_is_done(capsys, fast):
    with progress_bar("packing", "images"):
        pass
    capsys.readouterr()
    time.sleep(0.02)
    assert capsys.readouterr().err == ""


def test_lines_give_bytes_as_people_read_them(monkeypatch):
    now = iter([0.0, 100.0, 102.0, 104.0, 105.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    lines = progress._Lines("verifying", "bytes")
    lines.report(0, 6_000_000_000)
    lines.report(1_200_000_000, 6_000_000_000)
    assert lines.now() == "verifying: 1.2 GB of 6 GB (20%), 600 MB/s, 8 s left"
    lines.report(6_000_000_000, 6_000_000_000)
    assert lines.now() == "verifying: 6 GB of 6 GB (100%), finishing, 104 s"
    assert lines.at_end() == "verifying: 6 GB, 105.0 s"


@pytest.mark.parametrize(
    ("unit", "columns", "shown"),
    [
        ("images", 80, r"packing ━+ 1,281,167/1,281,167 [\d,]+ images/s \d:\d\d:\d\d"),
        ("images", 60, r"packing 1,281,167/1,281,167 [\d,]+ images/s \d:\d\d:\d\d"),
        ("bytes", 60, r"packing 1.28 MB/1.28 MB [\d.]+ ([kMG]B|bytes)/s \d:\d\d:\d\d"),
    ],
)
def test_bar_is_drawn_on_a_terminal_as_wide_as_that_is(capsys, monkeypatch, unit, columns, shown):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("packing", unit) as report:
        report(1_281_167, 1_281_167)
    *_, drawn, _, _ = re.split(r"\x1b\[2K|\n", capsys.readouterr().err)
    assert re.fullmatch(shown, drawn.strip())


def test_a_terminal_that_cannot_draw_over_what_it_shows_gets_lines(fast, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("packing", "images") as report:
        report(0, 1000)
        report(250, 1000)
        said(capsys, "packing: 250 of 1,000 (25%), ")


def test_standard_error_may_be_an_object_that_can_only_write(fast, monkeypatch):
    written = []
    monkeypatch.setattr("sys.stderr", SimpleNamespace(write=written.append, flush=lambda: None))
    with progress_bar("packing", "images") as report:
        report(250, 1000)
        while "packing: 250 of 1,000" not in "".join(written):
            time.sleep(0.002)


def test_nothing_is_said_where_standard_error_is_closed(capsys, fast, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("packing", "images") as report:
        for done in range(1, 5):
            report(done * 100, 1000)
            time.sleep(0.005)
    assert capsys.readouterr().out == ""


class Kernel:
    """What ``progress_bar`` asks of IPython in the kernel of a notebook: each text that the line below a cell has."""

    kernel = object()

    def __init__(self):
        self.texts = []

    def display(self, data, raw, display_id):
        assert (raw, display_id) == (True, True)
        self.update(data, raw=raw)
        return self

    def update(self, data, raw):
        assert raw
        self.texts.append(data["text/plain"])


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    module = SimpleNamespace(get_ipython=lambda: kernel, display=SimpleNamespace(display=kernel.display))
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_CHANGES", 0.002)
    return kernel


def test_a_line_below_the_cell_changes_in_a_notebook_and_stays(capsys, kernel):
    with progress_bar("packing", "images") as report:
        assert kernel.texts[0] == "packing: no images yet, 0 s"
        report(0, 1000)
        report(250, 1000)
        while not kernel.texts[-1].startswith("packing: 250 of 1,000 (25%), "):
            time.sleep(0.002)
        report(1000, 1000)
    assert re.fullmatch(r"packing: 1,000 images, \d+\.\d s", kernel.texts[-1])
    assert capsys.readouterr() == ("", "")


def test_what_failed_in_a_notebook_is_not_said_to_be_done(kernel):
    def fail(report):
        report(250, 1000)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"), progress_bar("packing", "images") as report:
        fail(report)
    assert not any(text.startswith("packing: 250 images") for text in kernel.texts)


def test_a_process_that_was_forked_from_a_kernel_cannot_speak_for_it(kernel, fast, capsys, monkeypatch):
    monkeypatch.setattr(progress, "parent_process", object)
    with progress_bar("packing", "images") as report:
        report(0, 1000)
        said(capsys, "packing: 0 of 1,000 (0%), ")
    assert kernel.texts == []


def test_ipython_on_a_terminal_is_a_terminal(kernel, monkeypatch, capsys):
    monkeypatch.setattr(Kernel, "kernel", None)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("packing", "images") as report:
        report(10, 10)
    assert "packing" in capsys.readouterr().err
    assert kernel.texts == []


def test_no_bar_is_drawn_by_a_command_of_a_notebook(fast, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for name, value in (("CLICOLOR", "1"), ("PAGER", "cat"), ("GIT_PAGER", "cat")):
        monkeypatch.setenv(name, value)
    with progress_bar("packing", "images") as report:
        report(0, 1000)
        report(250, 1000)
        assert "\x1b" not in said(capsys, "packing: 250 of 1,000 (25%), ")
