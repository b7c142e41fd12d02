import pytest

from dali_rec import progress
from dali_rec.progress import progress_bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by five seconds whenever it is looked at."""
    now = iter(range(0, 10_000, 5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))


def test_lines_are_said_now_and_then_where_there_is_no_terminal(capsys, clock):
    with progress_bar("packing", "images") as report:
        for done in range(1, 5):
            report(done * 100, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "packing: 200 of 1,000 (20%), 20 images/s, 40 s left",
        "packing: 400 of 1,000 (40%), 20 images/s, 30 s left",
    ]


def test_bar_is_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("packing", "images") as report:
        report(10, 10)
    assert "packing" in capsys.readouterr().err


def test_nothing_is_said_where_standard_error_is_closed(capsys, clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("packing", "images") as report:
        for done in range(1, 5):
            report(done * 100, 1000)
    assert capsys.readouterr().out == ""
