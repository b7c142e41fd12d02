"""The lines of a text file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path


def text_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8. Raises SourceError where it is something else."""
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text ({error})") from None
