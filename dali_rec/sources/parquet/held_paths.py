"""Paths of images that are not in the file that names them, as Windows writes them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec.sources.parquet.images import ParquetImages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dali_rec.sources.sample import Source


class HeldPaths:
    """Whether all paths with backslashes are those of files, relative to the file of the row, if / stands for these.

    Rows with the image itself may have such paths as well, of files that are nowhere: then it is said of none.
    """

    def __init__(self, name: str, folder: str, column: str) -> None:
        self._name = name
        self._folder = folder
        self._column = column
        self._first: tuple[str, str] | None = None
        self._may_be = os.sep == "/"  # Windows reads both

    def add(self, file: str, paths: Iterable[str | None]) -> None:
        """Look at the paths that some rows of a file give."""
        beside = os.path.dirname(os.path.join(self._folder, file))  # noqa: PTH118, PTH120
        for path in paths if self._may_be else ():
            if path is None or "\\" not in path:
                continue
            as_it_stands, place = (os.path.join(beside, one) for one in (path, path.replace("\\", "/")))  # noqa: PTH118
            if os.path.isfile(as_it_stands) or not os.path.isfile(place):  # noqa: PTH113  # False for what is no name
                self._may_be = False
                return
            self._first = self._first or (path, place)

    def in_source(self, source: Source) -> Source:
        """The source, with images that are found by paths with /, and a note of it, where all are there."""
        if not self._may_be or self._first is None:
            return source
        path, place = self._first
        note = f"{self._name}: its images are found with / for the backslashes of Windows: {path[:80]!r} is {place}"
        pixels = ParquetImages(self._folder, self._column, has_backslashes=True)
        return replace(source, pixels=pixels, notes=(*source.notes, note))
