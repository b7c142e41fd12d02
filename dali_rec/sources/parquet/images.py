"""Images in the rows of Parquet and Arrow files: at their place, or a group of rows at a time, in their order."""

from __future__ import annotations

import bisect
import contextlib
import functools
import os
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dali_rec._files import read_regular
from dali_rec.errors import ImageRejectedError
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.parquet.row_files import READ_ERRORS, open_rows
from dali_rec.sources.pixels import from_base64

if TYPE_CHECKING:
    from collections.abc import Generator

    from dali_rec.sources.parquet.row_files import RowFile

# Before what says where an image is, behind the path that its row gives. The relative path of a file never holds it.
_PLACE = "//"
# A group of rows of so many bytes is read whole, a larger one piece by piece.
_WHOLE = 32 << 20
_PIECE = 8 << 20
# Images that were read before they were asked for: so many bytes are kept, and so many images whatever their size.
_MOST_BYTES = 64 << 20
_MOST_IMAGES = 64
# A group that one process reads has no more rows, about as many as are begun for each process, or no more bytes.
_FEW_ROWS = 128
_MOST_TOGETHER = 128 << 20
# Threads may be in several groups where one ends, and so may a file that is read in several places.
_MOST_OPEN = 4
# Files that are read at any place are mapped into memory, which takes little more than addresses.
_MOST_MAPPED = 1024


def parquet_location(file: str, row: int, path: str | None) -> str:
    """What a sample has for the location of the image in a row of a file, with the path that the row gives it."""
    # A .lst cannot hold these.
    is_listed = path is not None and not any(character in path for character in "\t\r\n")
    return f"{with_slashes(path)}{_PLACE}{file}#{row}" if path and is_listed else f"{file}#{row}"


class ParquetImages:
    """The images in a column of the files below ``folder``: a location is ORIGIN//FILE#ROW, or FILE#ROW.

    ORIGIN is the path that the row gives its image, if it gives one, and ROW counts from 0 in the file. A group of rows
    is read once where images are asked for in the order of the rows, or nearly so, by whatever number of threads. Of
    Arrow files that are not compressed any image is read at its place.

    has_backslashes: whether paths of images that are not in the file have the backslashes of Windows for /.
    """

    stays_here: ClassVar[bool] = False

    def __init__(self, folder: str, column: str, token: str | None = None, *, has_backslashes: bool = False) -> None:
        self._folder = folder
        self._column = column
        self._has_backslashes = has_backslashes
        self._token = token or uuid.uuid4().hex
        self._rows = _Rows(folder, column)

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes, in each of which all that are the same share what they have read."""
        return _in_this_process, (self._folder, self._column, self._token, self._has_backslashes)

    def holds(self, _location: str) -> bool:
        """All locations are these."""
        return True

    def listed(self, location: str) -> str:
        """See HeldImages: the path that the row gives, or the file and the row."""
        origin, _, place = location.rpartition(_PLACE)
        return (origin.replace("\\", "/") if self._has_backslashes else origin) or place

    def file_of(self, location: str) -> str:
        """See HeldImages: the Parquet or Arrow file."""
        return os.path.join(self._folder, _file_and_row(location)[0])  # noqa: PTH118  # a Path takes longer

    def absolute(self) -> ParquetImages:
        """See HeldImages."""
        folder = os.path.abspath(self._folder)  # noqa: PTH100
        return ParquetImages(folder, self._column, has_backslashes=self._has_backslashes)

    def read(self, location: str) -> bytes:
        """See HeldImages. Raises ImageRejectedError, with file and row, where the row has no image or is damaged."""
        file, row = _file_and_row(location)
        try:
            return self._bytes(self._rows.take(file, row), file)
        except READ_ERRORS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageRejectedError(f"{Path(self._folder, file)}, row {row}: {reason}") from None

    def group_of(self, location: str, images: int, groups: int) -> object:
        """The group of rows that an image is in, if it is small enough for other processes to be at others meanwhile.

        images, groups: how many are packed, and how many groups at a time: twice as many there must be in all.
        """
        file, row = _file_and_row(location)
        try:
            opened = self._rows.opened(file)
        except READ_ERRORS:  # reading will say it
            return None
        if row >= opened.starts[-1] or opened.getter(self._column) is not None:  # the file has changed, or has no need
            return None
        number = bisect.bisect_right(opened.starts, row) - 1
        rows = opened.starts[number + 1] - opened.starts[number]
        is_small = opened.size_of(number) <= _MOST_TOGETHER and 2 * groups * rows <= images
        return (file, number) if rows <= _FEW_ROWS or is_small else None

    def _bytes(self, value: Any, file: str) -> bytes:
        path = None
        if isinstance(value, dict):
            value, path = value["bytes"] or None, value.get("path")
        if value is None and path:  # of images that were not put into the file
            beside = os.path.dirname(os.path.join(self._folder, file))  # noqa: PTH118, PTH120
            path = path.replace("\\", "/") if self._has_backslashes else path
            return read_regular(os.path.join(beside, path))[0]  # noqa: PTH118
        if value is None:
            raise ValueError(f"{self._column!r} is empty")
        return from_base64(value) if isinstance(value, str) else bytes(value)


@functools.lru_cache(maxsize=2)
def _in_this_process(folder: str, column: str, token: str, has_backslashes: bool) -> ParquetImages:
    return ParquetImages(folder, column, token, has_backslashes=has_backslashes)


def _file_and_row(location: str) -> tuple[str, int]:
    file, _, row = location.rpartition(_PLACE)[2].rpartition("#")
    return file, int(row)


@dataclass(slots=True)
class _Group:
    """A group that is being read: the row that comes next, and the values from there on, a piece at a time."""

    next_row: int
    stop: int
    pieces: Generator[list[Any]]


class _Rows:
    """The values of a column by file and row, for many threads: those read too early are kept until asked for."""

    def __init__(self, folder: str, column: str) -> None:
        self._folder = folder
        self._column = column
        self._lock = threading.Lock()
        self._lock_of_opened = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._kept_bytes = 0
        self._opened: OrderedDict[str, RowFile] = OrderedDict()
        self._open: OrderedDict[tuple[str, int], _Group] = OrderedDict()
        # Of damaged groups the row from which on nothing can be read, and why.
        self._damaged: dict[tuple[str, int], tuple[int, str]] = {}

    def take(self, file: str, row: int) -> Any:
        """The value in a row, which is not kept any longer. Raises one of READ_ERRORS."""
        with self._lock:
            if (file, row) in self._kept:
                return self._forget((file, row))
            opened = self.opened(file)
            if row >= opened.starts[-1]:
                raise ValueError(f"the file has {opened.starts[-1]:,} rows; has it changed?")
            get = opened.getter(self._column)
            if get is None:
                return self._from_group(file, bisect.bisect_right(opened.starts, row) - 1, row)
        return get(row)

    def _from_group(self, file: str, number: int, row: int) -> Any:
        """The value in a row of a group, if nothing before it is damaged."""
        first_bad, reason = self._damaged.get((file, number), (row + 1, ""))
        if row >= first_bad:
            raise ValueError(reason)
        return self._read_on(file, number, row)

    def _read_on(self, file: str, number: int, row: int) -> Any:
        """The value in a row of a group, which is read up to there."""
        group = self._open.get((file, number))
        if group is None or group.next_row > row:
            group = self._begin(file, number)
        self._open.move_to_end((file, number))
        while True:
            first = group.next_row
            try:
                values = next(group.pieces)
            except (*READ_ERRORS, StopIteration) as error:
                reason = " ".join(str(error).split()) or "it ends too early"
                self._damaged[file, number] = (first, f"the row group cannot be read ({reason})")
                self._end(file, number)
                raise ValueError(self._damaged[file, number][1]) from None
            group.next_row += len(values)
            for at, value in enumerate(values, first):
                if at != row:
                    self._keep((file, at), value)
            if group.next_row == group.stop:
                self._end(file, number)
            if row < first + len(values):
                self._drop_oldest()
                return values[row - first]
            self._drop_oldest()

    def _begin(self, file: str, number: int) -> _Group:
        opened = self.opened(file)
        if (file, number) in self._open:
            self._end(file, number)
        while len(self._open) >= _MOST_OPEN:
            self._end(*next(iter(self._open)))
        start, stop = opened.starts[number : number + 2]
        size = opened.size_of(number)
        at_once = stop - start if size <= _WHOLE else max(1, (stop - start) * _PIECE // size)
        group = _Group(start, stop, opened.values_of(number, self._column, at_once))
        self._open[file, number] = group
        return group

    def _end(self, file: str, number: int) -> None:
        group = self._open.pop((file, number))
        with contextlib.suppress(OSError):
            group.pieces.close()

    def opened(self, file: str) -> RowFile:
        """A file, and so how its rows are grouped."""
        with self._lock_of_opened:
            if file not in self._opened:
                self._opened[file] = opened = open_rows(os.path.join(self._folder, file))  # noqa: PTH118
                most = _MOST_OPEN if opened.getter(self._column) is None else _MOST_MAPPED
                while len(self._opened) > most:
                    self._opened.popitem(last=False)
            return self._opened[file]

    def _keep(self, place: tuple[str, int], value: Any) -> None:
        if place not in self._kept:
            self._kept[place] = value
            self._kept_bytes += _size(value)

    def _forget(self, place: tuple[str, int]) -> Any:
        value = self._kept.pop(place)
        self._kept_bytes -= _size(value)
        return value

    def _drop_oldest(self) -> None:
        while self._kept_bytes > _MOST_BYTES and len(self._kept) > _MOST_IMAGES:
            self._forget(next(iter(self._kept)))


def _size(value: Any) -> int:
    image = value["bytes"] if isinstance(value, dict) else value
    return 0 if image is None else len(image)
