"""The sizes of images, read from their files ahead of where they are wanted."""

from __future__ import annotations

import contextlib
import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from dali_rec.errors import ImageRejectedError
from dali_rec.images import StoredSize, size_in, stored_size
from dali_rec.sources.ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from dali_rec.sources.walk import Folder

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def read_sizes(root: Folder, files: Iterable[str], source: Path) -> AbstractContextManager[Iterator[StoredSize | None]]:
    """Give the ``stored_size`` of each file in ``root``, in their order. source: what lists them, for messages."""
    return read_sized(functools.partial(_size_of, root), files, source)


def _size_of(root: Folder, file: str) -> StoredSize | None:
    if isinstance(root, Path):
        return stored_size(root / file)
    try:
        with root.open(file) as opened:
            return size_in(opened)
    except ImageRejectedError:
        return None


@contextlib.contextmanager
def read_sized(read: Callable[[_Item], _Answer], items: Iterable[_Item], source: Path) -> Iterator[Iterator[_Answer]]:
    """``read_ahead`` by what calls ``stored_size``."""
    with warnings.catch_warnings():  # not in the threads, all of which have the same filters
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
        with read_ahead(read, items, f"{source}: images looked at") as found:
            yield found
