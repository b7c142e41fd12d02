"""Images in arrays, stored as PNG: read by their rows, by any thread of any process."""

from __future__ import annotations

import functools
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.arrays.layout import ROW, Chunks
from dali_rec.sources.arrays.unpacked import unpack
from dali_rec.sources.open_file import OpenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.sources.arrays.layout import ImageArray
    from dali_rec.sources.arrays.unpacked import UnpackedRows

_FILES_OPEN = 16
# Threads may be in two where one ends and the next begins.
_UNPACKED_AT_ONCE = 2


class ArrayImages:
    """The images of arrays in files below ``folder``: a location is ``FILE#ROW``, or ``FILE//MEMBER#ROW``.

    ROW counts from 0. What is compressed is read once where images are asked for in the order of the rows, or nearly
    so, by whatever number of threads; up to 64 MB of what was unpacked last are kept.
    """

    stays_here: ClassVar[bool] = False

    def __init__(self, folder: str, arrays: Sequence[ImageArray], token: str | None = None) -> None:
        self._folder = folder
        self._arrays = {array.place: array for array in arrays}
        self._token = token or uuid.uuid4().hex
        self._files = functools.lru_cache(_FILES_OPEN)(OpenFile)
        self._unpacked = functools.lru_cache(_UNPACKED_AT_ONCE)(functools.partial(_unpack, folder))
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes, in each of which all that are the same share what they have unpacked."""
        return _in_this_process, (self._folder, tuple(self._arrays.values()), self._token)

    def holds(self, _location: str) -> bool:
        """All locations are these."""
        return True

    def listed(self, location: str) -> str:
        """See HeldImages: the file, the array in it, and the row."""
        return location

    def file_of(self, location: str) -> str:
        """See HeldImages."""
        return _path(self._folder, self._arrays[location.rpartition(ROW)[0]])

    def absolute(self) -> ArrayImages:
        """See HeldImages."""
        return ArrayImages(os.path.abspath(self._folder), tuple(self._arrays.values()))  # noqa: PTH100

    def read(self, location: str) -> bytes:
        """See HeldImages. Raises ImageRejectedError where the file has become shorter or is not there any more.

        Raises SourceError where an array cannot be unpacked: which images before are whole is then not known.
        """
        place, _, row = location.rpartition(ROW)
        array = self._arrays[place]
        try:
            data = self._data(array, int(row))
        except SourceError:
            raise
        except (OSError, ValueError) as error:
            raise ImageRejectedError(f"{_path(self._folder, array)}, row {row}: {error}") from None
        return array.shape.encode(data)

    def _data(self, array: ImageArray, row: int) -> bytes:
        if array.packed is not None:
            with self._lock:  # or threads that come at once would unpack it several times
                unpacked = self._unpacked(array)
            return unpacked.read(row)
        return self._files(_path(self._folder, array)).read(array.start + row * array.step, array.shape.size)


@functools.lru_cache(maxsize=2)
def _in_this_process(folder: str, arrays: tuple[ImageArray, ...], token: str) -> ArrayImages:
    return ArrayImages(folder, arrays, token)


def _unpack(folder: str, array: ImageArray) -> UnpackedRows:
    path = _path(folder, array)
    if isinstance(array.packed, Chunks):
        from dali_rec.sources.arrays.hdf5 import read_chunks

        return read_chunks(path, array)
    return unpack(path, OpenFile(path), array)


def _path(folder: str, array: ImageArray) -> str:
    return os.path.join(folder, *array.file.split("/"))  # noqa: PTH118  # a Path takes longer
