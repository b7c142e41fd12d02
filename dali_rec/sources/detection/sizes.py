"""The sizes of images, read from their files ahead of where they are wanted."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from dali_rec.images import StoredSize, stored_size
from dali_rec.sources.ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def read_sizes(paths: Iterable[Path], source: Path) -> AbstractContextManager[Iterator[StoredSize | None]]:
    """Give the ``stored_size`` of each, in their order. source: what is listed, for what is said of it."""
    return read_sized(stored_size, paths, source)


@contextlib.contextmanager
def read_sized(read: Callable[[_Item], _Answer], items: Iterable[_Item], source: Path) -> Iterator[Iterator[_Answer]]:
    """``read_ahead`` by what calls ``stored_size``."""
    with warnings.catch_warnings():  # not in the threads, all of which have the same filters
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
        with read_ahead(read, items, f"{source}: images looked at") as found:
            yield found
