"""Reading .rec files: mapped into memory, handed out without copying."""

from __future__ import annotations

import contextlib
import errno
import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec._disks import map_file
from dali_rec._files import as_path, require_name
from dali_rec.errors import DatasetError, DatasetNotFoundError, IndexFileError
from dali_rec.recordio.framing import HEAD, MAGIC, Buffer, next_record, read_record
from dali_rec.recordio.header import HEADER, unpack_header
from dali_rec.recordio.index import Index, index_path_of, read_index, signed, unsigned

if TYPE_CHECKING:
    import mmap
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

_LABELS_SHOWN = 8
_HEADER_WORDS = (HEAD.size + HEADER.size) // 4


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Record:
    """An image record. A notebook shows its picture.

    ``key``: the id in its header. ``labels``: float32 of shape (number of labels,). ``image``: the encoded bytes (JPEG,
    PNG, …), a view into the mapped file.
    """

    key: int
    labels: NDArray[np.float32]
    image: memoryview

    def __repr__(self) -> str:
        more = ", …" if len(self.labels) > _LABELS_SHOWN else ""
        labels = ", ".join(f"{label:g}" for label in self.labels[:_LABELS_SHOWN].tolist())
        return f"<Record {self.key}: labels [{labels}{more}], image of {len(self.image):,} bytes>"

    def _repr_html_(self) -> str:
        from dali_rec.images import html_thumbnail

        return f"{html_thumbnail(self.image)}<div>{html.escape(repr(self))}</div>"


def _with_remedy(error: OSError, path: Path) -> OSError:
    if error.errno != errno.EMFILE:
        return error
    # Python's map keeps the file open.
    text = "too many open files: a data set takes one for each shard; allow more, as by 'ulimit -n 65536'"
    return OSError(errno.EMFILE, text, str(path))


class RecordReader:
    """Random and sequential access to the records of one .rec file.

    The file is mapped, not read: memoryviews point into the map and stay valid as long as they are held. Replace a
    .rec by renaming a new file over it, never by writing into it: a map whose file shrinks kills the process (SIGBUS).

    ``index_path`` defaults to the .idx beside the file; it is read when keys are first asked for, and made in memory
    from the record heads where there is none.
    """

    def __init__(self, path: str | os.PathLike[str], index_path: str | os.PathLike[str] | None = None) -> None:
        self.path = require_name(as_path(path))
        self._index_path = as_path(index_path) if index_path is not None else index_path_of(self.path)
        self._index_is_required = index_path is not None
        self._map: mmap.mmap | None = None
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            raise DatasetNotFoundError(f"{self.path}: no such file; 'dali-rec pack' makes .rec files") from None
        except OSError as error:
            raise _with_remedy(error, self.path) from None
        with file:
            if self.path.stat().st_size == 0:  # an empty file cannot be mapped
                self._buffer: Buffer | None = memoryview(b"")
            else:
                try:
                    self._map = map_file(file, self.path)
                except OSError as error:
                    raise _with_remedy(error, self.path) from None
                self._buffer = memoryview(self._map)
        self._size = len(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Memoryviews handed out before keep the map alive until they are gone."""
        if isinstance(self._buffer, memoryview):
            with contextlib.suppress(BufferError):
                self._buffer.release()
        self._buffer = None
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()
            self._map = None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    @property
    def buffer(self) -> Buffer:
        """The whole file as a read-only buffer, valid until ``close``. Raises DatasetError after it."""
        if self._buffer is None:
            raise DatasetError(f"{self.path}: it was closed; open it again to read from it")
        return self._buffer

    def end_of(self, offset: int) -> int:
        """Offset just past the record at ``offset``, from its heads alone. Raises as ``read_at`` does."""
        return next_record(self.buffer, offset, str(self.path))

    def read_at(self, offset: int) -> memoryview:
        """The payload of the record at byte ``offset``; a copy only if the record is split.

        Raises CorruptRecordError or TruncatedRecordError, naming file and offset.
        """
        return read_record(self.buffer, offset, str(self.path))

    def record_at(self, offset: int) -> Record:
        """The image record at byte ``offset``."""
        payload = self.read_at(offset)
        header, image = unpack_header(payload, f"{self.path}: record at offset {offset}")
        return Record(header.id, header.labels, image)

    def offsets(self) -> Iterator[int]:
        """Byte offsets of all records in file order, touching only their heads."""
        offset, size, name = 0, self.size, str(self.path)
        while offset < size:
            following = next_record(self.buffer, offset, name)
            yield offset
            offset = following

    def __iter__(self) -> Iterator[memoryview]:
        """The payloads of all records in file order."""
        return (self.read_at(offset) for offset in self.offsets())

    def records(self) -> Iterator[Record]:
        """The image records in file order."""
        return (self.record_at(offset) for offset in self.offsets())

    def build_index(self, progress: Callable[[int, int], None] | None = None) -> Index:
        """An index made from the file: each record's id, in file order. Reads record heads and headers only.

        progress: called with (bytes passed, bytes in all).
        """
        every = self.offsets() if progress is None else self._told(progress)
        offsets = np.fromiter(every, np.int64)
        return Index(self.ids_at(offsets), offsets)

    def _told(self, progress: Callable[[int, int], None]) -> Iterator[int]:
        for offset in self.offsets():
            progress(offset, self.size)
            yield offset
        progress(self.size, self.size)

    def ids_at(self, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids in the headers of the records at these offsets, as the keys of an Index. Raises as ``read_at`` does.

        The keys of an .idx are others where MXNet's rec2idx made it, which numbers the records from 0.
        """
        words, at, plain = self._heads_at(offsets)
        keys = (words[at + 4].astype(np.uint64) | words[at + 5].astype(np.uint64) << np.uint64(32)).view(np.int64)
        for row in np.flatnonzero(~plain).tolist():  # split records, and whatever is wrong, which is said
            keys[row] = signed(self.record_at(int(offsets[row])).key)
        return keys

    def first_labels_at(self, offsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """The first label of the records at these offsets, shape (N,). Raises as ``record_at`` does."""
        words, at, plain = self._heads_at(offsets)
        places = np.where(words[at + 2] > 0, at + _HEADER_WORDS, at + 3)
        labels: NDArray[np.float32] = words[np.where(plain, places, at)].view("<f4")
        for row in np.flatnonzero(~plain).tolist():
            labels[row] = self.record_at(int(offsets[row])).labels[0]
        return labels

    def _heads_at(self, offsets: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
        """The words of the file, where in them records begin, and which of these are in one part and whole."""
        words = np.frombuffer(self.buffer, "<u4", self.size // 4)
        if len(words) < _HEADER_WORDS:
            words = np.zeros(_HEADER_WORDS, "<u4")
        at = np.minimum(offsets >> 2, len(words) - _HEADER_WORDS)
        length, flag = words[at + 1].astype(np.int64), words[at + 2].astype(np.int64)
        plain = (offsets & 3 == 0) & (at == offsets >> 2) & (words[at] == MAGIC)
        plain &= (length < 1 << 29) & (length >= HEADER.size + 4 * flag) & (at + 2 + (length + 3 >> 2) <= len(words))
        return words, at, plain

    @cached_property
    def index(self) -> Index:
        """The index, from the .idx file where there is one and from the records otherwise."""
        if not self._index_path.exists():
            if self._index_is_required:
                raise DatasetNotFoundError(
                    f"{self._index_path}: no such file; rebuild it with 'dali-rec index {self.path}'"
                )
            return self.build_index()
        index = read_index(self._index_path)
        self._check_offsets(index)
        return index

    def _check_offsets(self, index: Index) -> None:
        beyond = index.offsets >= self.size
        if beyond.any():
            at = int(beyond.argmax())
            raise IndexFileError(
                f"{self._index_path}: record {unsigned(int(index.keys[at]))} is said to be at offset "
                f"{int(index.offsets[at])}, but {self.path} has only {self.size} bytes: one of the two belongs to "
                f"another data set or was cut short; rebuild the index with 'dali-rec index {self.path}'"
            )

    @cached_property
    def _by_key(self) -> Index:
        """The index by ascending key; those of one key in its own order. A dictionary takes ten times the memory."""
        order = np.argsort(self.index.keys, kind="stable")
        return Index(self.index.keys[order], self.index.offsets[order])

    def __len__(self) -> int:
        """Number of records in the index."""
        return len(self.index)

    def keys(self) -> list[int]:
        """The keys in the order of the index."""
        return [unsigned(key) for key in self.index.keys.tolist()]

    def read(self, key: int) -> memoryview:
        """The payload of the record with this key in the index. Raises KeyError."""
        return self.read_at(self._offset_of_key(key))

    def record(self, key: int) -> Record:
        """The image record with this key in the index. Raises KeyError."""
        return self.record_at(self._offset_of_key(key))

    def _offset_of_key(self, key: int) -> int:
        stored = signed(key)
        if -(1 << 63) <= stored < 1 << 63:
            # Of a key that stands twice the later line counts, as in MXIndexedRecordIO.
            row = int(np.searchsorted(self._by_key.keys, stored, side="right")) - 1
            if row >= 0 and self._by_key.keys[row] == stored:
                return int(self._by_key.offsets[row])
        raise KeyError(f"{self.path}: no record with id {key} in its index")

    def __repr__(self) -> str:
        return f"RecordReader({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its path: every process maps the file for itself."""
        return (RecordReader, (self.path, self._index_path if self._index_is_required else None))
