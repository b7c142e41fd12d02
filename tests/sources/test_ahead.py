"""Reading ahead: by several threads, and as one after another otherwise."""

import logging
import threading

import pytest

from dali_rec.sources import ahead
from dali_rec.sources.ahead import read_ahead


class ReadingError(Exception):
    """What reading, or listing, raised."""


def test_several_are_read_at_a_time_and_come_in_order():
    meeting = threading.Barrier(ahead._THREADS, timeout=30)

    def read(item):
        if item < ahead._THREADS:
            meeting.wait()
        return item * 2

    with read_ahead(read, range(300), "x") as found:
        assert list(found) == [item * 2 for item in range(300)]


def test_no_more_are_begun_than_are_soon_wanted():
    begun = []
    with read_ahead(begun.append, range(100_000), "x") as found:
        for _ in range(5):
            next(found)
    assert len(begun) <= 5 + ahead._AHEAD + 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dali-rec-ahead")]


@pytest.mark.parametrize("count", [0, 1, ahead._AHEAD, ahead._AHEAD + 1])
def test_nothing_is_lost_at_the_end(count):
    with read_ahead(str, range(count), "x") as found:
        assert list(found) == [str(item) for item in range(count)]


@pytest.mark.parametrize("bad", [None, 0, 7, 99])
@pytest.mark.parametrize("listed", [0, 8, 100])
def test_of_several_failures_the_first_in_order_is_raised(bad, listed):
    def items():
        yield from range(listed)
        raise ReadingError("the list")

    def read(item):
        if bad is not None and item >= bad:
            raise ReadingError(str(item))
        return item

    came = []
    with pytest.raises(ReadingError) as failure, read_ahead(read, items(), "x") as found:
        came += found
    assert str(failure.value) == ("the list" if bad is None or bad >= listed else str(bad))
    assert came == list(range(listed if bad is None else min(bad, listed)))


def test_it_is_said_how_far_it_is(caplog, monkeypatch):
    monkeypatch.setattr(ahead, "_SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, "dali_rec"), read_ahead(str, range(1201), "photos: images") as found:
        assert len(list(found)) == 1201
    assert caplog.messages[-1] == "photos: images: 1,200 so far"
