"""How the files of a data set are called, without their suffix.

NAME                          the only shard
NAME-00000-of-00008           the first of eight
NAME-append1                  the only shard that was added the first time, by ``pack --append``
NAME-append1-00000-of-00002   the first of two that were
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-\d{5,}-of-\d{5,}\Z")
_APPENDING = re.compile(r"-append(\d+)\Z")


def shard_names(name: str, count: int) -> list[str]:
    """The names of ``count`` shards: NAME alone, or NAME-00000-of-00008 and so on."""
    return [name] if count == 1 else [f"{name}-{number:05d}-of-{count:05d}" for number in range(count)]


def appended_name(name: str, number: int) -> str:
    """What the shards are called that are added to the data set ``name`` for the ``number``-th time, from 1."""
    return f"{name}-append{number}"


def without_number(stem: str) -> str:
    """The name of a shard without ``-00000-of-00008``."""
    return _NUMBER.sub("", stem)


def appending_of(stem: str) -> int:
    """The number of the appending that a shard was added by; 0 for one that was there from the beginning."""
    match = _APPENDING.search(without_number(stem))
    return 0 if match is None else int(match[1])


def dataset_name(stem: str) -> str:
    """The name of the data set that a shard of this name belongs to."""
    return _APPENDING.sub("", without_number(stem))
