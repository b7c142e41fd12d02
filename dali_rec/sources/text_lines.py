"""The lines of a text file, which is UTF-8 whatever the system's own encoding is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def text_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8. Raises SourceError where it is something else."""
    data = path.read_bytes()
    refuse_utf_16(path, data[:2])
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text ({error})") from None


def refuse_utf_16(path: Path, beginning: bytes) -> None:
    """Raise SourceError for a file that begins as PowerShell's ``>`` and Notepad's Unicode write it."""
    if beginning in _UTF_16:
        raise SourceError(f"{path}: the text is UTF-16; save it as UTF-8")
