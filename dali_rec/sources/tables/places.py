"""Where the rows of a table stand, for messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Places(Protocol):
    """Where the rows of a table stand, by the number that each has."""

    @property
    def name(self) -> str:
        """What messages call the whole table."""

    def of(self, row: int) -> str:
        """The file and the place of a row in it."""

    def at(self, row: int) -> str:
        """The same as a place where something stands: "on line 3"."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The rows of one file of text, whose numbers are those of their lines."""

    path: Path

    @property
    def name(self) -> str:
        """See Places."""
        return str(self.path)

    def of(self, row: int) -> str:
        """See Places."""
        return f"{self.path}, line {row}"

    def at(self, row: int) -> str:
        """See Places."""
        return f"on line {row}"
