"""Arrow files, mapped into memory: a row is read at its place, unless the file is compressed."""

from __future__ import annotations

import bisect
import functools
import itertools
import threading
from typing import TYPE_CHECKING, Any

from dali_rec.sources.parquet.row_files import import_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

# How a file begins whose footer says where its batches are, as https://arrow.apache.org/docs/format/Columnar.html has
# it, and how a stream ends, which has none.
_WITH_FOOTER = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class ArrowRows:
    """An Arrow file, of either format. What it gives is part of the map, which lasts as long as that is held.

    Its groups are its batches; of a compressed file all of them are one, as they can be read in their order alone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        whole = _mapped(path)
        self.schema = _reader(whole).schema
        first = next((batch for batch in _batches(whole) if batch.num_rows), None)
        self._is_compressed = first is not None and not _is_within(whole, first)
        counts = [batch.num_rows for batch in self._of([])]
        self._size: int = whole.size
        self.starts: Sequence[int] = [0, sum(counts)] if self._is_compressed else [0, *itertools.accumulate(counts)]
        self._lock = threading.Lock()
        self._arrays: dict[str, list[Any]] = {}
        self._sound: set[tuple[str, int]] = set()

    def size_of(self, _group: int) -> int:
        """See RowFile: only those of compressed files are read whole, and images become hardly smaller."""
        return self._size

    def batches(self, columns: Sequence[str], at_once: int, path_of: str | None = None) -> Iterator[Any]:
        """See RowFile."""
        names = [*columns, *([] if path_of is None else [path_of])]
        for whole in self._of(names):
            whole.validate()  # or what is damaged may be read behind its end
            batch = whole if path_of is None else _with_paths_alone(whole, path_of)
            batch.validate(full=True)
            for first in range(0, batch.num_rows, at_once):
                yield batch.slice(first, at_once)

    def values_of(self, _group: int, column: str, at_once: int) -> Generator[list[Any]]:
        """See RowFile."""
        for batch in self._of([column]):
            batch.validate(full=True)
            for first in range(0, batch.num_rows, at_once):
                yield batch.column(0).slice(first, at_once).to_pylist()

    def getter(self, column: str) -> Callable[[int], Any] | None:
        """See RowFile."""
        return None if self._is_compressed else functools.partial(self._value, column)

    def _value(self, column: str, row: int) -> Any:
        with self._lock:
            if column not in self._arrays:
                self._arrays[column] = [batch.column(0) for batch in self._of([column])]
        number = bisect.bisect_right(self.starts, row) - 1
        array = self._arrays[column][number]
        if (column, number) not in self._sound:
            array.validate(full=True)
            self._sound.add((column, number))
        return array[row - self.starts[number]].as_py()

    def _of(self, columns: list[str]) -> Iterator[Any]:
        """The batches with these columns, the only ones that are decompressed, if any are."""
        wanted = [self.schema.get_field_index(name) for name in columns or self._smallest()]
        for batch in _batches(_mapped(self._path), wanted if self._is_compressed else ()):
            yield batch.select(columns)

    def _smallest(self) -> list[str]:
        """A column, if there are some, of which little is to be decompressed."""
        is_ = import_arrow("types", "Arrow")
        numbers = [field.name for field in self.schema if is_.is_primitive(field.type)]
        return [*numbers, *self.schema.names][:1]


def _mapped(path: str) -> Any:
    """All bytes of a file, which are read as they are used. Nothing is open once they are let go of."""
    with import_arrow("lib", "Arrow").memory_map(path) as source:
        return source.read_buffer()


def _reader(whole: Any, fields: Sequence[int] = ()) -> Any:
    ipc = import_arrow("ipc", "Arrow")
    options = ipc.IpcReadOptions(included_fields=list(fields), use_threads=False)
    has_footer = whole[: len(_WITH_FOOTER)].to_pybytes() == _WITH_FOOTER
    return (ipc.open_file if has_footer else ipc.open_stream)(whole, options=options)


def _batches(whole: Any, fields: Sequence[int] = ()) -> Iterator[Any]:
    """The batches of a file, or copies of these columns, by their numbers. Raises one of READ_ERRORS."""
    reader = _reader(whole, fields)
    try:
        if hasattr(reader, "num_record_batches"):
            yield from map(reader.get_batch, range(reader.num_record_batches))
            return
        if whole[-len(_END_OF_STREAM) :].to_pybytes() != _END_OF_STREAM:
            raise ValueError("it has no end, so rows are missing")
        yield from reader
    except MemoryError as error:  # for the size that a damaged file says
        raise ValueError(str(error)) from None


def _is_within(whole: Any, batch: Any) -> bool:
    """Whether a batch lies in the file as it is in memory: what is decompressed lies elsewhere."""
    buffers = (buffer for column in batch.columns for buffer in column.buffers() if buffer is not None and buffer.size)
    return all(whole.address <= buffer.address < whole.address + whole.size for buffer in buffers)


def _with_paths_alone(batch: Any, name: str) -> Any:
    """The batch without the bytes of its images."""
    import pyarrow as pa

    number = batch.schema.get_field_index(name)
    images = batch.column(number)
    paths = pa.StructArray.from_arrays([images.field("path")], ["path"], mask=images.is_null())
    return batch.set_column(number, name, paths)
