"""mx.recordio, as MXNet 1.9.1 has it, byte for byte.

Files are written in place and record by record, as MXNet does it. For new work RecordWriter is better: what it writes
is complete under its name or not there.
"""

from __future__ import annotations

import os
import struct
from numbers import Number
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from dali_rec._numbers import parse_int
from dali_rec.errors import IndexFileError
from dali_rec.recordio.framing import frame
from dali_rec.recordio.header import HEADER
from dali_rec.recordio.reader import RecordReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["IRHeader", "MXIndexedRecordIO", "MXRecordIO", "pack", "pack_img", "unpack", "unpack_img"]


# Scripts that unpack records themselves take these, and struct, from here.
_IR_FORMAT = "IfQQ"
_IR_SIZE = struct.calcsize(_IR_FORMAT)


class IRHeader(NamedTuple):
    """The header of an image record: ``label`` is a number, or an array of float32 of shape (flag,)."""

    flag: int
    label: Any
    id: int
    id2: int


class MXRecordIO:
    """Reads (``flag`` "r") or writes ("w") a .rec file one record after another.

    Once it is closed ``read`` and ``write`` raise RuntimeError, and so they do in a forked process, where they would go
    on from another place than the parent. There ``reset`` begins anew, and ``close`` leaves what is still to be written
    to the parent. An open reader that was pickled comes back open, at the beginning.
    """

    def __init__(self, uri: str | os.PathLike[str], flag: str) -> None:
        self.uri = os.fspath(uri)
        self.flag = flag
        self.is_open = False
        self.pid: int | None = None
        self.open()

    def open(self) -> None:
        """Open the file; for writing, empty it."""
        if self.flag not in ("r", "w"):
            raise ValueError(f"Invalid flag {self.flag!r}: expected 'r' or 'w'")
        self.writable = self.flag == "w"
        self._reader: RecordReader | None = None
        self._file: IO[bytes] | None = None
        if self.writable:
            self._file = open(self.uri, "wb")  # noqa: SIM115, PTH123  # closed by close
        else:
            self._reader = RecordReader(self.uri)
        self._position = 0
        self.is_open = True
        self.pid = os.getpid()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if not self.is_open:
            return
        if self._file is not None:
            _close(self._file, is_ours=self.pid == os.getpid())
        if self._reader is not None:
            self._reader.close()
        self.is_open = False
        self.pid = None

    def __del__(self) -> None:
        if getattr(self, "is_open", False):
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.is_open and self.writable:
            raise TypeError(f"{self.uri} is open for writing: close it before it is pickled")
        return {**self.__dict__, "_reader": None, "_file": None, "is_open": False, "_was_open": self.is_open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        was_open = state.pop("_was_open")
        self.__dict__.update(state)
        if was_open:
            self.open()

    def _require_open_here(self) -> None:
        if self.pid != os.getpid():
            why = "is closed" if self.pid is None else "was opened by another process"
            raise RuntimeError(f"{self.uri} {why}: open it here first, or call reset()")

    def reset(self) -> None:
        """Go back to the beginning; a file that is written is emptied."""
        self.close()
        self.open()

    def write(self, buf: bytes) -> None:
        """Append a record."""
        if not self.writable:
            raise ValueError(f"{self.uri} is open for reading")
        self._require_open_here()
        assert self._file is not None
        for chunk in frame(buf):
            self._position += self._file.write(chunk)

    def read(self) -> bytes | None:
        """The next record, or None at the end. Raises CorruptRecordError or TruncatedRecordError for a damaged file."""
        if self.writable:
            raise ValueError(f"{self.uri} is open for writing")
        self._require_open_here()
        assert self._reader is not None
        if self._position >= self._reader.size:
            return None
        payload = bytes(self._reader.read_at(self._position))
        self._position = self._reader.end_of(self._position)
        return payload


class MXIndexedRecordIO(MXRecordIO):
    """A .rec file with its .idx: ``keys`` in the order of the file, ``idx`` from key to offset."""

    def __init__(
        self,
        idx_path: str | os.PathLike[str],
        uri: str | os.PathLike[str],
        flag: str,
        key_type: Callable[[Any], Any] = int,
    ) -> None:
        self.idx_path = os.fspath(idx_path)
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        self.key_type = key_type
        self.fidx: IO[str] | None = None
        super().__init__(uri, flag)

    def open(self) -> None:
        """Open the file and its index."""
        super().open()
        self.idx, self.keys = {}, []
        if self.writable:
            self.fidx = open(self.idx_path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115, PTH123  # closed by close
            return
        with open(self.idx_path, encoding="utf-8") as file:  # noqa: PTH123
            for number, line in enumerate(file, start=1):
                if line.strip():
                    key, offset = self._entry(line, number)
                    self.idx[key] = offset
                    self.keys.append(key)

    def _entry(self, line: str, number: int) -> tuple[Any, int]:
        columns = line.strip().split("\t" if "\t" in line else None)  # as MXNet, which passes over more columns
        key_of = parse_int if self.key_type is int else self.key_type
        try:
            return key_of(columns[0]), parse_int(columns[1])
        except (IndexError, ValueError):
            raise IndexFileError(
                f"{self.idx_path}, line {number}: {line.strip()[:60]!r} is not 'key<TAB>offset'; rebuild it with "
                f"'dali-rec index {self.uri}'"
            ) from None

    def close(self) -> None:
        """Close the file and its index."""
        is_ours = self.pid == os.getpid()
        super().close()
        if self.fidx is not None:
            _close(self.fidx, is_ours=is_ours)
            self.fidx = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "fidx": None}

    def seek(self, idx: Any) -> None:
        """Make the record with this key the next one that ``read`` gives.

        Opens the file anew if it is closed, or was opened by another process. Raises KeyError for another key, and
        IndexFileError if the .idx names a place that is not in the file.
        """
        if self.writable:
            raise ValueError(f"{self.uri} is open for writing")
        if self.pid != os.getpid():
            self.reset()
        if idx not in self.idx:
            known = f"{self.keys[0]} … {self.keys[-1]}" if self.keys else "none"
            raise KeyError(f"{self.idx_path} has no record {idx!r}; the keys are {known}")
        assert self._reader is not None
        if not 0 <= self.idx[idx] < self._reader.size:
            raise IndexFileError(
                f"{self.idx_path}: record {idx} is said to be at offset {self.idx[idx]}, but {self.uri} has "
                f"{self._reader.size} bytes: rebuild the index with 'dali-rec index {self.uri}'"
            )
        self._position = self.idx[idx]

    def tell(self) -> int:
        """Byte offset at which the next record will be written."""
        if not self.writable:
            raise ValueError(f"{self.uri} is open for reading")
        return self._position

    def read_idx(self, idx: Any) -> bytes | None:
        """The record with this key."""
        self.seek(idx)
        return self.read()

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Append a record under this key."""
        key, position = self.key_type(idx), self.tell()
        self.write(buf)
        assert self.fidx is not None
        self.fidx.write(f"{key}\t{position}\n")
        self.idx[key] = position
        self.keys.append(key)


def _close(file: IO[Any], *, is_ours: bool) -> None:
    """Close a file. What is in the buffer of one that is not ours is dropped: the parent of this process writes it."""
    if not is_ours:
        # Python has no way to close a file without writing its buffer, so that goes to nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)
    file.close()


def pack(header: IRHeader | tuple[int, Any, int, int], s: bytes) -> bytes:
    """A header and a payload as one record. A label that is not a number is stored as an array of float32."""
    _, label, key, id2 = header
    if isinstance(label, Number):
        return HEADER.pack(0, label, key, id2) + s
    labels = np.asarray(label, dtype=np.float32)
    return HEADER.pack(labels.size, 0, key, id2) + labels.tobytes() + s


def unpack(s: bytes) -> tuple[IRHeader, bytes]:
    """The header and the payload of a record."""
    header = IRHeader(*HEADER.unpack_from(s))
    s = s[HEADER.size :]
    if header.flag > 0:
        header = header._replace(label=np.frombuffer(s, np.float32, header.flag))
        s = s[4 * header.flag :]
    return header, s


def unpack_img(s: bytes, iscolor: int = -1) -> tuple[IRHeader, Any]:
    """The header and the decoded image of a record: uint8, BGR, or None if OpenCV cannot decode it.

    iscolor: as cv2.imdecode takes it: 1 colour, 0 grey, -1 as it is.
    """
    header, s = unpack(s)
    return header, cv2.imdecode(np.frombuffer(s, dtype=np.uint8), iscolor)


def pack_img(
    header: IRHeader | tuple[int, Any, int, int], img: NDArray[np.uint8], quality: int = 95, img_fmt: str = ".jpg"
) -> bytes:
    """An image, uint8 BGR, encoded and packed. ``quality``: of JPEG, 1 to 100, or the compression of PNG, 1 to 9."""
    kind = img_fmt.upper()
    parameters: list[int] = []
    if kind in (".JPG", ".JPEG"):
        parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    elif kind == ".PNG":
        parameters = [cv2.IMWRITE_PNG_COMPRESSION, min(quality, 9)]  # OpenCV does the same, with a warning
    done, encoded = cv2.imencode(img_fmt, img, parameters)
    if not done:
        raise ValueError(f"the image cannot be encoded as {img_fmt}")
    return pack(header, encoded.tobytes())
