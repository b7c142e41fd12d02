"""OUT.fetched: what was fetched, by which a later fetch knows the files again without reading them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dali_rec._files import write_text_atomically

if TYPE_CHECKING:
    from pathlib import Path


#: The version of a file and, unless the source has no such file, its size and time here.
Entry: TypeAlias = "list[str | int]"


def state(path: Path) -> list[int]:
    """Size and time (ns) of a file; nothing where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return []
    return [status.st_size, status.st_mtime_ns]


class Record(NamedTuple):
    """source: where it was fetched from. files: by name."""

    source: str
    files: dict[str, Entry]

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file; an empty one where there is none, or anything else."""
        try:
            content = json.loads(path.read_bytes())
            return cls(str(content["source"]), {name: list(entry) for name, entry in content["files"].items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls("", {})

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_text_atomically(path, json.dumps(self._asdict(), indent=1) + "\n")

    def has(self, path: Path) -> bool:
        """Whether the file is here as it was fetched."""
        return path.exists() and self.files.get(path.name, [])[1:] == state(path)

    def knows(self, path: Path, version: str) -> bool:
        """Whether the file is here in this version, or was fetched as one that the source has not."""
        return self.files.get(path.name) in ([version], [version, *state(path)])
