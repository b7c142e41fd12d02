"""The folders in which data sets lie until they are done: how they are called, and what they say of the data sets."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec.errors import DatasetError, OutputExistsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PACKING, ARRANGING, FETCHING = ".packing", ".arranging", ".fetching"
#: What was begun.
JOB = "job.json"
#: What is held while a run is at it, and what says, from when nothing but moving is left until all is done, what moves.
LOCK, JOURNAL = "lock", "publishing.json"

_FILES = (LOCK, JOB, JOURNAL)
_COMMANDS = {
    PACKING: "'dali-rec pack --resume'",
    ARRANGING: "the merge, split, shuffle or pack --format insightface",
    FETCHING: "'dali-rec fetch'",
}


def is_work_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a data set is being made in this folder, or was until its run was killed."""
    # The name first: this is asked of every file of a source.
    return os.fspath(path).endswith(tuple(_COMMANDS)) and any((Path(path) / name).exists() for name in _FILES)


def is_lock(name: str) -> bool:
    """Whether a file of a work folder is a lock."""
    return name == LOCK or name.startswith(f"{LOCK}-")


def refuse_other_files(folder: str, names: Collection[str]) -> None:
    """Raise OutputExistsError if the work folder, in which these files are, holds none that says that it is one."""
    if names and not any(is_lock(name) or name.startswith((JOB, JOURNAL)) for name in names):
        raise OutputExistsError(
            f"{folder} is needed as a work folder but holds other files; move it or choose another name"
        )


def require_whole(path: Path) -> None:
    """Raise DatasetError if a data set, named by prefix, manifest or .rec file, has been moved to its names in part."""
    prefix = path.with_suffix("") if path.suffix in (".rec", ".json") else path
    if not prefix.with_name(f"{prefix.name}.json").exists():  # it is the last to be moved
        refuse_half_moved(prefix)


def refuse_half_moved(prefix: Path, *, own: str | None = None) -> None:
    """Raise DatasetError if a run was interrupted while, or just before, it moved the data set ``prefix`` to its names.

    own: the name of the work folder of which that does not matter.
    """

    def journal_in(folder: str) -> bytes | None:
        try:
            return None if folder == own else (prefix.parent / folder / JOURNAL).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    refuse_by_journals(str(prefix), prefix.name, journal_in)


def refuse_by_journals(shown: str, name: str, journal_in: Callable[[str], bytes | None]) -> None:
    """Raise DatasetError as ``refuse_half_moved`` does, for the data set ``name`` wherever it is.

    shown: how to call it. journal_in: gives the journal in a folder beside it, None where there is none.
    """
    # OUT-train is made in the folder of OUT, with OUT-val.
    for stem in itertools.accumulate(name.split("-"), "{}-{}".format):
        for suffix, command in _COMMANDS.items():
            journal = journal_in(stem + suffix)
            if journal is not None and _moves(journal, name):
                beside = shown.removesuffix(name)
                raise DatasetError(
                    f"{shown}: a run was interrupted, or is still busy, while it moved files here from {beside}{stem}"
                    f"{suffix}; to finish it run {command} to {beside}{stem} again"
                )


def _moves(journal: bytes, name: str) -> bool:
    try:
        return any(one["name"] == name for one in json.loads(journal)["sets"])
    except (ValueError, TypeError, KeyError):
        return True  # its own command says what is wrong with it
