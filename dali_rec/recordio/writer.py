"""Writing .rec and .idx files, atomically."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from array import array
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from dali_rec._disks import fsync, fsync_directory, naming, sync
from dali_rec._files import as_path, has_gone, naming_writes, own_partial_path, partial_path, publish
from dali_rec._locks import Lock, is_at, try_lock
from dali_rec._open_files import open_to_remove, refuse_open
from dali_rec.errors import OutputExistsError, UnwritableRecordError
from dali_rec.recordio.framing import Buffer, frame
from dali_rec.recordio.header import pack_header
from dali_rec.recordio.index import Index, format_index, index_path_of, signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

_BUFFER_BYTES = 1 << 20
_WRITE_BACK_BYTES = 32 << 20
_SECONDS_OF_CHANGE = 10.0  # in which a file may be renamed again and again by those who finish it


class RecordWriter:
    """Writes records to ``path`` and their index to the .idx beside it, byte for byte as MXNet does.

    Both files are written under temporary names and take their own on ``close``; leaving a ``with`` block by an
    exception, or dying, leaves nothing under the final names. An existing ``path`` is replaced at that moment; what
    dies then leaves the old records or the new ones, with their own index or none.

    In a process that is forked the files stay the parent's: there ``write`` and ``close`` raise RuntimeError, and
    ``abort`` and the end of the process leave them alone.

    Raises OutputExistsError if another process is writing the same file.
    """

    def __init__(self, path: str | os.PathLike[str], index_path: str | os.PathLike[str] | None = None) -> None:
        self.path = as_path(path)
        self.index_path = as_path(index_path) if index_path is not None else index_path_of(self.path)
        self._keys, self._offsets = array("q"), array("q")
        self._position = 0
        self._checksum = _Checksum()
        self._write_back = _WriteBack()
        self._buffer = bytearray()
        self._pid = os.getpid()
        self._file: IO[bytes] | None = None
        with naming_writes(self.path):
            self._file, self._temporary = _open_locked(self.path)
        is_own = self._temporary != partial_path(self.path)
        self._index_temporary = (own_partial_path if is_own else partial_path)(self.index_path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exception_type: object, *_exception: object) -> None:
        if exception_type is None:
            self.close()
        else:
            self.abort()

    def __len__(self) -> int:
        """Number of records written so far."""
        return len(self._keys)

    @property
    def position(self) -> int:
        """Bytes written so far: the offset of the next record."""
        return self._position

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes written so far, in hex, as ``sha256sum`` prints it."""
        return self._checksum.hexdigest(self._buffer)

    @property
    def index_sha256(self) -> str:
        """SHA-256 of the .idx file of what was written so far, in hex."""
        checksum = hashlib.sha256()
        for lines in format_index(self.index()):
            checksum.update(lines)
        return checksum.hexdigest()

    def write(self, payload: Buffer, key: int | None = None) -> int:
        """Append one payload; returns its offset. ``key`` in the index is the number of the record by default.

        Raises UnwritableRecordError, naming the file, for a payload of 2^29 bytes or more, and for a key that has more
        than 64 bits.
        """
        if self._file is None:
            raise ValueError(f"{self.path}: the writer is closed")
        self._refuse_fork()
        key = len(self._keys) if key is None else key
        if not -(1 << 63) <= key < 1 << 64:
            raise UnwritableRecordError(f"{self.path}: the key {key} has more than 64 bits")
        try:
            chunks = frame(payload)
        except UnwritableRecordError as error:
            raise UnwritableRecordError(f"{self.path}: record {key}, at offset {self._position}: {error}") from None
        offset = self._position
        for chunk in chunks:
            self._buffer += chunk
            self._position += len(chunk)
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush(self._file)
        self._keys.append(signed(key))
        self._offsets.append(offset)
        return offset

    def write_image(
        self, image: Buffer, labels: float | Sequence[float] | NDArray[Any], key: int | None = None, id2: int = 0
    ) -> int:
        """Append an image record: encoded ``image`` bytes with its labels under ``key``; returns its offset.

        A number is stored as MXNet stores a single label, a sequence as an array of labels. Raises
        UnwritableRecordError where DALI could not read the record back; see ``pack_header``.
        """
        key = len(self._keys) if key is None else key
        try:
            header = pack_header(labels, key, id2)
        except UnwritableRecordError as error:
            raise UnwritableRecordError(f"{self.path}: {error}") from None
        return self.write(b"".join((header, image)), key)

    def index(self) -> Index:
        """The index of what was written so far."""
        return Index(np.array(self._keys, dtype=np.int64), np.array(self._offsets, dtype=np.int64))

    def close(self) -> None:
        """Make the files durable and give them their names. Safe to call twice."""
        if self._file is None:
            return
        self._refuse_fork()
        file, self._file = self._file, None
        try:
            self._flush(file)
            with naming(self.path):
                self._write_back.finish()
                fsync(file)
            try:
                self._write_index(self._index_temporary)
            except FileNotFoundError as error:
                raise has_gone(self.index_path) from error
            with open_to_remove(file):
                self._publish()
        except BaseException:
            self._remove_partials(file)
            raise

    def _write_index(self, path: Path) -> None:
        with naming_writes(self.index_path), naming(self.index_path), path.open("wb") as file:
            file.writelines(format_index(self.index()))
            file.flush()
            fsync(file)

    def _publish(self) -> None:
        """Give both files their names; at no moment does an index stand beside records that are not its own."""
        if self.path.exists():
            refuse_open((self.path, self.index_path))
            # Without an index one is made from the records; by that of others they would be read without complaint.
            self.index_path.unlink(missing_ok=True)
            fsync_directory(self.index_path.parent)
            publish(self._temporary, self.path)
            publish(self._index_temporary, self.index_path)
        else:
            # A new .rec has an index from the beginning: payloads that are no images tell no keys.
            publish(self._index_temporary, self.index_path)
            publish(self._temporary, self.path)

    def _flush(self, file: IO[bytes]) -> None:
        """Write out the buffer, and put it into the checksum at the same time."""
        buffer, self._buffer = self._buffer, bytearray()
        self._checksum.update(buffer)
        unwritten = memoryview(buffer)
        with naming(self.path):
            while unwritten:
                unwritten = unwritten[file.write(unwritten) :]
        self._write_back.begin(file, self._position)

    def abort(self) -> None:
        """Throw away what was written. Safe to call twice, and after ``close``, which it does not undo."""
        if self._file is not None:
            file, self._file = self._file, None
            if self._is_ours:
                self._remove_partials(file)
            file.close()

    def _remove_partials(self, file: IO[bytes]) -> None:
        """Remove what is not to get a name, and close the file, when the disk is done with it."""
        try:
            self._write_back.wait()
        finally:
            with open_to_remove(file):
                for temporary in (self._temporary, self._index_temporary):
                    temporary.unlink(missing_ok=True)

    @property
    def _is_ours(self) -> bool:
        return self._pid == os.getpid()

    def _refuse_fork(self) -> None:
        if not self._is_ours:
            raise RuntimeError(f"{self.path}: the process that this one was forked from is writing it; let that go on")

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.abort()


class _Checksum:
    """SHA-256, taken by a thread of its own while the same bytes are written."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._thread: threading.Thread | None = None

    def update(self, data: bytearray) -> None:
        """Take in ``data``, which nobody may change any more."""
        self._wait()
        if len(data) < _BUFFER_BYTES:
            self._sha256.update(data)
        else:
            self._thread = threading.Thread(target=self._sha256.update, args=(data,))
            self._thread.start()

    def hexdigest(self, rest: bytearray) -> str:
        """Of what was taken in, and ``rest``."""
        self._wait()
        whole = self._sha256.copy()
        whole.update(rest)
        return whole.hexdigest()

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class _WriteBack:
    """Lets the disk take what was written while more is written, so that the last fsync finds little left to do."""

    def __init__(self) -> None:
        self._begun_at = 0
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def begin(self, file: IO[bytes], position: int) -> None:
        """Begin, if there is enough by now, and the disk is done with what it had before."""
        if position - self._begun_at < _WRITE_BACK_BYTES or (self._thread is not None and self._thread.is_alive()):
            return
        self._begun_at = position
        self._thread = threading.Thread(target=self._run, args=(file.fileno(),))
        self._thread.start()

    def _run(self, descriptor: int) -> None:
        try:
            sync(descriptor, data_alone=True)
        except OSError as error:  # the system says it once: fsync would find nothing wrong
            self._error = error

    def wait(self) -> None:
        """Wait for what was begun."""
        if self._thread is not None:
            self._thread.join()

    def finish(self) -> None:
        """Wait for what was begun. Raises OSError where the disk failed to take something."""
        self.wait()
        if self._error is not None:
            raise self._error


def _open_locked(final: Path) -> tuple[IO[bytes], Path]:
    """Open a temporary file for this process alone, and its name; what a dead process left there is overwritten.

    Where there are no locks it has a name that no other process has: whoever is the last to finish has written it.
    """
    temporary, deadline = partial_path(final), time.monotonic() + _SECONDS_OF_CHANGE
    while time.monotonic() < deadline:
        file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666), "wb", buffering=0)
        lock = try_lock(file)
        if lock is Lock.ABSENT:
            with open_to_remove(file), contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            own = own_partial_path(final)
            return own.open("xb", buffering=0), own
        if lock is Lock.HELD:
            file.close()
            break
        if is_at(file, temporary):
            file.truncate(0)
            fsync_directory(temporary.parent)
            return file, temporary
        file.close()  # the other process finished, and renamed the file, between our open and our lock
    raise OutputExistsError(f"{final}: another process is writing it; wait for it or choose another name")
