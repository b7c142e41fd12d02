"""Files whose columns are known, and whether those of several go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.git_lfs import IS_POINTER, is_pointer
from dali_rec.sources.parquet.columns import Field, read_fields
from dali_rec.sources.parquet.row_files import READ_ERRORS, kind_of, open_rows
from dali_rec.sources.parquet.saved import STATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dali_rec.sources.parquet.saved import Beside
    from dali_rec.sources.tables.columns import TableOptions

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file: its name in the folder, its path for messages, how many rows it has, and its columns.

    where: the path, and what hides columns. is_at_place: whether any row is read as fast as the next.
    """

    name: str
    path: str
    where: str
    rows: int
    fields: Mapping[str, Field]
    is_at_place: bool

    def batches(
        self, columns: Sequence[str], at_once: int = _ROWS_AT_ONCE, path_of: str | None = None
    ) -> Iterator[Any]:
        """See RowFile. Raises SourceError where they cannot be read."""
        try:
            yield from open_rows(self.path).batches(columns, at_once, path_of)
        except READ_ERRORS as error:
            if isinstance(error, SourceError):
                raise
            raise _unreadable(self.path, error) from None


def open_file(folder: Path, name: str, beside: Beside) -> OpenedFile:
    """The file of this name. beside: what is said of it there. Raises SourceError where it cannot be read."""
    path = str(folder / name)
    try:
        file = open_rows(path)
        fields = read_fields(path, file.schema, beside.features)  # whose names are looked at first here
    except SourceError:
        raise
    except READ_ERRORS as error:
        raise _unreadable(path, error) from None
    where = path
    if beside.columns is not None:
        fields = {column: field for column, field in fields.items() if column in beside.columns}
        where = f"{path}, of which {STATE} shows only some columns"
    return OpenedFile(name, path, where, file.starts[-1], fields, file.getter("") is not None)


def _unreadable(path: str, error: Exception) -> SourceError:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            beginning = file.read(100)
    except OSError:
        beginning = b""
    if is_pointer(beginning):
        return SourceError(f"{path}: {IS_POINTER}")
    return SourceError(f"{path}: cannot be read as {kind_of(path)} ({' '.join(str(error).split())}); fetch it anew")


def lacks_column(lacking: OpenedFile, having: OpenedFile, name: str) -> SourceError:
    """The error for a file that lacks a column of another."""
    what = f"no column {name!r}, which {having.path} has"
    return SourceError(f"{lacking.path}: {what}; pack the files that belong together by a pattern")


def refuse_other_columns(first: OpenedFile, other: OpenedFile, options: TableOptions) -> None:
    """Raise SourceError where a file lacks a column of the first, or has it otherwise."""
    for name in (options.location, *options.labels, options.id, options.split or ""):
        wanted, there = first.fields.get(name), other.fields.get(name)
        if (wanted is None) != (there is None):
            raise lacks_column(other, first, name) if there is None else lacks_column(first, other, name)
        if wanted is None or there is None:
            continue
        if wanted.kind != there.kind:
            what = f"the column {name!r} is of the type {there.type}, and of {wanted.type} in {first.path}"
            raise SourceError(f"{other.path}: {what}; pack them one by one")
        if wanted.names != there.names:
            raise SourceError(
                f"{other.path}: the column {name!r} has other classes than in {first.path}; pack them one by one"
            )
