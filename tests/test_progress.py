import time

import pytest

from dali_rec import progress
from dali_rec.progress import progress_bar


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
    assert lines._line() == "packing: 20 of 1,000 (2%), 10 images/s, 98 s left"


def test_nothing_is_said_when_the_work_is_done(capsys, fast):
    with progress_bar("packing", "images"):
        pass
    capsys.readouterr()
    time.sleep(0.02)
    assert capsys.readouterr().err == ""


def test_bar_is_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("packing", "images") as report:
        report(10, 10)
    assert "packing" in capsys.readouterr().err


def test_nothing_is_said_where_standard_error_is_closed(capsys, fast, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("packing", "images") as report:
        for done in range(1, 5):
            report(done * 100, 1000)
            time.sleep(0.005)
    assert capsys.readouterr().out == ""
