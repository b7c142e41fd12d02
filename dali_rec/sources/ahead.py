"""Many small files read ahead: on a network disk each takes milliseconds, however short it is."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

logger = logging.getLogger("dali_rec")

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

_THREADS = 16
_AHEAD = 4 * _THREADS
_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def read_ahead(read: Callable[[_Item], _Answer], items: Iterable[_Item], what: str) -> Iterator[Iterator[_Answer]]:
    """Give what ``read`` gives for each item, in their order, called by several threads before it is asked for.

    What ``read`` or ``items`` raise comes in its place. what: is logged now and then, with how many are done.
    """
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dali-rec-ahead")
    try:
        yield (one.result() for one in saying_how_many(_begun(pool, read, items), what))
    finally:
        pool.shutdown(cancel_futures=True)


def saying_how_many(items: Iterable[_Item], what: str) -> Iterator[_Item]:
    """The items, where ``what`` is logged now and then, with how many have come."""
    said = time.monotonic()
    for done, one in enumerate(items):
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            logger.info("%s: %s so far", what, f"{done:,}")
        yield one


def _begun(pool: Executor, read: Callable[[_Item], _Answer], items: Iterable[_Item]) -> Iterator[Future[_Answer]]:
    """Each item, when ``_AHEAD`` others behind it are begun."""
    pending: deque[Future[_Answer]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(read, item))
            if len(pending) > _AHEAD:
                yield pending.popleft()
    except Exception:
        yield from pending  # what comes before the item that cannot be had
        raise
    yield from pending
