"""What stands before the values in a .npy, by itself or in a .npz: nothing in it is run, and no pickle is read."""

from __future__ import annotations

import math
import tokenize
import warnings
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 60
# What NumPy's own parser lets through.
_NO_HEADER = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)
# Version 3 is for names of fields alone.
_READ = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpyHeader(NamedTuple):
    """The type and shape of an array, and how many bytes the header takes."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    length: int

    @property
    def size(self) -> int:
        """The bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(where: str, file: IO[bytes], size: int) -> NpyHeader:
    """The header at the beginning of a file of so many bytes, which is left behind it.

    Raises SourceError, with ``where``, for what is no .npy, for pickled objects, columns first, and where the file has
    another length than it says.
    """
    try:
        with warnings.catch_warnings():  # of headers that Python 2 wrote, which are read
            warnings.simplefilter("ignore", UserWarning)
            shape, is_fortran, dtype = _READ[np.lib.format.read_magic(file)](file)
    except KeyError:
        raise SourceError(f"{where}: an array of named fields; save the images and the labels by themselves") from None
    except _NO_HEADER as error:
        raise SourceError(f"{where}: cannot be read as .npy ({_told(error)}); get it anew, or save it anew") from None
    if dtype.hasobject:
        raise SourceError(
            f"{where}: an array of objects, which are pickled, and never read; save plain numbers or strings"
        )
    if is_fortran and len(shape) > 1:
        raise SourceError(f"{where}: its columns come first; save numpy.ascontiguousarray of it")
    header = NpyHeader(dtype, tuple(max(side, 0) for side in shape), file.tell())
    expected = header.length + header.size
    if expected != size:
        what = "was cut off" if expected > size else "is longer than its header says"
        raise SourceError(
            f"{where}: {size:,} bytes, and {expected:,} are expected of {_shown(dtype, shape)}: it {what}; get it anew"
        )
    return header


def read_values(where: str, file: IO[bytes], header: NpyHeader) -> NDArray[Any]:
    """The values behind a header. Raises SourceError where they cannot be read."""
    try:
        # To the end, where zipfile checks the checksum.
        return np.frombuffer(file.read(), header.dtype).reshape(header.shape)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{where}: cannot be read ({_told(error)}); get it anew") from None


def _shown(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> str:
    return f"{' × '.join(map(str, shape)) or 'one'} {dtype.name}"


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN] or type(error).__name__
