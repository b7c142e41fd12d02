"""Files of rows and columns, of which nothing stays open: Parquet with groups of rows, Arrow with batches of them."""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dali_rec.errors import MissingDependencyError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Generator, Iterator, Sequence

#: What PyArrow raises for what it cannot read: its own errors are of these kinds.
READ_ERRORS = (OSError, ValueError, NotImplementedError, LookupError)
PARQUET_SUFFIX = ".parquet"
#: Of streams, which Hugging Face's ``datasets`` writes, and of files that can be entered anywhere: Feather is such.
ARROW_SUFFIXES = (".arrow", ".feather")

ROW_SUFFIXES = (PARQUET_SUFFIX, *ARROW_SUFFIXES)

FileKind = Literal["Parquet", "Arrow"]
_READ_AT_ONCE = 1 << 20


class RowFile(Protocol):
    """A file of rows in groups, opened anew each time that something is read."""

    schema: Any
    #: The rows where groups begin, and where the last ends.
    starts: Sequence[int]

    def size_of(self, group: int) -> int:
        """About how many bytes a group takes in memory."""

    def batches(self, columns: Sequence[str], at_once: int, path_of: str | None = None) -> Iterator[Any]:
        """The rows of these columns, so many at a time at most; of images in ``path_of`` their paths alone."""

    def values_of(self, group: int, column: str, at_once: int) -> Generator[list[Any]]:
        """The values of a column in the rows of a group, so many at a time at most."""

    def getter(self, column: str) -> Callable[[int], Any] | None:
        """What gives the value in a row, by many threads at a time; None where it takes reading its group."""


def kind_of(name: str) -> FileKind | None:
    """What kind of file one is by its name, None if it is no file of rows."""
    lower = name.lower()
    return "Parquet" if lower.endswith(PARQUET_SUFFIX) else "Arrow" if lower.endswith(ARROW_SUFFIXES) else None


def open_rows(path: str) -> RowFile:
    """The file at ``path``. Raises one of READ_ERRORS where it cannot be read."""
    if kind_of(path) != "Arrow":
        return ParquetRows(path)
    from dali_rec.sources.parquet.arrow_rows import ArrowRows

    return ArrowRows(path)


def import_arrow(module: str, kind: FileKind) -> Any:
    """A module of PyArrow. Raises MissingDependencyError with the line that installs it."""
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ImportError as error:
        raise MissingDependencyError(
            f'{kind} files need PyArrow ({error}); install it with: pip install "dali-rec[parquet]"'
        ) from None


class ParquetRows:
    """A Parquet file, of which a row can be read with all of its group only."""

    def __init__(self, path: str) -> None:
        self._path = path
        with import_arrow("parquet", "Parquet").ParquetFile(path) as opened:
            self._metadata, self.schema = opened.metadata, opened.schema_arrow
        groups = range(self._metadata.num_row_groups)
        self.starts: Sequence[int] = [
            0,
            *itertools.accumulate(self._metadata.row_group(group).num_rows for group in groups),
        ]

    def size_of(self, group: int) -> int:
        """See RowFile."""
        return int(self._metadata.row_group(group).total_byte_size)

    def batches(self, columns: Sequence[str], at_once: int, path_of: str | None = None) -> Iterator[Any]:
        """See RowFile."""
        names = [*columns, *([] if path_of is None else [f"{path_of}.path"])]
        with self._opened() as opened:
            yield from opened.iter_batches(at_once, columns=names, use_threads=False)

    def values_of(self, group: int, column: str, at_once: int) -> Generator[list[Any]]:
        """See RowFile."""
        with self._opened(buffer_size=_READ_AT_ONCE) as opened:
            for batch in opened.iter_batches(at_once, [group], [column], use_threads=False):
                yield batch.column(0).to_pylist()

    def getter(self, _column: str) -> None:
        """See RowFile."""

    def _opened(self, **options: Any) -> contextlib.AbstractContextManager[Any]:
        parquet = import_arrow("parquet", "Parquet")
        opened: contextlib.AbstractContextManager[Any] = parquet.ParquetFile(
            self._path, metadata=self._metadata, pre_buffer=False, **options
        )
        return opened
