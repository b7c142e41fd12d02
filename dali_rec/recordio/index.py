"""The .idx file: one line ``key<TAB>offset`` for each record."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import as_path, atomic_write
from dali_rec.errors import IndexFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_LINE = re.compile(rb"\s*(-?\d{1,20})[ \t]+(\d{1,19})\s*")
_LINES_PER_WRITE = 65536


class Index:
    """The keys and byte offsets of a .rec file's records, in the order of the index.

    ``keys`` and ``offsets`` are int64 of shape (N,). Ids from 2^63 up wrap to negative keys, as the sign bit does.
    """

    def __init__(self, keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        self.keys = keys
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Index):
            return NotImplemented
        return np.array_equal(self.keys, other.keys) and np.array_equal(self.offsets, other.offsets)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[int, int]]) -> Index:
        """An index from (key, offset) pairs."""
        table = np.array([(signed(key), offset) for key, offset in pairs], dtype=np.int64).reshape(-1, 2)
        return cls(table[:, 0].copy(), table[:, 1].copy())


def signed(key: int) -> int:
    """An unsigned 64-bit id as the int64 with the same bits."""
    return key - (1 << 64) if key >= 1 << 63 else key


def unsigned(key: int) -> int:
    """The id of a record, 0…2^64-1, from the int64 that an Index keeps."""
    return key + (1 << 64) if key < 0 else key


def read_index(path: str | os.PathLike[str]) -> Index:
    """Read an .idx file. Raises IndexFileError, with the line, for anything but two whole numbers a line."""
    path = as_path(path)
    return parse_index(path.read_bytes(), str(path))


def parse_index(data: bytes, path: str) -> Index:
    """The index in the bytes of the file ``path``; raises as ``read_index`` does."""
    numbers = _parse_numbers(data)
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if numbers is None or len(numbers) != 2 * lines:
        return _read_slowly(path, data)  # text, blank lines, or lines with other than two columns
    table = numbers.reshape(-1, 2)
    if table[:, 1].min() < 0 or table.max() == np.iinfo(np.int64).max:
        return _read_slowly(path, data)  # numbers past int64 come out as its largest
    return Index(table[:, 0].copy(), table[:, 1].copy())


def _parse_numbers(data: bytes) -> NDArray[np.int64] | None:
    """All whole numbers in ``data``, parsed in C (a million lines in 0.03 s), or None if it holds anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how NumPy says that it stopped early
        try:
            return np.fromstring(data, dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None


def _read_slowly(path: str, data: bytes) -> Index:
    pairs = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            shown = line[:60].decode("utf-8", "replace").rstrip("\r")
            raise IndexFileError(
                f"{path}, line {number}: {shown!r} is not 'key<TAB>offset', two whole numbers; rebuild it with "
                f"'dali-rec index {path.removesuffix('.idx')}.rec'"
            )
        pairs.append((int(match[1]), int(match[2])))
    return Index.from_pairs(pairs)


def write_index(path: str | os.PathLike[str], index: Index) -> None:
    """Write an .idx file atomically, in the order of ``index``."""
    with atomic_write(as_path(path)) as file:
        file.writelines(format_index(index))


def format_index(index: Index) -> Iterator[bytes]:
    """The bytes of an .idx file, many lines at a time."""
    for start in range(0, len(index), _LINES_PER_WRITE):
        stop = start + _LINES_PER_WRITE
        keys, offsets = index.keys[start:stop].tolist(), index.offsets[start:stop].tolist()
        lines = (f"{unsigned(key)}\t{offset}\n" for key, offset in zip(keys, offsets, strict=True))
        yield "".join(lines).encode("ascii")
