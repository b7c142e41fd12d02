"""The .idx file: one line ``key<TAB>offset`` for each record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._disks import read_named
from dali_rec._files import as_path, atomic_write
from dali_rec._numbers import distinct
from dali_rec.errors import IndexFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_LINE = re.compile(rb"\s*(-?\d{1,20})[ \t]+(\d{1,19})\s*")
_PART = re.compile(r"\.part\d+")
# Lines without their digits.
_USUAL_LINES = (b"\t\n", b"\t\r\n", b" \n", b" \r\n")
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

    @property
    def repeated(self) -> int:
        """How many records have a key that another record has too, the last of each not counted."""
        return len(self.keys) - len(distinct(self.keys))

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[int, int]]) -> Index:
        """An index from (key, offset) pairs."""
        table = np.array([(signed(key), offset) for key, offset in pairs], dtype=np.int64).reshape(-1, 2)
        return cls(table[:, 0].copy(), table[:, 1].copy())


def index_path_of(path: Path) -> Path:
    """The .idx beside a .rec file; beside a part of the C++ im2rec, x.rec.part000, its own, x.rec.part000.idx."""
    return path.with_name(f"{path.name}.idx") if _PART.fullmatch(path.suffix) else path.with_suffix(".idx")


def signed(key: int) -> int:
    """An unsigned 64-bit id as the int64 with the same bits."""
    return key - (1 << 64) if key >= 1 << 63 else key


def unsigned(key: int) -> int:
    """The id of a record, 0…2^64-1, from the int64 that an Index keeps."""
    return key + (1 << 64) if key < 0 else key


def read_index(path: str | os.PathLike[str]) -> Index:
    """Read an .idx file. Raises IndexFileError, with the line, for anything but two whole numbers a line."""
    path = as_path(path)
    return parse_index(read_named(path), str(path))


def parse_index(data: bytes, path: str) -> Index:
    """The index in the bytes of the file ``path``; raises as ``read_index`` does."""
    table = _parse_table(data)
    return (
        _read_slowly(path, data) if table is None else Index(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64))
    )


def _parse_table(data: bytes) -> NDArray[np.uint64] | None:
    """The numbers of a file whose lines all look alike, shape (N, 2), parsed in C (a million lines in 0.05 s).

    None where they do not, and where a number may be too large.
    """
    between = data.translate(None, delete=b"0123456789")
    line = between[: between.find(b"\n") + 1]
    if line not in _USUAL_LINES:
        return None
    if not data.endswith(b"\n"):
        between += line[1:]
    lines = len(between) // len(line)
    if between != line * lines:
        return None
    numbers = np.fromstring(data, dtype=np.uint64, sep=" ")
    if len(numbers) != 2 * lines:  # one is missing
        return None
    table = numbers.reshape(-1, 2)
    # Numbers past 64 bits come out as the largest.
    is_sure = table[:, 0].max() < np.iinfo(np.uint64).max and table[:, 1].max() <= np.iinfo(np.int64).max
    return table if is_sure else None


def _read_slowly(path: str, data: bytes) -> Index:
    pairs = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        pair = (int(match[1]), int(match[2])) if match is not None else None
        if pair is None or not (-(1 << 63) <= pair[0] < 1 << 64 and pair[1] < 1 << 63):
            shown = line[:60].decode("utf-8", "replace").rstrip("\r")
            raise IndexFileError(
                f"{path}, line {number}: {shown!r} is not 'key<TAB>offset', two whole numbers of 64 bits; rebuild it "
                f"with 'dali-rec index {path.removesuffix('.idx')}.rec'"
            )
        pairs.append(pair)
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
