"""Archives in which the paths of a list, a table or annotations begin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError
from dali_rec.sources.archives.files import find_archives
from dali_rec.sources.archives.opened import Opened, open_all, open_archive, with_places
from dali_rec.sources.file_finder import find_files

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.sample import Source


def find_root(root: Path) -> Opened | None:
    """What is in the archives in which the paths of a list, table or annotations begin; None where it is none."""
    archives = find_archives(root)
    return None if archives is None else open_all(archives, open_archive(archives, archives.files[0]))


def below_root(path: Path, source: Source, root: Opened) -> Source:
    """The source of a list, table or annotations whose paths begin in archives, with the places of those in them.

    Raises SourceError where none is.
    """
    samples, is_any = with_places(source.samples, root.members)
    notes: tuple[str, ...] = ()
    if not is_any:  # of a list, whose paths have not been looked for otherwise
        try:
            files = find_files(path, [sample.location for sample in source.samples], root.members)
        except ValueError as error:
            raise SourceError(f"{path}: {error} in {root.members}; name the one that is meant") from None
        if files is None:
            first = source.samples[0].location[:80]
            raise SourceError(
                f"{root.members}: none of the paths is in it, {first!r} for one: name the archive that has them"
            )
        pairs = zip(source.samples, files.locations, strict=True)
        samples, _ = with_places((replace(sample, location=location) for sample, location in pairs), root.members)
        notes = files.notes
    return replace(
        source,
        samples=samples,
        pixels=root.members.images,
        notes=(*root.notes, *source.notes, *notes),
        files=root.files,
    )
