"""Rows of tables with their place in the file: CSV, TSV, text, JSON arrays and JSON lines, also as people write them.

A table is mapped and walked row by row, so that one of any size takes little memory, and a row can be read again from
its place: pixels that stand in a table are not kept but looked up when they are packed.
"""

from __future__ import annotations

import ast
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dali_rec._disks import map_file
from dali_rec.errors import SourceError
from dali_rec.sources.text_lines import refuse_utf_16

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from pathlib import Path

Values = TypeVar("Values", dict[str, Any], list[str])

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{}]', re.DOTALL)
_BETWEEN_OBJECTS = re.compile(rb"[\s,]*")
_BRACKETS = re.compile(r"[\[\]]")
_BOM = b"\xef\xbb\xbf"
#: The last is SageMaker's, of JSON lines.
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".manifest")
#: Of lines of a path and labels with blanks between them, as ImageNet's train.txt has them for Caffe.
TEXT_SUFFIX = ".txt"
TABLE_SUFFIXES = (".csv", ".tsv", TEXT_SUFFIX, *JSON_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Row(Generic[Values]):
    """A row: its line in the file (from 1), its place in bytes, and its values by column or, of lines, in order."""

    line: int
    start: int
    length: int
    values: Values


def read_lines(path: Path, columns: int) -> Iterator[Row[list[str]]]:
    """The rows of a CSV, TSV or .txt. Raises SourceError, with the line, where one cannot be read.

    columns: how many a .txt has; the first of them, a path, may hold blanks, and lines that begin with # are none.
    """
    with _mapped(path) as data:
        yield from _lines(path, data, columns)


def read_raw_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Of each line of a CSV or TSV that is not blank the number (from 1), the place in bytes, and the bytes."""
    with _mapped(path) as data:
        yield from _raw_lines(path, data)


def read_objects(path: Path) -> Iterator[Row[dict[str, Any]]]:
    """The rows of JSON: of an array, or one after another. Raises SourceError, with the line, where one is none."""
    with _mapped(path) as data:
        yield from _objects(path, data)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    if path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, map_file(file, path) as data:
        refuse_utf_16(path, data[:2])
        yield data


def parse_row(path: Path, text: bytes, delimiter: str) -> dict[str, Any] | list[str]:
    """The values of one row, from its bytes. Raises ValueError where they make no sense."""
    if path.suffix.lower() in JSON_SUFFIXES:
        return _parse_object(text)
    return split_line(text.decode("utf-8", "surrogateescape"), delimiter)


def delimiter_in(path: Path) -> str:
    """What stands between the fields of a CSV or TSV: tabs in a .tsv, and commas in a .csv.

    Semicolons or tabs where the first line of a .csv has these and no comma, as Excel writes it in half of the world.
    """
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    return "," if b"," in first else next((mark for mark in ";\t" if mark.encode() in first), ",")


def _lines(path: Path, data: mmap.mmap | bytes, columns: int) -> Iterator[Row[list[str]]]:
    delimiter = delimiter_in(path)
    is_text = path.suffix.lower() == TEXT_SUFFIX
    for number, start, text in _raw_lines(path, data):
        if is_text and text.startswith(b"#"):
            continue
        try:
            line = text.decode("utf-8", "surrogateescape")
            values = line.rsplit(maxsplit=columns - 1) if is_text else split_line(line, delimiter)
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: {error}") from None
        yield Row(number, start, len(text), values)


def _raw_lines(path: Path, data: mmap.mmap | bytes) -> Iterator[tuple[int, int, bytes]]:
    """The number, the place and the bytes of each line that is not blank."""
    start, number = len(_BOM) if data[: len(_BOM)] == _BOM else 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end == -1 else end
        number += 1
        text = data[start:end]
        if number == 1 and end == len(data) and b"\r" in text.rstrip():
            raise SourceError(f"{path}: its lines end with a carriage return alone; save it with the line ends of Unix")
        if text.strip():
            yield number, start, text
        start = end + 1


def split_line(line: str, delimiter: str) -> list[str]:
    """The fields of a line, in double or single quotes or none, with nested lists kept whole.

    Blanks around a field do not count; quotes within quotes are doubled. Raises ValueError where a quote or a bracket
    is not closed.
    """
    line = line.strip("\r\n ")
    if '"' not in line and "'" not in line and "[" not in line:
        return [field.strip() for field in line.split(delimiter)]
    fields, at = [], 0
    while True:
        while at < len(line) and line[at] in " \t" and line[at] != delimiter:
            at += 1
        field, at = _field(line, at, delimiter)
        fields.append(field)
        if at >= len(line):
            return fields
        at += 1


def _field(line: str, at: int, delimiter: str) -> tuple[str, int]:
    """The field that begins at ``at``, and where its delimiter is."""
    opening = line[at : at + 1]
    if opening in ('"', "'") and _closes(line, at, opening, delimiter):
        return _quoted(line, at, opening, delimiter)
    if opening == "[":
        end = _end_of_list(line, at)
        if line[end:].lstrip(" ")[:1] in ("", delimiter):  # and no name such as [a] b.jpg
            return line[at:end], _next_delimiter(line, end, delimiter)
    end = line.find(delimiter, at)
    end = len(line) if end == -1 else end
    return line[at:end].strip(), end


def _closes(line: str, at: int, quote: str, delimiter: str) -> bool:
    """Whether a quote is one: a name such as 'tis.jpg may begin with an apostrophe."""
    return quote == '"' or re.search(rf"'\s*(?:{re.escape(delimiter)}|$)", line[at + 1 :]) is not None


def _quoted(line: str, at: int, quote: str, delimiter: str) -> tuple[str, int]:
    end = at + 1
    while True:
        end = line.find(quote, end)
        if end == -1:
            raise ValueError(f"a field in {quote} quotes does not end on its line; where texts go on, write JSON lines")
        if line[end + 1 : end + 2] != quote:
            return line[at + 1 : end].replace(quote * 2, quote), _next_delimiter(line, end + 1, delimiter)
        end += 2


def _end_of_list(line: str, at: int) -> int:
    depth = 0
    for bracket in _BRACKETS.finditer(line, at):
        depth += 1 if bracket[0] == "[" else -1
        if depth == 0:
            return bracket.end()
    raise ValueError("a list in [ ] does not end on its line")


def _next_delimiter(line: str, at: int, delimiter: str) -> int:
    end = line.find(delimiter, at)
    end = len(line) if end == -1 else end
    rest = line[at:end].strip()
    if rest:
        raise ValueError(f"{rest[:40]!r} stands between the end of a field and the next {delimiter!r}")
    return end


def _objects(path: Path, data: mmap.mmap | bytes) -> Iterator[Row[dict[str, Any]]]:
    """The objects of an array, or one after another."""
    at = len(_BOM) if data[: len(_BOM)] == _BOM else 0
    line, counted = 1, 0
    at = _skip(data, at)
    is_array = data[at : at + 1] == b"["
    at = _skip(data, at + 1) if is_array else at
    while at < len(data):
        line, counted = line + data[counted:at].count(b"\n"), at
        first = data[at : at + 1]
        if is_array and first == b"]" and _skip(data, at + 1) == len(data):
            return
        if first != b"{":
            raise SourceError(
                f"{path}, line {line}: expected an object for each image, such as "
                f'{{"label": "cat", "location": "1.jpg"}}, found {data[at : at + 20]!r}'
            )
        end = _end_of_object(data, at)
        if end is None:
            raise SourceError(f"{path}, line {line}: the object that begins here does not end; is the file cut short?")
        try:
            values = _parse_object(data[at:end])
        except ValueError as error:
            raise SourceError(f"{path}, line {line}: {error}") from None
        yield Row(line, at, end - at, values)
        at = _skip(data, end)
    if is_array:
        raise SourceError(f"{path}: the array does not end; is the file cut short?")


def _skip(data: mmap.mmap | bytes, at: int) -> int:
    match = _BETWEEN_OBJECTS.match(data, at)
    return match.end() if match else at


def _end_of_object(data: mmap.mmap | bytes, at: int) -> int | None:
    depth = 0
    for token in _TOKENS.finditer(data, at):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _parse_object(text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("lists or objects within others, too deep to be read") from None
    except ValueError as json_error:
        remedy = "; for a backslash write two, or / in a path" if "Invalid \\" in str(json_error) else ""
        try:  # single quotes, None and True: a Python literal, which is no code
            _refuse_lone_backslash(json_error)
            values = ast.literal_eval(text.decode("utf-8", "surrogateescape").strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"neither JSON nor a Python literal: {json_error}{remedy}") from None
    if not isinstance(values, dict):
        raise ValueError(f"expected an object, found {type(values).__name__}")  # noqa: TRY004  # a bad value
    return values


def _refuse_lone_backslash(error: ValueError) -> None:
    r"""Raise it for an escape that Python reads and never writes, as in "cat\1.jpg", which is none."""
    if isinstance(error, json.JSONDecodeError) and error.msg.startswith("Invalid \\escape"):
        escaped = error.doc[error.pos + 1 : error.pos + 2]
        if escaped not in ("'", "x", "U"):
            raise error
