import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest
from kills import wait_for

from dali_rec._reading_threads import ReadingThreads


@pytest.fixture
def threads():
    made = ReadingThreads(2)
    yield made
    made.shutdown()


def running(threads):
    """How many of the threads are; others of the same names may be those of a Loader."""
    return sum(thread.is_alive() for thread in threads._threads)


def test_answers_and_errors_come_to_who_waits(threads):
    assert [threads.submit(divmod_by_3, number).result() for number in range(7)] == [divmod(n, 3) for n in range(7)]
    with pytest.raises(TypeError):
        threads.submit(divmod_by_3, None).result()


def divmod_by_3(number):
    return divmod(number, 3)


def test_what_stands_still_is_not_waited_for_and_the_rest_is_dropped(threads):
    goes_on, begun, called = threading.Event(), threading.Semaphore(0), []

    def stand_still(_request):
        begun.release()
        goes_on.wait(60)

    standing = [threads.submit(stand_still, None) for _ in range(2)]
    for _ in standing:
        begun.acquire()
    dropped = threads.submit(called.append, 1)
    began = time.monotonic()
    threads.shutdown()
    assert time.monotonic() - began < 30
    for future in (*standing, dropped):
        with pytest.raises(CancelledError):
            future.result(1)
    goes_on.set()
    wait_for(lambda: not running(threads))
    assert called == []


def test_what_is_begun_and_soon_done_is_waited_for(threads):
    begun = threading.Event()

    def take_a_moment(_request):
        begun.set()
        time.sleep(0.1)
        return "done"

    future = threads.submit(take_a_moment, None)
    begun.wait()
    threads.shutdown()
    assert future.result(0) == "done"


def test_what_was_asked_lives_no_longer_than_its_answer(threads):
    class Request:
        pass

    request = Request()
    gone = weakref.ref(request)
    threads.submit(id, request).result()
    del request
    wait_for(lambda: gone() is None)


def test_what_was_asked_lives_no_longer_than_its_error(threads):
    class Request:
        def fail(self):
            raise ValueError("it failed")

    request = Request()
    gone = weakref.ref(request)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="it failed"):
            threads.submit(Request.fail, request).result()
        del request
        wait_for(lambda: gone() is None)
    finally:
        gc.enable()


def test_threads_that_have_nothing_to_do_have_ended_behind_shutdown(threads):
    assert threads.submit(divmod_by_3, 4).result() == (1, 1)
    assert running(threads) == 2
    threads.shutdown()
    assert running(threads) == 0
