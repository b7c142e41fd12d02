"""JSON files of annotations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.detection.boxes import to_number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_START_BYTES = 4096


def start_of(path: Path, suffix: str = ".json") -> bytes:
    """How a file with this suffix begins, without a byte order mark; empty for what is none."""
    if path.suffix.lower() != suffix or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_START_BYTES).removeprefix(b"\xef\xbb\xbf")


def load_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What is in the file. hook: is called with each object and gives what to keep of it. Raises SourceError."""
    try:
        data = path.read_bytes()
        text = data.decode(json.detect_encoding(data), "surrogatepass")
        del data  # half of what the largest files would take
        return json.loads(text, object_hook=hook)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except RecursionError:
        raise SourceError(f"{path}: its lists are nested too deep; these are no annotations") from None
    except ValueError as error:  # also UnicodeDecodeError
        is_path = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Invalid \\")
        remedy = "write / in paths, or two backslashes" if is_path else "is the file cut short?"
        raise SourceError(f"{path}: not JSON ({error}); {remedy}") from None


def text_in(entry: Any, name: str, where: str) -> str:
    """The text under a name. Raises SourceError where there is none, or no text that a file or class is called by."""
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str) or not value:
        raise SourceError(f"{where}: it has no {name}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SourceError(f"{where}: its {name} {value[:40]!r} holds half a character, which no file is named with")
    return value


def list_in(entry: Any, name: str, where: str) -> list[Any]:
    """The list under a name. Raises SourceError where there is none."""
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, list):
        raise SourceError(f"{where}: it has no list {name!r}")
    return value


def numbers_in(entry: Any, names: tuple[str, ...], where: str) -> list[float]:
    """The numbers under these names. Raises SourceError where one is missing or none."""
    if not isinstance(entry, dict):
        raise SourceError(f"{where}: expected {', '.join(names)}, found {str(entry)[:40]!r}")
    return [to_number(entry.get(name), name, where) for name in names]
