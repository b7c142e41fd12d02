"""Files that stay open, and of which any thread reads any part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dali_rec._files import open_regular, read_at

if TYPE_CHECKING:
    from typing_extensions import Self


class OpenFile:
    """A file that is closed behind a ``with``, or when nobody has it any more, in whichever thread that is."""

    def __init__(self, path: str) -> None:
        self._descriptor = -1
        self._descriptor, self._status = open_regular(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def size(self) -> int:
        """In bytes, when it was opened."""
        return self._status.st_size

    def read(self, start: int, size: int) -> bytes:
        """So many bytes from a place on; many threads may read at a time. Raises ValueError where there are fewer."""
        data = read_at(self._descriptor, start, size)
        if len(data) < size:
            raise ValueError(
                f"{size - len(data):,} of its {size:,} bytes from byte {start} on are missing: it was cut off"
            )
        return data

    def read_up_to(self, start: int, size: int) -> bytes:
        """So many bytes from ``start`` on, or what there is."""
        return read_at(self._descriptor, start, size)
